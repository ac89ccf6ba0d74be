# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What AWX's credentials put into a job's environment is all that modules and helm need.

The variables of AWX's own types are those of its tests and its injectors; the project's types are those of
awx/credential_types.yml.
Source: https://github.com/ansible/awx, awx/main/tests/unit/test_tasks.py (test_k8s_credential,
test_aws_cloud_credential_with_sts_token), and https://github.com/ansible/awx-plugins, injectors.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.helm.cli import environment
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.plugins.module_utils.local.credentials import new_certificate
from ansible_collections.orion.tracing.tests.unit.plugins.fake_grafana import TOKEN as GRAFANA_TOKEN
from ansible_collections.orion.tracing.tests.unit.plugins.fake_grafana import FakeGrafana
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube
from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

ROOT = Path(__file__).parents[4]
TOKEN = "a-bearer-token-of-awx"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAOFAWX", "AWS_SECRET_ACCESS_KEY": "a-secret-key-of-awx"}
SESSION = "a-session-token-of-awx"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.crt, and what a server at 127.0.0.1 needs."""
    folder = tmp_path_factory.mktemp("tls")
    for name, content in new_certificate(["127.0.0.1"], datetime.now(UTC)).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def tls(certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
    return context


@pytest.fixture
def api(tls: ssl.SSLContext) -> Iterator[tuple[FakeKube, str]]:
    kube = FakeKube()
    kube.on("GET /version$", {"major": "1", "minor": "34", "gitVersion": "v1.34.4"})
    # With its type, since helm asks for protobuf first.
    secrets = json.dumps({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}).encode()
    kube.on("GET /api/v1/namespaces/tracing/secrets$", Response(200, {"content-type": "application/json"}, secrets))
    with kube.serving(tls) as url:
        yield kube, url


def bearer(url: str, authority: Path | None, verify: bool = True) -> dict[str, str]:
    """The type "OpenShift or Kubernetes API Bearer Token". authority: the file that AWX writes its CA data to."""
    env = {"K8S_AUTH_HOST": f"{url}/", "K8S_AUTH_API_KEY": TOKEN, "K8S_AUTH_VERIFY_SSL": str(verify)}
    return env | ({"K8S_AUTH_SSL_CA_CERT": str(authority)} if authority else {})


def tokens(kube: FakeKube) -> set[str]:
    return {request.headers.get("authorization", "") for request in kube.asked}


@pytest.mark.parametrize("verified", [True, False])
def test_a_module_needs_nothing_but_the_bearer_token_type(
    verified: bool, api: tuple[FakeKube, str], certificates: Path
) -> None:
    kube, url = api
    env = bearer(url, certificates / "ca.crt") if verified else bearer(url, None, verify=False)
    result = run("helm_release_info", env, release_namespace="tracing")
    assert result["releases"] == [] and tokens(kube) == {f"Bearer {TOKEN}"}
    assert TOKEN not in json.dumps(result)


def test_a_certificate_that_nobody_vouches_for_gets_no_token(api: tuple[FakeKube, str]) -> None:
    kube, url = api
    result = run("helm_release_info", bearer(url, None), release_namespace="tracing")
    assert "CERTIFICATE_VERIFY_FAILED" in result["msg"] and "K8S_AUTH_HOST" in result["msg"]
    assert kube.asked == [] and TOKEN not in json.dumps(result)


@pytest.mark.parametrize("program", ["ORION_HELM", "ORION_HELM3"])
@pytest.mark.parametrize("verified", [True, False])
def test_helm_itself_needs_nothing_but_the_bearer_token_type(
    program: str, verified: bool, api: tuple[FakeKube, str], certificates: Path, tmp_path: Path
) -> None:
    """The token goes to helm in its environment: no kubeconfig is written, so none has to be removed."""
    kube, url = api
    helm = os.environ.get(program) or shutil.which("helm")
    assert helm, f"helm was not found: set {program} to its path (`python -m airgap path helm` prints one)"
    inherited = bearer(url, certificates / "ca.crt") if verified else bearer(url, None, verify=False)
    inherited |= {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TMPDIR": str(tmp_path)}
    with environment({}, inherited) as env:
        argv = [helm, "list", "--namespace", "tracing", "--output", "json"]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    assert tokens(kube) == {f"Bearer {TOKEN}"} and files == []
    assert not any(name.startswith("K8S_AUTH_") for name in env)


class Bucket(Handler):
    """A store that has no bucket, and keeps the headers that it gets."""

    seen: list[dict[str, str]]

    def do_HEAD(self) -> None:
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.answer(404, b"")

    do_GET = do_HEAD


@pytest.fixture
def store(tls: ssl.SSLContext) -> Iterator[tuple[list[dict[str, str]], str]]:
    handler = type("OfATest", (Bucket,), {"seen": []})
    with serving(handler, tls) as url:
        yield handler.seen, url


@pytest.mark.parametrize(
    "session",
    [{}, {"AWS_SECURITY_TOKEN": SESSION}, {"AWS_SESSION_TOKEN": SESSION, "AWS_SECURITY_TOKEN": SESSION}],
    ids=["keys", "older-awx", "awx"],
)
def test_a_bucket_needs_nothing_but_the_aws_type(
    session: dict[str, str], store: tuple[list[dict[str, str]], str], certificates: Path
) -> None:
    seen, url = store
    given = {"bucket": "orion-traces", "endpoint_url": url, "ca_bundle": str(certificates / "ca.crt")}
    result = run("s3_bucket_info", KEYS | session, region="us-east-1", **given)
    assert not result.get("failed") and seen, result
    assert all("AKIAOFAWX/" in headers["authorization"] for headers in seen)
    assert {headers.get("x-amz-security-token", "") for headers in seen} == {SESSION if session else ""}
    assert not any(secret in json.dumps(result) for secret in (KEYS["AWS_SECRET_ACCESS_KEY"], SESSION))


class Loader(yaml.SafeLoader):
    """Reads Ansible's !unsafe as the text that it marks."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def injected(name: str, folder: Path, **inputs: str) -> tuple[dict[str, str], dict[str, str]]:
    """Environment and extra variables of a credential of a type of awx/credential_types.yml."""
    types = yaml.load((ROOT / "awx/credential_types.yml").read_text(), Loader)["controller_credential_types"]
    (found,) = [one for one in types if one["name"].endswith(f" {name}")]
    assert set(inputs) == {one["id"] for one in found["inputs"]["fields"]} == set(found["inputs"]["required"])
    names: dict[str, Any] = {}
    jinja = jinja2.Environment(undefined=jinja2.StrictUndefined)

    def rendered(kind: str) -> dict[str, str]:
        values = {**inputs, "tower": {"filename": names}}
        return {key: jinja.from_string(text).render(values) for key, text in found["injectors"].get(kind, {}).items()}

    for key, text in rendered("file").items():
        names[key.partition(".")[2]] = path = folder / key
        path.write_text(text)
    return rendered("env"), rendered("extra_vars")


def test_the_type_for_other_stores_brings_keys_and_authority(
    store: tuple[list[dict[str, str]], str], certificates: Path, tmp_path: Path
) -> None:
    seen, url = store
    authority = (certificates / "ca.crt").read_text()
    env, extra = injected("S3-compatible store", tmp_path, access_key="AKIAOFAWX", secret_key="s", ca=authority)
    result = run("s3_bucket_info", env, region="us-east-1", bucket="orion-traces", endpoint_url=url)
    assert not result.get("failed") and extra == {}, result
    assert all("AKIAOFAWX/" in headers["authorization"] for headers in seen) and seen


def test_the_type_for_grafana_brings_token_and_url(tmp_path: Path) -> None:
    grafana = FakeGrafana()
    with grafana.serving() as url:
        env, extra = injected("Grafana", tmp_path, url=url, token=GRAFANA_TOKEN)
        result = run("grafana_info", env, url=extra["grafana_url"])
    assert not result.get("failed"), result
    # The token as the modules find it where the role's variable is empty, and not as a variable, which would be shown.
    assert extra == {"grafana_url": url} and GRAFANA_TOKEN not in json.dumps(result)
