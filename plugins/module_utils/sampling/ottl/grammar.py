# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The grammar of OTTL conditions: from text to a tree.

Source: pkg/ottl/grammar.go v0.158.0 of opentelemetry-collector-contrib. A node is a tuple that begins with its kind:
or, and (items); not (node); compare (sign, left, right); const (bool); converted (call); nil; literal (value); enum
(name, position); path (fields with their keys, position); call (name, arguments, keys, position); math (sign, left,
right); negate (node); list (items); map (pairs); function (name, position).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.values import MAX_INT64, OttlError

Node = tuple[Any, ...]

_TOKENS = [
    (name, re.compile(pattern, re.ASCII))
    for name, pattern in (
        ("Bytes", r"0x[a-fA-F0-9]+"),
        ("Float", r"(\d+\.\d*|\d*\.\d+)([eE][-+]?\d+)?"),
        ("Int", r"\d+"),
        ("String", r'"(\\.|[^\\"])*"'),
        ("Nil", r"\b(nil)\b"),
        ("OpNot", r"\b(not)\b"),
        ("OpOr", r"\b(or)\b"),
        ("OpAnd", r"\b(and)\b"),
        ("OpComparison", r"==|!=|>=|<=|>|<"),
        ("LambdaArrow", r"=>"),
        ("OpAddSub", r"\+|\-"),
        ("OpMultDiv", r"\/|\*"),
        ("Boolean", r"\b(true|false)\b"),
        ("Equal", r"="),
        ("Punctuation", r"[(){}:,.\[\]]"),
        ("Uppercase", r"[A-Z][A-Z0-9_]*"),
        ("Lowercase", r"[a-z][a-z0-9_]*"),
        ("whitespace", r"\s+"),
        ("Underscore", r"\b(_)\b"),
    )
]
_Token = tuple[str, str, int]


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(text):
        rest = text[at:]  # the lexer sees a word boundary where a token begins
        for kind, pattern in _TOKENS:
            match = pattern.match(rest)
            if match is not None and match[0]:
                if kind != "whitespace":
                    found.append((kind, match[0], at))
                at += len(match[0])
                break
        else:
            raise OttlError(at, f"invalid input text {rest[:16]!r}")
    return found


_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))", re.ASCII
)


def _unquote(text: str, position: int) -> str:
    """strconv.Unquote of a string in double quotes."""
    inner = text[1:-1]
    if "\n" in inner:
        raise OttlError(position, "a line break inside a string; write \\n")
    if "\\" not in inner:
        return inner
    out = bytearray()
    at = 0
    while at < len(inner):
        if inner[at] != "\\":
            out += inner[at].encode("utf-8", "surrogateescape")
            at += 1
            continue
        match = _ESCAPE.match(inner, at)
        if match is None:
            raise OttlError(position + 1 + at, f"invalid escape {inner[at : at + 2]} in a string (\\\\ is a backslash)")
        simple, hexadecimal, octal, short, long = match.groups()
        code = int(hexadecimal or short or long or "0", 16) if not octal else int(octal, 8)
        if simple:
            out += _ESCAPES[simple].encode()
        elif (hexadecimal or octal) and code < 256:
            out.append(code)
        elif (short or long) and code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            out += chr(code).encode()
        else:
            raise OttlError(position + 1 + at, f"invalid escape {match[0]} in a string")
        at += len(match[0])
    return out.decode("utf-8", "surrogateescape")


