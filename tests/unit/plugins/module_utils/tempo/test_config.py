# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.filter.tempo import FilterModule
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import InvalidVariables
from ansible_collections.orion.tracing.plugins.module_utils.inventory.images import tagged_version
from ansible_collections.orion.tracing.plugins.module_utils.tempo import config as tc
from ansible_collections.orion.tracing.plugins.module_utils.tempo import settings as ts
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROLE = Path(__file__).resolve().parents[5] / "roles" / "tempo"
LIMITS = ("collector_max_total_spans_per_second", "collector_max_total_bytes_per_second")


def variables(**changes: Any) -> dict[str, Any]:
    """As the role hands them over, with changes."""
    return role_defaults("tempo", *LIMITS, **{"object_storage_bucket": "traces", **changes})


def test_the_types_are_those_of_the_argument_spec() -> None:
    spec = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    pods = {name for name in spec if name.endswith("_replicas")} | {"tempo_replication_factor"}
    assert {name for name, option in spec.items() if option["type"] == "int"} == set(ts.INTEGERS) | pods
    assert {name for name, option in spec.items() if option["type"] == "bool"} == set(ts.BOOLEANS)


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


KAFKA = {"tempo_profile": "kafka", "tempo_image_tag": "3.0.3", "tempo_kafka_address": "kafka:9092"}


def test_kafka_has_its_components_and_their_partitions() -> None:
    values = tc.tempo_values(variables(**KAFKA, tempo_live_store_replicas="6", tempo_block_builder_replicas=3), "t3")
    assert (values["profile"], values["line"]) == ("kafka", "3.0")
    assert {name: component["replicas"] for name, component in values["components"].items()} == {
        "distributor": 3,
        "block-builder": 3,
        "live-store": 6,
        "backend-scheduler": 1,
        "backend-worker": 1,
        "querier": 2,
        "query-frontend": 2,
    }
    assert values["components"]["live-store"]["persistence"] == {"size": "20Gi", "storageClass": "gp3"}
    config = values["config"]
    assert not {"ingester", "compactor", "ingester_client"} & set(config)
    assert config["block_builder"]["partitions_per_instance"] == 2
    assert config["backend_worker"]["backend_scheduler_addr"] == "t3-backend-scheduler.tracing.svc:9095"
    assert config["backend_scheduler"]["provider"]["compaction"]["compaction"] == config["backend_worker"]["compaction"]
    assert config["ingest"]["kafka"] == {
        "address": "kafka:9092",
        "topic": "tempo-traces",
        "auto_create_topic_enabled": False,
    }


def test_kafkas_credentials_are_references() -> None:
    values = tc.tempo_values(variables(**KAFKA, tempo_kafka_sasl_secret="broker"))
    assert values["kafka"] == {"saslSecret": "broker"}
    kafka = values["config"]["ingest"]["kafka"]
    assert (kafka["sasl_username"], kafka["sasl_password"]) == ("${TEMPO_KAFKA_USERNAME}", "${TEMPO_KAFKA_PASSWORD}")
    # Of another profile, it does nothing.
    assert tc.tempo_values(variables(tempo_kafka_sasl_secret="broker"))["kafka"] == {"saslSecret": ""}


def test_one_instance_of_either_line() -> None:
    one = {"tempo_profile": "monolithic"}
    old, new = (tc.tempo_values(variables(**one, tempo_image_tag=tag)) for tag in ("2.10.8", "3.0.3"))
    assert (old["line"], new["line"]) == ("2.10", "3.0")
    assert old["components"] == new["components"]
    assert "ingester" in old["config"]
    assert not {"ingester", "compactor", "ingest", "memberlist"} & set(new["config"])
    assert new["config"]["live_store"]["complete_block_timeout"] == "20m"
    assert new["config"]["backend_worker"] == {"compaction": old["config"]["compactor"]["compaction"]}


def test_compaction_can_be_left_to_another_installation() -> None:
    for profile in ({}, KAFKA):
        defaults = tc.tempo_config(variables(**profile, tempo_compaction_enabled=False))["overrides"]["defaults"]
        assert defaults["compaction"] == {"compaction_disabled": True}
        assert "compaction" not in tc.tempo_config(variables(**profile))["overrides"]["defaults"]


