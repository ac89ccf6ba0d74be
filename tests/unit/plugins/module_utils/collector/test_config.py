# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Chart values and configurations from variables. That the collector accepts them is tests/unit/charts' matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.collector import config as cc
from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import modern_policies
from ansible_collections.orion.tracing.plugins.module_utils.collector.sampler import LATENCY_BUCKETS
from ansible_collections.orion.tracing.plugins.module_utils.collector.workloads import gateway_range
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, InvalidVariables, error
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROLE = Path(__file__).resolve().parents[5] / "roles" / "collector"


def variables(**changes: Any) -> dict[str, Any]:
    return {**role_defaults("collector"), **changes}


def values(**changes: Any) -> dict[str, Any]:
    return cc.collector_values(variables(**changes))[0]


def sampler(**changes: Any) -> dict[str, Any]:
    return values(**changes)["sampler"]["config"]


def gateway(**changes: Any) -> dict[str, Any]:
    return values(**changes)["gateway"]["config"]


def policies(**changes: Any) -> list[dict[str, Any]]:
    return sampler(**changes)["processors"]["tail_sampling"]["policies"]


def wrong(**changes: Any) -> list[Finding]:
    """The errors, which the exception carries and its text lists."""
    with pytest.raises(InvalidVariables) as caught:
        cc.collector_values(variables(**changes))
    assert all(str(finding) in str(caught.value) for finding in caught.value.findings)
    return caught.value.findings


def findings(**changes: Any) -> str:
    return "\n".join(map(str, wrong(**changes)))


# A load whose queue fits into the samplers' memory.
FITS = {"tracing_expected_traces_per_second": 100}


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
    assert "[1].name: 'a' is the name of another policy too" in findings(collector_tail_sampling_policies=twice)
    for broken, path in (
        ({"name": "a"}, ""),
        ({"name": "a", "type": "latency", "latency": "1s"}, ".latency"),
        ({"name": "a", "type": "latency", "latency": {"threshold_ms": "1s"}}, ".latency.threshold_ms"),
        ({"name": "a", "type": "latency", "description": "team a"}, ".description"),
        ({"name": "a", "type": "and", "and": {"and_sub_policy": ["b"]}}, ".and.and_sub_policy[0]"),
        ({"name": "a", "type": "not", "not": {"not_sub_policy": {"name": "b"}}}, ".not.not_sub_policy"),
    ):
        places = [str(one.place) for one in wrong(collector_tail_sampling_extra_policies=[broken])]
        assert places == [f"collector_tail_sampling_extra_policies[0]{path}"]
    places = [str(one.place) for one in wrong(collector_tail_sampling_policies=[1, *twice, "x"])]
    assert places == [f"collector_tail_sampling_policies[{place}" for place in ("0]", "2].name", "3]")]
    assert "[0].name: 'errors' is the name of another policy too" in findings(
        collector_tail_sampling_extra_policies=[{"name": "errors", "type": "always_sample"}]
    )


def test_sub_policies_need_no_name():
    unnamed = {"name": "a", "type": "and", "and": {"and_sub_policy": [{"type": "always_sample"}]}}
    assert policies(collector_tail_sampling_policies=[unnamed]) == [unnamed]


def test_values_from_the_collector_s_environment_are_passed_on():
    for own in (
        {"name": "a", "type": "latency", "latency": "${env:LATENCY}"},
        {"name": "a", "type": "string_attribute", "string_attribute": {"key": "http.target", "values": "${env:PATHS}"}},
        {"name": "a", "type": "and", "and": {"and_sub_policy": ["${env:POLICY}"]}},
    ):
        assert policies(collector_tail_sampling_policies=[own]) == [own]


def test_vetoes_beside_the_role_s_policies_keep_nothing():
    veto = string_policy("no-health", "url.path", values=["/health"], invert_match=True)
    names = [one["name"] for one in policies(collector_tail_sampling_extra_policies=[veto])]
    assert "not-excluded" not in names and names[-1] == "no-health"
    assert [one["name"] for one in policies(collector_tail_sampling_policies=[veto])] == ["no-health", "not-excluded"]


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
    assert warning.code == "outdated-key" and str(warning.place) == "policies[0]"
    assert "'critical' matches http.target" in warning.what
    assert warning.remedy == "Write the policy with http.route."


