# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The modules s3_bucket and s3_bucket_info as Ansible calls them: arguments, environment, result keys, examples."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.orion.tracing.plugins.module_utils.local.credentials import new_certificate
from ansible_collections.orion.tracing.plugins.module_utils.s3 import contents, info, object_ownership, policy
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import READ_SECONDS, Store
from ansible_collections.orion.tracing.plugins.module_utils.s3.options import bucket_options
from ansible_collections.orion.tracing.plugins.modules import s3_bucket, s3_bucket_info
from moto import mock_aws
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

COLLECTION = Path(__file__).resolve().parents[4]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-shown")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


def run(capsys: pytest.CaptureFixture[str], module: ModuleType = s3_bucket, **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    out = capsys.readouterr().out
    assert "not-to-be-shown" not in out
    result: dict[str, Any] = json.loads(out)
    result.pop("invocation", None)
    return result


@mock_aws
def test_result_is_the_same_in_check_mode(capsys: pytest.CaptureFixture[str]) -> None:
    given = {"bucket": "traces", "versioning": True, "tags": {"a": 1}, "tls_only": True}
    would = run(capsys, **given, _ansible_check_mode=True, _ansible_diff=True)
    did = run(capsys, **given, _ansible_diff=True)
    again = run(capsys, **given)
    for result in (would, did):
        assert set(result) == {"changed", "diff", "steps", "bucket", "unsupported", "api_calls"}
        assert result["changed"] and result["bucket"]["region"] == "eu-west-1"
    assert would["diff"] == did["diff"] and would["steps"] == did["steps"]
    assert (again["changed"], again["steps"], again["api_calls"]) == (False, [], 4)


@mock_aws
def test_a_full_bucket_goes_only_by_force(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(capsys, name="traces", versioning=True)
    client = boto3.client("s3", "eu-west-1")
    client.put_object(Bucket="traces", Key="k", Body=b"x")
    client.delete_object(Bucket="traces", Key="k")
    assert "is not empty" in run(capsys, name="traces", state="absent")["msg"]
    file = tmp_path / "progress"
    given = {"name": "traces", "state": "absent", "force": True, "progress_file": str(file)}
    would = run(capsys, **given, _ansible_check_mode=True)
    assert not file.exists()
    did = run(capsys, **given)
    for result in (would, did):
        assert set(result) == {"changed", "diff", "steps", "bucket", "unsupported", "api_calls", "emptied"}
        assert result["emptied"] == {"versions": 1, "delete_markers": 1, "uploads": 0, "more": False}
        assert result["steps"] == ["empty bucket", "delete bucket"]
    assert file.read_text().startswith("1 versions and 1 delete markers deleted (")
    assert not run(capsys, **given)["changed"]


@mock_aws
def test_what_could_not_be_deleted_is_returned(capsys: pytest.CaptureFixture[str]) -> None:
    run(
        capsys, name="traces", object_lock_enabled=True, object_lock_default_retention={"mode": "COMPLIANCE", "days": 1}
    )
    boto3.client("s3", "eu-west-1").put_object(Bucket="traces", Key="k", Body=b"x")
    failed = run(capsys, name="traces", state="absent", force_empty=True)
    assert failed["failed"] and failed["errors"][0]["code"] == "AccessDenied" and failed["error_count"] == 1


def test_emptying_is_patient(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seconds: list[float] = []

    def connect(params: Any, read_seconds: float | None = None) -> Store:
        store = Store.connect(params, read_seconds)
        seconds.append(store._client.meta.config.read_timeout)
        return store

    monkeypatch.setattr(s3_bucket, "Store", type("Spy", (), {"connect": staticmethod(connect)}))
    for given in ({}, {"state": "absent"}, {"force_empty": True}, {"state": "absent", "force_empty": True}):
        with mock_aws():
            run(capsys, name="traces", **given)
    assert seconds == [READ_SECONDS] * 3 + [contents.PATIENCE]


def test_failure_names_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, name="Not_A_Bucket")
    assert result["failed"] and "name 'Not_A_Bucket' cannot be a bucket" in result["msg"]


def test_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert "encryption" in run(capsys, name="traces", encryption="rot13")["msg"]
    assert "aspects" in run(capsys, s3_bucket_info, aspects=["colour"])["msg"]


def test_what_is_written_twice_is_the_same() -> None:
    """Ansible reads the arguments without importing what they are made of."""
    assert tuple(s3_bucket_info.ASPECTS) == info.NAMES
    assert tuple(bucket_options()["object_ownership"]["choices"]) == object_ownership.CHOICES
    options = yaml.safe_load(s3_bucket.DOCUMENTATION)["options"]
    assert tuple(str(version) for version in options["minimum_tls_version"]["choices"]) == policy.TLS_VERSIONS


@mock_aws
@pytest.mark.parametrize("check_mode", [True, False])
def test_info_in_and_out_of_check_mode(capsys: pytest.CaptureFixture[str], check_mode: bool) -> None:
    assert run(capsys, s3_bucket_info, name="traces")["buckets"] == []
    run(capsys, name="traces", tags={"a": "b"}, minimum_tls_version=1.2)
    one = run(capsys, s3_bucket_info, bucket="traces", _ansible_check_mode=check_mode)
    assert set(one) == {"changed", "buckets", "api_calls"} and not one["changed"]
    [told] = one["buckets"]
    assert set(told) == set(yaml.safe_load(s3_bucket_info.RETURN)["buckets"]["contains"])
    assert told["options"]["tags"] == {"a": "b"} and told["options"]["minimum_tls_version"] == "1.2"
    assert not run(capsys, **told["options"])["changed"]
    every = run(capsys, s3_bucket_info, aspects=["tags"])
    assert [bucket["options"] for bucket in every["buckets"]] == [{"name": "traces", "tags": {"a": "b"}}]
    assert run(capsys, s3_bucket_info)["api_calls"] == 1
    assert run(capsys, s3_bucket_info, name="traces", aspects=[])["buckets"][0]["options"] == {"name": "traces"}


# --- the examples of both modules, in the order in which they are written


class Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@pytest.fixture
def moto_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """URL and CA file of moto behind TLS on a port of this machine."""
    made = new_certificate(["127.0.0.1"], datetime.now(UTC))
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    app = DomainDispatcherApplication(create_backend_app)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with mock_aws(), make_server("127.0.0.1", 0, app, True, request_handler=Quiet, ssl_context=context) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}", str(tmp_path / "ca.crt")
        server.shutdown()


def play(tmp_path: Path, module: ModuleType, url: str, ca: str) -> tuple[list[dict[str, Any]], str]:
    """The results of a module's examples as tasks of a play, and what the play shows."""
    tasks = yaml.safe_load(module.EXAMPLES)
    names = [f"result_{number}" for number in range(len(tasks))]
    tasks = [{**task, "register": task.get("register", name)} for task, name in zip(tasks, names, strict=True)]
    seen = "{{ [" + ", ".join(task["register"] for task in tasks) + "] | to_json }}"
    tasks.append({"ansible.builtin.copy": {"content": seen, "dest": str(tmp_path / "results"), "mode": "0600"}})
    book = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([book], sort_keys=False))
    variables = {"s3_endpoint_url": url, "s3_ca_bundle": ca, "s3_access_key": "a", "s3_secret_key": "b"}
    done = subprocess.run(
        [
            "ansible-playbook",
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            json.dumps(variables),
            str(tmp_path / "play.yml"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "AWS_ENDPOINT_URL": url, "AWS_CA_BUNDLE": ca, "ANSIBLE_INJECT_FACT_VARS": "false"},
        cwd=COLLECTION,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return json.loads((tmp_path / "results").read_text()), done.stdout


def documented(module: ModuleType, result: dict[str, Any]) -> bool:
    return set(result) - {"changed", "failed", "diff", "warnings", "ansible_facts"} <= set(
        yaml.safe_load(module.RETURN)
    )


def test_the_examples_of_s3_bucket(moto_server: tuple[str, str], tmp_path: Path) -> None:
    url, ca = moto_server
    client = boto3.client("s3", "us-east-1", endpoint_url=url, verify=ca)
    client.create_bucket(Bucket="traces")
    for number in range(3):
        client.put_object(Bucket="traces", Key=f"block/{number}", Body=b"x")
    results, shown = play(tmp_path, s3_bucket, url, ca)
    assert all(result["changed"] and documented(s3_bucket, result) for result in results)
    assert results[0]["steps"][0] == "create bucket" and results[1]["steps"] == ["put lifecycle_rules"]
    assert results[-1]["emptied"]["versions"] == 3
    # The action plugin shows what the module appends to its file.
    assert "s3_bucket: 3 versions and 0 delete markers deleted" in shown
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["orion-traces-123456789012"]


def test_the_examples_of_s3_bucket_info(moto_server: tuple[str, str], tmp_path: Path) -> None:
    results, _shown = play(tmp_path, s3_bucket_info, *moto_server)
    made, found, again, copied, encrypted, every = results
    assert made["changed"] and copied["changed"] and not again["changed"]
    assert all(documented(s3_bucket_info, result) for result in (found, encrypted, every))
    sample = yaml.safe_load(s3_bucket_info.RETURN)["buckets"]["contains"]["options"]["sample"]
    # kms_key_id and bucket_key_enabled belong to a bucket with KMS.
    assert set(found["buckets"][0]["options"]) == set(sample) - {"kms_key_id", "bucket_key_enabled"}
    assert set(encrypted["buckets"][0]["options"]) == {"name", "encryption"}
    assert [bucket["name"] for bucket in every["buckets"]] == ["orion-copy-123456789012", "orion-traces-123456789012"]
