# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Credentials: what is used again, what is generated, and that nothing of it shows."""

from __future__ import annotations

import base64
import dataclasses
import json
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    InvalidInput,
    PartialFailure,
    TracingError,
)
from ansible_collections.orion.tracing.plugins.module_utils.local import credentials as c
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NAMES = ("seaweedfs.local-backends.svc", "localhost", "127.0.0.1")
KEY = b"k" * 32


def params(**changes: Any) -> dict[str, Any]:
    return {
        "name": "tempo-s3",
        "namespace": "local-backends",
        "copy_to": ["tracing"],
        "namespace_labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        "subject_alt_names": list(NAMES),
        "files_dir": None,
        **changes,
    }


def wanted(**changes: Any) -> c.Wanted:
    return c.Wanted.of(params(**changes))


def full(now: datetime = NOW, **changes: bytes) -> c.Data:
    made = c.complete(dict.fromkeys(c.SOURCE_KEYS), wanted(), now)
    return {**made, **changes}


def copy_of(data: c.Data) -> c.Data:
    return {key: data[key] for key in c.COPIED_KEYS}


def settled(data: c.Data | None = None) -> c.Current:
    data = data or full()
    return c.Current({"local-backends": data, "tracing": copy_of(data)})


def plan(current: c.Current, want: c.Wanted | None = None, now: datetime = NOW) -> tuple[c.Plan, c.Known]:
    return c.make_plan(current, want or wanted(), now, KEY)


def names(made: c.Plan) -> list[str]:
    return [step.name for step in made.steps]


# Options


def test_wanted_normalises_names_and_drops_the_source_from_the_copies() -> None:
    want = wanted(
        copy_to=["tracing", "local-backends", "tracing"],
        subject_alt_names=["LocalHost", "localhost", "0:0:0:0:0:0:0:1", "*.example.org"],
        files_dir="/srv/state",
    )
    assert want.namespaces == ("local-backends", "tracing")
    assert want.names == ("localhost", "::1", "*.example.org")
    assert want.file_paths == {
        "s3-ca.crt": Path("/srv/state/s3-ca.crt"),
        "s3-credentials.json": Path("/srv/state/s3-credentials.json"),
    }


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "Tempo_S3"}, "name 'Tempo_S3'"),
        ({"name": "a/b"}, "name 'a/b'"),
        ({"namespace": "Local"}, "namespace 'Local'"),
        ({"copy_to": ["ok", "a.b"]}, "copy_to 'a.b'"),
        ({"subject_alt_names": []}, "subject_alt_names is empty"),
        ({"subject_alt_names": ["https://localhost:8333"]}, "'https://localhost:8333' is neither"),
        ({"subject_alt_names": ["a" * 64]}, "is neither"),
        ({"subject_alt_names": [".".join(["a" * 60] * 5)]}, "is neither"),
    ],
)
def test_wrong_options_are_named(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        wanted(**changes)


# Certificate


def test_certificate_has_the_names_the_validity_and_a_forgotten_authority() -> None:
    data = c.new_certificate(NAMES, NOW)
    ca, leaf = (x509.load_pem_x509_certificate(data[key]) for key in ("ca.crt", "tls.crt"))
    leaf.verify_directly_issued_by(ca)
    assert set(data) == set(c.CERTIFICATE_KEYS)
    assert leaf.not_valid_after_utc == ca.not_valid_after_utc == NOW + timedelta(days=730)
    assert leaf.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert c.certificate_problem(data, NAMES, NOW) == ""
    assert c.describe_certificate(data)["not_after"] == "2028-04-30T12:00:00Z"
    assert len(c.describe_certificate(data)["ca_fingerprint"]) == 95


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_strict_client_accepts_the_certificate(tmp_path: Path, host: str) -> None:
    """A real TLS handshake, verified as strictly as OpenSSL can (the default from Python 3.13 on)."""
    data = c.new_certificate(NAMES, datetime.now(UTC))
    for key in c.CERTIFICATE_KEYS:
        (tmp_path / key).write_bytes(data[key])
    server, client = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.create_default_context(cafile=str(tmp_path / "ca.crt")),
    )
    server.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer = listener.accept()[0]
            with peer, server.wrap_socket(peer, server_side=True) as stream:
                stream.sendall(b"hello")

        thread = threading.Thread(target=serve)
        thread.start()
        with (
            socket.create_connection(listener.getsockname()) as raw,
            client.wrap_socket(raw, server_hostname=host) as stream,
        ):
            assert stream.recv(5) == b"hello"
        thread.join(5)


