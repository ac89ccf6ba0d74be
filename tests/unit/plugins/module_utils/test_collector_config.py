# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Chart values and configurations from variables. That the collector accepts them is tests/unit/charts' matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils import collector_config as cc
from ansible_collections.orion.tracing.plugins.module_utils.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.sampling.policies import modern_policies

ROLE = Path(__file__).resolve().parents[4] / "roles" / "collector"


def variables(**changes: Any) -> dict[str, Any]:
    text = (ROLE / "defaults" / "main.yml").read_text().replace("{{ tracing_namespace }}", "tracing")
    return {**yaml.safe_load(text), **changes}


def values(**changes: Any) -> dict[str, Any]:
    return cc.collector_values(variables(**changes))[0]


def sampler(**changes: Any) -> dict[str, Any]:
    return values(**changes)["sampler"]["config"]


def gateway(**changes: Any) -> dict[str, Any]:
    return values(**changes)["gateway"]["config"]


def policies(**changes: Any) -> list[dict[str, Any]]:
    return sampler(**changes)["processors"]["tail_sampling"]["policies"]


def findings(**changes: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        cc.collector_values(variables(**changes))
    return str(caught.value)


# The built policies


def test_default_policies_in_order():
    assert [(p["name"], p["type"]) for p in policies()] == [
        ("health-checks", "drop"),
        ("errors", "status_code"),
        ("slow", "latency"),
        ("critical-operations", "ottl_condition"),
        ("baseline", "probabilistic"),
    ]


def test_scalars_reach_their_policies():
    by_name = {
        p["name"]: p
        for p in policies(
            collector_sampling_percentage=2.5,
            collector_latency_threshold_ms=250,
            collector_critical_routes=["/pay", "/ship"],
            collector_dropped_routes=["/ping"],
        )
    }
    assert by_name["baseline"]["probabilistic"] == {"sampling_percentage": 2.5}
    assert by_name["slow"]["latency"] == {"threshold_ms": 250}
    assert by_name["critical-operations"]["ottl_condition"]["span"] == [
        f'span.attributes["{key}"] == "/pay" or span.attributes["{key}"] == "/ship"'
        for key in ("http.route", "url.path", "http.target")
    ]
    root, no_error = by_name["health-checks"]["drop"]["drop_sub_policy"]
    assert root["ottl_condition"]["span"][0] == 'IsRootSpan() and (span.attributes["http.route"] == "/ping")'
    assert no_error["not"]["not_sub_policy"]["status_code"] == {"status_codes": ["ERROR"]}


def test_policies_without_input_are_left_out():
    names = [
        p["name"]
        for p in policies(collector_critical_routes=[], collector_dropped_routes=[], collector_latency_threshold_ms=0)
    ]
    assert names == ["errors", "baseline"]


def test_routes_are_literals():
    [condition, *_rest] = policies(collector_critical_routes=['/a"\\${b}'])[3]["ottl_condition"]["span"]
    assert condition == 'span.attributes["http.route"] == "/a\\"\\\\$${b}"'


def test_own_policies_replace_and_extra_policies_add():
    own = {"name": "all", "type": "always_sample"}
    more = {"name": "vip", "type": "boolean_attribute", "boolean_attribute": {"key": "vip", "value": True}}
    assert policies(collector_tail_sampling_policies=[own]) == [own]
    assert policies(collector_tail_sampling_policies=[own], collector_tail_sampling_extra_policies=[more]) == [
        own,
        more,
    ]
    assert [p["name"] for p in policies(collector_tail_sampling_extra_policies=[more])][-2:] == ["baseline", "vip"]


def test_policy_lists_are_checked():
    twice = [{"name": "a", "type": "always_sample"}, {"name": "a", "type": "always_sample"}]
    assert "name 'a' twice" in findings(collector_tail_sampling_policies=twice)
    for broken in (
        {"name": "a"},
        {"name": "a", "type": "latency", "latency": "1s"},
        {"name": "a", "type": "and", "and": {"and_sub_policy": ["b"]}},
        {"name": "a", "type": "not", "not": {"not_sub_policy": {"name": "b"}}},
    ):
        assert "needs a name, a type" in findings(collector_tail_sampling_extra_policies=[broken])
    assert "'errors' twice" in findings(
        collector_tail_sampling_extra_policies=[{"name": "errors", "type": "always_sample"}]
    )


# Older spellings


def string_policy(name: str, key: str, **settings: Any) -> dict[str, Any]:
    settings = {"key": key, "values": ["/a", "/b"], **settings}
    return {"name": name, "type": "string_attribute", "string_attribute": settings}


def test_renamed_attribute_is_matched_under_its_names():
    [policy], [warning] = modern_policies([string_policy("critical", "http.target")])
    assert policy["name"] == "critical"
    assert policy["ottl_condition"]["span"] == [
        f'span.attributes["{key}"] == "/a" or span.attributes["{key}"] == "/b"'
        for key in ("http.route", "url.path", "http.target")
    ]
    assert "'critical' looks at http.target" in warning
    assert "Write the policy with http.route" in warning


def test_renamed_attribute_with_patterns():
    [policy], _warnings = modern_policies(
        [string_policy("c", "http.method", values=["^P(OS|U)T$"], enabled_regex_matching=True)]
    )
    assert policy["ottl_condition"]["span"] == [
        'IsMatch(span.attributes["http.request.method"], "^P(OS|U)T$")',
        'IsMatch(span.attributes["http.method"], "^P(OS|U)T$")',
    ]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"min_value": 500, "max_value": 599}, "{} >= 500 and {} <= 599"),
        ({"min_value": 500}, "{} >= 500"),
        ({"max_value": 399}, "{} <= 399"),
    ],
)
def test_renamed_number(bounds, expected):
    old = {"name": "s", "type": "numeric_attribute", "numeric_attribute": {"key": "http.status_code", **bounds}}
    [policy], [_warning] = modern_policies([old])
    assert policy["ottl_condition"]["span"] == [
        expected.replace("{}", f'span.attributes["{key}"]') for key in ("http.response.status_code", "http.status_code")
    ]