def test_renamed_attribute_with_patterns():
    [policy], _warnings = modern_policies(
        [string_policy("c", "http.method", values=["^P(OS|U)T$"], enabled_regex_matching=True)]
    )
    assert policy["ottl_condition"]["span"] == [
        'IsMatch(span.attributes["http.request.method"], "^P(OS|U)T$$")',
        'IsMatch(span.attributes["http.method"], "^P(OS|U)T$$")',
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


@pytest.mark.parametrize("settings", [{"values": None}, {"values": 5}, {"key": ["http.target"]}, {"values": []}])
def test_settings_that_are_no_match_stay_as_they_are(settings):
    policy = string_policy("s", "http.target")
    policy["string_attribute"] |= settings
    assert modern_policies([policy]) == ([policy], [])


def test_a_single_text_is_a_list_of_one():
    [policy], [_warning] = modern_policies([string_policy("s", "http.target", values="/api")])
    assert policy["ottl_condition"]["span"][0] == 'span.attributes["http.route"] == "/api"'


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
    assert warning.code == "invert-match" and "type drop" in warning.what


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
    policy = string_policy("critical", "http.target")
    [warning] = cc.collector_values(variables(collector_tail_sampling_policies=[policy], **FITS))[1]
    assert str(warning.place) == "collector_tail_sampling_policies[0]" and warning.severity == "warning"


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
                assert pipeline.get("processors", ["none"])[0] in (
                    "memory_limiter", "tail_sampling", "filter/sampled", "none",
                )  # fmt: skip
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
    others = gateway(collector_resource_detectors=["gcp", "azure", "system"])["processors"]["resource_detection"]
    for detector, attributes in (
        ("gcp", ("host.name", "cloud.availability_zone", "gcp.gce.instance.name")),
        ("azure", ("host.name", "cloud.availability_zone", "azure.vm.name")),
        ("system", ("host.name", "os.type")),
    ):
        for attribute in attributes:
            assert others[detector]["resource_attributes"][attribute] == {"enabled": False}
    assert "ec2" not in gateway(collector_resource_detectors=["env"])["processors"]["resource_detection"]
    assert "resource_detection" not in gateway(collector_resource_detectors=[])["processors"]


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"collector_resource_detectors": ["env", "esk"]}, "collector_resource_detectors[1]", "Did you mean eks?"),
        ({"collector_resource_detectors": ["k8snode"]}, "collector_resource_detectors[0]", "K8S_NODE_NAME"),
        ({"collector_resource_detectors": ["k8s_api"]}, "collector_resource_detectors[0]", "K8S_NODE_NAME"),
        *(
            ({"collector_span_metrics_dimensions": ["tenant", name]}, "collector_span_metrics_dimensions[1]", "already")
            for name in ("service.name", "span.name", "span.kind", "status.code", "collector.instance.id")
        ),
        ({"collector_span_metrics_dimensions": ["a", "b", "a"]}, "collector_span_metrics_dimensions[2]", "twice"),
        ({"collector_span_metrics_dimensions": [""]}, "collector_span_metrics_dimensions[0]", "empty"),
        ({"collector_resource_attributes": {"x": None}}, "collector_resource_attributes.x", "not a string"),
    ],
)
def test_names_that_the_collector_refuses(changes, place, words):
    """tests/parity/test_names.py has the collector's own answers."""
    [finding] = wrong(**changes)
    assert str(finding.place) == place and words in str(finding)


def test_attributes_never_replace_an_application_s_own():
    processors = gateway(collector_resource_attributes={"a": 1, "price": "$5"}, collector_span_attributes={"b": True})[
        "processors"
    ]
    assert processors["resource"]["attributes"] == [
        {"key": "a", "value": "1", "action": "insert"},
        {"key": "price", "value": "$$5", "action": "insert"},
        {"key": "k8s.cluster.name", "value": "orion-prod", "action": "insert"},
    ]
    assert processors["attributes"]["actions"] == [{"key": "b", "value": "true", "action": "insert"}]
    assert "attributes" not in gateway(collector_span_attributes={})["processors"]


@pytest.mark.parametrize(
    ("given", "name"), [({}, "edge-1"), ({"team": "shop"}, "edge-1"), ({"k8s.cluster.name": "mine"}, "mine")]
)
def test_every_span_and_log_has_the_cluster_s_name(given, name):
    processors = gateway(tracing_cluster_name="edge-1", collector_resource_attributes=given)["processors"]
    inserted = {one["key"]: one["value"] for one in processors["resource"]["attributes"]}
    assert inserted == {**given, "k8s.cluster.name": name}
    # a detector of the cloud adds its own name where there is none yet
    assert list(processors).index("resource") < list(processors).index("resource_detection")


