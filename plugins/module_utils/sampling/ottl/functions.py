# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Functions of OTTL (converters) that conditions call.

Source: pkg/ottl/ottlfuncs v0.158.0 of opentelemetry-collector-contrib; each is in the file of its name.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl import goregex
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.paths import Get, SpanPlace
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.values import (
    MAX_INT64,
    MIN_INT64,
    Duration,
    EvaluationError,
    Id,
    Items,
    Strings,
    Time,
    compare,
    kind_name,
    quotient,
    to_slice,
    wrap,
)


@dataclass(frozen=True, slots=True)
class Getter:
    """A compiled value. literal: it is the same for every span, and known (literal_getter.go)."""

    get: Get
    literal: bool = False
    value: Any = None


def constant(value: Any) -> Getter:
    return Getter(lambda place: value, True, value)


# A function is built from its arguments' getters, which convert; None for an optional one that is not given. What is
# written as text or flag in FUNCTIONS comes as the value itself.
_Build = Callable[..., Get]


class Invalid(Exception):
    """Arguments with which the collector does not start."""


class UnsupportedOttl(Exception):
    """Arguments that cannot be evaluated here."""


def _each(function: Callable[..., Any]) -> _Build:
    """From a function of values."""

    def build(*getters: Getter | None) -> Get:
        gets = [getter.get for getter in getters if getter is not None]
        if len(gets) == 1:
            only = gets[0]
            return lambda place: function(only(place))
        if len(gets) == 2:
            first, second = gets
            return lambda place: function(first(place), second(place))
        return lambda place: function(*[get(place) for get in gets])

    return build


def _is(*kinds: type) -> _Build:
    return _each(lambda value: type(value) in kinds)


def _is_match(target: Getter, pattern: Getter) -> Get:
    get = target.get
    if pattern.literal:
        try:
            search = goregex.compile_go(pattern.value).search
        except goregex.GoRegexError as error:
            message = f"the pattern {pattern.value!r} is not a valid pattern: {error.why}"
            raise (UnsupportedOttl if error.unsupported else Invalid)(message) from None

        def matches(place: SpanPlace) -> bool:
            value = get(place)
            return value is not None and search(value) is not None

        return matches

    def dynamic(place: SpanPlace) -> bool:
        try:
            compiled = goregex.compile_go(pattern.get(place))
        except goregex.GoRegexError as error:
            raise EvaluationError(error.why) from None
        value = get(place)
        return value is not None and compiled.search(value) is not None

    return dynamic


def _is_empty(value: Any) -> bool:
    if isinstance(value, Items):
        return False
    if isinstance(value, (Duration, Id)):
        return not any(value.value) if isinstance(value, Id) else value.ns == 0
    if isinstance(value, Time):
        return False
    return not value  # nil, "", 0, false, empty bytes, map, list


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, (bytes, dict, list)):
        return len(value)
    raise EvaluationError(f"Len: unsupported target type {kind_name(value)}")


def _concat(values: Sequence[Getter], delimiter: Getter) -> Get:
    def concat(place: SpanPlace) -> str:
        between: str = delimiter.get(place)
        texts = [value.get(place) for value in values]
        return between.join("<nil>" if text is None else text for text in texts)

    return concat


def _substring(target: Getter, start: Getter, length: Getter, utf8_safe: bool | None) -> Get:
    def substring(place: SpanPlace) -> str:
        begin, size = start.get(place), length.get(place)
        if begin < 0 or size <= 0:
            raise EvaluationError("invalid range for substring function")
        text = target.get(place).encode("utf-8", "surrogateescape")
        if begin + size > len(text):
            raise EvaluationError("invalid range for substring function")
        end = begin + size
        if utf8_safe:
            while begin < len(text) and text[begin] & 0xC0 == 0x80:
                begin += 1
            while begin < end < len(text) and text[end] & 0xC0 == 0x80:
                end -= 1
            end = max(begin, end)
        found: str = text[begin:end].decode("utf-8", "surrogateescape")
        return found

    return substring


