#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: platform_info
short_description: Report what runs of the tracing platform, and what is near a limit
version_added: 0.1.0
description:
  - Reads the platform in one process, everything at the same time, and reports versions, replicas, restarts, queues,
    load, kept share, loss, cost per day, the periodic probe, and the end of certificates.
  - What cannot be read is null in the result, and named with the reason in C(unreadable); it is never shown as zero.
  - Displays the report as a table.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
    details: Nothing is ever written.
  diff_mode:
    support: none
options:
  namespace:
    description: Namespace of the platform.
    type: str
    default: tracing
  grafana_namespace:
    description: Namespace of the release with what Grafana's sidecar reads. Empty if there is none.
    type: str
    default: ''
  other_namespaces:
    description:
      - More namespaces with releases that belong to the platform, such as that of the local backends. The certificates
        that their pods mount are reported too.
    type: list
    elements: str
    default: []
  prometheus_url:
    description:
      - Base URL, without credentials, of the Prometheus that has the collectors' metrics. The host
        C(<service>.<namespace>.svc) is reached through the API server, any other directly.
      - If it is empty, or has none of these metrics, load and loss are those that the pods counted since they began.
    type: str
    default: ''
  last:
    description: How far back Prometheus is asked, as a Go duration of whole seconds, minutes or hours.
    type: str
    default: 1h
  certificate_days:
    description: A certificate that ends within this number of days is near its limit.
    type: int
    default: 30
  variables:
    description:
      - Variables of the roles tempo and collector and of the preflight role's entry point C(plan), as
        P(orion.tracing.role_variables#lookup) returns them, and C(verify_probe_enabled).
      - They give the ceilings, the releases that must be there and the cost. Without them, the cost is not known.
    type: dict
    default: {}
notes:
  - Requires the verb C(list) on pods, Secrets, workloads, CronJobs, Jobs and HorizontalPodAutoscalers, and C(get) on
    Secrets and C(pods/proxy). How full volumes are requires C(get) on C(nodes/proxy), for the whole cluster. Each of
    them may be missing; the report then lacks its part.
  - Of Secrets, only release records and certificates' dates are used.
seealso:
  - module: orion.tracing.trace_probe
  - module: orion.tracing.helm_release_info
"""

EXAMPLES = r"""
- name: Show what runs
  orion.tracing.platform_info:
    namespace: tracing

- name: Show it with load and loss of the last day, and what it costs
  orion.tracing.platform_info:
    namespace: tracing
    prometheus_url: http://prometheus.monitoring.svc:9090
    last: 24h
    variables: "{{ lookup('orion.tracing.role_variables', 'tempo', 'collector', 'preflight.plan') }}"

- name: Fail if something does not work
  orion.tracing.platform_info:
  register: platform
  failed_when: platform.failed | default(false) or platform.page.state == 'down'
"""

RETURN = r"""
msg:
  description: One sentence about the state.
  returned: success
  type: str
  sample: "Near a limit: the certificate of Secret tracing/tempo-tls, tls.crt ends in 12 days, on 2026-12-11T00:00:00Z."
table:
  description: The report as text. The action plugin displays it.
  returned: success
  type: str
page:
  description: The report as data. Sizes are in bytes, times in UTC.
  returned: success
  type: dict
  contains:
    state:
      description: >-
        V(down) if something does not work, else V(limit) if something is near a limit (80 % of it, or
        O(certificate_days)), else V(ok).
      type: str
    down:
      description: What does not work, in sentences.
      type: list
      elements: str
    limits:
      description: What is near a limit, in sentences.
      type: list
      elements: str
    unreadable:
      description: What could not be read (C(what)), and the reason (C(why)).
      type: list
      elements: dict
    kubernetes:
      description: Version of the API server.
      type: str
    time:
      description: When it was read.
      type: str
    releases:
      description: Helm releases of the platform, each with C(component), C(name), C(namespace), C(revision), C(status),
        C(chart), C(chart_version), C(app_version) and C(updated).
      type: list
      elements: dict
    workloads:
      description: Their workloads, each with C(release), C(kind), C(name), C(wanted), C(ready), C(restarts),
        C(last_termination) (empty if there was none) and C(images).
      type: list
      elements: dict
    queues:
      description: The exporters' queues, each with C(pod), C(exporter), C(signal), C(size) and C(capacity).
      type: list
      elements: dict
    memory:
      description: Resident memory of each collector and Tempo pod (C(pod), C(bytes), C(limit)).
      type: list
      elements: dict
    volumes:
      description: Volumes of the pods (C(claim), C(used), C(capacity)).
      type: list
      elements: dict
    autoscalers:
      description: HorizontalPodAutoscalers of the releases (C(name), C(replicas), C(max)).
      type: list
      elements: dict
    load:
      description: >-
        Rates per second, kept percentage of the traces, spans and bytes, and C(refused_spans) and C(lost), counts over
        the time that C(over) describes.
      type: dict
    cost_per_day:
      description: >-
        USD a day by the planner's formula (docs/capacity.md) for the load that was measured, with C(total).
        C(assumed) names the variables of the inventory that stand for what was not measured.
      type: dict
    bucket_bytes:
      description: Bytes of Tempo's blocks in the bucket, by Tempo's own list of them.
      type: int
    probe:
      description: >-
        The periodic probe. C(installed), C(suspended), C(schedule), C(last_scheduled), C(last_success),
        C(last_success_seconds_ago), C(last_result) (V(passed), V(failed) or V(unknown)) and C(last_result_at), and,
        from Prometheus, C(success), C(completeness) and C(freshness_seconds).
      type: dict
    certificates:
      description: Certificates of Secrets that pods mount, of the API server and of the kubeconfig's user (C(where),
        C(not_after), C(days_left)), the next one to end first.
      type: list
      elements: dict
