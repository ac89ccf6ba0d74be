# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Removing secrets from text for strangers: those that are known, in every form, and what looks like one. Pure.

Errs on the safe side: a value that is none may go, too.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.secrets import SECRET_NAME, SHORTEST_SECRET
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import REFERENCE, Mask, forms

REMOVED = "<removed>"
OF_SECRETS, OF_VARIABLES, NAMED = "values of Secrets", "secret variables", "values whose names announce a secret"
# Of annotations and fields: a copy of the whole object, and who set which field.
NOISE = ("kubectl.kubernetes.io/last-applied-configuration", "managedFields")

# Each begins where a run of characters does, and is of limited length, so that long text takes time in proportion.
_NAME = (
    r"(?<![\w.-])[\w.-]{0,128}?(?:pass(?:word|phrase|wd)|secret|token|credential|api[_-]?key|access[_-]?key|"
    r"private[_-]?key)[\w.-]{0,128}"
)
# A quote may be escaped any number of times, where a document is a string of another one.
_QUOTE = r"\\*[\"']"
_HEADER = r"(?:proxy-)?authorization"
_END = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----")
_IN_KEY = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\\ \t\r\n")
_WORD = r"[^\s\"'\\,;\]}]+"
# Kind → what is looked for. The group "keep", where there is one, stays in front.
PATTERNS: dict[str, re.Pattern[str]] = {
    "private keys": re.compile(
        rf"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:(?!-----).)*(?:{_END.pattern})?", re.DOTALL
    ),
    "Authorization headers": re.compile(
        rf"(?P<keep>\b{_HEADER}(?:{_QUOTE})?\s*+[:=]\s*+(?:\[\s*+)?+(?:{_QUOTE})?+)(?!{REMOVED})"
        rf"{_WORD}(?:[ \t]+{_WORD})?",
        re.IGNORECASE,
    ),
    "bearer tokens": re.compile(r"(?P<keep>\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE),
    "JSON Web Tokens": re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"),
    "AWS keys": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "signed URLs": re.compile(
        r"(?P<keep>\bX-Amz-(?:Signature|Credential|Security-Token)(?:=|%3D))[^\s&\"'<>]+", re.IGNORECASE
    ),
    "URLs with passwords": re.compile(
        r"(?P<keep>\b[a-z][a-z0-9+.-]{0,30}:(?:\\?/){2})[^\s/@\"'<>]*:[^\s/@\"'<>]+(?=@)", re.IGNORECASE
    ),
    "tokens of known services": re.compile(
        r"\b(?:gh[oprsu]_|github_pat_|glpat-|glsa_|glc_|xox[abprs]-|sk_live_)[A-Za-z0-9_=-]{10,}"
    ),
}
_BASIC = re.compile(r"(?P<keep>\bbasic\s+)(?P<value>[A-Za-z0-9+/]{4,}={0,2})", re.IGNORECASE)
_ENCODED_PEM = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=_-]+")
_ASSIGNED = re.compile(
    rf"(?P<keep>(?P<name>{_NAME})(?:{_QUOTE})?\s*(?:[:=]|=>)\s*)"
    rf"(?:(?P<open>{_QUOTE})(?P<quoted>[^\"'\n]*?)(?={_QUOTE})|(?P<plain>[^\s\"',;&}}\])\\]+))",
    re.IGNORECASE,
)
# What is not a secret itself: a reference, a number, a boolean, the beginning of a structure.
_NO_VALUE = re.compile(r"|[\[{|>&*$].*|[-+\d.]+[smh%]?|true|false|null|none|~|<removed>.*", re.IGNORECASE | re.DOTALL)