def _convert_case(target: Getter, case: str) -> Get:
    if case not in ("lower", "upper", "snake", "camel"):
        raise Invalid(f"invalid case: {case}, allowed cases are: lower, upper, snake, camel")
    if case in ("snake", "camel"):
        raise UnsupportedOttl(f"ConvertCase to {case}")
    change = str.lower if case == "lower" else str.upper
    return lambda place: change(target.get(place))


def _split(text: str, delimiter: str) -> Strings:
    return Strings(text.split(delimiter) if delimiter else text)


def _trim(target: Getter, characters: str | None) -> Get:
    wanted = " " if characters is None else characters
    return lambda place: target.get(place).strip(wanted) if wanted else target.get(place)


def _index(target: Any, value: Any) -> int:
    if isinstance(target, str):
        if not isinstance(value, str):
            raise EvaluationError("invalid value type for Index function, value must be a string")
        found: int = target.encode("utf-8", "surrogateescape").find(value.encode("utf-8", "surrogateescape"))
        return found
    return next((number for number, item in enumerate(to_slice(target)) if compare(item, value, "==")), -1)


def _coalesce(values: Sequence[Getter]) -> Get:
    if not values:
        raise Invalid("Coalesce requires at least one argument")
    gets = [value.get for value in values]

    def coalesce(place: SpanPlace) -> Any:
        for get in gets:
            found = get(place)
            if found is not None:
                return found
        return None

    return coalesce


_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")


def _duration(text: str) -> Duration:
    """time.ParseDuration"""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return Duration(0)
    total, at = 0, 0
    while at < len(rest):
        match = _DURATION_PART.match(rest, at)
        if match is None or not (match[1] or match[2]):
            raise EvaluationError(f"invalid duration {text!r}")
        fraction = match[2] or ""
        total += int(match[1] or "0") * _UNITS[match[3]]
        total += int(fraction or "0") * _UNITS[match[3]] // 10 ** len(fraction)
        at = match.end()
    if not rest or total > MAX_INT64:
        raise EvaluationError(f"invalid duration {text!r}")
    return Duration(-total if text.startswith("-") else total)


def _float_of(unit: int) -> _Build:
    """Duration.Seconds and its like: whole units plus the rest, each as a double."""

    def convert(duration: Duration) -> float:
        whole = quotient(duration.ns, unit)
        return float(whole) + float(duration.ns - whole * unit) / unit

    return _each(convert)


def _unix(seconds: int, nanoseconds: int = 0) -> Time:
    return Time(seconds * 10**9 + nanoseconds)


