# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Grafana's data sources for traces, metrics and logs, linked with each other.

Pure: no I/O, no Ansible. The fields are those of TempoJsonData in grafana-tempo-datasource (src/types.ts), and of the
Jaeger, Prometheus, Loki, VictoriaLogs and OpenSearch data sources for Grafana 11 to 13; the chart's values.schema.json
holds their types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside, plain
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import interval_seconds
from ansible_collections.orion.tracing.plugins.module_utils.grafana import trace_to_logs
from ansible_collections.orion.tracing.plugins.module_utils.grafana.config_maps import oversized
from ansible_collections.orion.tracing.plugins.module_utils.grafana.given import (
    TEMPO_PORT,
    VARIABLE,
    Known,
    port_of_loki,
    translated,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    Finding,
    Place,
    errors,
    refuse,
    warning,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import (
    Reader,
    boolean,
    usable,
)

SIDECAR, API, NONE = "sidecar", "api", "none"
# Without a mapped tag on the span Grafana shows no link to the logs and writes the invalid query `{,…}` for metrics;
# this attribute is the one that every span has.
ALWAYS = "service.name"
# The role's own data sources, by the word in the names of their variables.
DATA_SOURCES = ("tempo", "jaeger", "prometheus", "logs")
TRACES = ("tempo", "jaeger")
LOG_STORES = tuple(trace_to_logs.PLUGINS)
TITLES = {
    "tempo": "Tempo",
    "jaeger": "Jaeger",
    "prometheus": "Prometheus",
    "loki": "Loki",
    "victorialogs": "VictoriaLogs",
    "opensearch": "OpenSearch",
}
# By which Tempo, Mimir and Loki know whose data is asked for.
TENANT_HEADER = "X-Scope-OrgID"
TENANTS = ("tempo", "prometheus", "logs")
FILE = "orion-tracing.yaml"


@dataclass(frozen=True)
class _Wanted:
    """The variables, and what follows from them before anything is built.

    uids, urls, kinds: of the role's own data sources, kinds being Grafana's types. given: what grafana_datasources has
    for them. others: other data sources in it. linked: names of those that exist, here or in Grafana already.
    """

    v: Mapping[str, Any]
    uids: Mapping[str, str]
    urls: Mapping[str, str]
    kinds: Mapping[str, str]
    given: Mapping[str, Mapping[str, Any]]
    others: list[dict[str, Any]]
    linked: frozenset[str]

    @property
    def provisioned(self) -> list[str]:
        return [name for name in DATA_SOURCES if self.urls[name]]

    @property
    def traces(self) -> str:
        """Which data source links to a trace open, "" for none."""
        return next((name for name in TRACES if name in self.linked), "")

    @property
    def store(self) -> str:
        return str(self.v["grafana_logs_type"])


def provisioning(variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[Finding]]:
    """A document for Grafana's folder provisioning/datasources, and warnings.

    variables: all grafana_* variables, as roles/grafana/meta/argument_specs.yml describes them. A data source is
    included when its URL is set; without one, links go to a data source of that uid that Grafana has already
    (grafana_existing_datasource_uids), or are left out. Every "$" is doubled, since Grafana expands environment
    variables in these files. Raises InvalidVariables with every error.
    """
    if variables["grafana_provisioning"] == API:
        # Secrets never become part of a document.
        variables = {**variables, "grafana_provisioning": SIDECAR}
    sources, warnings = api_sources(variables)
    document = {
        "apiVersion": 1,
        # Removes what an earlier version of this document provisioned and this one does not (Grafana 11.1 and later).
        "prune": True,
        # Secrets are expressions that Grafana is to expand, so their dollars stay single.
        "datasources": [
            {key: value if key == "secureJsonData" else _double_dollars(value) for key, value in source.items()}
            for source in sources
        ],
    }
    if problem := oversized({FILE: json.dumps(document, indent=2)}):
        raise InvalidInput(f"the object with the data sources {problem}", remedy=f"Shorten {VARIABLE}.")
    return document, warnings


def api_sources(variables: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[Finding]]:
    """The data sources as Grafana's HTTP API takes them, and warnings; same arguments and errors as provisioning.

    Dollars are single. With grafana_provisioning api, secureJsonData holds secrets.
    """
    warnings = refuse("the grafana role's variables", _problems(variables))
    wanted, _findings = _read(variables)
    build = {"tempo": _tempo, "jaeger": _jaeger, "prometheus": _prometheus, "logs": _logs}
    sources = []
    for name in wanted.provisioned:
        source = _datasource(wanted, name, build[name](wanted))
        given = plain(wanted.given.get(name, {}))
        json_data = source["jsonData"] | given.pop("jsonData", {})
        secrets = source.pop("secureJsonData", {}) | given.pop("secureJsonData", {})
        source |= {**given, "url": wanted.urls[name], "jsonData": json_data}
        sources.append({**source, **({"secureJsonData": secrets} if secrets else {})})
    sources += plain(wanted.others)
    for source in sources:
        _write_query(wanted, source["jsonData"])
    return sources, warnings


def grafana_values(variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[Finding]]:
    """Values of roles/grafana/files/chart, and warnings; same arguments and errors as provisioning."""
    document, warnings = provisioning(variables)
    return {
        "kind": variables["grafana_provisioning_kind"],
        "labels": Reader(variables).strings("grafana_provisioning_labels"),
        "document": document,
    }, warnings


def findings(variables: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with the role's variables. A variable that is not there has no finding."""
    return list(dict.fromkeys(finding for finding in _problems(variables) if finding.variable in variables))


def names_and_uids(variables: Mapping[str, Any]) -> list[tuple[Place, str, str]]:
    """(place, name, uid) of each data source that the role makes; place: the variable that holds its uid."""
    wanted, _findings = _read(variables)
    own = [
        (Place(f"grafana_{name}_uid"), str(wanted.given.get(name, {}).get("name", _title(wanted, name))), uid)
        for name, uid in wanted.uids.items()
        if wanted.urls[name]
    ]
    return own + [(Place(VARIABLE), str(source["name"]), str(source["uid"])) for source in wanted.others]


def linked_uids(variables: Mapping[str, Any]) -> dict[str, str]:
    """Uids of the data sources for traces that exist, here or in Grafana already, by type: tempo, jaeger."""
    wanted, _findings = _read(variables)
    return {name: wanted.uids[name] for name in TRACES if name in wanted.linked}


def _read(v: Mapping[str, Any]) -> tuple[_Wanted, list[Finding]]:
    """What can be read of the variables, and what is wrong with grafana_datasources. Nothing raises."""
    read = Reader(v)
    store = v.get("grafana_logs_type")
    kinds = {"tempo": "tempo", "jaeger": "jaeger", "prometheus": "prometheus"}
    kinds["logs"] = trace_to_logs.PLUGINS.get(str(store), "")
    uids = {name: read.text(f"grafana_{name}_uid") for name in DATA_SOURCES}
    urls = {name: read.text(f"grafana_{name}_url", empty=True) for name in DATA_SOURCES}
    known = Known({kinds[n]: uids[n] for n in DATA_SOURCES}, urls["tempo"], v.get("grafana_provisioning") != API)
    sources, found = translated(plain(v.get(VARIABLE) or []), known)
    given: dict[str, Mapping[str, Any]] = {}
    others = []
    for source in sources:
        name = next((n for n in DATA_SOURCES if (kinds[n], uids[n]) == (source["type"], source["uid"])), "")
        if name and name not in given:
            given[name] = source
            urls[name] = str(source.get("url") or urls[name])
        else:
            others.append(source)
    existing = set(read.listing("grafana_existing_datasource_uids"))
    linked = frozenset(name for name in DATA_SOURCES if urls[name] or uids[name] in existing)
    wanted = _Wanted(v, uids, urls, kinds, given, others, linked)
    everywhere = {*existing, *(uids[name] for name in linked), *(str(source["uid"]) for source in others)}
    return wanted, [*found, *_repeated(wanted), *_dangling([*given.values(), *others], everywhere)]


def _repeated(wanted: _Wanted) -> Iterator[Finding]:
    """Grafana stops at a file that defines a name or a uid twice."""
    own = [(_title(wanted, n), wanted.uids[n]) for n in wanted.provisioned]
    names, uids = {name for name, _uid in own}, {uid for _name, uid in own}
    for source in wanted.others:
        for key, taken in (("name", names), ("uid", uids)):
            if source[key] in taken:
                yield Finding(
                    VARIABLE,
                    f"has the {key} '{source[key]}' for {source['type']}, which another data source of this role has",
                    "Grafana takes neither a name nor a uid twice",
                    f"Give it another {key}, or change the role's (grafana_…_uid, grafana_…_url).",
                )
            taken.add(source[key])


def _dangling(sources: list[Mapping[str, Any]], uids: set[str]) -> Iterator[Finding]:
    for source in sources:
        for name in sorted(_uids_in(source["jsonData"]) - uids):
            yield warning(
                VARIABLE,
                f"links {source['name']} to the data source {name}, which neither this role makes nor "
                "grafana_existing_datasource_uids has",
                "Set its URL, or add it to grafana_existing_datasource_uids.",
                "the link would lead nowhere",
            )


def _uids_in(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        own = {str(value["datasourceUid"])} if value.get("datasourceUid") else set()
        return own.union(*(_uids_in(item) for item in value.values()))
    return set().union(*(_uids_in(item) for item in value)) if isinstance(value, list) else set()


def _problems(v: Mapping[str, Any]) -> list[Finding]:
    read = Reader(v)
    provisioning = read.choice("grafana_provisioning", (SIDECAR, API, NONE))
    url = read.text("grafana_url", empty=True)
    if provisioning == API and read.sound("grafana_provisioning", "grafana_url"):
        if not url:
            read.wrong("grafana_url", "is empty, but grafana_provisioning is api", "Set it to Grafana's URL.")
        elif not re.match(r"https?://[^/]+", url):
            read.wrong("grafana_url", f"is '{url}', not a URL", "Begin it with http:// or https://.")
    if provisioning == API and v.get("grafana_alerts_kind") == "PrometheusRule" and v.get("grafana_alerts_enabled"):
        read.wrong(
            "grafana_alerts_kind",
            "is PrometheusRule, but grafana_provisioning is api",
            "Set it to grafana, or load roles/grafana/files/alerts/prometheus.yml into your Prometheus.",
            "that is an object in the cluster, not in Grafana",
        )
    store = read.choice("grafana_logs_type", LOG_STORES)
    existing = read.listing("grafana_existing_datasource_uids")
    uids = {name: read.text(f"grafana_{name}_uid") for name in DATA_SOURCES}
    for name in DATA_SOURCES:
        _own_problems(read, name, uids[name], existing)
    for index, name in enumerate(DATA_SOURCES):
        for before in DATA_SOURCES[:index]:
            uid, other = f"grafana_{name}_uid", f"grafana_{before}_uid"
            if read.sound(uid, other) and uids[name] == uids[before]:
                read.wrong(uid, f"is '{uids[name]}', as is {other}", "Give each data source a uid of its own.")
    _tenant_problems(read, v, provisioning, store)
    _streaming_doubts(read, v)
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
    read.text("grafana_traces_to_logs_query", empty=True)
    read.mapping("grafana_logs_json_data")
    read.strings("grafana_provisioning_labels")
    if not errors(read.findings) or VARIABLE in v:
        read.findings += _read(v)[1]
    return read.findings


def _own_problems(read: Reader, name: str, uid: str, existing: list[Any]) -> None:
    variable, uid_variable = f"grafana_{name}_url", f"grafana_{name}_uid"
    url = read.text(variable, empty=True)
    if url and not re.match(r"https?://[^/]+", url):
        read.wrong(variable, f"is '{url}', not a URL", "Begin it with http:// or https://.")
    if name == "tempo" and port_of_loki(url):
        read.doubtful(variable, f"is {url}", f"Use port {TEMPO_PORT}.", port_of_loki(url))
    if url and read.sound(uid_variable, "grafana_existing_datasource_uids") and uid in existing:
        read.wrong(
            uid_variable,
            f"is '{uid}', which is also in grafana_existing_datasource_uids",
            f"To use the existing data source leave {variable} empty; else choose another uid.",
            "Grafana stops at a data source file that defines a uid a second time",
        )


def _tenant_problems(read: Reader, v: Mapping[str, Any], provisioning: str, store: str) -> None:
    for variable, other, way in (
        ("grafana_tenants", "grafana_tenant_variables", API),
        ("grafana_tenant_variables", "grafana_tenants", SIDECAR),
    ):
        if variable not in v:
            continue
        given = read.strings(variable)
        if given and provisioning != way:
            read.wrong(
                variable,
                f"is set, but grafana_provisioning is {provisioning}",
                f"Use {other}.",
                "the document of the sidecar is not secret, so Grafana has to read the tenant itself"
                if provisioning == SIDECAR
                else "Grafana reads variables of its environment in provisioning files only",
            )
        for name in set(given) - set(TENANTS):
            place = Place(variable).key(name)
            read.wrong(place, "is not a data source with tenants", f"Choose {', '.join(TENANTS)}.")
        if "logs" in given and store != trace_to_logs.LOKI:
            read.wrong(
                Place(variable).key("logs"),
                f"is set, but grafana_logs_type is {store}",
                "For VictoriaLogs set grafana_logs_json_data: {multitenancyHeaders: {AccountID: …, ProjectID: …}}.",
                f"only Loki reads the header {TENANT_HEADER}",
            )
    named = v["grafana_tenant_variables"] if read.sound("grafana_tenant_variables") else {}
    for name, found in named.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", str(found)):
            read.wrong(
                Place("grafana_tenant_variables").key(name),
                f"is '{found}', which is not the name of an environment variable",
                "Name a variable of Grafana's container, filled from a Secret (envValueFrom of Grafana's chart).",
            )


def _streaming_doubts(read: Reader, v: Mapping[str, Any]) -> None:
    url = read.text("grafana_tempo_url", empty=True)
    if not url or not usable(False, boolean, v.get("grafana_streaming_enabled")):
        return
    if str(inside(v.get("tempo_extra_config"), "stream_over_http_enabled")).lower() == "false":
        read.doubtful(
            "grafana_streaming_enabled",
            "is true, but tempo_extra_config switches stream_over_http_enabled off",
            "Set grafana_streaming_enabled: false, or remove stream_over_http_enabled from tempo_extra_config.",
            "searches in Grafana fail with 404 or Unimplemented",
        )
    elif usable("", lambda: urlsplit(url).scheme) == "https":
        read.doubtful(
            "grafana_streaming_enabled",
            f"is true, and {url} is probably a proxy in front of Tempo",
            "Make sure that it passes gRPC on, and that Tempo has stream_over_http_enabled: true; else set "
            "grafana_streaming_enabled: false. grafana_info shows whether it works.",
            "results are streamed by gRPC on the same port",
        )


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


def _tempo(w: _Wanted) -> dict[str, Any]:
    v = w.v
    json_data: dict[str, Any] = {
        **_of_traces(w),
        "streamingEnabled": {
            "search": v["grafana_streaming_enabled"],
            "metrics": v["grafana_streaming_enabled"],
        },
    }
    shift = v["grafana_trace_query_time_shift"]
    if shift:
        json_data["traceQuery"] = {"timeShiftEnabled": True, "spanStartTimeShift": shift, "spanEndTimeShift": shift}
    if "prometheus" in w.linked:
        json_data["serviceMap"] = {"datasourceUid": w.uids["prometheus"]}
    return json_data


def _jaeger(w: _Wanted) -> dict[str, Any]:
    json_data = _of_traces(w)
    if w.v["grafana_trace_query_time_shift"]:
        # Jaeger takes the chosen range as it is.
        json_data["traceIdTimeParams"] = {"enabled": True}
    return json_data


def _of_traces(w: _Wanted) -> dict[str, Any]:
    v = w.v
    json_data: dict[str, Any] = {
        "nodeGraph": {"enabled": True},
        "spanBar": {"type": "Tag", "tag": v["grafana_span_bar_tag"]},
    }
    if "logs" in w.linked:
        json_data["tracesToLogsV2"] = {
            "datasourceUid": w.uids["logs"],
            **_shifts(v, "grafana_traces_to_logs"),
            "tags": tags(v["grafana_traces_to_logs_tags"]),
            # Grafana reads these only without a query; they say what ours filters by.
            "filterByTraceID": v["grafana_traces_to_logs_filter_by_trace_id"],
            "filterBySpanID": v["grafana_traces_to_logs_filter_by_span_id"],
        }
        if own := v["grafana_traces_to_logs_query"]:
            json_data["tracesToLogsV2"] |= {"customQuery": True, "query": str(own).replace("$$", "$")}
    if "prometheus" in w.linked:
        json_data["tracesToMetrics"] = {
            "datasourceUid": w.uids["prometheus"],
            **_shifts(v, "grafana_traces_to_metrics"),
            "tags": tags(v["grafana_traces_to_metrics_tags"]),
            "queries": [
                {"name": str(query["name"]), "query": _dollars(query)}
                for query in v["grafana_traces_to_metrics_queries"]
            ],
        }
    return json_data


def _write_query(w: _Wanted, json_data: dict[str, Any]) -> None:
    """The query for the logs of a span, where there is none yet, in the language of the store that it goes to."""
    link = json_data.get("tracesToLogsV2")
    if not isinstance(link, Mapping) or link.get("datasourceUid") != w.uids["logs"]:
        return
    found = dict(link)
    found["tags"] = trace_to_logs.labels(w.store, tags(link.get("tags") or w.v["grafana_traces_to_logs_tags"]))
    if not (link.get("customQuery") and link.get("query")):
        by_trace_id, by_span_id = (bool(link.get(f"filterBy{what}ID")) for what in ("Trace", "Span"))
        found |= {"customQuery": True, "query": trace_to_logs.query(w.store, by_trace_id, by_span_id)}
    json_data["tracesToLogsV2"] = found


def _prometheus(w: _Wanted) -> dict[str, Any]:
    json_data: dict[str, Any] = {"httpMethod": "POST"}
    if w.traces:
        json_data["exemplarTraceIdDestinations"] = [
            # Tempo's metrics-generator names the label traceID, SDKs and the collector name it trace_id.
            {"name": label, "datasourceUid": w.uids[w.traces]}
            for label in ("traceID", "trace_id")
        ]
    return json_data


def _logs(w: _Wanted) -> dict[str, Any]:
    json_data: dict[str, Any] = {}
    if w.store == trace_to_logs.OPENSEARCH:
        json_data = _OPENSEARCH
        if w.traces:
            link = {"field": "^trace_?[iI]d$", "url": "${__value.raw}", "datasourceUid": w.uids[w.traces]}
            json_data = {**json_data, "dataLinks": [link]}
    elif w.traces:
        field = {
            "name": "trace_id",
            "matcherType": "label",
            "matcherRegex": "trace[_]?id",
            "datasourceUid": w.uids[w.traces],
            "url": "${__value.raw}",
        }
        # Loki keeps the trace id of an OTLP log record as structured metadata, and VictoriaLogs as a field; Grafana
        # treats both as labels.
        json_data["derivedFields"] = [field]
    return json_data | plain(w.v["grafana_logs_json_data"])


# What Data Prepper's otel_logs_source writes.
# Source: https://docs.opensearch.org/latest/data-prepper/pipelines/configuration/sources/otel-logs-source/
_OPENSEARCH = {
    "flavor": "opensearch",
    "version": "2.18.0",
    "database": "logs-otel-v1-*",
    "timeField": "time",
    "logMessageField": "body",
    "logLevelField": "severityText",
}


def _title(w: _Wanted, name: str) -> str:
    return TITLES.get(str(w.v.get("grafana_logs_type")), "Logs") if name == "logs" else TITLES[name]


def _datasource(w: _Wanted, name: str, json_data: dict[str, Any]) -> dict[str, Any]:
    source = {
        "name": _title(w, name),
        "type": w.kinds[name],
        "uid": w.uids[name],
        "access": "proxy",
        "url": w.urls[name],
        "jsonData": json_data,
    }
    files = w.v["grafana_provisioning"] != API
    tenant = (w.v["grafana_tenant_variables" if files else "grafana_tenants"] or {}).get(name)
    if tenant:
        source["jsonData"] = {**json_data, "httpHeaderName1": TENANT_HEADER}
        source["secureJsonData"] = {"httpHeaderValue1": f"$__env{{{tenant}}}" if files else str(tenant)}
    return source


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
