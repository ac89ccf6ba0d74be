# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Values of OTTL: their types, comparison, arithmetic and conversion.

string → str, bool → bool, int64 → int, double → float, bytes → bytes, map → dict, slice → list, nil → None, and the
classes here for what has no equal in Python. Rules: pkg/ottl v0.158.0 of opentelemetry-collector-contrib, compare.go,
math.go and expression.go.
"""

from __future__ import annotations

import base64
import json
import math
import operator
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

MIN_INT64, MAX_INT64 = -(2**63), 2**63 - 1


class OttlError(Exception):
    """A condition that cannot be used. position: of the character, from 0. unsupported: the collector accepts it."""

    def __init__(self, position: int, why: str, unsupported: bool = False) -> None:
        super().__init__(why)
        self.position, self.why, self.unsupported = position, why, unsupported


class EvaluationError(Exception):
    """An error of a condition on one span; error_mode says what follows from it."""


@dataclass(frozen=True, slots=True)
class Duration:
    """time.Duration"""

    ns: int


@dataclass(frozen=True, slots=True)
class Time:
    """time.Time, in nanoseconds since 1970"""

    ns: int


@dataclass(frozen=True, slots=True)
class Id:
    """pcommon.TraceID or SpanID, told apart by their length"""

    value: bytes


class Strings(list[str]):
    """[]string, which equals nothing"""


class Items(list[Any]):
    """The events or links of a span"""


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def same(left: Any, right: Any) -> bool:
    """Equal in type and value, at every depth (reflect.DeepEqual, pcommon.Map.Equal)."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list):
        return len(left) == len(right) and all(same(one, two) for one, two in zip(left, right, strict=True))
    return bool(left == right)


def compare(left: Any, right: Any, sign: str) -> bool:
    """Values of different types are unequal and not ordered, but for int and double; nil equals nil."""
    if left is None and right is None:
        return sign in ("==", "<=", ">=")
    if left is None:
        left, right = right, left
    kind, other = type(left), type(right)
    if kind is int and other is float:
        return _OPERATORS[sign](float(left), right)
    if kind is float and other is int:
        return _OPERATORS[sign](left, float(right))
    if kind is not other:
        return sign == "!="
    if kind in (str, bool, int, float, bytes):
        return _OPERATORS[sign](left, right)
    if kind in (Duration, Time):
        return _OPERATORS[sign](left.ns, right.ns)
    if kind is Strings:
        raise EvaluationError("two lists of strings cannot be compared")
    if sign == "==":
        return same(left, right)
    return sign == "!=" and not same(left, right)


def wrap(number: int) -> int:
    """As a number of 64 bits."""
    return (number + 2**63) % 2**64 - 2**63


def quotient(left: int, right: int) -> int:
    """Rounded towards zero."""
    found = abs(left) // abs(right)
    return found if (left < 0) == (right < 0) else -found


def arithmetic(left: Any, right: Any, sign: str) -> Any:
    """math.go"""
    kinds = (type(left), type(right))
    if kinds == (int, int):
        if sign == "/":
            if right == 0:
                raise EvaluationError("attempted to divide by 0")
            return wrap(quotient(left, right))
        return wrap(left + right if sign == "+" else left - right if sign == "-" else left * right)
    if set(kinds) <= {int, float}:
        one, two = float(left), float(right)
        if sign == "/":
            if two == 0:
                raise EvaluationError("attempted to divide by 0")
            return one / two
        return one + two if sign == "+" else one - two if sign == "-" else one * two
    if kinds == (Time, Duration) and sign in "+-":
        return Time(left.ns + right.ns if sign == "+" else left.ns - right.ns)
    if kinds == (Time, Time) and sign == "-":
        return Duration(max(min(left.ns - right.ns, MAX_INT64), MIN_INT64))
    if kinds == (Duration, Duration) and sign in "+-":
        return Duration(wrap(left.ns + right.ns if sign == "+" else left.ns - right.ns))
    if kinds == (Duration, Time) and sign == "+":
        return Time(left.ns + right.ns)
    raise EvaluationError(f"{kinds[0].__name__} {sign} {kinds[1].__name__} is not defined")