def test_metrics_have_the_cluster_s_name_as_a_label():
    """Pods have the same names in every cluster, and all clusters may write to one Prometheus."""
    given = {"tracing_cluster_name": 'a"b', "collector_remote_write_url": "https://mimir.example.com/api/v1/push"}
    built = values(**given, collector_metrics_enabled=True)
    label = (
        'set(datapoint.attributes["k8s.cluster.name"], "a\\"b") where datapoint.attributes["k8s.cluster.name"] == nil'
    )
    for tier, processor, pipeline in (
        ("gateway", "transform/metrics", "metrics"), ("sampler", "transform/red", "metrics/red")
    ):  # fmt: skip
        config = built[tier]["config"]
        assert label in config["processors"][processor]["metric_statements"]
        assert processor in config["service"]["pipelines"][pipeline]["processors"]


# The receiver for other clusters


EDGES = {
    "collector_edge_receiver_enabled": True,
    "collector_edge_receiver_tls": {key: {"secret": "edge-tls", "key": f"tls.{key}"} for key in ("cert", "key")},
    "collector_edge_receiver_auth": {"bearer": {"token": {"secret": "edge-tokens", "key": "tokens"}}},
}


def test_other_clusters_spans_and_logs_pass_through_unchanged():
    logs = {"name": "logs", "protocol": "http", "endpoint": "https://l.example.com", "traces": "none", "logs": True}
    config = gateway(**EDGES, collector_logs_enabled=True, collector_exporters=[logs])
    pipelines = config["service"]["pipelines"]
    assert pipelines["traces/edges"] == {
        "receivers": ["otlp/edges"], "processors": ["memory_limiter"], "exporters": ["load_balancing"]
    }  # fmt: skip
    assert pipelines["logs/edges"] == {
        "receivers": ["otlp/edges"], "processors": ["memory_limiter", "batch/logs"], "exporters": ["otlp_http/logs"]
    }  # fmt: skip
    assert not any("otlp/edges" in pipelines[own]["receivers"] for own in ("traces", "logs"))
    protocols = config["receivers"]["otlp/edges"]["protocols"]
    assert {name: one["endpoint"].rpartition(":")[2] for name, one in protocols.items()} == {
        "grpc": "4327", "http": "4328"
    }  # fmt: skip
    for one in protocols.values():
        assert one["auth"] == {"authenticator": "bearertokenauth/edge_receiver"}
        assert set(one["tls"]) == {"cert_file", "key_file", "reload_interval"}
    assert "bearertokenauth/edge_receiver" in config["service"]["extensions"]
    assert "otlp/edges" not in str(gateway())


def test_the_receiver_for_other_clusters_needs_a_certificate_and_a_token():
    found = wrong(collector_edge_receiver_enabled=True, collector_edge_receiver_tls={"client_ca": "-----BEGIN"})
    assert [str(one.place) for one in found] == [
        "collector_edge_receiver_tls.cert", "collector_edge_receiver_tls.key", "collector_edge_receiver_tls.client_ca",
        "collector_edge_receiver_auth.bearer.token",
    ]  # fmt: skip
    assert "-----BEGIN" not in str(found)
    assert "did you mean cert?" in findings(
        **{**EDGES, "collector_edge_receiver_tls": {"crt": {}, **EDGES["collector_edge_receiver_tls"]}}
    ).lower()  # fmt: skip
    assert "collector_edge_receiver_service_type" in findings(
        **EDGES, collector_edge_receiver_service_type="Loadbalancer"
    )


def test_metrics_of_spans_are_of_this_cluster_alone():
    """Other clusters send what they kept; counted here, the rates would be those of kept traces."""
    written = {"collector_remote_write_url": "https://mimir.example.com/api/v1/push"}
    config = sampler(**EDGES, **written)
    pipelines = config["service"]["pipelines"]
    for exporter in ("span_metrics", "service_graph", "span_metrics/sampled"):
        fed = [one for one in pipelines.values() if exporter in one["exporters"]]
        assert [one["processors"] for one in fed] == [["filter/own"]]
    key = 'resource.attributes["k8s.cluster.name"]'
    assert config["processors"]["filter/own"]["trace_conditions"] == [f'{key} != nil and {key} != "orion-prod"']
    assert "forward/kept" in pipelines["traces/sampled"]["exporters"]
    assert pipelines["traces/own-kept"]["receivers"] == ["forward/kept"]
    assert "filter/own" not in str(sampler(**written))


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
    assert pipelines["metrics/red"]["receivers"] == ["span_metrics", "span_metrics/sampled", "service_graph"]
    metrics = config["connectors"]["span_metrics"]
    assert metrics["namespace"] == "traces.spanmetrics"
    assert metrics["histogram"]["unit"] == "s"
    assert metrics["histogram"]["explicit"]["buckets"]  # an empty section would leave one bucket, +Inf
    assert metrics["dimensions"] == [{"name": "tenant"}]
    assert metrics["exemplars"] == {"enabled": False}
    assert any("traces.spanmetrics.latency" in s for s in config["processors"]["transform/red"]["metric_statements"])


