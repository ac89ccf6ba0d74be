#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: instrumentation_info
short_description: Report which workloads are instrumented, and why others are not
version_added: 0.1.0
description:
  - Reports for every workload of a namespace whether its pods have a tracing agent, and if not, why not and what to do.
  - With Prometheus, also how many spans of each service the collectors counted lately.
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
    description:
      - Namespace whose workloads are reported.
      - Without it, workloads of all namespaces are, except those that neither have an agent nor ask for one.
    type: str
  name:
    description: Report only workloads of this name.
    type: str
  workloads:
    description: Whether workloads are reported. If false, only RV(modes) is read, with fewer requests.
    type: bool
    default: true
  prometheus_url:
    description:
      - Base URL, without credentials, of the Prometheus that has the collectors' span metrics
        (C(traces_spanmetrics_calls_total)). The host C(<service>.<namespace>.svc) is reached through the API server,
        which requires the verb C(get) on C(services/proxy); any other directly.
      - If empty, the numbers of spans are unknown, and the table has no column for them.
    type: str
    default: ''
  since:
    description: Number of minutes for which spans are counted.
    type: int
    default: 15
notes:
  - Requires the verbs C(get) on the namespace and C(list) on pods and workloads. Policies, and the resources and
    webhook of the OpenTelemetry Operator, are read if the user may; otherwise some causes cannot be reported.
  - C(service.name) is that of the pod's environment, so numbers of spans are of all workloads that share a name.
seealso:
  - module: orion.tracing.instrumentation_workloads
"""

EXAMPLES = r"""
- name: Show whether the services of a namespace are instrumented
  orion.tracing.instrumentation_info:
    namespace: shop
    prometheus_url: http://prometheus.monitoring.svc:9090

- name: Read what can instrument pods in the cluster
  orion.tracing.instrumentation_info:
    workloads: false
  register: instrumentation

- name: Require that every pod of a service has the agent
  orion.tracing.instrumentation_info:
    namespace: shop
    name: orders
  register: orders
  failed_when: orders.failed | default(false) or orders.workloads | rejectattr('instrumented', 'eq', 'yes') | list != []
"""

RETURN = r"""
msg:
  description: One sentence about all workloads.
  returned: success
  type: str
  sample: 4 of 6 workloads of namespace shop are instrumented; 1 must be restarted.
table:
  description: The report as text. The action plugin displays it.
  returned: success
  type: str
workloads:
  description: The workloads, by namespace, kind and name.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace.
      type: str
    kind:
      description: Kind of what owns the pods, V(Deployment), V(StatefulSet), V(DaemonSet), V(CronJob) or another.
      type: str
    name:
      description: Name.
      type: str
    instrumented:
      description: V(yes), V(partly) or V(no) for its pods; V(no pods) if there are none.
      type: str
    pods:
      description: Number of pods that run or are to run.
      type: int
    pods_instrumented:
      description: Number of these that have the agent, or the environment for an SDK.
      type: int
    languages:
      description: Languages of the agents, or else those that annotations ask for.
      type: list
      elements: str
    agents:
      description: Image of the agent by language. Empty for C(sdk).
      type: dict
    agent_versions:
      description: Tag, or else digest, of these images.
      type: dict
    service_name:
      description: C(service.name) by the environment of the newest instrumented pod. Empty if it is not known.
      type: str
    endpoint:
      description: Where it sends traces. Empty if it is not known.
      type: str
    sampler:
      description: Its E(OTEL_TRACES_SAMPLER).
      type: str
    sampler_argument:
      description: Its E(OTEL_TRACES_SAMPLER_ARG).
      type: str
    spans:
      description: Number of spans of the service that the collectors counted. Null if it is not known.
      type: int
    code:
      description:
        - What is wrong. Empty if nothing is.
        - Not asked for. V(no_annotation), V(misplaced_annotation), V(opted_out).
        - Annotations that cannot work. V(unknown_language), V(container_not_found), V(contradictory_annotations),
          V(unknown_platform), V(musl).
        - The pod template. V(value_from), V(own_agent), V(mount_path), V(switched_off).
        - The cluster. V(policy_not_installed), V(namespace_excluded), V(operator_not_ready),
          V(instrumentation_not_found), V(restart_needed).
        - The pods. V(rollout), V(crash).
        - The agent. V(agent_image), V(agent_failed), V(no_spans).
      type: str
    why:
      description: The reason, for people.
      type: str
    remedy:
      description: What to do about it.
      type: str
  sample:
    - namespace: shop
      kind: Deployment
      name: orders
      instrumented: "yes"
      pods: 2
      pods_instrumented: 2
      languages: [python]
      agents: {python: "ghcr.io/open-telemetry/opentelemetry-operator/autoinstrumentation-python:0.65b0"}
      agent_versions: {python: 0.65b0}
      service_name: orders
      endpoint: http://otel-collector.tracing.svc:4318
      sampler: parentbased_traceidratio
      sampler_argument: "1"
      spans: 1204
      code: ""
      why: ""
      remedy: ""
