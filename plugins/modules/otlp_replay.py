#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: otlp_replay
short_description: Send recorded OTLP traces through the pipeline and report what became of them
version_added: 0.1.0
description:
  - Reads a recording from a file or a bucket. Each line, message or object is one C(ExportTraceServiceRequest), which
    may hold several traces, or a part of one.
  - Shifts the times of each trace as a whole, so that it ends when its first part is sent, and sends everything to the
    gateway pods at a limited rate.
  - Then reports how many traces the samplers kept, by policy, and how many are in the store, and proves that every
    trace with an ERROR span is there with all its spans and that nothing was lost on the way.
  - The recording is read twice, a line, message or object at a time, so memory does not grow
    with its size. It grows by about 300 bytes for each trace and 200 bytes for each object. Objects are fetched twice
    and listed once, so that both passes read the same objects.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
  - orion.tracing.pipeline
  - orion.tracing.recordings
attributes:
  check_mode:
    support: full
    details: The recording is read and checked; nothing is sent.
  diff_mode:
    support: none
options:
  path:
    required: true
  decision_wait:
    description: The samplers' C(decision_wait), as a Go duration. No decision is considered final before it has passed.
    type: str
    default: 10s
  spans_per_second:
    description: Upper bound of the rate.
    type: int
    default: 5000
  concurrency:
    description: Requests under way at the same time.
    type: int
    default: 4
  on_broken_line:
    description:
      - What to do about lines, messages or objects that are not OTLP traces, or are damaged.
      - V(fail) names them and sends nothing.
      - V(skip) sends the others.
    type: str
    choices: [fail, skip]
    default: fail
  verify:
    description:
      - Whether to wait for the samplers' decisions, read back, and fail unless every trace with an ERROR span is in
        the store and complete, no kept trace lacks a span, and no span was lost.
      - Set to V(false) if the sampling policies or head sampling do not keep all errors.
    type: bool
    default: true
  trace_ids:
    description:
      - V(keep) sends the trace ids of the recording, so that percentages keep the same traces as in
        M(orion.tracing.sampling_simulation). With O(verify), it is refused before anything is sent if the store already
        has traces with these ids, from an earlier replay or from when they were recorded.
      - V(new) gives every trace a new id, so that the same recording can be replayed again. Percentages are applied to
        the trace id, so they keep other traces.
    type: str
    choices: [keep, new]
    default: keep
  timeout:
    description:
      - Time limit, as a Go duration, for each of three waits. How long a request is repeated that the gateways refuse
        temporarily (429, 503); how long to wait for the samplers' decisions after the last span; and how long to wait
        until everything is in the store.
    type: str
    default: 3m
notes:
  - The counters of a gateway or sampler that stops or restarts during the replay are lost. RV(interrupted) lists such
    pods; the counts are then lower bounds, and only what is in the store decides whether the replay passed.
  - All spans get the attribute C(orion.replay.run), by which TraceQL finds them.
seealso:
  - module: orion.tracing.trace_probe
"""

EXAMPLES = r"""
- name: Replay an hour of production through a test cluster
  orion.tracing.otlp_replay:
    path: ./traces.jsonl.gz
    spans_per_second: 10000

- name: Replay the same file once more
  orion.tracing.otlp_replay:
    path: ./traces.jsonl.gz
    trace_ids: new

- name: Replay what a collector recorded into a bucket in the last hour
  orion.tracing.otlp_replay:
    path: s3://orion-traces/recordings/all
    s3: {last: 1h, region: eu-central-1}

- name: Check a file without sending it
  orion.tracing.otlp_replay:
    path: ./traces.jsonl
  check_mode: true
"""

RETURN = r"""
passed:
  description:
    - Whether everything was found as required. Null in check mode, without O(verify), and if something could not be
      checked; the module fails in the last case.
  returned: always
  type: bool
problems:
  description: What was not as required.
  returned: always
  type: list
  elements: str
unchecked:
  description: What could not be checked, because the time ran out or the store did not answer.
  returned: always
  type: list
  elements: str
interrupted:
  description: Pods that stopped, restarted or did not answer during the replay, so that counts may be too low.
  returned: always
  type: list
  elements: str
table:
  description: The figures as a text table.
  returned: always
  type: str
run:
  description: The value of the span attribute C(orion.replay.run) of all spans of this replay.
  returned: always
  type: str
traces_in_file:
  description: Traces in the file.
  returned: always
  type: int
spans_in_file:
  description: Spans in the file.
  returned: always
  type: int
broken_lines:
  description:
    - Lines, messages or objects that are not OTLP traces. If the module fails because of them, a list with C(place),
      such as C(line 4) or C(object) and a key, and C(reason).
  returned: always
  type: raw
traces_sent:
  description: Traces sent.
  returned: always
  type: int