api_calls:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 24
"""

from datetime import UTC, datetime
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.status import output, page
from ansible_collections.orion.tracing.plugins.module_utils.status.reading import StatusQuery, gather
from ansible_collections.orion.tracing.plugins.module_utils.store.prometheus import EXAMPLE
from ansible_collections.orion.tracing.plugins.module_utils.store.url import check_url
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import FRONT

ARGUMENTS: dict[str, dict[str, Any]] = {
    "namespace": {"type": "str", "default": "tracing"},
    "grafana_namespace": {"type": "str", "default": ""},
    "other_namespaces": {"type": "list", "elements": "str", "default": []},
    "prometheus_url": {"type": "str", "default": ""},
    "last": {"type": "str", "default": "1h"},
    "certificate_days": {"type": "int", "default": 30},
    "variables": {"type": "dict", "default": {}},
}


class InfoModule(TracingModule):
    """What the variables of an inventory hold is shown nowhere."""

    HIDDEN_OPTIONS = ("variables",)


def last_seconds(value: str) -> float:
    """Length of the time range. InvalidInput for what Prometheus does not take."""
    remedy = "Write a whole number with the unit s, m or h, such as 1h or 24h."
    try:
        seconds = duration_seconds(value)
    except ValueError as error:
        raise InvalidInput(f"option last: {error}", remedy=remedy) from error
    if seconds < 1 or "." in value or seconds != int(seconds):
        raise InvalidInput(f"option last is {value}, not whole seconds", remedy=remedy)
    return seconds


def main() -> None:
    module = InfoModule(ARGUMENTS, supports_check_mode=True)
    params = dict(module.params)
    with module.guard():
        check_url("prometheus_url", params["prometheus_url"], EXAMPLE)
        seconds = last_seconds(params["last"])
        if params["certificate_days"] < 0:
            raise InvalidInput(f"option certificate_days is {params['certificate_days']}", remedy="Write 0 or more.")
    wanted = StatusQuery(
        params["namespace"],
        params["grafana_namespace"],
        tuple(params["other_namespaces"]),
        str(params["variables"].get("tempo_release_name") or FRONT),
        params["prometheus_url"],
        f"{seconds:.0f}s",
    )
    with module.client() as kube:
        facts = gather(kube, wanted, params)
    now = datetime.fromtimestamp(Clock().time_ns() // 10**9, UTC)
    settings = page.StatusSettings(params["variables"], now, params["certificate_days"], params["last"], seconds)
    found = page.page(facts, settings)
    module.exit_json(
        changed=False, msg=output.sentence(found), table=output.table(found), page=found, api_calls=kube.calls
    )


if __name__ == "__main__":
    main()
