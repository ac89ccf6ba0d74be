#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: trace_probe
short_description: Prove a tracing pipeline by sending traces and reading them back
version_added: 0.1.0
description:
  - Sends traces that span three services (HTTP, PostgreSQL, Kafka) into the gateways, the spans of one trace in
    separate requests to different gateway pods, and reads back from the store (Tempo or Jaeger) what was kept.
  - The traces are errors, slow ones, ones of a critical route, health checks and ordinary ones. What has to become of
    each is what the samplers' configuration makes of it by the simulator of M(orion.tracing.sampling_simulation), trace
    by trace, the sampling percentages included, since the collector hashes trace ids. Where a decision depends on what
    else is kept at the time (C(rate_limiting), C(bytes_limiting), C(composite)) and other traffic is there, there are
    bounds instead.
  - Checks that what has to be kept is there and complete and nothing else is, that ids and parents are intact, that
    search finds the traces, and that blocks reach the bucket.
  - Fails if a check fails, naming the traces and the policies that decide on them, and where the spans were last seen
    by the components' own metrics. All return values are there in that case too.
  - Fails before anything is sent if the configuration keeps none of the traces, since their absence
    would prove nothing.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
  - orion.tracing.pipeline
  - orion.tracing.report
  - orion.tracing.s3.connection
