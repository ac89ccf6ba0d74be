# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Data sources as users have them in provisioning files (grafana_datasources), brought up to date. Pure.

What Grafana 12 and 13 ignore, or read as something else, is translated or left out with a warning. Every string is
returned with single dollars: provisioning files double them.
Sources: TempoJsonData in src/types.ts of https://github.com/grafana/grafana-tempo-datasource, getTraceToLogsOptions in
packages/grafana-o11y-ds-frontend/src/TraceToLogs/TraceToLogsSettings.tsx of https://github.com/grafana/grafana.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place, error, warning

VARIABLE = "grafana_datasources"
# What a file may have for a data source.
# Source: https://grafana.com/docs/grafana/latest/administration/provisioning/#data-sources
_OF_SOURCES = {"name", "type", "uid", "access", "url", "user", "database", "isDefault", "jsonData", "secureJsonData"}
_OF_SOURCES |= {"basicAuth", "basicAuthUser", "withCredentials"}
# Not about the data source itself: a file's own, or Grafana's.
_OF_FILES = {"orgId", "version", "editable", "apiVersion"}
# How Grafana reads a value from its environment or from a file, in provisioning files only.
EXPANSION = re.compile(r"\$__(?:env|file)\{[^{}]+\}|\$\{\w+\}|\$\w+")
UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
LOKI_PORT, TEMPO_PORT = 3100, 3200
# A metric of this platform, in a query.
_OURS = re.compile(r"\btraces_(?:spanmetrics|service_graph)_")


@dataclass(frozen=True)
class Known:
    """uids: those of the role's own data sources, by Grafana's type. tempo_url: the role's. from_files: whether secrets
    can be expanded by Grafana (provisioning files), rather than sent (HTTP API)."""

    uids: Mapping[str, str]
    tempo_url: str
    from_files: bool