def test_messages_of_tempo_3() -> None:
    config = tc.tempo_config(variables(**KAFKA, tempo_max_bytes_per_trace=60 * 2**20))
    assert config["live_store_client"]["grpc_client_config"]["max_recv_msg_size"] == 120 * 2**20


def test_a_live_stores_volume() -> None:
    [found] = ts.findings(variables(**KAFKA, tempo_live_store_complete_block_timeout="24h"))
    # 1000 × 20 × 500 bytes × 25 % for 24 hours and 30 s, a third of it
    assert (found.variable, found.severity) == ("tempo_live_store_storage_size", "warning")
    assert "a live-store keeps 67.1 GiB" in found.what


def test_more_metrics_generators() -> None:
    given = {"tempo_metrics_generator_enabled": True, "tempo_metrics_generator_remote_write_url": "http://p"}
    values = tc.tempo_values(variables(**given, tempo_metrics_generator_replicas="3"))
    assert values["components"]["metrics-generator"]["replicas"] == 3


def test_traceql_metrics_are_one_switch() -> None:
    on = {"tempo_traceql_metrics_enabled": True}
    values = tc.tempo_values(variables(**on))
    generator = values["config"]["metrics_generator"]
    assert values["config"]["overrides"]["defaults"]["metrics_generator"] == {"processors": ["local-blocks"]}
    assert generator["processor"] == {"local_blocks": {"filter_server_spans": False, "flush_to_storage": True}}
    assert generator["traces_storage"]["path"].startswith("/var/tempo/")
    assert "remote_write" not in generator["storage"]
    assert "metrics-generator" in values["components"]
    both = variables(**on, tempo_metrics_generator_enabled=True, tempo_metrics_generator_remote_write_url="http://p")
    processors = tc.tempo_config(both)["overrides"]["defaults"]["metrics_generator"]["processors"]
    assert processors == ["service-graphs", "span-metrics", "local-blocks"]
    # 3.0 needs nothing for it.
    assert tc.tempo_values(variables(**KAFKA, **on)) == tc.tempo_values(variables(**KAFKA))


def test_the_environment_is_expanded_only_where_it_was_meant() -> None:
    relabel = {"tempo_extra_config": {"server": {"log_source_ips_regex": "${1}"}}}
    assert tc.tempo_values(variables(**relabel))["expandEnv"] is False
    assert tc.tempo_values(variables(tempo_environment={"A": "1"}))["expandEnv"] is False
    assert tc.tempo_values(variables(**relabel, tempo_environment={"A": "1"}))["expandEnv"] is True
    assert tc.tempo_values(variables(tempo_ipv6_only=True))["expandEnv"] is True


