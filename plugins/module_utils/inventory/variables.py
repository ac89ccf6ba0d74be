# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Inventory variables with their types. Pure: no I/O, no Ansible.

A function takes a value and raises WrongValue for one that is not of its kind. The caller decides what happens then: a
Reader keeps a finding, usable returns another value instead.

Extra variables on the command line are text, so text that reads as a number or boolean is taken as one, and space
around it does not count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from ansible.module_utils.parsing import convert_bool
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import (
    DURATION_REMEDY,
    MEBIBYTE,
    QUANTITY_REMEDY,
    duration_seconds,
    memory_bytes,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    Finding,
    Place,
    error,
    errors,
    warning,
)

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")

_ITEMS: dict[type, str] = {object: "", str: " of strings", dict: " of mappings"}
_CPU = re.compile(r"\d+(\.\d+)?m?")
# What other tools call a day or a week, in days. Go's durations have neither.
_DAYS = {"d": 1, "day": 1, "days": 1, "w": 7, "week": 7, "weeks": 7}


class WrongValue(ValueError):
    """what: a clause that continues the variable's name ("is 'x', not a boolean"). remedy: a sentence."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = what, remedy
        super().__init__(f"{what}. {remedy}")


def text(value: Any, empty: bool = False) -> str:
    """A scalar as text, without space around it. empty: whether "" will do."""
    if value is not None and not isinstance(value, (dict, list)):
        value = str(value).strip()
        if value or empty:
            return str(value)
    raise WrongValue("is empty" if value == "" else f"is {value!r}, not a string", "Give a string.")


def number(value: Any, minimum: float = -math.inf, maximum: float = math.inf) -> float:
    """A finite number within the bounds, both of which belong to it. A boolean is none."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if math.isfinite(found) and minimum <= found <= maximum:
        return found
    limits = f" of at least {minimum:g}" if minimum > -math.inf else ""
    remedy = f"Give a number{limits if maximum == math.inf else f' from {minimum:g} to {maximum:g}'}."
    if not math.isfinite(found):
        raise WrongValue(f"is {value!r}, not a number", remedy)
    limit = f"less than {minimum:g}" if found < minimum else f"more than {maximum:g}"
    raise WrongValue(f"is {found:g}, {limit}", remedy)


def integer(value: Any, minimum: float = -math.inf) -> int:
    """A whole number of at least minimum; 2.0 and "2" are such."""
    found = number(value, minimum)
    if not found.is_integer():
        raise WrongValue(f"is {found}, not a whole number", "Give a whole number.")
    return int(found)


def boolean(value: Any) -> bool:
    """By Ansible's own spellings, in any case."""
    try:
        return bool(convert_bool.boolean(value))
    except TypeError:
        raise WrongValue(f"is {value!r}, not a boolean", "Give true or false.") from None


def listing(value: Any, kind: type = object) -> list[Any]:
    """A new list. kind: of every item, str, dict or (any) object."""
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        remedy = "Write it as [{…}, {…}]." if kind is dict else "Write it as [a, b]."
        raise WrongValue(f"is {value!r}, not a list{_ITEMS[kind]}", remedy)
    return [item if kind is object else kind(item) for item in value]


def mapping(value: Any) -> dict[str, Any]:
    """A new dict of the mapping's items."""
    if not isinstance(value, Mapping):
        raise WrongValue(f"is {value!r}, not a mapping", "Write it as {key: value}.")
    return dict(value)


def duration(value: Any, positive: bool = False) -> float:
    """Seconds of a Go duration. positive: whether 0 is refused."""
    written = str(value).strip()
    try:
        found = duration_seconds(written)
    except ValueError:
        raise WrongValue(f"is '{written}', not a Go duration", _duration_instead(written)) from None
    if positive and not found:
        raise WrongValue(f"is '{written}', not longer than zero", DURATION_REMEDY)
    return found


def _duration_instead(written: str) -> str:
    match = re.fullmatch(r"(\d+)\s*([a-z]+)", written.lower())
    if match and match[2] in _DAYS:
        return f"Write {int(match[1]) * _DAYS[match[2]] * 24}h."
    return DURATION_REMEDY


def size(value: Any, minimum: int = 0) -> int:
    """Bytes of a Kubernetes quantity. minimum: in bytes, shown in MiB."""
    written = str(value).strip()
    try:
        found = memory_bytes(written)
    except ValueError:
        raise WrongValue(f"is '{written}', not a Kubernetes quantity of bytes", QUANTITY_REMEDY) from None
    if found < minimum:
        raise WrongValue(f"is {written}, less than {minimum // MEBIBYTE}Mi", f"Give {minimum // MEBIBYTE}Mi or more.")
    return found


def container_memory(resources: Any, kind: str) -> int:
    """Bytes of a container's memory. resources: as Kubernetes has them. kind: requests or limits.

    The ValueError is that of the quantity alone, '' where there is none: the caller names the place.
    """
    section = resources.get(kind) if isinstance(resources, Mapping) else None
    return memory_bytes(section.get("memory", "") if isinstance(section, Mapping) else "")


