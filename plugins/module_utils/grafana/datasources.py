# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Grafana's data sources for traces, metrics and logs, linked with each other, as a provisioning document.

Pure: no I/O, no Ansible. The fields are those of TempoJsonData in grafana-tempo-datasource (src/types.ts) and of the
Prometheus and Loki data sources of Grafana 12 and 13; the chart's values.schema.json holds their types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import interval_seconds
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place, refuse
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import Reader

# Without a mapped tag on the span Grafana shows no link to the logs and writes the invalid query `{,…}` for metrics;
# this attribute is the one that every span has.
ALWAYS = "service.name"
DATA_SOURCES = ("tempo", "prometheus", "loki")


def provisioning(variables: Mapping[str, Any]) -> dict[str, Any]:
    """A document for Grafana's folder provisioning/datasources.

    variables: all grafana_* variables, as roles/grafana/meta/argument_specs.yml describes them. A data source is
    included when its URL is set; without one, links go to a data source of that uid that Grafana has already
    (grafana_existing_datasource_uids), or are left out. Every "$" is doubled, since Grafana expands environment
    variables in these files. Raises InvalidVariables with every error.
    """
    refuse("the grafana role's variables", _problems(variables))
    v = variables
    existing = set(v["grafana_existing_datasource_uids"])
    uids = {name: str(v[f"grafana_{name}_uid"]) for name in DATA_SOURCES}
    provisioned = [name for name in uids if v[f"grafana_{name}_url"]]
    linked = {name for name, uid in uids.items() if name in provisioned or uid in existing}
    build = {"tempo": _tempo, "prometheus": _prometheus, "loki": _loki}
    document = {
        "apiVersion": 1,
        # Removes what an earlier version of this document provisioned and this one does not (Grafana 11.1 and later).
        "prune": True,
        "datasources": [build[name](v, linked) for name in provisioned],
    }
    doubled: dict[str, Any] = _double_dollars(document)
    return doubled


