#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: how many traces are decided in parts while the samplers change."""

from __future__ import annotations

DOCUMENTATION = r"""
module: split_trace_probe
short_description: Measure how many traces are decided in parts while samplers change
version_added: 0.1.0
description:
  - Sends traces while something else changes the samplers, and counts afterwards those that were decided in parts. Run
    it with C(async), make the change, and end it by a file in O(state_path).
  - Each trace is sent in two parts, half of the samplers' C(decision_wait) apart, through different gateways. It is one
    that is kept as a whole, but of which the policies drop a part alone. A sampler that gets both parts keeps all
    spans; where the parts are decided apart, the trace lacks spans in the store. The samplers' own counters cannot show
    this, since they begin anew with each restart.
  - Fails if more traces lack spans than O(moved_percent) allows. All return values are there in that case too.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
  - orion.tracing.pipeline
attributes:
  check_mode:
    support: full
    details: Nothing is sent.
  diff_mode:
    support: none
options:
  tail_sampling:
    description:
      - Configuration of the samplers' C(tail_sampling) processor, as deployed.
      - The filter P(orion.tracing.collector_values#filter) makes it of the collector role's variables, as
        C(sampler.config.processors.tail_sampling).
    type: dict
    required: true
  gateway_processors:
    description: Processors of the gateways, as deployed (C(gateway.config.processors) of the same filter).
    type: dict
    default: {}
  critical_route:
    description: A value of C(http.route) that a policy keeps, used where no policy keeps errors. Empty for none.
    type: str
    default: ''
  state_path:
    description:
      - A folder on the host on which the module runs. The module writes the file C(began) into it once its first traces
        were accepted, or when it cannot send any, and ends when it finds the file C(ended) there.
      - Without the folder, the change is taken to have failed, and the module ends without a measurement.
    type: path
    required: true
  moved_percent:
    description:
      - How many traces may be split, as a percentage of those that are sent in one C(decision_wait). It is above 100
        where samplers are restarted one after the other.
      - The filter P(orion.tracing.sampler_scaling#filter) computes it, as C(moved_percent) + C(restarted_percent).
    type: float
    required: true
  traces_per_second:
    description: How many traces of six spans are sent in a second.
    type: int
    default: 20
  timeout:
    description:
      - How long the change may take, as a Go duration. What comes before it, such as rendering a chart, may take two
        minutes more.
    type: str
    default: 10m
notes:
  - The traces stay in the store until its retention removes them. They have C(service.namespace=orion-probe) and the
    span attribute C(orion.probe.run).
seealso:
  - module: orion.tracing.trace_probe
"""

EXAMPLES = r"""
- name: Send traces meanwhile
  orion.tracing.split_trace_probe:
    tail_sampling: "{{ collector.sampler.config.processors.tail_sampling }}"
    gateway_processors: "{{ collector.gateway.config.processors }}"
    moved_percent: 66.7
    state_path: "{{ folder.path }}"
  async: 3600
  poll: 0
  register: probe
  vars:
    collector: "{{ lookup('orion.tracing.role_variables', 'collector') | orion.tracing.collector_values }}"

- name: Wait until traces are sent
  ansible.builtin.wait_for:
    path: "{{ folder.path }}/began"

- name: Restart one of three samplers
  ansible.builtin.command: kubectl delete pod -n tracing otel-sampler-0

- name: End it
  ansible.builtin.file:
    path: "{{ folder.path }}/ended"
    state: touch
    mode: "0600"

- name: Count the split traces
  ansible.builtin.async_status:
    jid: "{{ probe.ansible_job_id }}"
  register: measured
  until: measured is finished
  retries: 600
  delay: 2
"""

