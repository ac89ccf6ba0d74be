# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.filter.tempo import FilterModule
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.tempo import config as tc
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

LIMITS = ("collector_max_total_spans_per_second", "collector_max_total_bytes_per_second")


def variables(**changes: Any) -> dict[str, Any]:
    """As the role hands them over, with changes."""
    return role_defaults("tempo", *LIMITS, **{"object_storage_bucket": "traces", **changes})


def test_go_mem_limit_is_empty_without_a_memory_limit() -> None:
    for without in ({"limits": {"cpu": "1"}}, {"limits": None}, {}):
        values = tc.tempo_values(variables(tempo_querier_resources=without))
        assert values["components"]["querier"]["goMemLimit"] == ""
        assert values["components"]["ingester"]["goMemLimit"].endswith("MiB")


def test_seed_figures_are_the_defaults() -> None:
    config = tc.tempo_config(variables())
    assert config["compactor"]["compaction"] == {
        "block_retention": "168h",
        "compacted_block_retention": "1h",
        "compaction_window": "1h",
        "max_block_bytes": 107374182400,
    }
    assert config["query_frontend"]["search"]["concurrent_jobs"] == 1000
    assert config["query_frontend"]["search"]["target_bytes_per_job"] == 104857600
    assert config["ingester"]["lifecycler"]["ring"] == {"replication_factor": 3, "kvstore": {"store": "memberlist"}}
    assert config["storage"]["trace"]["s3"] == {
        "bucket": "traces",
        "endpoint": "s3.us-east-1.amazonaws.com",
        "region": "us-east-1",
    }
    values = tc.tempo_values(variables())
    replicas = {name: component["replicas"] for name, component in values["components"].items()}
    assert replicas == {"distributor": 3, "ingester": 3, "querier": 2, "query-frontend": 2, "compactor": 1}
    assert values["components"]["ingester"]["persistence"] == {"size": "50Gi", "storageClass": "gp3"}
    assert values["components"]["ingester"]["goMemLimit"] == "3276MiB"


def test_names_follow_release_and_namespace() -> None:
    config = tc.tempo_config(variables(tracing_namespace="obs"), "t2")
    assert config["memberlist"]["join_members"] == ["dns+t2-gossip-ring.obs.svc:7946"]
    assert config["memberlist"]["cluster_label"] == "t2.obs"
    assert config["querier"]["frontend_worker"]["frontend_address"] == "t2-query-frontend-discovery.obs.svc:9095"


def test_monolithic_has_no_ring_members_to_find() -> None:
    values = tc.tempo_values(variables(tempo_profile="monolithic", tempo_ingester_replicas=1))
    assert set(values["components"]) == {"all"}
    assert values["components"]["all"]["replicas"] == 1
    config = values["config"]
    assert config["ingester"]["lifecycler"]["ring"] == {"replication_factor": 1}
    assert "memberlist" not in config
    assert "querier" not in config
    assert "ring" not in config["compactor"]


@pytest.mark.parametrize("profile", ["distributed", "monolithic"])
def test_metrics_generator(profile: str) -> None:
    url = "http://prometheus:9090/api/v1/write"
    given = variables(
        tempo_profile=profile, tempo_metrics_generator_enabled=True, tempo_metrics_generator_remote_write_url=url
    )
    values = tc.tempo_values(given)
    config = values["config"]
    assert config["metrics_generator"]["storage"]["remote_write"] == [{"url": url, "send_exemplars": True}]
    assert config["overrides"]["defaults"]["metrics_generator"]["processors"] == ["service-graphs", "span-metrics"]
    assert ("ring" in config["metrics_generator"]) is (profile == "distributed")
    assert ("metrics-generator" in values["components"]) is (profile == "distributed")


def test_one_compactor_does_not_wait_for_others() -> None:
    def wait(replicas: int) -> str:
        config = tc.tempo_config(variables(tempo_compactor_replicas=replicas))
        return str(config["compactor"]["ring"]["wait_stability_min_duration"])

    assert (wait(1), wait(2)) == ("0s", "1m")


def test_s3_variants_hold_no_credentials() -> None:
    values = tc.tempo_values(
        variables(
            tempo_s3_endpoint="seaweedfs.local-backends.svc:8333",
            tempo_s3_credentials_secret="tempo-s3",
            tempo_s3_ca_secret="tempo-s3",
            tempo_s3_prefix="p",
        )
    )
    assert values["config"]["storage"]["trace"]["s3"] == {
        "bucket": "traces",
        "endpoint": "seaweedfs.local-backends.svc:8333",
        "region": "us-east-1",
        "prefix": "p",
        "tls_ca_path": tc.S3_CA_PATH,
    }
    assert values["s3"] == {"credentialsSecret": "tempo-s3", "caSecret": "tempo-s3"}
    insecure = tc.tempo_config(variables(tempo_s3_insecure=True))
    assert insecure["storage"]["trace"]["s3"]["insecure"] is True


def test_extra_config_comes_last() -> None:
    config = tc.tempo_config(variables(tempo_extra_config={"server": {"log_format": "json"}}))
    assert config["server"] == {
        "http_listen_port": 3200,
        "grpc_listen_port": 9095,
        "log_level": "info",
        "log_format": "json",
    }


