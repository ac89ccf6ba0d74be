# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A pipeline in memory behind a Kube of the same form: gateways, samplers that decide, Tempo, a bucket.

It samples as the real one does and answers in the real ones' forms; switches break one part at a time. Time is a
number that moves when somebody sleeps.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import default_policies
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import PermissionDenied, Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import from_document
from ansible_collections.orion.tracing.plugins.module_utils.sampling.engine import Settings
from ansible_collections.orion.tracing.plugins.module_utils.sampling.evaluate import SAMPLED, PolicyList, Trace
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import Gateway
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube, Request

EPOCH = 1_800_000_000


class FakeClock(Clock):
    def __init__(self) -> None:
        self.now = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return EPOCH * 10**9 + int(self.now * 1e9)

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds


class RealClock(Clock):
    def __init__(self) -> None:
        self.started = self.monotonic()

    @property
    def now(self) -> float:
        return self.monotonic() - self.started


@dataclass
class Counted:
    """What all samplers together have counted."""

    traces: int = 0
    kept: int = 0
    decided: int = 0
    policies: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    spans: int = 0


class FakePipeline:
    def __init__(self, gateways: int = 2, samplers: int = 2, ingesters: int = 3, real: bool = False) -> None:
        """real: time passes by itself, for modules that run in a process of their own."""
        self.clock = RealClock() if real else FakeClock()
        self.epoch = self.clock.time_ns() // 10**9
        self.lock = threading.RLock()
        self.pods: dict[str, dict[str, bool]] = {
            "gateway": {f"gw-{n}": True for n in range(gateways)},
            "sampler": {f"sampler-{n}": True for n in range(samplers)},
            "distributor": {"distributor-0": True},
            "ingester": {f"ingester-{n}": True for n in range(ingesters)},
        }
        self.search_lag = 15.0
        self.configure(default_policies(10, 1000, ["/api/v1/orders"], ["/health"]))
        self.gateway = Gateway()
        # Decisions that are not the policies': ids of traces, and whether they are kept.
        self.overruled: dict[str, bool] = {}
        # What can be broken.
        self.answers: list[Response] = []  # the gateways' next answers instead of 200
        self.unreachable = 0  # how many times a gateway does not answer
        self.export_broken = False
        self.lose_service = ""  # spans of this service do not reach the samplers
        self.rewrite_parents = False
        self.query_answers: list[Response] = []
        self.search_answers: list[Response] = []
        self.other_traffic = 0  # traces per decision that are not ours
        self.metrics_down: set[str] = set()
        self.backends: int | None = samplers
        self.flush_status = 200
        self.flush_writes = True
        self.deny: str = ""  # a verb/resource that RBAC refuses
        self.query_service, self.jaeger_service = "tempo-query-frontend", ""
        # State.
        self.requests: list[tuple[str, otlp.Document]] = []
        self.arrived: dict[str, tuple[float, list[otlp.Span]]] = {}
        self.parts: dict[str, list[otlp.Document]] = {}
        self.uids: dict[str, str] = {}
        self.restarts: dict[str, int] = {}
        # The sampler whose counters are those of all, and what was counted when it began.
        self.counting, self.began = "sampler-0", Counted()
        self.repeated = self.arrived_spans = 0
        self.stored: dict[str, tuple[float, list[otlp.Span]]] = {}
        self.decided: set[str] = set()
        self.kept_ids: set[str] = set()
        self.accepted: dict[str, int] = {}
        self.policies: dict[str, int] = {}
        self.kept = self.received = self.blocks_flushed = self.forgotten = 0
        self.objects: list[dict[str, Any]] = []

    # ---- the samplers

    def configure(self, policies: list[dict[str, Any]], decision_wait: float = 10.0, **settings: Any) -> None:
        """What the samplers are configured with."""
        self.tail_sampling = {"decision_wait": f"{decision_wait * 1000:.0f}ms", "policies": policies, **settings}
        self.decision_wait = decision_wait
        sampling = Settings.from_config(self.tail_sampling)
        self.policies_of = PolicyList(sampling.policies, sampling.sample_on_first_match)

    def tick(self) -> None:
        for trace_id, (first, spans) in list(self.arrived.items()):
            if trace_id not in self.decided and self.clock.now >= first + self.decision_wait:
                self.decide(trace_id, spans)

    def decide(self, trace_id: str, spans: list[otlp.Span]) -> None:
        self.decided.add(trace_id)
        policies = self.votes(trace_id, len(spans))
        for policy in policies:
            self.policies[policy] = self.policies.get(policy, 0) + 1
        if policies:
            self.kept += 1
            self.kept_ids.add(trace_id)
            self.export(trace_id, spans)

    def hand_over(self) -> set[str]:
        """Decide at once on all traces in progress, as a sampler does that ends. What comes of them later is decided
        apart. Their ids."""
        with self.lock:
            self.tick()
            moved = self.arrived.keys() - self.decided
            for trace_id in moved:
                self.decide(trace_id, self.arrived.pop(trace_id)[1])
                del self.parts[trace_id]
                self.decided.discard(trace_id)
            self.forgotten += len(moved)
        return moved

    def export(self, trace_id: str, spans: list[otlp.Span]) -> None:
        if not self.export_broken:
            self.received += len(spans)
            since, there = self.stored.get(trace_id, (self.clock.now, []))
            # A store takes a span of the same id once; which of two copies it keeps is not known before.
            ids = {span["spanId"] for span in spans}
            self.stored[trace_id] = (since, [span for span in there if span["spanId"] not in ids] + spans)

    def votes(self, trace_id: str, count: int) -> tuple[str, ...]:
        if trace_id in self.overruled:
            return ("overruled",) if self.overruled[trace_id] else ()
        batches = [batch for part in self.parts[trace_id] for batch in from_document(part).resource_spans]
        decision, policies = self.policies_of.decide(Trace(trace_id, batches, count), self.clock.now)
        return policies if decision == SAMPLED else ()

    # ---- what happens to pods

    def counted(self) -> Counted:
        traces, decided = len(self.arrived) + self.forgotten, len(self.decided) + self.forgotten
        return Counted(traces, self.kept, decided, dict(self.policies), self.repeated, self.arrived_spans)

    def restart(self, pod: str, told: bool = True) -> None:
        """A container begins anew, and so do its counters. told: whether the pod's status says so already."""
        if pod == self.counting:
            self.began = self.counted()
        self.accepted[pod] = 0
        if told:
            self.restarts[pod] = self.restarts.get(pod, 0) + 1

    def replace(self, component: str, pod: str, by: str) -> None:
        """A pod is gone with what it counted, and another one is there."""
        del self.pods[component][pod]
        self.pods[component][by] = True
        self.uids[by] = f"uid-of-{by}-after-{pod}"
        if pod == self.counting:
            self.counting, self.began = by, self.counted()

    # ---- the API server

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> list[dict[str, Any]]:
        if self.deny == "list":
            raise PermissionDenied("GET pods answered 403", "forbidden", status=403)
        component = next(
            (part for part in self.pods if f"component={part}" in label_selector or f"({part}" in label_selector),
            "",
        )
        return [
            {
                "metadata": {"name": name, "uid": self.uids.get(name, f"uid-of-{name}")},
                "status": {
                    "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                    "containerStatuses": [{"restartCount": self.restarts.get(name, 0)}],
                },
            }
            for name, ready in self.pods.get(component, {}).items()
        ]

    def proxy(self, kind: str, namespace: str, name: str, port: int | str, path: str, method: str = "GET",
              query: dict[str, Any] | None = None, body: bytes | None = None, headers: dict[str, str] | None = None,
              scheme: str = "http", timeout: float = 30.0) -> Response:  # fmt: skip
        with self.lock:
            if self.deny == f"{method} {kind}":
                return status(403, "forbidden")
            if kind == "services" and name == self.jaeger_service:
                self.tick()
                return self.jaeger(path, query or {})
            if kind == "services":
                if name != self.query_service:
                    return status(404, f'services "{name}" not found')
                self.tick()
                return self.query(path, query or {})
            if path == "v1/traces":
                return self.ingest(name, body or b"", headers or {})
            if path == "flush":
                return self.flush()
            if name in self.metrics_down or not any(name in pods for pods in self.pods.values()):
                raise Unreachable("no answer")
            self.tick()
            return Response(200, {}, self.metrics(name).encode())

    def ingest(self, gateway: str, body: bytes, headers: dict[str, str]) -> Response:
        if self.unreachable:
            self.unreachable -= 1
            raise Unreachable("no answer from the API server", "read timed out")
        if self.answers:
            return self.answers.pop(0)
        assert headers["Content-Type"] == "application/json"
        document = json.loads(gzip.decompress(body))
        self.requests.append((gateway, document))
        self.accepted[gateway] = self.accepted.get(gateway, 0) + otlp.count_spans(document)
        for part in document["resourceSpans"]:
            service = otlp.attribute_values(part["resource"]["attributes"]).get("service.name")
            if service == self.lose_service:
                continue
            for scope in part["scopeSpans"]:
                for span in scope["spans"]:
                    self.arrive(part["resource"], span)
        return Response(200, {}, b'{"partialSuccess":{}}')

    def arrive(self, resource: dict[str, Any], span: otlp.Span) -> None:
        trace_id = span["traceId"]
        if not self.gateway.passes(trace_id):
            return
        part = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
        self.arrived_spans += 1
        if trace_id in self.decided:
            # The decision cache.
            self.repeated += 1
            if trace_id in self.kept_ids:
                self.export(trace_id, [span])
            return
        self.parts.setdefault(trace_id, []).append(self.gateway.document(part))
        self.arrived.setdefault(trace_id, (self.clock.now, []))[1].append(span)

    def metrics(self, pod: str) -> str:
        prefix = "otelcol_processor_tail_sampling_"
        if pod.startswith("gw"):
            lines = [f'otelcol_receiver_accepted_spans_total{{transport="http"}} {self.accepted.get(pod, 0)}']
            if self.backends is not None:
                lines.append(f'otelcol_loadbalancer_num_backends{{resolver="k8s"}} {self.backends}')
        elif pod == self.counting:
            other = self.other_traffic if self.decided else 0
            now, began = self.counted(), self.began
            kept, decided = now.kept - began.kept, now.decided - began.decided
            lines = [
                f"otelcol_receiver_accepted_spans_total {now.spans - began.spans}",
                f"{prefix}early_releases_from_cache_decision_total {now.repeated - began.repeated}",
                f"{prefix}new_trace_id_received_total {now.traces - began.traces + other}",
                f'{prefix}global_count_traces_sampled_total{{sampled="true"}} {kept + other}',
                f'{prefix}global_count_traces_sampled_total{{sampled="false"}} {decided - kept}',
                *(
                    f'{prefix}count_traces_sampled_total{{policy="{policy}",sampled="true"}} '
                    f"{count - began.policies.get(policy, 0)}"
                    for policy, count in now.policies.items()
                ),
            ]
        elif pod == "distributor-0":
            lines = [f'tempo_distributor_spans_received_total{{tenant="single-tenant"}} {self.received}']
        elif pod == "ingester-0":
            lines = [f"tempo_ingester_blocks_flushed_total {self.blocks_flushed}"]
        else:
            lines = ["up 1"]
        return "\n".join(lines) + "\n"

    def query(self, path: str, query: dict[str, Any]) -> Response:
        if path.startswith("api/v2/traces/"):
            if self.query_answers:
                return self.query_answers.pop(0)
            assert int(query["start"]) < self.epoch < int(query["end"])
            found = self.stored.get(path.rpartition("/")[2])
            if found is None:
                return Response(404, {}, b"trace not found")
            spans = [self.as_tempo(span) for span in found[1]]
            return reply({"trace": {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}})
        if self.search_answers:
            return self.search_answers.pop(0)
        wanted = query["q"].split('"')[1]
        found = {}
        for trace_id, (since, spans) in self.stored.items():
            match = [s for s in spans if any(a["value"].get("stringValue") == wanted for a in s["attributes"])]
            if match and self.clock.now >= since + self.search_lag:
                found[trace_id.lstrip("0")] = len(match)
        traces = [{"traceID": one, "spanSets": [{"matched": n}]} for one, n in found.items()]
        return reply({"traces": traces[: int(query["limit"])]})

    def jaeger(self, path: str, query: dict[str, Any]) -> Response:
        """Jaeger's API v3, which searches by service and time alone."""
        if path == "api/v3/traces":
            assert query["query.service_name"] in ("probe-frontend", "probe-orders-api", "probe-fulfilment")
            found = [spans for since, spans in self.stored.values() if self.clock.now >= since + self.search_lag]
        else:
            found = [self.stored[one][1]] if (one := path.rpartition("/")[2]) in self.stored else []
        if not found:
            return reply({"error": {"httpCode": 404, "message": "No traces found"}}, 404)
        return reply({"result": {"resourceSpans": [{"scopeSpans": [{"spans": spans}]} for spans in found]}})

    def as_tempo(self, span: otlp.Span) -> otlp.Span:
        """Tempo's JSON has ids in base64."""
        copy = dict(span)
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in copy:
                copy[key] = base64.b64encode(bytes.fromhex(copy[key])).decode()
        if self.rewrite_parents and "parentSpanId" in copy:
            copy["parentSpanId"] = base64.b64encode(b"\1" * 8).decode()
        return copy

    def flush(self) -> Response:
        if self.flush_status != 200:
            return Response(self.flush_status, {}, b"not here")
        self.tick()
        if self.flush_writes and self.stored:
            self.blocks_flushed += 1
            self.put_block("new-block", timedelta(0), len(self.stored))
        return Response(204, {}, b"")

    # ---- the bucket (module_utils.s3.client.Store)

    def put_block(self, name: str, age: timedelta, traces: int, end: timedelta = timedelta(0)) -> None:
        now = datetime.fromtimestamp(self.epoch, UTC) + timedelta(seconds=self.clock.now)
        meta = {"blockID": name, "totalObjects": traces, "size": 4711, "endTime": (now - age - end).isoformat()}
        for file in ("data.parquet", "meta.json"):
            self.objects.append(
                {"Key": f"t/{name}/{file}", "LastModified": now - age, "meta": json.dumps(meta).encode()}
            )

    def call(self, bucket: str, call: Any) -> dict[str, Any]:
        if call.operation == "get_object":
            return {"Body": io.BytesIO(next(o["meta"] for o in self.objects if o["Key"] == call.arguments["Key"]))}
        assert call.operation == "list_objects_v2"
        now = datetime.fromtimestamp(self.epoch, UTC) + timedelta(seconds=self.clock.now)
        headers = {"date": format_datetime(now.replace(microsecond=0), usegmt=True)}
        first = int(call.arguments.get("ContinuationToken", 0))
        chosen = [o for o in self.objects if o["Key"].startswith(call.arguments.get("Prefix", ""))]
        page = {"Contents": chosen[first : first + 1], "ResponseMetadata": {"HTTPHeaders": headers}}
        if first + 1 < len(chosen):
            page |= {"IsTruncated": True, "NextContinuationToken": str(first + 1)}
        return page


