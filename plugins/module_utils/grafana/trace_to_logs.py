# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The query by which Grafana finds the logs of a span, for each log store. Pure: no I/O, no Ansible.

The queries are ours (customQuery: true), since those that Grafana makes itself differ between versions, and some are
invalid: in August 2026 the one for Loki lacks its closing quote, and the one for VictoriaLogs asks for two span ids.

${__tags}, ${__span.traceId} and the like are filled in by Grafana when the link is made; a link is shown only if every
variable of its query has a value. filled() does the same here, for tests and reports.
Sources: getTraceToLogsQuery and getFormattedTags below public/app/features/explore/TraceView of
https://github.com/grafana/grafana, and
https://grafana.com/docs/grafana/latest/datasources/tempo/configure-tempo-data-source/#custom-query-variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LOKI, VICTORIALOGS, OPENSEARCH = "loki", "victorialogs", "opensearch"
# The id of each store's plugin in Grafana.
PLUGINS = {
    LOKI: "loki",
    VICTORIALOGS: "victoriametrics-logs-datasource",
    OPENSEARCH: "grafana-opensearch-datasource",
}
# How ${__tags} is written: between a tag and its value, and between tags. Metrics are asked for as Loki is.
_EQUALS = {LOKI: ("=", ", "), VICTORIALOGS: (":=", " AND "), OPENSEARCH: (":", " AND ")}
PROMETHEUS = LOKI

_TRACE, _SPAN = "${__span.traceId}", "${__span.spanId}"
_VARIABLE = re.compile(r'\$\{(__tags|__(?:span|trace)\.(?:\w+|tags\["[^"]+"\]))\}|\$(__tags)\b')
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class SpanValues:
    """What a query can use of a span. trace_id, span_id: in hexadecimal. duration: in microseconds, as Grafana has it.

    attributes: (name, value) of the resource's attributes and then of the span's. trace_name, trace_duration: those of
    the trace.
    """

    trace_id: str
    span_id: str
    name: str = ""
    duration: int = 0
    attributes: Sequence[tuple[str, Any]] = field(default=())
    trace_name: str = ""
    trace_duration: int = 0


def query(
    store: str,
    by_trace_id: bool = True,
    by_span_id: bool = False,
    span: SpanValues | None = None,
    tags: Sequence[Mapping[str, str]] = (),
) -> str | None:
    """The query of a store (loki, victorialogs, opensearch) for the logs of a span.

    Always by the mapped tags; by_trace_id, by_span_id: only those of its trace, of the span itself. Ids are found both
    in their fields, where OTLP puts them, and in the text of a line. Without a span, a template for the data source.
    With one, the query with its values, as Grafana would send it; None where Grafana shows no link. tags: as labels()
    returns them, needed with a span only.
    """
    template = _WRITERS[store](by_trace_id, by_span_id)
    return template if span is None else filled(template, store, tags, span)


def labels(store: str, tags: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Tags {key, value?} with the value as the store's query language needs a field's name.

    LogsQL wants quotes around a name that is not a word, such as service.name.
    """
    found = []
    for tag in tags:
        label = tag.get("value") or tag["key"]
        if store == VICTORIALOGS and not _WORD.fullmatch(label) and not label.startswith('"'):
            label = f'"{label}"'
        found.append({**tag, "value": label} if label != tag["key"] else dict(tag))
    return found


def filled(template: str, store: str, tags: Sequence[Mapping[str, str]], span: SpanValues) -> str | None:
    """A query with a span's values, as Grafana fills it in; None if one of its variables has no value.

    store: how ${__tags} is written; PROMETHEUS for metrics. Values are not escaped, as Grafana does not either.
    """
    values = dict(_values(store, tags, span))
    names = [match[1] or match[2] for match in _VARIABLE.finditer(template)]
    if any(values.get(name) in (None, "") for name in names):
        return None
    return _VARIABLE.sub(lambda match: values[match[1] or match[2]], template)


def _values(store: str, tags: Sequence[Mapping[str, str]], span: SpanValues) -> Iterator[tuple[str, str]]:
    equals, join = _EQUALS[store]
    # Grafana lets a query name these, too, as if they were tags.
    own = [("spanId", span.span_id), ("traceId", span.trace_id), ("name", span.name), ("duration", span.duration)]
    wanted = {tag["key"]: tag.get("value") or tag["key"] for tag in reversed(tags)}
    yield (
        "__tags",
        join.join(f'{wanted[k]}{equals}"{_text(v)}"' for k, v in [*span.attributes, *own] if k in wanted),
    )
    yield from (("__span.traceId", span.trace_id), ("__span.spanId", span.span_id), ("__span.name", span.name))
    yield from (("__span.duration", str(span.duration)), ("__trace.traceId", span.trace_id))
    yield from (("__trace.name", span.trace_name), ("__trace.duration", str(span.trace_duration)))
    for name, value in span.attributes:
        yield f'__span.tags["{name}"]', _text(value)


def _text(value: Any) -> str:
    """As JavaScript writes it."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _loki(by_trace_id: bool, by_span_id: bool) -> str:
    # The names of the labels are those that Grafana's own query makes and its Logs Drilldown takes out again.
    found = "{${__tags}}"
    for wanted, label, value in ((by_trace_id, "trace_id", _TRACE), (by_span_id, "span_id", _SPAN)):
        if wanted:
            contains = f"log_line_contains_{label}"
            found += f' | label_format {contains}=`{{{{ contains "{value}" __line__ }}}}`'
            found += f' | {contains}="true" or {label}="{value}"'
    return found


def _victorialogs(by_trace_id: bool, by_span_id: bool) -> str:
    # A phrase without a field is looked for in _msg.
    ids = [(by_trace_id, "trace_id", _TRACE), (by_span_id, "span_id", _SPAN)]
    parts = [f'({name}:="{value}" OR "{value}")' for wanted, name, value in ids if wanted]
    return " AND ".join([*parts, "${__tags}"])


def _opensearch(by_trace_id: bool, by_span_id: bool) -> str:
    # Lucene: a phrase without a field is looked for in all fields, whatever the pipeline names that of the id.
    parts = [f'"{value}"' for wanted, value in ((by_trace_id, _TRACE), (by_span_id, _SPAN)) if wanted]
    return " AND ".join([*parts, "${__tags}"])


_WRITERS = {LOKI: _loki, VICTORIALOGS: _victorialogs, OPENSEARCH: _opensearch}
