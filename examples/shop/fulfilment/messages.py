# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""The trace context of Kafka messages.

aiokafka's instrumentation makes a span `orders receive` of each message, a child of the producer's span, and ends it
before the service gets the message. Processing needs a span of its own, and the context of the message: these two
functions. Source: opentelemetry-instrumentation-aiokafka, `_wrap_getone`; the messaging conventions, "process" spans,
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind

# Of the consumer; the service's name too.
GROUP = "fulfilment"
OPERATION = {
    "messaging.system": "kafka",
    "messaging.operation.type": "process",
    "messaging.operation.name": "process",
    "messaging.consumer.group.name": GROUP,
}
tracer = trace.get_tracer("fulfilment")


class Message(Protocol):
    """What is used of aiokafka's ConsumerRecord."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


def context_of(message: Message) -> Context:
    """Trace context and baggage of the message's producer; empty for a message that was produced outside any trace."""
    headers = {key: value.decode("latin-1") for key, value in message.headers if value is not None}
    return propagate.extract(headers, Context())


@contextmanager
def processing(message: Message, links: Sequence[Link]) -> Iterator[Span]:
    """The span of processing one message: a child of the producer's span, or the root of a new trace."""
    # Attached, not only passed to the span: otherwise the spans below would have the trace, and not the baggage.
    token = context.attach(context_of(message))
    attributes: dict[str, str | int] = {
        **OPERATION,
        "messaging.destination.name": message.topic,
        "messaging.destination.partition.id": str(message.partition),
        "messaging.kafka.offset": message.offset,
    }
    try:
        with tracer.start_as_current_span(
            f"process {message.topic}", kind=SpanKind.CONSUMER, attributes=attributes, links=links
        ) as span:
            yield span
    finally:
        context.detach(token)


@contextmanager
def batch(messages: Sequence[Message]) -> Iterator[list[Link]]:
    """The span of processing several messages, in a trace of its own. Yields the links for the spans of each of them.

    A span has one parent, and the messages may come from as many traces: so there is a link to the producer of each.
    A single message needs no such span.
    """
    if len(messages) == 1:
        yield []
        return
    producers = (trace.get_current_span(context_of(message)).get_span_context() for message in messages)
    with tracer.start_as_current_span(
        "ship batch",
        Context(),
        kind=SpanKind.CONSUMER,
        attributes={**OPERATION, "messaging.batch.message_count": len(messages)},
        links=[Link(producer) for producer in producers if producer.is_valid],
    ) as span:
        yield [Link(span.get_span_context())]