def reply(document: Any, code: int = 200) -> Response:
    return Response(code, {"content-type": "application/json"}, json.dumps(document).encode())


def status(code: int, message: str) -> Response:
    """A refusal of the API server itself."""
    return reply({"kind": "Status", "status": "Failure", "message": message, "code": code}, code)


def behind(kube: FakeKube, fake: FakePipeline) -> None:
    """The pipeline's pods, and what is behind the API server's proxy."""

    def serve(request: Request) -> Response:
        kind, _slash, rest = request.path.removeprefix("/api/v1/namespaces/tracing/").partition("/")
        if not rest:
            return reply({"items": fake.list(request.path, request.query["labelSelector"])})
        target, _proxy, path = rest.partition("/proxy/")
        _scheme, name, port = target.split(":")
        headers = {name.title(): value for name, value in request.headers.items()}
        return fake.proxy(kind, "tracing", name, port, path, request.method, request.query, request.body, headers)

    kube.on("/namespaces/tracing/(pods$|[^/]+/[^/]+/proxy/)", serve)


@contextmanager
def api_server(fake: FakePipeline) -> Iterator[str]:
    """The pipeline behind an API server on a socket of this machine; its URL."""
    kube = FakeKube()
    behind(kube, fake)
    with kube.serving() as url:
        yield url
