# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The modules and the playbooks with a recording in a bucket, on a simulated S3 (moto) on a socket of this machine."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.orion.tracing.tests.simulated_aws import simulated_aws
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.otlp.made import document, protobuf, span
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.fake_pipeline import (
    FakePipeline,
    api_server,
)
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

ROOT = Path(__file__).resolve().parents[4]
AT = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
SECRET, TOKEN = "not-to-be-shown-key", "not-to-be-shown-token"
ERRORS = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
CONFIG = {"decision_wait": "1s", "policies": [ERRORS]}
PATH = "s3://traces/recordings"


class Bucket:
    def __init__(self, url: str) -> None:
        self.url = url
        self.access = {"endpoint_url": url, "access_key": "AKIAEXAMPLE", "secret_key": SECRET, "region": "us-east-1"}
        self.client = boto3.client(
            "s3", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
        )
        self.client.create_bucket(Bucket="traces")

    def put(self, minute: int, body: bytes, kind: str = "binpb.gz") -> None:
        folder = f"{AT + timedelta(minutes=minute):year=%Y/month=%m/day=%d/hour=%H/minute=%M}"
        self.client.put_object(Bucket="traces", Key=f"recordings/{folder}/traces_{10**8 + minute}.{kind}", Body=body)


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """Ten traces, one a minute, two of them with an error."""
    with simulated_aws() as url:
        made = Bucket(url)
        for n in range(10):
            one = document(({"service.name": "shop"}, [span(n + 1, error=n < 2)]))
            made.put(n, gzip.compress(protobuf(one)))
        yield made


def file_of(tmp_path: Path) -> Path:
    path = tmp_path / "recording.jsonl"
    lines = [document(({"service.name": "shop"}, [span(n + 1, error=n < 2)])) for n in range(10)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_simulating_a_bucket_is_as_simulating_a_file(bucket: Bucket, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.touch()
    found = run("sampling_simulation", path=PATH, s3=bucket.access, config=CONFIG, progress_file=str(lines))
    assert found["results"] == run("sampling_simulation", path=str(file_of(tmp_path)), config=CONFIG)["results"]
    assert found["results"][0]["traces"] == {"seen": 10, "kept": 2, "lost": 8, "percentage": 20.0}
    assert "10 objects, 0.0 MiB read from s3://traces/recordings, up to " in lines.read_text()
    part = {**bucket.access, "start": "2026-01-31T10:01:00Z", "end": "2026-01-31T10:03:00Z"}
    assert run("sampling_simulation", path=PATH, s3=part, config=CONFIG)["results"][0]["traces"]["seen"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "s3://traces/none"}, "path s3://traces/none holds nothing: the bucket has recordings/"),
        ({"path": "s3://nowhere/x"}, "bucket nowhere does not exist"),
        ({"s3": {"last": "1h"}}, "it holds what was written from 2026-01-31T10:00:00Z to 2026-01-31T10:10:00Z"),
        ({"s3": {"last": "an hour"}}, "option s3.last is 'an hour'"),
        ({"s3": {"access_key": "AKIAEXAMPLE", "secret_key": None}}, "secret_key is missing"),
        ({"path": None, "store": {}, "s3": {"last": "1h"}}, "option s3.last is given, but no path of a bucket"),
        ({"path": "/nonexistent", "s3": {"end": "2026-01-31"}}, "s3.end is given, but path /nonexistent is a file"),
    ],
)  # fmt: skip
def test_bad_input_names_the_option(bucket: Bucket, arguments: dict[str, Any], message: str) -> None:
    given = {"path": PATH, "config": CONFIG, **arguments, "s3": {**bucket.access, **arguments.get("s3", {})}}
    result = run("sampling_simulation", **{option: value for option, value in given.items() if value is not None})
    assert result["failed"] is True and message in result["msg"]
    assert SECRET not in json.dumps(result)


def test_broken_objects(bucket: Bucket) -> None:
    bucket.put(20, b"\x0a\xff", "binpb")
    given = {"path": PATH, "s3": bucket.access, "config": CONFIG}
    assert "traces_100000020.binpb is broken: not an OTLP protobuf" in run("sampling_simulation", **given)["msg"]
    result = run("sampling_simulation", **given, on_broken_line="skip")
    assert (result["broken_lines"], result["results"][0]["traces"]["seen"]) == (1, 10)


