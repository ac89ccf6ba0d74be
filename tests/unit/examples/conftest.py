# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The services of examples/shop as packages, and the spans that they make, in memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

sys.path.insert(0, str(Path(__file__).parents[3] / "examples/shop"))


class Spans:
    """The spans that have ended since the test began."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def request(self) -> ReadableSpan:
        """The one span of kind SERVER."""
        (span,) = [span for span in self._exporter.get_finished_spans() if span.kind == SpanKind.SERVER]
        return span

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[Spans]:
    exporter.clear()
    yield Spans(exporter)
    exporter.clear()


@pytest.fixture
def client() -> Iterator[Callable[[FastAPI], TestClient]]:
    """A client of a service that has the spans of its requests by the agent's instrumentation."""
    with ExitStack() as stack:

        def start(app: FastAPI) -> TestClient:
            FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"])
            return stack.enter_context(TestClient(app))

        yield start


def exception(span: ReadableSpan) -> str:
    """The type and message of the one exception that is recorded on the span."""
    (event,) = [event for event in span.events if event.name == "exception"]
    assert event.attributes
    return f"{event.attributes['exception.type']}: {event.attributes['exception.message']}"


@pytest.fixture(name="exception")
def exception_of() -> Any:
    return exception
