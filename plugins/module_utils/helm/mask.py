# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Hiding secret values in diffs, results and errors, in every form in which a chart may write them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from ansible_collections.orion.tracing.plugins.module_utils.common.secrets import SECRET_NAME, SHORTEST_SECRET

# What only names a Secret, or a key in one: secretName, existingSecret, imagePullSecrets, secretKeyRef, secretRef.
REFERENCE = re.compile(
    r"secret_?(key)?_?ref$|secrets?_?names?$|(existing|external|use).*secret|pull_?secrets?$|secret.*_?key_?name$",
    re.IGNORECASE,
)
HIDDEN = "********"
# Of a secret of several lines, such as a key, only long lines count by themselves, and not the PEM header.
SHORTEST_LINE, PEM_HEADER = 16, "-----"
SHORTEST_ENCODED = 8  # characters of base64 that occur nowhere by chance
# encoding/json of Go, and so toJson of a chart, writes these as \\u escapes.
GO_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass
class Mask:
    """Hides secret values.

    Values of Secret objects become digests keyed with a random key of this run: equal values look equal, a change
    shows as a change, and the value cannot be guessed from it. Every value hidden this way, and every string given to
    learn(), is hidden in other text as well, also where it is quoted, escaped or encoded (see forms()).
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    known: set[str] = field(default_factory=set)
    _ordered: list[str] = field(default_factory=list, repr=False)

    def digest(self, value: str) -> str:
        """A text that is equal for equal values. The value is learned."""
        self._add(value)
        return self.fingerprint(value)

    def fingerprint(self, value: str) -> str:
        """As digest(), of a value that need not be hidden elsewhere."""
        return "digest:" + hmac.new(self.key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]

    def learn(self, values: Any, secret: bool = False) -> None:
        """Take strings of the user's values whose names announce a secret."""
        if isinstance(values, dict):
            for name, value in values.items():
                if REFERENCE.search(str(name)):
                    self.learn(value)
                else:
                    self.learn(value, secret or bool(SECRET_NAME.search(str(name))))
        elif isinstance(values, list):
            for value in values:
                self.learn(value, secret)
        elif secret and isinstance(values, str):
            self._add(values)

    def _add(self, value: str) -> None:
        if len(value) >= SHORTEST_SECRET and value not in self.known:
            self.known.add(value)
            self._ordered = []

    def all(self, value: Any) -> Any:
        """A JSON-like value with every text in it masked."""
        if isinstance(value, dict):
            return {self.all(name): self.all(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.all(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        if self.known and not self._ordered:
            self._ordered = sorted({form for value in self.known for form in forms(value)}, key=len, reverse=True)
        for form in self._ordered:
            text = text.replace(form, HIDDEN)
        return text

    def object(self, document: dict[str, Any]) -> dict[str, Any]:
        """The object with the values of data and stringData replaced, where it is a Secret."""
        if document.get("kind") != "Secret":
            return document
        masked = dict(document)
        for part in ("data", "stringData"):
            if isinstance(document.get(part), dict):
                masked[part] = {
                    name: self.digest(_plaintext(value) if part == "data" else str(value))
                    for name, value in document[part].items()
                }
        return masked


def forms(value: str) -> set[str]:
    """The texts in which a secret may appear: as it is, line by line, inside a quoted string of JSON, YAML, Go or a
    URL, and inside base64, at any position of the encoded text."""
    found = {value, value.strip()}
    found |= {line.strip() for line in value.splitlines() if _telling(line.strip())} if "\n" in value else set()
    for text in list(found):
        plain = json.dumps(text, ensure_ascii=False)[1:-1]
        found |= {plain, json.dumps(text)[1:-1], text.replace("'", "''"), quote(text), quote(text, safe="")}
        found |= {quote_plus(text), "".join(GO_ESCAPES.get(char, char) for char in plain)}
        # A JSON document in a string of another one.
        found |= {json.dumps(plain, ensure_ascii=False)[1:-1], json.dumps(json.dumps(text)[1:-1])[1:-1]}
    found |= set(_encoded(value))
    return {text for text in found if len(text) >= SHORTEST_SECRET}


def _telling(line: str) -> bool:
    return len(line) >= SHORTEST_LINE and not line.startswith(PEM_HEADER)


def _encoded(value: str) -> Iterator[str]:
    """In base64: alone, and with something before and behind it (user:password), where only the middle is certain."""
    data = value.encode("utf-8", "surrogatepass")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(data).decode()
        for before in range(3):
            whole = encode(b"\0" * before + data).decode().rstrip("=")
            # Characters that hold bits of what is before or behind depend on it.
            start, end = (0, 2, 3)[before], (before + len(data)) * 8 // 6
            if len(whole[start:end]) >= SHORTEST_ENCODED:
                yield whole[start:end]


def _plaintext(value: Any) -> str:
    try:
        return base64.b64decode(str(value), validate=True).decode("utf-8", "backslashreplace")
    except (binascii.Error, ValueError):
        return str(value)
