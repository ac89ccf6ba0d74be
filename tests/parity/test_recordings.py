# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/recordings.md without a cluster: what the real collector records into a bucket, with the configuration that the
role makes of the page's entry, is what was sent; and the page's command simulates on it what the collector does.

The store is moto's S3 on a socket of this machine. All of the sampler's configuration is the role's but for what a
machine without a cluster lacks: its address, its extensions and its own metrics; what it keeps comes to this process.
"""

from __future__ import annotations

import csv
import http.client
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp.recordings import FileRecording
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
from ansible_collections.orion.tracing.plugins.module_utils.s3.recording import S3Recording
from ansible_collections.orion.tracing.tests.ports import free_ports
from ansible_collections.orion.tracing.tests.simulated_aws import simulated_aws
from real import LIMIT, Running, Sink
from shipped import chart_values

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/recordings.md").read_text()
ENTRY, POLICY = (yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.S | re.M)[:2])
RECORD, SIMULATE, DEPLOY = (
    shlex.split(line)
    for line in re.findall(r"^\$ (.*)$", re.findall(r"^```console\n(.*?)^```", PAGE, re.S | re.M)[0], re.M)
)
(EXPORTER,) = ENTRY["collector_exporters"]
BUCKET, KEYS = "orion-traces", ("AKIAEXAMPLE", "not-to-be-shown")
TRACES, LINES_PER_REQUEST = 1200, 40
# Longer than any trace takes: the collector gets them at once, the simulator at the times of their spans.
DECISION_WAIT = "60s"


@pytest.fixture(scope="module")
def store(recorded_file: Path) -> Iterator[str]:
    """A new one for each recording."""
    with simulated_aws() as url:
        keys = {"aws_access_key_id": KEYS[0], "aws_secret_access_key": KEYS[1]}
        boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys).create_bucket(Bucket=BUCKET)
        yield url


def variables(store: str, **changes: Any) -> dict[str, Any]:
    """What the inventory of the page says, with the store of this test."""
    here = {**EXPORTER, "endpoint": store, "tls": {"insecure": True}}
    return {"object_storage_bucket": BUCKET, "tracing_region": "us-east-1", "collector_exporters": [here], **changes}


def run(binary: str, folder: Path, config: dict[str, Any], bodies: list[bytes]) -> dict[str, int]:
    """The sampler, given all requests, until it has sent all it holds. Trace id → spans of what it keeps.

    It decides when it ends, that is, on whole traces.
    """
    (port,) = free_ports()
    sink = Sink(1)
    config["receivers"] = {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}}
    tempo = config["exporters"]["otlp_http/tempo"]
    tempo |= {"endpoint": f"http://127.0.0.1:{sink.port}/0", "encoding": "json", "compression": "none"}
    config["processors"]["tail_sampling"]["decision_wait"] = DECISION_WAIT
    config.pop("extensions", None)
    config["service"] |= {"extensions": [], "telemetry": {"metrics": {"level": "none"}}}
    keys = {"AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1]}
    try:
        with Running(binary, folder, config, **keys) as collector:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
            for body in bodies:
                connection.request("POST", "/v1/traces", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                text = response.read()
                assert response.status == 200 and b"rejectedSpans" not in text, (response.status, text[:500])
            collector.stop()
    finally:
        sink.close()
    return {trace_id: len(found) for trace_id, found in sink.kept[0].items()}


@dataclass(frozen=True)
class Recorded:
    """What was sent, and what the collector kept of it while it recorded."""

    bodies: list[bytes]
    kept: dict[str, int]


@pytest.fixture(scope="module")
def recorded(otelcol: str, recorded_file: Path, store: str, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """The first command, as far as it is about the sampler."""
    assert RECORD == ["ansible-playbook", "orion.tracing.site", "-i", "inventories/production"]
    documents = [m.document() for m, _n in zip(FileRecording(recorded_file).messages(), range(TRACES), strict=False)]
    bodies = [
        json.dumps(otlp.merge(documents[at : at + LINES_PER_REQUEST])).encode()
        for at in range(0, len(documents), LINES_PER_REQUEST)
    ]
    folder = tmp_path_factory.mktemp("recorded") / "sampler"
    return Recorded(bodies, run(otelcol, folder, chart_values(**variables(store))["sampler"]["config"], bodies))


@pytest.fixture(scope="module")
def recording(recorded: Recorded, store: str) -> S3Recording:
    access = {"access_key": KEYS[0], "secret_key": KEYS[1], "region": "us-east-1", "endpoint_url": store}
    return S3Recording(Store.connect(access), f"s3://{BUCKET}/{EXPORTER['prefix']}", again=True)


def plain(document: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """Each span by its ids, with its resource and scope, in one spelling: without what is empty or zero, and numbers of
    64 bits as text."""
    found: dict[tuple[str, str], Any] = {}
    for part in document["resourceSpans"]:
        for scope in part["scopeSpans"]:
            for span in scope["spans"]:
                key = span["traceId"], span["spanId"]
                assert key not in found, key
                found[key] = _spelt([part.get("resource"), scope.get("scope"), span])
    return found


def _spelt(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        every = {name: _spelt(one, name) for name, one in value.items()}
        # An empty value in an attribute is not the same as none.
        return {name: one for name, one in every.items() if one not in ({}, [], "", 0, "0", None) or "Value" in name}
    if isinstance(value, list):
        return [_spelt(one) for one in value]
    return str(value) if key == "intValue" or key.endswith("UnixNano") else value


def test_every_span_is_recorded_as_it_was_sent(recorded: Recorded, recording: S3Recording) -> None:
    sent = plain(otlp.merge([json.loads(body) for body in recorded.bodies]))
    messages = list(recording.messages())
    assert all(re.search(r"/minute=\d\d/traces_[0-9a-f-]{36}\.binpb\.gz$", message.place) for message in messages)
    found = plain(otlp.merge([message.document() for message in messages]))
    assert found.keys() == sent.keys()
    differing = [key for key, span in sent.items() if found[key] != span]
    assert not differing, (len(differing), sent[differing[0]], found[differing[0]])


def simulate(folder: Path, store: str, *changes: str) -> tuple[dict[str, Any], dict[str, int]]:
    """The second command, word by word, in a folder with the inventory and policy.yml: its result, and the traces that
    are kept with their spans. changes: further arguments."""
    inventory = folder / "inventories/production"
    (inventory / "group_vars").mkdir(parents=True, exist_ok=True)
    (inventory / "hosts.yml").write_text("all: {hosts: {localhost: {ansible_connection: local}}}\n")
    given = {
        **variables(store),
        "object_storage_endpoint_url": store,
        "object_storage_access_key": KEYS[0],
        "object_storage_secret_key": KEYS[1],
        "ansible_python_interpreter": sys.executable,
    }
    (inventory / "group_vars/all.yml").write_text(json.dumps(given))
    (folder / "policy.yml").write_text(json.dumps(POLICY))
    (folder / "ansible.cfg").touch()
    files = ["-e", "simulate_output=result.json", "-e", "simulate_decisions=decisions.csv"]
    files += ["-e", f"collector_decision_wait={DECISION_WAIT}"]
    done = subprocess.run(
        [str(Path(sys.executable).with_name(SIMULATE[0])), *SIMULATE[1:], *files, *changes],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".state/collections"),
            "ANSIBLE_HOME": str(folder / "home"),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PATH": os.environ["PATH"],
        },
    )
    assert done.returncode == 0 and KEYS[1] not in done.stdout, done.stdout + done.stderr
    with (folder / "decisions.csv").open() as lines:
        kept = {row["trace_id"]: int(row["spans"]) for row in csv.DictReader(lines) if row["kept"] == "1"}
    return json.loads((folder / "result.json").read_text()), kept


def test_the_simulation_keeps_what_the_collector_kept(recorded: Recorded, store: str, tmp_path: Path) -> None:
    """With the policies of today, that is, without those of the page."""
    (tmp_path / "today.yml").write_text(json.dumps({name: sampler_default(name) for name in POLICY}))
    result, kept = simulate(tmp_path, store, "-e", "@today.yml")
    assert result["results"][0]["traces"]["seen"] == len({s for body in recorded.bodies for s in ids(body)})
    assert kept == recorded.kept


def sampler_default(name: str) -> Any:
    return yaml.safe_load((ROOT / "roles/collector/defaults/main.yml").read_text())[name]


def ids(body: bytes) -> set[str]:
    return {span["traceId"] for span in otlp.spans(json.loads(body))}


def test_what_is_deployed_keeps_what_was_simulated(
    otelcol: str, recorded: Recorded, store: str, tmp_path: Path
) -> None:
    """The second command, then the third, as far as it is about the sampler."""
    assert [*RECORD, "-e", "@policy.yml"] == DEPLOY
    assert f"simulate_path=s3://{BUCKET}/{EXPORTER['prefix']}" in SIMULATE
    _result, kept = simulate(tmp_path, store)
    deployed = chart_values(**variables(store, collector_exporters=[]), **POLICY)["sampler"]["config"]
    assert kept == run(otelcol, tmp_path / "deployed", deployed, recorded.bodies)
    assert 0 < len(kept) < len(recorded.kept)


def test_a_file_of_the_same_spans_gives_the_same(recording: S3Recording, store: str, tmp_path: Path) -> None:
    """As the file exporter would have written the requests: protobuf behind its length."""
    texts = [message.text for message in recording.messages()]
    (tmp_path / "recording").write_bytes(b"".join(len(text).to_bytes(4, "big") + text for text in texts))
    from_bucket, kept = simulate(tmp_path, store)
    from_file, kept_of_file = simulate(tmp_path, store, "-e", "simulate_path=recording")
    assert kept == kept_of_file
    # Bytes are estimated, from one record in 64.
    assert _without_bytes(from_bucket) == _without_bytes(from_file)


def _without_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_bytes(one) for key, one in value.items() if key not in ("bytes", "cost")}
    return [_without_bytes(one) for one in value] if isinstance(value, list) else value
