# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No error hides another: two variables that are wrong have the findings that each has alone, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.plugins.module_utils.grafana.datasources import grafana_values
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.variables import chart_values
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    Finding,
    InvalidVariables,
    errors,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.images import image_values
from ansible_collections.orion.tracing.plugins.module_utils.preflight.checks import (
    VARIABLE_CHECKS,
    Facts,
    check,
    collectors,
)
from ansible_collections.orion.tracing.plugins.module_utils.tempo.config import tempo_values
from ansible_collections.orion.tracing.plugins.module_utils.tempo.retention import rules

pytestmark = pytest.mark.slow

ROLES = Path(__file__).resolve().parents[5] / "roles"
POLICY = {"name": "own", "type": "always_sample"}
HTTP = {"name": "vendor", "protocol": "http", "endpoint": "https://otlp.example.com"}

# For each role, and what it makes of its variables, values that are wrong alone.
BREAKS: dict[str, tuple[Callable[[dict[str, Any]], Any], list[dict[str, Any]]]] = {
    "collector": (
        collector_values,
        [
            {"collector_gateway_replicas": 0},
            {"collector_max_recv_msg_size_mib": 0},
            {"collector_sampling_percentage": 120},
            {"collector_decision_wait": "soon"},
            {"collector_num_traces": 0},
            {"collector_zipkin_enabled": "perhaps"},
            {"collector_sampler_resources": {"limits": {"memory": "1 GB"}}},
            {"collector_gateway_resources": {"requests": {"cpu": "half"}, "limits": {"memory": "1Gi"}}},
            {"collector_persistent_queue_volume_size": "10 GB"},
            {"collector_critical_routes": ["orders"]},
            {"collector_dropped_routes": "health"},
            {"collector_span_attributes": ["a"]},
            {"collector_pod_labels": {"a": ["b"]}},
            {"collector_tolerations": ["all"]},
            {"collector_remote_write_url": "prometheus:9090"},
            {"collector_tempo_endpoint": "http://tempo:4317"},
            {"collector_image_tag": ""},
            {"collector_image_digest": "sha256:1"},
            {"collector_exporters": [{**HTTP, "headers": {"api-key": "x"}}, {**HTTP, "name": "a b"}]},
            {"collector_tail_sampling_policies": [POLICY, POLICY, {"name": "b"}]},
            {"collector_tail_sampling_extra_policies": ["c"]},
            {"collector_max_total_spans_per_second": -1},
            {"collector_rate_allocation": "all"},
            {"collector_head_sampling_percentage": -1},
            {"collector_logs_enabled": "perhaps"},
            {"collector_node_agent_namespace": "Logs"},
            {"tracing_expected_traces_per_second": "many"},
            {"tracing_image_registry": "https://mirror.example.com"},
        ],
    ),
    "tempo": (
        tempo_values,
        [
            {"tempo_retention": "7 days"},
            {"tempo_compaction_window": "7 days"},
            {"tempo_blocklist_poll": "5 m"},
            {"tempo_replication_factor": "three"},
            {"tempo_querier_replicas": 0},
            {"tempo_ingester_resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}},
            {"tempo_ingester_storage_size": "0"},
            {"tempo_ingestion_burst_size_bytes": 5},
            {"tempo_ingestion_rate_strategy": "both"},
            {"tempo_max_traces_per_user": -1},
            {"tempo_network_policy_enabled": "perhaps"},
            {"tempo_network_policy_otlp_from": {}},
            {"tempo_s3_endpoint": "https://s3.us-east-1.amazonaws.com"},
            {"tempo_service_account_annotations": {"a": None}},
            {"tempo_image_tag": "3.0.3"},
            {"tempo_image_repository": "grafana/tempo:1"},
            {"tempo_image_pull_secrets": "regcred"},
            {"tempo_metrics_generator_enabled": True, "tempo_metrics_generator_remote_write_url": ""},
            {"tempo_log_level": "loud"},
            {
                "tempo_extra_config": {
                    "querier": {"query_timeout": "1m"},
                    "bar": 1,
                    "storage": {"trace": {"block": {"version": "vParquet9"}}},
                }
            },
        ],
    ),
    "instrumentation": (
        lambda v: chart_values(v, {"policy": "v1", "operator": ""}),
        [
            {"instrumentation_enabled": "perhaps"},
            {"instrumentation_mode": "both"},
            {"instrumentation_languages": ["golang"]},
            {"instrumentation_endpoint": "otel-collector:4318"},
            {"instrumentation_protocol": "http/json"},
            {"instrumentation_propagators": ["zipkin"]},
            {"instrumentation_sampler": "jaeger_remote"},
            {"instrumentation_sampler_argument": 2},
            {"instrumentation_baggage_attributes": ["tenant id"]},
            {"instrumentation_log_correlation": "perhaps"},
            {"instrumentation_logs_enabled": "perhaps"},
            {"instrumentation_environment": {"OTEL_SERVICE_NAME": "a"}},
            {"instrumentation_excluded_namespaces": ["A"]},
            {"instrumentation_init_resources": {"limits": {"cpu": "half"}}},
            {"instrumentation_volume_size_limit": "200 MB"},
            {"instrumentation_image_pull_policy": "Sometimes"},
            {"instrumentation_wait_timeout": "soon"},
            {"instrumentation_java_image_tag": ""},
            {"instrumentation_python_image_digest": "x"},
            {"instrumentation_workloads": [{"namespace": "shop", "name": "orders", "language": "golang"}]},
        ],
    ),
    "grafana": (
        grafana_values,
        [
            {"grafana_tempo_url": "tempo:3200"},
            {"grafana_prometheus_url": "prometheus"},
            {"grafana_existing_datasource_uids": "loki"},
            {"grafana_traces_to_logs_tags": [7]},
            {"grafana_traces_to_metrics_tags": ["http.method"]},
            {"grafana_traces_to_logs_start_time_shift": "1 hour"},
            {"grafana_traces_to_metrics_end_time_shift": "1 hour"},
            {"grafana_traces_to_metrics_queries": ["up", {"name": "a", "query": "up"}]},
            {"grafana_trace_query_time_shift": "-30m"},
            {"grafana_provisioning_labels": {"a": []}},
            {"grafana_jaeger_url": "jaeger"},
            {"grafana_logs_json_data": []},
            {"grafana_tenants": {"tempo": "team-a"}},
            {"grafana_tenant_variables": {"tempo": "a-b"}},
            {"grafana_datasources": ["tempo"]},
        ],
    ),
    "object_storage": (
        rules,
        [
            {"object_storage_expiry_days": "soon"},
            {"object_storage_expiry_margin": "2 days"},
            {"object_storage_lifecycle_rules": ["all", {"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}]},
        ],
    ),
    "local_backends": (
        lambda v: image_values(v, "local_backends_prometheus"),
        [
            {"local_backends_prometheus_image_tag": "a b"},
            {"local_backends_prometheus_image_repository": ""},
            {"local_backends_prometheus_image_digest": "x"},
            {"tracing_image_registry": "https://mirror.example.com"},
        ],
    ),
}


def defaults() -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for role in ("tracing", *BREAKS):
        merged |= yaml.safe_load((ROLES / role / "defaults/main.yml").read_text())
    merged |= {"object_storage_bucket": "orion-traces", "tracing_environment": "test", "tracing_cluster_name": "test"}
    # Breaking one must not break those that take its value by default.
    merged |= {"tempo_retention": "168h", "tempo_search_max_duration": "168h", "tracing_retention": "168h"}
    merged |= {"tracing_namespace": "tracing", "tracing_region": "us-east-1", "grafana_tempo_url": "http://tempo:3200"}
    merged |= {"grafana_jaeger_url": "", "grafana_traces_to_logs_tags": ["service.name"]}
    merged |= {"grafana_alerts_labels": {"grafana_alert": "1"}}
    merged |= {"instrumentation_endpoint": "http://otel-collector.tracing.svc:4318"}
    merged |= {"tempo_s3_bucket": "orion-traces", "tempo_s3_region": "us-east-1", "tempo_s3_insecure": False}
    merged |= {"tempo_s3_endpoint": "s3.us-east-1.amazonaws.com", "tempo_s3_addressing_style": "auto"}
    merged |= {"tracing_expected_traces_per_second": 100, "collector_tempo_endpoint": "http://tempo:4318"}
    merged |= {"tracing_image_registry": "", "tracing_image_pull_secrets": [], "object_storage_manage": True}

    def resolve(value: Any) -> Any:
        if isinstance(value, str) and "{{" in value and not set("|(") & set(value):
            return resolve(jinja2.Template(value).render(role_path="", role_name="", **merged))
        if isinstance(value, dict):
            return {key: resolve(item) for key, item in value.items()}
        return value

    return {name: resolve(value) for name, value in merged.items()}


DEFAULTS = defaults()


def refused(build: Callable[[dict[str, Any]], Any], variables: dict[str, Any]) -> set[Finding]:
    """The errors that stop a role."""
    try:
        build(variables)
    except InvalidVariables as error:
        assert all(str(finding) in str(error) for finding in error.findings)
        return set(error.findings)
    return set()


def preflight(variables: dict[str, Any]) -> set[Finding]:
    return set(errors(check(variables, Facts())))


@pytest.mark.parametrize("role", BREAKS)
def test_a_role_refuses_what_each_of_two_variables_has_wrong(role: str) -> None:
    build, breaks = BREAKS[role]
    assert refused(build, DEFAULTS) == set()
    alone = [refused(build, {**DEFAULTS, **one}) for one in breaks]
    for one, found in zip(breaks, alone, strict=True):
        assert found and {finding.variable for finding in found} <= one.keys(), one
    for (one, found), (other, more) in combinations(zip(breaks, alone, strict=True), 2):
        assert refused(build, {**DEFAULTS, **one, **other}) == found | more, (one, other)


def test_the_preflight_finds_what_each_of_two_variables_has_wrong() -> None:
    assert preflight(DEFAULTS) == set()
    # Neighbours of every role, and of every pair of roles.
    breaks = [one for _build, breaks in BREAKS.values() for one in breaks]
    alone = [preflight({**DEFAULTS, **one}) for one in breaks]
    for one, found in zip(breaks, alone, strict=True):
        assert found and {finding.variable for finding in found} <= one.keys(), one
    for distance in (1, 31):
        for index, one in enumerate(breaks):
            other = (index + distance) % len(breaks)
            if not one.keys() & breaks[other].keys():
                both = {**DEFAULTS, **one, **breaks[other]}
                found, expected = preflight(both), alone[index] | alone[other]
                assert found >= expected, (one, breaks[other])
                # Two of them may contradict each other, too.
                assert {finding.variable for finding in found - expected} <= {*one, *breaks[other]}


def test_every_finding_of_a_role_is_one_of_the_preflight() -> None:
    for build, breaks in BREAKS.values():
        for one in breaks:
            variables = {**DEFAULTS, **one}
            places = {str(finding.place) for finding in preflight(variables)}
            for finding in refused(build, variables):
                assert any(place.startswith(str(finding.place)) for place in places), finding


def test_two_findings_are_two() -> None:
    broken = {"collector_gateway_replicas": 0, "collector_max_recv_msg_size_mib": 0}
    assert {finding.variable for finding in preflight({**DEFAULTS, **broken})} == broken.keys()


ODD: tuple[Any, ...] = (None, "x", 7, ["x"], {7: [{}]})


@pytest.mark.parametrize("role", BREAKS)
def test_a_value_of_any_type_ends_in_findings(role: str) -> None:
    """The preflight finds, and does not crash over, a value of another type than a variable should have."""
    spec = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    for name in spec:
        for value in ODD:
            for one in VARIABLE_CHECKS:
                # The slowest, which reads no variable of the other roles.
                if one is not collectors or role == "collector":
                    list(one({**DEFAULTS, name: value}))


@pytest.mark.parametrize("name", ["collector_tail_sampling_policies", "collector_tail_sampling_extra_policies"])
def test_a_policy_from_the_collectors_environment_is_refused(name: str) -> None:
    """The collector would take it; the role cannot see what it is."""
    found = [finding for finding in preflight({**DEFAULTS, name: ["${env:POLICY}"]}) if finding.variable == name]
    assert [str(finding) for finding in found] == [
        f"{name}[0]: is '${{env:POLICY}}', not a mapping. Write the policy itself."
    ]