def test_a_number_without_bounds_and_today_s_names_stay():
    unbounded = {"name": "s", "type": "numeric_attribute", "numeric_attribute": {"key": "http.status_code"}}
    today = [
        unbounded,
        string_policy("r", "http.route"),
        {"name": "l", "type": "latency", "latency": {"threshold_ms": 1}},
    ]
    assert modern_policies(today) == (today, [])


def test_invert_match_is_a_drop_policy():
    veto = string_policy("no-health", "tenant", invert_match=True)
    result, [warning] = modern_policies([veto, {"name": "all", "type": "always_sample"}])
    assert result == [
        {"name": "no-health", "type": "drop", "drop": {"drop_sub_policy": [string_policy("no-health", "tenant")]}},
        {"name": "all", "type": "always_sample"},
    ]
    assert "type drop" in warning


def test_vetoes_alone_keep_everything_else():
    result, warnings = modern_policies([string_policy("v", "http.target", invert_match=True)])
    assert [p["type"] for p in result] == ["drop", "always_sample"]
    assert result[0]["drop"]["drop_sub_policy"][0]["type"] == "ottl_condition"
    assert len(warnings) == 2


def test_nested_policies():
    nested = {
        "name": "both",
        "type": "and",
        "and": {
            "and_sub_policy": [string_policy("a", "http.target"), string_policy("b", "http.target", invert_match=True)]
        },
    }
    negated = {"name": "n", "type": "not", "not": {"not_sub_policy": string_policy("c", "db.system")}}
    empty = {"name": "e", "type": "and", "and": {}}
    [both, turned, same], warnings = modern_policies([nested, negated, empty])
    first, second = both["and"]["and_sub_policy"]
    assert first["type"] == "ottl_condition"
    assert second == string_policy("b", "http.target", invert_match=True)  # still means what it meant
    assert turned["not"]["not_sub_policy"]["type"] == "ottl_condition"
    assert same == empty
    assert len(warnings) == 2


def test_warnings_come_with_the_values():
    _values, warnings = cc.collector_values(
        variables(collector_tail_sampling_policies=[string_policy("critical", "http.target")])
    )
    assert len(warnings) == 1


# The two tiers


def test_every_pipeline_names_what_is_defined():
    for changes in ({}, {"collector_remote_write_url": "https://x/api/v1/write", "collector_xray_enabled": "yes"}):
        for tier in ("gateway", "sampler"):
            config = values(**changes)[tier]["config"]
            connectors = set(config.get("connectors", {}))
            used = {kind: set() for kind in ("receivers", "processors", "exporters")}
            for pipeline in config["service"]["pipelines"].values():
                for kind, names in pipeline.items():
                    used[kind] |= set(names)
                assert pipeline.get("processors", [""])[0] in ("memory_limiter", "tail_sampling", "transform/red")
            assert used["receivers"] == set(config["receivers"]) | connectors
            assert used["processors"] == set(config["processors"])
            assert used["exporters"] == set(config["exporters"]) | connectors
            assert config["service"]["extensions"] == list(config["extensions"])