def _number_text(number: float) -> str:
    """A double in JSON as Go writes it: the shortest digits that give it back, an exponent below 1e-6 and from 1e21."""
    if number == 0:
        return "-0" if math.copysign(1, number) < 0 else "0"
    digits, _sign, exponent = f"{number!r}".partition("e")
    if 1e-6 <= abs(number) < 1e21:
        if exponent:
            text = f"{number:.{max(0, len(digits.lstrip('-').replace('.', '')) - 1 - int(exponent))}f}"
        else:
            text = digits
        return text.removesuffix(".0") if text.endswith(".0") else text
    if not exponent:  # repr has exponents from 1e16 and below 1e-4, so this is none of Go's
        return digits.removesuffix(".0")
    power = int(exponent)
    return f"{digits.removesuffix('.0')}e{'-' if power < 0 else '+'}{abs(power):d}"


def go_json(value: Any) -> str:
    """json.Marshal: keys sorted, <, > and & escaped. EvaluationError for what JSON has no form for."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EvaluationError("unsupported type: no JSON for a number that is not finite")
        return _number_text(value)
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False).replace("\\b", "\\u0008").replace("\\f", "\\u000c")
        for char in "<>&\u2028\u2029":
            text = text.replace(char, f"\\u{ord(char):04x}")
        return text
    if isinstance(value, bytes):
        return f'"{base64.b64encode(value).decode()}"'
    if isinstance(value, Duration):
        return str(value.ns)
    if isinstance(value, Time):
        whole, nanoseconds = divmod(value.ns, 10**9)
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=whole)
        fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
        return f'"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"'
    if isinstance(value, Id):
        return f"[{','.join(map(str, value.value))}]"  # a Go array of bytes
    if isinstance(value, dict):
        return "{" + ",".join(f"{go_json(key)}:{go_json(item)}" for key, item in sorted(value.items())) + "}"
    if isinstance(value, Items):
        return "{}"  # a struct without exported fields
    if isinstance(value, list):
        return "[" + ",".join(go_json(item) for item in value) + "]"
    raise EvaluationError("unsupported type for a string")


def is_int(value: Any) -> TypeGuard[int]:
    """Whether it is an int64; a bool is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise EvaluationError(f"expected string but got {kind_name(value)}")
    return value


def _string_like(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.hex() if isinstance(value, bytes) else go_json(value)


_INTEGER = re.compile(r"[+-]?[0-9]+")
_DOUBLE = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE | re.A
)


def _int_like(value: Any) -> int | None:
    if value is None or is_int(value):
        return value
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and MIN_INT64 <= value < 2.0**63 else MIN_INT64
    if isinstance(value, str):
        number = int(value) if _INTEGER.fullmatch(value) else None
        return number if number is not None and MIN_INT64 <= number <= MAX_INT64 else None
    raise EvaluationError(f"unsupported type: {kind_name(value)}")


def _float_like(value: Any) -> float | None:
    if value is None or isinstance(value, float):
        return value
    if type(value) in (int, bool):
        return float(value)
    if isinstance(value, str):
        if not _DOUBLE.fullmatch(value):
            raise EvaluationError(f"{value!r} is not a number")
        number = float(value)
        if math.isinf(number) and "inf" not in value.lower():
            raise EvaluationError(f"{value!r} is out of range")
        return number
    raise EvaluationError(f"unsupported type: {kind_name(value)}")


_BOOLEANS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "FALSE", "false", "False"), False
)


def _bool_like(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if type(value) in (int, float):
        return bool(value != 0)
    if isinstance(value, str) and value in _BOOLEANS:
        return _BOOLEANS[value]
    raise EvaluationError(f"{kind_name(value)} is not a boolean")


def _bytes_like(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, bool):
        return bytes([value])
    if is_int(value):
        return value.to_bytes(8, "big", signed=True)
    if isinstance(value, float):
        return struct.pack(">d", value)
    raise EvaluationError(f"unsupported type: {kind_name(value)}")


def kind_name(value: Any) -> str:
    return "nil" if value is None else type(value).__name__


def _exactly(kind: type, name: str) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise EvaluationError(f"expected {name} but got {kind_name(value)}")
        return value

    return convert


def to_slice(value: Any) -> Any:
    if type(value) in (list, Strings):
        return value
    raise EvaluationError(f"expected pcommon.Slice but got {kind_name(value)}")


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "any": lambda value: value,
    "string": _string,
    "string_like": _string_like,
    "int": _exactly(int, "int64"),
    "int_like": _int_like,
    "float": _exactly(float, "float64"),
    "float_like": _float_like,
    "bool": _exactly(bool, "bool"),
    "bool_like": _bool_like,
    "bytes_like": _bytes_like,
    "map": _exactly(dict, "pcommon.Map"),
    "slice": to_slice,
    "duration": _exactly(Duration, "duration"),
    "time": _exactly(Time, "time"),
}
