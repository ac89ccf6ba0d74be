# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""OTTL conditions that have the same result for every span, and comparisons that are surely not meant so. Pure.

A result follows from the types of OTTL's paths: values of different types are unequal and not ordered (compare.go of
pkg/ottl v0.158.0). Attributes may have any type, so about them there is only a doubt.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.sampling import attributes
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl import goregex
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.conditions import constant_value
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.grammar import Node, Parser
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.paths import CONTEXTS, PATHS
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.values import (
    EvaluationError,
    Id,
    OttlError,
    compare,
)

_INTEGER_PATHS = frozenset({
    "kind", "status.code", "flags", "start_time_unix_nano", "end_time_unix_nano", "time_unix_nano",
    "dropped_attributes_count", "dropped_events_count", "dropped_links_count",
})  # fmt: skip
_ID_PATHS = frozenset({"trace_id", "span_id", "parent_span_id"})
_OTHER_PATHS = frozenset({"start_time", "end_time", "time", "events", "links", "event_index", "trace_state"})
# Paths with few values, and what to write for them.
_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_VALUES: dict[str, tuple[Any, ...]] = {
    "kind": tuple(range(6)),
    "status.code": (0, 1, 2),
    "kind.string": _KINDS,
    "kind.deprecated_string": tuple(f"SPAN_KIND_{name.upper()}" for name in _KINDS),
}
_REMEDIES = {
    "kind": "Write an enum without quotes, such as SPAN_KIND_SERVER.",
    "status.code": "Write an enum without quotes, such as STATUS_CODE_ERROR.",
    "kind.string": f"Write one of {', '.join(_KINDS)}, or compare span.kind with SPAN_KIND_SERVER.",
    "kind.deprecated_string": "Compare span.kind with an enum such as SPAN_KIND_SERVER.",
}
_TYPES = {int: "an integer", str: "a string", bool: "a boolean", float: "a double", bytes: "bytes", Id: "an id",
          type(None): "nil"}  # fmt: skip
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Doubt:
    """what: a clause about a part of a condition. remedy: in whole sentences."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Examined:
    """always: the condition's result if it is the same for every span, None if that depends. doubts: about parts of
    it."""

    always: bool | None
    doubts: tuple[Doubt, ...] = ()


# Each check of a linter asks about every condition.
@functools.lru_cache(maxsize=1024)
def examine(text: str, context: str) -> Examined:
    """A condition in the context span or spanevent. What cannot be parsed is not looked at."""
    examiner = _Examiner(context)
    try:
        always = examiner.condition(Parser(text).parse())
    except OttlError:
        return Examined(None)
    return Examined(always, tuple(dict.fromkeys(examiner.doubts)))


def about_root(text: str) -> bool:
    """Whether a condition looks at the root span alone, or at resources alone."""
    try:
        nodes = list(_nodes(Parser(text).parse()))
    except OttlError:
        return False
    if any(node[0] == "call" and node[1] == "IsRootSpan" for node in nodes):
        return True
    paths = [node for node in nodes if node[0] == "path"]
    names = [field for path in paths for field, _keys in path[1]]
    return "parent_span_id" in names or (bool(paths) and all(path[1][0][0] == "resource" for path in paths))


def _nodes(node: Any) -> Iterator[Node]:
    """All nodes of a tree."""
    if isinstance(node, tuple) and node and isinstance(node[0], str):
        yield node
    if isinstance(node, (tuple, list)):
        for part in node:
            yield from _nodes(part)


def _is_constant(node: Node) -> bool:
    return not any(one[0] == "path" or (one[0] == "call" and one[1] == "IsRootSpan") for one in _nodes(node))


class _Examiner:
    def __init__(self, context: str) -> None:
        self.context = context
        self.doubts: list[Doubt] = []

    def condition(self, node: Node) -> bool | None:
        kind = node[0]
        if kind == "const":
            return bool(node[1])
        if kind == "not":
            inner = self.condition(node[1])
            return None if inner is None else not inner
        if kind in ("and", "or"):
            results = [self.condition(item) for item in node[1]]
            if (kind == "or") in results:
                return kind == "or"
            return None if None in results else kind == "and"
        if kind == "compare":
            return self._compare(node[1], node[2], node[3])
        if kind == "converted":
            return self._call(node[1])
        return None

    def _compare(self, sign: str, left: Node, right: Node) -> bool | None:
        if _is_constant(left) and _is_constant(right):
            try:
                result = compare(self._value(left), self._value(right), sign)
            except EvaluationError:
                return None
            if not result:
                self._doubt("it compares two constants, which are not equal", self._without_quotes(left))
            return result
        if _is_constant(left):
            left, right, sign = right, left, _MIRRORED.get(sign, sign)
        if left[0] != "path" or not _is_constant(right):
            return None
        try:
            value = self._value(right)
        except EvaluationError:
            return None
        context, name, key = self._path(left)
        if key is not None:
            self._attribute(context, key, value)
            return None
        return self._field(context, name, sign, value)

    def _value(self, node: Node) -> Any:
        return constant_value(node, self.context)

    def _path(self, node: Node) -> tuple[str, str, str | None]:
        """Context and name of a path, and the key where it is that of an attribute."""
        fields = node[1]
        context = self.context
        if len(fields) > 1 and fields[0][0] in CONTEXTS[context] and not fields[0][1]:
            context, fields = fields[0][0], fields[1:]
        name, keys = fields[0]
        if name == "attributes" and len(keys) == 1 and keys[0][0] == "literal" and isinstance(keys[0][1], str):
            return context, name, keys[0][1]
        return context, "" if keys else ".".join(field for field, _keys in fields), None

    def _attribute(self, context: str, key: str, value: Any) -> None:
        if context != "span":
            return
        if misplaced := attributes.misplaced(key):
            self._doubt(*misplaced)
            return
        wanted = attributes.value_type(key)
        if wanted is None or value is None or wanted in (type(value), int if isinstance(value, float) else None):
            return
        self._doubt(
            f"{key} is {_TYPES[wanted]}, and {_shown(value)} is {_TYPES.get(type(value), 'another type')}: they are "
            "never equal",
            "Write the number without quotes." if wanted is int else "Write a value of that type.",
        )

    def _field(self, context: str, name: str, sign: str, value: Any) -> bool | None:
        wanted = _type(context, name)
        if wanted is None:
            return None
        kind = type(value)
        what = f"{context}.{name} is {_TYPES[wanted]}"
        if value is None:
            self._doubt(f"{what} and never nil", "Compare it with a value.")
            return sign == "!="
        if wanted is Id:
            if kind in (str, int, float, bool):
                self._doubt(
                    f"{what}, and {_shown(value)} is {_TYPES[kind]}: they are never equal",
                    f"Compare {context}.{name}.string, or write bytes such as 0x0123.",
                )
                return sign == "!="
            return None
        if kind is not wanted and not (wanted is int and kind is float):
            if kind not in _TYPES:
                return None
            self._doubt(
                f"{what}, and {_shown(value)} is {_TYPES[kind]}: they are never equal",
                _REMEDIES.get(name, "Write a value of that type."),
            )
            return sign == "!="
        results = {compare(one, value, sign) for one in _VALUES.get(name, ())}
        if len(results) == 1:
            self._doubt(f"{context}.{name} never has the value {_shown(value)}", _REMEDIES[name])
            return results.pop()
        return None

    def _call(self, node: Node) -> bool | None:
        _call, name, arguments = node[:3]
        if _is_constant(node):
            try:
                result = self._value(node)
            except EvaluationError:
                result = False
            if not isinstance(result, bool):
                return None
            first = arguments[0][1] if arguments else node
            self._doubt(f"{name} looks at a constant, not at a field of the span", self._without_quotes(first))
            return result
        if name != "IsMatch" or len(arguments) != 2:
            return None
        target, pattern = arguments[0][1], arguments[1][1]
        if target[0] != "path" or pattern[0] != "literal" or not isinstance(pattern[1], str):
            return None
        try:
            compiled = goregex.compile_go(pattern[1])
        except goregex.GoRegexError:
            return None
        context, path, key = self._path(target)
        if key is not None:
            if context == "span" and (misplaced := attributes.misplaced(key)):
                self._doubt(*misplaced)
            return None
        if path in _VALUES and context == "span":
            results = {compiled.search(str(one)) is not None for one in _VALUES[path]}
            if results == {False}:
                self._doubt(f"the pattern {_shown(pattern[1])} matches no value of span.{path}", _REMEDIES[path])
                return False
            return None
        wanted = _type(context, path)
        return True if wanted is str and attributes.any_value("", [compiled]) else None

    def _without_quotes(self, node: Node) -> str:
        """For a constant that looks like a path."""
        text = node[1] if node[0] == "literal" else None
        if isinstance(text, str):
            for context in (self.context, *CONTEXTS[self.context]):
                name = text.removeprefix(f"{context}.")
                if name in PATHS.get(context, ()) or name.startswith("attributes["):
                    return f"Write the path without quotes: {context}.{name}."
        return "Write a path, such as span.name, without quotes."

    def _doubt(self, what: str, remedy: str) -> None:
        self.doubts.append(Doubt(what, remedy))


def _type(context: str, name: str) -> type | None:
    if name not in PATHS.get(context, ()) or name in _OTHER_PATHS:
        return None
    return int if name in _INTEGER_PATHS else Id if name in _ID_PATHS else str


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
