# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Reads traces from Jaeger's HTTP API v3, which answers in OTLP/JSON.

Source: https://www.jaegertracing.io/docs/2.13/architecture/apis/ and query_service.proto of jaeger-idl (api_v3)
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.kube.proxy import Proxy
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import (
    Criteria,
    StoreEndpoint,
    StoreReader,
    read_json,
)

REMEDY = "Look at the logs of Jaeger, and check that store_service and store_port are those of its query API."
# Traces in one answer, which holds all of their spans. Stores have bounds of their own: the memory store refuses more
# than its max_traces, Elasticsearch 10,000.
PAGE = 500
NANOSECONDS = 10**9
# A time range that is not divided any further, in nanoseconds.
NARROW = 10**6


class Jaeger(StoreReader):
    """A Jaeger 2 query service (extension jaeger_query)."""

    name = "Jaeger"
    search_name = "Jaeger search"
    # The memory and Badger stores index a span as they take it, Elasticsearch at its next refresh (1 s).
    search_lag = 5.0
    unproven = "TraceQL and blocks in the bucket"

    def __init__(self, kube: Proxy, namespace: str, service: str = "jaeger", port: int = 16686) -> None:
        self.endpoint = StoreEndpoint(kube, namespace, service, port)

    def document(self, trace_id: str, start: int, end: int) -> otlp.Document:
        """As StoreReader says."""
        query = {"start_time": _time(start * NANOSECONDS), "end_time": _time(end * NANOSECONDS), "raw_traces": "true"}
        return self._result(f"api/v3/traces/{trace_id}", query, "Jaeger's GET /api/v3/traces/ID")

    def search(
        self, criteria: Criteria, start: int, end: int, limit: int, among: Collection[str] = ()
    ) -> dict[str, int]:
        """As StoreReader says. Where neither criteria nor among name services, each one that Jaeger knows is searched.

        Up to Jaeger 2.13 all traces of these services in the time range are transferred.
        """
        services = criteria.services or among or self._services()

        def one(service: str) -> dict[str, tuple[int, int]]:
            """Trace id → when it began, and how many spans match."""
            found: dict[str, tuple[int, int]] = {}
            for document in self._find(service, criteria, start * NANOSECONDS, end * NANOSECONDS):
                if counts := matches(document, criteria):
                    begun = begins(document)
                    found |= {trace_id: (begun[trace_id], count) for trace_id, count in counts.items()}
                if len(found) >= limit:
                    break
            return found

        found: dict[str, tuple[int, int]] = {}
        for some in in_threads(one, list(services)):
            found |= some
        newest = sorted(found, key=found.__getitem__, reverse=True)
        return {trace_id: found[trace_id][1] for trace_id in newest[:limit]}

    def _services(self) -> list[str]:
        answer = self.endpoint.get("api/v3/services", {})
        return list(read_json(answer, "Jaeger's GET /api/v3/services", REMEDY).get("services") or ())

    def _find(self, service: str, criteria: Criteria, start: int, end: int) -> Iterator[otlp.Document]:
        """All traces with a span of a service in a time range (nanoseconds), as answers with less than PAGE of them,
        those of later ranges first.

        An answer has no order and no next page, so a range with more is divided. Jaeger 2.13 does not read
        query.attributes here yet, and error has a form of its own in each store, so matches looks at all spans.
        """
        query: dict[str, str | int] = {
            "query.service_name": service,
            "query.start_time_min": _time(start),
            "query.start_time_max": _time(end),
            "query.num_traces": PAGE,
            "query.raw_traces": "true",
        }
        if criteria.operation:
            query["query.operation_name"] = criteria.operation
        if criteria.minimum_duration:
            query["query.duration_min"] = f"{round(criteria.minimum_duration * NANOSECONDS)}ns"
        if criteria.attributes:
            values = {key: _text(value) for key, value in criteria.attributes.items()}
            query["query.attributes"] = json.dumps(values, ensure_ascii=False)
        document = self._result("api/v3/traces", query, "Jaeger's GET /api/v3/traces")
        if end - start <= NARROW or len({span["traceId"] for span in otlp.spans(document)}) < PAGE:
            yield document
            return
        middle = (start + end) // 2
        yield from self._find(service, criteria, middle, end)
        yield from self._find(service, criteria, start, middle)

    def _result(self, path: str, query: dict[str, Any], what: str) -> otlp.Document:
        answer = self.endpoint.get(path, query)
        return {} if _nothing_found(answer) else read_json(answer, what, REMEDY).get("result") or {}


def matches(document: otlp.Document, criteria: Criteria) -> dict[str, int]:
    """Trace id → number of spans for which all criteria hold, of the traces with such a span."""
    found: dict[str, set[str]] = {}
    for part in document.get("resourceSpans") or ():
        resource = otlp.attribute_values((part.get("resource") or {}).get("attributes") or ())
        if criteria.services and resource.get("service.name") not in criteria.services:
            continue
        for span in otlp.spans({"resourceSpans": [part]}):
            if _matches(span, criteria):
                found.setdefault(otlp.hex_id(span["traceId"], 32), set()).add(span["spanId"])
    return {trace_id: len(span_ids) for trace_id, span_ids in found.items()}


def begins(document: otlp.Document) -> dict[str, int]:
    """Trace id → when its first span began (Unix nanoseconds), 0 where one has no such time."""
    found: dict[str, int] = {}
    for span in otlp.spans(document):
        trace_id, begin = otlp.hex_id(span["traceId"], 32), int(span.get("startTimeUnixNano") or 0)
        found[trace_id] = min(begin, found.get(trace_id, begin))
    return found


def _matches(span: otlp.Span, criteria: Criteria) -> bool:
    if criteria.operation and span.get("name") != criteria.operation:
        return False
    if criteria.error and not otlp.is_error(span):
        return False
    if int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) < criteria.minimum_duration * NANOSECONDS:
        return False
    values = otlp.attribute_values(span.get("attributes") or ())
    return all(key in values and _text(values[key]) == _text(value) for key, value in criteria.attributes.items())


def _text(value: Any) -> str:
    """A value of an attribute as Jaeger compares it: as text."""
    return value if isinstance(value, str) else json.dumps(value)


def _time(nanoseconds: int) -> str:
    """RFC 3339 with nanoseconds."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _nothing_found(answer: Response) -> bool:
    """Whether Jaeger says that it has no such trace. A 404 of another form comes from something else."""
    if answer.status != 404:
        return False
    try:
        return int(answer.json()["error"]["httpCode"]) == 404
    except (ValueError, KeyError, TypeError):
        return False