def test_exemplars_are_of_kept_traces_alone():
    config = sampler(collector_remote_write_url="http://prometheus:9090/api/v1/write")
    pipelines = config["service"]["pipelines"]
    enabled = [name for name, c in config["connectors"].items() if (c.get("exemplars") or {}).get("enabled")]
    assert enabled == ["span_metrics/sampled"]
    fed = {name for name, pipeline in pipelines.items() if "span_metrics/sampled" in pipeline["exporters"]}
    assert fed == {"traces/sampled"}
    assert pipelines["traces/sampled"]["processors"] == ["tail_sampling"]
    # its calls would look like requests; what is left has few series
    assert config["processors"]["filter/sampled"]["metric_conditions"] == [
        'metric.name == "traces.spanmetrics.sampled.calls"'
    ]
    metrics = config["connectors"]["span_metrics/sampled"]
    assert "dimensions" not in metrics
    assert len(metrics["histogram"]["explicit"]["buckets"]) < len(LATENCY_BUCKETS) / 4


# Limits


BUILT = ["errors", "slow", "critical-operations", "baseline"]


def test_no_limits_by_default():
    assert "composite" not in str(policies())
    assert "bytes_limiting" not in str(policies())
    grpc = gateway()["receivers"]["otlp"]["protocols"]["grpc"]
    assert "max_concurrent_streams" not in grpc
    assert "probabilistic_sampler" not in gateway()["processors"]


def test_the_ceiling_is_divided_by_samplers_and_policies():
    drop, ceiling = policies(collector_max_total_spans_per_second="3001", collector_sampler_replicas="3")
    assert drop["type"] == "drop"  # a drop policy inside a composite one is not possible
    settings = ceiling["composite"]
    assert settings["max_total_spans_per_second"] == 1000
    assert settings["policy_order"] == [p["name"] for p in settings["composite_sub_policy"]] == BUILT
    assert settings["rate_allocation"] == [
        {"policy": "errors", "percent": 50}, {"policy": "slow", "percent": 20},
        {"policy": "critical-operations", "percent": 20}, {"policy": "baseline", "percent": 10},
    ]  # fmt: skip


def test_baseline_comes_last_and_absent_shares_go_to_the_others():
    vip = {"name": "vip", "type": "not", "not": {"not_sub_policy": {"name": "all", "type": "always_sample"}}}
    *_drop, ceiling = policies(
        collector_max_total_spans_per_second=900,
        collector_critical_routes=[],
        collector_latency_threshold_ms=0,
        collector_tail_sampling_extra_policies=[vip],
        collector_rate_allocation={"errors": 40, "slow": 10, "critical-operations": 10, "vip": "20", "baseline": 20},
    )
    settings = ceiling["composite"]
    assert settings["policy_order"] == ["errors", "vip", "baseline"]
    assert settings["composite_sub_policy"][1] == {"name": "vip", "type": "and", "and": {"and_sub_policy": [vip]}}
    assert [share["percent"] for share in settings["rate_allocation"]] == [50, 25, 25]


def test_bytes_are_limited_for_what_matched():
    many = {"name": "many", "type": "span_count", "span_count": {"min_spans": 50}}
    long = {"name": "long", "type": "and", "and": {"and_sub_policy": [many]}}
    listed = policies(
        collector_max_total_bytes_per_second=3_000_000,
        collector_tail_sampling_extra_policies=[long],
        collector_rate_allocation={
            "errors": 40, "slow": 10, "critical-operations": 10, "long": 30, "baseline": 10,
        },
    )  # fmt: skip
    assert [p["name"] for p in listed] == ["health-checks", "errors", "slow", "critical-operations", "long", "baseline"]
    assert listed[1]["and"]["and_sub_policy"] == [
        {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"name": "bytes", "type": "bytes_limiting", "bytes_limiting": {"bytes_per_second": 400_000}},
    ]
    assert listed[4]["and"]["and_sub_policy"][0] == many  # no policy of type and inside another
    rates = [p["and"]["and_sub_policy"][-1]["bytes_limiting"]["bytes_per_second"] for p in listed[1:]]
    assert sum(rates) == 1_000_000


