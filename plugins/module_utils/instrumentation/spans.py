# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""How many spans of each service the collectors counted lately, from the span metrics in Prometheus."""

from __future__ import annotations

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.store.prometheus import Prometheus, increase

METRIC = "traces_spanmetrics_calls_total"


def read(kube: Kube, url: str, minutes: int) -> tuple[dict[str, int] | None, str]:
    """Spans by service.name, and why they are not known, "" where they are. One request.

    url: of Prometheus; a Service of the cluster is reached through the API server. "" for none.
    """
    if not url:
        return None, "no prometheus_url is set"
    try:
        found = Prometheus(kube, url).query(f"sum by (service) ({increase(METRIC, f'{minutes}m')})")
    except TracingError as error:
        return None, f"{url} gave none: {error}"
    return {labels["service"]: round(value) for labels, value in found if labels.get("service")}, ""