def test_ipv6_in_every_ring() -> None:
    generator = {"tempo_metrics_generator_enabled": True, "tempo_metrics_generator_remote_write_url": "http://p"}
    for profile, rings in (
        (
            {},
            [("distributor", "ring"), ("ingester", "lifecycler"), ("compactor", "ring"), ("metrics_generator", "ring")],
        ),
        (
            KAFKA,
            [
                ("distributor", "ring"),
                ("live_store", "ring"),
                ("backend_worker", "ring"),
                ("metrics_generator", "ring"),
            ],
        ),
    ):
        config = tc.tempo_config(variables(**profile, **generator, tempo_ipv6_only=True))
        for section, ring in rings:
            assert config[section][ring]["enable_inet6"] is True
        assert config["memberlist"]["bind_addr"] == ["${TEMPO_POD_IP}"]
        assert config["distributor"]["receivers"]["otlp"]["protocols"]["grpc"] == {
            "endpoint": "[::]:4317",
            "max_recv_msg_size_mib": 16,
        }
        assert "::" not in str(tc.tempo_config(variables(**profile)))


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


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tracing_region": "cn-north-1"}, {"endpoint": "s3.cn-north-1.amazonaws.com.cn", "region": "cn-north-1"}),
        (
            {"tracing_region": "eusc-de-east-1"},
            {"endpoint": "s3.eusc-de-east-1.amazonaws.eu", "region": "eusc-de-east-1"},
        ),
        (
            {"tempo_s3_region": "us-gov-west-1"},
            {"endpoint": "s3.us-gov-west-1.amazonaws.com", "region": "us-gov-west-1"},
        ),
        ({"object_storage_endpoint_url": "https://store:9000"}, {"endpoint": "store:9000", "region": "us-east-1"}),
        (
            {"object_storage_endpoint_url": "http://store:9000", "object_storage_addressing_style": "path"},
            {"endpoint": "store:9000", "region": "us-east-1", "insecure": True, "forcepathstyle": True},
        ),
        (
            {"object_storage_endpoint_url": "https://store", "object_storage_addressing_style": "virtual"},
            {"endpoint": "store", "region": "us-east-1", "bucket_lookup_type": 1},
        ),
        (
            {"object_storage_endpoint_url": "https://127.0.0.1:1", "tempo_s3_endpoint": "in.cluster:8333"},
            {"endpoint": "in.cluster:8333", "region": "us-east-1"},
        ),
    ],
)
def test_tempo_uses_the_store_of_the_bucket(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert tc.tempo_config(variables(**changes))["storage"]["trace"]["s3"] == {"bucket": "traces", **expected}


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
    assert limits(tempo_ingestion_burst_size_bytes="4000000") == (30_000_000, 4_000_000)
    with pytest.raises(InvalidVariables, match="tracing_expected_traces_per_second: is 'many', not a number"):
        limits(tracing_expected_traces_per_second="many")


def test_messages_are_as_large_as_the_largest_trace_needs() -> None:
    def sizes(limit: int) -> list[Any]:
        config = tc.tempo_config(variables(tempo_max_bytes_per_trace=limit))
        worker = config["querier"]["frontend_worker"].get("grpc_client_config")
        return [config["server"].get("grpc_server_max_recv_msg_size"), worker, config.get("ingester_client")]

    assert sizes(8 * 2**20) == [None, None, None]
    assert sizes(50_000_000) == [96 * 2**20, {"max_send_msg_size": 96 * 2**20}, None]
    large = {"max_send_msg_size": 120 * 2**20, "max_recv_msg_size": 120 * 2**20}
    assert sizes(60 * 2**20) == [120 * 2**20, large, {"grpc_client_config": large}]
    [unlimited] = ts.findings(variables(tempo_max_bytes_per_trace=0))
    assert (unlimited.variable, unlimited.severity) == ("tempo_max_bytes_per_trace", "warning")


def test_a_volume_that_cannot_hold_what_ingesters_keep_is_a_warning() -> None:
    [found] = ts.findings(variables(tempo_ingester_complete_block_timeout="720h"))
    # 1000 × 20 × 500 bytes × 25 % for 720.5 hours
    assert (found.variable, found.severity) == ("tempo_ingester_storage_size", "warning")
    assert "keeps 6039.2 GiB" in found.what
    assert ts.findings(variables(tempo_ingester_complete_block_timeout="4h")) == []


def test_numbers_in_annotations_and_labels_become_strings() -> None:
    values = tc.tempo_values(
        variables(tempo_service_account_annotations={"a": 1, "b": True}, tempo_node_selector={"c": 1.5})
    )
    assert values["serviceAccount"] == {"annotations": {"a": "1", "b": "true"}}
    assert values["nodeSelector"] == {"c": "1.5"}


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
        ({"object_storage_bucket": ""}, "tempo_s3_bucket: is empty. Set object_storage_bucket"),
        (
            {"tempo_s3_endpoint": "https://s3.amazonaws.com"},
            "tempo_s3_endpoint: is 'https://s3.amazonaws.com', which has a scheme: .* Write s3.amazonaws.com, and set "
            "tempo_s3_insecure: false.",
        ),
        ({"tempo_s3_endpoint": "s3.amazonaws.com/x"}, "tempo_s3_endpoint: .* not host or host:port"),
        ({"tempo_s3_endpoint": ""}, "tempo_s3_endpoint: is '', not host"),
        ({"tempo_s3_insecure": True, "tempo_s3_ca_secret": "ca"}, "tempo_s3_ca_secret: is set, but tempo_s3_insecure"),
        (
            {"tempo_retention": "7 days", "tempo_search_max_duration": "1h"},
            "tempo_retention: is '7 days', not a Go duration. Write 168h.",
        ),
        ({"tempo_compaction_window": "0s"}, "tempo_compaction_window: is '0s', not longer than zero"),
        ({"tempo_blocklist_poll": None}, "tempo_blocklist_poll: is '', not a Go duration"),
        ({"tempo_retention": "1m"}, "tempo_retention: is 1m, shorter than tempo_blocklist_poll"),
        ({"tempo_ingester_complete_block_timeout": "1m"}, "tempo_ingester_complete_block_timeout: is 1m, shorter"),
        ({"tempo_compaction_compacted_block_retention": "1m"}, "tempo_compaction_compacted_block_retention: is 1m"),
        ({"tempo_ingester_replicas": 2}, "tempo_replication_factor: is 3, but tempo_ingester_replicas is only 2"),
        ({"tempo_replication_factor": 2}, "tempo_replication_factor: is 2, an even number"),
        ({"tempo_metrics_generator_enabled": True}, "tempo_metrics_generator_remote_write_url: is empty, but"),
        ({"tempo_replication_factor": "three"}, "tempo_replication_factor: is 'three', not a number"),
        ({"tempo_replication_factor": None}, "tempo_replication_factor: is None, not a number"),
        ({"tempo_s3_insecure": "perhaps"}, "tempo_s3_insecure: is 'perhaps', not a boolean"),
        (
            {"tempo_querier_resources": {"limits": {"memory": "1GB"}}},
            "tempo_querier_resources.limits.memory: is '1GB', not a Kubernetes quantity",
        ),
        ({"tempo_querier_resources": {"requests": {"cpu": "1 core"}}}, "tempo_querier_resources.requests.cpu: is"),
        ({"tempo_image_tag": "3.0.3"}, "tempo_image_tag: is 3.0.3, but .* Tempo 3 has no ingesters.*Use a tag of 2.10"),
        ({**KAFKA, "tempo_image_tag": "2.10.8"}, "tempo_image_tag: .*profile kafka.*3.0.3, or tempo_profile: distr"),
        ({**KAFKA, "tempo_image_tag": "4.0.0"}, "tempo_image_tag: is 4.0.0, .*other versions refuse it"),
        ({**KAFKA, "tempo_kafka_address": ""}, "tempo_kafka_address: is empty, but tempo_profile is kafka"),
        (
            {**KAFKA, "tempo_kafka_address": "a:9092,b:9092"},
            "tempo_kafka_address: is 'a:9092,b:9092', not one host:port",
        ),
        ({**KAFKA, "tempo_kafka_address": "kafka"}, "tempo_kafka_address: is 'kafka', not one host:port"),
        ({**KAFKA, "tempo_kafka_topic": "a/b"}, "tempo_kafka_topic: is 'a/b', not the name of a topic"),
        (
            {**KAFKA, "tempo_kafka_topic_partitions": 2},
            "tempo_kafka_topic_partitions: is 2, less than tempo_live_store",
        ),
        (
            {**KAFKA, "tempo_kafka_topic_replication_factor": 1},
            "tempo_kafka_topic_min_insync_replicas: is 2, more than",
        ),
        (
            {**KAFKA, "tempo_kafka_topic_max_message_bytes": 1048588},
            "max_message_bytes: is 1048588, less than the largest",
        ),
        ({**KAFKA, "tempo_block_builder_replicas": 2}, "tempo_block_builder_replicas: is 2, which does not divide"),
        (
            {**KAFKA, "tempo_live_store_complete_block_timeout": "1m"},
            "tempo_live_store_complete_block_timeout: is 1m, shorter than tempo_blocklist_poll",
        ),
        (
            {**KAFKA, "tempo_extra_config": {"ingester": {}}},
            "tempo_extra_config.ingester: is an option of Tempo 2.10, not of 3.0: .* live_store",
        ),
        (
            {**KAFKA, "tempo_extra_config": {"storage": {"trace": {"block": {"version": "vParquet3"}}}}},
            "version: is 'vParquet3': Tempo 3.0 does not support .* Choose vParquet4 or vParquet5",
        ),
        ({"tempo_block_version": "vParquet9"}, "tempo_block_version: is 'vParquet9'"),
        ({**KAFKA, "tempo_block_version": "v2"}, "tempo_block_version: is 'v2': Tempo 3.0 does not support"),
        (
            {"tempo_dedicated_columns": [{"name": f"a{i}", "type": "string", "scope": "span"} for i in range(11)]},
            "tempo_dedicated_columns: has 11 columns of type string and scope span. Give at most 10",
        ),
        ({"tempo_environment": {"a-b": "1"}}, "tempo_environment.a-b: is not the name of an environment variable"),
        ({"tempo_environment": {"GOMEMLIMIT": "1"}}, "tempo_environment.GOMEMLIMIT: is set by the role itself"),
        ({"tempo_secret_environment": {"A": "x"}}, "tempo_secret_environment.A: is 'x', not a Secret and its key"),
        (
            {"tempo_environment": {"A": "1"}, "tempo_secret_environment": {"A": {"secret": "x", "key": "y"}}},
            "tempo_secret_environment.A: is in tempo_environment too",
        ),
        ({"tempo_secret_files": ["a", "a"]}, r"tempo_secret_files\[1\]: is there twice"),
        ({"tempo_config_map_files": ["A_b"]}, r"tempo_config_map_files\[0\]: is 'A_b', not the name"),
        (
            {"tempo_zones": ["a", "b"], "tempo_ingester_replicas": 4},
            "tempo_zones: has 2 zones, fewer than tempo_replication_factor",
        ),
        (
            {"tempo_zones": ["a", "b", "c"], "tempo_ingester_replicas": 4},
            "tempo_ingester_replicas: is 4, not a multiple of the 3 zones of tempo_zones: .* Set it to 6",
        ),
        ({"tempo_zones": ["A"]}, r"tempo_zones\[0\]: is 'A', not the name of a zone"),
        ({"tempo_profile": "monolithic", "tempo_zones": ["a"]}, "tempo_zones: is set, but tempo_profile is monolithic"),
        (
            {"tempo_memcached_addresses": ["http://m:1"]},
            r"tempo_memcached_addresses\[0\]: is 'http://m:1', not an addr",
        ),
        (
            {"tempo_memcached_enabled": True, "tempo_memcached_roles": []},
            "tempo_memcached_roles: is empty, but tempo_memcached_enabled is true",
        ),
        ({"tempo_memcached_memory_mib": 1}, "tempo_memcached_memory_mib: "),
        ({"tempo_memcached_image_tag": "a b"}, "tempo_memcached_image_tag: "),
        ({"tempo_memcached_roles": ["blooms"]}, r"tempo_memcached_roles\[0\]: is 'blooms'. Choose bloom, trace-id"),
        (
            {"tempo_memcached_addresses": ["m:1"], "tempo_memcached_roles": []},
            "tempo_memcached_roles: is empty, but tempo_memcached_addresses is not",
        ),
        ({"tempo_profile": "both"}, "tempo_profile: is 'both', not one of the choices. Choose distributed or"),
        ({"tempo_ingestion_burst_size_bytes": 1_000_000}, "tempo_ingestion_burst_size_bytes: .* largest request"),
        ({"tempo_node_selector": {"pool": ["a"]}}, "tempo_node_selector.pool: is .* not a string"),
        (
            {"tempo_extra_config": {"querier": {"query_timeout": "1m"}}},
            "tempo_extra_config.querier.query_timeout: .* Did you mean querier.search.query_timeout or",
        ),
        ({"tempo_extra_config": {"querrier": {}}}, "tempo_extra_config.querrier: .* Did you mean querier?"),
        (
            {"tempo_extra_config": {"storage": {"trace": {"block": {"version": "vParquet9"}}}}},
            "version: is 'vParquet9'",
        ),
        (
            {"tempo_extra_config": {"metrics_generator": {"storage": {"remote_write": [{"headers": {"a": "b"}}]}}}},
            r"tempo_extra_config.metrics_generator.storage.remote_write\[0\].url: is missing",
        ),
        (
            {
                "tempo_extra_config": {
                    "storage": {
                        "trace": {
                            "block": {
                                "parquet_dedicated_columns": [
                                    {"name": f"a{i}", "type": "string", "scope": "span"} for i in range(11)
                                ]
                            }
                        }
                    }
                }
            },
            "has 11 columns",
        ),
    ],
)
def test_bad_input_names_the_variable(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidVariables, match=message) as caught:
        tc.tempo_values(variables(**changes))
    assert len(caught.value.findings) == 1


