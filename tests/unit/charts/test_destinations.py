# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/destinations.md with the real collector: every recipe starts, and what can be had as a server gets traces or
logs."""

from __future__ import annotations

import base64
import copy
import datetime
import gzip
import ipaddress
import json
import os
import re
import ssl
import subprocess
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector.edges import references
from ansible_collections.orion.tracing.plugins.module_utils.proof.periodic import ProbeResult
from ansible_collections.orion.tracing.plugins.module_utils.proof.periodic import metrics as probe_metrics
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.simulated_aws import simulated_aws
from ansible_collections.orion.tracing.tests.unit.charts.live_sampler import (
    Gateway,
    Receiver,
    Request,
    Sampler,
    failed_request,
    program,
    until,
)
from ansible_collections.orion.tracing.tests.unit.charts.live_victorialogs import started
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PAGE = Path(__file__).resolve().parents[3] / "docs" / "destinations.md"
TRACE = "0af7651916cd43dd8448eb211c80319c"
KEYS = {"access_key": "AKIDEXAMPLE", "secret_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
AWS = {"AWS_ACCESS_KEY_ID": KEYS["access_key"], "AWS_SECRET_ACCESS_KEY": KEYS["secret_key"]}


def recipes() -> dict[str, dict[str, Any]]:
    """The YAML blocks of the page by their headings; the second below one heading is called "… (2)"."""
    found: dict[str, dict[str, Any]] = {}
    heading = ""
    for part in re.finditer(r"^### ([^\n]+)$|^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        if part[1]:
            heading = part[1]
        else:
            found[f"{heading} (2)" if heading in found else heading] = yaml.safe_load(part[2])
    return found


RECIPES = recipes()
SENT = {
    "Grafana Cloud", "A vendor with an API key", "A vendor with an API key (2)", "Jaeger", "AWS X-Ray",
    "A central Tempo with multi-tenancy, behind a gateway", "Recordings in a bucket",
    "Metrics: Amazon Managed Service for Prometheus", "Metrics: Mimir or Grafana Cloud",
    "Logs: VictoriaLogs", "Logs: Loki", "Logs: any OTLP store",
}  # fmt: skip


def entry(name: str, **changes: Any) -> dict[str, Any]:
    """A recipe's variables, its one destination changed: None takes a key out."""
    variables = copy.deepcopy(RECIPES[name])
    [one] = variables["collector_exporters"]
    one |= changes
    variables["collector_exporters"] = [{key: value for key, value in one.items() if value is not None}]
    return {"tracing_store": "otlp", **variables}


Launch = Callable[..., Sampler]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """A collector of the variables with these Secrets, started: a sampler, or of another kind."""
    made: list[Sampler] = []

    def start(
        variables: dict[str, Any],
        secrets: dict[str, dict[str, str]] | None = None,
        kind: type[Sampler] = Sampler,
        **env: str,
    ) -> Sampler:
        folder = tmp_path / f"{kind.tier}-{len(made)}"
        folder.mkdir()
        sampler = kind(program("ORION_OTELCOL", "otelcol"), folder, variables, secrets)
        sampler.environment |= env
        made.append(sampler)
        sampler.start()
        return sampler

    yield start
    for sampler in made:
        sampler.end()


@pytest.fixture
def receiver() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def start(**options: Any) -> Receiver:
        made.append(Receiver(**options).start())
        return made[-1]

    yield start
    for one in made:
        one.end()