def test_only_diagnosis_listens_on_localhost():
    for config in (gateway(), sampler()):
        extensions = {name: settings["endpoint"] for name, settings in config["extensions"].items()}
        assert extensions == {
            "health_check": "${env:MY_POD_IP}:13133", "zpages": "localhost:55679", "pprof": "localhost:1777",
        }  # fmt: skip
        assert "0.0.0.0" not in str(config)


def test_gateway_routes_by_trace_and_waits_between_retries():
    exporter = gateway(tracing_namespace="observability")["exporters"]["load_balancing"]
    assert exporter["routing_key"] == "traceID"
    assert exporter["resolver"] == {"k8s": {"service": "otel-sampler.observability", "ports": [4317]}}
    inner = exporter["protocol"]["otlp"]
    assert inner["compression"] == "none"
    assert inner["sending_queue"] == {"enabled": False}
    for retry in (exporter["retry_on_failure"], inner["retry_on_failure"]):
        assert duration_seconds(retry["initial_interval"]) > 0
        assert retry["multiplier"] > 1
    # the outer time limit must leave room for the inner retries
    assert duration_seconds(exporter["timeout"]) > duration_seconds(inner["retry_on_failure"]["max_elapsed_time"])


def test_queues_grow_with_the_memory_limit():
    def queues(limit):
        sizes = {"limits": {"memory": limit}}
        both = values(collector_gateway_resources=sizes, collector_sampler_resources=sizes)
        return [
            both["gateway"]["config"]["exporters"]["load_balancing"]["sending_queue"]["queue_size"],
            both["sampler"]["config"]["exporters"]["otlp_http/tempo"]["sending_queue"]["queue_size"],
        ]

    assert queues("256Mi") == [32768, 32768]
    assert queues("2Gi") == [262144, 262144]
    assert queues("8Mi") == [2000, 1024]  # never below a batch


def test_detectors_leave_the_gateway_s_own_host_out():
    detection = gateway()["processors"]["resource_detection"]
    assert detection["detectors"] == ["env", "eks", "ec2"]
    assert detection["override"] is False
    for detector in ("eks", "ec2"):
        assert detection[detector]["resource_attributes"]["host.id"] == {"enabled": False}
    assert "ec2" not in gateway(collector_resource_detectors=["env"])["processors"]["resource_detection"]
    assert "resource_detection" not in gateway(collector_resource_detectors=[])["processors"]


def test_attributes_never_replace_an_application_s_own():
    processors = gateway(collector_resource_attributes={"a": 1, "price": "$5"}, collector_span_attributes={"b": True})[
        "processors"
    ]
    assert processors["resource"]["attributes"] == [
        {"key": "a", "value": "1", "action": "insert"},
        {"key": "price", "value": "$$5", "action": "insert"},
    ]
    assert processors["attributes"]["actions"] == [{"key": "b", "value": "true", "action": "insert"}]
    without = gateway(collector_resource_attributes={}, collector_span_attributes={})["processors"]
    assert not {"resource", "attributes"} & set(without)


def test_receivers_follow_their_switches():
    assert list(gateway()["receivers"]) == ["otlp", "jaeger", "zipkin"]
    only = values(collector_jaeger_enabled="no", collector_zipkin_enabled=False)
    assert list(only["gateway"]["config"]["receivers"]) == ["otlp"]
    assert only["ports"] == {"jaeger": False, "zipkin": False}


def test_without_remote_write_there_are_no_metrics():
    config = sampler()
    assert "connectors" not in config
    assert config["service"]["pipelines"] == {
        "traces": {
            "receivers": ["otlp"],
            "processors": ["memory_limiter", "tail_sampling"],
            "exporters": ["otlp_http/tempo"],
        }
    }


def test_metrics_are_computed_before_sampling():
    config = sampler(
        collector_remote_write_url="http://prometheus:9090/api/v1/write", collector_span_metrics_dimensions=["tenant"]
    )
    pipelines = config["service"]["pipelines"]
    assert pipelines["traces/in"]["exporters"] == ["forward", "span_metrics", "service_graph"]
    assert "tail_sampling" not in pipelines["traces/in"]["processors"]
    assert pipelines["traces/sampled"]["receivers"] == ["forward"]
    assert pipelines["metrics/red"]["receivers"] == ["span_metrics", "service_graph"]
    metrics = config["connectors"]["span_metrics"]
    assert metrics["namespace"] == "traces.spanmetrics"
    assert metrics["histogram"]["unit"] == "s"
    assert metrics["histogram"]["explicit"]["buckets"]  # an empty section would leave one bucket, +Inf
    assert metrics["dimensions"] == [{"name": "tenant"}]
    assert any("traces.spanmetrics.latency" in s for s in config["processors"]["transform/red"]["metric_statements"])


