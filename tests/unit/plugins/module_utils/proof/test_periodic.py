# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The periodic probe: run, metrics, variables and program. It runs for real in tests/queries/test_probe.py."""

from __future__ import annotations

import ast
import gzip
import json
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import default_policies
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    ApiError,
    InvalidInput,
    TimedOut,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import InvalidVariables
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.proof import probe
from ansible_collections.orion.tracing.plugins.module_utils.proof.expectation import expect
from ansible_collections.orion.tracing.plugins.module_utils.proof.periodic import (
    PLAIN_TRACES,
    PeriodicProbe,
    ProbeResult,
    main,
    metrics,
    plan,
    push,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof.variables import (
    chart_values,
    findings,
    schedule_problem,
)
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import Criteria, NotNow, StoreReader
from ansible_collections.orion.tracing.plugins.plugin_utils.probe_program import MAIN, program
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.fake_pipeline import FakeClock

WAIT = 5.0
SAMPLING = {
    "decision_wait": f"{WAIT:g}s",
    "policies": default_policies(10, 1000, ["/api/v1/orders"], ["/health"]),
}
SETTINGS = probe.ProbeSettings(
    SAMPLING,
    critical_route="/api/v1/orders",
    dropped_route="/health",
    plain_traces=PLAIN_TRACES,
    search_name="search",
)
PROBE_VARIABLES = tuple(
    f"verify_probe_{name}"
    for name in (
        "enabled", "schedule", "timeout", "image_repository", "image_tag", "image_digest", "image_pull_secrets",
        "resources",
    )
)  # fmt: skip


class Lab(StoreReader):
    """Gateways, samplers that decide after WAIT seconds, and a store. What is broken is an attribute."""

    name, search_name, search_lag, unproven = "Store", "search", 0.0, ""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.sent: list[otlp.Document] = []
        self.keep_all = False
        self.lost_service = ""
        self.down = self.refusing = self.blind = False

    def proxy(self, kind: str, namespace: str, name: str, port: int | str, path: str, method: str = "GET",
              query: Any = None, body: bytes | None = None, headers: Any = None, scheme: str = "http",
              timeout: float = 30.0) -> Response:  # fmt: skip
        assert (kind, name, port, path, method) == ("services", "otel-collector", 4318, "v1/traces", "POST")
        if self.refusing:
            return Response(400, {}, b'{"message": "bad"}')
        self.sent.append(json.loads(gzip.decompress(body or b"")))
        return Response(200, {}, b"{}")

    def document(self, trace_id: str, start: int, end: int) -> otlp.Document:
        if self.down:
            raise NotNow("the store does not answer", "it is down")
        assert start < self.clock.time_ns() / 1e9 < end
        if self.clock.now < WAIT or (not self.keep_all and trace_id not in self.kept()):
            return {}
        return otlp.merge([one for one in self.by_trace()[trace_id] if self.lost_service not in otlp.services(one)])

    def by_trace(self) -> dict[str, list[otlp.Document]]:
        """The probe's documents hold a trace's spans of one service each."""
        found: dict[str, list[otlp.Document]] = {}
        for document in ({"resourceSpans": [part]} for one in self.sent for part in one["resourceSpans"]):
            found.setdefault(next(otlp.spans(document))["traceId"], []).append(document)
        return found

    def kept(self) -> set[str]:
        return set(expect(SAMPLING, SETTINGS.gateway, self.by_trace()).alone.kept)

    def search(
        self, criteria: Criteria, start: int, end: int, limit: int, among: Collection[str] = ()
    ) -> dict[str, int]:
        [run] = criteria.attributes.values()
        assert run in json.dumps(self.sent)
        return {} if self.blind else dict.fromkeys(self.kept(), 1)

    def run(self, settings: probe.ProbeSettings = SETTINGS) -> ProbeResult:
        return PeriodicProbe(settings, self, self, 30.0, self.clock).run()


def failed(result: ProbeResult) -> dict[str, str]:
    return {check["name"]: check["observed"] for check in result.checks if not check["passed"]}


def test_a_run_that_passes() -> None:
    lab = Lab()
    result = lab.run()
    assert failed(result) == {} and result.passed and not result.problem
    assert result.completeness == 1.0
    assert WAIT <= (result.freshness or 0) <= WAIT + 2
    # It ends once the samplers have decided, not at its time limit.
    assert WAIT + probe.SETTLE_SECONDS <= lab.clock.now < WAIT + probe.SETTLE_SECONDS + 2
    assert sum(SETTINGS.cases.values()) < 60


def test_spans_that_are_lost() -> None:
    lab = Lab()
    lab.lost_service = probe.SERVICES[2]
    result = lab.run()
    assert not result.passed and result.freshness is None
    assert 0.5 < result.completeness < 1  # one span of six
    assert "3 more in part" in failed(result)["error traces kept and complete"]


def test_what_must_not_be_there() -> None:
    lab = Lab()
    lab.keep_all = True
    result = lab.run()
    assert not result.passed and result.completeness == 1.0
    assert "unexpected:" in failed(result)["health checks dropped"]


def test_a_store_that_is_down_is_named() -> None:
    lab = Lab()
    lab.down = True
    result = lab.run()
    assert result.problem == "the store does not answer: it is down."
    assert (result.passed, result.completeness, result.freshness) == (False, 0.0, None)


def test_a_search_that_finds_nothing() -> None:
    lab = Lab()
    lab.blind = True
    assert list(failed(lab.run())) == ["found by search"]


def test_gateways_that_refuse() -> None:
    lab = Lab()
    lab.refusing = True
    with pytest.raises(ApiError, match="otel-collector answered 400: bad"):
        lab.run()


def test_policies_that_keep_nothing_for_certain() -> None:
    policies = [{"name": "one", "type": "string_attribute", "string_attribute": {"key": "a", "values": ["b"]}}]
    with pytest.raises(InvalidInput, match="collector_tail_sampling_extra_policies"):
        plan(probe.ProbeSettings({"policies": policies}, plain_traces=PLAIN_TRACES), "", 10**18)
    limited = [{"name": "some", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 10}}]
    with pytest.raises(InvalidInput, match="not certain to keep any"):
        plan(probe.ProbeSettings({"policies": limited}, plain_traces=PLAIN_TRACES), "", 10**18)


