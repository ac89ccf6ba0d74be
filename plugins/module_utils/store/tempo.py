# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Reads traces from Tempo's query API.

Source: https://grafana.com/docs/tempo/latest/api_docs/
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.kube.proxy import Proxy
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import (
    Criteria,
    StoreEndpoint,
    StoreReader,
    read_json,
)

REMEDY = "Look at the logs of the query-frontend."
# Otherwise a search with a limit ends with whichever traces are found first.
# Source: https://grafana.com/docs/tempo/latest/traceql/construct-traceql-queries/ (retrieving most recent results)
NEWEST = " with (most_recent=true)"
HINTS = re.compile(r"\bwith\s*\(")


class Tempo(StoreReader):
    """A query-frontend, or a monolithic Tempo."""

    name = "Tempo"
    search_name = "TraceQL search"
    # Spans become searchable in waves, and from Tempo 3.0 on only after query_frontend.search.query_end_cutoff (30 s).
    search_lag = 45.0
    unproven = ""

    def __init__(self, kube: Proxy, namespace: str, service: str = "tempo-query-frontend", port: int = 3200) -> None:
        self.endpoint = StoreEndpoint(kube, namespace, service, port)

    def document(self, trace_id: str, start: int, end: int) -> otlp.Document:
        """As StoreReader says. Ids are in base64 (see otlp.hex_id)."""
        answer = self.endpoint.get(f"api/v2/traces/{trace_id}", {"start": start, "end": end})
        if answer.status == 404:
            return {}
        return read_json(answer, "Tempo's GET /api/v2/traces", REMEDY).get("trace") or {}

    def search(
        self, criteria: Criteria, start: int, end: int, limit: int, among: Collection[str] = ()
    ) -> dict[str, int]:
        """As StoreReader says. All services are searched at once."""
        return self.search_traceql(traceql(criteria), start, end, limit)

    def search_traceql(self, text: str, start: int, end: int, limit: int) -> dict[str, int]:
        """As search, for a query in TraceQL. One with hints of its own is sent as it is."""
        asked = text if HINTS.search(text) else text + NEWEST
        query: dict[str, str | int] = {"q": asked, "start": start, "end": end, "limit": limit, "spss": 1}
        answer = read_json(self.endpoint.get("api/search", query), "Tempo's GET /api/search", REMEDY)
        return {otlp.hex_id(trace["traceID"], 32): _matched(trace) for trace in answer.get("traces") or []}


def traceql(criteria: Criteria) -> str:
    """Criteria as a TraceQL query, for example { (resource.service.name = "shop") && status = error }.

    Source: https://grafana.com/docs/tempo/latest/traceql/construct-traceql-queries/
    """
    services = " || ".join(f"resource.service.name = {_literal(one)}" for one in criteria.services)
    terms = [
        *(f"span.{_name(key)} = {_literal(value)}" for key, value in criteria.attributes.items()),
        *([f"({services})"] if criteria.services else []),
        *([f"name = {_literal(criteria.operation)}"] if criteria.operation else []),
        *([f"duration >= {round(criteria.minimum_duration * 1e9)}ns"] if criteria.minimum_duration else []),
        *(["status = error"] if criteria.error else []),
    ]
    return "{ " + " && ".join(terms) + " }" if terms else "{}"


def _literal(value: str | int | float | bool) -> str:
    """TraceQL's strings, numbers and booleans are written as JSON's are."""
    return json.dumps(value, ensure_ascii=False)


def _name(key: str) -> str:
    """An attribute's name, quoted where it has characters that end one."""
    return key if key.replace(".", "").replace("_", "").replace("-", "").isalnum() else json.dumps(key)


def _matched(trace: dict[str, Any]) -> int:
    """Matching spans of one search result; older versions give one spanSet, newer ones a list."""
    sets = trace.get("spanSets") or [trace.get("spanSet") or {}]
    return max(int(one.get("matched", 0)) for one in sets)
