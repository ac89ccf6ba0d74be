# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What preflight makes of variables and facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    ApiError,
    InvalidInput,
    PermissionDenied,
    ToolError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    ERROR,
    WARNING,
    Finding,
    error,
)
from ansible_collections.orion.tracing.plugins.module_utils.preflight.checks import Facts, check, report
from ansible_collections.orion.tracing.plugins.module_utils.preflight.rights import Right
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROLES = Path(__file__).resolve().parents[5] / "roles"
# A store other than AWS, as the defaults make Tempo's variables of the object_storage role's.
OWN_STORE = {
    "object_storage_endpoint_url": "https://s3.example.org:9000",
    "object_storage_public_access_block": None,
    "tempo_s3_endpoint": "s3.example.org:9000",
    "tempo_s3_credentials_secret": "s",
}
OTHER_STORE = {
    "tracing_store": "otlp",
    "collector_exporters": [{"name": "central", "protocol": "http", "endpoint": "https://tempo.example.com"}],
}
FINE = Facts(kubernetes_version="v1.34.4", namespace_phase="Active", storage_classes={"gp3": True})


def defaults() -> dict[str, Any]:
    """The roles' defaults, as the action plugin hands them over."""
    values = role_defaults("collector", "tempo", "object_storage", object_storage_bucket="orion-traces")
    return {name: value for name, value in values.items() if value is not None}


def found(changes: dict[str, Any], facts: Facts = FINE) -> list[Finding]:
    return check({**defaults(), **changes}, facts)


def only(findings: list[Finding], severity: str, place: str) -> Finding:
    """place: of the finding, or its beginning."""
    assert [f.severity for f in findings] == [severity], [str(f) for f in findings]
    assert str(findings[0].place).startswith(place)
    return findings[0]


PULL = {"tracing_image_pull_secrets": ["regcred"]}
DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("changes", "variable", "words"),
    [
        ({"tempo_image_digest": "sha256:12"}, "tempo_image_digest", "64 lower-case hexadecimal digits"),
        ({"tempo_image_tag": f"2.10.8@{DIGEST}"}, "tempo_image_tag", f"tempo_image_digest: {DIGEST}"),
        ({"collector_image_tag": 0.158}, "collector_image_tag", "Quote it"),
        ({"local_backends_prometheus_image_tag": "a b"}, "local_backends_prometheus_image_tag", "not a tag"),
        (
            {"tracing_image_registry": "https://mirror.example.com/p/"},
            "tracing_image_registry",
            "mirror.example.com/p.",
        ),
        ({"tracing_image_pull_secrets": "regcred"}, "tracing_image_pull_secrets", "Write it as [name]"),
        ({"collector_image_pull_secrets": [{"name": "r"}]}, "collector_image_pull_secrets", "not a list of names"),
    ],
)
def test_images_that_no_registry_would_give(changes: dict[str, Any], variable: str, words: str) -> None:
    assert words in str(only(found(changes), ERROR, variable))


@pytest.mark.parametrize(
    ("facts", "severity", "words"),
    [
        ({"secrets": {"regcred": None}, "namespace_phase": "Active"}, ERROR, "create secret docker-registry regcred"),
        ({"secrets": {"regcred": None}}, WARNING, "kubectl create namespace tracing"),
        ({"secrets": {"regcred": ["password"]}, "namespace_phase": "Active"}, ERROR, "lacks .dockerconfigjson"),
        ({"unreadable": ("regcred",)}, WARNING, "may not be read"),
    ],
)
def test_pull_secrets_that_will_not_do(facts: dict[str, Any], severity: str, words: str) -> None:
    assert words in str(only(found(PULL, Facts(**facts)), severity, "tracing_image_pull_secrets"))


@pytest.mark.parametrize("key", [".dockerconfigjson", ".dockercfg"])
def test_pull_secrets_of_both_kinds_will_do(key: str) -> None:
    assert found(PULL, Facts(secrets={"regcred": [key]}, namespace_phase="Active")) == []


def test_the_defaults_are_fine() -> None:
    assert found({}) == []
    assert check({}, Facts()) == []


