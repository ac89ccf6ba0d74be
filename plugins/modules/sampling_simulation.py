#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: sampling_simulation
short_description: Simulate what tail sampling policies would keep
version_added: 0.1.0
description:
  - Runs recorded traces through the decisions of the collector's C(tail_sampling) processor (contrib 0.158) and reports
    what is kept and dropped, by policy, service and operation, with errors, slow traces, the edges of the service graph
    and the cost of storage. O(compare) compares the result with a second set of policies.
  - The decisions are the processor's own, trace by trace, including the decision wait, late spans, the decision cache,
    eviction at C(num_traces), limiters and the hash of the trace id. A policy that cannot be simulated is
    refused and named.
  - Reads a recording from a file or a bucket, or the traces of the last minutes from the store. Writes only
    O(report), O(output) and O(decisions).
  - A recording is read once, a record at a time. Memory grows with the traces in one decision wait and the number of
    services and operations, not with the size of the recording.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
  - orion.tracing.recordings
attributes:
  check_mode:
    support: full
    details: Everything is simulated and returned; no file is written.
  diff_mode:
    support: none
options:
  store:
    description:
      - Either this or O(path) is required.
      - Reads traces from the store instead, through the API server's service proxy. A trace is read if one of its spans
        meets all criteria.
      - Traces that sampling has dropped are not in the store, so this shows what a stricter policy would keep of what
        is kept now.
    type: dict
    suboptions:
      last:
        description: How far back, as a Go duration.
        type: str
        default: 15m
      services:
        description: Values of C(service.name), one of which the span must have. An empty list allows any.
        type: list
        elements: str
        default: []
      operation_name:
        description: The span's name.
        type: str
        default: ''
      attributes:
        description: Values of attributes of the span.
        type: dict
        default: {}
      minimum_duration:
        description: Minimum duration of the span, as a Go duration.
        type: str
        default: 0s
      error:
        description: Whether the span's status has to be ERROR.
        type: bool
        default: false
      limit:
        description: Maximum number of traces to read, the newest ones.
        type: int
        default: 1000
      reader:
        description: The store's query API.
        type: str
        choices: [tempo, jaeger]
        default: tempo
      namespace:
        description: Namespace of its Service.
        type: str
        default: tracing
      service:
        description: Name of its Service. Defaults to V(tempo-query-frontend), for Jaeger to V(jaeger).
        type: str
      port:
        description: Port of its HTTP API. Defaults to V(3200), for Jaeger to V(16686).
        type: int
  config:
    description:
      - Configuration of the C(tail_sampling) processor as it stands in the collector's configuration. C(policies),
        C(decision_wait), C(num_traces), C(decision_cache) and the others have upstream's meaning and defaults.
    type: dict
    required: true
  name:
    description: Name of this configuration in the report.
    type: str
    default: policies
  samplers:
    description: Number of collectors that share the traces by trace id. Limits of policies are those of one collector.
    type: int
    default: 1
  compare:
    description: A second configuration to compare with the first.
    type: dict
    suboptions:
      config:
        description: As O(config).
        type: dict
        required: true
      name:
        description: Name of this configuration in the report.
        type: str
        default: compared
      samplers:
        description: As O(samplers).
        type: int
        default: 1
  spans_per_second:
    description:
      - Simulates records that arrive at this rate. By default a record arrives when its last span has ended, as
        recorded, including gaps. Objects of a bucket are split by resource for that, since each holds what arrived in
        ten seconds.
      - This matters wherever time affects a decision, which is for late spans, C(num_traces) and limiters.
    type: float
  on_broken_line:
    description:
      - What to do about records that are not OTLP.
      - V(fail) names the first ones. V(skip) ignores and counts them.
    type: str
    choices: [fail, skip]
    default: fail
  expected_bytes_per_second:
    description:
      - OTLP protobuf bytes per second before sampling, for costs. Defaults to the average of the recording, which is
        meaningless if it has gaps.
    type: float
  retention:
    description: How long Tempo keeps blocks, as a Go duration, for costs.
    type: str
    default: 168h
  storage_price:
    description: Price in USD of one GiB stored for a month.
    type: float
    default: 0.023
  stored_bytes_per_byte:
    description:
      - Bytes in the bucket for each byte of OTLP protobuf. Parquet blocks are compressed; indexes and bloom filters are
        included.
    type: float
    default: 0.5
  report:
    description:
      - File to which the result is written as an HTML page with charts, which needs nothing else and asks no server for
        anything.
    type: path
  report_template:
    description: File of the page without data. By default that of the collection.
    type: path
  output:
    description: File to which the result is written as JSON.
    type: path
  decisions:
    description: File to which a line of CSV is written for the decision on each trace.
    type: path
  progress_file:
    description: File to which progress is appended. The action plugin sets it.
    type: path