TAGS: list[tuple[Any, tuple[int, int] | None, str]] = [
    # the tag, the version in it, what is found
    ("2.10.8", (2, 10), ""),
    ("v2.10.8", (2, 10), ""),
    ("2.10", (2, 10), ""),
    ("2.10.8-amd64", (2, 10), ""),
    ("2.7.2", (2, 7), "warning"),
    ("2.11.0", (2, 11), "warning"),
    ("1.5.0", (1, 5), "error"),
    ("3.0.0-rc.1", (3, 0), "error"),
    ("3.0.3", (3, 0), "error"),
    ("v3.1", (3, 1), "error"),
    ("3", (3, 0), "error"),
    ("10.1", (10, 1), "error"),
    ("latest", None, "error"),
    ("main-3.0", None, "error"),
    ("main-abc", None, "error"),
    ("maintenance", None, "warning"),
    ("3f4e5d6", None, "warning"),
    ("3-acme", None, "warning"),
    ("2026.11.28", None, "warning"),
    ("r312", None, "warning"),
]


@pytest.mark.parametrize(("tag", "version", "severity"), TAGS)
def test_tags_and_versions(tag: Any, version: tuple[int, int] | None, severity: str) -> None:
    assert tagged_version(tag) == version
    found = ts.findings(variables(tempo_image_tag=tag))
    assert [(one.variable, one.severity) for one in found] == ([("tempo_image_tag", severity)] if severity else [])
    if severity != "error":
        assert tc.tempo_config(variables(tempo_image_tag=tag)) == tc.tempo_config(variables())


