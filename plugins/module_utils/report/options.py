# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The options of modules that write a page; documented in the fragment orion.tracing.report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.grafana.datasources import TITLES
from ansible_collections.orion.tracing.plugins.module_utils.grafana.trace_to_logs import PLUGINS, VICTORIALOGS
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.report import links
from ansible_collections.orion.tracing.plugins.module_utils.report.logs import LogsOfTraces
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import TraceRows
from ansible_collections.orion.tracing.plugins.module_utils.store import logs as log_store
from ansible_collections.orion.tracing.plugins.module_utils.store.logs import VictoriaLogs
from ansible_collections.orion.tracing.plugins.module_utils.store.url import check_url

REPORT_OPTIONS: dict[str, dict[str, Any]] = {
    "report_template": {"type": "path"},
    "grafana_url": {"type": "str", "default": ""},
    "grafana_uid": {"type": "str", "default": "tempo"},
    "grafana_traces_to_logs": {"type": "dict", "default": {}},
    "logs_type": {"type": "str", "choices": list(PLUGINS), "default": VICTORIALOGS},
    "logs_url": {"type": "str", "default": ""},
}


def check(params: Mapping[str, Any]) -> None:
    """InvalidInput for options that cannot be."""
    links.check_grafana_url("grafana_url", params["grafana_url"])
    links.check_traces_to_logs("grafana_traces_to_logs", params["grafana_traces_to_logs"])
    check_url("logs_url", params["logs_url"], log_store.EXAMPLE)


def trace_link(params: Mapping[str, Any], trace: TraceRows) -> str:
    """A trace in Grafana, '' without grafana_url."""
    return links.explore(params["grafana_url"], params["store_reader"], params["grafana_uid"], trace)


def logs_of(kube: Kube, params: Mapping[str, Any]) -> LogsOfTraces:
    """What gives the logs of traces."""
    kind, url = params["logs_type"], params["logs_url"]

    def link(trace: TraceRows) -> str:
        return links.logs(params["grafana_url"], kind, params["grafana_traces_to_logs"], trace)

    if not url:
        return LogsOfTraces(None, "No log store is configured (grafana_logs_url).", link)
    if kind != VICTORIALOGS:
        return LogsOfTraces(None, f"Logs are in {TITLES[kind]}, which this report does not read.", link)
    return LogsOfTraces(VictoriaLogs(kube, url), link=link)
