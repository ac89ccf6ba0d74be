# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.proof import probe
from ansible_collections.orion.tracing.plugins.module_utils.proof.applications import (
    Applications,
    applications,
    planned_checks,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Pipeline, Selectors
from ansible_collections.orion.tracing.plugins.module_utils.proof.sender import Sender
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.fake_pipeline import FakeClock

ENTRY = {
    "name": "one order",
    "namespace": "shop",
    "service": "gateway",
    "method": "post",
    "path": "/api/v1/orders?dry=1",
    "headers": {"X-Tenant-Id": "acme"},
    "body": {"sku": "book"},
    "status": 201,
    "trace": {
        "services": ["gateway"],
        "every_span": {"check": "baggage", "attributes": {"tenant.id": "acme"}},
        "spans": [{"service": "gateway", "name": "POST /api/v1/orders", "kind": "SERVER"}],
    },
}
TENTH = {"policies": [{"name": "tenth", "type": "probabilistic", "probabilistic": {"sampling_percentage": 10}}]}


class Cluster:
    """An application behind the API server's proxy, gateways, and a store; what they take is at once in the store."""

    name, search_name, search_lag, unproven = "Tempo", "search", 0.0, ""

    def __init__(self) -> None:
        self.clock, self.spans, self.requests = FakeClock(), [], []
        self.answer = Response(201, {}, b"{}")
        self.tenant = "acme"

    def proxy(self, kind: str, namespace: str, name: str, port: int, path: str, method: str = "GET", **rest: Any):
        if kind == "pods":
            self.spans.append(json.loads(gzip.decompress(rest["body"])))
            return Response(200, {}, b"{}")
        if isinstance(self.answer, Exception):
            raise self.answer
        self.requests.append((namespace, name, port, path, method, rest))
        _version, trace_id, parent, _flags = rest["headers"]["traceparent"].split("-")
        now = self.clock.time_ns()
        span = otlp.span(
            trace_id, "11" * 8, parent, "POST /api/v1/orders", "SERVER", now, now + 1, {"tenant.id": self.tenant}
        )
        self.spans.append(otlp.request({"service.name": "gateway"}, "", [span]))
        return self.answer

    def document(self, trace_id: str, start: int, end: int) -> otlp.Document:
        assert start < self.clock.time_ns() / 1e9 < end
        return otlp.merge([one for one in self.spans if next(otlp.spans(one))["traceId"] == trace_id])


def run(cluster: Cluster, *entries: Any, policies: Any = None) -> Applications:
    wanted = applications(list(entries) or [ENTRY])
    one = Applications(wanted, cluster, probe.ProbeSettings(policies or TENTH), 3.0)
    sender = Sender(Pipeline(cluster, "tracing", Selectors(), cluster.clock), ["a", "b"])
    one.run(cluster, sender, "0" * 16, Deadline(cluster.clock, 60.0), lambda line: None)
    return one


def test_a_trace_as_described():
    cluster = Cluster()
    ran = run(cluster)
    [(namespace, name, port, path, method, rest)] = cluster.requests
    assert (namespace, name, port, path, method) == ("shop", "gateway", 80, "/api/v1/orders", "POST")
    assert rest["query"] == {"dry": ["1"]} and json.loads(rest["body"]) == {"sku": "book"}
    assert rest["headers"]["x-tenant-id"] == "acme" and rest["headers"]["content-type"] == "application/json"
    assert rest["headers"]["traceparent"] == f"00-{ran.sent[0].trace_id}-{ran.sent[0].root}-01"
    observed = f"one order: 2 spans, trace {ran.sent[0].trace_id}"
    assert ran.checks() == [
        {
            "name": "one order", "expected": "one order: one root, no orphan, 1 services, 1 span as described",
            "observed": observed, "seconds": 0.0, "passed": True,
        },
        {
            "name": "baggage", "expected": "one order: tenant.id on every span",
            "observed": observed, "seconds": 0.0, "passed": True,
        },
    ]  # fmt: skip
    assert ran.traces == [ran.sent[0].trace_id]


def test_the_ids_are_ones_that_the_samplers_keep_for_the_root_alone():
    from ansible_collections.orion.tracing.plugins.module_utils.proof.expectation import keeps

    ran = run(Cluster(), *({**ENTRY, "name": f"order {number}"} for number in range(20)))
    kept = keeps(TENTH, ran.settings.gateway)
    roots = [one.trace_id for one in ran.sent]
    assert len(set(roots)) == 20 and all(one.certain for one in ran.sent)
    document = otlp.request({}, "", [otlp.span("0" * 32, "1" * 16, "", "x", "CLIENT", 1, 2, {})])
    assert all(kept(trace_id, [document]) for trace_id in roots)


def test_what_differs_belongs_to_its_check():
    cluster = Cluster()
    cluster.tenant = "other"
    ran = run(cluster)
    whole, baggage = ran.checks()
    assert whole["passed"] and not baggage["passed"]
    assert "attribute tenant.id is 'other', expected 'acme'" in baggage["observed"]
    assert ran.traces == []
    # It gave up when nothing new came, not at the deadline.
    assert cluster.clock.now == pytest.approx(15.0, abs=1.0)


def test_the_trace_is_not_in_the_store():
    cluster = Cluster()
    cluster.document = lambda trace_id, start, end: {}
    ran = run(
        cluster,
        policies={"policies": [{"name": "e", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}]},
    )
    for check in ran.checks():
        assert not check["passed"]
        assert "the trace is not in the store, and no sampling policy is certain to keep it" in check["observed"]


STATUS = {"kind": "Status", "message": 'services "gateway" not found'}


@pytest.mark.parametrize(
    ("answer", "observed"),
    [
        (Response(404, {}, json.dumps(STATUS).encode()), 'services "gateway" not found; install the application'),
        (Response(503, {}, json.dumps(STATUS).encode()), "local_demo_enabled=true"),
        (Response(403, {}, json.dumps(STATUS).encode()), "grant its verb"),
        (Response(502, {}, b"bad gateway"), "answered 502, expected 201: bad gateway"),
        (Unreachable("no answer from the API server"), "no answer from the API server"),
    ],
)
def test_a_request_that_fails_fails_all_checks_of_its_trace(answer, observed):
    cluster = Cluster()
    cluster.answer = answer
    ran = run(cluster)
    assert len(ran.checks()) == 2
    for check in ran.checks():
        assert not check["passed"] and observed in check["observed"]
    assert cluster.clock.now == 0.0 and ran.traces == []


def test_requests_share_a_check():
    one, two = ENTRY, {**ENTRY, "name": "again"}
    assert [check["name"] for check in planned_checks(applications([one, two]))] == ["one order", "baggage", "again"]
    ran = run(Cluster(), one, two)
    [shared] = [check for check in ran.checks() if check["name"] == "baggage"]
    assert shared["passed"] and shared["observed"].count("trace ") == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": None}, "applications[0] lacks status"),
        ({"spam": 1}, "applications[0] has unknown keys: spam"),
        ({"headers": {"TraceParent": "00"}}, "applications[0].headers has TraceParent"),
        ({"port": "http"}, "applications[0].port is 'http'"),
        ({"trace": {"spans": [{"service": "x"}]}}, "applications[0].trace.spans[0].name is missing"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(change, message):
    with pytest.raises(InvalidInput) as refused:
        applications([{**ENTRY, **change}])
    assert message in str(refused.value)


def test_names_are_unique():
    with pytest.raises(InvalidInput, match="one order more than once"):
        applications([ENTRY, ENTRY])