def test_both_ceilings():
    [*_drop, ceiling] = policies(
        collector_max_total_bytes_per_second=3_000_000, collector_max_total_spans_per_second=3000
    )
    assert {p["type"] for p in ceiling["composite"]["composite_sub_policy"]} == {"and"}


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        ({"errors": 60, "slow": 20, "critical-operations": 20, "baseline": 10}, "adds up to 110 %"),
        ({"errors": 60, "slow": 20, "critical-operations": 20}, "no share for the policy 'baseline'"),
        ({"errors": 60, "slow": 0, "critical-operations": 20, "baseline": 10}, ".slow: is 0, not a percentage"),
        ({"errors": 12.5, "slow": 1, "critical-operations": 20, "baseline": 10}, ".errors: is 12.5, not a percentage"),
        ({"error": 1, "errors": 1, "slow": 1, "critical-operations": 2, "baseline": 1}, ".error: is not a policy"),
        ([], "not a mapping"),
    ],
)
def test_shares_are_checked_where_there_is_a_ceiling(shares, text):
    [finding] = wrong(collector_rate_allocation=shares, collector_max_total_spans_per_second=1000)
    assert finding.variable == "collector_rate_allocation"
    assert text in str(finding)


def test_a_share_s_name_is_never_read_as_a_variable():
    shares = {"errors": 50, "slow": 20, "critical-operations": 20, "baseline": 10, "a; collector_foo bar": 5}
    [total, name] = wrong(collector_rate_allocation=shares, collector_max_total_spans_per_second=1000)
    assert (total.variable, total.what) == ("collector_rate_allocation", "adds up to 105 %")
    assert (name.variable, name.path) == ("collector_rate_allocation", ".a; collector_foo bar")


def test_a_composite_policy_cannot_be_put_under_a_ceiling():
    own = {"name": "own", "type": "composite", "composite": {"max_total_spans_per_second": 5}}
    message = findings(
        collector_tail_sampling_policies=[own],
        collector_rate_allocation={"own": 100},
        collector_max_total_bytes_per_second=1000,
    )
    assert "cannot divide the policy 'own'" in message


def test_a_ceiling_that_keeps_next_to_nothing_is_told():
    def warned(**changes):
        return cc.collector_values(variables(**FITS, **changes))[1]

    [warning] = warned(collector_max_total_spans_per_second=300)  # baseline: 100 × 10 %, less than 20
    assert warning.variable == "collector_max_total_spans_per_second"
    assert "'baseline': its share on each of 3 samplers is 10 spans per second, less than one trace" in warning.what
    [warning] = warned(collector_max_total_bytes_per_second=90_000)  # baseline: 2 × 30,000 × 10 %
    assert "'baseline': its share on each of 3 samplers is a bucket of 6000 bytes" in warning.what
    assert warned(collector_max_total_spans_per_second=600, collector_max_total_bytes_per_second=150_000) == []


def test_receiver_limits_are_those_of_every_receiver():
    receivers = gateway(collector_max_recv_msg_size_mib="4", collector_max_concurrent_streams=100)["receivers"]
    grpc = [receivers[name]["protocols"]["grpc"] for name in ("otlp", "jaeger")]
    http = [receivers[name]["protocols"][protocol] for name, protocol in (("otlp", "http"), ("jaeger", "thrift_http"))]
    http.append(receivers["zipkin"])
    assert [(p["max_recv_msg_size_mib"], p["max_concurrent_streams"]) for p in grpc] == [(4, 100)] * 2
    assert [p["max_request_body_size"] for p in http] == [4 * 2**20] * 3


def test_head_sampling_carries_its_share():
    built, warnings = cc.collector_values(variables(collector_head_sampling_percentage="12.5", **FITS))
    processors = built["gateway"]["config"]["processors"]
    assert list(processors)[:2] == ["memory_limiter", "probabilistic_sampler"]
    assert processors["probabilistic_sampler"] == {"mode": "proportional", "sampling_percentage": 12.5}
    assert warnings == [], "what the linter has a rule for is not repeated"