def test_common_name_is_cut_at_64_characters() -> None:
    data = c.new_certificate([f"{'a' * 60}.{'b' * 60}"], NOW)
    subject = x509.load_pem_x509_certificate(data["tls.crt"]).subject
    assert len(subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value) == 64


def certificate_without_names() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([])
    certificate = c._builder(subject, subject, key.public_key(), key.public_key(), NOW).sign(key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: dict.fromkeys(d, b""), "missing"),
        (lambda d: {**d, "ca.crt": b""}, "ca.crt is missing"),
        (lambda d: {**d, "tls.crt": b"rubbish"}, "cannot be read or verified (ValueError)"),
        (lambda d: {**d, "tls.key": b"rubbish"}, "cannot be read or verified"),
        (lambda d: {**d, "ca.crt": c.new_certificate(NAMES, NOW)["ca.crt"]}, "cannot be read or verified"),
        (lambda d: {**d, "tls.key": c.new_certificate(NAMES, NOW)["tls.key"]}, "tls.key does not belong to tls.crt"),
        (lambda d: c.new_certificate(["localhost"], NOW), "it names localhost instead of 127.0.0.1, localhost"),
        (lambda d: dict.fromkeys(("ca.crt", "tls.crt"), certificate_without_names()) | {"tls.key": d["tls.key"]},
         "cannot be read or verified (ExtensionNotFound)"),
        (lambda d: c.new_certificate(NAMES, NOW - timedelta(days=701)), "it expires on 2026-05-30"),
    ],
)  # fmt: skip
def test_certificate_problems(change: Any, problem: str) -> None:
    assert problem in c.certificate_problem(change(c.new_certificate(NAMES, NOW)), NAMES, NOW)


def test_certificate_is_kept_until_30_days_are_left() -> None:
    data = c.new_certificate(NAMES, NOW)
    assert c.certificate_problem(data, reversed(NAMES), NOW + timedelta(days=700)) == ""
    assert "expires" in c.certificate_problem(data, NAMES, NOW + timedelta(days=700, seconds=1))


# Values


def test_generated_values_have_the_forms_that_aws_and_seaweedfs_use() -> None:
    one, two = full(), full()
    assert set(one) == set(c.SOURCE_KEYS)
    assert len(one["access_key"]) == 20 and one["access_key"].isalnum()
    assert len(one["secret_key"]) == 40
    assert len(bytes.fromhex(one["sse_kek"].decode())) == 32
    assert all(one[key] != two[key] for key in c.SOURCE_KEYS)
    (identity,) = json.loads(one["s3.json"])["identities"]
    assert identity["credentials"] == [
        {"accessKey": one["access_key"].decode(), "secretKey": one["secret_key"].decode()}
    ]
    assert set(identity["actions"]) == {"Admin", "Read", "Write", "List", "Tagging"}


def test_complete_keeps_what_is_known() -> None:
    data = full()
    assert c.complete(data, wanted(), NOW) == data


# Plan


def test_nothing_to_do() -> None:
    made, known = plan(settled())
    assert (made.steps, made.diff, made.warnings, made.changed) == ([], [], [], False)
    assert None not in known.values()
    assert made.result["secrets"] == ["local-backends/tempo-s3", "tracing/tempo-s3"]
    assert made.result["files"] == {"ca_bundle": None, "credentials": None}
    assert made.result["not_after"] == "2028-04-30T12:00:00Z"


def test_first_run_plans_everything_and_generates_nothing() -> None:
    current = c.Current(
        {"local-backends": None, "tracing": None},
        frozenset({"local-backends", "tracing"}),
        {"s3-ca.crt": None, "s3-credentials.json": None},
    )
    made, known = plan(current, wanted(files_dir="/srv/state"))
    assert names(made) == [
        "create namespace local-backends",
        "create namespace tracing",
        "apply Secret local-backends/tempo-s3",
        "apply Secret tracing/tempo-s3",
        "write /srv/state/s3-ca.crt",
        "write /srv/state/s3-credentials.json",
    ]
    assert set(known.values()) == {None}
    assert made.warnings == []
    assert {key: made.result[key] for key in ("ca_fingerprint", "not_after", "revision")} == {
        "ca_fingerprint": None,
        "not_after": None,
        "revision": None,
    }
    assert made.diff[0]["after"] == "labels:\n  pod-security.kubernetes.io/enforce: restricted\n"
    assert made.diff[2]["after"].splitlines() == [f"{key}: (to be generated)" for key in c.SOURCE_KEYS]
    assert made.diff[3]["after"].splitlines() == [f"{key}: (to be generated)" for key in c.COPIED_KEYS]
    assert made.diff[5] == {
        "before_header": "/srv/state/s3-credentials.json",
        "after_header": "/srv/state/s3-credentials.json",
        "before": "",
        "after": "mode: 0600\ncontent: (to be generated)\n",
    }


