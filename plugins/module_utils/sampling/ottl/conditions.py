# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""OTTL conditions on spans and span events: checked and compiled to functions.

Rules: pkg/ottl v0.158.0 of opentelemetry-collector-contrib, parser.go, functions.go and boolean_value.go. A condition
that the collector refuses raises OttlError; one that it accepts and that cannot be evaluated here does so with
unsupported=True.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.otlp.tracestate import parse_trace_state
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl import goregex
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.functions import (
    FUNCTIONS,
    KNOWN,
    Getter,
    Invalid,
    UnsupportedOttl,
    constant,
)
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.grammar import Node, Parser
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.paths import (
    CONTEXTS,
    ENUMS,
    HOLDERS,
    PATHS,
    Get,
    SpanPlace,
)
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.values import (
    CONVERSIONS,
    EvaluationError,
    OttlError,
    Strings,
    arithmetic,
    compare,
    is_int,
    kind_name,
    wrap,
)

Condition = Callable[[SpanPlace], bool]

__all__ = ["Condition", "EvaluationError", "OttlError", "SpanPlace", "constant_value", "go_regex", "parse"]


def go_regex(text: str, position: int = 0) -> re.Pattern[str]:
    """A Go pattern as a Python one. OttlError."""
    try:
        return goregex.compile_go(text)
    except goregex.GoRegexError as error:
        raise OttlError(position, error.why, error.unsupported) from None


def _one_of(nodes: Sequence[Node]) -> frozenset[str] | None:
    """The strings to which these conditions compare the same path for equality; None where they are others."""
    if not all(
        node[0] == "compare" and node[1] == "==" and node[2][0] == "path" and node[3][0] == "literal" for node in nodes
    ):
        return None
    fields, texts = nodes[0][2][1], [node[3][1] for node in nodes]
    if any(node[2][1] != fields for node in nodes) or not all(isinstance(text, str) for text in texts):
        return None
    return frozenset(texts)