class Removal:
    """Removes secrets from text, and counts by kind what it removed. short: values too short to be looked for."""

    def __init__(self) -> None:
        self.removed: Counter[str] = Counter()
        self.short = 0
        # Of Secrets: whoever names one does not give its value away.
        self.names: set[str] = set()
        self._kinds: dict[str, str] = {}
        self._ordered: list[str] = []

    @property
    def known(self) -> int:
        """How many values are looked for."""
        return len(self._kinds)

    def learn(self, value: str, kind: str) -> None:
        """A secret value, to be removed wherever it occurs: as it is, quoted, escaped or encoded."""
        value = value.strip("\0")
        if len(value.strip()) < SHORTEST_SECRET:
            self.short += bool(value.strip())
        elif value not in self._kinds and value not in self.names:
            self._kinds[value] = kind
            self._ordered = []

    def learn_secret(self, secret: Mapping[str, Any]) -> None:
        """All values of a Secret, and those inside of documents and lists of variables that they are."""
        for encoded in (secret.get("data") or {}).values():
            try:
                content = base64.b64decode(encoded).decode()
            except (binascii.Error, ValueError, TypeError):
                self.learn(str(encoded), OF_SECRETS)  # not text, so that only its base64 can be in one
                continue
            for value in inner(content):
                self.learn(value, OF_SECRETS)

    def learn_named(self, values: Any) -> None:
        """Strings of a document whose names announce a secret."""
        mask = Mask()
        mask.learn(values)
        for value in mask.known:
            self.learn(value, OF_VARIABLES)

    def text(self, content: str) -> str:
        """The text without secrets."""
        if not self._ordered:
            self._forms = {form: kind for value, kind in self._kinds.items() for form in _forms(value)}
            self._ordered = sorted(self._forms, key=len, reverse=True)
        for form in self._ordered:
            if found := content.count(form):
                self.removed[self._forms[form]] += found
                content = content.replace(form, REMOVED)
        for kind, pattern in PATTERNS.items():
            content = pattern.sub(self._replacing(kind), content)
        content = self._ends_of_keys(content)
        content = _BASIC.sub(self._basic, content)
        content = _ENCODED_PEM.sub(self._encoded_pem, content)
        return _ASSIGNED.sub(self._assigned, content)

    def document(self, value: Any) -> Any:
        """A JSON-like document without secrets in its texts, and without the values whose names announce one."""
        if isinstance(value, dict):
            named = isinstance(value.get("name"), str) and SECRET_NAME.search(value["name"]) is not None
            return {
                key: self._count(NAMED)
                if isinstance(one, str) and one and ((named and key == "value") or self._is_secret(str(key), one))
                else self.document(one)
                for key, one in value.items()
                if key not in NOISE
            }
        if isinstance(value, list):
            return [self.document(one) for one in value]
        # Before it is written as JSON, which escapes what may be escaped several times already.
        return self.text(value) if isinstance(value, str) and len(value) >= SHORTEST_SECRET else value

    def _count(self, kind: str) -> str:
        self.removed[kind] += 1
        return REMOVED

    def _is_secret(self, name: str, value: str) -> bool:
        announces = SECRET_NAME.search(name) and not REFERENCE.search(name)
        return bool(announces) and not _NO_VALUE.fullmatch(value) and value not in self.names

    def _ends_of_keys(self, content: str) -> str:
        """Without keys whose beginning was cut off, as in the first lines of a log."""
        while found := _END.search(content):
            start = found.start()
            while start and content[start - 1] in _IN_KEY:
                start -= 1
            content = content[:start] + self._count("private keys") + content[found.end() :]
        return content

    def _replacing(self, kind: str) -> Callable[[re.Match[str]], str]:
        def replace(match: re.Match[str]) -> str:
            keep = match.groupdict().get("keep") or ""
            return keep + self._count(kind)

        return replace

    def _basic(self, match: re.Match[str]) -> str:
        """Only what is user:password in base64: "basic authentication" is text."""
        try:
            plain = base64.b64decode(match["value"], validate=True)
        except (binascii.Error, ValueError):
            return match[0]
        return match["keep"] + self._count("Authorization headers") if b":" in plain else match[0]

    def _encoded_pem(self, match: re.Match[str]) -> str:
        head = match[0][:64]
        try:
            plain = base64.b64decode(head[: len(head) // 4 * 4], altchars=b"-_" if re.search("[-_]", head) else None)
        except (binascii.Error, ValueError):
            return match[0]
        return self._count("private keys") if b"PRIVATE KEY" in plain else match[0]

    def _assigned(self, match: re.Match[str]) -> str:
        value = match["quoted"] if match["open"] else match["plain"]
        if not self._is_secret(match["name"], value):
            return match[0]
        return f"{match['keep']}{match['open'] or ''}{self._count(NAMED)}"


def inner(content: str) -> Iterator[str]:
    """A Secret's value, and the strings in it where it is JSON, or lines of NAME=value or name: value."""
    yield content
    try:
        yield from _leaves(json.loads(content))
    except ValueError:
        for line in content.splitlines():
            _name, sign, value = re.split(r"([=:])", line, maxsplit=1) if re.search("[=:]", line) else ("", "", "")
            if sign and "-----" not in line:
                yield value.strip().strip("\"'")


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    elif isinstance(value, str):
        yield value


def _forms(value: str) -> set[str]:
    """As mask.forms(), which knows a document in a document, and one level more."""
    found = forms(value)
    return found | {json.dumps(form, ensure_ascii=False)[1:-1] for form in found}