# The queue in front of Tempo


def queue(**changes: Any) -> dict[str, Any]:
    return sampler(**changes)["exporters"]["otlp_http/tempo"]["sending_queue"]


def test_the_queue_on_disk_is_rate_times_outage():
    on = {"collector_persistent_queue_enabled": "yes", "collector_sampler_replicas": 3}
    # 1000 × 20 × 25 % ÷ 3, with the traces of one of three away, for 5 minutes
    assert queue(**on)["queue_size"] == 750_000
    assert queue(**on, collector_max_total_spans_per_second=600)["queue_size"] == 90_000
    assert queue(**on, collector_max_total_bytes_per_second=300_000)["queue_size"] == 90_000
    assert queue(**on, tracing_expected_kept_percentage=50, collector_outage_minutes="10")["queue_size"] == 3_000_000
    assert queue(**{**on, "collector_sampler_replicas": 1})["queue_size"] == 1_500_000
    assert queue(**on, tracing_expected_traces_per_second=1)["queue_size"] == 10_000


def test_the_queue_on_disk_has_its_volume():
    built = values(collector_persistent_queue_enabled=True, collector_persistent_queue_storage_class="gp3")["sampler"]
    assert built["persistence"] == {"enabled": True, "size": "10Gi", "storageClass": "gp3"}
    config = built["config"]
    assert config["exporters"]["otlp_http/tempo"]["sending_queue"]["storage"] == "file_storage/tempo"
    assert config["service"]["extensions"][-1] == "file_storage/tempo"
    storage = config["extensions"]["file_storage/tempo"]
    assert storage["directory"].startswith("/var/lib/otelcol/")
    assert storage["max_size"] == int(10 * 2**30 * 0.9)
    without = values()["sampler"]
    assert without["persistence"]["enabled"] is False
    assert "storage" not in without["config"]["exporters"]["otlp_http/tempo"]["sending_queue"]
    assert "file_storage" not in str(without["config"])


def test_a_queue_that_does_not_bridge_the_outage_is_told():
    [memory] = cc.collector_values(variables())[1]
    assert "750000 spans on each of 3 samplers, but memory allows 262144" in memory.what
    assert "longer than 1.7 minutes" in memory.why
    disk = {"collector_persistent_queue_enabled": True}
    assert cc.collector_values(variables(**disk))[1] == []
    [small] = cc.collector_values(variables(**disk, collector_persistent_queue_volume_size="512Mi"))[1]
    assert "537 MiB on disk" in small.what
    assert "Raise it to 597Mi" in small.remedy
    assert cc.collector_values(variables(**disk, collector_persistent_queue_volume_size="597Mi"))[1] == []


def test_decisions():
    config = values(collector_decision_wait="1m30s", collector_num_traces="5000")["sampler"]
    tail = config["config"]["processors"]["tail_sampling"]
    assert tail["decision_wait"] == "1m30s"
    assert tail["num_traces"] == 5000
    assert tail["expected_new_traces_per_sec"] == 334  # 1000 over three samplers
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
        assert "collector_tempo_endpoint: " in findings(collector_tempo_endpoint=wrong)


def test_more_exporters():
    config = sampler(collector_xray_enabled=True, collector_debug_enabled="true", tracing_region="eu-west-1")
    assert config["service"]["pipelines"]["traces"]["exporters"] == ["otlp_http/tempo", "otlp_grpc/xray", "debug"]
    assert config["exporters"]["awsxray/xray"]["region"] == "eu-west-1"