def test_a_missing_copy_is_made_from_the_source() -> None:
    data = full()
    made, known = plan(c.Current({"local-backends": data, "tracing": None}))
    assert names(made) == ["apply Secret tracing/tempo-s3"]
    assert known == data


def test_a_changed_copy_is_put_right_and_never_used() -> None:
    data = full()
    made, known = plan(c.Current({"local-backends": data, "tracing": {**copy_of(data), "secret_key": b"other"}}))
    assert names(made) == ["apply Secret tracing/tempo-s3"]
    assert known["secret_key"] == data["secret_key"]


def test_a_missing_encryption_key_alone_is_generated() -> None:
    data = full(sse_kek=b"")
    made, known = plan(settled(data))
    assert [key for key in known if known[key] is None] == ["sse_kek"]
    assert names(made) == ["apply Secret local-backends/tempo-s3"]
    assert made.result["revision"] is None and made.result["ca_fingerprint"]


def test_a_stale_identity_file_is_derived_again() -> None:
    made, known = plan(settled(full(**{"s3.json": b"{}"})))
    assert names(made) == ["apply Secret local-backends/tempo-s3"]
    assert None not in known.values()


@pytest.mark.parametrize("half", c.CREDENTIAL_KEYS)
def test_half_a_key_pair_is_replaced_with_a_warning(half: str) -> None:
    made, known = plan(settled(full(**{half: b""})))
    assert {key for key in known if known[key] is None} == {*c.CREDENTIAL_KEYS, "s3.json"}
    assert "half of a key pair" in made.warnings[0]


def test_a_key_pair_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"local-backends/tempo-s3 holds a key pair that is not text"):
        plan(settled(full(secret_key=b"\xff\xfe")))


def test_renewal_replaces_certificate_and_authority_everywhere_and_says_so() -> None:
    current = settled()
    made, known = plan(current, now=NOW + timedelta(days=710))
    assert names(made) == ["apply Secret local-backends/tempo-s3", "apply Secret tracing/tempo-s3"]
    assert {key for key in known if known[key] is None} == set(c.CERTIFICATE_KEYS)
    assert "it expires on 2028-04-30" in made.warnings[0] and "Tempo" in made.warnings[0]


def test_other_names_replace_the_certificate() -> None:
    made, known = plan(settled(), wanted(subject_alt_names=["localhost"]))
    assert known["tls.crt"] is None and known["secret_key"] is not None
    assert "it names 127.0.0.1, localhost, seaweedfs.local-backends.svc instead of localhost" in made.warnings[0]


def test_files_are_compared_by_content_and_mode() -> None:
    data = full()
    contents = c.file_contents(data)
    good = {name: c.LocalFile(contents[name] or b"", c.FILE_MODES[name]) for name in c.FILE_MODES}
    want = wanted(files_dir="/srv/state")
    assert not plan(dataclasses.replace(settled(data), files=good), want)[0].changed
    wide = {**good, "s3-credentials.json": dataclasses.replace(good["s3-credentials.json"], mode=0o644)}
    made, _known = plan(dataclasses.replace(settled(data), files=wide), want)
    assert names(made) == ["write /srv/state/s3-credentials.json"]
    assert made.diff[0]["before"].startswith("mode: 0644") and made.diff[0]["after"].startswith("mode: 0600")
    other = {**good, "s3-ca.crt": dataclasses.replace(good["s3-ca.crt"], content=b"old")}
    assert names(plan(dataclasses.replace(settled(data), files=other), want)[0]) == ["write /srv/state/s3-ca.crt"]


def test_no_value_shows_in_a_plan_and_digests_depend_on_the_key() -> None:
    data = full()
    current = c.Current({"local-backends": {**data, "s3.json": b""}, "tracing": {"access_key": data["access_key"]}})
    made, known = plan(current)
    text = json.dumps([made.diff, made.result, made.warnings, names(made), repr(made.steps)])
    for key in ("access_key", "secret_key", "sse_kek", "tls.key"):
        assert data[key].decode() not in text
    assert c.make_plan(current, wanted(), NOW, b"other")[0].diff != made.diff
    same = [line for line in made.diff[0]["before"].splitlines() if line in made.diff[0]["after"]]
    assert len(same) == len(c.SOURCE_KEYS) - 1, "unchanged values have the same digest on both sides"
    assert c.secret_texts(known) == {data[key].decode() for key in ("access_key", "secret_key", "sse_kek")}