def test_ingestion_limits_follow_the_load_and_the_ceilings() -> None:
    def limits(**changes: Any) -> tuple[int, int]:
        ingestion = tc.tempo_config(variables(**changes))["overrides"]["defaults"]["ingestion"]
        return ingestion["rate_limit_bytes"], ingestion["burst_size_bytes"]

    assert limits() == (30_000_000, 30_000_000)
    # 20,000 × 20 × 500 bytes × 25 % × 4, for three distributors
    load = {"tracing_expected_traces_per_second": "20000"}
    assert limits(**load) == (66_666_667, 66_666_667)
    assert limits(**load, tempo_ingestion_rate_strategy="global") == (200_000_000, 200_000_000)
    assert limits(**load, tempo_profile="monolithic") == (200_000_000, 200_000_000)
    assert limits(**load, collector_max_total_spans_per_second=60_000) == (40_000_000, 40_000_000)
    assert limits(**load, collector_max_total_bytes_per_second=24_000_000) == (32_000_000, 32_000_000)
    assert limits(**load, tempo_ingestion_rate_limit_bytes=5) == (5, 30_000_000)
    assert limits(tempo_ingestion_burst_size_bytes="7") == (30_000_000, 7)
    with pytest.raises(InvalidInput, match="tracing_expected_traces_per_second: 'many' is not a number"):
        limits(tracing_expected_traces_per_second="many")


def test_strings_of_the_command_line_are_converted() -> None:
    values = tc.tempo_values(
        variables(tempo_ingester_replicas="5", tempo_replication_factor="3", tempo_network_policy_enabled="False")
    )
    assert values["components"]["ingester"]["replicas"] == 5
    assert values["config"]["ingester"]["lifecycler"]["ring"]["replication_factor"] == 3
    assert values["networkPolicy"]["enabled"] is False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"object_storage_bucket": ""}, "tempo_s3_bucket is empty"),
        (
            {"tempo_s3_endpoint": "https://s3.amazonaws.com"},
            "tempo_s3_endpoint: 'https://s3.amazonaws.com' is not host",
        ),
        ({"tempo_s3_endpoint": "s3.amazonaws.com/x"}, "tempo_s3_endpoint"),
        ({"tempo_s3_endpoint": ""}, "tempo_s3_endpoint"),
        ({"tempo_s3_insecure": True, "tempo_s3_ca_secret": "x"}, "tempo_s3_ca_secret is set"),
        ({"tracing_retention": "7 days"}, "tempo_retention: '7 days' is not a Go duration"),
        ({"tracing_retention": "0s"}, "tempo_retention: the duration must be longer than zero"),
        ({"tempo_blocklist_poll": None}, "tempo_blocklist_poll: 'None' is not a Go duration"),
        ({"tempo_retention": "1m"}, "tempo_retention .1m. is shorter than tempo_blocklist_poll"),
        ({"tempo_ingester_complete_block_timeout": "1m"}, "tempo_ingester_complete_block_timeout .1m. is shorter"),
        ({"tempo_compaction_compacted_block_retention": "1m"}, "tempo_compaction_compacted_block_retention .1m. is"),
        ({"tempo_ingester_replicas": 2}, "tempo_replication_factor is 3, but tempo_ingester_replicas is only 2"),
        ({"tempo_metrics_generator_enabled": True}, "tempo_metrics_generator_remote_write_url is empty"),
        ({"tempo_replication_factor": "three"}, "tempo_replication_factor: 'three' is not a whole number"),
        ({"tempo_replication_factor": None}, "tempo_replication_factor: 'None' is not a whole number"),
        ({"tempo_s3_insecure": "perhaps"}, "tempo_s3_insecure: 'perhaps' is neither true nor false"),
        ({"tempo_querier_resources": {"limits": {"memory": "1GB"}}}, "tempo_querier_resources.limits.memory: '1GB'"),
        ({"tempo_image_tag": "3.0.3"}, "tempo_image_tag is 3.0.3: Tempo 3 has no ingesters.*Use a tag of 2.10"),
    ],
)
def test_bad_input_names_the_variable(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        tc.tempo_values(variables(**changes))


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("2.10.8", (2, 10)),
        ("v2.10.8", (2, 10)),
        ("2.10", (2, 10)),
        ("2.10.8-amd64", (2, 10)),
        ("2.10.8@sha256:3e1f", (2, 10)),
        ("3.0.0-rc.1", (3, 0)),
        ("3", (3, 0)),
        ("10.1", (10, 1)),
        ("latest", None),
        ("main-3.0", None),
        ("3f4e5d6", None),
        ("3-acme", None),
        ("2026.11.28", None),
        ("r312", None),
        ("sha256:3.0", None),
        ("", None),
        (3.0, None),
        (None, None),
    ],
)
def test_tags_and_versions(tag: Any, version: tuple[int, int] | None) -> None:
    assert tc.tagged_version(tag) == version
    refused = version is not None and version[0] > 2
    assert tc.newer_than_config(tag) is refused
    if not refused:
        assert tc.tempo_config(variables(tempo_image_tag=tag)) == tc.tempo_config(variables())


def test_filter_turns_errors_into_ansibles() -> None:
    from ansible.errors import AnsibleFilterError

    tempo_values = FilterModule().filters()["tempo_values"]
    assert tempo_values(variables()) == tc.tempo_values(variables())
    with pytest.raises(AnsibleFilterError, match="tempo_s3_bucket is empty"):
        tempo_values(variables(object_storage_bucket=""))