def certificate(folder: Path, name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None):
    """A certificate for 127.0.0.1 and its key, signed by the issuer or, as an authority, by itself; also as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]),
            critical=False,
        )
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    (folder / f"{name}.crt").write_text(pem)
    (folder / f"{name}.key").write_text(private)
    return (made, key), pem, private


def kept(sampler: Sampler, receiver: Receiver) -> Request:
    """Send one trace that is kept; the request in which it arrived."""
    sampler.send(failed_request(TRACE))
    until(lambda: receiver.arrived([TRACE])[TRACE], "the trace")
    assert receiver.arrived([TRACE]) == {TRACE: 1}
    return receiver.requests[-1]


# Every recipe


def test_the_page_says_of_each_recipe_what_was_done():
    assert set(RECIPES) == {*SENT, "Kafka", "Logs: OpenSearch"}


@pytest.mark.parametrize("kind", [Sampler, Gateway])
@pytest.mark.parametrize("name", RECIPES)
def test_recipes_start(launch: Launch, tmp_path: Path, name: str, kind: type[Sampler]) -> None:
    variables = {**role_defaults("collector"), **RECIPES[name]}
    _authority, pem, key = certificate(tmp_path, "any")
    secrets: dict[str, dict[str, str]] = {}
    for one in references(variables):
        value = {"ca.crt": pem, "tls.crt": pem, "tls.key": key}.get(one.key, "v4lue")
        secrets.setdefault(one.secret, {})[one.key] = value
    sampler = launch(RECIPES[name], secrets, kind, **AWS)
    done = subprocess.run(
        [sampler.otelcol, "validate", f"--config={sampler.folder / 'sampler.yaml'}"],
        env=sampler.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in (done.stderr + done.stdout + sampler.log()).lower()
    assert "v4lue" not in (sampler.folder / "sampler.yaml").read_text()


# OTLP


def test_grafana_cloud(launch: Launch, receiver: Callable[..., Receiver]) -> None:
    server = receiver()
    variables = entry("Grafana Cloud", endpoint=f"{server.url}/otlp", tls={"insecure": True})
    sampler = launch(variables, {"grafana-cloud": {"instance-id": "123456", "token": "glc_to$$ken\n"}})
    request = kept(sampler, server)
    assert request.path == "/otlp/v1/traces"
    # as it is in the Secret, the line's end that editors leave excepted
    assert request.headers["Authorization"] == f"Basic {base64.b64encode(b'123456:glc_to$$ken').decode()}"


def test_a_vendor_with_an_api_key(launch: Launch, receiver: Callable[..., Receiver]) -> None:
    server = receiver()
    variables = entry(
        "A vendor with an API key", endpoint=server.url, compression="gzip", tls={"insecure": True},
    )  # fmt: skip
    # like YAML, and with a dollar
    sampler = launch(variables, {"vendor": {"api-key": "[key: $1"}})
    request = kept(sampler, server)
    assert request.path == "/v1/traces"
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers["api-key"] == "[key: $1"
    assert headers["x-dataset"] == "production"


def test_oauth2_client_credentials(launch: Launch, receiver: Callable[..., Receiver]) -> None:
    def token(request: Request) -> tuple[int, bytes]:
        form = urllib.parse.parse_qs(request.body.decode())
        known = request.headers.get("Authorization") == f"Basic {base64.b64encode(b'orion-tracing:s3cr3t').decode()}"
        if not known or form["grant_type"] != ["client_credentials"] or form["audience"] != ["otlp"]:
            return 401, b'{"error": "invalid_client"}'
        return 200, b'{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}'

    identity = receiver(answer=token)
    server = receiver(answer=lambda one: (200 if one.headers.get("Authorization") == "Bearer t0ken" else 401, b""))
    variables = entry(
        "A vendor with an API key (2)", traces_endpoint=f"{server.url}/v2/trace/otlp", tls={"insecure": True}
    )
    variables["collector_exporters"][0]["auth"]["oauth2"]["token_url"] = f"{identity.url}/oauth/token"
    sampler = launch(variables, {"vendor": {"client-secret": "s3cr3t"}})
    request = kept(sampler, server)
    assert request.path == "/v2/trace/otlp"
    assert request.headers["Authorization"] == "Bearer t0ken"


def test_a_central_tempo(launch: Launch, receiver: Callable[..., Receiver], tmp_path: Path) -> None:
    authority, ca, _key = certificate(tmp_path, "authority")
    certificate(tmp_path, "server", authority)
    _mine, mine, key = certificate(tmp_path, "orion-tracing", authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    context.load_verify_locations(tmp_path / "authority.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    server = receiver(tls=context)
    secret = {"token": "first", "ca.crt": ca, "tls.crt": mine, "tls.key": key}
    variables = entry("A central Tempo with multi-tenancy, behind a gateway", endpoint=server.url)
    sampler = launch(variables, {"central-tempo": secret})
    request = kept(sampler, server)
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert request.peer == "orion-tracing"
    assert headers["x-scope-orgid"] == "team-payments"
    assert headers["authorization"] == "Bearer first"

    # The Secret changes, and kubelet exchanges the volume's content.
    sampler.mount({**sampler.files, "central.token": "second"})
    until(lambda: "refresh token" in sampler.log(), "the new token")
    sampler.send(failed_request("1" * 32))
    until(lambda: server.arrived(["1" * 32])["1" * 32], "the second trace")
    assert server.requests[-1].headers["Authorization"] == "Bearer second"


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_jaeger(launch: Launch, tmp_path: Path, secure: bool) -> None:
    grpc, query, health = free_ports(3)
    authority, ca, _key = certificate(tmp_path, "authority")
    certificate(tmp_path, "server", authority)
    _mine, mine, key = certificate(tmp_path, "client", authority)
    tls = {
        "cert_file": str(tmp_path / "server.crt"), "key_file": str(tmp_path / "server.key"),
        "client_ca_file": str(tmp_path / "authority.crt"),
    }  # fmt: skip
    config = {
        "extensions": {
            "jaeger_storage": {"backends": {"store": {"memory": {"max_traces": 1000}}}},
            "jaeger_query": {
                "storage": {"traces": "store"}, "http": {"endpoint": f"127.0.0.1:{query}"},
                "grpc": {"endpoint": "127.0.0.1:0"},
            },
            "healthcheckv2": {"use_v2": True, "http": {"endpoint": f"127.0.0.1:{health}"}},
        },
        "receivers": {
            "otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{grpc}", **({"tls": tls} if secure else {})}}}
        },
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "store"}},
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }  # fmt: skip
    (tmp_path / "jaeger.yaml").write_text(yaml.safe_dump(config))
    changes: dict[str, Any] = {"endpoint": f"127.0.0.1:{grpc}"}
    if secure:
        changes["tls"] = {name: {"secret": "jaeger", "key": name} for name in ("ca", "cert", "key")}
    with (tmp_path / "jaeger.log").open("wb") as log:
        argv = [program("ORION_JAEGER", "jaeger"), f"--config={tmp_path / 'jaeger.yaml'}"]
        process = subprocess.Popen(argv, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
    try:
        sampler = launch(entry("Jaeger", **changes), {"jaeger": {"ca": ca, "cert": mine, "key": key}})
        sampler.send(failed_request(TRACE))

        def stored() -> Any:
            assert process.poll() is None, (tmp_path / "jaeger.log").read_text()[-3000:]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{query}/api/v3/traces/{TRACE}", timeout=5) as answer:
                    return json.load(answer)
            except OSError:
                return None

        until(stored, "the trace in Jaeger")
        assert '"name": "pay"' in json.dumps(stored())
    finally:
        process.kill()
        process.wait(30)


# One that is away


def many(traces: list[str]) -> dict[str, Any]:
    """One request of a kept span for each trace."""
    return {"resourceSpans": [one for trace in traces for one in failed_request(trace)["resourceSpans"]]}


@pytest.mark.parametrize("traces", ["kept", "all"])
@pytest.mark.parametrize("disk", [False, True], ids=["memory", "disk"])
def test_one_that_is_away_holds_nobody_back(
    launch: Launch, receiver: Callable[..., Receiver], traces: str, disk: bool
) -> None:
    """Not even when its queue is full: no request is refused, and the others get each trace, and once."""
    tempo, away = receiver(), Receiver()
    sampler = launch({
        "collector_tempo_endpoint": tempo.url,
        "collector_exporters": [
            {"name": "away", "protocol": "http", "endpoint": away.url, "tls": {"insecure": True}, "traces": traces}
        ],
        # the smallest queues there are
        "collector_sampler_resources": {"limits": {"memory": "16Mi"}},
        "tracing_expected_traces_per_second": 0.1,
        "collector_persistent_queue_enabled": disk,
    })  # fmt: skip
    size = sampler.config["exporters"]["otlp_http/away"]["sending_queue"]["queue_size"]
    sent = [uuid.uuid4().hex for _number in range(3 * (size // 2))]
    # In parts that the other's queue can hold until its next batch.
    for first in range(0, len(sent), size // 2):
        part = sent[first : first + size // 2]
        sampler.send(many(part))
        until(lambda part=part: all(tempo.arrived(part).values()), "the traces at the other destination")
    assert tempo.arrived(sent) == dict.fromkeys(sent, 1)
    refused = sampler.value("exporter_enqueue_failed_spans", exporter="otlp_http/away")
    assert refused is not None
    assert refused >= len(sent) - size
    assert not sampler.value("exporter_enqueue_failed_spans", exporter="otlp_http/tempo")
    away.start()
    try:
        until(lambda: sampler.value("exporter_queue_size", exporter="otlp_http/away") == 0, "the end of the queue")
        assert sum(away.arrived(sent).values()) == len(sent) - refused
    finally:
        away.end()


# Logs


def record(trace_id: str, message: str = "order placed") -> dict[str, Any]:
    return {
        "timeUnixNano": str(time.time_ns()), "severityNumber": 9, "severityText": "INFO",
        "body": {"stringValue": message}, "traceId": trace_id, "spanId": trace_id[16:],
    }  # fmt: skip


def logs(*records: dict[str, Any]) -> dict[str, Any]:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": list(records)}]}]}


def times(server: Receiver, trace_id: str) -> int:
    """How often a record of the trace arrived. A request's body is protobuf, where ids are bytes."""
    return sum(request.body.count(bytes.fromhex(trace_id)) for request in server.requests)