def _calendar(part: Callable[[datetime], int]) -> _Build:
    def convert(time: Time) -> int:
        try:
            return part(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time.ns // 10**9))
        except OverflowError as error:
            raise EvaluationError(str(error)) from None

    return _each(convert)


def _id_of(size: int) -> _Build:
    def convert(value: bytes | None) -> Id:
        value = value or b""
        if len(value) == size:
            return Id(value)
        try:
            if len(value) != 2 * size:
                raise ValueError(f"expected {size} or {2 * size} bytes, got {len(value)}")
            return Id(bytes.fromhex(value.decode("ascii")))
        except ValueError as error:
            raise EvaluationError(f"could not decode ID: {error}") from None

    def build(target: Getter) -> Get:
        if target.literal:
            try:
                found = convert(target.value)
            except EvaluationError as error:
                raise Invalid(str(error)) from None
            return lambda place: found
        return lambda place: convert(target.get(place))

    return build


def _fnv(text: str) -> int:
    state = 0xCBF29CE484222325
    for byte in text.encode("utf-8", "surrogateescape"):
        state = ((state ^ byte) * 0x100000001B3) & (2**64 - 1)
    return wrap(state)


def _digest(name: str) -> _Build:
    return _each(lambda text: hashlib.new(name, text.encode("utf-8", "surrogateescape")).hexdigest())


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if "/" not in text or not text.rpartition("/")[2].isdigit():
        raise ValueError(f"invalid CIDR address: {text}")
    return ipaddress.ip_network(text, strict=False)


def _is_in_cidr(target: Getter, networks: Sequence[Getter]) -> Get:
    known: list[ipaddress.IPv4Network | ipaddress.IPv6Network] | None = None
    if all(network.literal for network in networks):
        try:
            known = [_network(network.value) for network in networks]
        except ValueError as error:
            raise Invalid(str(error)) from None

    def contained(place: SpanPlace) -> bool:
        try:
            address = ipaddress.ip_address(target.get(place))
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        for network in networks if known is None else known:
            try:
                subnet = _network(network.get(place)) if isinstance(network, Getter) else network
            except ValueError as error:
                raise EvaluationError(str(error)) from None
            if mapped in subnet:
                return True
        return False

    return contained


def _parse_int(text: str, base: int) -> int:
    if not text or base < 0 or base == 1 or base > 36:
        raise EvaluationError("invalid argument for ParseInt function")
    try:
        if ("_" in text and base != 0) or text != text.strip():
            raise ValueError(text)
        number = int(text, base)
    except ValueError as error:
        raise EvaluationError(str(error)) from None
    if not MIN_INT64 <= number <= MAX_INT64:
        raise EvaluationError(f"{text} is out of range")
    return number


def _root_span() -> Get:
    return lambda place: place.span.is_root


# name: parameters, and how it is built. A parameter is its name and kind: a key of CONVERSIONS, text or flag for a
# literal, [kind] for a list; ? marks an optional one.
FUNCTIONS: dict[str, tuple[tuple[tuple[str, str], ...], _Build]] = {
    "Bool": ((("Target", "bool_like"),), _each(lambda value: value)),
    "Coalesce": ((("Values", "[any]"),), _coalesce),
    "Concat": ((("Vals", "[string_like]"), ("Delimiter", "string")), _concat),
    "ContainsValue": (
        (("Target", "slice"), ("Item", "any")),
        _each(lambda items, wanted: any(compare(item, wanted, "==") for item in items)),
    ),
    "ConvertCase": ((("Target", "string"), ("ToCase", "text")), _convert_case),
    "Day": ((("Time", "time"),), _calendar(lambda moment: moment.day)),
    "Double": ((("Target", "float_like"),), _each(lambda value: value)),
    "Duration": ((("Duration", "string"),), _each(_duration)),
    "FNV": ((("Target", "string"),), _each(_fnv)),
    "HasPrefix": ((("Target", "string"), ("Prefix", "string")), _each(str.startswith)),
    "HasSuffix": ((("Target", "string"), ("Suffix", "string")), _each(str.endswith)),
    "Hex": ((("Target", "bytes_like"),), _each(lambda value: (value or b"").hex())),
    "Hour": ((("Time", "time"),), _calendar(lambda moment: moment.hour)),
    "Hours": ((("Duration", "duration"),), _float_of(3600 * 10**9)),
    "Index": ((("Target", "any"), ("Value", "any")), _each(_index)),
    "Int": ((("Target", "int_like"),), _each(lambda value: value)),
    "IsBool": ((("Target", "is_bool"),), _is(bool)),
    "IsDouble": ((("Target", "is_float"),), _is(float)),
    "IsEmpty": ((("Target", "any"),), _each(_is_empty)),
    "IsInCIDR": ((("Target", "string"), ("Networks", "[string]")), _is_in_cidr),
    "IsInt": ((("Target", "is_int"),), _is(int)),
    "IsList": ((("Target", "any"),), _is(list, Strings, Items)),
    "IsMap": ((("Target", "is_map"),), _is(dict)),
    "IsMatch": ((("Target", "string_like"), ("Pattern", "string")), _is_match),
    "IsRootSpan": ((), _root_span),
    "IsString": ((("Target", "is_string"),), _is(str)),
    "Keys": ((("Target", "map"),), _each(list)),
    "Len": ((("Target", "any"),), _each(_length)),
    "MD5": ((("Target", "string"),), _digest("md5")),
    "Microseconds": ((("Duration", "duration"),), _each(lambda value: quotient(value.ns, 10**3))),
    "Milliseconds": ((("Duration", "duration"),), _each(lambda value: quotient(value.ns, 10**6))),
    "Minute": ((("Time", "time"),), _calendar(lambda moment: moment.minute)),
    "Minutes": ((("Duration", "duration"),), _float_of(60 * 10**9)),
    "Month": ((("Time", "time"),), _calendar(lambda moment: moment.month)),
    "Nanosecond": ((("Time", "time"),), _each(lambda value: value.ns % 10**9)),
    "Nanoseconds": ((("Duration", "duration"),), _each(lambda value: value.ns)),
    "ParseInt": ((("Target", "string"), ("Base", "int")), _each(_parse_int)),
    "SHA1": ((("Target", "string"),), _digest("sha1")),
    "SHA256": ((("Target", "string"),), _digest("sha256")),
    "SHA512": ((("Target", "string"),), _digest("sha512")),
    "Second": ((("Time", "time"),), _calendar(lambda moment: moment.second)),
    "Seconds": ((("Duration", "duration"),), _float_of(10**9)),
    "SpanID": ((("Target", "bytes_like"),), _id_of(8)),
    "Split": ((("Target", "string"), ("Delimiter", "string")), _each(_split)),
    "String": ((("Target", "string_like"),), _each(lambda value: value)),
    "Substring": ((("Target", "string"), ("Start", "int"), ("Length", "int"), ("Utf8Safe", "flag?")), _substring),
    "ToLowerCase": ((("Target", "string"),), _each(str.lower)),
    "ToUpperCase": ((("Target", "string"),), _each(str.upper)),
    "TraceID": ((("Target", "bytes_like"),), _id_of(16)),
    "Trim": ((("Target", "string"), ("Replacement", "text?")), _trim),
    "TrimPrefix": ((("Target", "string"), ("Prefix", "string")), _each(str.removeprefix)),
    "TrimSuffix": ((("Target", "string"), ("Suffix", "string")), _each(str.removesuffix)),
    "Unix": ((("Seconds", "int"), ("Nanoseconds", "int?")), _each(_unix)),
    "UnixMicro": ((("Time", "time"),), _each(lambda value: value.ns // 10**3)),
    "UnixMilli": ((("Time", "time"),), _each(lambda value: value.ns // 10**6)),
    "UnixNano": ((("Time", "time"),), _each(lambda value: wrap(value.ns))),
    "UnixSeconds": ((("Time", "time"),), _each(lambda value: value.ns // 10**9)),
    "Values": ((("Target", "map"),), _each(lambda value: list(value.values()))),
    "Weekday": ((("Time", "time"),), _calendar(lambda moment: moment.isoweekday() % 7)),
    "Year": ((("Time", "time"),), _calendar(lambda moment: moment.year)),
}

# Those of ottlfuncs/functions.go that are not evaluated here.
KNOWN = frozenset({
    "All", "Any", "Base64Decode", "Base64Encode", "CommunityID", "ConvertAttributesToElementsXML",
    "ConvertTextToElementsXML", "Decode", "ExtractGrokPatterns", "ExtractPatterns", "Filter", "Find", "Format",
    "FormatTime", "GetXML", "InsertXML", "IsValidLuhn", "Log", "MapEach", "MapKeys", "Murmur3Hash",
    "Murmur3Hash128", "Now", "ParseCSV", "ParseJSON", "ParseKeyValue", "ParseSeverity", "ParseSimplifiedXML",
    "ParseXML", "ProfileID", "Reduce", "RemoveXML", "SliceToMap", "Sort", "Time", "ToCamelCase",
    "ToKeyValueString", "ToSnakeCase", "TruncateTime", "URL", "UUID", "UUIDv7", "UserAgent", "When", "XXH128",
    "XXH3",
})  # fmt: skip
