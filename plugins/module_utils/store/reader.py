# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""How traces are read back from the store that the samplers write to, whichever it is.

Tempo (tempo.py) and Jaeger (jaeger.py) implement StoreReader; options choose one (proof/options.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ApiError, NotFound, Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response, refusal
from ansible_collections.orion.tracing.plugins.module_utils.kube.proxy import (
    RETRYABLE,
    Proxy,
    from_api_server,
    proxy_denied,
)
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp

# A time range is chosen by the spans' times, and clocks differ. Tempo lets them differ by this much before it doubts a
# span's times (ingestion_time_range_slack, 2m). The range stays narrow, since each block in it costs reads.
MARGIN_SECONDS = 120


class NotNow(ApiError):
    """The store cannot answer at the moment (429, 5xx, no connection): worth another try."""


@dataclass(frozen=True)
class StoredTrace:
    """spans: span id → parent's span id ('' for a root), all in hexadecimal. trace_ids: those written in the spans."""

    spans: dict[str, str]
    trace_ids: frozenset[str]

    @classmethod
    def of(cls, spans: Iterable[otlp.Span]) -> StoredTrace:
        parents, ids = {}, set()
        for span in spans:
            parent = span.get("parentSpanId") or ""
            parents[otlp.hex_id(span["spanId"], 16)] = otlp.hex_id(parent, 16) if parent else ""
            ids.add(otlp.hex_id(span["traceId"], 32))
        return cls(parents, frozenset(ids))


@dataclass(frozen=True)
class Criteria:
    """What a search looks for: traces with a span for which all of these hold.

    services: its service.name is one of these, or any without them. operation: its name, '' for any. attributes: values
    of its span attributes. minimum_duration: seconds that it took at least. error: whether its status has to be ERROR.
    """

    services: tuple[str, ...] = ()
    operation: str = ""
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    minimum_duration: float = 0.0
    error: bool = False


class StoreReader(Protocol):
    """A store of traces. start and end of a time range are Unix seconds; trace ids are 32 hexadecimal digits.

    name: what people call it. search_name: what a trace that search returns was found by. search_lag: seconds after
    which search finds what can be read by id. unproven: what a proof with it does not show, '' for nothing.

    NotFound (no such Service), PermissionDenied and other ApiErrors mean that asking again is of no use.
    """

    name: str
    search_name: str
    search_lag: float
    unproven: str

    def document(self, trace_id: str, start: int, end: int) -> otlp.Document:
        """A trace as OTLP/JSON with what is there of it now, which may be nothing. NotNow if the store cannot say."""

    def search(
        self, criteria: Criteria, start: int, end: int, limit: int, among: Collection[str] = ()
    ) -> dict[str, int]:
        """Up to so many traces that match, the newest ones: trace id → number of matching spans. NotNow if the store
        cannot say.

        among: each of these traces has a span of one of these services. It spares a store that searches one service at
        a time all others. New spans become searchable some seconds after they can be read by id.
        """

    def trace(self, trace_id: str, start: int, end: int) -> StoredTrace | None:
        """The spans of a trace that are there now, or None. NotNow if the store cannot say."""
        trace = StoredTrace.of(otlp.spans(self.document(trace_id, start, end)))
        return trace if trace.spans else None

    def traces(self, trace_ids: Sequence[str], start: int, end: int, limit: Deadline) -> dict[str, StoredTrace]:
        """Those of these traces that are there now.

        Ids that the store cannot answer for at the moment, or not within the limit, are left out.
        """

        def one(trace_id: str) -> StoredTrace | None:
            try:
                return self.trace(trace_id, start, end) if limit.left else None
            except NotNow:
                return None

        found = zip(trace_ids, in_threads(one, trace_ids), strict=True)
        return {trace_id: trace for trace_id, trace in found if trace is not None}


@dataclass(frozen=True)
class StoreEndpoint:
    """The HTTP API of a store: a Service, the same door that Grafana uses."""

    kube: Proxy
    namespace: str
    service: str
    port: int

    def get(self, path: str, query: Mapping[str, str | int]) -> Response:
        """The store's own answer, whatever its status. NotNow if there is none at the moment."""
        try:
            answer = self.kube.proxy(
                "services", self.namespace, self.service, self.port, path, query=dict(query),
                headers={"Accept": "application/json"}, timeout=30.0,
            )  # fmt: skip
        except Unreachable as error:
            raise NotNow(error.what, error.why, error.remedy) from error
        if from_api_server(answer):
            if answer.status == 403:
                raise proxy_denied("get", "services", self.namespace, answer)
            if answer.status == 404:
                raise NotFound(
                    f"namespace {self.namespace} has no Service {self.service}",
                    refusal("", answer).why,
                    "Check the options store_namespace, store_service and store_reader.",
                )
        return answer


def read_answer(answer: Response, what: str, remedy: str) -> str:
    """The text of a good answer; NotNow or ApiError for another. what: the request, for messages."""
    if not answer.ok:
        error = refusal(what, answer)
        kind = NotNow if answer.status in RETRYABLE or answer.status == 500 else ApiError
        raise kind(error.what, error.why, remedy, **error.details)
    return answer.text


def read_json(answer: Response, what: str, remedy: str) -> dict[str, Any]:
    """The document of a good answer, as read_answer."""
    read_answer(answer, what, remedy)
    try:
        return cast(dict[str, Any], answer.json())
    except ValueError:
        raise ApiError(f"{what} answered {answer.status} with something that is no JSON", remedy=remedy) from None