def test_decisions():
    config = values(collector_decision_wait="1m30s", collector_num_traces="5000")["sampler"]
    tail = config["config"]["processors"]["tail_sampling"]
    assert tail["decision_wait"] == "1m30s"
    assert tail["num_traces"] == 5000
    assert tail["decision_cache"] == {"sampled_cache_size": 50000, "non_sampled_cache_size": 50000}
    assert config["terminationGracePeriodSeconds"] == 120


def test_tempo_by_url_or_by_address():
    assert sampler()["exporters"]["otlp_http/tempo"]["endpoint"] == "http://tempo-distributor.tracing.svc:4318"
    grpc = sampler(collector_tempo_endpoint="tempo:4317")["exporters"]
    assert grpc["otlp_grpc/tempo"]["endpoint"] == "tempo:4317"
    assert grpc["otlp_grpc/tempo"]["tls"] == {"insecure": True}
    batch = grpc["otlp_grpc/tempo"]["sending_queue"]["batch"]
    assert batch["sizer"] == "bytes"
    assert batch["max_size"] < 4 * 2**20  # the default limit of a gRPC receiver
    for wrong in ("tempo", "http://", "tempo.example.com/v1:4317"):
        assert "collector_tempo_endpoint is" in findings(collector_tempo_endpoint=wrong)


def test_more_exporters():
    config = sampler(collector_xray_enabled=True, collector_debug_enabled="true", tracing_region="eu-west-1")
    assert config["service"]["pipelines"]["traces"]["exporters"] == ["otlp_http/tempo", "awsxray", "debug"]
    assert config["exporters"]["awsxray"]["region"] == "eu-west-1"


# What is wrong


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("collector_sampling_percentage", 120, "is 120: give a number from 0 to 100"),
        ("collector_sampling_percentage", "many", "give a number"),
        ("collector_sampling_percentage", True, "give a number"),
        ("collector_sampling_percentage", float("nan"), "give a number"),
        ("collector_sampling_percentage", None, "give a number"),
        ("collector_num_traces", 1.5, "give a whole number"),
        ("collector_num_traces", float("inf"), "give a number"),
        ("collector_num_traces", 0, "of at least 1"),
        ("collector_gateway_replicas", 0, "of at least 1"),
        ("collector_decision_wait", "ten", "'ten' is not a Go duration such as 10s"),
        ("collector_decision_wait", "0s", "is 0"),
        ("collector_critical_routes", "/orders", "give a list of texts"),
        ("collector_critical_routes", ["orders"], "begins with /"),
        ("collector_critical_routes", [1], "give a list of texts"),
        ("collector_tolerations", ["x"], "give a list of mappings"),
        ("collector_span_attributes", [], "give a mapping"),
        ("collector_jaeger_enabled", "maybe", "give true or false"),
        ("collector_remote_write_url", "prometheus:9090", "http://"),
        ("collector_image_tag", "", "give non-empty text"),
        ("collector_image_tag", ["a"], "give non-empty text"),
        ("collector_sampler_resources", {"requests": {"memory": "1Gi"}}, "limits.memory"),
        ("collector_sampler_resources", {"limits": {"memory": "1 GB"}}, "not a Kubernetes quantity"),
    ],
)
def test_wrong_variables_are_named(name, value, text):
    message = findings(**{name: value})
    assert name in message
    assert text in message


def test_all_findings_at_once_and_once_each():
    message = findings(
        collector_sampling_percentage=120, collector_decision_wait="7 days", collector_jaeger_enabled="maybe"
    )
    for name in ("collector_sampling_percentage", "collector_decision_wait", "collector_jaeger_enabled"):
        assert message.count(name) == 1


def test_a_missing_variable_is_named():
    given = variables()
    del given["collector_num_traces"]
    with pytest.raises(InvalidInput, match="collector_num_traces is not defined"):
        cc.collector_values(given)


def test_text_from_the_command_line_is_understood():
    assert values(collector_gateway_replicas="2", collector_network_policy_enabled="false")["gateway"]["replicas"] == 2
    assert policies(collector_sampling_percentage="12.5")[-1]["probabilistic"] == {"sampling_percentage": 12.5}


def test_defaults_and_argument_specs_are_the_same():
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    assert {name: spec["default"] for name, spec in specs.items()} == defaults
