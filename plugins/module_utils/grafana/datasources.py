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

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import interval_seconds

# Without a mapped tag on the span Grafana shows no link to the logs and writes the invalid query `{,…}` for metrics;
# this attribute is the one that every span has.
ALWAYS = "service.name"


def provisioning(variables: Mapping[str, Any]) -> dict[str, Any]:
    """A document for Grafana's folder provisioning/datasources.

    variables: all grafana_* variables, as roles/grafana/meta/argument_specs.yml describes them. A data source is in
    it when its URL is set; without one, links go to a data source of that uid that Grafana has already
    (grafana_existing_datasource_uids), or are left out. Every "$" is doubled, since Grafana expands environment
    variables in these files. Raises InvalidInput, naming the variable.
    """
    v = variables
    existing = set(v["grafana_existing_datasource_uids"])
    uids = {name: str(v[f"grafana_{name}_uid"]) for name in ("tempo", "prometheus", "loki")}
    provisioned = [name for name in uids if v[f"grafana_{name}_url"]]
    _check_uids(uids, provisioned, existing)
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
    return {
        "kind": variables["grafana_provisioning_kind"],
        "labels": variables["grafana_provisioning_labels"],
        "document": provisioning(variables),
    }


def tags(name: str, given: Any) -> list[dict[str, str]]:
    """Tag mappings from objects {key, value} or names alone; a name maps to itself.

    name: the variable that an error names.
    """
    result = []
    for tag in given:
        tag = {"key": tag} if isinstance(tag, str) else tag
        if not isinstance(tag, Mapping) or not tag.get("key") or set(tag) - {"key", "value"}:
            raise InvalidInput(
                f"{name}: {tag!r} is no tag",
                remedy="Write {key: <span attribute>, value: <label>}, or the attribute's name alone.",
            )
        result.append({key: str(value) for key, value in tag.items()})
    if ALWAYS not in [tag["key"] for tag in result]:
        raise InvalidInput(
            f"{name} does not map {ALWAYS}",
            "a span without any mapped attribute would have no link, or one with an invalid query",
            f"Add {{key: {ALWAYS}, value: <label>}}.",
        )
    return result


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
        if _seconds("grafana_trace_query_time_shift", shift) < 0:
            raise InvalidInput(
                "grafana_trace_query_time_shift: it widens the range at both ends, so it is not negative"
            )
        json_data["traceQuery"] = {"timeShiftEnabled": True, "spanStartTimeShift": shift, "spanEndTimeShift": shift}
    if "loki" in linked:
        json_data["tracesToLogsV2"] = {
            "datasourceUid": v["grafana_loki_uid"],
            **_shifts(v, "grafana_traces_to_logs"),
            "tags": tags("grafana_traces_to_logs_tags", v["grafana_traces_to_logs_tags"]),
            "filterByTraceID": v["grafana_traces_to_logs_filter_by_trace_id"],
            "filterBySpanID": v["grafana_traces_to_logs_filter_by_span_id"],
            "customQuery": False,
        }
    if "prometheus" in linked:
        json_data["serviceMap"] = {"datasourceUid": v["grafana_prometheus_uid"]}
        json_data["tracesToMetrics"] = {
            "datasourceUid": v["grafana_prometheus_uid"],
            **_shifts(v, "grafana_traces_to_metrics"),
            "tags": tags("grafana_traces_to_metrics_tags", v["grafana_traces_to_metrics_tags"]),
            "queries": [_query(query) for query in v["grafana_traces_to_metrics_queries"]],
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
    if not re.match(r"https?://[^/]+", url):
        raise InvalidInput(f"grafana_{kind}_url: '{url}' is not a URL", remedy="Begin with http:// or https://.")
    return {"name": name, "type": kind, "uid": uid, "access": "proxy", "url": url, "jsonData": json_data}


def _query(query: Any) -> dict[str, str]:
    name = "grafana_traces_to_metrics_queries"
    if not isinstance(query, Mapping) or set(query) != {"name", "query"}:
        raise InvalidInput(f"{name}: {query!r} is no query", remedy="Write {name: <title>, query: <PromQL>}.")
    # With "$$", as a provisioning file needs it, or with "$", as a person writes it.
    text = str(query["query"]).replace("$$", "$")
    if "$__tags" not in text:
        raise InvalidInput(
            f"{name}: '{query['name']}' does not contain $__tags",
            "it would show the same for every span",
            "Put $__tags between the braces of the selector.",
        )
    return {"name": str(query["name"]), "query": text}


def _shifts(v: Mapping[str, Any], prefix: str) -> dict[str, str]:
    start, end = v[f"{prefix}_start_time_shift"], v[f"{prefix}_end_time_shift"]
    if _seconds(f"{prefix}_start_time_shift", start) >= _seconds(f"{prefix}_end_time_shift", end):
        raise InvalidInput(
            f"{prefix}_start_time_shift ({start}) is not before {prefix}_end_time_shift ({end})",
            "both are added to the span's start and end",
            "Make the start shift negative, for example -5m.",
        )
    return {"spanStartTimeShift": start, "spanEndTimeShift": end}


def _seconds(name: str, value: Any) -> float:
    try:
        return interval_seconds(value)
    except ValueError:
        remedy = "Write one number and one unit: -5m, 1h, 30s."
        raise InvalidInput(f"{name}: '{value}' is no interval", remedy=remedy) from None


def _check_uids(uids: Mapping[str, str], provisioned: list[str], existing: set[str]) -> None:
    if len(set(uids.values())) < len(uids):
        raise InvalidInput(
            "grafana_tempo_uid, grafana_prometheus_uid and grafana_loki_uid are not three different uids",
            f"they are {', '.join(uids.values())}",
        )
    for name in provisioned:
        if uids[name] in existing:
            raise InvalidInput(
                f"grafana_{name}_uid: '{uids[name]}' is also in grafana_existing_datasource_uids",
                "Grafana stops at a data source file that defines a uid a second time",
                f"To use the existing one leave grafana_{name}_url empty; else give this one another uid.",
            )


def _double_dollars(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _double_dollars(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_double_dollars(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