notes:
  - The Python packages C(msgspec) and, for protobuf, C(opentelemetry-proto) are used if they are installed. Without
    C(msgspec), reading takes several times as long.
seealso:
  - name: Sampling simulator
    description: What is simulated, how exact it is, and how fast.
    link: https://github.com/orion-tracing/orion.tracing/blob/main/docs/sampling-simulator.md
"""

EXAMPLES = r"""
- name: Simulate a stricter policy
  orion.tracing.sampling_simulation:
    path: recording.jsonl.gz
    config:
      decision_wait: 10s
      num_traces: 100000
      policies:
        - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
        - {name: baseline, type: probabilistic, probabilistic: {sampling_percentage: 1}}
    compare:
      name: today
      config:
        decision_wait: 10s
        num_traces: 100000
        policies:
          - {name: everything, type: always_sample}
    report: simulation.html

- name: Simulate on an hour of what a Collector recorded into a bucket
  orion.tracing.sampling_simulation:
    path: s3://orion-traces/recordings/all
    s3:
      start: "2026-01-31T10:00:00Z"
      end: "2026-01-31T11:00:00Z"
      region: eu-central-1
    config:
      policies:
        - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}

- name: Simulate on the last ten minutes in the store
  orion.tracing.sampling_simulation:
    store: {last: 10m}
    config:
      policies:
        - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
"""

RETURN = r"""
results:
  description:
    - The result of O(config), followed by that of O(compare).
    - Numbers are mappings with C(seen), C(kept), C(lost) (not kept) and C(percentage), the kept share.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    traces:
      description:
        - Traces. C(spans), C(bytes) (OTLP protobuf), C(error_traces), C(slow_traces), C(late_spans), C(late_traces),
          C(late_error_traces) and C(long_traces) have the same keys.
        - Errors and durations are those of whole traces, including spans that arrived after the decision.
      type: dict
      sample: {"seen": 4000, "kept": 1020, "lost": 2980, "percentage": 25.5}
    slow_traces:
      description:
        - Traces above the 99th percentile of duration, which is C(above_ms) milliseconds, with an error
          of at most 0.2 %.
      type: dict
    late_spans:
      description:
        - Spans that arrived after the decision on their trace, which they follow. C(p99_after_ms) and C(max_after_ms)
          are the milliseconds from the arrival of the trace's first span within which 99 % and all of them arrived.
      type: dict
    late_traces:
      description: Traces with late spans.
      type: dict
    late_error_traces:
      description: Traces whose first span with status ERROR arrived after the decision.
      type: dict
    long_traces:
      description: Traces that take longer than C(decision_wait), which is C(above_ms) milliseconds.
      type: dict
    edges:
      description: Pairs of calling and called service, and C(names_of_lost), the pairs that no kept trace has.
      type: dict
    reasons:
      description: Traces by outcome. C(sampled), C(dropped), C(not_sampled), C(too_early) (evicted), C(too_large).
      type: dict
    policies:
      description:
        - By policy, C(traces), C(spans) and C(bytes) of the decisions that it voted for. Of these traces,
          C(error_traces) have a span with status ERROR, and C(slow_traces) are above the recording's 99th percentile.
        - These are plain numbers. A trace counts if the policy voted for the decision, to keep or to drop it.
      type: dict
      sample: {"slow": {"traces": 251, "spans": 22482, "bytes": 2314685, "error_traces": 23, "slow_traces": 40}}
    services:
      description: By service, the traces and spans that it is part of.
      type: dict
      contains:
        traces:
          description: Traces with a span of the service.
          type: dict
        spans:
          description: Spans of the service.
          type: dict
        error_traces:
          description: Traces in which a span of the service itself has status ERROR.
          type: dict
        slow_traces:
          description:
            - Those of the recording's slow traces, C(slow_traces) above, that have a span of the service. The span
              itself may be short.
            - At most the 20,000 slowest traces are counted, which are all slow traces of up to two million traces.
          type: dict
    operations:
      description:
        - The same for the 200 operations with the most spans. An operation is a C(service) and a span name,
          C(operation).
      type: list
      elements: dict
    cost:
      description:
        - What is stored at the end of O(retention) and what a month of that costs, C(before) sampling and C(kept).
      type: dict