def usable(otherwise: U, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | U:
    """What read returns for the arguments, or otherwise if it raises ValueError: another check reports the value."""
    try:
        return read(*args, **kwargs)
    except ValueError:
        return otherwise


class Reader:
    """Reads variables by name and keeps every finding, so that one run reports all of them (findings.refuse).

    Methods are named after the functions, whose options they take. default: the value of a variable that is not there;
    without one the variable is required. Nothing raises: for what is wrong, or missing, a finding is kept and the
    result is the default or, without one, the smallest value of its kind, so that reading can go on.
    """

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables, self.findings = variables, list[Finding]()

    def sound(self, *names: str) -> bool:
        """Whether these variables are there and have no error so far, so that they can be compared."""
        wrong = {finding.variable for finding in errors(self.findings)}
        return all(name in self._variables and name not in wrong for name in names)

    def wrong(self, place: Place | str, what: str, remedy: str = "", why: str = "", code: str = "") -> None:
        """Keep an error. place: a variable's name, or a place inside its value."""
        self.findings.append(error(place, what, remedy, why, code))

    def doubtful(self, place: Place | str, what: str, remedy: str = "", why: str = "", code: str = "") -> None:
        """Keep a warning."""
        self.findings.append(warning(place, what, remedy, why, code))

    def _read(self, name: str, default: T | None, smallest: T, read: Callable[[Any], T]) -> T:
        instead = smallest if default is None else default
        if name not in self._variables:
            if default is None:
                self.wrong(name, "is not defined")
            return instead
        try:
            return read(self._variables[name])
        except WrongValue as problem:
            self.wrong(name, problem.what, problem.remedy)
            return instead

    def text(self, name: str, default: str | None = None, empty: bool = False) -> str:
        return self._read(name, default, "", lambda value: text(value, empty))

    def number(self, name: str, default: float | None = None, minimum: float = 0.0, maximum: float = math.inf) -> float:
        return float(self._read(name, default, minimum, lambda value: number(value, minimum, maximum)))

    def integer(self, name: str, default: int | None = None, minimum: int = 0) -> int:
        return self._read(name, default, minimum, lambda value: integer(value, minimum))

    def boolean(self, name: str, default: bool | None = None) -> bool:
        return self._read(name, default, False, boolean)

    def listing(self, name: str, kind: type = object, default: list[Any] | None = None) -> list[Any]:
        return self._read(name, default, [], lambda value: listing(value, kind))

    def mapping(self, name: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._read(name, default, {}, mapping)

    def duration(self, name: str, default: float | None = None, positive: bool = False) -> float:
        """In seconds, the default too."""
        return float(self._read(name, default, 0.0, lambda value: duration(value, positive)))

    def size(self, name: str, default: int | None = None, minimum: int = 0) -> int:
        """In bytes, the default too."""
        return self._read(name, default, minimum, lambda value: size(value, minimum))

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """One of the choices; the first instead of anything else."""
        found = self.text(name)
        if found not in choices and self.sound(name):
            self.wrong(name, f"is '{found}', not one of the choices", f"Choose {' or '.join(choices)}.")
        return found if found in choices else choices[0]

    def strings(self, name: str) -> dict[str, str]:
        """A mapping of strings, such as Kubernetes labels and annotations. A number or boolean becomes a string."""
        found = {}
        for key, value in self.mapping(name).items():
            if value is None or isinstance(value, (dict, list)):
                self.wrong(Place(name).key(key), f"is {value!r}, not a string", "Give a string.")
            else:
                found[str(key)] = scalar(value)
        return found

    def resources(self, name: str) -> dict[str, Any]:
        """Requests and limits of a container, with every quantity checked, and each request within its limit."""
        place, found = Place(name), self.mapping(name)
        for kind in ("requests", "limits"):
            section = found.get(kind)
            if section is not None and not isinstance(section, Mapping):
                self.wrong(place.key(kind), f"is {section!r}, not a mapping", "Write it as {cpu: 500m, memory: 1Gi}.")
                continue
            for what, value in (section or {}).items():
                self._resource(place.key(kind).key(what), what, value)
        request = usable(None, container_memory, found, "requests")
        limit = usable(None, container_memory, found, "limits")
        if request is not None and limit is not None and request > limit:
            self.wrong(
                place.key("requests").key("memory"),
                "is larger than limits.memory",
                "Raise the limit or lower the request.",
            )
        return found

    def _resource(self, place: Place, what: str, value: Any) -> None:
        if what == "cpu":
            if not _CPU.fullmatch(str(value)):
                self.wrong(place, f"is '{value}', not a Kubernetes quantity of CPU", "Write it as 500m or 2.")
            return
        try:
            if not size(value):
                self.wrong(place, f"is '{value}', not larger than zero", QUANTITY_REMEDY)
        except WrongValue as problem:
            self.wrong(place, problem.what, problem.remedy)


def scalar(value: Any) -> str:
    """A number, boolean or string as the string that YAML would need in quotes: true, not True."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