# What is wrong


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("collector_sampling_percentage", 120, "is 120, more than 100. Give a number from 0 to 100."),
        ("collector_sampling_percentage", "many", "Give a number from 0 to 100."),
        ("collector_sampling_percentage", True, "Give a number from 0 to 100."),
        ("collector_sampling_percentage", float("nan"), "Give a number from 0 to 100."),
        ("collector_sampling_percentage", None, "Give a number from 0 to 100."),
        ("collector_num_traces", 1.5, "Give a whole number."),
        ("collector_num_traces", float("inf"), "is inf, not a number"),
        ("collector_num_traces", 0, "of at least 1"),
        ("collector_gateway_replicas", 0, "of at least 1"),
        ("collector_decision_wait", "ten", "is 'ten', not a Go duration"),
        ("collector_decision_wait", "0s", "is '0s', not longer than zero"),
        ("collector_decision_wait", None, "is 'None', not a Go duration"),
        ("collector_critical_routes", "/orders", "not a list of strings"),
        ("collector_critical_routes", ["orders"], "Begin it with a slash: /orders."),
        ("collector_critical_routes", [1], "not a list of strings"),
        ("collector_tolerations", ["x"], "not a list of mappings"),
        ("collector_span_attributes", [], "not a mapping"),
        ("collector_jaeger_enabled", "maybe", "Give true or false."),
        ("collector_remote_write_url", "prometheus:9090", "http://"),
        ("collector_image_tag", "", "is empty"),
        ("collector_image_tag", ["a"], "which is not a tag"),
        ("tracing_expected_traces_per_second", 0, "of at least 0.001"),
        ("tracing_expected_kept_percentage", 101, "from 0 to 100"),
        ("collector_head_sampling_percentage", -1, "from 0 to 100"),
        ("collector_max_recv_msg_size_mib", 0, "of at least 1"),
        ("collector_max_total_spans_per_second", "-5", "of at least 0"),
        ("collector_persistent_queue_volume_size", "10 GB", "not a Kubernetes quantity of bytes"),
        ("collector_persistent_queue_volume_size", "100Mi", "less than 256Mi"),
        ("collector_sampler_resources", {"requests": {"memory": "1Gi"}}, ".limits.memory: is missing"),
        ("collector_sampler_resources", {"limits": {"memory": "1 GB"}}, "not a Kubernetes quantity"),
        ("collector_sampler_resources", {"limits": "1Gi"}, ".limits: is '1Gi', not a mapping"),
    ],
)
def test_wrong_variables_are_named(name, value, text):
    [finding] = wrong(**{name: value})
    assert finding.variable == name
    assert text in str(finding)


def test_all_findings_at_once_and_once_each():
    message = findings(
        collector_sampling_percentage=120, collector_decision_wait="7 days", collector_jaeger_enabled="maybe"
    )
    for name in ("collector_sampling_percentage", "collector_decision_wait", "collector_jaeger_enabled"):
        assert message.count(name) == 1


@pytest.mark.parametrize(("wait", "bridge"), [("1s", "2000ms"), ("5s", "2500ms"), ("10s", "5000ms"), ("2m", "15000ms")])
def test_what_a_gateway_holds_back_for_a_sampler_comes_before_the_decision(wait, bridge):
    balancer = values(collector_decision_wait=wait)["gateway"]["config"]["exporters"]["load_balancing"]
    assert balancer["protocol"]["otlp"]["retry_on_failure"]["max_elapsed_time"] == bridge
    assert balancer["sending_queue"]["num_consumers"] == 100


@pytest.mark.parametrize("tag", ["0.152.1", "v0.99.0", "0.128.0-amd64"])
def test_a_collector_without_the_component_names_is_refused(tag):
    [finding] = wrong(collector_image_tag=tag)
    assert finding.variable == "collector_image_tag" and "Use a tag of 0.158" in finding.remedy


@pytest.mark.parametrize(
    ("tag", "severities"), [("0.157.0", ["warning"]), ("0.159.0", ["warning"]), ("0.158.3", []), ("latest", [])]
)
def test_a_collector_that_was_not_tested_is_a_warning(tag, severities):
    found = cc.collector_values(variables(collector_image_tag=tag, **FITS))[1]
    assert [finding.severity for finding in found] == severities


def test_a_missing_variable_is_named():
    given = variables()
    for name in ("collector_num_traces", "collector_decision_wait"):
        del given[name]
    with pytest.raises(InvalidVariables) as caught:
        cc.collector_values(given)
    assert caught.value.findings == [
        error(name, "is not defined") for name in ("collector_decision_wait", "collector_num_traces")
    ]
    assert cc.findings(given) == []


def test_text_from_the_command_line_is_understood():
    assert values(collector_gateway_replicas="2", collector_network_policy_enabled="false")["gateway"]["replicas"] == 2
    assert policies(collector_sampling_percentage="12.5")[-1]["probabilistic"] == {"sampling_percentage": 12.5}
    assert values(collector_jaeger_enabled="Y", collector_zipkin_enabled="n")["ports"] == {
        "jaeger": True,
        "zipkin": False,
    }
    assert sampler(collector_decision_wait=" 5s ")["processors"]["tail_sampling"]["decision_wait"] == "5s"