modes:
  description: What can instrument pods in the cluster.
  returned: success
  type: dict
  contains:
    resolved:
      description: The mode that V(auto) stands for, V(policy), V(operator) or V(sdk).
      type: str
    policy:
      description: >-
        C(version), the API version of MutatingAdmissionPolicy, empty if it is not served; C(policies), those of this
        collection, each with C(name), C(language) and C(bound), whether it has a binding.
      type: dict
    operator:
      description: >-
        C(version), the API version of the OpenTelemetry Operator's Instrumentation, empty if it is not served;
        C(instrumentations), these resources as namespace/name; C(webhook), V(ready), V(not_ready), V(absent) or
        V(unknown).
      type: dict
    unreadable:
      description: Resources that the user may not list.
      type: list
      elements: str
  sample:
    resolved: policy
    policy:
      version: admissionregistration.k8s.io/v1beta1
      policies:
        - {name: opentelemetry-auto-instrumentation-python, language: python, bound: true}
    operator: {version: "", webhook: absent, instrumentations: []}
    unreadable: []
spans_unknown:
  description: Why numbers of spans are unknown. Empty if they are not.
  returned: success
  type: str
  sample: ""
api_calls:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 10
"""

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import report, spans
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import read, read_modes
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.store.prometheus import EXAMPLE
from ansible_collections.orion.tracing.plugins.module_utils.store.url import check_url

ARGUMENTS: dict[str, dict[str, Any]] = {
    "namespace": {"type": "str"},
    "name": {"type": "str"},
    "workloads": {"type": "bool", "default": True},
    "prometheus_url": {"type": "str", "default": ""},
    "since": {"type": "int", "default": 15},
}


def main() -> None:
    module = TracingModule(ARGUMENTS, supports_check_mode=True)
    params = module.params
    namespace, name = params["namespace"] or "", params["name"] or ""
    with module.guard():
        check_url("prometheus_url", params["prometheus_url"], EXAMPLE)
        if params["since"] < 1:
            raise InvalidInput(f"option since is {params['since']}", remedy="Write a number of minutes from 1.")
    with module.client() as kube:
        if not params["workloads"]:
            modes = report.modes_result(read_modes(kube))
            module.exit_json(changed=False, modes=modes, workloads=[], table="", spans_unknown="", api_calls=kube.calls)
        snapshot = read(kube, namespace)
        counted, unknown = spans.read(kube, params["prometheus_url"], params["since"])
        rows = report.with_spans(report.rows(snapshot, namespace, name), counted, params["since"])
        report.check_name(rows, snapshot, namespace, name)
    module.exit_json(
        changed=False,
        msg=report.summary(rows, namespace),
        table=report.table(rows, bool(namespace), unknown),
        workloads=[row.result() for row in rows],
        modes=report.modes_result(snapshot.modes),
        spans_unknown=unknown,
        api_calls=kube.calls,
    )


if __name__ == "__main__":
    main()