class _Compiler:
    """parser.go, functions.go and boolean_value.go: from the tree to functions."""

    def __init__(self, context: str) -> None:
        self.context = context

    # booleans: a constant is folded, so that what stands beside it is not evaluated

    def boolean(self, node: Node) -> Condition | bool:
        kind = node[0]
        if kind == "const":
            return bool(node[1])
        if kind == "compare":
            return self._compare(node)
        if kind == "converted":
            return self._converted(node[1])
        if kind == "not":
            inner = self.boolean(node[1])
            if isinstance(inner, bool):
                return not inner
            return lambda place: not inner(place)
        decisive = kind == "or"
        if decisive and (wanted := _one_of(node[1])) is not None:
            one_of = self.value(node[1][0][2]).get
            return lambda place: isinstance((found := one_of(place)), str) and found in wanted
        items = [self.boolean(item) for item in node[1]]
        if decisive in [item for item in items if isinstance(item, bool)]:
            return decisive
        left = [item for item in items if not isinstance(item, bool)]
        if not left:
            return not decisive
        if len(left) == 1:
            return left[0]
        if len(left) == 2:
            first, second = left
            if decisive:
                return lambda place: first(place) or second(place)
            return lambda place: first(place) and second(place)

        def chain(place: SpanPlace) -> bool:
            for item in left:
                if item(place) is decisive:
                    return decisive
            return not decisive

        return chain

    def _compare(self, node: Node) -> Condition | bool:
        sign, left_node, right_node = node[1:]
        left, right = self.value(left_node), self.value(right_node)
        if left.literal and right.literal:
            return compare(left.value, right.value, sign)
        one, two = left.get, right.get
        if right.literal and isinstance(right.value, str) and sign in ("==", "!="):
            wanted = right.value
            if sign == "==":
                return lambda place: bool(one(place) == wanted)
            return lambda place: bool(one(place) != wanted)
        if right.literal:
            fixed = right.value
            return lambda place: compare(one(place), fixed, sign)
        return lambda place: compare(one(place), two(place), sign)

    def _converted(self, node: Node) -> Condition:
        get = self.value(node).get
        if node[1] == "IsRootSpan" and not node[3]:
            return get

        def converted(place: SpanPlace) -> bool:
            found = get(place)
            if not isinstance(found, bool):
                raise EvaluationError(
                    f"value returned from Converter in constant expression must be bool but got {kind_name(found)}"
                )
            return found

        return converted

    # values

    def value(self, node: Node) -> Getter:
        kind = node[0]
        if kind == "nil":
            return constant(None)
        if kind == "literal":
            return constant(node[1])
        if kind == "enum":
            if node[1] not in ENUMS:
                raise OttlError(node[2], f"enum symbol, {node[1]}, not found; there are {', '.join(ENUMS)}")
            return constant(ENUMS[node[1]])
        if kind == "path":
            return Getter(self._path(node))
        if kind == "call":
            return Getter(self._call(node))
        if kind == "math":
            _name, sign, left, right = node
            one, two = self.value(left).get, self.value(right).get
            return Getter(lambda place: arithmetic(one(place), two(place), sign))
        if kind == "negate":
            inner = self.value(node[1]).get
            return Getter(lambda place: self._negated(inner(place)))
        if kind == "list":
            items = [self.value(item) for item in node[1]]
            if all(item.literal for item in items):
                return constant([item.value for item in items])
            return Getter(lambda place: [item.get(place) for item in items])
        if kind == "map":
            pairs = {key: self.value(item) for key, item in node[1]}
            if all(item.literal for item in pairs.values()):
                return constant({key: item.value for key, item in pairs.items()})
            return Getter(lambda place: {key: item.get(place) for key, item in pairs.items()})
        raise OttlError(node[-1], "a function's name is not a value")

    @staticmethod
    def _negated(value: Any) -> Any:
        if is_int(value):
            return wrap(-value)
        if isinstance(value, float):
            return -value
        raise EvaluationError(f"unsupported unary minus operation on type {kind_name(value)}")

    def _keys(self, nodes: Sequence[Node]) -> list[Getter]:
        return [self.value(node) for node in nodes]

    def _path(self, node: Node) -> Get:
        _name, fields, position = node
        contexts = CONTEXTS[self.context]
        text = ".".join(name for name, _keys in fields)
        context = self.context
        if len(fields) > 1 and fields[0][0] in contexts and not fields[0][1]:
            context, fields = fields[0][0], fields[1:]
        if context == "otelcol":
            raise OttlError(position, f"the path {text}: what a client sent along is not in the recording", True)
        context = "scope" if context == "instrumentation_scope" else context
        (first, keys), rest = fields[0], fields[1:]
        if first == "cache" and context == self.context and not rest:
            return self._indexed(lambda place: {}, keys)
        if first == "attributes":
            if rest:
                raise OttlError(position, f'the path {text} goes on after attributes; index it: attributes["…"]')
            return self._attributes(HOLDERS[context], keys)
        if first == "trace_state" and context == "span" and keys and not rest:
            return self._trace_state(keys, position)
        if first == "status" and context == "span" and not rest:
            raise OttlError(position, "a status as a whole; compare status.code or status.message", True)
        for name, its_keys in fields:
            if its_keys:
                raise OttlError(position, f"the path section {name!r} does not support indexing")
        name = ".".join(name for name, _keys in fields)
        getter = PATHS[context].get(name)
        if getter is None:
            raise OttlError(position, f"the path {text} is not valid for the context {context}")
        return getter

    def _attributes(self, holder: Get, nodes: Sequence[Node]) -> Get:
        if len(nodes) == 1 and nodes[0][0] == "literal" and isinstance(nodes[0][1], str):
            key = nodes[0][1]
            return lambda place: holder(place).get(key)
        return self._indexed(lambda place: holder(place).values(), nodes)

    def _indexed(self, container: Callable[[SpanPlace], dict[str, Any]], nodes: Sequence[Node]) -> Get:
        """ctxutil.GetMapValue: an absent key is nil; a key below something that has none is an error."""
        keys = self._keys(nodes)
        if not keys:
            return container

        def get(place: SpanPlace) -> Any:
            found: Any = container(place)
            for number, one in enumerate(keys):
                wanted = one.get(place)
                if isinstance(found, dict):
                    if not isinstance(wanted, str):
                        raise EvaluationError("unable to resolve a string index in map")
                    if wanted not in found:
                        return None
                    found = found[wanted]
                elif isinstance(found, list) and number:
                    if not is_int(wanted):
                        raise EvaluationError("unable to resolve an integer index in slice")
                    if not 0 <= wanted < len(found):
                        raise EvaluationError(f"index {wanted} out of bounds")
                    found = found[wanted]
                else:
                    raise EvaluationError(f"type {kind_name(found)} does not support string indexing")
            return found

        return get

    def _trace_state(self, nodes: Sequence[Node], position: int) -> Get:
        keys = self._keys(nodes)
        if len(keys) != 1:
            raise OttlError(position, "must provide exactly 1 key when accessing trace_state")
        key = keys[0]

        def get(place: SpanPlace) -> Any:
            members = parse_trace_state(place.span.trace_state)
            if members is None:
                return None
            if not key.literal or not isinstance(key.value, str):
                raise EvaluationError("trace_state indexing type must be a string")
            return members.get(key.value, "")

        return get

    def _call(self, node: Node) -> Get:
        _name, name, arguments, key_nodes, position = node
        if name == "IsRootSpan" and self.context != "span":
            raise OttlError(position, f"undefined function {name!r} for span events")
        if name not in FUNCTIONS:
            if name in KNOWN:
                raise OttlError(position, f"the function {name}", True)
            raise OttlError(position, f"undefined function {name!r}")
        parameters, build = FUNCTIONS[name]
        if name == "IsRootSpan":
            arguments = []
        required = sum(not kind.endswith("?") for _parameter, kind in parameters)
        if not required <= len(arguments) <= len(parameters):
            raise OttlError(
                position,
                f"{name}: incorrect number of arguments. Expected: {len(parameters)} Received: {len(arguments)}",
            )
        values: list[Any] = [None] * len(parameters)
        named = False
        for number, (argument, value, where) in enumerate(arguments):
            index = number
            if argument:
                named = True
                camel = "".join(part[:1].upper() + part[1:] for part in argument.split("_"))
                index = next((at for at, (known, _kind_) in enumerate(parameters) if known == camel), -1)
                if index < 0:
                    raise OttlError(where, f"{name}: no such parameter: {argument}")
            elif named:
                raise OttlError(where, f"{name}: unnamed argument used after named argument")
            values[index] = self._argument(name, parameters[index][1].rstrip("?"), value, where)
        for value, (parameter, kind) in zip(values, parameters, strict=True):
            if value is None and not kind.endswith("?"):
                raise OttlError(position, f"{name}: the argument {parameter} is missing", True)
        try:
            result = build(*values)
        except Invalid as error:
            raise OttlError(position, f"{name}: {error}") from None
        except UnsupportedOttl as error:
            raise OttlError(position, f"{name}: {error}", True) from None
        keys = self._keys(key_nodes)
        return self._index_result(result, keys) if keys else result

    @staticmethod
    def _index_result(get: Get, keys: Sequence[Getter]) -> Get:
        """getIndexedValue of expression.go"""

        def indexed(place: SpanPlace) -> Any:
            found = get(place)
            for one in keys:
                wanted = one.get(place)
                if isinstance(wanted, str) and isinstance(found, dict):
                    if wanted not in found:
                        raise EvaluationError("key not found in map")
                    found = found[wanted]
                elif is_int(wanted) and type(found) in (list, Strings, bytes):
                    if not 0 <= wanted < len(found):
                        raise EvaluationError(f"index {wanted} out of bounds")
                    found = found[wanted]
                else:
                    raise EvaluationError(f"type {kind_name(found)} does not support {kind_name(wanted)} indexing")
            return found

        return indexed

    def _argument(self, function: str, kind: str, node: Node, position: int) -> Any:
        """buildArg of functions.go; a literal of the wrong type is found at once."""
        if kind in ("text", "flag"):
            wanted = str if kind == "text" else bool
            if node[0] != "literal" or not isinstance(node[1], wanted):
                raise OttlError(
                    position, f"{function}: the argument must be a {'string' if kind == 'text' else 'bool'}"
                )
            return node[1]
        if kind.startswith("["):
            if node[0] != "list":
                raise OttlError(position, f"{function}: the argument must be a list")
            return [self._argument(function, kind[1:-1], item, position) for item in node[1]]
        checks_only = kind.startswith("is_")
        convert = CONVERSIONS[kind.removeprefix("is_")]
        getter = self.value(node)
        if getter.literal:
            try:
                return constant(convert(getter.value))
            except EvaluationError as error:
                raise OttlError(position, f"{function}: invalid argument: {error}") from None
        if checks_only or kind == "any":
            return getter
        get = getter.get
        return Getter(lambda place: convert(get(place)))


def constant_value(node: Node, context: str) -> Any:
    """The value of a tree without paths. OttlError, and EvaluationError where the collector's evaluation fails."""
    return _Compiler(context).value(node).get(SpanPlace())


def parse(text: str, context: str) -> Condition:
    """A condition in the context span or spanevent, as a function of a place. OttlError says what is wrong where.

    The function raises EvaluationError where the collector's evaluation fails.
    """
    if context not in CONTEXTS:
        raise ValueError(f"no context {context!r}")
    compiled = _Compiler(context).boolean(Parser(text).parse())
    if isinstance(compiled, bool):
        fixed = compiled
        return lambda place: fixed
    return compiled