def gauges(result: ProbeResult) -> dict[str, tuple[str, float]]:
    [resource] = metrics(result, 7)["resourceMetrics"]
    assert otlp.attribute_values(resource["resource"]["attributes"]) == {"service.name": "trace-probe"}
    found = {}
    for one in resource["scopeMetrics"][0]["metrics"]:
        [point] = one["gauge"]["dataPoints"]
        assert point["timeUnixNano"] == "7"
        found[one["name"]] = (one["unit"], point["asDouble"])
    return found


def test_metrics() -> None:
    assert gauges(ProbeResult(True, 1.0, 6.5)) == {
        "orion.probe.success": ("", 1.0),
        "orion.probe.completeness": ("1", 1.0),
        "orion.probe.freshness": ("s", 6.5),
    }
    # A trace that could never be read has no freshness.
    assert gauges(ProbeResult()) == {"orion.probe.success": ("", 0.0), "orion.probe.completeness": ("1", 0.0)}


class Gateway:
    def __init__(self, *answers: Response | Exception) -> None:
        self.answers, self.bodies = list(answers), []

    def proxy(self, kind: str, namespace: str, name: str, port: int | str, path: str, method: str = "GET",
              query: Any = None, body: bytes | None = None, headers: Any = None, scheme: str = "http",
              timeout: float = 30.0) -> Response:  # fmt: skip
        assert (path, method, headers) == ("v1/metrics", "POST", {"Content-Type": "application/json"})
        self.bodies.append(body)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_metrics_are_sent_again() -> None:
    clock, gateway = FakeClock(), Gateway(Unreachable("away"), Response(503, {}, b""), Response(200, {}, b"{}"))
    push(gateway, {"a": 1}, Deadline(clock, 30.0))
    assert gateway.bodies == [b'{"a": 1}'] * 3


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (Response(404, {}, b"404 page not found"), ApiError, "collector_metrics_enabled: true"),
        (Response(400, {}, b'{"message": "bad"}'), ApiError, "answered 400: bad"),
        (Unreachable("no answer from http://a"), TimedOut, "within 30 s: no answer from http://a"),
    ],
)
def test_metrics_that_are_not_taken(answer: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        push(Gateway(answer), {}, Deadline(FakeClock(), 30.0))


@pytest.mark.parametrize(
    "schedule",
    [
        "*/5 * * * *", "0 0 1 1 0", "0,30 8-18/2 * jan-Mar mon-fri", "5/15 ? * * ?", " 1 2 3 4 5 ", "@hourly",
        "@every 1h30m",
    ],
)  # fmt: skip
def test_schedules(schedule: str) -> None:
    assert schedule_problem(schedule) == ""


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("", "0 fields instead of 5"),
        ("*/5 * * *", "4 fields instead of 5"),
        ("0 */5 * * * *", "6 fields instead of 5"),
        ("60 * * * *", "minute '60' is not from 0 to 59"),
        ("* 24 * * *", "hour '24'"),
        ("* * 0 * *", "day of the month '0' is not from 1 to 31"),
        ("* * * foo *", "month 'foo'"),
        ("* * * * 7", "day of the week '7' is not from 0 to 6"),
        ("30-10 * * * *", "minute '30-10'"),
        ("*/0 * * * *", "minute '*/0'"),
        ("1, * * * *", "minute '1,'"),
        ("every five minutes please now", "minute 'every'"),
        ("@reboot", "'@reboot', which Kubernetes does not have"),
        ("@every 5", "'@every 5', which"),
    ],
)
def test_schedules_that_kubernetes_refuses(schedule: str, words: str) -> None:
    assert words in schedule_problem(schedule)


