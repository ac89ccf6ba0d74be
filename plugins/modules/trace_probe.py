#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: trace_probe
short_description: Prove a tracing pipeline by sending traces and reading them back
description:
  - Sends traces that span three services (HTTP, PostgreSQL, Kafka) into the gateways, the spans of one trace in
    separate requests to different gateway pods, and reads back through Tempo's query-frontend what was kept.
  - Checks that error, slow and critical traces are kept and complete, that health checks are dropped, that the share of
    all other traces is what is configured, that ids and parents are intact, that TraceQL search finds the traces, and
    that blocks reach the bucket.
  - Each case is sent often enough that the outcome is luck with a chance of 0.1 % at most. The share is accepted within
    the exact 99.9 % interval of the binomial distribution.
  - Fails if a check fails, and says where the spans were last seen by the components' own metrics. All return values
    are there in that case too.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
  - orion.tracing.pipeline
  - orion.tracing.s3.connection
attributes:
  check_mode:
    support: full
    details: Nothing is sent; the checks that would be made are returned.
  diff_mode:
    support: none
options:
  sampling_percentage:
    description:
      - Percentage, 0 to 100, of the traces that no other policy keeps. Unset, the share is not checked.
    type: float
  latency_threshold_ms:
    description: Traces longer than this, in milliseconds, are kept. V(0) skips the check.
    type: int
    default: 0
  critical_route:
    description: A value of C(http.route) whose traces are all kept. Empty skips the check.
    type: str
    default: ''
  dropped_route:
    description: A value of C(http.route) and C(url.path) whose traces are all dropped. Empty skips the check.
    type: str
    default: ''
  plain_traces:
    description: How many ordinary traces the share is measured on, at least 300.
    type: int
    default: 300
  timeout:
    description: How long the whole run may take, as a Go duration. A forced flush may take 30 seconds more.
    type: str
    default: 3m
  bucket:
    description:
      - Bucket of Tempo's blocks. The ingesters are made to flush, and a new block is looked for in it, from where the
        module runs.
      - Empty skips the check.
      - Needs C(s3:ListBucket) and C(s3:GetObject).
    type: str
    default: ''
  prefix:
    description: Folder of the blocks in the bucket (Tempo's C(storage.trace.s3.prefix)).
    type: str
    default: ''
  proof_path:
    description:
      - File that the proof is written to as JSON, in one step and whether or not the checks passed.
      - Not written in check mode.
    type: path
requirements:
  - boto3 (Python package), with O(bucket)
notes:
  - The traces stay in Tempo until its retention removes them. They have C(service.namespace=orion-probe) and the span
    attribute C(orion.probe.run). Since a run is a test and its traces are told apart, it never counts as a change.
  - A forced flush writes small blocks, which Tempo's compactor merges later.
seealso:
  - module: orion.tracing.otlp_replay
"""

EXAMPLES = r"""
- name: Prove a pipeline that keeps 10 % of ordinary traces
  orion.tracing.trace_probe:
    namespace: tracing
    sampling_percentage: 10
    latency_threshold_ms: 1000
    critical_route: /api/v1/orders
    dropped_route: /health
    bucket: orion-traces
    proof_path: ./proof.json
  register: proof

- name: Only error traces, with a policy list of one's own
  orion.tracing.trace_probe:
    namespace: tracing
    decision_wait: 30s
"""

RETURN = r"""
passed:
  description: Whether all checks passed. Null in check mode.
  returned: always
  type: bool
checks:
  description: The checks. In check mode C(name) and C(expected) only.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What is checked.
      type: str
    expected:
      description: What a pipeline that works shows.
      type: str
    observed:
      description: What was there.
      type: str
    seconds:
      description: When it was, in seconds after the first span was sent.
      type: float
    passed:
      description: Whether the one agrees with the other.
      type: bool
table:
  description: The checks as a text table.
  returned: always
  type: str
run:
  description: The value of the span attribute C(orion.probe.run) of all traces of this run.
  returned: always
  type: str
started:
  description: Start of the run, ISO 8601 in UTC.
  returned: when not in check mode
  type: str
seconds:
  description: Length of the run in seconds.
  returned: when not in check mode
  type: float
first_trace_seconds:
  description: Seconds from the first span sent to the first trace that was read back whole. Null if none was.
  returned: when not in check mode
  type: float
traces:
  description: Ids of the traces that must be kept, by case (V(error), V(slow), V(critical)).
  returned: when not in check mode
  type: dict
  sample: {"error": ["4bf92f3577b34da6a3ce929d0e0e4736"]}
gateways:
  description: Gateway pods that spans were sent to.
  returned: when not in check mode
  type: list
  elements: str
sent:
  description: Numbers of traces, spans, requests, and retries among the requests.
  returned: when not in check mode
  type: dict
  sample: {"traces": 378, "spans": 1932, "requests": 48, "retries": 0}
kept_by_policy:
  description: Traces that each sampling policy voted to keep during the run, other traffic included.
  returned: when not in check mode
  type: dict
  sample: {"errors": 3, "baseline": 31}
last_seen:
  description: Where spans were last seen by the components' metrics. Empty if all checks passed.
  returned: when not in check mode
  type: str
notes:
  description: What else to know, for example that there was only one gateway.
  returned: when not in check mode
  type: list
  elements: str
"""

import contextlib
import dataclasses
import json
import secrets
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils import probe
from ansible_collections.orion.tracing.plugins.module_utils.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.module import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.pipeline_options import (
    PIPELINE_OPTIONS,
    READERS,
    connect,
    seconds,
)
from ansible_collections.orion.tracing.plugins.module_utils.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.probe_run import Probe, write_proof
from ansible_collections.orion.tracing.plugins.module_utils.progress import progress
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
from ansible_collections.orion.tracing.plugins.module_utils.s3.options import s3_options

S3_NAMES = ("endpoint_url", "region", "access_key", "secret_key", "session_token", "ca_bundle")
ARGUMENTS: dict[str, dict[str, Any]] = {
    **PIPELINE_OPTIONS,
    **{name: option for name, option in s3_options().items() if name in S3_NAMES},
    "sampling_percentage": {"type": "float"},
    "latency_threshold_ms": {"type": "int", "default": 0},
    "critical_route": {"type": "str", "default": ""},
    "dropped_route": {"type": "str", "default": ""},
    "plain_traces": {"type": "int", "default": probe.MIN_PLAIN},
    "timeout": {"type": "str", "default": "3m"},
    "bucket": {"type": "str", "default": ""},
    "prefix": {"type": "str", "default": ""},
    "proof_path": {"type": "path"},
}


def settings_of(params: dict[str, Any]) -> probe.Settings:
    """The expectations as options give them; InvalidInput for a value that cannot be."""
    given = {field.name: params[field.name] for field in dataclasses.fields(probe.Settings) if field.name in params}
    settings = probe.Settings(**given, search_name=READERS[params["store_reader"]].search_name)
    share = settings.sampling_percentage
    if share is not None and not 0 <= share <= 100:
        raise InvalidInput(f"option sampling_percentage is {share:g}", remedy="Give a percentage from 0 to 100.")
    if settings.latency_threshold_ms < 0:
        raise InvalidInput("option latency_threshold_ms is negative", remedy="Give milliseconds, or 0 for no check.")
    if settings.plain_traces < probe.MIN_PLAIN:
        raise InvalidInput(
            f"option plain_traces is {settings.plain_traces}",
            "so few traces say little about a share",
            f"Give at least {probe.MIN_PLAIN}.",
        )
    return settings


def main() -> None:
    module = TracingModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    run = secrets.token_hex(8)
    with module.guard():
        settings = settings_of(params)
        timeout, decision_wait = seconds(params, "timeout"), seconds(params, "decision_wait")
        if params["proof_path"] and not Path(params["proof_path"]).parent.is_dir():
            raise InvalidInput(
                f"option proof_path is {params['proof_path']}", "there is no such folder", "Make the folder first."
            )
    if module.check_mode:
        checks = probe.planned_checks(settings)
        module.exit(Plan(result={"passed": None, "checks": checks, "table": probe.table(checks), "run": run}))
    with module.client() as kube, contextlib.ExitStack() as stack:
        store = None
        if settings.bucket:
            store = Store.connect({name: params[name] for name in S3_NAMES})
            stack.callback(store.close)
        pipeline, reader = connect(kube, params)
        proof = Probe(pipeline, reader, settings, run, timeout, decision_wait, store, progress(params)).run()
        document = proof.document()
        if params["proof_path"]:
            write_proof(params["proof_path"], json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    result = {**document, "table": probe.table(proof.checks)}
    if not proof.passed:
        failed = [check for check in proof.checks if not check["passed"]]
        what = "; ".join(f"{c['name']}: expected {c['expected']}, observed {c['observed']}" for c in failed)
        module.fail_json(
            msg=f"{len(failed)} of {len(proof.checks)} checks failed. {what}. Last seen: {proof.last_seen}.", **result
        )
    module.exit(Plan(result=result))


if __name__ == "__main__":
    main()
