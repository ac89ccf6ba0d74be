# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import default_policies
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    InvalidInput,
    NotFound,
    PermissionDenied,
)
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.proof import probe
from ansible_collections.orion.tracing.plugins.module_utils.proof.expectation import Expectation, keeps
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Increase, Pipeline, Selectors
from ansible_collections.orion.tracing.plugins.module_utils.proof.run import Probe, Proof, write_proof
from ansible_collections.orion.tracing.plugins.module_utils.sampling.gateway import Gateway
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import StoredTrace
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.fake_pipeline import (
    EPOCH,
    FakePipeline,
    status,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[5]
NOW = EPOCH * 10**9
RUN = "0123456789abcdef"
CRITICAL, HEALTH = "/api/v1/orders", "/health"


def config(policies: list[dict[str, Any]], **settings: Any) -> dict[str, Any]:
    return {"decision_wait": "10s", "policies": policies, **settings}


def settings_for(tail_sampling: dict[str, Any], **more: Any) -> probe.ProbeSettings:
    return probe.ProbeSettings(tail_sampling, **{"critical_route": CRITICAL, "dropped_route": HEALTH, **more})


DEFAULTS = config(default_policies(10, 1000, [CRITICAL], [HEALTH]))
SETTINGS = settings_for(DEFAULTS, bucket="blocks")


def traces_of(settings: probe.ProbeSettings = SETTINGS) -> list[probe.ProbeTrace]:
    return probe.build(settings, RUN, NOW, Random(1))


def expectation_of(settings: probe.ProbeSettings = SETTINGS) -> tuple[list[probe.ProbeTrace], Expectation]:
    traces = traces_of(settings)
    return traces, probe.expected(settings, traces)


def spans_of(one: probe.ProbeTrace) -> list[dict[str, Any]]:
    return [span for document in one.documents for span in otlp.spans(document)]


@pytest.mark.parametrize("case", ["error", "slow", "critical", "plain"])
def test_a_trace_spans_three_services_with_todays_attributes(case: str) -> None:
    one = probe.trace(case, SETTINGS, "run", NOW, Random(2))
    services = [
        otlp.attribute_values(part["resource"]["attributes"])["service.name"]
        for document in one.documents
        for part in document["resourceSpans"]
    ]
    assert services == list(probe.SERVICES)
    spans = spans_of(one)
    assert Counter(span["kind"] for span in spans) == {2: 2, 3: 2, 4: 1, 5: 1}
    assert {span["spanId"]: span.get("parentSpanId", "") for span in spans} == one.spans
    assert list(one.spans.values()).count("") == 1
    assert all(parent in one.spans for parent in one.spans.values() if parent)
    names = {key for span in spans for key in otlp.attribute_values(span["attributes"])}
    assert names >= {
        "http.request.method", "http.route", "url.path", "http.response.status_code", "server.address",
        "db.system.name", "db.operation.name", "db.query.text", "messaging.system", "messaging.operation.type",
        "messaging.destination.name", "orion.probe.run", "orion.probe.case",
    }  # fmt: skip
    assert not names & {"http.method", "http.target", "http.status_code", "db.system", "db.statement", "http.url"}
    # Well-formed: inside the root, which ends now.
    assert max(int(span["endTimeUnixNano"]) for span in spans) == NOW
    assert all(int(s["startTimeUnixNano"]) < int(s["endTimeUnixNano"]) for s in spans)


def test_cases_differ_in_what_the_policies_look_at() -> None:
    def facts(case: str) -> tuple[int, float, set[Any]]:
        spans = spans_of(probe.trace(case, SETTINGS, "run", NOW))
        start = min(int(span["startTimeUnixNano"]) for span in spans)
        routes = {otlp.attribute_values(span["attributes"]).get("http.route") for span in spans}
        return sum(map(otlp.is_error, spans)), (NOW - start) / 1e6, routes - {None, "/internal/orders"}

    assert facts("error") == (1, 40.0, {"/orion/probe"})
    assert facts("slow") == (0, 1500.0, {"/orion/probe"})
    assert facts("critical") == (0, 40.0, {"/api/v1/orders"})
    assert facts("dropped") == (0, 40.0, {"/health"})
    assert facts("plain") == (0, 40.0, {"/orion/probe"})


def test_a_short_threshold_makes_short_plain_traces() -> None:
    settings = settings_for(config(default_policies(10, 50, [], [])))
    spans = spans_of(probe.trace("plain", settings, "run", NOW))
    assert NOW - min(int(span["startTimeUnixNano"]) for span in spans) == 10_000_000


def test_services_of_a_trace_go_in_separate_requests_to_neighbours() -> None:
    traces = traces_of()
    where: dict[str, list[int]] = {}
    spans = 0
    for gateway, document in probe.requests(traces):
        services = {
            otlp.attribute_values(p["resource"]["attributes"])["service.name"] for p in document["resourceSpans"]
        }
        assert len(services) == 1
        spans += otlp.count_spans(document)
        for trace_id in {span["traceId"] for span in otlp.spans(document)}:
            where.setdefault(trace_id, []).append(gateway)
    assert spans == sum(len(one.spans) for one in traces)
    for one in traces:
        first = where[one.trace_id][0]
        assert where[one.trace_id] == list(range(first, first + len(one.documents)))
    assert len(probe.requests(traces)) == 9 * 3 + 1 + 6 * 3


def test_each_case_is_sent_where_the_configuration_has_something_to_show() -> None:
    assert SETTINGS.cases == {"error": 3, "slow": 3, "critical": 3, "dropped": 20, "plain": 300}
    bare = probe.ProbeSettings(config([{"name": "all", "type": "always_sample"}]))
    assert bare.cases == {"error": 3, "plain": 300}
    assert len(probe.trace("error", bare, "run", NOW).spans) == 6


@pytest.mark.parametrize("percentage", [10, 50, 3])
def test_the_outcome_of_a_case_is_not_the_baselines(percentage: int) -> None:
    """An ordinary trace with the id of an error trace is not kept, and one with that of a health check is."""
    settings = settings_for(config(default_policies(percentage, 1000, [CRITICAL], [HEALTH])))
    kept = keeps(settings.tail_sampling, Gateway())
    for one in traces_of(settings):
        if one.case != "plain" and not (percentage == 3 and one.case == "dropped"):
            assert kept(one.trace_id, one.documents) == (one.case != "dropped")
            twin = probe.trace("plain", settings, "run", NOW, trace_id=one.trace_id)
            assert kept(one.trace_id, twin.documents) == (one.case == "dropped")


def test_where_no_id_tells_the_first_ones_serve() -> None:
    everything = settings_for(config([{"name": "all", "type": "always_sample"}]))
    assert [one.case for one in traces_of(everything)].count("error") == 3


def observed(traces: list[probe.ProbeTrace], expectation: Expectation) -> probe.Observation:
    kept = [one for one in traces if one.trace_id in expectation.alone.kept]
    return probe.Observation(
        seconds=40.0,
        read={one.trace_id: StoredTrace(dict(one.spans), frozenset({one.trace_id})) for one in kept},
        complete_at={one.trace_id: 12.0 for one in kept},
        decided=True,
        alone=True,
        settled_at=13.0,
        searched={one.trace_id: 6 for one in kept},
        searched_at=20.0,
        block=probe.Block("b", 39, 10),
        block_at=30.0,
    )


def verdicts(
    traces: list[probe.ProbeTrace],
    expectation: Expectation,
    seen: probe.Observation,
    settings: probe.ProbeSettings = SETTINGS,
) -> dict[str, tuple[str, bool]]:
    return {c["name"]: (c["observed"], c["passed"]) for c in probe.evaluate(settings, traces, expectation, seen)}


def test_a_good_observation_passes() -> None:
    traces, expectation = expectation_of()
    kept = [one for one in traces if one.trace_id in expectation.alone.kept]
    plain = len(kept) - 9
    assert 10 <= plain <= 60
    assert verdicts(traces, expectation, observed(traces, expectation)) == {
        "error traces kept and complete": ("3 of 3 traces", True),
        "slow traces kept and complete": ("3 of 3 traces", True),
        "critical route kept and complete": ("3 of 3 traces", True),
        "health checks dropped": ("0 of 20 traces", True),
        "share of other traces kept": (f"{plain} of 300 traces ({plain / 3:.1f} %)", True),
        "W3C ids and parents intact": (f"{6 * len(kept)} of {6 * len(kept)} spans read as sent", True),
        "found by TraceQL search": (f"{len(kept)} of {len(kept)} kept traces", True),
        "block objects in the bucket": ("block b: 39 traces, 10 bytes", True),
    }


def failing(traces: list[probe.ProbeTrace], expectation: Expectation, seen: probe.Observation) -> set[str]:
    return {name for name, (_observed, passed) in verdicts(traces, expectation, seen).items() if not passed}


def test_each_defect_fails_its_check() -> None:
    traces, expectation = expectation_of()
    error, *_rest = (one for one in traces if one.case == "error")
    kept = next(one for one in traces if one.case == "plain" and one.trace_id in expectation.alone.kept)
    lost = next(one for one in traces if one.case == "plain" and one.trace_id not in expectation.alone.kept)

    def whole(one: probe.ProbeTrace) -> StoredTrace:
        return StoredTrace(dict(one.spans), frozenset({one.trace_id}))

    seen = observed(traces, expectation)
    seen.read[error.trace_id] = StoredTrace(dict(list(error.spans.items())[:4]), frozenset({error.trace_id}))
    assert failing(traces, expectation, seen) == {"error traces kept and complete"}
    shown = verdicts(traces, expectation, seen)["error traces kept and complete"][0]
    assert shown == "2 of 3 traces, 1 more in part"

    seen = observed(traces, expectation)
    del seen.read[error.trace_id], seen.searched[error.trace_id]
    assert failing(traces, expectation, seen) == {"error traces kept and complete", "found by TraceQL search"}
    shown = verdicts(traces, expectation, seen)["error traces kept and complete"][0]
    assert shown == f"2 of 3 traces, missing: {error.trace_id} (kept by errors)"

    seen = observed(traces, expectation)
    health = next(one for one in traces if one.case == "dropped")
    seen.read[health.trace_id] = whole(health)
    assert failing(traces, expectation, seen) == {"health checks dropped"}
    shown = verdicts(traces, expectation, seen)["health checks dropped"][0]
    assert shown == f"1 of 20 traces, unexpected: {health.trace_id} (dropped by health-checks)"

    # The same number of other traces is not the same traces.
    seen = observed(traces, expectation)
    del seen.read[kept.trace_id], seen.searched[kept.trace_id]
    seen.read[lost.trace_id], seen.searched[lost.trace_id] = whole(lost), 6
    assert failing(traces, expectation, seen) == {"share of other traces kept", "found by TraceQL search"}
    shown = verdicts(traces, expectation, seen)["share of other traces kept"][0]
    assert shown.endswith(
        f", missing: {kept.trace_id} (kept by baseline), unexpected: {lost.trace_id} (kept by no policy)"
    )

    seen = observed(traces, expectation)
    seen.decided = False
    assert failing(traces, expectation, seen) == {"health checks dropped", "share of other traces kept"}

    seen = observed(traces, expectation)
    seen.read[error.trace_id] = StoredTrace(dict(error.spans), frozenset({"f" * 32}))
    assert failing(traces, expectation, seen) == {"W3C ids and parents intact"}

    seen = observed(traces, expectation)
    seen.read[error.trace_id] = StoredTrace(dict.fromkeys(error.spans, ""), frozenset({error.trace_id}))
    assert failing(traces, expectation, seen) == {"W3C ids and parents intact"}

    seen = observed(traces, expectation)
    del seen.searched[error.trace_id]
    assert failing(traces, expectation, seen) == {"found by TraceQL search"}

    seen = observed(traces, expectation)
    seen.block, seen.block_problem = None, "nothing new"
    assert failing(traces, expectation, seen) == {"block objects in the bucket"}

    nothing = probe.Observation(decided=True, block_problem="none")
    assert len(failing(traces, expectation, nothing)) == 8
    assert verdicts(traces, expectation, nothing)["health checks dropped"][0] == "0 of 20 traces, nor any other trace"


def test_many_wrong_traces_are_named_by_the_first() -> None:
    traces, expectation = expectation_of()
    seen = observed(traces, expectation)
    for one in traces:
        if one.case == "dropped":
            seen.searched[one.trace_id] = 1
    shown = verdicts(traces, expectation, seen)["health checks dropped"][0]
    assert shown.count("dropped by health-checks") == probe.IDS_NAMED and shown.endswith(", …")


def test_policies_that_keep_nothing_of_the_proof_are_told() -> None:
    none = [{"name": "one-service", "type": "string_attribute", "string_attribute": {"key": "a", "values": ["b"]}}]
    with pytest.raises(InvalidInput, match=r"the sampling policies \(one-service\) keep none of the 326 traces"):
        expectation_of(settings_for(config(none)))
    closed = Gateway.from_config({"probabilistic_sampler": {"mode": "proportional", "sampling_percentage": 0}})
    with pytest.raises(InvalidInput, match="head sampling lets none of the 329 traces of the proof pass"):
        expectation_of(settings_for(DEFAULTS, gateway=closed))


def increase(gateway: float, new: float, decided: float, kept: float, received: float, lost: float = 0) -> Increase:
    none: frozenset[tuple[str, str]] = frozenset()
    prefix = "otelcol_processor_tail_sampling_"
    return Increase(
        gateway={("otelcol_receiver_accepted_spans_total", none): gateway},
        sampler={
            (f"{prefix}new_trace_id_received_total", none): new,
            (f"{prefix}global_count_traces_sampled", frozenset({("sampled", "true")})): kept,
            (f"{prefix}global_count_traces_sampled", frozenset({("sampled", "false")})): decided - kept,
            (f"{prefix}count_traces_sampled", frozenset({("sampled", "true"), ("policy", "errors")})): kept,
            ("otelcol_exporter_send_failed_spans_total", none): lost,
        },
        tempo={("tempo_distributor_spans_received_total", none): received},
    )


@pytest.mark.parametrize(
    ("counts", "received", "verdict"),
    [
        ((4, 0, 0, 0, 0), False, "the gateways refuse spans"),
        ((5, 0, 0, 0, 0), False, "gateway → sampler"),
        ((5, 1, 0, 0, 0), False, "have not decided yet"),
        ((5, 1, 1, 1, 0), False, "sampler → Tempo is broken"),
        ((5, 1, 1, 1, 5, 3), False, "lost: sampler_send_failed_spans 3"),
        ((5, 1, 1, 0, 0), False, "the path is whole"),
        ((5, 1, 1, 1, 5), False, "Tempo takes spans and does not give them back"),
        ((5, 1, 1, 1, 5), True, "the path is whole"),
    ],
)
def test_last_seen_names_the_broken_part(counts: tuple[float, ...], received: bool, verdict: str) -> None:
    assert verdict in probe.last_seen(increase(*counts), 5, 1, received, False)


def test_last_seen_has_the_figures() -> None:
    assert probe.last_seen(increase(5, 1, 1, 1, 0), 5, 1, False, False) == (
        "gateways accepted 5 of 5 spans, samplers decided on 1 of 1 traces and keep 1 (by policy: errors 1), Tempo's "
        "distributors received 0 spans: the path sampler → Tempo is broken; see the logs of otel-sampler"
    )


def test_last_seen_tells_of_pods_that_took_their_counts_with_them() -> None:
    shown = probe.last_seen(replace(increase(5, 1, 1, 1, 0), interrupted={"sampler": ("s-0",)}), 5, 1, False, False)
    assert shown.endswith(
        ", at least: s-0 ended, began anew or did not answer meanwhile, and spans that were in them may be gone; run "
        "the proof again"
    )


def test_table_lines_up() -> None:
    traces, expectation = expectation_of()
    lines = probe.table(probe.evaluate(SETTINGS, traces, expectation, observed(traces, expectation))).splitlines()
    assert len(lines) == 9
    assert len({line.index("passed") for line in lines[1:]}) == 1
    planned = probe.table(probe.planned_checks(SETTINGS, traces, expectation.alone))
    assert planned.count("not run") == 8


# ---- a whole run against a pipeline in memory


def run(
    fake: FakePipeline,
    settings: probe.ProbeSettings | None = None,
    timeout: float = 120.0,
    lines: list[str] | None = None,
) -> Proof:
    """settings: the fake's own configuration by default."""
    settings = settings or settings_for(fake.tail_sampling, gateway=fake.gateway, bucket="blocks")
    return Probe(
        Pipeline(fake, "tracing", Selectors(), fake.clock),  # type: ignore[arg-type]
        Tempo(fake, "tracing"),  # type: ignore[arg-type]
        settings, RUN, timeout, fake if settings.bucket else None, ([] if lines is None else lines).append,
    ).run()  # fmt: skip


def failed(proof: Proof) -> list[str]:
    return [check["name"] for check in proof.checks if not check["passed"]]


def test_a_working_pipeline_is_proven() -> None:
    fake, lines = FakePipeline(), []
    fake.put_block("old", timedelta(hours=1), 5)
    fake.put_block("compacted", timedelta(seconds=-1), 5, end=timedelta(hours=1))
    proof = run(fake, lines=lines)
    assert failed(proof) == []
    assert proof.passed and proof.last_seen == "" and proof.notes == []
    assert proof.gateways == ["gw-0", "gw-1"]
    assert 10.0 <= proof.first_trace_seconds < 11.5
    assert proof.kept_by_policy["errors"] == 3
    assert proof.checks[-1]["observed"].startswith("block new-block")
    assert [line for line in lines if line.startswith("first trace read back after 10.")]
    # Spans of a trace went through both gateways.
    error = proof.traces["error"][0]
    assert {gw for gw, document in fake.requests for span in otlp.spans(document) if span["traceId"] == error} == {
        "gw-0", "gw-1",
    }  # fmt: skip
    schema = json.loads((ROOT / "roles/verify/files/proof.schema.json").read_text())
    jsonschema.validate(proof.document(), schema, format_checker=jsonschema.FormatChecker())


def test_the_schema_refuses_what_is_no_proof() -> None:
    schema = json.loads((ROOT / "roles/verify/files/proof.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    document = run(FakePipeline()).document()
    for wrong in ({"passed": "yes"}, {"run": "X"}, {"checks": []}, {"extra": 1}, {"traces": {"other": []}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document | wrong, schema)


def test_the_sample_in_the_docs_is_a_proof() -> None:
    schema = json.loads((ROOT / "roles/verify/files/proof.schema.json").read_text())
    text = (ROOT / "docs/proof.md").read_text()
    jsonschema.validate(json.loads(text.partition("```json\n")[2].partition("```")[0]), schema)


def test_a_broken_export_is_located_within_the_timeout() -> None:
    fake = FakePipeline()
    fake.export_broken = True
    proof = run(fake, timeout=60.0)
    assert failed(proof) == [
        "error traces kept and complete", "slow traces kept and complete", "critical route kept and complete",
        "health checks dropped", "share of other traces kept", "W3C ids and parents intact", "found by TraceQL search",
        "block objects in the bucket",
    ]  # fmt: skip
    assert "the path sampler → Tempo is broken" in proof.last_seen
    assert proof.first_trace_seconds is None
    assert fake.clock.now <= 100.0
    assert proof.checks[-1]["observed"] == "no block newer than the run after 30 s"


def test_fragments_instead_of_whole_traces_fail() -> None:
    fake = FakePipeline()
    fake.lose_service = "probe-orders-api"
    proof = run(fake)
    assert {"error traces kept and complete", "slow traces kept and complete"} <= set(failed(proof))
    assert "found by TraceQL search" in failed(proof)
    assert "check that the gateways route by trace id" in proof.last_seen
    # All that the samplers kept was found, so there is no use in waiting for the timeout.
    assert fake.clock.now < 60.0


def test_wrong_policies_fail() -> None:
    fake = FakePipeline()
    fake.configure(default_policies(30, 1000, [], []))
    proof = run(fake, SETTINGS)
    assert failed(proof) == [
        "critical route kept and complete", "health checks dropped", "share of other traces kept",
        "found by TraceQL search",
    ]  # fmt: skip
    assert "compare the policies that the samplers run" in proof.last_seen


def test_changed_parents_fail() -> None:
    fake = FakePipeline()
    fake.rewrite_parents = True
    assert failed(run(fake)) == ["W3C ids and parents intact"]


def test_refusals_at_first_are_overcome_and_told() -> None:
    fake = FakePipeline()
    fake.unreachable = 1
    fake.answers = [Response(503, {"retry-after": "2"}, b"memory"), status(404, 'pods "gw-1" not found')]
    proof = run(fake)
    assert proof.passed
    assert proof.sent["retries"] == 3
    assert "3 requests were sent again" in proof.notes[0]


def test_one_gateway_works_and_is_told() -> None:
    proof = run(FakePipeline(gateways=1), settings_for(DEFAULTS))
    assert proof.passed
    assert [note.partition(":")[0] for note in proof.notes] == [
        "only one gateway replica", "no bucket given, so whether blocks reach object storage was not checked",
    ]  # fmt: skip


def test_other_traffic_does_not_end_the_wait_early() -> None:
    fake = FakePipeline()
    fake.other_traffic = 1000
    proof = run(fake)
    assert proof.passed
    # Counters cannot tell, so the clock and quiet do.
    assert 30.0 <= proof.checks[3]["seconds"] <= 33.0


def test_samplers_without_metrics() -> None:
    fake = FakePipeline()
    fake.metrics_down = {"sampler-0", "sampler-1"}
    proof = run(fake, timeout=120.0)
    assert proof.passed and proof.kept_by_policy == {}
    assert proof.checks[3]["seconds"] >= 20.0


def test_a_decision_that_takes_longer_than_the_timeout() -> None:
    fake = FakePipeline()
    fake.decision_wait = 90.0
    proof = run(fake, timeout=15.0)
    assert "before the sampler had decided" in proof.checks[3]["observed"]
    assert "have not decided yet" in proof.last_seen


def test_gateways_that_do_not_know_the_samplers_are_waited_for() -> None:
    fake = FakePipeline()
    fake.backends = 1
    proof = run(fake)
    assert proof.notes == ["2 samplers are ready, but the gateways know 1, 1 of them"]
    fake = FakePipeline()
    fake.backends = None
    assert run(fake).notes == []


def test_search_that_does_not_answer() -> None:
    fake = FakePipeline()
    fake.search_answers = [Response(429, {}, b"too many")] * 500
    proof = run(fake, settings_for(DEFAULTS), timeout=40.0)
    assert failed(proof) == ["found by TraceQL search"]
    assert "Tempo's GET /api/search answered 429" in proof.notes[0]


def test_a_flush_that_is_refused() -> None:
    fake = FakePipeline()
    fake.flush_status = 405
    assert "GET /flush of pod ingester-0 answered 405" in run(fake).checks[-1]["observed"]


def test_a_bucket_prefix() -> None:
    fake = FakePipeline()
    assert run(fake, settings_for(DEFAULTS, bucket="b", prefix="elsewhere")).checks[-1]["passed"] is False
    fake = FakePipeline()
    assert run(fake, settings_for(DEFAULTS, bucket="b", prefix="t/")).checks[-1]["passed"] is True


@pytest.mark.parametrize(
    ("deny", "what"),
    [
        ("list", "list on pods in namespace tracing"),
        ("POST pods", "create on pods/proxy"),
        ("GET pods", "get on pods/proxy"),
        ("GET services", "get on services/proxy"),
    ],
)
def test_missing_permissions_name_verb_and_resource(deny: str, what: str) -> None:
    fake = FakePipeline()
    fake.deny = deny
    with pytest.raises(PermissionDenied, match=f"Grant the verb {what}"):
        run(fake)


def test_no_gateway_and_no_query_frontend() -> None:
    fake = FakePipeline(gateways=0)
    with pytest.raises(NotFound, match="no gateway pod with the labels"):
        run(fake)
    fake = FakePipeline()
    fake.query_service = "other"
    with pytest.raises(NotFound, match="no Service tempo-query-frontend"):
        run(fake)


def test_the_proof_is_written_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "proof.json"
    write_proof(str(target), "one\n")
    write_proof(str(target), "two\n")
    assert target.read_text() == "two\n"
    assert target.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(InvalidInput, match="cannot be written"):
        write_proof(str(tmp_path / "missing" / "proof.json"), "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidInput, match="cannot be written"):
        write_proof(str(tmp_path / "folder"), "x")
    assert {path.name for path in tmp_path.iterdir()} == {"proof.json", "folder"}


# ---- every list of policies


def deployed(**variables: Any) -> dict[str, Any]:
    """What the collector role makes of its defaults and these variables."""
    values, _warnings = collector_values({**role_defaults("collector"), **variables})
    return values


def own(*policies: dict[str, Any]) -> dict[str, Any]:
    return {"collector_tail_sampling_policies": list(policies)}


def matching(key: str, value: str) -> dict[str, Any]:
    return {"name": "matching", "type": "string_attribute", "string_attribute": {"key": key, "values": [value]}}


ALL = {"name": "all", "type": "always_sample"}
RATE = {"name": "some", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 5000}}
IS_ERROR = {"name": "error", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
LISTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "extra policies that keep everything": {"collector_tail_sampling_extra_policies": [ALL]},
    "everything": own(ALL),
    "no critical routes": {"collector_critical_routes": [], "collector_dropped_routes": []},
    "no percentage": {"collector_sampling_percentage": 0},
    "the whole percentage": {"collector_sampling_percentage": 100},
    "a hundredth": {"collector_sampling_percentage": 0.01},
    "head sampling": {"collector_head_sampling_percentage": 30},
    "a rate that suffices": own(RATE),
    "ceilings that suffice": {
        "collector_max_total_spans_per_second": 9000,
        "collector_max_total_bytes_per_second": 9**8,
    },
    "ceilings that hardly suffice": {"collector_max_total_spans_per_second": 600},
    "what gateways insert": own(matching("environment", "production")),
    "a service": own(matching("service.name", "probe-orders-api")),
    "errors are dropped": own(
        {"name": "no-errors", "type": "drop", "drop": {"drop_sub_policy": [IS_ERROR]}},
        {"name": "half", "type": "probabilistic", "probabilistic": {"sampling_percentage": 50}},
    ),
    **{path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "examples/sampling").glob("*.yml"))},
}


def platform(variables: dict[str, Any]) -> tuple[FakePipeline, probe.ProbeSettings]:
    """A pipeline that runs what is deployed, and the settings of its proof."""
    values = deployed(**variables)
    fake = FakePipeline()
    tail_sampling = values["sampler"]["config"]["processors"]["tail_sampling"]
    fake.configure(tail_sampling["policies"])
    fake.gateway = Gateway.from_config(values["gateway"]["config"]["processors"])
    routes = {"collector_critical_routes": [CRITICAL], "collector_dropped_routes": [HEALTH], **variables}
    return fake, settings_for(
        tail_sampling,
        gateway=fake.gateway,
        critical_route=next(iter(routes["collector_critical_routes"]), ""),
        dropped_route=next(iter(routes["collector_dropped_routes"]), ""),
    )


@pytest.mark.parametrize("name", LISTS)
def test_a_platform_that_does_what_is_deployed_is_proven(name: str) -> None:
    fake, settings = platform(LISTS[name])
    proof = run(fake, settings)
    assert failed(proof) == [] and proof.passed, proof.document()


def test_everything_is_kept_where_a_policy_says_so() -> None:
    fake, settings = platform(LISTS["extra policies that keep everything"])
    shown = {check["name"]: check["observed"] for check in run(fake, settings).checks}
    assert shown["share of other traces kept"] == "300 of 300 traces (100.0 %)"
    assert shown["health checks dropped"] == "0 of 20 traces"


def overrule(fake: FakePipeline, pick: Callable[[tuple[str, ...]], bool], keep: bool) -> list[str]:
    """Decide otherwise on the first trace with such votes; its id, once it is decided."""
    votes, changed = fake.votes, list[str]()

    def other(trace_id: str, count: int) -> tuple[str, ...]:
        found = votes(trace_id, count)
        if not changed and pick(found):
            changed.append(trace_id)
        return (("overruled",) if keep else ()) if trace_id in changed else found

    fake.votes = other  # type: ignore[method-assign]
    return changed


# Where every trace is kept there is none that could be too many, and a limit may keep what it kept before or not.
EVERYTHING = {"everything", "what gateways insert", "a rate that suffices"}
LIMITED = {"ceilings that hardly suffice"}


@pytest.mark.parametrize("name", sorted(LISTS.keys() - EVERYTHING - LIMITED))
def test_one_trace_more_fails_and_is_named(name: str) -> None:
    fake, settings = platform(LISTS[name])
    changed = overrule(fake, lambda votes: not votes, keep=True)
    wrong = [check for check in run(fake, settings).checks if not check["passed"]]
    assert len(changed) == len(wrong) == 1
    assert f"unexpected: {changed[0]} (" in wrong[0]["observed"]
    assert "kept by no policy" in wrong[0]["observed"] or "dropped by" in wrong[0]["observed"]


@pytest.mark.parametrize("name", sorted(LISTS.keys() - LIMITED))
def test_one_trace_less_fails_and_its_policy_is_named(name: str) -> None:
    fake, settings = platform(LISTS[name])
    changed = overrule(fake, bool, keep=False)
    wrong = [check for check in run(fake, settings).checks if not check["passed"]]
    assert len(changed) == 1 and len(wrong) == 2  # search does not find it either
    policies = {policy["name"] for policy in settings.tail_sampling["policies"]}
    named = wrong[0]["observed"].partition(f"missing: {changed[0]} (kept by ")[2].partition(")")[0]
    assert named and set(named.split(", ")) <= policies


def test_what_head_sampling_drops_must_not_be_there() -> None:
    fake, settings = platform(LISTS["head sampling"])
    fake.gateway = Gateway()
    wrong = {check["name"]: check["observed"] for check in run(fake, settings).checks if not check["passed"]}
    assert list(wrong) == ["share of other traces kept"]
    assert "(dropped by head sampling)" in wrong["share of other traces kept"]


def test_limits_that_others_use_too_leave_bounds() -> None:
    fake, settings = platform(LISTS["ceilings that suffice"])
    fake.other_traffic = 500
    changed = overrule(fake, lambda votes: "ceiling" in votes, keep=False)
    proof = run(fake, settings)
    assert proof.passed and changed
    assert proof.checks[0]["expected"] == "0 to 3 of 3 traces, by what else is kept at the time"
    assert proof.notes[0].startswith("the policies ceiling limit what is kept in a second, and the samplers had other")


# ---- pods that come and go


def test_a_sampler_that_begins_anew_after_its_decisions_does_not_fail_the_proof() -> None:
    fake = FakePipeline()
    tick = fake.tick

    def after_decisions() -> None:
        tick()
        if len(fake.decided) == len(fake.arrived) > 0 and fake.counting == "sampler-0":
            fake.replace("sampler", "sampler-0", "sampler-9")

    fake.tick = after_decisions  # type: ignore[method-assign]
    proof = run(fake)
    assert proof.passed, proof.document()
    assert any(note.startswith("sampler-0 ended, began anew or did not answer") for note in proof.notes)


def test_a_gateway_that_took_spans_with_it_fails_the_proof_and_is_named() -> None:
    fake = FakePipeline()
    ingest = fake.ingest

    def lossy(gateway: str, body: bytes, headers: dict[str, str]) -> Response:
        answer = ingest(gateway, body, headers)
        if len(fake.requests) == 5:
            fake.replace("gateway", "gw-1", "gw-9")
            del fake.arrived[next(iter(fake.arrived))]
        return answer

    fake.ingest = lossy  # type: ignore[method-assign]
    proof = run(fake, timeout=60.0)
    assert not proof.passed
    assert "at least: gw-1 ended, began anew or did not answer meanwhile" in proof.last_seen
    assert fake.clock.now < 150.0