@pytest.mark.parametrize("inventory", ["production", "staging"])
def test_the_inventories_are_fine_but_for_the_name_to_change(inventory: str) -> None:
    values = yaml.safe_load((ROLES.parent / f"inventories/{inventory}/group_vars/all.yml").read_text())
    only(found({**values, "tempo_s3_bucket": values["object_storage_bucket"]}), ERROR, "object_storage_bucket")


@pytest.mark.parametrize(
    ("changes", "variable", "words"),
    [
        ({"collector_sampling_percentage": 120}, "collector_sampling_percentage", "is 120, more than 100"),
        ({"collector_sampling_percentage": -1}, "collector_sampling_percentage", "0 to 100"),
        ({"collector_sampling_percentage": "ten"}, "collector_sampling_percentage", "ten"),
        ({"tracing_retention": "7 days"}, "tracing_retention", "Write 168h."),
        ({"tempo_retention": "2w"}, "tempo_retention", "Write 336h."),
        ({"tempo_retention": "0s"}, "tempo_retention", "longer than zero"),
        ({"tempo_retention": "1m"}, "tempo_retention", "shorter than tempo_blocklist_poll"),
        ({"collector_decision_wait": "soon"}, "collector_decision_wait", "1h30m"),
        ({"collector_decision_wait": 10}, "collector_decision_wait", "is '10', not a Go duration"),
        ({"tempo_ingester_replicas": 2}, "tempo_replication_factor", "tempo_ingester_replicas is only 2"),
        ({"tempo_replication_factor": 2}, "tempo_replication_factor", "is 2, an even number"),
        ({"tempo_replication_factor": "x"}, "tempo_replication_factor", "is 'x', not a number"),
        ({"tempo_profile": "both"}, "tempo_profile", "distributed or monolithic"),
        (
            {"tempo_image_tag": "3.0.3"},
            "tempo_image_tag",
            "Tempo 2.10: Tempo 3 has no ingesters",
        ),
        ({"tempo_image_tag": "3"}, "tempo_image_tag", "Use a tag of 2.10, such as 2.10.8, or tempo_profile: kafka"),
        ({"tempo_querier_replicas": 0}, "tempo_querier_replicas", "at least 1"),
        ({"collector_gateway_replicas": 1.5}, "collector_gateway_replicas", "whole number"),
        ({"collector_sampler_replicas": True}, "collector_sampler_replicas", "is True, not a number"),
        ({"tempo_s3_endpoint": "https://s3.us-east-1.amazonaws.com"}, "tempo_s3_endpoint", "tempo_s3_insecure: false"),
        (
            {"tempo_s3_endpoint": "s3.us-east-1.amazonaws.com/x"},
            "tempo_s3_endpoint",
            "Write s3.us-east-1.amazonaws.com",
        ),
        ({"tempo_s3_endpoint": "s3.eu-west-1.amazonaws.com"}, "tempo_s3_region", "Set it to eu-west-1."),
        ({"tempo_s3_region": "eu-west-1", "tempo_s3_endpoint": "s3.amazonaws.com"}, "tempo_s3_region", "Set both"),
        ({"object_storage_bucket": "A_b", "tempo_s3_bucket": "A_b"}, "object_storage_bucket", "lower-case"),
        ({"object_storage_manage": False, "tempo_s3_bucket": "A_b"}, "tempo_s3_bucket", "lower-case"),
        ({"tempo_s3_insecure": "yes"}, "tempo_s3_insecure", "refuses plain HTTP"),
        ({"collector_remote_write_url": "prometheus:9090"}, "collector_remote_write_url", "http://"),
        ({"collector_critical_routes": ["api"]}, "collector_critical_routes", "a slash: /api."),
        ({"collector_dropped_routes": ["health"]}, "collector_dropped_routes", "a slash: /health."),
        (
            {
                "tempo_metrics_generator_enabled": True,
                "tempo_metrics_generator_remote_write_url": "http://p/w",
                "collector_remote_write_url": "http://p/w",
            },
            "tempo_metrics_generator_enabled",
            "the same RED metrics",
        ),
        ({"tempo_metrics_generator_enabled": True}, "tempo_metrics_generator_remote_write_url", "is empty"),
        ({"tempo_ingester_storage_size": "50 GB"}, "tempo_ingester_storage_size", "512Mi or 2Gi"),
        ({"tempo_ingester_storage_size": "0"}, "tempo_ingester_storage_size", "not larger than zero"),
        (
            {"tempo_querier_resources": {"limits": {"memory": "1GB"}}},
            "tempo_querier_resources.limits.memory",
            "is '1GB'",
        ),
        (
            {"tempo_querier_resources": {"limits": {"memory": "512m"}}},
            "tempo_querier_resources.limits.memory",
            "is '512m', not a",
        ),
        (
            {"tempo_querier_resources": {"requests": {"cpu": "half"}}},
            "tempo_querier_resources.requests.cpu",
            "is 'half'",
        ),
        (
            {"tempo_querier_resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}},
            "tempo_querier_resources",
            "requests.memory: is larger",
        ),
        (
            {"collector_gateway_resources": {"requests": {"cpu": 1}}},
            "collector_gateway_resources.limits.memory",
            "is missing",
        ),
        (
            {"tracing_expected_spans_per_trace": 580, "tempo_ingester_storage_size": "500Gi"},
            "collector_sampler_resources",
            "traces of 580 spans",
        ),
        (
            {"collector_tail_sampling_policies": [{"type": "latency"}]},
            "collector_tail_sampling_policies[0]",
            "the policy has no name",
        ),
        (
            {
                "collector_tail_sampling_extra_policies": [
                    {"name": "some", "type": "rate_limiting", "rate_limiting": {"spans_per_second": "90"}}
                ]
            },
            "collector_tail_sampling_extra_policies[0].rate_limiting.spans_per_second",
            "'90' is not a number",
        ),
        ({"collector_gateway_replicas": "nan"}, "collector_gateway_replicas", "is 'nan', not a number"),
        ({"collector_gateway_resources": {"limits": "1Gi"}}, "collector_gateway_resources", "is '1Gi', not a mapping"),
        ({"collector_num_traces": 0}, "collector_num_traces", "is 0, less than 1"),
        ({"object_storage_expiry_days": 7}, "object_storage_expiry_days", "Set 10 or more, or 0."),
        ({"object_storage_expiry_days": "soon"}, "object_storage_expiry_days", "not a number of days"),
        ({"object_storage_expiry_margin": "2 days"}, "object_storage_expiry_margin", "Write 48h."),
        (
            {"object_storage_lifecycle_rules": [{"ID": "x", "Expiration": {"Days": 8}, "Filter": {"Prefix": ""}}]},
            "object_storage_lifecycle_rules",
            "rule x deletes blocks after 8 days",
        ),
        (
            {"object_storage_lifecycle_rules": [{"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}]},
            "object_storage_lifecycle_rules",
            "rule without ID moves blocks to GLACIER",
        ),
        (
            OWN_STORE | {"tempo_s3_endpoint": "s3.us-east-1.amazonaws.com"},
            "tempo_s3_endpoint",
            "is AWS, but the bucket is made at object_storage_endpoint_url https://s3.example.org:9000",
        ),
        (
            OWN_STORE
            | {"tempo_s3_endpoint": "127.0.0.1:9000", "object_storage_endpoint_url": "https://127.0.0.1:9000"},
            "tempo_s3_endpoint",
            "a loopback address, so Tempo's pods would ask themselves",
        ),
        (
            OWN_STORE | {"tempo_s3_insecure": True, "object_storage_tls_only": False},
            "tempo_s3_insecure",
            "is true, but object_storage_endpoint_url https://s3.example.org:9000 has the same host and port",
        ),
        (
            OWN_STORE | {"object_storage_addressing_style": "virtual", "tempo_s3_addressing_style": "path"},
            "tempo_s3_addressing_style",
            "is path, but object_storage_addressing_style is virtual",
        ),
        (
            {
                "tempo_s3_endpoint": "s3.cn-north-1.amazonaws.com",
                "tempo_s3_region": "cn-north-1",
                "object_storage_region": "cn-north-1",
            },
            "tempo_s3_endpoint",
            "Write s3.cn-north-1.amazonaws.com.cn.",
        ),
        ({"tempo_s3_prefix": "/foo2/tempo/"}, "tempo_s3_prefix", "Write 'foo2/tempo'."),
        (
            {"object_storage_lifecycle_rules": ["all"]},
            "object_storage_lifecycle_rules",
            "rule 1 is not a dictionary",
        ),
        (
            {"tempo_s3_insecure": True, "object_storage_tls_only": False, "tempo_s3_ca_secret": "s"},
            "tempo_s3_ca_secret",
            "turns TLS off",
        ),
        ({"collector_tempo_endpoint": "tempo"}, "collector_tempo_endpoint", "host:port"),
        (
            {"tracing_store_reader": "jaeger"},
            "tracing_store_reader",
            "jaeger, but tracing_store is tempo, which does not answer Jaeger's API. Leave tracing_store_reader unset",
        ),
        (
            {"tracing_store_reader": "zipkin"},
            "tracing_store_reader",
            "'zipkin' is not a choice. Choose tempo, jaeger, none",
        ),
        (OTHER_STORE | {"tracing_store_reader": "jaeger"}, "tracing_store_service", "it is not known where to ask"),
        (
            OTHER_STORE | {"tracing_store_reader": "tempo"},
            "tracing_store_service",
            "or set tracing_store_reader: none.",
        ),
    ],
)
def test_errors(changes: dict[str, Any], variable: str, words: str) -> None:
    assert words in str(only(found(changes), ERROR, variable))


def test_agents_do_not_send_logs_to_gateways_that_refuse_them() -> None:
    agents = role_defaults("instrumentation", "collector") | {"instrumentation_logs_enabled": True}
    agents = {name: value for name, value in agents.items() if name.startswith("instrumentation_")}
    finding = only(found(agents), ERROR, "instrumentation_logs_enabled")
    assert "collector_logs_enabled is false" in finding.what and "404" in finding.why
    elsewhere = {"instrumentation_endpoint": "http://other-collector.observability.svc:4318"}
    assert found(agents | elsewhere) == found(agents | {"instrumentation_enabled": False}) == []
    store = {
        "name": "loki",
        "protocol": "http",
        "traces": "none",
        "logs": True,
        "endpoint": "https://loki.example.com/otlp",
    }
    assert found(agents | {"collector_logs_enabled": True, "collector_exporters": [store]}) == []


def test_no_bucket() -> None:
    findings = found({"object_storage_bucket": "", "tempo_s3_bucket": ""})
    # The module reports the second only where it is not just the first's value.
    assert [str(f.place) for f in findings] == ["object_storage_bucket", "tempo_s3_bucket"]
    assert "no bucket is named" in findings[0].what


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verify_logs_url": "victorialogs:9428"}, "'victorialogs:9428' is not a URL"),
        ({"verify_prometheus_url": "https://me:hidden@prometheus.example.com"}, "has credentials in it"),
        ({"verify_grafana_url": "ftp://grafana"}, "is not a URL"),
        ({"verify_prometheus_last": "an hour"}, "an hour"),
        ({"verify_timeout": "soon"}, "soon"),
    ],
)
def test_what_would_fail_the_proof_at_the_end(changes: dict[str, Any], words: str) -> None:
    [finding] = found(changes)
    assert (finding.severity, finding.variable) == (ERROR, next(iter(changes))) and words in finding.what
    assert "hidden" not in str(finding)


def test_an_http_endpoint_of_a_tls_only_bucket() -> None:
    findings = found({"object_storage_endpoint_url": "http://s3:9000", "tempo_s3_endpoint": "http://s3:9000"})
    assert [(f.severity, f.variable) for f in findings] == [
        (ERROR, "object_storage_tls_only"),
        (ERROR, "tempo_s3_endpoint"),
        (WARNING, "tempo_s3_credentials_secret"),
    ]
    assert "Write s3:9000, and set tempo_s3_insecure: true." in findings[1].remedy


@pytest.mark.parametrize(
    ("changes", "variable", "words"),
    [
        ({"collector_num_traces": 6_666}, "collector_num_traces", "Set it to 6667 or more"),
        (
            {"tempo_s3_endpoint": "s3.example.org:8333", "object_storage_endpoint_url": "https://s3.example.org"},
            "tempo_s3_credentials_secret",
            "is not AWS",
        ),
        (
            {"tempo_s3_credentials_secret": "s", "tempo_s3_endpoint": "s3.example.org"},
            "tempo_s3_endpoint",
            "is not AWS, but the bucket is made on AWS",
        ),
        (
            OWN_STORE | {"object_storage_ca_bundle": "ca.pem"},
            "tempo_s3_ca_secret",
            "is empty, but object_storage_ca_bundle is ca.pem",
        ),
        (
            OWN_STORE | {"object_storage_validate_certs": False},
            "tempo_s3_ca_secret",
            "is empty, but object_storage_validate_certs is false",
        ),
        ({"tempo_s3_bucket": "another"}, "tempo_s3_bucket", "object_storage_bucket is orion-traces"),
        ({"tempo_image_tag": "2.9.5"}, "tempo_image_tag", "the only one tested"),
        (
            {"collector_critical_routes": ["/health"]},
            "collector_critical_routes[0]",
            "is in collector_dropped_routes too",
        ),
        ({"object_storage_versioning": True}, "object_storage_versioning", "keeps all that Tempo deletes"),
    ],
)
def test_warnings(changes: dict[str, Any], variable: str, words: str) -> None:
    assert words in str(only(found(changes), WARNING, variable))


RECORDINGS = {"name": "all", "protocol": "s3", "prefix": "recordings", "expiration_days": 7}


@pytest.mark.parametrize("manage", [True, False])
def test_recordings_that_tempo_would_delete(manage: bool) -> None:
    changes = {
        "object_storage_manage": manage,
        "collector_exporters": [RECORDINGS],
        "tempo_extra_config": {"storage": {"trace": {"empty_tenant_deletion_enabled": True}}},
    }
    assert "empty tenant" in str(only(found(changes), ERROR, "collector_exporters[0].prefix"))


def test_recordings_that_would_expire_before_their_time() -> None:
    changes = {"collector_exporters": [{**RECORDINGS, "expiration_days": 31}], "object_storage_expiry_days": 30}
    assert "after 30 days" in str(only(found(changes), ERROR, "collector_exporters[0].expiration_days"))


@pytest.mark.parametrize(
    "changes",
    [
        # Numbers and switches of the command line are text.
        {"collector_sampling_percentage": "0.5", "tempo_replication_factor": "3", "object_storage_manage": "true"},
        {"collector_sampling_percentage": 0},
        {"collector_sampling_percentage": 100},
        {"tempo_profile": "monolithic", "tempo_ingester_replicas": 1, "tempo_querier_replicas": 0},
        {"tempo_replication_factor": 1, "tempo_ingester_replicas": 1},
        {"object_storage_expiry_days": 10},
        {"object_storage_versioning": True, "object_storage_expiry_days": 30},
        {
            "object_storage_versioning": True,
            "object_storage_lifecycle_rules": [{"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}],
        },
        {"object_storage_lifecycle_rules": [{"Status": "Disabled", "Expiration": {"Days": 1}}]},
        {"object_storage_lifecycle_rules": [{"Prefix": "other/", "Expiration": {"Days": 1}}]},
        {"object_storage_manage": False, "object_storage_expiry_days": 1, "object_storage_bucket": ""},
        {"collector_sampler_resources": {"limits": {"memory": "4Gi", "ephemeral-storage": "1Gi", "cpu": 2}}},
        {"tempo_querier_resources": {}},
        {"tempo_image_tag": "v2.10.8-amd64"},
        {"tempo_image_digest": "sha256:" + "0a" * 32},
        OWN_STORE,
        OWN_STORE | {"object_storage_ca_bundle": "ca.pem", "tempo_s3_ca_secret": "s"},
        # Pods may reach the store under another name, and without TLS.
        OWN_STORE
        | {"tempo_s3_endpoint": "store.internal:80", "tempo_s3_insecure": True, "object_storage_tls_only": False},
        {
            "tempo_s3_endpoint": "s3.cn-north-1.amazonaws.com.cn",
            "tempo_s3_region": "cn-north-1",
            "object_storage_region": "cn-north-1",
        },
        {"tempo_s3_endpoint": "s3.example.org", "object_storage_manage": False, "tempo_s3_credentials_secret": "s"},
        {"object_storage_tls_only": False, "tempo_s3_insecure": True},
        {"tempo_s3_endpoint": "s3.dualstack.us-east-1.amazonaws.com"},
        {"tracing_expected_traces_per_second": "x", "collector_decision_wait": "10s"},
        {"tracing_store_reader": "none"},
        OTHER_STORE | {"tracing_store_reader": "none"},
        OTHER_STORE | {"tracing_store_reader": "tempo", "tracing_store_service": "tempo"},
        OTHER_STORE | {"tracing_store_reader": "jaeger", "tracing_store_service": "jaeger-query"},
    ],
)
def test_fine(changes: dict[str, Any]) -> None:
    findings = [f for f in found(changes) if f.variable != "tracing_expected_traces_per_second"]
    assert findings == [], [str(f) for f in findings]


def test_all_at_once() -> None:
    findings = found(
        {
            "collector_sampling_percentage": 120,
            "tracing_retention": "7 days",
            "tempo_ingester_replicas": 2,
            "collector_num_traces": 6_000,
            "collector_gateway_replicas": "x",
        }
    )
    assert [f.variable for f in findings] == [
        "tracing_retention",
        "tempo_replication_factor",
        "collector_gateway_replicas",
        "collector_sampling_percentage",
        "collector_num_traces",
    ]
    assert [f.severity for f in findings] == [ERROR] * 4 + [WARNING]
    text = report(findings)
    assert text.startswith("Preflight found 4 things that would fail. Nothing was changed.\n1. tracing_retention: ")
    assert len(text.splitlines()) == 5 and "collector_num_traces" not in text
    assert report(findings[4:]) == "" and "1 thing that" in report(findings[:1])


def test_findings_from_before_are_kept_unless_a_check_says_it_better() -> None:
    given = [error("tempo_profile", "value must be one of"), error("tempo_log_level", "value must be one of")]
    findings = check({**defaults(), "tempo_profile": "both"}, Facts(), given)
    assert [(f.variable, f.what) for f in findings] == [
        ("tempo_profile", "is 'both', not one of the choices"),
        ("tempo_log_level", "value must be one of"),
    ]


def test_a_role_with_a_missing_variable_is_left_to_the_argument_spec() -> None:
    values = defaults()
    del values["tempo_blocklist_poll"]
    assert check(values, Facts()) == []


# --- facts


@pytest.mark.parametrize(
    ("facts", "changes", "severity", "variable", "words"),
    [
        (
            Facts(
                cluster_error=Unreachable(
                    "no answer from https://h",
                    "HTTPSConnection(host='h', port=1): refused",
                    "Check it.",
                )
            ),
            {},
            ERROR,
            "tracing_kubeconfig",
            "tracing_kubeconfig: no answer from https://h: refused. Check it.",
        ),
        (Facts(kubernetes_version="v1.30.9", storage_classes={"gp3": False}), {}, ERROR, "tracing_kubeconfig", "1.31"),
        (
            Facts(kubernetes_version="v1.34.4", namespace_phase="Terminating", storage_classes={"gp3": False}),
            {},
            ERROR,
            "tracing_namespace",
            "is being deleted",
        ),
        (
            Facts(kubernetes_version="v1.34.4", storage_classes={"standard": True, "fast": False}),
            {"tempo_ingester_storage_class": "gp9"},
            ERROR,
            "tempo_ingester_storage_class",
            "no StorageClass gp9. Name one that it has: fast, standard.",
        ),
        (
            Facts(kubernetes_version="v1.34.4", storage_classes={"gp3": True}),
            {"collector_persistent_queue_enabled": "yes", "collector_persistent_queue_storage_class": "gp9"},
            ERROR,
            "collector_persistent_queue_storage_class",
            "no StorageClass gp9. Name one that it has: gp3.",
        ),
        (
            Facts(kubernetes_version="v1.34.4", storage_classes={}),
            {"tempo_ingester_storage_class": ""},
            ERROR,
            "tempo_ingester_storage_class",
            "no default StorageClass. Name one that it has: none.",
        ),
        (
            Facts(secrets={"s": None}),
            {"tempo_s3_credentials_secret": "s"},
            ERROR,
            "tempo_s3_credentials_secret",
            "kubectl -n tracing create secret generic s --from-file=access_key=… --from-file=secret_key=…",
        ),
        (
            Facts(secrets={"s": ["access_key"]}),
            {"tempo_s3_credentials_secret": "s"},
            ERROR,
            "tempo_s3_credentials_secret",
            "lacks secret_key. Add what is missing; it has access_key.",
        ),
        (Facts(secrets={"s": []}), {"tempo_s3_ca_secret": "s"}, ERROR, "tempo_s3_ca_secret", "lacks ca.crt"),
        (Facts(unreadable=("s",)), {"tempo_s3_ca_secret": "s"}, WARNING, "tempo_s3_ca_secret", "may not be read"),
        (
            Facts(helm_error=ToolError("helm is missing", "no helm on PATH", "Install it.")),
            {},
            ERROR,
            "tracing_helm_binary",
            "helm is missing: no helm on PATH. Install it.",
        ),
        (
            Facts(s3_error=Unreachable("no answer from u (option endpoint_url)", "refused", "Check it.")),
            {},
            ERROR,
            "object_storage_endpoint_url",
            "(object_storage_endpoint_url): refused",
        ),
        (
            Facts(s3_error=PermissionDenied("s3:ListBucket was refused", status=403, code="AccessDenied")),
            {},
            ERROR,
            "object_storage_bucket",
            "orion-traces cannot be used (403), permission is missing: s3:ListBucket was refused",
        ),
        (
            Facts(s3_error=PermissionDenied("refused", "", "See access_key.", status=403, code="InvalidAccessKeyId")),
            {},
            ERROR,
            "object_storage_bucket",
            "(403), credentials are wrong: refused. See object_storage_access_key.",
        ),
        (
            Facts(s3_error=PermissionDenied("no usable credentials")),
            {},
            ERROR,
            "object_storage_access_key",
            "no usable credentials",
        ),
        (Facts(s3_error=ApiError("answered 500")), {}, ERROR, "object_storage_bucket", "answered 500"),
        (
            Facts(s3_error=InvalidInput("secret_key is missing")),
            {"object_storage_manage": False},
            WARNING,
            "object_storage_bucket",
            "object_storage_secret_key is missing",
        ),
        (
            Facts(bucket_exists=False),
            {"object_storage_manage": False},
            ERROR,
            "object_storage_bucket",
            "there is no bucket orion-traces",
        ),
    ],
)
def test_facts(facts: Facts, changes: dict[str, Any], severity: str, variable: str, words: str) -> None:
    assert words in str(only(found(changes, facts), severity, variable))


def test_a_bucket_in_another_region() -> None:
    findings = found({}, Facts(bucket_exists=True, bucket_region="eu-west-1"))
    assert [f.variable for f in findings] == ["object_storage_region", "tempo_s3_region"]
    # Other stores name any region.
    assert found(OWN_STORE, Facts(bucket_exists=True, bucket_region="somewhere")) == []


@pytest.mark.parametrize(
    "facts",
    [
        Facts(bucket_exists=False),
        Facts(bucket_exists=True, bucket_region="us-east-1"),
        Facts(kubernetes_version="v1.31.0", storage_classes={"gp3": False}, pod_security="restricted"),
        Facts(kubernetes_version="v2.0.0+k3s1", storage_classes={"gp3": False}),
        Facts(kubernetes_version="v1.34.4", storage_classes=None),
        Facts(secrets={"s": ["access_key", "secret_key", "ca.crt"]}, helm_version="v3.18.0"),
    ],
)
def test_fine_facts(facts: Facts) -> None:
    assert found({"tempo_s3_credentials_secret": "s", "tempo_s3_ca_secret": "s"}, facts) == []


def test_missing_rights_are_findings() -> None:
    reason = "the objects of the platform's releases"
    denied = (
        Right(("get", "create"), "apps", "deployments", "tracing", reason),
        Right(("list",), "storage.k8s.io", "storageclasses", "", "whether they exist", needed=False),
    )
    findings = found({}, Facts(denied=denied))
    assert [(one.severity, one.variable, one.what) for one in findings] == [
        (ERROR, "tracing_kubeconfig", "these credentials may not get, create deployments.apps in namespace tracing"),
        (WARNING, "tracing_kubeconfig",
         "these credentials may not list storageclasses.storage.k8s.io in the whole cluster"),
    ]  # fmt: skip
    assert findings[0].why == reason