comparison:
  description:
    - On how many traces the two configurations agree, and up to 100 traces that only one keeps, with the policies
      that keep them.
    - Null without O(compare).
  returned: success
  type: dict
table:
  description: The figures as a text table.
  returned: success
  type: str
broken_lines:
  description: Records that were ignored.
  returned: success
  type: int
evaluation_errors:
  description: Evaluations of a policy that failed, for example an OTTL condition with C(error_mode) C(propagate).
  returned: success
  type: int
"""

import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, NotFound
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.module.files import check_folders, file_steps, write_file
from ansible_collections.orion.tracing.plugins.module_utils.module.progress import progress
from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import BrokenRecords, read_option
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import Record
from ansible_collections.orion.tracing.plugins.module_utils.proof.options import seconds
from ansible_collections.orion.tracing.plugins.module_utils.report import page
from ansible_collections.orion.tracing.plugins.module_utils.s3.recording import S3Recording
from ansible_collections.orion.tracing.plugins.module_utils.s3.recording_options import (
    RECORDING_OPTIONS,
    recording,
    times_given,
)
from ansible_collections.orion.tracing.plugins.module_utils.sampling import report
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import unbatched
from ansible_collections.orion.tracing.plugins.module_utils.sampling.simulate import Candidate, peek, simulate
from ansible_collections.orion.tracing.plugins.module_utils.sampling.summary import CostLoad
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import Criteria
from ansible_collections.orion.tracing.plugins.module_utils.store.readers import READERS, reader_of
from ansible_collections.orion.tracing.plugins.module_utils.store.recent import recent_records

COMPARED: dict[str, dict[str, Any]] = {
    "config": {"type": "dict", "required": True},
    "name": {"type": "str", "default": "compared"},
    "samplers": {"type": "int", "default": 1},
}
FROM_STORE: dict[str, dict[str, Any]] = {
    "last": {"type": "str", "default": "15m"},
    "services": {"type": "list", "elements": "str", "default": []},
    "operation_name": {"type": "str", "default": ""},
    "attributes": {"type": "dict", "default": {}},
    "minimum_duration": {"type": "str", "default": "0s"},
    "error": {"type": "bool", "default": False},
    "limit": {"type": "int", "default": 1000},
    "reader": {"type": "str", "choices": [*READERS], "default": "tempo"},
    "namespace": {"type": "str", "default": "tracing"},
    "service": {"type": "str"},
    "port": {"type": "int"},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    **RECORDING_OPTIONS,
    "store": {"type": "dict", "options": FROM_STORE},
    **COMPARED,
    "name": {"type": "str", "default": "policies"},
    "compare": {"type": "dict", "options": COMPARED},
    "spans_per_second": {"type": "float"},
    "on_broken_line": {"type": "str", "choices": ["fail", "skip"], "default": "fail"},
    "expected_bytes_per_second": {"type": "float"},
    "retention": {"type": "str", "default": "168h"},
    "storage_price": {"type": "float", "default": 0.023},
    "stored_bytes_per_byte": {"type": "float", "default": 0.5},
    "report": {"type": "path"},
    "report_template": {"type": "path"},
    "output": {"type": "path"},
    "decisions": {"type": "path"},
    "progress_file": {"type": "path"},
}


def from_store(kube: Kube, options: dict[str, Any], show: Callable[[str], None]) -> tuple[Iterator[Record], str]:
    """Records of the option store, and what to call them."""
    reader = reader_of(kube, options["reader"], options["namespace"], options["service"], options["port"])
    criteria = Criteria(
        tuple(options["services"]),
        options["operation_name"],
        options["attributes"],
        seconds(options, "minimum_duration"),
        options["error"],
    )
    end = int(time.time())
    start = end - int(seconds(options, "last"))
    records = recent_records(reader, criteria, start, end, options["limit"], show)
    return iter(records), f"the last {options['last']} in {reader.name}"


def check(params: dict[str, Any]) -> None:
    """Numbers that cannot work."""
    for option in ("spans_per_second", "expected_bytes_per_second", "stored_bytes_per_byte"):
        if params[option] is not None and params[option] <= 0:
            raise InvalidInput(f"option {option} is {params[option]}", remedy="Give a number above 0.")
    if params["storage_price"] < 0:
        raise InvalidInput(f"option storage_price is {params['storage_price']}", remedy="Give 0 or more.")
    if params["store"] and (given := times_given(params)):
        raise InvalidInput(f"option {given[0]} is given, but no path of a bucket", remedy="Use store.last for a store.")
    if params["store"] and params["store"]["limit"] < 1:
        raise InvalidInput(f"option store.limit is {params['store']['limit']}", remedy="Give a number from 1 up.")
    check_folders(params, ("report", "output", "decisions"))


def main() -> None:
    module = TracingModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_one_of=[("path", "store")],
        mutually_exclusive=[("path", "store")],
    )
    params = module.params
    show = progress(params)
    with module.guard():
        check(params)
        template = page.read_template(params["report_template"]) if params["report"] else ""
        load = CostLoad(
            params["expected_bytes_per_second"],
            seconds(params, "retention"),
            params["stored_bytes_per_byte"],
            params["storage_price"],
        )
    candidates = [Candidate(params["name"], params["config"], params["samplers"])]
    if compared := params["compare"]:
        candidates.append(Candidate(compared["name"], compared["config"], compared["samplers"]))
    broken = BrokenRecords(str(params["path"]), params["on_broken_line"] == "fail")
    # A line for each trace: on disk, since memory must not grow with the file.
    decisions = tempfile.TemporaryFile("w+", encoding="utf-8", newline="")  # noqa: SIM115 - it is gone with the process

    def run(records: Iterator[Record], source: str) -> Any:
        some, records = peek(records)
        if not some:
            left_out = f"{broken.count:,} broken records were left out" if broken.count else ""
            raise NotFound(
                f"{source} holds no trace", left_out, "Give another recording, other criteria or a longer time."
            )
        return simulate(
            records, candidates, load, params["spans_per_second"], decisions if params["decisions"] else None, show
        )

    if params["path"]:
        with module.guard():
            found_at = recording(params, progress=show)
            records, source = read_option(found_at, broken), Path(found_at.name).name
            if isinstance(found_at, S3Recording):
                records, source = unbatched(records), found_at.name
            result = run(records, source)
    else:
        with module.client() as kube:
            records, source = from_store(kube, params["store"], show)
            result = run(records, source)
    found = {
        "results": result.results,
        "comparison": result.comparison,
        "broken_lines": broken.count,
        "evaluation_errors": result.errors,
    }
    files = {
        params["report"]: lambda: page.render(template, report.page_data(result.results, result.comparison, source)),
        params["output"]: lambda: json.dumps(found, indent=2, ensure_ascii=False) + "\n",
    }
    streams: dict[str, IO[str]] = {path: io.StringIO(make()) for path, make in files.items() if path}
    if params["decisions"]:
        streams[params["decisions"]] = decisions
    steps = file_steps(streams)
    if not module.check_mode:
        with module.guard():
            run_steps(steps, write_file)
    module.exit(Plan(steps, result={**found, "table": result.table}))


if __name__ == "__main__":
    main()