def test_whole_percentages_are_written_without_a_fraction():
    assert repr(policies(collector_sampling_percentage=2.0)[-1]["probabilistic"]) == "{'sampling_percentage': 2}"
    head = gateway(collector_head_sampling_percentage="50")["processors"]["probabilistic_sampler"]
    assert repr(head["sampling_percentage"]) == "50"


# How pods are scaled, replaced, spread and prioritized


ON = {"enabled": True, "max_replicas": 8}


def test_autoscaling_is_off_and_begins_at_the_replicas():
    assert values()["gateway"]["autoscaling"]["enabled"] is False
    assert values(collector_gateway_autoscaling=ON)["gateway"]["autoscaling"] == {
        "enabled": True, "minReplicas": 3, "maxReplicas": 8, "targetCPUUtilization": 60,
        "scaleDownStabilizationSeconds": 600,
    }  # fmt: skip
    given = {**ON, "min_replicas": "2", "target_cpu_utilization": 75, "scale_down_stabilization_seconds": 0}
    assert values(collector_gateway_autoscaling=given)["gateway"]["autoscaling"] == {
        "enabled": True, "minReplicas": 2, "maxReplicas": 8, "targetCPUUtilization": 75,
        "scaleDownStabilizationSeconds": 0,
    }  # fmt: skip
    assert gateway_range(variables()) == (3, 3)
    assert gateway_range(variables(collector_gateway_autoscaling={**ON, "min_replicas": 2})) == (2, 8)


def test_the_load_moves_before_the_next_gateway_is_taken_away():
    age = gateway()["receivers"]["otlp"]["protocols"]["grpc"]["keepalive"]["server_parameters"]["max_connection_age"]
    stabilization = values()["gateway"]["autoscaling"]["scaleDownStabilizationSeconds"]
    assert stabilization >= 2 * duration_seconds(age)


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"collector_gateway_autoscaling": {"enabled": True}}, "collector_gateway_autoscaling.max_replicas", "missing"),
        (
            {"collector_gateway_autoscaling": {**ON, "max_replicas": 2}},
            "collector_gateway_autoscaling.max_replicas",
            "is 2, less than the 3",
        ),
        (
            {"collector_gateway_autoscaling": {**ON, "min_replicas": 0}},
            "collector_gateway_autoscaling.min_replicas",
            "at least 1",
        ),
        (
            {"collector_gateway_autoscaling": {**ON, "maxReplicas": 9}},
            "collector_gateway_autoscaling.maxReplicas",
            "is not known here",
        ),
        (
            {"collector_gateway_autoscaling": {**ON, "scale_down_stabilization_seconds": 3601}},
            "collector_gateway_autoscaling.scale_down_stabilization_seconds",
            "more than 3600",
        ),
        (
            {"collector_gateway_autoscaling": ON, "collector_gateway_resources": {"limits": {"memory": "1Gi"}}},
            "collector_gateway_resources.requests.cpu",
            "utilization is a percentage of the request",
        ),
        ({"collector_gateway_max_surge": "half"}, "collector_gateway_max_surge", "Write 1 or 25%."),
        ({"collector_gateway_max_surge": "0%"}, "collector_gateway_max_surge", "no gateway could be replaced"),
        ({"collector_sampler_update_partition": -1}, "collector_sampler_update_partition", "at least 0"),
        (
            {"collector_topology_spread_constraints": [{"maxSkew": 1}]},
            "collector_topology_spread_constraints[0].topologyKey",
            "is missing",
        ),
        (
            {"collector_topology_spread_constraints": [{"topologyKey": "zone", "minDomains": 2}]},
            "collector_topology_spread_constraints[0].minDomains",
            "DoNotSchedule",
        ),
        (
            {"collector_topology_spread_constraints": [{"topologyKey": "zone", "whenUnsatisfiable": "Wait"}]},
            "collector_topology_spread_constraints[0].whenUnsatisfiable",
            "ScheduleAnyway or DoNotSchedule",
        ),
        ({"collector_priority_class_create": True}, "collector_priority_class_name", "is empty"),
        (
            {"collector_priority_class_create": True, "collector_priority_class_name": "system-x"},
            "collector_priority_class_name",
            "does not begin with system-",
        ),
        ({"collector_priority_class_value": 2_000_000_000}, "collector_priority_class_value", "at most 1000000000"),
    ],
)
def test_what_kubernetes_would_refuse(changes, place, words):
    [finding] = wrong(**changes)
    assert str(finding.place) == place and words in str(finding)