def translated(given: Any, known: Known) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Data sources {name, type, uid, …, jsonData, secureJsonData?} of a document, of a list of data sources or of
    documents. What is not one has an error and is left out."""
    sources, findings = [], []
    for place, source in _each(given, Place(VARIABLE)):
        if isinstance(source, Finding):
            findings.append(source)
            continue
        found = list(_one(place, source, known))
        findings += [finding for finding in found if isinstance(finding, Finding)]
        sources += [one for one in found if not isinstance(one, Finding)]
    return sources, findings


def _each(given: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    """Every data source with its place, or a finding instead."""
    if isinstance(given, Mapping) and "datasources" in given:
        yield from _each(given["datasources"], place.key("datasources"))
    elif isinstance(given, list):
        for index, item in enumerate(given):
            yield from _each(item, place.item(index))
    elif isinstance(given, Mapping) and isinstance(given.get("type"), str):
        yield place, given
    else:
        shape = "Write {name: …, type: tempo, url: …, jsonData: {…}}, or a document {apiVersion: 1, datasources: […]}."
        yield place, error(place, f"is {_shown(given)}, not a data source", shape)


def _shown(value: Any) -> str:
    """Without values: they may be secrets."""
    return f"a mapping of {', '.join(map(str, value)) or 'nothing'}" if isinstance(value, Mapping) else repr(value)


def _one(place: Place, given: Mapping[str, Any], known: Known) -> Iterator[Finding | dict[str, Any]]:
    """The data source, after what there is to say about it."""
    kind = given["type"]
    source: dict[str, Any] = {"name": kind.capitalize(), "access": "proxy"}
    for key, value in given.items():
        if key in _OF_SOURCES:
            source[key] = single_dollars(value)
        elif key not in _OF_FILES:
            yield warning(place.key(key), "is not a key of a data source", "Remove it.", "Grafana ignores it")
    if not source.get("uid"):
        if kind not in known.uids:
            yield error(place, "has no uid", "Give it one: links between data sources need it.")
            return
        source["uid"] = known.uids[kind]
        yield warning(
            place,
            f"has no uid, so it gets {source['uid']}",
            f"Add uid: {source['uid']}.",
            "Grafana would generate one, which no link can name",
        )
    if not UID.fullmatch(str(source["uid"])):
        shape = "Use 1 to 40 letters, digits, hyphens and underscores."
        yield error(place.key("uid"), f"is '{source['uid']}', which cannot be a uid", shape)
        return
    url = source.get("url")
    if url and not re.match(r"https?://[^/]+", str(url)):
        yield error(place.key("url"), f"is '{url}', not a URL", "Begin it with http:// or https://.")
        return
    if not isinstance(source.setdefault("jsonData", {}) or {}, Mapping):
        yield error(place.key("jsonData"), "is not a mapping", "Write it as {key: value}.")
        return
    source["jsonData"] = dict(source["jsonData"] or {})
    yield from _secrets(place.key("secureJsonData"), source.get("secureJsonData"), known)
    if kind in ("tempo", "jaeger"):
        yield from _traces(place.key("jsonData"), source["jsonData"])
    if kind == "tempo":
        yield from _tempo(place, source, known)
    yield source


def _secrets(place: Place, secrets: Any, known: Known) -> Iterator[Finding]:
    if secrets is None:
        return
    if not isinstance(secrets, Mapping) or not all(isinstance(value, str) for value in secrets.values()):
        yield error(place, "is not a mapping of strings", "Write it as {httpHeaderValue1: $__env{NAME}}.")
        return
    for key, value in secrets.items():
        expanded = bool(EXPANSION.fullmatch(value))
        if known.from_files and not expanded:
            yield error(
                place.key(key),
                "is a value, not where Grafana finds it",
                "Write $__env{NAME} for a variable of Grafana's container, or $__file{/path} for a file in it, and "
                "fill that from a Secret (envValueFrom, extraSecretMounts of Grafana's chart).",
                "the document would show it to everybody who may read the object or the Helm release",
            )
        elif not known.from_files and expanded:
            yield error(
                place.key(key),
                f"is {value}",
                "Give the value, from a vault or lookup('ansible.builtin.env', …).",
                "Grafana expands that in provisioning files only, and grafana_provisioning is api",
            )


def _traces(place: Place, data: dict[str, Any]) -> Iterator[Finding]:
    """What data sources for traces have in common."""
    if "tracesToLogs" in data:
        old = data.pop("tracesToLogs")
        here = place.key("tracesToLogs")
        if "tracesToLogsV2" in data or not isinstance(old, Mapping):
            yield warning(here, "is ignored by Grafana", "Remove it; tracesToLogsV2 took its place.")
        else:
            yield warning(here, "is read as tracesToLogsV2", "Rename it; its tags are objects {key, value} there.")
            data["tracesToLogsV2"] = dict(_version_2(old))
            yield from _outdated_tags(here, old)
    if "lokiSearch" in data:
        del data["lokiSearch"]
        yield warning(place.key("lokiSearch"), "is ignored", "Remove it.", "Grafana no longer searches Loki for traces")
    metrics = data.get("tracesToMetrics")
    if isinstance(metrics, Mapping):
        for index, query in enumerate(metrics.get("queries") or []):
            text = str(query.get("query")) if isinstance(query, Mapping) else ""
            if text and not _OURS.search(text):
                yield warning(
                    place.key("tracesToMetrics").key("queries").item(index).key("query"),
                    f"is of metrics that this platform does not write: {text}",
                    "Use traces_spanmetrics_calls_total and traces_spanmetrics_latency_bucket.",
                    "the link shows nothing unless the applications write them",
                )


def _version_2(old: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in ("datasourceUid", "spanStartTimeShift", "spanEndTimeShift", "filterByTraceID", "filterBySpanID"):
        if key in old:
            yield key, old[key]
    mapped = old.get("mappedTags") if old.get("mapTagNamesEnabled") else None
    yield "tags", list(mapped or old.get("tags") or [])


def _outdated_tags(place: Place, old: Mapping[str, Any]) -> Iterator[Finding]:
    reasons = {
        "mapTagNamesEnabled": "Write the labels into tags: [{key: service.name, value: service_name}].",
        "mappedTags": "Rename it to tags.",
        "lokiSearch": "Remove it.",
    }
    for key, remedy in reasons.items():
        if key in old:
            yield warning(place.key(key), "is not a key of tracesToLogsV2", remedy)
    if old.get("tags") and old.get("mappedTags") and old.get("mapTagNamesEnabled"):
        yield warning(place.key("tags"), "is replaced by mappedTags", "Keep one list of tags.", "so did Grafana")


def _tempo(place: Place, source: dict[str, Any], known: Known) -> Iterator[Finding]:
    if "httpMethod" in source["jsonData"]:
        del source["jsonData"]["httpMethod"]
        yield warning(
            place.key("jsonData").key("httpMethod"),
            "is ignored",
            "Remove it.",
            "it is one of Prometheus data sources",
        )
    url = str(source.get("url") or "")
    if url and known.tempo_url and _service(url) == _service(known.tempo_url) and url != known.tempo_url:
        source["url"] = known.tempo_url
        why = f"{port_of_loki(url)}; " if port_of_loki(url) else ""
        yield warning(
            place.key("url"),
            f"is {url}, read as grafana_tempo_url {known.tempo_url}",
            "Write that, or leave it out.",
            f"{why}without a namespace the name is found only in Tempo's own",
        )
    elif url and port_of_loki(url):
        yield warning(place.key("url"), f"is {url}", f"Use port {TEMPO_PORT}.", port_of_loki(url))


def port_of_loki(url: str) -> str:
    """Why the port of a Tempo's URL is wrong, as a clause, if it is Loki's; else ""."""
    try:
        port = urlsplit(url).port
    except ValueError:
        return ""
    return f"{LOKI_PORT} is the port of Loki, and was Tempo's in old charts" if port == LOKI_PORT else ""


def _service(url: str) -> str:
    return (urlsplit(url).hostname or "").partition(".")[0]


def single_dollars(value: Any) -> Any:
    """A copy in which "$$", as a provisioning file needs it, is "$"."""
    if isinstance(value, Mapping):
        return {key: single_dollars(item) for key, item in value.items()}
    if isinstance(value, list):
        return [single_dollars(item) for item in value]
    return str(value).replace("$$", "$") if isinstance(value, str) else value