def test_victorialogs_finds_records_by_trace_and_span(launch: Launch, tmp_path: Path) -> None:
    with started(tmp_path) as store:
        url = f"{store.url}/insert/opentelemetry/v1/logs"
        gateway = launch(entry("Logs: VictoriaLogs", logs_endpoint=url) | {"tracing_store": "tempo"}, kind=Gateway)
        gateway.send(logs(record(TRACE), record("1" * 32, "another")), "logs")
        until(lambda: store.reader.records(TRACE), "the record")
        [found] = store.reader.records(TRACE, TRACE[16:])
        assert found["_msg"] == "order placed"
        # set by the application, and by the gateway
        assert (found["service.name"], found["deployment.environment.name"]) == ("shop", "production")
        assert found["_stream"] == '{service.name="shop"}', "k8s.* are those of pods, of which there are none here"
        assert found["severity_text"].upper() == "INFO"
        assert store.reader.records(TRACE, "1" * 16) == []


def test_loki(launch: Launch, receiver: Callable[..., Receiver]) -> None:
    server = receiver()
    variables = entry("Logs: Loki", endpoint=f"{server.url}/otlp", tls={"insecure": True})
    gateway = launch(variables | {"tracing_store": "tempo"}, {"loki": {"token": "t0ken"}}, Gateway)
    gateway.send(logs(record(TRACE)), "logs")
    until(lambda: times(server, TRACE), "the record")
    [request] = server.requests
    assert request.path == "/otlp/v1/logs"
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert (headers["x-scope-orgid"], headers["authorization"]) == ("team-payments", "Bearer t0ken")


