# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An S3 store on a socket of this machine that answers what a test says, and keeps the documents that it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit

from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving

# A request: its method, and the first key of its query; "" for the bucket itself, "/" for the store.
Key = tuple[str, str]
Answer = tuple[int, bytes]


def xml(code: str, message: str = "") -> bytes:
    """An error as S3 words it."""
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


NOT_IMPLEMENTED: Answer = (501, xml("NotImplemented", "no such thing here"))
# A bucket without any document on a store that has all of them but Block Public Access, as SeaweedFS.
NOT_THERE: dict[Key, Answer] = {
    ("GET", "lifecycle"): (404, xml("NoSuchLifecycleConfiguration")),
    ("GET", "policy"): (404, xml("NoSuchBucketPolicy")),
    ("GET", "tagging"): (404, xml("NoSuchTagSet")),
    ("GET", "encryption"): (404, xml("ServerSideEncryptionConfigurationNotFoundError")),
    ("GET", "object-lock"): (404, xml("ObjectLockConfigurationNotFoundError")),
    ("GET", "ownershipControls"): (404, xml("OwnershipControlsNotFoundError")),
    ("GET", "publicAccessBlock"): NOT_IMPLEMENTED,
}


class FakeStore:
    """url; answers: what it says to a request, 200 and nothing unless given; seen: method, key, headers and body.

    A document that is put is the answer to the next GET, as change makes it (None: forgotten), until it is deleted.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[Key, Answer] = {}
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.kept: dict[str, bytes] = {}
        self.change: dict[str, Callable[[bytes], bytes | None]] = {}

    def asked(self, method: str = "") -> list[Key]:
        """The requests so far, of one method or all."""
        return [(m, key) for m, key, _headers, _body in self.seen if method in ("", m)]

    def say(self, method: str, key: str, body: bytes) -> Answer:
        answer = self.answers.get((method, key), (200, b""))
        if method == "GET" and key in self.kept:
            return 200, self.kept[key]
        if method == "PUT" and answer[0] == 200 and key:
            changed = self.change.get(key, lambda document: document)(body)
            if changed is not None:
                self.kept[key] = changed
        if method == "DELETE" and answer[0] < 300:
            self.kept.pop(key, None)
        return answer


@contextmanager
def fake_store() -> Iterator[FakeStore]:
    store = FakeStore()

    class Front(Handler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            parts = urlsplit(self.path)
            query = [pair[0] for pair in parse_qsl(parts.query, keep_blank_values=True)]
            key = query[0] if query else ("" if len(parts.path) > 1 else "/")
            body = self.body()
            store.seen.append((self.command, key, {k.lower(): v for k, v in self.headers.items()}, body))
            status, text = store.say(self.command, key, body)
            self.answer(status, b"" if self.command == "HEAD" else text)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = serve

    with serving(Front) as store.url:
        yield store