def grafana_values(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Values of roles/grafana/files/chart; same arguments and errors as provisioning."""
    document = provisioning(variables)
    return {
        "kind": variables["grafana_provisioning_kind"],
        "labels": Reader(variables).strings("grafana_provisioning_labels"),
        "document": document,
    }


def findings(variables: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with the role's variables. A variable that is not there has no finding."""
    return list(dict.fromkeys(finding for finding in _problems(variables) if finding.variable in variables))


def _problems(v: Mapping[str, Any]) -> list[Finding]:
    read = Reader(v)
    existing = read.listing("grafana_existing_datasource_uids")
    uids = {name: read.text(f"grafana_{name}_uid") for name in DATA_SOURCES}
    for name in DATA_SOURCES:
        url, uid = read.text(f"grafana_{name}_url", empty=True), f"grafana_{name}_uid"
        if url and not re.match(r"https?://[^/]+", url):
            read.wrong(f"grafana_{name}_url", f"is '{url}', not a URL", "Begin it with http:// or https://.")
        if url and read.sound(uid, "grafana_existing_datasource_uids") and uids[name] in existing:
            read.wrong(
                uid,
                f"is '{uids[name]}', which is also in grafana_existing_datasource_uids",
                f"To use the existing data source leave grafana_{name}_url empty; else choose another uid.",
                "Grafana stops at a data source file that defines a uid a second time",
            )
    for index, name in enumerate(DATA_SOURCES):
        for before in DATA_SOURCES[:index]:
            uid, other = f"grafana_{name}_uid", f"grafana_{before}_uid"
            if read.sound(uid, other) and uids[name] == uids[before]:
                read.wrong(uid, f"is '{uids[name]}', as is {other}", "Give each data source a uid of its own.")
    shift = "grafana_trace_query_time_shift"
    if read.text(shift, empty=True) and (_shift(read, shift) or 0) < 0:
        read.wrong(shift, f"is {v[shift]}, negative", "Give a positive interval: it widens the range at both ends.")
    for links in ("logs", "metrics"):
        _tag_problems(read, f"grafana_traces_to_{links}_tags")
        start, end = (f"grafana_traces_to_{links}_{which}_time_shift" for which in ("start", "end"))
        seconds = [_shift(read, name) for name in (start, end)]
        if None not in seconds and seconds[0] >= seconds[1]:  # type: ignore[operator]
            read.wrong(
                start,
                f"is {v[start]}, not before {end} ({v[end]})",
                "Make the start shift negative, for example -5m.",
                "both are added to the span's start and end",
            )
    _query_problems(read, "grafana_traces_to_metrics_queries")
    read.strings("grafana_provisioning_labels")
    return read.findings


def _shift(read: Reader, name: str) -> float | None:
    """Seconds of an interval; None if it is missing or wrong."""
    written = read.text(name)
    if not read.sound(name):
        return None
    try:
        return interval_seconds(written)
    except ValueError:
        read.wrong(name, f"is '{written}', not an interval", "Write one number and one unit: -5m, 1h, 30s.")
        return None


def _tag_problems(read: Reader, name: str) -> None:
    given = read.listing(name)
    keys = []
    for index, tag in enumerate(given):
        tag = {"key": tag} if isinstance(tag, str) else tag
        if not isinstance(tag, Mapping) or not tag.get("key") or set(tag) - {"key", "value"}:
            read.wrong(
                Place(name).item(index),
                f"is {tag!r}, not a tag",
                "Write {key: <span attribute>, value: <label>}, or the attribute's name alone.",
            )
        else:
            keys.append(tag["key"])
    if ALWAYS not in keys and len(keys) == len(given) and isinstance(given, list) and read.sound(name):
        read.wrong(
            name,
            f"does not map {ALWAYS}",
            f"Add {{key: {ALWAYS}, value: <label>}}.",
            "a span without any mapped attribute would have no link, or one with an invalid query",
        )


def _query_problems(read: Reader, name: str) -> None:
    for index, query in enumerate(read.listing(name)):
        place = Place(name).item(index)
        if not isinstance(query, Mapping) or set(query) != {"name", "query"}:
            read.wrong(place, f"is {query!r}, not a query", "Write {name: <title>, query: <PromQL>}.")
        elif "$__tags" not in _dollars(query):
            read.wrong(
                place.key("query"),
                "does not contain $__tags",
                "Put $__tags between the braces of the selector.",
                "it would show the same for every span",
            )


def _dollars(query: Mapping[str, Any]) -> str:
    """The query with single dollars, also if it is written with "$$", as a provisioning file needs it."""
    return str(query["query"]).replace("$$", "$")


def tags(given: Any) -> list[dict[str, str]]:
    """Tag mappings from objects {key, value} or names alone; a name maps to itself."""
    return [
        {key: str(value) for key, value in ({"key": tag} if isinstance(tag, str) else tag).items()} for tag in given
    ]


def _tempo(v: Mapping[str, Any], linked: set[str]) -> dict[str, Any]:
    json_data: dict[str, Any] = {
        "nodeGraph": {"enabled": True},
        "streamingEnabled": {
            "search": v["grafana_streaming_enabled"],
            "metrics": v["grafana_streaming_enabled"],
        },
        "spanBar": {"type": "Tag", "tag": v["grafana_span_bar_tag"]},
    }
    shift = v["grafana_trace_query_time_shift"]
    if shift:
        json_data["traceQuery"] = {"timeShiftEnabled": True, "spanStartTimeShift": shift, "spanEndTimeShift": shift}
    if "loki" in linked:
        json_data["tracesToLogsV2"] = {
            "datasourceUid": v["grafana_loki_uid"],
            **_shifts(v, "grafana_traces_to_logs"),
            "tags": tags(v["grafana_traces_to_logs_tags"]),
            "filterByTraceID": v["grafana_traces_to_logs_filter_by_trace_id"],
            "filterBySpanID": v["grafana_traces_to_logs_filter_by_span_id"],
            "customQuery": False,
        }
    if "prometheus" in linked:
        json_data["serviceMap"] = {"datasourceUid": v["grafana_prometheus_uid"]}
        json_data["tracesToMetrics"] = {
            "datasourceUid": v["grafana_prometheus_uid"],
            **_shifts(v, "grafana_traces_to_metrics"),
            "tags": tags(v["grafana_traces_to_metrics_tags"]),
            "queries": [
                {"name": str(query["name"]), "query": _dollars(query)}
                for query in v["grafana_traces_to_metrics_queries"]
            ],
        }
    return _datasource("Tempo", "tempo", v["grafana_tempo_uid"], v["grafana_tempo_url"], json_data)


def _prometheus(v: Mapping[str, Any], linked: set[str]) -> dict[str, Any]:
    json_data: dict[str, Any] = {"httpMethod": "POST"}
    if "tempo" in linked:
        json_data["exemplarTraceIdDestinations"] = [
            # Tempo's metrics-generator names the label traceID, SDKs and the collector name it trace_id.
            {"name": label, "datasourceUid": v["grafana_tempo_uid"]}
            for label in ("traceID", "trace_id")
        ]
    return _datasource("Prometheus", "prometheus", v["grafana_prometheus_uid"], v["grafana_prometheus_url"], json_data)


def _loki(v: Mapping[str, Any], linked: set[str]) -> dict[str, Any]:
    if "tempo" not in linked:
        return _datasource("Loki", "loki", v["grafana_loki_uid"], v["grafana_loki_url"], {})
    # Loki keeps the trace id of an OTLP log record as structured metadata, which Grafana treats as a label.
    field = {
        "name": "trace_id",
        "matcherType": "label",
        "matcherRegex": "trace[_]?id",
        "datasourceUid": v["grafana_tempo_uid"],
        "url": "${__value.raw}",
    }
    return _datasource("Loki", "loki", v["grafana_loki_uid"], v["grafana_loki_url"], {"derivedFields": [field]})


def _datasource(name: str, kind: str, uid: str, url: str, json_data: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "type": kind, "uid": uid, "access": "proxy", "url": url, "jsonData": json_data}


def _shifts(v: Mapping[str, Any], prefix: str) -> dict[str, str]:
    return {
        "spanStartTimeShift": v[f"{prefix}_start_time_shift"],
        "spanEndTimeShift": v[f"{prefix}_end_time_shift"],
    }


def _double_dollars(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _double_dollars(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_double_dollars(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