attributes:
  check_mode:
    support: full
    details: Nothing is sent; the checks that would be made are returned.
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
    description:
      - Processors of the gateways, as deployed (C(gateway.config.processors) of the same filter).
      - Of these, C(probabilistic_sampler) of the mode C(proportional) or C(equalizing), and the action C(insert) of
        C(resource) and C(attributes), change what is expected. What C(k8s_attributes) and C(resource_detection) add is
        not known beforehand, so a policy that looks at it must not decide on the probe's traces.
    type: dict
    default: {}
  addressing_style:
    description:
      - Whether a request names the bucket in its path or in its host name.
      - Defaults to V(path) if O(endpoint_url) is not AWS's, otherwise to V(auto).
    type: str
    choices: [auto, path, virtual]
  critical_route:
    description: A value of C(http.route) that gets traces of its own. Empty sends none.
    type: str
    default: ''
  dropped_route:
    description: A value of C(http.route) and C(url.path) that gets health checks, traces of one span. Empty sends none.
    type: str
    default: ''
  plain_traces:
    description: How many ordinary traces are sent, at least 300.
    type: int
    default: 300
  timeout:
    description:
      - Time limit, as a Go duration, for sending everything until it is decided; and again for waiting until everything
        is in the store.
      - A forced flush may take 30 seconds more.
    type: str
    default: 3m
  bucket:
    description:
      - Bucket of Tempo's blocks. The module makes the ingesters flush and looks for a new block in the bucket, from the
        host it runs on.
      - If empty, this is not checked.
      - Needs C(s3:ListBucket) and C(s3:GetObject).
    type: str
    default: ''
  prefix:
    description: Folder of the blocks in the bucket (Tempo's C(storage.trace.s3.prefix)).
    type: str
    default: ''
  recordings_bucket:
    description:
      - Bucket of a recording of kept traces (an S3 destination of the samplers). The module looks for the
        traces that must be kept in what was written since the run began, from the host it runs on.
      - If empty, this is not checked.
      - Needs C(s3:ListBucket) and C(s3:GetObject).
    type: str
    default: ''
  recordings_prefix:
    description: The recording's prefix in the bucket. Required with O(recordings_bucket).
    type: str
    default: ''
  applications:
    description:
      - Requests to applications in the cluster, and the traces that they have to make.
      - Each request goes to a Service through the API server's proxy, with a C(traceparent) whose root span the module
        sends to the gateways itself. The trace is read back when it is complete, and compared with its description.
      - U(https://github.com/orion-tracing/orion.tracing/blob/main/docs/proof.md) explains the description.
      - Needs a store that is read back (O(store_reader)), and the verb of each method (V(get) for GET, V(create) for
        POST) on C(services/proxy) in the namespaces of the applications.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the request, unique. Also the name of the check of what has no C(check) in its description.
        type: str
        required: true
      namespace:
        description: Namespace of the Service.
        type: str
        required: true
      service:
        description: Name of the Service.
        type: str
        required: true
      port:
        description: Port of the Service.
        type: int
        default: 80
      method:
        description: Method of the request.
        type: str
        default: GET
      path:
        description: Path of the request, with its query.
        type: str
        required: true
      headers:
        description: Headers of the request, without C(traceparent), which the module writes.
        type: dict
        default: {}
      body:
        description: Body of the request, sent as JSON. None by default.
        type: raw
      status:
        description: Status of the answer, such as V(201).
        type: int
        required: true
      trace:
        description:
          - The trace, without the module's own root span.
          - C(spans) describes the spans as a tree, each with C(service) and C(name), and optionally C(kind), C(status),
            C(attributes), C(resource), C(events), C(links), C(check) and, again, C(spans). A value is compared as it
            is; C({"pattern":"REGEX"}) has to match the whole value, C({"absent":true}) means that there is none.
          - C(services) lists all services that take part, C(every_span) has attributes that each span has, C(ignore) is
            the name of spans that are left out, C(exact) excludes any other spans, C(check) is the name of the check.
        type: dict
        required: true
  proof_path:
    description:
      - File to which the proof is written as JSON, atomically, whether or not the checks passed.
      - Not written in check mode.
    type: path
  report_path:
    description:
      - File to which the proof is written as one HTML page, whether or not the checks passed, with a trace of each kind
        as a timeline, the service graph, and what sampling kept and dropped. The page needs nothing else and asks no
        server for anything.
      - Not written in check mode.
    type: path
  prometheus_url:
    description:
      - Base URL of the Prometheus with the collectors' metrics. The page then has the service graph of all requests,
        sampled or not, with their rates, errors and durations, beside that of the traces in it.
      - The host name C(SERVICE.NAMESPACE.svc) is a Service of the cluster, reached through the API server's proxy. Any
        other is asked directly, from the host on which the module runs. If empty, or if it does not answer, the page
        has the graph of its traces alone, and the reason.
    type: str
    default: ''
  prometheus_last:
    description: How far that service graph looks back, as a Go duration.
    type: str
    default: 1h
requirements:
  - boto3 (Python package), with O(bucket) or O(recordings_bucket)
  - opentelemetry-proto (Python package), with O(recordings_bucket) of a recording in protobuf
notes:
  - The traces stay in the store until its retention removes them. They have C(service.namespace=orion-probe) and the
    span attribute C(orion.probe.run). A run is a test with recognisable traces, so it never counts as a change.
  - A forced flush writes small blocks, which Tempo's compactor merges later.
seealso:
  - module: orion.tracing.otlp_replay
"""

EXAMPLES = r"""
- name: Prove a pipeline by the variables of the collector role
  orion.tracing.trace_probe:
    namespace: tracing
    tail_sampling: "{{ collector.sampler.config.processors.tail_sampling }}"
    gateway_processors: "{{ collector.gateway.config.processors }}"
    critical_route: /api/v1/orders
    dropped_route: /health
    bucket: orion-traces
    proof_path: ./proof.json
  vars:
    collector: "{{ collector_variables | orion.tracing.collector_values }}"
  register: proof

- name: Prove a pipeline by a policy list in the playbook
  orion.tracing.trace_probe:
    namespace: tracing
    tail_sampling:
      decision_wait: 30s
      policies:
        - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
        - {name: a-tenth, type: probabilistic, probabilistic: {sampling_percentage: 10}}
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
      description: What a working pipeline shows.
      type: str
    observed:
      description: What was found.
      type: str
    seconds:
      description: When it was found, in seconds after the first span was sent.
      type: float
    passed:
      description: Whether C(observed) is as C(expected).
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
  description:
    - Ids of the traces that must be kept, by case (V(error), V(slow), V(critical), V(dropped), V(plain)), and of the
      traces of applications that are as described (V(application)).
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
  description: Where spans were last seen by the components' metrics. Empty if all checks of the module's traces passed.
  returned: when not in check mode
  type: str
notes:
  description: What else to know, for example that there was only one gateway.
  returned: when not in check mode
  type: list
  elements: str
"""

import contextlib
import json
import secrets
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.module.progress import progress
from ansible_collections.orion.tracing.plugins.module_utils.proof import applications, probe
from ansible_collections.orion.tracing.plugins.module_utils.proof.options import (
    PIPELINE_OPTIONS,
    connect,
    seconds,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof.run import Probe, write_proof
from ansible_collections.orion.tracing.plugins.module_utils.report import measured, page
from ansible_collections.orion.tracing.plugins.module_utils.report.options import (
    REPORT_OPTIONS,
    check,
    logs_of,
    trace_link,
)
from ansible_collections.orion.tracing.plugins.module_utils.report.proof import proof_data
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
from ansible_collections.orion.tracing.plugins.module_utils.s3.options import s3_options
from ansible_collections.orion.tracing.plugins.module_utils.s3.recording import SCHEME, Range, S3Recording
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import Settings as Sampling
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import Gateway
from ansible_collections.orion.tracing.plugins.module_utils.store import prometheus
from ansible_collections.orion.tracing.plugins.module_utils.store.prometheus import Prometheus
from ansible_collections.orion.tracing.plugins.module_utils.store.readers import READERS
from ansible_collections.orion.tracing.plugins.module_utils.store.url import check_url

# Without validate_certs, which is about the API server here.
S3_NAMES = ("endpoint_url", "region", "access_key", "secret_key", "session_token", "ca_bundle", "addressing_style")
ARGUMENTS: dict[str, dict[str, Any]] = {
    **PIPELINE_OPTIONS,
    **{name: option for name, option in s3_options().items() if name in S3_NAMES},
    "tail_sampling": {"type": "dict", "required": True},
    "gateway_processors": {"type": "dict", "default": {}},
    "critical_route": {"type": "str", "default": ""},
    "dropped_route": {"type": "str", "default": ""},
    "plain_traces": {"type": "int", "default": probe.MIN_PLAIN},
    "timeout": {"type": "str", "default": "3m"},
    "bucket": {"type": "str", "default": ""},
    "prefix": {"type": "str", "default": ""},
    "recordings_bucket": {"type": "str", "default": ""},
    "recordings_prefix": {"type": "str", "default": ""},
    "applications": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "service": {"type": "str", "required": True},
            "port": {"type": "int", "default": 80},
            "method": {"type": "str", "default": "GET"},
            "path": {"type": "str", "required": True},
            "headers": {"type": "dict", "default": {}},
            "body": {"type": "raw"},
            "status": {"type": "int", "required": True},
            "trace": {"type": "dict", "required": True},
        },
    },
    "proof_path": {"type": "path"},
    "report_path": {"type": "path"},
    "prometheus_url": {"type": "str", "default": ""},
    "prometheus_last": {"type": "str", "default": "1h"},
    **REPORT_OPTIONS,
}


def settings_of(params: dict[str, Any]) -> probe.ProbeSettings:
    """What the options say; InvalidInput for a value that cannot be."""
    if params["plain_traces"] < probe.MIN_PLAIN:
        raise InvalidInput(
            f"option plain_traces is {params['plain_traces']}",
            "so few traces say little about a share",
            f"Give at least {probe.MIN_PLAIN}.",
        )
    Sampling.from_config(params["tail_sampling"])  # refuses what is wrong before the cluster is asked
    if params["bucket"] and params["store_reader"] == "jaeger":
        raise InvalidInput(
            "option bucket is given, but store_reader is jaeger",
            "it is the bucket of Tempo's blocks",
            "Leave it out; recordings_bucket is that of a recording.",
        )
    prefix = params["recordings_prefix"].strip("/")
    if params["recordings_bucket"] and not prefix:
        raise InvalidInput(
            "option recordings_prefix is empty, but recordings_bucket is given",
            remedy="Give the prefix of the S3 destination (collector_exporters).",
        )
    names = ("tail_sampling", "critical_route", "dropped_route", "plain_traces", "bucket", "prefix")
    return probe.ProbeSettings(
        **{name: params[name] for name in names},
        gateway=Gateway.from_config(params["gateway_processors"]),
        search_name=READERS[params["store_reader"]].search_name if params["store_reader"] in READERS else "",
        reads_back=params["store_reader"] in READERS,
        recordings=f"{SCHEME}{params['recordings_bucket']}/{prefix}" if params["recordings_bucket"] else "",
    )


def main() -> None:
    module = TracingModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    run = secrets.token_hex(8)
    with module.guard():
        settings = settings_of(params)
        wanted = applications.applications(params["applications"])
        if wanted and not settings.reads_back:
            raise InvalidInput(
                "option applications is given, but store_reader is none",
                "their traces cannot be read back",
                "Give the store's reader, or leave applications out.",
            )
        timeout = seconds(params, "timeout")
        for option in ("proof_path", "report_path"):
            if params[option] and not Path(params[option]).parent.is_dir():
                raise InvalidInput(
                    f"option {option} is {params[option]}", "there is no such folder", "Make the folder first."
                )
        check(params)
        check_url("prometheus_url", params["prometheus_url"], prometheus.EXAMPLE)
        looks_back = max(1, int(seconds(params, "prometheus_last")))
        template = page.read_template(params["report_template"]) if params["report_path"] else ""
        if module.check_mode:
            traces = probe.build(settings, run, time.time_ns())
            checks = probe.planned_checks(settings, traces, probe.expected(settings, traces).alone)
            checks += applications.planned_checks(wanted)
    if module.check_mode:
        module.exit(Plan(result={"passed": None, "checks": checks, "table": probe.table(checks), "run": run}))
    with module.client() as kube, contextlib.ExitStack() as stack:
        store: Store | None = None
        if settings.bucket or settings.recordings:
            store = Store.connect({name: params[name] for name in S3_NAMES})
            stack.callback(store.close)
        pipeline, reader = connect(kube, params)

        def recording(begin: datetime) -> S3Recording:
            return S3Recording(cast(Store, store), settings.recordings, Range(begin))

        run_of = Probe(
            pipeline,
            reader,
            settings,
            run,
            timeout,
            store if settings.bucket else None,
            progress(params),
            recording if settings.recordings else None,
            wanted,
        )
        proof = run_of.run()
        document = proof.document()
        if params["proof_path"]:
            write_proof(params["proof_path"], json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        if params["report_path"]:
            logs = logs_of(kube, params)
            graph: tuple[page.Data | None, str] = (None, "")
            if params["prometheus_url"]:
                graph = measured.read(Prometheus(kube, params["prometheus_url"]), looks_back)
            data = proof_data(
                proof,
                run_of.evidence(),
                params["tail_sampling"].get("policies") or [],
                datetime.now(UTC),
                kube.version(),
                partial(trace_link, params),
                logs,
                graph,
            )
            for problem in filter(None, (logs.problem, graph[1])):
                module.warn(f"report_path: {problem}")
            write_proof(params["report_path"], page.render(template, data))
    result = {**document, "table": probe.table(proof.checks)}
    if not proof.passed:
        failed = [check for check in proof.checks if not check["passed"]]
        what = "; ".join(f"{c['name']}: expected {c['expected']}, observed {c['observed']}" for c in failed)
        where = f" Last seen: {proof.last_seen}." if proof.last_seen else ""
        module.fail_json(msg=f"{len(failed)} of {len(proof.checks)} checks failed. {what}.{where}", **result)
    module.exit(Plan(result=result))


if __name__ == "__main__":
    main()
