# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Go's regular expressions (RE2 syntax) as Python's.

Both find the leftmost match and prefer alternatives in the same order, so "does it match" is the same question. What is
written alike and means something else is translated; what Go refuses is refused; Unicode classes by name are not
supported. Python backtracks where Go does not: a pattern with nested repetition may be slow on long values.

Source: https://github.com/google/re2/wiki/Syntax and regexp/syntax/parse.go of Go.
"""

from __future__ import annotations

import re


class GoRegexError(ValueError):
    """position: in the pattern, from 0. unsupported: Go accepts it, this translation does not."""

    def __init__(self, position: int, why: str, unsupported: bool = False) -> None:
        super().__init__(why)
        self.position, self.why, self.unsupported = position, why, unsupported


_DIGIT, _WORD, _SPACE = "0-9", "0-9A-Za-z_", r"\t\n\f\r "
_CLASSES = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ", "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ",
    "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_SIMPLE = "afnrtv"
_REPEAT = re.compile(r"\{(0|[1-9]\d*)(?:(,)(0|[1-9]\d*)?)?\}", re.ASCII)
_GROUP = re.compile(r"\(\?(?:P?<([A-Za-z_0-9]+)>|([a-zA-Z]*)(-[a-zA-Z]+)?([:)]))", re.ASCII)
_MOST = 1000
_TURKISH = "\u0130\u0131"


class _Translator:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.out: list[str] = []
        # Per group: the flags in force (i, m, s) and how many groups were opened for flags set inside it.
        self.flags = frozenset[str]()
        self.stack: list[tuple[frozenset[str], str]] = []
        self.opened = ""  # how the group for the flags set in the current group begins, if there is one
        self.repeatable = False

    def fail(self, why: str, unsupported: bool = False, at: int | None = None) -> GoRegexError:
        return GoRegexError(self.at if at is None else at, why, unsupported)

    def translate(self) -> str:
        pattern = self.pattern
        while self.at < len(pattern):
            char = pattern[self.at]
            if char == "\\":
                self._escape()
            elif char == "[":
                self._class()
            elif char == "(":
                self._open()
            elif char == ")":
                self._close()
            elif char == "|":
                self._put(f"){char}{self.opened}" if self.opened else char, False)
            elif char in "*+?":
                self._repeat(char, 1)
            elif char == "{":
                match = _REPEAT.match(pattern, self.at)
                if match is None:
                    self._put(r"\{")
                else:
                    low, comma, high = match.groups()
                    if int(low) > _MOST or (high and (int(high) > _MOST or int(low) > int(high))):
                        raise self.fail(f"invalid repeat count {match[0]}")
                    self._repeat("{" + str(int(low)) + (comma or "") + (high or "") + "}", len(match[0]))
            elif char == "$":
                self._put("$" if "m" in self.flags else r"\Z", True)
            elif char == "^":
                self._put("^", True)
            elif char == ".":
                self._put(".")
            else:
                self._put(self._folded(re.escape(char)))
        if self.stack:
            raise self.fail("missing closing )")
        if self.opened:
            self.out.append(")")
        return "".join(self.out)

    def _put(self, text: str, repeatable: bool = True, width: int = 1) -> None:
        self.out.append(text)
        self.repeatable = repeatable
        self.at += width

    def _folded(self, one: str) -> str:
        """A pattern for one character where case is ignored: Python takes the Turkish letters for an i, and Go
        (unicode.SimpleFold) for nothing but themselves."""
        if "i" in self.flags:
            negated = one.startswith("[^")
            for letter in _TURKISH:
                if (re.fullmatch(one, letter) is not None) != negated:
                    raise self.fail(f"the letter {letter} where case is ignored", True)
                if (re.fullmatch(one, letter, re.IGNORECASE) is not None) != negated:
                    one = f"(?:(?-i:{letter})|{one})" if negated else f"(?:(?!(?-i:{letter})){one})"
        return one

    def _repeat(self, text: str, width: int) -> None:
        if not self.repeatable:
            raise self.fail(f"{text} has nothing to repeat, or repeats a repetition (Go has no possessive ones)")
        if self.pattern[self.at + width : self.at + width + 1] == "?":
            text, width = text + "?", width + 1
        # An assertion may be repeated in Go; a group of its own makes Python accept that.
        if self.out[-1] in ("^", "$", r"\Z", r"\A", r"(?a:\b)", r"(?a:\B)"):
            self.out[-1] = f"(?:{self.out[-1]})"
        self._put(text, False, width)

    def _open(self) -> None:
        pattern = self.pattern
        if pattern.startswith("(?", self.at):
            match = _GROUP.match(pattern, self.at)
            if match is None:
                raise self.fail(
                    "Go has no lookaround, atomic groups, conditions or comments: invalid or unsupported (?…) syntax"
                )
            name, on, off, end = match.groups()
            if name:
                self.stack.append((self.flags, self.opened))
                self.opened = ""
                self._put("(", False, len(match[0]))
                return
            self._flags(on or "", (off or "")[1:], end, len(match[0]))
            return
        self.stack.append((self.flags, self.opened))
        self.opened = ""
        self._put("(", False)

    def _flags(self, on: str, off: str, end: str, width: int) -> None:
        for flag in on + off:
            if flag == "U":
                raise self.fail("the flag U (ungreedy)", True)
            if flag not in "ims":
                raise self.fail(f"Go has no flag {flag}")
        if end == ":":
            self.stack.append((self.flags, self.opened))
        elif self.opened:
            self.out.append(")")
        self.flags = (self.flags | frozenset(on)) - frozenset(off)
        inside = "".join(sorted(self.flags))
        outside = "".join(sorted(set("ims") - self.flags))
        begin = f"(?{inside}-{outside}:" if outside else f"(?{inside}:"
        # Python's scoped flags cannot unset what is not set at the top, so each group states all that are on.
        if end == ":":
            self.opened = ""
            self._put(begin, False, width)
        else:
            self.opened = begin
            self._put(begin, False, width)

    def _close(self) -> None:
        if not self.stack:
            raise self.fail("unexpected )")
        text = "))" if self.opened else ")"
        self.flags, self.opened = self.stack.pop()
        self._put(text)

    def _code(self) -> tuple[int, int]:
        """A character given by \\x, octal or a letter: its code and the width of the escape."""
        pattern, at = self.pattern, self.at
        char = pattern[at + 1]
        if char == "x":
            match = re.compile(r"\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))").match(pattern, at)
            if match is None or int(match[1] or match[2], 16) > 0x10FFFF:
                raise self.fail("invalid escape \\x")
            return int(match[1] or match[2], 16), len(match[0])
        match = re.compile(r"\\(?:0[0-7]{0,2}|[1-7][0-7]{1,2})").match(pattern, at)
        if match is None:
            raise self.fail(f"invalid escape \\{char} (Go has no backreferences)")
        return int(match[0][1:], 8), len(match[0])

    def _literal(self) -> tuple[str, int]:
        """An escaped single character as Python writes it, and the width of the escape."""
        if self.at + 1 >= len(self.pattern):
            raise self.fail("trailing backslash at the end of the pattern")
        char = self.pattern[self.at + 1]
        if char in _SIMPLE:
            return f"\\{char}", 2
        if char == "x" or char.isdigit():
            code, width = self._code()
            return re.escape(chr(code)) if chr(code).isprintable() else f"\\U{code:08x}", width
        if char.isascii() and not char.isalnum():
            return re.escape(char), 2
        raise self.fail(f"invalid escape \\{char}")

    def _escape(self) -> None:
        pattern, at = self.pattern, self.at
        char = pattern[at + 1 : at + 2]
        if char == "Q":
            end = pattern.find("\\E", at + 2)
            text = pattern[at + 2 : end] if end >= 0 else pattern[at + 2 :]
            for one in text:
                self.out.append(self._folded(re.escape(one)))
                self.repeatable = True
            self.at = end + 2 if end >= 0 else len(pattern)
        elif char == "A":
            self._put(r"\A", True, 2)
        elif char == "z":
            self._put(r"\Z", True, 2)
        elif char and char in "bB":
            self._put(rf"(?a:\{char})", True, 2)
        elif char and char.lower() in _CLASSES:
            self._put(self._folded(f"[{'^' if char.isupper() else ''}{_CLASSES[char.lower()]}]"), True, 2)
        elif char and char in "pP":
            raise self.fail("Unicode classes \\p and \\P", True)
        elif char == "C":
            raise self.fail("single bytes \\C")
        else:
            text, width = self._literal()
            self._put(self._folded(text), True, width)

    def _class(self) -> None:
        pattern = self.pattern
        begin = self.at
        self.at += 1
        out = ["["]
        if pattern.startswith("^", self.at):
            out.append("^")
            self.at += 1
        first = True
        while True:
            if self.at >= len(pattern):
                raise self.fail("missing closing ]", at=begin)
            if pattern[self.at] == "]" and not first:
                break
            if pattern.startswith("[:", self.at):
                end = pattern.find(":]", self.at + 2)
                if end >= 0:
                    name = pattern[self.at + 2 : end]
                    if name.startswith("^"):
                        raise self.fail("negated classes such as [:^alpha:]", True)
                    if name not in _POSIX:
                        raise self.fail(f"invalid character class [:{name}:]")
                    out.append(_POSIX[name])
                    self.at = end + 2
                    first = False
                    continue
            escaped = pattern[self.at + 1 : self.at + 2] if pattern[self.at] == "\\" else ""
            if escaped and escaped.lower() in _CLASSES:
                if escaped.isupper():
                    raise self.fail(f"\\{escaped} inside [ ]", True)
                out.append(_CLASSES[escaped])
                self.at += 2
                first = False
                continue
            if escaped and escaped in "pP":
                raise self.fail("Unicode classes \\p and \\P", True)
            low = self._member()
            first = False
            if pattern.startswith("-", self.at) and not pattern.startswith("-]", self.at):
                self.at += 1
                if self.at >= len(pattern):
                    raise self.fail("missing closing ]", at=begin)
                high = self._member()
                if self._ordinal(high) < self._ordinal(low):
                    raise self.fail(f"invalid character class range {low}-{high}")
                out.append(f"{low}-{high}")
            else:
                out.append(low)
        out.append("]")
        self._put(self._folded("".join(out)), True)

    def _member(self) -> str:
        char = self.pattern[self.at]
        if char == "\\":
            text, width = self._literal()
            self.at += width
            return text
        self.at += 1
        return f"\\{char}" if char in "[]^-&|~\\" else char

    @staticmethod
    def _ordinal(member: str) -> int:
        if len(member) == 1:
            return ord(member)
        if member.startswith("\\U"):
            return int(member[2:], 16)
        return ord({"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}.get(member[1], member[1]))


def compile_go(pattern: str) -> re.Pattern[str]:
    """A Python pattern whose search() finds what Go's MatchString does. GoRegexError if Go refuses it, or if it cannot
    be translated."""
    text = _Translator(pattern).translate()
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise GoRegexError(0, str(error)) from None
