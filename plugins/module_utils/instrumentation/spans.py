# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""How many spans of each service the collectors counted lately, from the span metrics in Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit

from ansible.module_utils.urls import open_url
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import refusal
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

METRIC = "traces_spanmetrics_calls_total"
# A Service of the cluster: <service>.<namespace>.svc, with or without a cluster domain.
SERVICE = re.compile(r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(\.[a-z0-9.-]+)?\.?")
SECONDS = 10.0


def query(minutes: int) -> str:
    """PromQL for the spans of each service in the last minutes. increase() alone misses what a counter had when it was
    first seen, which for a new service is everything."""
    new = f"(last_over_time({METRIC}[{minutes}m]) unless {METRIC} offset {minutes}m)"
    return f"sum by (service) ({new} or increase({METRIC}[{minutes}m]))"


def check_url(url: str) -> None:
    """InvalidInput for what is not an HTTP URL."""
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise InvalidInput(
            f"prometheus_url is '{url}', not an HTTP URL",
            remedy="Write the base URL of Prometheus, such as http://prometheus.monitoring.svc:9090.",
        )


def read(kube: Kube, url: str, minutes: int) -> tuple[dict[str, int] | None, str]:
    """Spans by service.name, and why they are not known, "" where they are. One request.

    url: of Prometheus; a Service of the cluster is reached through the API server. "" for none.
    """
    if not url:
        return None, "no prometheus_url is set"
    try:
        return parse(_ask(kube, url, {"query": query(minutes)})), ""
    except (TracingError, OSError, ValueError) as error:
        return None, f"{url} gave none: {error}"


def _ask(kube: Kube, url: str, parameters: Mapping[str, str]) -> Any:
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/api/v1/query"
    if match := SERVICE.fullmatch(parts.hostname or ""):
        port = parts.port or (443 if parts.scheme == "https" else 80)
        answer = kube.proxy(
            "services", match[2], match[1], port, path, query=dict(parameters), scheme=parts.scheme, timeout=SECONDS
        )
        if not answer.ok:
            raise refusal("the request through the API server", answer)
        return answer.json()
    address = f"{parts.scheme}://{parts.netloc}{path}?{urlencode(parameters)}"
    try:
        return json.load(open_url(address, timeout=SECONDS))
    except URLError as error:
        raise OSError(str(error.reason if not hasattr(error, "code") else error)) from error


def parse(document: Any) -> dict[str, int]:
    """Prometheus' answer to an instant query. ValueError where it is not a successful one."""
    if inside(document, "status") != "success":
        raise ValueError(inside(document, "error") or "the answer is not one of Prometheus")
    found = {}
    for one in inside(document, "data", "result") or []:
        if service := inside(one, "metric", "service"):
            found[str(service)] = round(float(one["value"][1]))
    return found
