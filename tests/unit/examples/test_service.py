# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import asyncio
import json
import logging

import pytest
from opentelemetry import trace

from service import logs, setting, wait_for


@pytest.fixture
def root():
    """The root logger, put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def written(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_within_a_span_has_its_ids(root, capsys, spans):
    logs.configure()
    with trace.get_tracer("test").start_as_current_span("work") as span:
        logging.getLogger("orders").info("order %s placed", 7, extra={"fields": {"sku": "book"}})

    (line,) = written(capsys)
    context = span.get_span_context()
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "orders",
        "message": "order 7 placed",
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
        "sku": "book",
    }


def test_a_line_outside_any_span_has_none(root, capsys):
    logs.configure()
    logging.getLogger("orders").info("ready")

    (line,) = written(capsys)
    assert not {"trace_id", "span_id"} & line.keys()


def test_an_exception_is_part_of_its_line(root, capsys):
    logs.configure()
    try:
        raise ValueError("bad")
    except ValueError:
        logging.getLogger("orders").exception("failed")

    (line,) = written(capsys)
    assert line["exception"].endswith("ValueError: bad")


def test_the_text_format_of_the_agent_is_replaced(root, capsys):
    root.handlers[:] = []
    logging.basicConfig(format="%(message)s [trace_id=%(otelTraceID)s]", level=logging.INFO)  # as the agent does
    logs.configure()
    logging.getLogger("orders").info("ready")

    assert [line["message"] for line in written(capsys)] == ["ready"]


def test_a_setting(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://")
    assert setting("DATABASE_URL") == "postgresql://"


@pytest.mark.parametrize("value", [None, ""])
def test_a_setting_that_is_missing_is_named(monkeypatch, value):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    if value is not None:
        monkeypatch.setenv("DATABASE_URL", value)

    with pytest.raises(SystemExit, match="DATABASE_URL is missing"):
        setting("DATABASE_URL")


class Connect:
    """Fails so many times."""

    def __init__(self, failures):
        self.failures = failures

    async def __call__(self):
        self.failures -= 1
        if self.failures >= 0:
            raise ConnectionError("refused")
        return "connected"


def test_a_connection_is_tried_until_it_is_there():
    assert asyncio.run(wait_for("Kafka", Connect(1), ConnectionError)) == "connected"


def test_a_connection_is_given_up_in_the_end():
    with pytest.raises(ConnectionError, match="refused"):
        asyncio.run(wait_for("Kafka", Connect(100), ConnectionError, seconds=0))