@pytest.mark.parametrize(
    ("profile", "tag", "line", "severity"),
    [
        ("kafka", "3.0.3", "3.0", ""),
        ("kafka", "3.1.0", "3.0", "warning"),
        ("kafka", "3", "3.0", ""),
        ("kafka", "2.10.8", "3.0", "error"),
        ("kafka", "latest", "3.0", "warning"),
        ("kafka", "3f4e5d6", "3.0", "warning"),
        ("monolithic", "2.10.8", "2.10", ""),
        ("monolithic", "3.0.3", "3.0", ""),
        ("monolithic", "2.9.5", "2.10", "warning"),
        ("monolithic", "latest", "3.0", "warning"),
        ("monolithic", "3f4e5d6", "2.10", "warning"),
        ("monolithic", "1.5.0", "2.10", "error"),
    ],
)
def test_profile_and_tag_choose_the_line(profile: str, tag: str, line: str, severity: str) -> None:
    given = variables(**{**KAFKA, "tempo_profile": profile, "tempo_image_tag": tag})
    assert [one.severity for one in ts.findings(given)] == ([severity] if severity else [])
    if severity != "error":
        assert tc.tempo_values(given)["line"] == line


@pytest.mark.parametrize("tag", ["sha256:3.0", "", 3.0, None])
def test_what_is_not_a_tag_has_no_version(tag: Any) -> None:
    assert tagged_version(tag) is None


def test_a_rolling_tag_of_another_image_may_be_anything() -> None:
    mine = {"tempo_image_repository": "registry.example.com/platform/tempo", "tempo_image_tag": "latest"}
    assert [one.severity for one in ts.findings(variables(**mine))] == ["warning"]


def test_filter_turns_errors_into_ansibles() -> None:
    from ansible.errors import AnsibleFilterError

    tempo_values = FilterModule().filters()["tempo_values"]
    assert tempo_values(variables()) == tc.tempo_values(variables())
    with pytest.raises(AnsibleFilterError, match="tempo_s3_bucket: is empty"):
        tempo_values(variables(object_storage_bucket=""))
