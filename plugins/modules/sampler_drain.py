#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: empties samplers before they are removed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sampler_drain
short_description: Empty samplers before they are removed
version_added: 0.1.0
description:
  - Takes the samplers with the highest numbers out of the Service by which gateways find samplers, and waits until they
    have decided on all traces that they hold, and have sent what is in their queues. After that they can be removed
    without a loss.
  - A sampler that is removed without it decides at once, on parts of traces. What is in its queue is lost if the queue
    is in memory and a destination does not answer; on disk, it stays on the sampler's volume until there is a sampler
    of that number again.
  - Samplers with lower numbers that an earlier run took out of the Service are put back.
  - If the samplers are not empty in time, they are put back into the Service, and the module fails.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
    details: No pod is changed, and nothing is waited for.
  diff_mode:
    support: none
options:
  namespace:
    description: Namespace of the collectors.
    type: str
    default: tracing
  replicas:
    description: How many samplers go on receiving spans, those with the numbers 0 to O(replicas) - 1.
    type: int
    required: true
  gateway_selector:
    description: Label selector of the gateway pods. Metrics are read from port 8888 of each.
    type: str
    default: app.kubernetes.io/name=otel-collector,app.kubernetes.io/component=gateway
  sampler_selector:
    description: Label selector of the sampler pods. Metrics are read from port 8888 of each.
    type: str
    default: app.kubernetes.io/name=otel-collector,app.kubernetes.io/component=sampler
  timeout:
    description:
      - How long to wait until the samplers are empty, as a Go duration. It takes at least C(decision_wait), and as long
        as the destinations take what is queued.
    type: str
    default: 10m
  progress_file:
    description:
      - File to which progress is appended.
      - The action plugin sets it, and shows the progress if the module runs on the controller.
    type: path
notes:
  - The label C(orion.tracing/receives-spans) of the pods is changed. The Service has it in its selector, the
    StatefulSet does not, so the pods stay where they are. A pod that is made anew receives spans again.
  - The user needs the verbs C(list) and C(patch) on C(pods), and C(get) on C(pods/proxy) in the namespace.
seealso:
  - module: orion.tracing.split_trace_probe
"""

EXAMPLES = r"""
- name: Empty the samplers from number 3 on
  orion.tracing.sampler_drain:
    namespace: tracing
    replicas: 3

- name: Let all samplers receive spans again
  orion.tracing.sampler_drain:
    namespace: tracing
    replicas: 4
"""

RETURN = r"""
drained:
  description: Names of the samplers that are empty and receive nothing.
  returned: always
  type: list
  elements: str
  sample: [otel-sampler-3]
steps:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [take otel-sampler-3 out of the Service]
"""

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.module.progress import progress
from ansible_collections.orion.tracing.plugins.module_utils.proof.drain import Drain, label_steps
from ansible_collections.orion.tracing.plugins.module_utils.proof.options import PIPELINE_OPTIONS, seconds
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Pipeline, Selectors

ARGUMENTS: dict[str, dict[str, Any]] = {
    **{name: PIPELINE_OPTIONS[name] for name in ("namespace", "gateway_selector", "sampler_selector", "progress_file")},
    "replicas": {"type": "int", "required": True},
    "timeout": {"type": "str", "default": "10m"},
}


def main() -> None:
    module = TracingModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    with module.guard():
        if params["replicas"] < 1:
            raise InvalidInput(
                f"option replicas is {params['replicas']}", "gateways need a sampler", "Give a number of at least 1."
            )
        timeout = seconds(params, "timeout")
    with module.client() as kube:
        selectors = Selectors(gateway=params["gateway_selector"], sampler=params["sampler_selector"])
        drain = Drain(Pipeline(kube, params["namespace"], selectors), timeout, progress(params))
        pods = drain.pods()
        steps = label_steps(pods, params["replicas"])
        drained = [pod.name for pod in pods if pod.ordinal >= params["replicas"]]
        if not module.check_mode:
            drain.carry_out(steps, params["replicas"], drained)
    module.exit(Plan(steps=steps, result={"drained": drained}))


if __name__ == "__main__":
    main()
