#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: instrumentation_workloads
short_description: Have workloads instrumented by annotations of their pod templates
version_added: 0.1.0
description:
  - Sets the annotation on the pod template of each listed workload that makes an admission policy, or the
    OpenTelemetry Operator, add a tracing agent to its pods. The changed template is rolled out, and the module waits
    until new pods are ready and have the agent.
  - Pods get the agent when they are created. If a workload has the annotation already, but pods from before the policy,
    it is restarted as C(kubectl rollout restart) does.
  - All other workloads that ask for instrumentation by an annotation, but have pods without it, are reported as
    warnings.
  - Everything that would fail is reported at once, before anything changes. Each change, and a pod of the changed
    template, are first sent to the API server as a dry run. Restarts begin when a new pod would be instrumented.
  - Changes are made by server-side apply under the field manager C(orion.tracing.instrumentation). With
    O(workloads[].state=absent), what was added is removed, and nothing else.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
    details: Changes are only sent as dry runs.
  diff_mode:
    support: full
    details: Shows the annotations and environment variables that this module sets in pod templates, and no others.
options:
  workloads:
    description:
      - Workloads to instrument.
      - A workload may be listed several times, with another language and other containers.
      - What they set themselves is left alone. It is an error if that contradicts what is asked for here.
    type: list
    elements: dict
    required: true
    suboptions:
      namespace:
        description: Namespace of the workload.
        type: str
        required: true
      kind:
        description:
          - Kind of the workload, V(Deployment), V(StatefulSet), V(DaemonSet) or V(CronJob).
          - The next job of a CronJob is instrumented. Nothing is waited for.
        type: str
        default: Deployment
      name:
        description: Name of the workload.
        type: str
        required: true
      language:
        description:
          - V(python), V(java), V(nodejs) or V(dotnet), for the agent of that language.
          - V(sdk) sets only environment variables, for a service that brings its own SDK, in any language.
          - Required unless O(workloads[].state=absent).
        type: str
      containers:
        description: Names of the containers to instrument. Defaults to the first container.
        type: list
        elements: str
        default: []
      sampler_argument:
        description:
          - Share of this workload's own traces that it samples, from 0 to 1. Sets E(OTEL_TRACES_SAMPLER) to
            C(parentbased_traceidratio), and its argument, in the containers.
          - Traces that arrive with a decision are not affected.
          - Defaults to the setting of the policy or of the operator.
        type: float
      state:
        description: Whether the workload is instrumented. V(absent) removes what this module set.
        type: str
        default: present
  mode:
    description:
      - What instruments pods. V(policy) means the policies of the role C(instrumentation),
        V(operator) the OpenTelemetry Operator.
      - V(sdk) needs neither, and writes environment variables into the pod templates of workloads with
        O(workloads[].language=sdk).
      - V(auto) takes the first that the cluster serves.
    type: str
    choices: [auto, policy, operator, sdk]
    default: auto
  variables:
    description:
      - Variables of the role C(instrumentation), by name. The environment of mode V(sdk) is computed from them, and
        in mode V(operator) the name of the Instrumentation, to which annotations are set.
      - Required for mode V(sdk). Without them, annotations are set to C(true).
    type: dict
    default: {}
  excluded_namespaces:
    description: Namespaces that the policies leave out. It is an error to list a workload of one of these.
    type: list
    elements: str
    default: []
  wait:
    description:
      - Whether to wait for the rollouts. Fails as soon as one cannot succeed, with the reason, such as an agent image
        that cannot be pulled, a container that crashes, or pods that are refused.
      - A rollout that this module did not start is not waited for, but reported as a warning.
    type: bool
    default: true
  timeout:
    description: Time limit for all waiting together, as a Go duration.
    type: str
    default: 5m
  progress_file:
    description: File to which progress is appended. Set by the action plugin, which displays it.
    type: path
notes:
  - Requires the verbs C(get), C(list) and C(patch) on the kinds listed, and C(list) on pods, namespaces and the four
    kinds of workloads in the cluster. Pods are tried with the verb C(create) on pods; without it, that is left out
    with a warning.
seealso:
  - module: orion.tracing.instrumentation_info
"""

EXAMPLES = r"""
- name: Instrument two services
  orion.tracing.instrumentation_workloads:
    workloads:
      - namespace: shop
        name: orders
        language: python
      - namespace: shop
        name: pricing
        language: java
        containers: [pricing]
        sampler_argument: 0.1

- name: Show what would change
  orion.tracing.instrumentation_workloads:
    workloads:
      - namespace: shop
        kind: StatefulSet
        name: ledger
        language: dotnet
  check_mode: true
  diff: true

- name: Remove the instrumentation of a service
  orion.tracing.instrumentation_workloads:
    workloads:
      - namespace: shop
        name: pricing
        state: absent
"""

RETURN = r"""
steps:
  description: Names of the changes. V(instrument) changes annotations or variables, V(restart) only restarts.
  returned: success
  type: list
  elements: str
  sample: ["instrument Deployment shop/orders", "restart Deployment shop/pricing"]
mode:
  description: The mode that was used.
  returned: success
  type: str
  sample: policy
workloads:
  description:
    - The listed workloads that exist, after the rollouts. Each has the keys of RV(ignore:workloads) of
      M(orion.tracing.instrumentation_info), and C(action).
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(instrument), V(restart), V(remove), or empty if nothing changed.
      type: str
  sample:
    - namespace: shop
      kind: Deployment
      name: orders
      action: instrument
      instrumented: "yes"
      pods: 2
      pods_instrumented: 2
      languages: [python]
not_instrumented:
  description: Other workloads that ask for instrumentation and have pods without it, with the same keys.
  returned: success
  type: list
  elements: dict
  sample:
    - namespace: shop
      kind: Deployment
      name: gateway
      instrumented: "no"
      pods: 1
      pods_instrumented: 0
      code: restart_needed
      why: 1 pod started before the policy
      remedy: "Restart it: kubectl -n shop rollout restart deployment/gateway"
api_calls:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 8
"""

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.options import ARGUMENTS, wanted_of
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.run import instrument
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.module.progress import progress


def main() -> None:
    module = TracingModule(ARGUMENTS, supports_check_mode=True)
    params = module.params
    with module.guard():
        wanted = wanted_of(params, module.check_mode)
    with module.client() as kube:
        plan = instrument(kube, wanted, Clock(), progress(params))
    module.exit(plan)


if __name__ == "__main__":
    main()
