# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module support_archive as Ansible runs it. Secrets are planted in every place, and looked for in the bytes."""

from __future__ import annotations

import base64
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.status.archive import (
    FILE_BYTES,
    LOG_BYTES,
    ArchiveContents,
    ArchiveLimits,
    Collector,
    write,
)
from ansible_collections.orion.tracing.plugins.module_utils.status.removal import Removal
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import Request
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.status.made import (
    FakePlatform,
    certificate,
    record,
    secret,
)
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

# Nothing gives this one away but that a Secret has it.
KNOWN = 'correct/horse "battery" & stäple'
# An earlier revision of a release had this one in its values.
ROTATED = "rotated-value-of-before"
VARIABLE = "role-variable-nobody-sees"
KUBE_TOKEN = "kubeconfig-token-0123456789"
# These look like secrets, wherever they are.
GUESSED = {
    "Authorization: Bearer guessed-bearer-token": "guessed-bearer-token",
    "https://user:guessed-url-password@store.test/": "guessed-url-password",
    "db_password=guessed-assigned-value": "guessed-assigned-value",
    "id AKIAGUESSED123456789": "AKIAGUESSED123456789",
    certificate(1)[1].decode(): "",
}


def every_form(value: str) -> str:
    """A text with a value as it is, escaped and encoded."""
    plain = json.dumps({"value": value})
    encoded = base64.b64encode(value.encode()).decode()
    beside = base64.b64encode(f"user:{value}".encode()).decode()
    forms = [
        value,
        plain,
        json.dumps(plain),
        json.dumps({"v": value}, ensure_ascii=False),
        quote(value),
        encoded,
        beside,
    ]
    return "\n".join(f"INFO sent {one} to the store" for one in [*forms, quote(value, safe="")]) + "\n"


def traces_of(value: str) -> list[bytes]:
    """What would give a value away: it and its encodings, and parts of it that no other text has."""
    texts = [
        value,
        json.dumps(value)[1:-1],
        quote(value),
        quote(value, safe=""),
        base64.b64encode(value.encode()).decode(),
    ]
    return [text.encode() for text in texts] + [base64.b64encode(f"user:{value}".encode())[8:]]


@pytest.fixture
def api() -> Iterator[tuple[str, FakePlatform]]:
    platform = FakePlatform()
    text = every_form(KNOWN) + every_form(ROTATED) + every_form(VARIABLE) + "\n".join(GUESSED)
    platform.put(secret("tempo-s3", access_key=KNOWN.encode(), nested=json.dumps({"a": [KNOWN]}).encode()))
    platform.put(record("tempo", revision=2, status="superseded", config={"remoteWrite": {"password": ROTATED}}))
    gateway = platform.at("Pod", "gw-0")
    gateway["metadata"]["annotations"] = {
        "note": text,
        "kubectl.kubernetes.io/last-applied-configuration": "applied-" + KNOWN,
    }
    gateway["spec"]["containers"][0]["env"] = [
        {"name": "S3_SECRET_KEY", "value": "literal-in-the-environment"},
        {"name": "NOTE", "value": text},
        {"name": "FROM", "valueFrom": {"secretKeyRef": {"name": "tempo-s3", "key": "access.key"}}},
    ]
    annotations = {"meta.helm.sh/release-name": "otel-collector"}
    metadata = {"name": "otel-collector", "namespace": "tracing", "annotations": annotations}
    config = {"config.yaml": f"exporters:\n  otlp:\n    token: literal-in-the-configuration\n{text}"}
    platform.put({"kind": "ConfigMap", "metadata": metadata, "data": config})
    platform.put(
        {"kind": "ConfigMap", "metadata": {"name": "users", "namespace": "tracing"}, "data": {"a": "not ours"}}
    )
    event = {"name": "e1", "namespace": "tracing"}
    about = {"kind": "Pod", "name": "gw-0"}
    platform.put({"kind": "Event", "metadata": event, "message": text, "reason": "Failed", "involvedObject": about})
    platform.on("/pods/[^/]+/log$", lambda request: log(request, text))
    platform.metrics["gw-0"] += f'# HELP {text}\nup{{secret="{KNOWN}"}} 1\n'
    with platform.serving() as url:
        yield url, platform


def log(request: Request, text: str) -> Response:
    head = f"log of {request.query['container']}, previous {request.query.get('previous', 'false')}\n"
    return Response(200, {}, (head + text).encode())


def unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        members = {entry.name.partition("/")[2]: entry for entry in archive.getmembers()}
        assert {entry.mode for entry in members.values()} == {0o600}
        return {name: archive.extractfile(entry).read() for name, entry in members.items()}  # type: ignore[union-attr]


def archive(url: str, file: Path, **options: Any) -> dict[str, Any]:
    given = {
        "path": str(file),
        "kubeconfig": {
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
            "users": [{"name": "u", "user": {"token": KUBE_TOKEN}}],
        },
        "variables": {
            "tracing": {"tracing_kubeconfig": {"users": [KUBE_TOKEN]}, "tracing_namespace": "tracing"},
            "tempo": {
                "tempo_s3_credentials_secret": "tempo-s3",
                "tempo_extra": {"headers": {"api_key": "nested-in-a-variable"}, "text": every_form(VARIABLE)},
            },
        },
        "secret_values": [VARIABLE],
        "versions": {"ansible-core": "2.21.5"},
        "documents": {"status.txt": f"a page\n{KNOWN}\n", "plan.json": {"cost": 1}},
        "binary_path": "/nowhere/helm",
        **options,
    }
    return run("support_archive", **given)


def test_no_secret_is_in_the_archive(api: tuple[str, FakePlatform], tmp_path: Path) -> None:
    url, platform = api
    path = tmp_path / "support.tar.gz"
    found = archive(url, path)
    assert found["changed"] and found["archive"] == str(path) and found["bytes"] == path.stat().st_size, found
    assert path.stat().st_mode & 0o777 == 0o600 and [one.name for one in tmp_path.iterdir()] == [path.name]
    assert set(platform.methods) == {"GET"} and found["api_calls"] == len(platform.asked)
    files = unpacked(path)
    content = b"\n".join(files.values()) + json.dumps(found).encode()
    for value in (KNOWN, ROTATED, VARIABLE, KUBE_TOKEN):
        for form in traces_of(value):
            where = [name for name, text in files.items() if form in text]
            assert form not in content, (value, form, where)
    literals = ["literal-in-the-environment", "literal-in-the-configuration", "nested-in-a-variable"]
    for value in (*filter(None, GUESSED.values()), *literals, "PRIVATE KEY", "applied-"):
        assert value.encode() not in content, value
    for name in ("battery", "stäple", "st\\u00e4ple"):
        assert name.encode() not in content
    # What is needed to help is there.
    assert {"manifest.json", "versions.json", "kubernetes.json", "status.txt", "plan.json"} <= set(files)
    assert b"log of main, previous false" in files["tracing/logs/gw-0/main.log"]
    assert b"previous true" in files["tracing/logs/sampler-0/main.previous.log"], "of the one that was restarted"
    assert b"exporters:" in files["tracing/config/otel-collector/config.yaml"]
    assert not [name for name in files if "users" in name], "a ConfigMap of no release"
    assert not [name for name in files if "secret" in name.lower()]
    pods = json.loads(files["tracing/Pod.json"])
    env = next(pod for pod in pods if pod["metadata"]["name"] == "gw-0")["spec"]["containers"][0]["env"]
    assert env[2]["valueFrom"]["secretKeyRef"] == {"name": "tempo-s3", "key": "access.key"}
    releases = json.loads(files["tracing/releases.json"])
    assert [(one["name"], one["revision"]) for one in releases if one["name"] == "tempo"] == [
        ("tempo", 2),
        ("tempo", 3),
    ]
    assert b"Failed Pod/gw-0" in files["tracing/events.txt"]
    variables = json.loads(files["variables/tempo.json"])
    assert variables["tempo_s3_credentials_secret"] == "tempo-s3", "the name of a Secret is not one"
    assert b"otelcol_process_uptime" in files["tracing/metrics/gw-0.txt"]
    manifest = json.loads(files["manifest.json"])
    assert manifest == found["manifest"] and set(manifest["files"]) == set(files) - {"manifest.json"}
    assert manifest["removed"]["values of Secrets"] > 50 and manifest["missing"] == []
    assert found["msg"].endswith("secret values were removed from them.")