spans_sent:
  description: Spans that a gateway accepted.
  returned: always
  type: int
requests:
  description: Requests, without retries.
  returned: always
  type: int
retries:
  description: Requests that were sent again after a temporary refusal.
  returned: always
  type: int
seconds:
  description: How long sending took.
  returned: always
  type: float
spans_per_second:
  description: The rate reached.
  returned: always
  type: float
refused_spans:
  description: Spans that a gateway or sampler refused temporarily. Their senders retry.
  returned: always
  type: int
lost:
  description: Spans that are lost, by place (C(sampler_dropped_too_early) counts traces).
  returned: always
  type: dict
  sample: {"gateway_send_failed_spans": 0, "tempo_discarded_spans": 0}
kept_by_policy:
  description: Traces that each policy voted to keep. A trace counts for each policy that does.
  returned: always
  type: dict
  sample: {"errors": 503, "slow": 231, "baseline": 402}
traces_kept:
  description: Traces that the samplers kept.
  returned: always
  type: int
traces_found:
  description: Traces of this replay that TraceQL search finds.
  returned: always
  type: int
traces_incomplete:
  description: Those of them that lack a span. Null where not all could be read.
  returned: always
  type: int
error_traces:
  description:
    - Traces with an ERROR span. C(found) by TraceQL search among the spans of this replay, C(complete) if all their
      spans can be read by id too, C(unchecked) those for which the store did not answer, C(missing) with up to 20 ids
      of those that are not found or not complete. C(found) is null where search did not answer.
  returned: always
  type: dict
  sample: {"sent": 503, "found": 503, "complete": 503, "unchecked": 0, "missing": []}
verify_seconds:
  description: How long reading back took.
  returned: always
  type: float
notes:
  description: What else to know, for example that the samplers' counts include other traffic.
  returned: always
  type: list
  elements: str
"""

import secrets
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.module.progress import progress
from ansible_collections.orion.tracing.plugins.module_utils.proof import replay
from ansible_collections.orion.tracing.plugins.module_utils.proof.options import PIPELINE_OPTIONS, connect, seconds
from ansible_collections.orion.tracing.plugins.module_utils.s3.recording_options import RECORDING_OPTIONS, recording

ARGUMENTS: dict[str, dict[str, Any]] = {
    **PIPELINE_OPTIONS,
    "decision_wait": {"type": "str", "default": "10s"},
    **RECORDING_OPTIONS,
    "path": {"type": "path", "required": True},
    "spans_per_second": {"type": "int", "default": 5000},
    "concurrency": {"type": "int", "default": 4},
    "on_broken_line": {"type": "str", "choices": ["fail", "skip"], "default": "fail"},
    "verify": {"type": "bool", "default": True},
    "trace_ids": {"type": "str", "choices": ["keep", "new"], "default": "keep"},
    "timeout": {"type": "str", "default": "3m"},
}


def main() -> None:
    module = TracingModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    show = progress(params)
    with module.guard():
        timeout, decision_wait = seconds(params, "timeout"), seconds(params, "decision_wait")
        for option in ("spans_per_second", "concurrency"):
            if params[option] < 1:
                raise InvalidInput(f"option {option} is {params[option]}", remedy="Give a number from 1 up.")
        source = recording(params, again=True, progress=show)
        facts = replay.scan(source)
        replay.refuse_broken(source, facts, params["on_broken_line"])
    show(f"{facts.spans:,} spans of {len(facts.traces):,} traces recorded, {len(facts.errors):,} with an ERROR span")
    steps = [Step(f"send {facts.spans:,} spans of {len(facts.traces):,} traces", "send")]
    run = secrets.token_hex(8)
    if module.check_mode:
        report = replay.Report(run, len(facts.traces), facts.spans, facts.broken_lines)
        module.exit(Plan(steps, result={**vars(report), "table": report.table()}))
    with module.client() as kube:
        pipeline, reader = connect(kube, params)
        report = replay.Replay(
            pipeline,
            reader,
            source,
            facts,
            run,
            spans_per_second=params["spans_per_second"],
            concurrency=params["concurrency"],
            timeout=timeout,
            decision_wait=decision_wait,
            progress=show,
            new_trace_ids=params["trace_ids"] == "new",
        ).run(params["verify"])
    result = {**vars(report), "table": report.table()}
    if report.passed is False:
        module.fail_json(msg="the replay was not found as sent: " + "; ".join(report.problems) + ".", **result)
    if report.unchecked:
        module.fail_json(
            msg="the replay was sent, but not all of it could be checked: "
            + "; ".join(report.unchecked)
            + ". Give it more time with the option timeout.",
            **result,
        )
    module.exit(Plan(steps, result=result))


if __name__ == "__main__":
    main()