def test_any_otlp_store_gets_traces_and_logs(launch: Launch, receiver: Callable[..., Receiver]) -> None:
    server = receiver()
    variables = entry("Logs: any OTLP store", endpoint=server.url, tls={"insecure": True})
    secrets = {"vendor": {"api-key": "s3cr3t"}}
    kept(launch(variables, secrets), server)
    launch(variables, secrets, Gateway).send(logs(record("1" * 32)), "logs")
    until(lambda: times(server, "1" * 32), "the record")
    assert {request.path for request in server.requests} == {"/v1/traces", "/v1/logs"}
    assert {request.headers["Api-Key"] for request in server.requests} == {"s3cr3t"}


def test_a_store_of_logs_that_is_away_holds_nobody_back(launch: Launch, receiver: Callable[..., Receiver]) -> None:
    """Not even when its queue is full: no request is refused, and the other store gets each record, and once."""
    here, away = receiver(), Receiver()
    store = {"protocol": "http", "traces": "none", "logs": True, "tls": {"insecure": True}}
    gateway = launch({
        "collector_logs_enabled": True,
        "collector_exporters": [{**store, "name": "here", "endpoint": here.url},
                                {**store, "name": "away", "endpoint": away.url}],
        # the smallest queues there are
        "collector_gateway_resources": {"limits": {"memory": "16Mi"}},
    }, kind=Gateway)  # fmt: skip
    size = gateway.config["exporters"]["otlp_http/away"]["sending_queue"]["queue_size"]
    sent = [uuid.uuid4().hex for _number in range(3 * (size // 2))]
    for first in range(0, len(sent), size // 2):
        part = sent[first : first + size // 2]
        gateway.send(logs(*map(record, part)), "logs")
        until(lambda part=part: all(times(here, one) for one in part), "the records at the other store")
    assert {times(here, one) for one in sent} == {1}
    refused = gateway.value("exporter_enqueue_failed_log_records", exporter="otlp_http/away")
    assert refused is not None
    assert refused >= len(sent) - size
    assert not gateway.value("exporter_enqueue_failed_log_records", exporter="otlp_http/here")
    away.start()
    try:
        until(lambda: gateway.value("exporter_queue_size", exporter="otlp_http/away") == 0, "the end of the queue")
        assert sum(times(away, one) for one in sent) == len(sent) - refused
    finally:
        away.end()


# AWS


@pytest.fixture
def moto() -> Iterator[str]:
    with simulated_aws() as url:
        yield url


def aws(service: str, url: str, region: str) -> Any:
    return boto3.client(
        service, endpoint_url=url, region_name=region, aws_access_key_id=KEYS["access_key"],
        aws_secret_access_key=KEYS["secret_key"], config=Config(retries={"max_attempts": 1}),
    )  # fmt: skip


def test_xray(launch: Launch, moto: str) -> None:
    variables = entry("AWS X-Ray", endpoint=moto, tls={"insecure": True}, credentials_secret="aws")
    sampler = launch(variables, {"aws": KEYS})
    client = aws("xray", moto, "eu-west-1")

    def traces(identity: str) -> list[dict[str, Any]]:
        return client.batch_get_traces(TraceIds=[identity])["Traces"]

    # one with the time in its first 32 bits, as X-Ray's own SDKs make them, and one without
    for trace in (f"{int(time.time()):08x}{TRACE[8:]}", TRACE):
        sampler.send(failed_request(trace, tenant="team-payments"))
        identity = f"1-{trace[:8]}-{trace[8:]}"
        until(lambda identity=identity: traces(identity), "the segments")
        [found] = traces(identity)
        assert found["Id"] == identity
        segment = json.loads(found["Segments"][0]["Document"])
        assert segment["trace_id"] == identity
        assert segment["name"] == "shop"
        assert segment["annotations"]["tenant"] == "team-payments"
        assert segment["fault"] is True


def test_xray_away_holds_nobody_back_and_gets_what_it_missed(launch: Launch, receiver: Callable[..., Receiver]) -> None:
    """X-Ray's exporter has no queue of its own, so it is the one that could."""
    server = receiver()
    xray = Receiver(answer=lambda _request: (200, b'{"UnprocessedTraceSegments": []}'))
    variables = entry("AWS X-Ray", endpoint=xray.url, tls={"insecure": True}, credentials_secret="aws")
    variables |= {"tracing_store": "tempo", "collector_tempo_endpoint": server.url}
    sampler = launch(variables, {"aws": KEYS})
    traces = [uuid.uuid4().hex for _number in range(20)]
    for trace in traces:
        sampler.send(failed_request(trace))
    until(lambda: all(server.arrived(traces).values()), "the traces at Tempo")
    assert sampler.value("exporter_queue_size", exporter="otlp_grpc/xray") == len(traces)
    xray.start()
    try:
        until(lambda: sampler.value("exporter_queue_size", exporter="otlp_grpc/xray") == 0, "the end of the queue")
        bodies = b"".join(request.body for request in xray.requests).decode()
        assert all(f"1-{trace[:8]}-{trace[8:]}" in bodies for trace in traces)
    finally:
        xray.end()


def test_recordings(launch: Launch, moto: str) -> None:
    client = aws("s3", moto, "us-east-1")
    client.create_bucket(Bucket="orion-recordings")
    variables = entry(
        "Recordings in a bucket", endpoint=moto, tls={"insecure": True}, credentials_secret="aws", share=100
    )
    # Nothing is kept, so that what is recorded comes from before sampling.
    variables |= {
        "tracing_store": "tempo",
        "collector_tail_sampling_policies": [
            {"name": "none", "type": "probabilistic", "probabilistic": {"sampling_percentage": 0}}
        ],
    }
    sampler = launch(variables, {"aws": KEYS})
    sampler.send(failed_request(TRACE))
    until(lambda: client.list_objects_v2(Bucket="orion-recordings").get("Contents"), "an object")
    [item] = client.list_objects_v2(Bucket="orion-recordings")["Contents"]
    layout = (
        r"recordings/production/year=\d{4}/month=\d\d/day=\d\d/hour=\d\d/minute=\d\d/traces_[0-9a-f-]{36}\.binpb\.gz"
    )
    assert re.fullmatch(layout, item["Key"])
    body = client.get_object(Bucket="orion-recordings", Key=item["Key"])["Body"].read()
    assert (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).count(bytes.fromhex(TRACE)) == 1


# Metrics


def metrics(request: Request) -> bool:
    return request.headers.get("Content-Type") == "application/x-protobuf"


def test_amazon_managed_prometheus(launch: Launch, receiver: Callable[..., Receiver]) -> None:
    server = receiver()
    variables = copy.deepcopy(RECIPES["Metrics: Amazon Managed Service for Prometheus"])
    path = urllib.parse.urlsplit(variables["collector_remote_write_url"]).path
    variables["collector_remote_write_url"] = f"{server.url}{path}"
    sampler = launch(variables, **AWS)
    sampler.send(failed_request(TRACE))
    until(lambda: any(map(metrics, server.requests)), "a remote write")
    request = next(filter(metrics, server.requests))
    assert request.path == path
    scope, signed, _signature = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
        request.headers["Authorization"],
    ).groups()
    assert scope.startswith(f"{KEYS['access_key']}/")
    assert scope.endswith("/eu-west-1/aps/aws4_request")
    again = AWSRequest(
        "POST", f"{server.url}{request.path}", data=request.body,
        headers={name: value for name, value in request.headers.items() if name.lower() in signed.split(";")},
    )  # fmt: skip
    again.context["timestamp"] = request.headers["X-Amz-Date"]
    signer = SigV4Auth(Credentials(KEYS["access_key"], KEYS["secret_key"]), "aps", "eu-west-1")
    expected = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    assert request.headers["Authorization"].endswith(f"Signature={expected}")


def test_mimir(launch: Launch, receiver: Callable[..., Receiver]) -> None:
    server = receiver()
    variables = copy.deepcopy(RECIPES["Metrics: Mimir or Grafana Cloud"])
    variables["collector_remote_write_url"] = f"{server.url}/api/v1/push"
    sampler = launch(variables, {"mimir": {"username": "me", "password": "s3cr3t"}})
    sampler.send(failed_request(TRACE))
    until(lambda: any(map(metrics, server.requests)), "a remote write")
    request = next(filter(metrics, server.requests))
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers["authorization"] == f"Basic {base64.b64encode(b'me:s3cr3t').decode()}"
    assert headers["x-scope-orgid"] == "team-payments"
    # The gateways write what they take there, too.
    server.requests.clear()
    gateway = launch(
        variables | {"collector_metrics_enabled": True}, {"mimir": {"username": "me", "password": "s3cr3t"}}, Gateway
    )
    gateway.send(probe_metrics(ProbeResult(passed=True, completeness=1.0), time.time_ns()), "metrics")
    until(lambda: any(map(metrics, server.requests)), "a remote write of the gateway")
    headers = {name.lower(): value for name, value in next(filter(metrics, server.requests)).headers.items()}
    assert headers["authorization"] == f"Basic {base64.b64encode(b'me:s3cr3t').decode()}"
    assert headers["x-scope-orgid"] == "team-payments"
