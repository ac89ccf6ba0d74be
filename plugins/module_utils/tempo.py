# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tempo's query API, through the API server's service proxy: the same door that Grafana uses.

Source: https://grafana.com/docs/tempo/latest/api_docs/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ansible_collections.orion.tracing.plugins.module_utils import otlp
from ansible_collections.orion.tracing.plugins.module_utils.errors import ApiError, NotFound, Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.kube import Kube, Response, refusal
from ansible_collections.orion.tracing.plugins.module_utils.pipeline import (
    RETRYABLE,
    Deadline,
    from_api_server,
    in_threads,
    proxy_denied,
)

# Blocks are chosen by their times, and every block that is not ruled out costs Tempo reads from the bucket. Tempo lets
# clocks differ by this much before it doubts a span's times (ingestion_time_range_slack, 2m).
MARGIN_SECONDS = 120


class NotNow(ApiError):
    """Tempo cannot answer at the moment (429, 5xx): worth another try."""


@dataclass(frozen=True)
class Trace:
    """spans: span id → parent's span id ('' for a root), all in hexadecimal. trace_ids: those written in the spans."""

    spans: dict[str, str]
    trace_ids: frozenset[str]

    @classmethod
    def of(cls, spans: Iterable[otlp.Span]) -> Trace:
        parents, ids = {}, set()
        for span in spans:
            parent = span.get("parentSpanId") or ""
            parents[otlp.hex_id(span["spanId"], 16)] = otlp.hex_id(parent, 16) if parent else ""
            ids.add(otlp.hex_id(span["traceId"], 32))
        return cls(parents, frozenset(ids))


class Tempo:
    """A query-frontend. start and end of a time range are Unix seconds."""

    def __init__(self, kube: Kube, namespace: str, service: str = "tempo-query-frontend", port: int = 3200) -> None:
        self.kube, self.namespace, self.service, self.port = kube, namespace, service, port

    def trace(self, trace_id: str, start: int, end: int) -> Trace | None:
        """The spans of a trace that are there now, or None. NotNow if Tempo cannot say."""
        trace = Trace.of(otlp.spans(self.document(trace_id, start, end)))
        return trace if trace.spans else None

    def document(self, trace_id: str, start: int, end: int) -> otlp.Document:
        """A trace as OTLP/JSON with what is there of it now, which may be nothing. NotNow if Tempo cannot say."""
        answer = self._get(f"api/v2/traces/{trace_id}", {"start": start, "end": end})
        if answer.status == 404:
            return {}
        return self._read(answer, "GET /api/v2/traces").get("trace") or {}

    def traces(self, trace_ids: Sequence[str], start: int, end: int, limit: Deadline) -> dict[str, Trace]:
        """Those of these traces that are there now.

        Ids that Tempo cannot answer for at the moment, or not within the limit, are left out.
        """

        def one(trace_id: str) -> Trace | None:
            try:
                return self.trace(trace_id, start, end) if limit.left else None
            except NotNow:
                return None

        found = zip(trace_ids, in_threads(one, trace_ids), strict=True)
        return {trace_id: trace for trace_id, trace in found if trace is not None}

    def search(self, query: str, start: int, end: int, limit: int) -> dict[str, int]:
        """Traces that match a TraceQL query: trace id → number of matching spans. NotNow if Tempo cannot say.

        New spans become searchable some seconds after they can be read by id; from Tempo 3.0 on, after
        query_frontend.search.query_end_cutoff (30 s).
        """
        answer = self._get("api/search", {"q": query, "start": start, "end": end, "limit": limit, "spss": 1})
        found = self._read(answer, "GET /api/search").get("traces") or []
        return {otlp.hex_id(trace["traceID"], 32): _matched(trace) for trace in found}

    def _get(self, path: str, query: dict[str, str | int]) -> Response:
        try:
            answer = self.kube.proxy(
                "services", self.namespace, self.service, self.port, path, query=query,
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
                    "Check the options namespace and query_frontend_service.",
                )
        return answer

    @staticmethod
    def _read(answer: Response, what: str) -> dict[str, Any]:
        if not answer.ok:
            error = refusal(f"Tempo's {what}", answer)
            kind = NotNow if answer.status in RETRYABLE or answer.status == 500 else ApiError
            raise kind(error.what, error.why, "Look at the logs of the query-frontend.", **error.details)
        return cast(dict[str, Any], answer.json())


def _matched(trace: dict[str, Any]) -> int:
    """Matching spans of one search result; older versions give one spanSet, newer ones a list."""
    sets = trace.get("spanSets") or [trace.get("spanSet") or {}]
    return max(int(one.get("matched", 0)) for one in sets)