class Parser:
    """Recursive descent over ordered alternatives; a failed alternative gives its tokens back."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.at = 0
        self.furthest = 0

    def parse(self) -> Node:
        found = self._or()
        if found is None or self.at < len(self.tokens):
            index = max(self.furthest, self.at)
            if index < len(self.tokens):
                _kind, text, position = self.tokens[index]
                raise OttlError(position, f"invalid syntax: unexpected {text!r}")
            raise OttlError(len(self.text), "invalid syntax: the condition ends too early")
        return found

    def _peek(self, kind: str, text: str = "", ahead: int = 0) -> bool:
        index = self.at + ahead
        self.furthest = max(self.furthest, index)
        if index >= len(self.tokens):
            return False
        token = self.tokens[index]
        return token[0] == kind and (not text or token[1] == text)

    def _take(self, kind: str, text: str = "") -> str | None:
        if not self._peek(kind, text):
            return None
        self.at += 1
        return self.tokens[self.at - 1][1]

    def _position(self) -> int:
        return self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.text)

    def _try(self, rule: Callable[[], Node | None]) -> Node | None:
        at = self.at
        found = rule()
        if found is None:
            self.at = at
        return found

    def _chain(self, rule: Callable[[], Node | None], kind: str, name: str) -> Node | None:
        first = rule()
        if first is None:
            return None
        items = [first]
        while self._peek(kind):
            at = self.at
            self.at += 1
            following = rule()
            if following is None:
                self.at = at
                break
            items.append(following)
        return (name, items) if len(items) > 1 else first

    def _or(self) -> Node | None:
        return self._chain(self._and, "OpOr", "or")

    def _and(self) -> Node | None:
        return self._chain(self._boolean_value, "OpAnd", "and")

    def _boolean_value(self) -> Node | None:
        at = self.at
        negated = self._take("OpNot") is not None
        found = self._try(self._comparison) or self._try(self._const) or self._try(self._sub_expression)
        if found is None:
            self.at = at
            return None
        return ("not", found) if negated else found

    def _sub_expression(self) -> Node | None:
        if self._take("Punctuation", "(") is None:
            return None
        found = self._or()
        return found if found is not None and self._take("Punctuation", ")") is not None else None

    def _const(self) -> Node | None:
        boolean = self._take("Boolean")
        if boolean is not None:
            return ("const", boolean == "true")
        found = self._try(self._converter)
        return ("converted", found) if found is not None else None

    def _comparison(self) -> Node | None:
        left = self._value()
        if left is None:
            return None
        sign = self._take("OpComparison")
        if sign is None:
            return None
        right = self._value()
        return ("compare", sign, left, right) if right is not None else None

    def _value(self) -> Node | None:
        if self._take("Nil") is not None:
            return ("nil",)
        for rule in (self._plain_literal, self._lambda, self._math):
            found = self._try(rule)
            if found is not None:
                return found
        position = self._position()
        text = self._take("Bytes")
        if text is not None:
            if len(text) % 2:
                raise OttlError(position, f"{text} has an odd number of digits")
            return ("literal", bytes.fromhex(text[2:]))
        text = self._take("String")
        if text is not None:
            return ("literal", _unquote(text, position))
        text = self._take("Boolean")
        if text is not None:
            return ("literal", text == "true")
        if self._peek("Uppercase") and not self._peek("Lowercase", ahead=1):
            return ("enum", self._take("Uppercase"), position)
        return self._try(self._map) or self._try(self._list)

    def _plain_literal(self) -> Node | None:
        found = self._literal()
        return None if found is None or self._peek("OpAddSub") or self._peek("OpMultDiv") else found

    def _literal(self) -> Node | None:
        """mathExprLiteral"""
        found = self._try(self._editor) or self._try(self._converter)
        if found is not None:
            return found
        position = self._position()
        text = self._take("Float")
        if text is not None:
            number = float(text)
            if math.isinf(number):
                raise OttlError(position, f"{text} is out of range")
            return ("literal", number)
        text = self._take("Int")
        if text is not None:
            if int(text) > MAX_INT64:
                raise OttlError(position, f"{text} is out of range of 64 bits")
            return ("literal", int(text))
        return self._try(self._path)

    def _name(self, first: str) -> str | None:
        name = self._take(first)
        if name is None:
            return None
        while self._peek("Uppercase") or self._peek("Lowercase"):
            name += self.tokens[self.at][1]
            self.at += 1
        return name

    def _editor(self) -> Node | None:
        return self._call("Lowercase")

    def _converter(self) -> Node | None:
        return self._call("Uppercase")

    def _call(self, first: str) -> Node | None:
        position = self._position()
        name = self._name(first)
        if name is None or self._take("Punctuation", "(") is None:
            return None
        if first == "Lowercase":
            raise OttlError(position, f"converter names must start with an uppercase letter but got '{name}'")
        arguments: list[Node] = []
        if not self._peek("Punctuation", ")"):
            while True:
                argument = self._argument()
                if argument is None:
                    return None
                arguments.append(argument)
                if self._take("Punctuation", ",") is None:
                    break
        if self._take("Punctuation", ")") is None:
            return None
        return ("call", name, arguments, self._keys(), position)

    def _argument(self) -> Node | None:
        at, position = self.at, self._position()
        name = self._name("Lowercase")
        if name is None or self._take("Equal") is None:
            self.at, name = at, ""
        found = self._try(self._value)
        if found is None:
            function = self._name("Uppercase")
            if function is None:
                return None
            found = ("function", function, position)
        return (name, found, position)

    def _keys(self) -> list[Node]:
        keys: list[Node] = []
        while self._peek("Punctuation", "["):
            at = self.at
            self.at += 1
            key: Node | None = None
            position = self._position()
            text = self._take("String")
            if text is not None:
                key = ("literal", _unquote(text, position))
            elif (text := self._take("Int")) is not None:
                key = ("literal", int(text))
            else:
                key = self._try(self._math)
            if key is None or self._take("Punctuation", "]") is None:
                self.at = at
                break
            keys.append(key)
        return keys

    def _path(self) -> Node | None:
        position = self._position()
        fields: list[tuple[str, list[Node]]] = []
        name = self._take("Lowercase")
        if name is None:
            return None
        fields.append((name, self._keys()))
        while self._peek("Punctuation", ".") and self._peek("Lowercase", ahead=1):
            self.at += 1
            following = self._take("Lowercase") or ""
            fields.append((following, self._keys()))
        return ("path", fields, position)

    def _lambda(self) -> Node | None:
        position = self._position()
        if self._take("Punctuation", "(") is None:
            return None
        while self._take("Lowercase") is not None or self._take("Underscore") is not None:
            if self._take("Punctuation", ",") is None:
                break
        if self._take("Punctuation", ")") is None or self._take("LambdaArrow") is None:
            return None
        raise OttlError(position, "lambda expressions need a feature gate that is off (ottl.functions.enableLambda)")

    def _math(self) -> Node | None:
        return self._operations(self._product, "OpAddSub")

    def _product(self) -> Node | None:
        return self._operations(self._math_value, "OpMultDiv")

    def _operations(self, rule: Callable[[], Node | None], kind: str) -> Node | None:
        found = rule()
        while found is not None and self._peek(kind):
            at = self.at
            sign = self._take(kind)
            right = rule()
            if right is None:
                self.at = at
                break
            found = ("math", sign, found, right)
        return found

    def _math_value(self) -> Node | None:
        sign = self._take("OpAddSub")
        found = self._try(self._literal)
        if found is None:
            if self._take("Punctuation", "(") is None:
                return None
            found = self._math()
            if found is None or self._take("Punctuation", ")") is None:
                return None
        if sign != "-":
            return found
        if found[0] == "literal":
            return ("literal", -found[1])
        return ("negate", found)

    def _map(self) -> Node | None:
        if self._take("Punctuation", "{") is None:
            return None
        items: list[tuple[str, Node]] = []
        while self._peek("String"):
            position = self._position()
            key = _unquote(self._take("String") or "", position)
            if self._take("Punctuation", ":") is None:
                return None
            found = self._value()
            if found is None:
                return None
            items.append((key, found))
            self._take("Punctuation", ",")
        return ("map", items) if self._take("Punctuation", "}") is not None else None

    def _list(self) -> Node | None:
        if self._take("Punctuation", "[") is None:
            return None
        items: list[Node] = []
        while not self._peek("Punctuation", "]"):
            found = self._try(self._value)
            if found is None:
                return None
            items.append(found)
            if self._take("Punctuation", ",") is None and not self._peek("Punctuation", "]"):
                continue
        self.at += 1
        return ("list", items)