@pytest.mark.parametrize("key", c.SOURCE_KEYS)
def test_the_revision_changes_with_every_value(key: str) -> None:
    data = full()
    other = {**data, key: full()[key]}
    assert c.describe(data)["revision"] == c.describe(dict(data))["revision"]
    assert c.describe(data)["revision"] != c.describe(other)["revision"]


# The world

SECRET = "/api/v1/namespaces/{}/secrets/tempo-s3"


def secret(namespace: str, data: c.Data | None) -> dict[str, Any]:
    encoded = None if data is None else {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"kind": "Secret", "metadata": {"name": "tempo-s3", "namespace": namespace}, "data": encoded}


def namespace(name: str) -> dict[str, Any]:
    return {"kind": "Namespace", "metadata": {"name": name}}


def test_read(tmp_path: Path) -> None:
    data = full()
    (tmp_path / "s3-ca.crt").write_bytes(b"ca")
    (tmp_path / "s3-ca.crt").chmod(0o640)
    kube = FakeKube(secret("local-backends", data), secret("empty", None), namespace("there"))
    current = c.read(kube.client(), wanted(copy_to=["empty", "there", "gone"], files_dir=str(tmp_path)))
    assert current.secrets == {"local-backends": data, "empty": {}, "there": None, "gone": None}
    assert current.missing_namespaces == {"gone"}
    assert current.files == {"s3-ca.crt": c.LocalFile(b"ca", 0o640), "s3-credentials.json": None}


def test_apply_then_read_leaves_nothing_to_do(tmp_path: Path) -> None:
    want, kube = wanted(files_dir=str(tmp_path / "new" / "state")), FakeKube()
    made, known = plan(c.read(kube.client(), want), want)
    values = c.apply(kube.client(), made, known, want, NOW)
    assert [(one.method, one.path) for one in kube.writes] == [
        ("POST", "/api/v1/namespaces"),
        ("POST", "/api/v1/namespaces"),
        ("PATCH", SECRET.format("local-backends")),
        ("PATCH", SECRET.format("tracing")),
    ]
    assert kube.writes[1].document["metadata"] == {
        "name": "tracing",
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    }
    assert set(kube.writes[2].document["data"]) == set(c.SOURCE_KEYS)
    assert set(kube.writes[3].document["data"]) == {"access_key", "secret_key", "ca.crt"}
    ca, pair = (want.file_paths[name] for name in ("s3-ca.crt", "s3-credentials.json"))
    assert ca.read_bytes() == values["ca.crt"]
    assert json.loads(pair.read_text()) == {key: values[key].decode() for key in c.CREDENTIAL_KEYS}
    assert [stat.S_IMODE(path.stat().st_mode) for path in (ca, pair)] == [0o644, 0o600]
    assert sorted(path.name for path in ca.parent.iterdir()) == ["s3-ca.crt", "s3-credentials.json"]
    assert made.result["revision"] and made.result["ca_fingerprint"]
    again, _known = plan(c.read(kube.client(), want), want)
    assert not again.changed
    assert again.result == made.result


def test_a_namespace_that_appeared_meanwhile_is_fine() -> None:
    kube = FakeKube()
    made, known = plan(c.read(kube.client(), wanted()))
    for name in ("local-backends", "tracing"):
        kube.put(namespace(name))
    c.apply(kube.client(), made, known, wanted(), NOW)
    assert [one.method for one in kube.writes] == ["POST", "POST", "PATCH", "PATCH"]


def test_a_refused_step_is_named_without_any_value() -> None:
    kube = FakeKube()
    kube.refuse(f"PATCH {SECRET.format('tracing')}")
    made, known = plan(c.read(kube.client(), wanted()))
    with pytest.raises(PartialFailure, match="step 'apply Secret tracing/tempo-s3' failed") as caught:
        c.apply(kube.client(), made, known, wanted(), NOW)
    assert caught.value.details["done"][-1] == "apply Secret local-backends/tempo-s3"
    secret_key = base64.b64decode(kube.objects[SECRET.format("local-backends")]["data"]["secret_key"]).decode()
    assert secret_key not in str(caught.value) + repr(caught.value.details)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(TracingError, match=r"cannot be read: Is a directory.*files_dir"):
        c.read_file(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(TracingError, match=r"cannot be written: .*files_dir"):
        c.write_file(tmp_path / "file" / "s3-ca.crt", b"x", 0o644)
    (tmp_path / "taken" / "full").mkdir(parents=True)
    with pytest.raises(TracingError, match="taken cannot be written"):
        c.write_file(tmp_path / "taken", b"x", 0o644)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken"], "no temporary file is left"