RETURN = r"""
passed:
  description: Whether as few traces were split as expected. Null if nothing was measured.
  returned: always
  type: bool
problem:
  description: Why nothing was measured. Empty if something was.
  returned: always
  type: str
msg:
  description: What was measured, as a sentence.
  returned: when something was measured
  type: str
run:
  description: The value of the span attribute C(orion.probe.run) of all traces of this run.
  returned: when something was measured
  type: str
traces:
  description:
    - Number of traces of which all parts were sent in time. Others are not counted; RV(notes) has their number.
  returned: when something was measured
  type: int
per_second:
  description: Traces that were sent in a second.
  returned: when something was measured
  type: float
seconds:
  description: How long traces were sent.
  returned: when something was measured
  type: float
allowed:
  description: How many traces may be split.
  returned: when something was measured
  type: int
split:
  description: How many traces lack spans in the store.
  returned: when something was measured
  type: int
missing:
  description: Of these, how many are missing completely.
  returned: when something was measured
  type: int
examples:
  description: Ids of a few split traces.
  returned: when something was measured
  type: list
  elements: str
retries:
  description: Requests that were sent again.
  returned: when something was measured
  type: int
notes:
  description: What else to know, for example that a gateway did not know all samplers.
  returned: when something was measured
  type: list
  elements: str
"""

import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.module.progress import progress
from ansible_collections.orion.tracing.plugins.module_utils.proof import splits
from ansible_collections.orion.tracing.plugins.module_utils.proof.options import (
    PIPELINE_OPTIONS,
    connect,
    seconds,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof.probe import ProbeSettings
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import Settings as Sampling
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import Gateway

ARGUMENTS: dict[str, dict[str, Any]] = {
    **PIPELINE_OPTIONS,
    "tail_sampling": {"type": "dict", "required": True},
    "gateway_processors": {"type": "dict", "default": {}},
    "critical_route": {"type": "str", "default": ""},
    "state_path": {"type": "path", "required": True},
    "moved_percent": {"type": "float", "required": True},
    "traces_per_second": {"type": "int", "default": 20},
    "timeout": {"type": "str", "default": "10m"},
}
BEGAN = "began"
ENDED = "ended"
PREPARATION_SECONDS = 120.0


def measure(module: TracingModule, params: dict[str, Any], folder: Path, run: str) -> dict[str, Any]:
    """The result. InvalidInput for a value that cannot be."""
    for option in ("moved_percent", "traces_per_second"):
        if params[option] <= 0:
            raise InvalidInput(f"option {option} is {params[option]}", remedy="Give a number above 0.")
    timeout = seconds(params, "timeout") + PREPARATION_SECONDS
    Sampling.from_config(params["tail_sampling"])  # refuses what is wrong before the cluster is asked
    gateway = Gateway.from_config(params["gateway_processors"])
    settings = ProbeSettings(params["tail_sampling"], gateway, params["critical_route"])
    maker = splits.TraceMaker(settings, run, time.time_ns())
    if maker.problem or module.check_mode:
        return {"passed": None, "problem": maker.problem}

    def state() -> str:
        if not folder.is_dir():
            return splits.ABANDONED
        return splits.ENDED if (folder / ENDED).exists() else splits.CHANGING

    with module.client() as kube:
        pipeline, reader = connect(kube, params)
        if reader is None:
            return {"passed": None, "problem": "no store is read back from (store_reader is none)"}
        probe = splits.SplitProbe(
            pipeline,
            reader,
            maker,
            params["moved_percent"] / 100,
            params["traces_per_second"],
            timeout,
            progress(params),
        )
        report = probe.run((folder / BEGAN).touch, state)
    if report is None:
        return {"passed": None, "problem": f"the folder {folder} is gone, so the change has failed"}
    return {"problem": "", "run": run, "msg": splits.line(report), **splits.document(report)}


def main() -> None:
    module = TracingModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    folder = Path(module.params["state_path"])
    try:
        with module.guard():
            if not folder.is_dir():
                raise InvalidInput(
                    f"option state_path is {folder}", "there is no such folder", "Make the folder first."
                )
            result = measure(module, module.params, folder, secrets.token_hex(8))
    finally:
        # Who waits for the beginning must not wait in vain.
        if not module.check_mode:
            with suppress(OSError):
                (folder / BEGAN).touch()
    if result["passed"] is False:
        split = ", ".join(result["examples"])
        module.fail_json(**{**result, "msg": f"{result['msg']}. Some of them: {split}."})
    module.exit(Plan(result=result))


if __name__ == "__main__":
    main()