def test_without_the_right_to_secrets_it_says_so(api: tuple[str, FakePlatform], tmp_path: Path) -> None:
    url, platform = api
    platform.refuse("/secrets$")
    platform.refuse("/pods/gw-1/log")
    path = tmp_path / "support.tar.gz"
    found = archive(url, path)
    missing = {one["what"]: one["why"] for one in found["manifest"]["missing"]}
    assert (
        "the values of Secrets in namespace tracing to be looked for (what looks like a secret is removed)" in missing
    )
    assert "forbidden" in missing["tracing/logs/gw-1/main.log"]
    assert "2 things are missing" in found["msg"]
    content = b"\n".join(unpacked(path).values())
    assert not [value for value in GUESSED.values() if value and value.encode() in content]


def test_a_cluster_that_does_not_answer_leaves_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "support.tar.gz"
    found = archive("http://127.0.0.1:1", path)
    assert found["changed"] and {"versions.json", "variables/tempo.json", "manifest.json"} <= set(unpacked(path))
    [missing] = found["manifest"]["missing"]
    assert missing["what"] == "everything of the cluster" and "no answer from the API server" in missing["why"]


def test_check_mode_reads_and_writes_nothing(api: tuple[str, FakePlatform], tmp_path: Path) -> None:
    url, platform = api
    checked = archive(url, tmp_path / "support.tar.gz", _ansible_check_mode=True)
    assert checked["changed"] and platform.asked == [] and list(tmp_path.iterdir()) == []
    assert set(checked) == set(archive(url, tmp_path / "support.tar.gz"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"path": "/nowhere/at/all.tar.gz"}, "option path is /nowhere/at/all.tar.gz: its folder does not exist"),
        ({"timeout": "soon"}, "option timeout: 'soon' is not a Go duration"),
        ({"log_lines": 0}, "option log_lines is 0"),
        ({"max_bytes": 0}, "option max_bytes is 0"),
        ({"documents": {"../x": "y"}}, "option documents: ../x is not a path in the archive"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], expected: str) -> None:
    failed = archive("http://127.0.0.1:1", tmp_path / "a.tar.gz", **options)
    assert failed["failed"] and expected in failed["msg"] and list(tmp_path.iterdir()) == []


def collector(limits: ArchiveLimits, seconds: float = 60.0, removal: Removal | None = None) -> Collector:
    return Collector(removal or Removal(), limits, Deadline(Clock(), seconds), lambda _line: None)


def test_it_stays_within_its_size() -> None:
    one = collector(ArchiveLimits(size=1000))
    one.add("a", "x" * 600)
    one.add("b", "x" * 600)
    one.add("c", "x" * 300)
    assert set(one.contents.files) == {"a", "c"} and one.contents.size == 900
    assert one.contents.missing == [("b", "the archive would hold more than 1000 bytes")]


def test_it_stays_within_its_time() -> None:
    platform = FakePlatform()
    one = collector(ArchiveLimits(), seconds=0.0)
    assert not one.learn(platform.client(), ["tracing"]) and platform.asked == []
    assert one.contents.missing == [("everything of the cluster", "the time limit of 0 s has passed")]


def test_a_file_that_is_too_long_is_cut_where_no_secret_is() -> None:
    """Secrets go first, and the cut is between lines."""
    removal = Removal()
    removal.learn("one-secret-value", "values of Secrets")
    one = collector(ArchiveLimits(), removal=removal)
    one.add("log", "".join(f"{number} one-secret-value\n" for number in range(FILE_BYTES // 15)))
    lines = one.contents.files["log"].splitlines()
    assert lines[0].startswith("[what was before this is left out") and lines[1].endswith(" <removed>")
    assert lines[1].split()[0].isdigit() and lines[-1] == f"{FILE_BYTES // 15 - 1} <removed>"
    assert "one-secret" not in one.contents.files["log"]


def test_a_line_that_the_server_cut_is_left_out() -> None:
    platform = FakePlatform()
    platform.on("/log$", Response(200, {}, b"whole line\n" + b"x" * (LOG_BYTES - 20) + b"half-of-a"))
    one = collector(ArchiveLimits())
    assert one.learn(platform.client(), ["tracing"])
    one.cluster(platform.client(), ["tracing"])
    assert one.contents.files["tracing/logs/gw-0/main.log"] == "whole line\n"


def test_nothing_is_left_where_it_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").mkdir()
    with pytest.raises(InvalidInput, match="cannot be written"):
        write(str(tmp_path / "a.tar.gz"), ArchiveContents({"a": "b"}), {})
    assert [one.name for one in tmp_path.iterdir()] == ["a.tar.gz"]