def test_replaying_a_bucket(bucket: Bucket) -> None:
    fake = FakePipeline()
    with api_server(fake) as url:
        given = {"path": PATH, "s3": bucket.access, "host": url, "verify": False, "validate_certs": False}
        result = run("otlp_replay", **given)
        assert "traces_sent" in result, result
        assert (result["traces_sent"], result["spans_sent"], result["requests"]) == (10, 10, 1)
        bucket.put(20, b"\x0a\xff", "binpb")
        refused = run("otlp_replay", **given)
    assert "1 of 11 objects are broken, nothing was sent: object recordings/year=2026" in refused["msg"]
    assert refused["broken_lines"][0]["place"].endswith("traces_100000020.binpb")


def play(tmp_path: Path, playbook: str, **variables: Any) -> str:
    """The output of a playbook of the collection, with nothing in the environment that tells where a store is."""
    (tmp_path / "ansible.cfg").touch()
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), f"orion.tracing.{playbook}", "-vvv"]
    argv += ["-i", "localhost,", "-c", "local", "-e", json.dumps(variables)]
    done = subprocess.run(
        argv,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".state/collections"),
            "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "COLUMNS": "1000",
            "HOME": str(tmp_path),
            "LANG": "C.UTF-8",
            "PATH": os.environ["PATH"],
        },
    )
    return done.stdout + done.stderr


def inventory(bucket: Bucket) -> dict[str, Any]:
    return {
        "ansible_python_interpreter": sys.executable,
        "object_storage_endpoint_url": bucket.url,
        "object_storage_access_key": "AKIAEXAMPLE",
        "object_storage_secret_key": SECRET,
        "object_storage_session_token": TOKEN,
        "collector_tail_sampling_policies": [ERRORS],
    }


def test_the_playbook_simulates_a_bucket_with_the_inventorys_credentials(bucket: Bucket, tmp_path: Path) -> None:
    given = {**inventory(bucket), "simulate_path": PATH, "simulate_output": "result.json"}
    said = play(tmp_path, "simulate", **given)
    assert (tmp_path / "result.json").exists(), said
    assert json.loads((tmp_path / "result.json").read_text())["results"][0]["traces"]["kept"] == 2, said
    assert SECRET not in said and TOKEN not in said
    said = play(
        tmp_path, "simulate", **given, simulate_start="2026-01-31T10:05:00Z", simulate_end="2026-01-31T10:07:00Z"
    )
    assert json.loads((tmp_path / "result.json").read_text())["results"][0]["traces"]["seen"] == 2, said
    assert "holds no recording from" in play(tmp_path, "simulate", **given, simulate_last="1h")
    # A relative path is that of the shell.
    file_of(tmp_path)
    play(tmp_path, "simulate", **{**given, "simulate_path": "recording.jsonl"})
    assert json.loads((tmp_path / "result.json").read_text())["results"][0]["traces"]["seen"] == 10


def test_the_playbook_replays_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    with api_server(FakePipeline()) as url:
        kubeconfig = {
            "apiVersion": "v1", "kind": "Config", "current-context": "x", "users": [{"name": "x", "user": {}}],
            "clusters": [{"name": "x", "cluster": {"server": url}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        }  # fmt: skip
        given = {**inventory(bucket), "tracing_kubeconfig": kubeconfig, "replay_verify": False}
        said = play(tmp_path, "replay", **given, replay_path=PATH, replay_end="2026-01-31T10:05:00Z")
        assert "5 traces, 5 spans in 1 requests" in said
        assert SECRET not in said and TOKEN not in said
        file_of(tmp_path)
        assert "10 traces, 10 spans in 1 requests" in play(tmp_path, "replay", **given, replay_path="recording.jsonl")
        assert "replay_path: is not set. Set it to a file of recorded traces, or s3://bucket/prefix" in play(
            tmp_path, "replay", **given
        )