def variables(**changes: Any) -> dict[str, Any]:
    given = {
        "verify_probe_enabled": True,
        "collector_metrics_enabled": True,
        "collector_remote_write_url": "http://prometheus.example.com/api/v1/write",
    }
    return role_defaults(*PROBE_VARIABLES, "collector", **{**given, **changes})


def problems(**changes: Any) -> dict[str, str]:
    return {finding.variable: str(finding) for finding in findings(variables(**changes))}


def test_variables_of_the_defaults() -> None:
    assert problems() == {}
    values = chart_values(variables(), {"__main__.py": MAIN})
    settings = json.loads(values["settings"])
    assert settings["gateway_url"] == "http://otel-collector.tracing.svc:4318"
    assert settings["store_url"] == "http://tempo-query-frontend.tracing.svc:3200"
    assert settings["timeout"] == 60 and values["deadlineSeconds"] == 180
    assert {policy["name"] for policy in settings["tail_sampling"]["policies"]} >= {"errors", "baseline"}
    elsewhere = {
        "tracing_store": "otlp",
        "tracing_store_reader": "jaeger",
        "tracing_store_namespace": "stores",
        "tracing_store_service": "query",
        "tracing_store_port": 80,
        "collector_exporters": [{"name": "jaeger", "protocol": "http", "endpoint": "https://jaeger.example.com"}],
    }
    settings = json.loads(chart_values(variables(**elsewhere), {"__main__.py": MAIN})["settings"])
    assert (settings["store_reader"], settings["store_url"]) == ("jaeger", "http://query.stores.svc:80")


@pytest.mark.parametrize(
    ("changes", "variable", "words"),
    [
        ({"verify_probe_enabled": "perhaps"}, "verify_probe_enabled", "not a boolean"),
        ({"verify_probe_schedule": "hourly"}, "verify_probe_schedule", "*/5 * * * *"),
        ({"verify_probe_timeout": "1 m"}, "verify_probe_timeout", "not a Go duration"),
        ({"verify_probe_image_tag": ""}, "verify_probe_image_tag", "empty"),
        ({"verify_probe_image_pull_secrets": ["A b"]}, "verify_probe_image_pull_secrets", "not a list"),
        ({"verify_probe_resources": {"limits": {"memory": "1 GB"}}}, "verify_probe_resources", "1 GB"),
        ({"collector_metrics_enabled": False}, "verify_probe_enabled", "collector_metrics_enabled is false"),
        (
            {"tracing_store": "otlp", "collector_exporters": [
                {"name": "a", "protocol": "http", "endpoint": "https://a.example.com"}]},
            "verify_probe_enabled", "tracing_store_reader is none",
        ),
        (
            {"collector_tail_sampling_policies": [
                {"name": "one", "type": "string_attribute", "string_attribute": {"key": "a", "values": ["b"]}}]},
            "verify_probe_enabled", "not certain to keep any",
        ),
    ],
)  # fmt: skip
def test_variables_that_are_wrong(changes: dict[str, Any], variable: str, words: str) -> None:
    assert words in problems(**changes)[variable]
    with pytest.raises(InvalidVariables, match=variable):
        chart_values(variables(**changes), {})


def test_a_probe_that_is_off_has_no_findings() -> None:
    assert problems(verify_probe_enabled=False, verify_probe_schedule="x", collector_metrics_enabled=False) == {}
    assert findings({}) == []


@pytest.mark.parametrize("value", [None, "x", 7, ["x"], {7: [{}]}])
def test_values_of_any_type_end_in_findings(value: Any) -> None:
    sound = variables()
    stores = ("tracing_store_reader", "tracing_store_namespace", "tracing_store_service", "tracing_store_port")
    for name in (*PROBE_VARIABLES, *stores, "collector_critical_routes", "collector_metrics_enabled"):
        for finding in findings({**sound, name: value}):
            assert finding.variable in (name, "verify_probe_enabled")


def test_the_program_is_complete_small_and_always_the_same() -> None:
    files = program()
    assert program() == files and next(iter(files)) == "__main__.py"
    assert list(files)[1:] == sorted(files)[1:]
    # A ConfigMap holds 1 MiB, and so does the Secret of a Helm release, with values and manifest, compressed.
    assert sum(len(text.encode()) for text in files.values()) < 400_000
    allowed = sys.stdlib_module_names | {"ansible_collections"}
    optional = {"msgspec", "google", "opentelemetry"}
    for path, text in files.items():
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} - allowed - optional == set(), path


def test_a_pod_without_gateways_names_them(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.orion.tracing.plugins.module_utils.proof.periodic.PUSH_SECONDS", 0.0)
    settings: Mapping[str, Any] = json.loads(chart_values(variables(), {})["settings"])
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({**settings, "gateway_url": "http://127.0.0.1:9", "timeout": 0.0}))
    assert main(str(file)) == 1
    text = capsys.readouterr().err
    assert "FAILED: the gateways did not accept spans" in text and "no answer from http://127.0.0.1:9" in text
    assert "The result could not be sent as metrics: the gateways did not take" in text
