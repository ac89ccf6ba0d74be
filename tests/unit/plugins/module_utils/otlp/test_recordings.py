# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in a recording, from files. test_s3_recording.py has those in a bucket."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp import recordings
from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import FileRecording, Message
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import json_document
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.otlp.made import document, protobuf, span

TWO = document(({"service.name": "shop"}, [span(1, 1), span(1, 2, 1, error=True, values={"n": 7, "on": True})]))


def messages(path: Path) -> list[Message]:
    return list(FileRecording(path).messages())


def test_lines_of_plain_and_gzip_files(tmp_path: Path) -> None:
    text = b"{one\n\n  \n{four\n{five"
    for name, data in (("plain", text), ("packed", gzip.compress(text))):
        (tmp_path / name).write_bytes(data)
        assert [(m.number, m.place, m.text, m.protobuf) for m in messages(tmp_path / name)] == [
            (1, "line 1", b"{one\n", False),
            (4, "line 4", b"{four\n", False),
            (5, "line 5", b"{five", False),
        ]
    (tmp_path / "empty").write_bytes(b"")
    assert messages(tmp_path / "empty") == []


def test_damaged_gzip_files(tmp_path: Path) -> None:
    data = gzip.compress(b"{x\n" * 1000 + bytes(range(256)) * 50)
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    (tmp_path / "hurt").write_bytes(data[:20] + b"\xff" * 20 + data[40:])
    for name in ("cut", "hurt"):
        with pytest.raises(OSError, match="damaged|CRC"):
            messages(tmp_path / name)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_one_protobuf_message_alone(tmp_path: Path, pack: Any) -> None:
    """An object of the S3 exporter that was downloaded has no length before it."""
    path = tmp_path / ("traces_1.binpb" if pack is bytes else "traces_1.binpb.gz")
    path.write_bytes(pack(protobuf(TWO)))
    (message,) = messages(path)
    assert (message.place, message.text, message.protobuf) == ("message 1", protobuf(TWO), True)


def test_a_message_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as gzip data that unfold to more than there is memory."""
    monkeypatch.setattr(recordings, "MAX_MESSAGE_BYTES", 10)
    path = tmp_path / "traces_1.binpb.gz"
    path.write_bytes(gzip.compress(protobuf(TWO)))
    (message,) = messages(path)
    assert message.text == b"" and "longer than 10 bytes" in message.problem
    with pytest.raises(otlp.BrokenDocument, match="longer"):
        message.document()


def test_zstd_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(InvalidInput, match=r"a\.zst is compressed with zstd"):
        messages(tmp_path / "a.zst")


def test_documents_of_protobuf_and_json_are_the_same() -> None:
    rich = document(
        (
            {"service.name": "shop", "tags": ["a", "b"]},
            [
                span(1, 1, events=[{"timeUnixNano": "7", "name": "e"}], traceState="a=b", flags=257),
                span(2, 2, 1, error=True, values={"n": -7, "f": 0.5, "on": False}, kind=3,
                     links=[{"traceId": "0" * 31 + "a", "spanId": "0" * 15 + "b"}]),
            ],
        )
    )  # fmt: skip
    found = Message(1, "", protobuf(rich), True).document()
    assert json_document(json.dumps(found).encode()) == found
    wanted = Message(1, "", json.dumps(rich).encode()).document()
    # What is empty or zero is left out of protobuf.
    for one in otlp.spans(wanted):
        one.update(status=one["status"], attributes=one["attributes"])
        for key in [key for key, value in one.items() if not value and key != "status"]:
            del one[key]
    wanted["resourceSpans"][0]["scopeSpans"][0].setdefault("scope", {})
    assert _without_empty(found) == _without_empty(wanted)


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_empty(one) for key, one in value.items() if one not in ({}, [], "")}
    return [_without_empty(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"\x0a\xff", "not an OTLP protobuf message"),
        (protobuf(document(({}, [span(1, traceId="")]))), "the trace id"),
        (protobuf(document(({}, [span(1, spanId="12")]))), "the span id '12' is not 16"),
        (protobuf(document(({}, [span(1, startTimeUnixNano="0")]))), "startTimeUnixNano"),
    ],
)  # fmt: skip
def test_broken_protobuf_says_why(text: bytes, reason: str) -> None:
    with pytest.raises(otlp.BrokenDocument, match=reason):
        Message(1, "", text, True).document()


def test_no_spans_at_all() -> None:
    assert Message(1, "", b"", True).document() == {"resourceSpans": []}
