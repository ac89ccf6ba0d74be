# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Destinations from variables. That the collector accepts and uses them is tests/unit/charts' matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.collector import exporters as ce
from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Place, errors
from ansible_collections.orion.tracing.plugins.module_utils.preflight import checks as preflight
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROLE = Path(__file__).resolve().parents[5] / "roles" / "collector"
REF = {"secret": "vendor", "key": "token"}


def variables(**changes: Any) -> dict[str, Any]:
    return {**role_defaults("collector"), "tracing_expected_traces_per_second": 100, **changes}


def sampler(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return collector_values(variables(collector_exporters=list(entries), **changes))[0]["sampler"]


def gateway(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    given = variables(collector_exporters=list(entries), collector_logs_enabled=True, **changes)
    return collector_values(given)[0]["gateway"]


def problems(*entries: Any, **changes: Any) -> dict[str, str]:
    """Place → what is wrong there and what to do."""
    made = ce.destinations(variables(collector_exporters=list(entries), **changes))
    return {str(one.place): f"{one.what}. {one.remedy}" for one in errors(made.findings)}


def http(**more: Any) -> dict[str, Any]:
    return {"name": "vendor", "protocol": "http", "endpoint": "https://otlp.example.com", **more}


def grpc(**more: Any) -> dict[str, Any]:
    return {"name": "vendor", "protocol": "grpc", "endpoint": "otlp.example.com:4317", **more}


def s3(**more: Any) -> dict[str, Any]:
    return {"name": "recordings", "protocol": "s3", "bucket": "orion-traces", "prefix": "recordings", **more}


def kafka(**more: Any) -> dict[str, Any]:
    return {"name": "bus", "protocol": "kafka", "brokers": ["kafka:9093"], "topic": "otlp_spans", **more}


# What is made


def test_tempo_comes_first_and_each_destination_has_a_queue_of_its_own():
    config = sampler(http(), grpc(name="second"))["config"]
    assert config["service"]["pipelines"]["traces"]["exporters"] == [
        "otlp_http/tempo", "otlp_http/vendor", "otlp_grpc/second",
    ]  # fmt: skip
    for exporter in config["exporters"].values():
        assert exporter["sending_queue"]["enabled"] is True
        # waiting for one destination would hold back the others
        assert "block_on_overflow" not in exporter["sending_queue"]
        assert "wait_for_result" not in exporter["sending_queue"]
        assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"


def test_without_tempo():
    config = sampler(http(), tracing_store="otlp")["config"]
    assert list(config["exporters"]) == ["otlp_http/vendor"]
    [(variable, message)] = problems(tracing_store="otlp").items()
    assert variable == "collector_exporters"
    assert "tracing_store is otlp" in message
    # all traces are not what the samplers keep
    assert "collector_exporters" in problems(s3(traces="all"), tracing_store="otlp")
    assert "Choose tempo or otlp" in problems(tracing_store="jaeger")["tracing_store"]


def test_secrets_are_files_or_environment_and_nowhere_else():
    built = sampler(
        http(
            headers={"x-api-key": {"secret": "vendor", "key": "api"}, "x-site": "eu $1"},
            auth={"basic": {"username": {"secret": "vendor", "key": "user"}, "password": REF}},
            tls={"ca": {"secret": "ca", "key": "ca.crt"}, "cert": {"secret": "mine", "key": "tls.crt"},
                 "key": {"secret": "mine", "key": "tls.key"}, "server_name": "otlp"},
            tenant="team-a",
        )
    )  # fmt: skip
    exporter = built["config"]["exporters"]["otlp_http/vendor"]
    assert exporter["headers"] == {
        "x-api-key": "${env:EXPORTER_VENDOR_HEADER_1}", "x-site": "eu $$1", "X-Scope-OrgID": "team-a",
    }  # fmt: skip
    assert exporter["auth"] == {"authenticator": "basicauth/vendor"}
    folder = "/var/run/secrets/otelcol"
    assert exporter["tls"] == {
        "ca_file": f"{folder}/vendor.ca", "cert_file": f"{folder}/vendor.cert", "key_file": f"{folder}/vendor.key",
        "reload_interval": "5m", "server_name_override": "otlp",
    }  # fmt: skip
    assert built["config"]["extensions"]["basicauth/vendor"] == {
        "client_auth": {"username_file": f"{folder}/vendor.username", "password_file": f"{folder}/vendor.password"}
    }
    assert "basicauth/vendor" in built["config"]["service"]["extensions"]
    assert built["secretEnv"] == [{"name": "EXPORTER_VENDOR_HEADER_1", "secret": "vendor", "key": "api"}]
    assert {item["path"]: (item["secret"], item["key"]) for item in built["secretFiles"]} == {
        "vendor.ca": ("ca", "ca.crt"), "vendor.cert": ("mine", "tls.crt"), "vendor.key": ("mine", "tls.key"),
        "vendor.username": ("vendor", "user"), "vendor.password": ("vendor", "token"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("auth", "extension", "settings"),
    [
        (
            {"bearer": {"token": REF, "scheme": "Api-Token"}},
            "bearertokenauth/vendor",
            {"filename": "/var/run/secrets/otelcol/vendor.token", "scheme": "Api-Token"},
        ),
        (
            {"oauth2": {"token_url": "https://idp.example.com/token", "client_id": "me", "client_secret": REF,
                        "scopes": ["traces"], "endpoint_params": {"audience": "otlp"}, "ca": REF}},
            "oauth2client/vendor",
            {"token_url": "https://idp.example.com/token", "client_id": "me", "timeout": "10s", "scopes": ["traces"],
             "client_secret_file": "/var/run/secrets/otelcol/vendor.client-secret",
             "endpoint_params": {"audience": ["otlp"]}, "tls": {"ca_file": "/var/run/secrets/otelcol/vendor.token-ca"}},
        ),
        (
            {"sigv4": {"region": "eu-west-1", "service": "xray", "role_arn": "arn:aws:iam::111122223333:role/x"}},
            "sigv4auth/vendor",
            {"region": "eu-west-1", "service": "xray", "assume_role": {"arn": "arn:aws:iam::111122223333:role/x"}},
        ),
    ],
    ids=["bearer", "oauth2", "sigv4"],
)  # fmt: skip
def test_authenticators(auth, extension, settings):
    config = sampler(http(auth=auth))["config"]
    assert config["extensions"][extension] == settings
    assert config["exporters"]["otlp_http/vendor"]["auth"] == {"authenticator": extension}


def test_plain_text_has_to_be_said():
    assert sampler(grpc(tls={"insecure": True}))["config"]["exporters"]["otlp_grpc/vendor"]["tls"] == {"insecure": True}
    assert "tls" not in sampler(grpc())["config"]["exporters"]["otlp_grpc/vendor"]
    plain = http(endpoint="http://jaeger.tracing.svc:4318")
    assert "plain text" in problems(plain)["collector_exporters[0].tls.insecure"]
    assert problems({**plain, "tls": {"insecure": "yes"}}) == {}
    assert "begins with https://" in problems(http(tls={"insecure": True}))["collector_exporters[0].tls.insecure"]
    # a client of Kafka without the section speaks plain text
    assert sampler(kafka())["config"]["exporters"]["kafka/bus"]["tls"] == {"insecure": False}
    assert "tls" not in sampler(kafka(tls={"insecure": True}))["config"]["exporters"]["kafka/bus"]


def test_kafka():
    auth = {"sasl": {"mechanism": "SCRAM-SHA-512", "username": "otel", "password": REF}}
    built = sampler(kafka(auth=auth, compression="zstd"))
    exporter = built["config"]["exporters"]["kafka/bus"]
    assert exporter["brokers"] == ["kafka:9093"]
    assert exporter["traces"] == {"topic": "otlp_spans"}
    assert exporter["auth"]["sasl"] == {
        "mechanism": "SCRAM-SHA-512", "username": "otel", "password": "${env:EXPORTER_BUS_SASL_PASSWORD}",
    }  # fmt: skip
    assert exporter["producer"] == {"compression": "zstd"}
    # a message is a batch, and brokers take a megabyte
    assert exporter["sending_queue"]["batch"]["max_size"] < 1_000_000


def test_recordings_of_a_share_of_all_traces():
    config = sampler(s3(traces="all", share="12.5", format="otlp_json"))["config"]
    exporter = config["exporters"]["awss3/recordings"]
    assert exporter["s3uploader"] == {
        "region": "us-east-1", "s3_bucket": "orion-traces", "s3_prefix": "recordings", "s3_partition_timezone": "UTC",
        "unique_key_func_name": "uuidv7", "compression": "gzip",
    }  # fmt: skip
    assert exporter["marshaler"] == "otlp_json"
    pipelines = config["service"]["pipelines"]
    assert pipelines["traces/in"]["exporters"] == ["forward"]
    assert pipelines["traces/sampled"]["exporters"] == ["otlp_http/tempo"]
    unsampled = pipelines["traces/unsampled-recordings"]
    assert unsampled["receivers"] == ["forward"]
    # batch last: it keeps the error of a full queue from the gateways
    assert unsampled["processors"] == ["probabilistic_sampler/recordings", "batch/recordings"]
    assert config["processors"]["probabilistic_sampler/recordings"]["sampling_percentage"] == 12.5
    assert config["processors"]["probabilistic_sampler/recordings"]["mode"] == "hash_seed"
    whole = sampler(s3(traces="all"))["config"]["service"]["pipelines"]["traces/unsampled-recordings"]
    assert whole["processors"] == ["batch/recordings"]


def test_unsampled_traces_beside_metrics():
    config = sampler(s3(traces="all"), collector_remote_write_url="https://mimir/api/v1/push")["config"]
    pipelines = config["service"]["pipelines"]
    assert pipelines["traces/in"]["exporters"] == ["forward", "span_metrics", "service_graph"]
    assert pipelines["traces/sampled"]["exporters"] == ["otlp_http/tempo", "span_metrics/sampled"]


def test_a_store_that_is_not_amazon_s_is_asked_by_path():
    entry = s3(endpoint="http://seaweedfs:8333", tls={"insecure": True}, credentials_secret="s3")
    built = sampler(entry)
    uploader = built["config"]["exporters"]["awss3/recordings"]["s3uploader"]
    assert uploader["endpoint"] == "http://seaweedfs:8333"
    assert uploader["s3_force_path_style"] is True
    assert built["secretEnv"] == [
        {"name": "AWS_ACCESS_KEY_ID", "secret": "s3", "key": "access_key"},
        {"name": "AWS_SECRET_ACCESS_KEY", "secret": "s3", "key": "secret_key"},
    ]


def test_xray_has_a_queue_though_its_exporter_has_none():
    """awsxray sends within the pipeline, so the samplers would wait for it."""
    config = sampler(collector_xray_enabled=True, tracing_region="eu-west-1")["config"]
    pipelines = config["service"]["pipelines"]
    assert pipelines["traces"]["exporters"] == ["otlp_http/tempo", "otlp_grpc/xray"]
    relay = pipelines["traces/relay-xray"]
    assert relay["exporters"] == ["awsxray/xray"]
    assert config["exporters"]["awsxray/xray"]["region"] == "eu-west-1"
    [receiver] = relay["receivers"]
    endpoint = config["receivers"][receiver]["protocols"]["grpc"]["endpoint"]
    assert endpoint == config["exporters"]["otlp_grpc/xray"]["endpoint"]
    assert endpoint.startswith("localhost:")


def test_remote_write():
    ref = {"secret": "mimir", "key": "token"}
    built = sampler(
        collector_remote_write_url="https://mimir.example.com/api/v1/push",
        collector_remote_write_auth={"bearer": {"token": ref}},
        collector_remote_write_headers={"x-extra": {"secret": "mimir", "key": "extra"}},
        collector_remote_write_tls={"ca": {"secret": "mimir", "key": "ca.crt"}},
        collector_remote_write_tenant="team-a",
    )
    exporter = built["config"]["exporters"]["prometheus_remote_write"]
    assert exporter["endpoint"] == "https://mimir.example.com/api/v1/push"
    assert exporter["auth"] == {"authenticator": "bearertokenauth/remote_write"}
    assert exporter["headers"] == {"x-extra": "${env:REMOTE_WRITE_HEADER_1}", "X-Scope-OrgID": "team-a"}
    assert exporter["tls"] == {"ca_file": "/var/run/secrets/otelcol/remote_write.ca"}
    amazon = sampler(
        collector_remote_write_url="https://aps-workspaces.us-east-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write",
        collector_remote_write_auth={"sigv4": {"region": "us-east-1"}},
    )
    assert amazon["config"]["extensions"]["sigv4auth/remote_write"] == {"region": "us-east-1", "service": "aps"}


def test_gateways_write_metrics_as_the_samplers_do():
    written = {
        "collector_remote_write_url": "https://mimir.example.com/api/v1/push",
        "collector_remote_write_auth": {"bearer": {"token": {"secret": "mimir", "key": "token"}}},
        "collector_remote_write_tenant": "team-a",
    }
    values = collector_values(variables(collector_metrics_enabled=True, **written))[0]
    config = values["gateway"]["config"]
    assert config["service"]["pipelines"]["metrics"] == {
        "receivers": ["otlp"], "processors": ["memory_limiter", "transform/metrics"],
        "exporters": ["prometheus_remote_write"],
    }  # fmt: skip
    exporter = config["exporters"]["prometheus_remote_write"]
    assert exporter == values["sampler"]["config"]["exporters"]["prometheus_remote_write"]
    assert exporter["auth"]["authenticator"] in config["service"]["extensions"]
    assert values["gateway"]["secretFiles"] == values["sampler"]["secretFiles"] != []
    # Without it, gateways refuse metrics and have none of the credentials.
    without = collector_values(variables(**written))[0]["gateway"]
    assert "metrics" not in without["config"]["service"]["pipelines"]
    assert "prometheus_remote_write" not in without["config"]["exporters"]
    assert without["secretEnv"] == without["secretFiles"] == []


def test_metrics_need_somewhere_to_go():
    found = problems(collector_metrics_enabled=True)
    assert "collector_remote_write_url is empty" in found["collector_metrics_enabled"]
    # What is wrong about the credentials is told once, though both tiers have them.
    wrong = {"collector_remote_write_url": "https://mimir.example.com", "collector_remote_write_auth": {"basic": {}}}
    with pytest.raises(InvalidInput) as caught:
        collector_values(variables(collector_metrics_enabled=True, **wrong))
    lines = str(caught.value).splitlines()
    assert len(lines) == len(set(lines)) and "collector_remote_write_auth.basic" in str(caught.value), lines
    with pytest.raises(InvalidInput, match="collector_metrics_enabled"):
        collector_values(variables(collector_metrics_enabled="perhaps"))


def test_memory_and_volume_are_divided_as_the_needs_are():
    whole = {"limits": {"memory": "2Gi"}}
    config = sampler(http(), s3(traces="all"), collector_sampler_resources=whole)["config"]
    sizes = {name: exporter["sending_queue"]["queue_size"] for name, exporter in config["exporters"].items()}
    # 25 % are kept, so all traces need four times the queue: 1 + 1 + 4 parts
    assert sizes == {"otlp_http/tempo": 43690, "otlp_http/vendor": 43690, "awss3/recordings": 174762}
    assert sum(sizes.values()) <= 2 * 2**30 // (8 * 1024)
    disk = sampler(http(), s3(traces="all"), collector_persistent_queue_enabled=True)
    storages = {n: s["max_size"] for n, s in disk["config"]["extensions"].items() if n.startswith("file_storage")}
    assert list(storages) == ["file_storage/tempo", "file_storage/vendor", "file_storage/recordings"]
    assert sum(storages.values()) <= 10 * 2**30 * 0.9
    assert storages["file_storage/recordings"] > 3 * storages["file_storage/tempo"]
    for name, exporter in disk["config"]["exporters"].items():
        assert exporter["sending_queue"]["storage"] == f"file_storage/{name.partition('/')[2]}"


def test_a_queue_in_memory_beside_others_on_disk():
    config = sampler(http(queue="memory"), collector_persistent_queue_enabled=True)["config"]
    assert "storage" not in config["exporters"]["otlp_http/vendor"]["sending_queue"]
    assert "storage" in config["exporters"]["otlp_http/tempo"]["sending_queue"]
    assert "file_storage/vendor" not in config["extensions"]


def test_queues_that_do_not_bridge_the_outage_are_told():
    given = variables(collector_exporters=[http()], tracing_expected_traces_per_second=1000)
    [warning] = collector_values(given)[1]
    assert "queues of 1500000 spans (tempo 750000, vendor 750000) on each of 3 samplers" in warning.what
    assert "longer than 0.9 minutes" in warning.why


def test_a_small_volume_cannot_hold_many_queues():
    changes = {"collector_persistent_queue_enabled": True, "collector_persistent_queue_volume_size": "256Mi"}
    with pytest.raises(InvalidInput, match="2 queues need 512Mi"):
        sampler(http(), **changes)


def test_files_of_a_small_share_can_be_compacted():
    """file_storage refuses a threshold above its max_size."""
    config = sampler(
        http(traces="all", share=0.1), s3(traces="all"), collector_persistent_queue_enabled=True,
        collector_persistent_queue_volume_size="768Mi",
    )["config"]  # fmt: skip
    storage = config["extensions"]["file_storage/vendor"]
    assert storage["compaction"]["rebound_needed_threshold_mib"] * 2**20 <= storage["max_size"] < 100 * 2**20


# What is wrong


@pytest.mark.parametrize(
    "header",
    ["Authorization", "api-key", "X-API-Key", "apikey", "x-auth-token", "token", "password", "Cookie", "dd-api-key",
     "x-honeycomb-team", "lightstep-access-token", "x_secret", "uptrace-dsn"],
)  # fmt: skip
def test_a_secret_in_clear_text_is_refused_and_not_repeated(header):
    [(variable, message)] = problems(http(headers={header: "s3cr3t-v4lue"})).items()
    assert variable == f"collector_exporters[0].headers.{header}"
    assert "plain text" in message
    assert "{secret: NAME, key: KEY}" in message
    assert "s3cr3t-v4lue" not in message


@pytest.mark.parametrize("header", ["x-scope", "x-author", "x-dataset", "x-site", "monkey-business"])
def test_other_headers_may_be_clear_text(header):
    assert problems(http(headers={header: "eu"})) == {}


def test_a_value_may_say_that_it_is_a_secret():
    [(variable, _message)] = problems(http(headers={"x-forwarded": "Bearer abc"})).items()
    assert variable == "collector_exporters[0].headers.x-forwarded"


@pytest.mark.parametrize(
    ("entry", "place", "text"),
    [
        ("vendor", "", "is not a mapping"),
        ({"name": "a"}, ".protocol", "Choose grpc, http, xray, s3, kafka"),
        (http(protocol="otlp"), ".protocol", "'otlp'"),
        (http(name="My Vendor"), ".name", "a-z, 0-9 and -"),
        (http(name=None), ".name", "is missing"),
        (http(name="tempo"), ".name", "is the name of collector_tempo_endpoint too"),
        (http(headres={}), ".headres", "Did you mean headers?"),
        (http(prefix="x"), ".prefix", "is not known here"),
        (http(headers=["a"]), ".headers", "is not a mapping"),
        (http(headers={"a b": "c"}), ".headers.a b", "is not a header's name"),
        (http(headers={"X-a": "c", "x-A": "d"}), ".headers.x-A", "twice"),
        (http(headers={"x-a": ""}), ".headers.x-a", "is not a string, or empty"),
        (http(headers={"x-a": {"secret": "s"}}), ".headers.x-a.key", "is missing"),
        (http(headers={"x-a": {"secret": "s", "key": "k", "name": "k"}}), ".headers.x-a.name", "is not known here"),
        (http(headers={"x-a": {"secret": "A_B", "key": "k"}}), ".headers.x-a.secret", "cannot be a Secret's name"),
        (http(headers={"X-Scope-OrgID": "a"}, tenant="b"), ".tenant", "X-Scope-OrgID"),
        (http(endpoint="https://otlp.example.com/v1/traces"), ".endpoint", "Write https://otlp.example.com, or name"),
        (http(endpoint="https://otlp.example.com:4317"), ".endpoint", "protocol: grpc"),
        (http(endpoint="otlp.example.com"), ".endpoint", "Write https://otlp.example.com"),
        (http(endpoint="ftp://otlp.example.com"), ".endpoint", "is not a URL"),
        (http(endpoint="https://otlp.example.com:99999"), ".endpoint", "is not a URL"),
        (http(endpoint="https://me:s3cr3t@otlp.example.com"), ".endpoint", "user name or password"),
        (http(traces_endpoint="https://otlp.example.com/x"), ".traces_endpoint", "Leave one of them out"),
        (grpc(endpoint="otlp.example.com:4318"), ".endpoint", "protocol: http"),
        (grpc(endpoint="https://otlp.example.com:4317"), ".endpoint", "Write otlp.example.com:4317"),
        (grpc(endpoint="otlp.example.com"), ".endpoint", "is not host:port"),
        (grpc(endpoint=None), ".endpoint", "is missing"),
        (grpc(traces_endpoint="https://otlp.example.com"), ".traces_endpoint", "is not known here"),
        (grpc(tls={"insecure": True, "ca": REF}), ".tls.insecure", "turns ca off"),
        (grpc(tls={"cert": REF}), ".tls.key", "Give both"),
        (grpc(tls={"ca": "-----BEGIN"}), ".tls.ca", "is not a reference to a Secret"),
        (grpc(tls={"cacert": REF}), ".tls.cacert", "Did you mean"),
        (grpc(auth={"sigv4": {"region": "a", "service": "b"}}), ".auth", "protocol grpc does not support"),
        (grpc(auth={"bearer": {"token": REF}}, tls={"insecure": True}), ".auth", "plain text with gRPC"),
        (http(auth={"bearer": {"token": "s3cr3t"}}), ".auth.bearer.token", "secrets are never read from variables"),
        (http(auth={"bearer": {}}), ".auth.bearer.token", "is missing"),
        (http(auth={"bearer": {"token": REF}, "basic": {}}), ".auth", "2 ways to authenticate"),
        (http(auth={}), ".auth", "0 ways to authenticate"),
        (http(auth={"sasl": {}}), ".auth", "is sasl, which protocol http does not support"),
        (http(auth={"basic": {"username": "a", "password": REF}}, headers={"authorization": REF}), ".auth", "header"),
        (http(auth={"oauth2": {"token_url": "idp", "client_id": "a", "client_secret": REF}}), ".auth.oauth2.token_url",
         "has no scheme"),
        (http(auth={"sigv4": {"region": "a"}}), ".auth.sigv4.service", "Name the service"),
        (http(compression="gzipp"), ".compression", "Did you mean gzip?"),
        (http(timeout="soon"), ".timeout", "not a Go duration"),
        (http(timeout="0s"), ".timeout", "not longer than zero"),
        (http(traces="every"), ".traces", "Choose kept, all"),
        (http(share=10), ".share", "traces: all"),
        (http(traces="all", share=0), ".share", "from 0.01 to 100"),
        (http(queue="disk"), ".queue", "collector_persistent_queue_enabled"),
        (s3(bucket=None), ".bucket", "object_storage_bucket is empty"),
        (s3(bucket="Not_A_Bucket"), ".bucket", "cannot be a bucket"),
        (s3(prefix=None), ".prefix", "is missing"),
        (s3(compression="zstd"), ".compression", "Choose gzip, none"),
        (s3(format="json"), ".format", "Did you mean otlp_json?"),
        (s3(expiration_days=1.5), ".expiration_days", "whole number"),
        (s3(auth={"basic": {}}), ".auth", "is not known here"),
        (s3(endpoint="http://seaweedfs:8333"), ".tls.insecure", "plain text"),
        (kafka(brokers=[]), ".brokers", "host:port"),
        (kafka(brokers=["kafka://a:9092"]), ".brokers", "without a scheme"),
        (kafka(topic=None), ".topic", "Name the topic"),
        (kafka(auth={"bearer": {"token": REF}}), ".auth", "is bearer, which protocol kafka does not support"),
        ({"name": "x", "protocol": "xray", "headers": {}}, ".headers", "is not known here"),
    ],
)  # fmt: skip
def test_wrong_entries_are_named_once_with_a_remedy(entry, place, text):
    found = problems(entry)
    assert list(found) == [f"collector_exporters[0]{place}"], found
    assert text in found[f"collector_exporters[0]{place}"]
    assert "s3cr3t" not in str(found)


def test_a_region_is_needed():
    entries = [s3(), {"name": "x", "protocol": "xray"}]
    found = problems(*entries, tracing_region="")
    assert list(found) == ["collector_exporters[0].region", "collector_exporters[1].region"]


def test_two_of_one_name():
    found = problems(http(), grpc())
    assert list(found) == ["collector_exporters[1].name"]
    assert "collector_exporters[0]" in found["collector_exporters[1].name"]
    assert "collector_xray_enabled" in problems({"name": "xray", "protocol": "xray"}, collector_xray_enabled=True)


def test_a_private_authority_of_an_s3_store():
    authority = {"ca": {"secret": "store", "key": "ca.crt"}}
    built = sampler(s3(endpoint="https://store:8333", tls=authority), s3(name="more", prefix="more", tls=authority))
    assert built["secretFiles"] == [{"path": "aws-ca-bundle.crt", "secret": "store", "key": "ca.crt"}]
    other = s3(name="more", prefix="more", tls={"ca": {"secret": "other", "key": "ca.crt"}})
    assert list(problems(s3(tls=authority), other)) == ["collector_exporters[1].tls.ca"]
    plain = s3(endpoint="http://store:8333", tls={**authority, "insecure": True})
    assert list(problems(plain)) == ["collector_exporters[0].tls.ca"]


def test_one_identity_at_aws():
    entries = [s3(credentials_secret="s3"), {"name": "x", "protocol": "xray"}]
    found = problems(*entries)
    assert list(found) == ["collector_exporters[1].credentials_secret"]
    assert "one AWS identity" in found["collector_exporters[1].credentials_secret"]


@pytest.mark.parametrize(
    ("prefix", "tempo"),
    [("traces/recordings", "traces"), ("traces", "traces/tempo"), ("traces", "traces/"), ("single-tenant/r", "")],
)
def test_recordings_and_tempo_s_blocks_are_beside_each_other(prefix, tempo):
    found = problems(s3(prefix=prefix), object_storage_bucket="orion-traces", tempo_s3_prefix=tempo)
    assert list(found) == ["collector_exporters[0].prefix"]
    elsewhere = s3(prefix=prefix, bucket="orion-recordings")
    assert problems(elsewhere, object_storage_bucket="orion-traces", tempo_s3_prefix=tempo) == {}
    assert problems(s3(), object_storage_bucket="orion-traces", tempo_s3_prefix="tempo") == {}


def test_a_folder_at_the_root_of_tempo_s_bucket_is_told():
    given = variables(collector_exporters=[s3()], tempo_s3_bucket="orion-traces", tempo_s3_prefix="")
    [warning] = collector_values(given)[1]
    assert "for a tenant" in warning.why


def test_remote_write_settings_need_its_url():
    found = problems(collector_remote_write_auth={"bearer": {"token": REF}})
    assert list(found) == ["collector_remote_write_auth"]
    url = {"collector_remote_write_url": "http://prometheus:9090/api/v1/write"}
    assert list(problems(collector_remote_write_tls={"ca": REF}, **url)) == ["collector_remote_write_tls"]
    assert list(problems(collector_remote_write_headers={"x-api-key": "a"}, **url)) == [
        "collector_remote_write_headers.x-api-key"
    ]
    assert problems(collector_remote_write_tenant="a", **url) == {}


def test_tempo_s_own_port_is_checked():
    assert list(problems(collector_tempo_endpoint="http://tempo:4317")) == ["collector_tempo_endpoint"]


def test_everything_at_once_before_anything_else():
    with pytest.raises(InvalidInput) as caught:
        sampler(http(name="a b", endpoint="x"), grpc(auth={}), collector_num_traces=0)
    for text in ("[0].name", "[0].endpoint", "[1].auth", "collector_num_traces"):
        assert text in str(caught.value)


# Logs, which the gateways send


def victorialogs(**more: Any) -> dict[str, Any]:
    return {"name": "logs", "protocol": "http", "traces": "none", "logs": True,
            "logs_endpoint": "https://logs.example.com/insert/opentelemetry/v1/logs", **more}  # fmt: skip


def test_without_logs_gateways_have_neither_pipeline_nor_secrets():
    given = variables(collector_exporters=[http(logs=True, headers={"api-key": REF})])
    built, warnings = collector_values(given)
    assert list(built["gateway"]["config"]["service"]["pipelines"]) == ["traces"]
    assert "batch/logs" not in built["gateway"]["config"]["processors"]
    [warning] = warnings
    assert str(warning.place) == "collector_exporters[0].logs"
    assert "collector_logs_enabled is false" in warning.what


def test_logs_get_the_resource_attributes_of_traces_and_a_queue_for_each_store():
    built = gateway(victorialogs(), grpc(logs="yes", timeout="3s"), collector_head_sampling_percentage=50)
    config = built["config"]
    logs, traces = (config["service"]["pipelines"][name] for name in ("logs", "traces"))
    assert logs["receivers"] == ["otlp"]
    assert logs["processors"] == [
        "memory_limiter", "k8s_attributes", "resource", "resource_detection", "batch/logs",
    ]  # fmt: skip
    # what is for spans alone
    assert set(traces["processors"]) - set(logs["processors"]) == {"probabilistic_sampler", "attributes"}
    assert logs["exporters"] == ["otlp_http/logs", "otlp_grpc/vendor"]
    assert traces["exporters"] == ["load_balancing"]
    exporter = config["exporters"]["otlp_http/logs"]
    assert exporter["logs_endpoint"].endswith("/v1/logs") and "endpoint" not in exporter
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert "block_on_overflow" not in exporter["sending_queue"]
    assert config["exporters"]["otlp_grpc/vendor"]["timeout"] == "3s"


def test_traces_and_logs_share_the_gateways_memory():
    sizes = {"collector_gateway_resources": {"limits": {"memory": "256Mi"}}}

    def queues(*entries: dict[str, Any]) -> dict[str, int]:
        exporters = gateway(*entries, **sizes)["config"]["exporters"]
        return {name: one["sending_queue"]["queue_size"] for name, one in exporters.items()}

    assert queues(victorialogs()) == {"load_balancing": 16384, "otlp_http/logs": 16384}
    assert queues(victorialogs(), http(logs=True)) == {
        "load_balancing": 16384, "otlp_http/logs": 8192, "otlp_http/vendor": 8192,
    }  # fmt: skip
    sizes["collector_gateway_resources"]["limits"]["memory"] = "8Mi"
    assert queues(victorialogs()) == {"load_balancing": 2000, "otlp_http/logs": 1000}


def test_each_tier_has_the_secrets_of_what_it_sends():
    token, key = {"secret": "vendor", "key": "token"}, {"secret": "logs", "key": "api-key"}
    both = http(logs=True, auth={"bearer": {"token": token}})
    given = variables(collector_exporters=[both, victorialogs(headers={"api-key": key})], collector_logs_enabled=True)
    built = collector_values(given)[0]
    vendor = {"path": "vendor.token", **token}
    assert built["sampler"]["secretFiles"] == built["gateway"]["secretFiles"] == [vendor]
    assert built["sampler"]["secretEnv"] == []
    assert built["gateway"]["secretEnv"] == [{"name": "EXPORTER_LOGS_HEADER_1", **key}]
    for tier in ("gateway", "sampler"):
        config = built[tier]["config"]
        assert config["exporters"]["otlp_http/vendor"]["auth"] == {"authenticator": "bearertokenauth/vendor"}
        assert "bearertokenauth/vendor" in config["service"]["extensions"]
    assert "otlp_http/logs" not in built["sampler"]["config"]["exporters"]
    # and the preflight looks for both
    assert set(preflight.secret_references(given)) == {"vendor", "logs"}


@pytest.mark.parametrize(
    ("entry", "traces", "logs"),
    [
        (http(logs=True), "endpoint", "endpoint"),
        (http(logs=True, logs_endpoint="https://x/l"), "endpoint", "logs_endpoint"),
        (http(logs=True, traces_endpoint="https://x/t"), "traces_endpoint", "endpoint"),
        (http(logs=True, endpoint=None, traces_endpoint="https://x/t", logs_endpoint="https://x/l"),
         "traces_endpoint", "logs_endpoint"),
        (http(logs=True, traces="none"), None, "endpoint"),
        (http(logs=True, traces="none", endpoint=None, logs_endpoint="https://x/l"), None, "logs_endpoint"),
    ],
)  # fmt: skip
def test_each_signal_has_its_url(entry, traces, logs):
    given = variables(collector_exporters=[entry], collector_logs_enabled=True)
    built = collector_values(given)[0]

    def key(tier: str) -> str | None:
        exporter = built[tier]["config"]["exporters"].get("otlp_http/vendor", {})
        return next((one for one in exporter if one.endswith("endpoint")), None)

    assert (key("sampler"), key("gateway")) == (traces, logs)


@pytest.mark.parametrize(
    ("entry", "place", "text"),
    [
        (s3(logs=True), "logs", "which protocol s3 does not support. Use protocol grpc or http for logs"),
        (kafka(logs=True, traces="none"), "logs", "protocol kafka does not support"),
        (http(traces="none"), "traces", "nothing is sent there. Set logs: true"),
        (http(logs="perhaps"), "logs", "neither true nor false"),
        (http(logs_endpoint="https://x/l"), "logs_endpoint", "not for logs. Set logs: true"),
        (http(logs=True, traces="none", traces_endpoint="https://x/t"), "traces_endpoint", "not for traces. Leave it"),
        (http(logs=True, traces="none", logs_endpoint="https://x/l"), "logs_endpoint", "beside endpoint"),
        (
            http(logs=True, traces_endpoint="https://x/t", logs_endpoint="https://x/l"),
            "logs_endpoint",
            "beside endpoint",
        ),
        (http(logs=True, endpoint=None, traces_endpoint="https://x/t"), "logs_endpoint", "is missing"),
        (http(logs=True, endpoint="https://x/v1/logs"), "endpoint", "Write https://x, or name the whole URL in logs_"),
        (grpc(logs=True, logs_endpoint="https://x/l"), "logs_endpoint", "is not known here"),
        (victorialogs(queue="disk"), "queue", "logs wait in the gateways' memory"),
        (victorialogs(share=10), "share", "traces is none"),
        (victorialogs(logs_endpoint="http://x/l"), "tls.insecure", "plain text"),
        (victorialogs(headers={"api-key": "s3cr3t"}), "headers.api-key", "given in plain text"),
    ],
)
def test_what_is_wrong_about_logs(entry, place, text):
    found = problems(entry, collector_logs_enabled=True)
    assert f"collector_exporters[0].{place}" in found
    assert text in found[f"collector_exporters[0].{place}"]
    assert "s3cr3t" not in str(found)


def test_what_is_wrong_for_both_signals_is_told_once():
    given = variables(collector_exporters=[http(logs=True, endpoint="otlp.example.com")], collector_logs_enabled=True)
    with pytest.raises(InvalidInput) as caught:
        collector_values(given)
    assert str(caught.value).count("has no scheme") == 1


def test_logs_need_somewhere_to_go():
    found = problems(http(), collector_logs_enabled=True)
    assert "no entry of collector_exporters has logs: true" in found["collector_logs_enabled"]
    assert "collector_logs_enabled" in problems(collector_logs_enabled="yes")
    assert problems(http(), collector_logs_enabled=False) == {}


def test_a_store_of_logs_alone_is_not_one_of_traces():
    assert "collector_exporters" in problems(victorialogs(), tracing_store="otlp", collector_logs_enabled=True)
    assert "otlp_http/logs" not in sampler(victorialogs(), collector_logs_enabled=True)["config"]["exporters"]
    again = problems(victorialogs(), http(name="logs"), collector_logs_enabled=True)
    assert "is the name of" in next(iter(again.values()))


def test_gateways_have_one_identity_at_aws_too():
    def signed(name: str, secret: str) -> dict[str, Any]:
        sigv4 = {"region": "eu-west-1", "service": "osis", "credentials_secret": secret}
        return victorialogs(name=name, auth={"sigv4": sigv4})

    built = gateway(signed("a", "aws"), signed("b", "aws"))
    assert [one["name"] for one in built["secretEnv"]] == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    found = problems(signed("a", "aws"), signed("b", "other"), collector_logs_enabled=True)
    assert "one AWS identity" in found["collector_exporters[1].auth.sigv4.credentials_secret"]
    # The samplers' is another one.
    xray = {"name": "x", "protocol": "xray", "credentials_secret": "third"}
    assert problems(xray, signed("a", "aws"), collector_logs_enabled=True) == {}


# What the preflight makes of it


def test_the_preflight_names_the_place_and_the_remedy_once():
    given = variables(collector_exporters=[http(headers={"api-key": "s3cr3t"})], tracing_namespace="tracing")
    errors = [str(one) for one in preflight.check(given, preflight.Facts()) if one.severity == "error"]
    [message] = [one for one in errors if "collector_exporters" in one]
    assert message.startswith("collector_exporters[0].headers.api-key: is given in plain text")
    assert "s3cr3t" not in str(errors)


def test_the_preflight_looks_for_secrets_and_their_keys():
    given = variables(
        collector_exporters=[http(auth={"bearer": {"token": REF}}, headers={"x-a": {"secret": "gone", "key": "k"}})]
    )
    assert preflight.secret_references(given) == {
        "gone": [(Place("collector_exporters", "[0].headers.x-a"), "k")],
        "vendor": [(Place("collector_exporters", "[0].auth.bearer.token"), "token")],
    }
    facts = preflight.Facts(secrets={"vendor": ["tokne"], "gone": None})
    found = {str(one.place): f"{one.what} {one.remedy}" for one in preflight.secrets(given, facts)}
    assert "lacks token" in found["collector_exporters[0].auth.bearer.token"]
    assert "tokne" in found["collector_exporters[0].auth.bearer.token"]
    assert "create secret generic gone --from-file=k=" in found["collector_exporters[0].headers.x-a"]


def test_the_preflight_says_nothing_about_variables_that_are_not_there():
    assert preflight.check({"tracing_namespace": "tracing"}, preflight.Facts()) == []


@pytest.mark.parametrize(
    ("changes", "uploader"),
    [
        ({}, {}),
        (
            {"object_storage_endpoint_url": "https://store:9000"},
            {"endpoint": "https://store:9000", "s3_force_path_style": True},
        ),
        (
            {"object_storage_endpoint_url": "https://store:9000", "object_storage_addressing_style": "virtual"},
            {"endpoint": "https://store:9000", "s3_force_path_style": False},
        ),
        ({"object_storage_endpoint_url": "https://store:9000", "object_storage_bucket": "another"}, {}),
        ({"object_storage_endpoint_url": "https://s3.eu-west-1.amazonaws.com"}, {}),
    ],
)
def test_a_recording_in_the_bucket_of_the_role_uses_its_store(
    changes: dict[str, Any], uploader: dict[str, Any]
) -> None:
    exporters = sampler(s3(), **{"object_storage_bucket": "orion-traces", **changes})["config"]["exporters"]
    made = exporters["awss3/recordings"]["s3uploader"]
    assert {key: made[key] for key in ("endpoint", "s3_force_path_style") if key in made} == uploader


def test_a_store_that_pods_cannot_reach() -> None:
    here = {"object_storage_bucket": "orion-traces", "object_storage_endpoint_url": "https://127.0.0.1:9000"}
    found = problems(s3(), **here)
    assert "is a loopback address" in found["collector_exporters[0].endpoint"]
    assert problems(s3(endpoint="https://store:9000"), **here) == {}
