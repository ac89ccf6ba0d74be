# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""kubeconfig.py against the kubernetes client's own reading of the same files, and against servers that speak TLS."""

from __future__ import annotations

import base64
import copy
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.kube import kubeconfig
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kubernetes import config
from kubernetes.client import Configuration

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


def issue(name: str, issuer: Any = None) -> SimpleNamespace:
    """A certificate with its key: self-signed authority, or issued by one for 127.0.0.1 and the host name api.test."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, signer_key = (issuer.certificate.subject, issuer.key) if issuer else (subject, key)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(signer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(issuer is None, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key()), critical=False)
    )
    if issuer:
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))] if name != "api.test" else [x509.DNSName(name)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    else:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    certificate = builder.sign(signer_key, hashes.SHA256())
    plain = serialization.NoEncryption()
    return SimpleNamespace(
        key=key,
        certificate=certificate,
        pem=certificate.public_bytes(PEM),
        key_pem=key.private_bytes(PEM, PKCS8, plain),
    )


@pytest.fixture(scope="module")
def authority() -> SimpleNamespace:
    return issue("authority")


@pytest.fixture(scope="module")
def client(authority: SimpleNamespace) -> SimpleNamespace:
    return issue("somebody", authority)


@pytest.fixture
def folder(tmp_path: Path, authority: SimpleNamespace, client: SimpleNamespace) -> Path:
    for name, content in (("ca", authority.pem), ("crt", client.pem), ("key", client.key_pem), ("token", b"in-a-file")):
        (tmp_path / name).write_bytes(content)
    return tmp_path


def data(content: bytes) -> str:
    return base64.b64encode(content).decode()


def document(cluster: dict[str, Any], user: dict[str, Any] | None = None, server: str = "https://h:6443/") -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "current-context": "b",
        "contexts": [
            {"name": "a", "context": {"cluster": "other", "user": "other"}},
            {"name": "b", "context": {"cluster": "c", "user": "u", "namespace": "n"} if user else {"cluster": "c"}},
        ],
        "clusters": [
            {"name": "other", "cluster": {"server": "https://other/base"}},
            {"name": "c", "cluster": {"server": server, **cluster}},
        ],
        "users": [{"name": "other", "user": {"token": "other"}}, {"name": "u", "user": user}],
    }


def content(part: str | bytes | None) -> bytes | None:
    return Path(part).read_bytes() if isinstance(part, str) else part


PLAIN = {
    "token": ({"insecure-skip-tls-verify": True}, {"token": "t"}),
    "token before file": ({"certificate-authority": "ca"}, {"token": "t", "tokenFile": "token"}),
    "empty token": ({}, {"token": "", "tokenFile": "token"}),
    "token in a file": ({"certificate-authority": "ca", "tls-server-name": "api.test"}, {"tokenFile": "token"}),
    "files": ({"certificate-authority": "./ca"}, {"client-certificate": "crt", "client-key": "key"}),
    "data": ({"certificate-authority-data": b"ca"}, {"client-certificate-data": b"crt", "client-key-data": b"key"}),
    "data before files": (
        {"certificate-authority-data": b"ca", "certificate-authority": "gone"},
        {"client-certificate-data": b"crt", "client-certificate": "gone", "client-key": "key"},
    ),
    "nothing in the data": ({"certificate-authority-data": ""}, {"client-certificate-data": ""}),
    "everything": ({"certificate-authority": "ca"}, {"token": "t", "client-certificate": "crt", "client-key": "key"}),
    "nobody": ({"insecure-skip-tls-verify": False, "extensions": []}, None),
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("context", [None, "a"])
@pytest.mark.parametrize("source", ["file", "dictionary", "environment", "http"])
def test_the_same_as_the_client_reads(folder: Path, monkeypatch: Any, name: str, context: str, source: str) -> None:
    cluster, user = copy.deepcopy(PLAIN[name])
    for part in (cluster, user or {}):
        for key, value in part.items():
            part[key] = data((folder / value.decode()).read_bytes()) if isinstance(value, bytes) else value
    kube = document(cluster, user, "http://h" if source == "http" else "https://h:6443/")
    path = folder / "config"
    path.write_text(yaml.safe_dump(kube))
    monkeypatch.chdir(folder if source == "dictionary" else "/")
    theirs = Configuration()
    params: dict[str, Any] = {"kubeconfig": kube if source == "dictionary" else str(path), "context": context}
    if source == "dictionary":
        config.load_kube_config_from_dict(kube, context, theirs)
    else:
        config.load_kube_config(str(path), context, theirs)
    environ = {}
    if source == "environment":
        environ = {"KUBECONFIG": f":{folder}/none:{params.pop('kubeconfig')}"}
    ours = kubeconfig.read(params, environ)
    assert ours is not None
    header = next((setting["value"] for setting in theirs.auth_settings().values()), "")
    assert (ours.host, ours.authorization(), ours.verify) == (theirs.host, header, theirs.verify_ssl)
    assert ours.server_name == (theirs.tls_server_name or "")
    files = (theirs.ssl_ca_cert, theirs.cert_file, theirs.key_file)
    assert [content(part) for part in (ours.authority, ours.certificate, ours.key)] == [content(part) for part in files]


def changed(part: str, key: str, value: Any) -> dict[str, Any]:
    kube = document({"certificate-authority-data": ""}, {"token": "t"})
    entries = {"cluster": kube["clusters"][1]["cluster"], "user": kube["users"][1]["user"], "": kube}[part]
    entries[key] = value
    return kube


@pytest.mark.parametrize(
    "kube",
    [
        changed("user", "exec", {"command": "aws"}),
        changed("user", "auth-provider", {"name": "oidc"}),
        changed("user", "username", "u"),
        changed("user", "as", "somebody"),
        changed("user", "token", 1),
        changed("user", "client-key-data", "abc"),
        changed("user", "client-key", "gone"),
        changed("cluster", "proxy-url", "http://proxy"),
        changed("cluster", "server", "h:6443"),
        changed("cluster", "certificate-authority", "gone") | {"clusters": [{"name": "c", "cluster": {"server": 1}}]},
        changed("", "users", []),
        changed("", "contexts", None),
        changed("", "clusters", [{"name": "c", "cluster": {"server": "https://h"}}] * 2),
        changed("", "current-context", None),
        {},
    ],
)
def test_what_is_left_to_the_client(kube: dict[str, Any]) -> None:
    assert kubeconfig.read({"kubeconfig": kube}, {}) is None


@pytest.mark.parametrize("text", ["a: [", "", "- a", "\tx"])
def test_files_that_are_no_kubeconfig_are_left_to_the_client(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    assert kubeconfig.read({"kubeconfig": str(tmp_path / "config")}, {}) is None
    with pytest.raises(InvalidInput, match="config cannot be used"):
        Kube.connect({"kubeconfig": str(tmp_path / "config")})


def test_several_files_and_missing_ones_are_left_to_the_client(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / name).write_text(json.dumps(document({}, {"token": name})))
    assert kubeconfig.read({}, {"KUBECONFIG": f"{folder}/one:{folder}/two"}) is None
    assert kubeconfig.read({"kubeconfig": f"{folder}/none"}, {"KUBECONFIG": f"{folder}/one"}) is None


def test_options_beside_a_kubeconfig(folder: Path) -> None:
    kube = document({"certificate-authority": "gone", "certificate-authority-data": ""}, {"token": "t"})
    options = {"kubeconfig": kube, "ca_cert": str(folder / "ca"), "validate_certs": False}
    endpoint = kubeconfig.read(options, {})
    assert endpoint and (endpoint.authority, endpoint.verify) == (str(folder / "ca"), False)


def test_host_without_a_scheme_and_proxies_are_left_to_the_client(monkeypatch: Any) -> None:
    assert kubeconfig.read({"host": "h:6443"}, {}) is None
    plain = kubeconfig.ApiEndpoint("https://h", token="t")
    assert kubeconfig.read({"host": "https://h", "api_key": "t"}, {}) == plain
    monkeypatch.setenv("no_proxy", "h")
    assert kubeconfig.read({"host": "https://h", "api_key": "t"}, {}) == plain
    monkeypatch.setenv("https_proxy", "http://proxy")
    assert kubeconfig.read({"host": "https://h"}, {}) is None


def test_secrets_do_not_show() -> None:
    shown = repr(kubeconfig.ApiEndpoint("https://h", key=b"secret", token="secret"))
    assert "secret" not in shown


@pytest.fixture
def account(folder: Path, monkeypatch: Any) -> Path:
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", folder)
    (folder / "ca").rename(folder / "ca.crt")
    return folder


IN_CLUSTER = {"KUBECONFIG": "/nowhere", "KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.mark.parametrize(
    ("address", "host"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
def test_service_account_as_the_client_reads_it(account: Path, monkeypatch: Any, address: str, host: str) -> None:
    environ = {**IN_CLUSTER, "KUBERNETES_SERVICE_HOST": address}
    theirs = Configuration()
    loader = config.incluster_config.InClusterConfigLoader(
        str(account / "token"), str(account / "ca.crt"), environ=environ
    )
    loader.load_and_set(theirs)
    ours = kubeconfig.read({}, environ)
    assert ours is not None
    assert ours.host == theirs.host == host
    assert ours.authority == theirs.ssl_ca_cert
    assert ours.authorization().lower() == theirs.auth_settings()["BearerToken"]["value"].lower()
    # Rotated by the kubelet.
    (account / "token").write_text("rotated\n")
    assert ours.authorization() == "Bearer in-a-file"
    monkeypatch.setattr(kubeconfig, "TOKEN_SECONDS", -1.0)
    assert ours.authorization() == "Bearer rotated"


@pytest.mark.parametrize("change", [{"KUBERNETES_SERVICE_HOST": ""}, {"KUBERNETES_SERVICE_PORT": None}, {"token": ""}])
def test_half_a_service_account_is_left_to_the_client(account: Path, change: dict[str, Any]) -> None:
    if "token" in change:
        (account / "token").write_text("")
    environ = {key: value for key, value in {**IN_CLUSTER, **change}.items() if value is not None}
    assert kubeconfig.read({}, environ) is None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        seen = self.connection.getpeercert() or {}
        subject = seen.get("subject") or [[[None, ""]]]
        body = json.dumps({"gitVersion": subject[0][0][1], "authorization": self.headers.get("authorization")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(params=["127.0.0.1", "api.test"])
def server(request: Any, tmp_path: Path, authority: SimpleNamespace) -> Iterator[SimpleNamespace]:
    """Says who the client is by its certificate. Its own certificate is for an address, or for a name alone."""
    own = issue(request.param, authority)
    for name, part in (("s.ca", authority.pem), ("s.crt", own.pem + own.key_pem)):
        (tmp_path / name).write_bytes(part)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "s.ca"))
    context.load_cert_chain(str(tmp_path / "s.crt"))
    context.verify_mode = ssl.CERT_OPTIONAL
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f"https://127.0.0.1:{server.server_port}", name=request.param)
    server.shutdown()
    server.server_close()


def version(kube: dict[str, Any], **options: Any) -> str:
    connected = Kube.connect({"kubeconfig": kube, **options})
    connected.patience = 0.0
    try:
        return connected.version()
    finally:
        connected.close()


def test_client_certificates_are_shown_and_leave_no_file(
    server: SimpleNamespace, folder: Path, authority: Any, client: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder / "tmp"))
    (folder / "tmp").mkdir()
    names = {"tls-server-name": server.name} if server.name == "api.test" else {}
    user = {"client-certificate-data": data(client.pem), "client-key-data": data(client.key_pem)}
    kube = document({"certificate-authority-data": data(authority.pem), **names}, user, server.url)
    monkeypatch.setitem(__import__("sys").modules, "kubernetes", None)
    assert version(kube) == "somebody"
    assert not list((folder / "tmp").iterdir())
    files = {"client-certificate": str(folder / "crt"), "client-key": str(folder / "key")}
    assert version(document({"certificate-authority": str(folder / "ca"), **names}, files, server.url)) == "somebody"


def test_the_servers_certificate_is_checked_unless_told_not_to(server: SimpleNamespace, authority: Any) -> None:
    stranger = issue("stranger")
    user = {"token": "t"}
    for cluster in ({"certificate-authority-data": data(stranger.pem)}, {}):
        kube = document(cluster, user, server.url)
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
            version(kube)
        assert version(kube, validate_certs=False) == ""
    assert version(document({"insecure-skip-tls-verify": True}, user, server.url)) == ""
    right = document({"certificate-authority-data": data(authority.pem)}, user, server.url)
    if server.name == "api.test":
        with pytest.raises(Unreachable, match="127.0.0.1"):
            version(right)
    else:
        assert version(right) == ""


def test_certificates_that_do_not_load_are_the_clients_to_report(client: SimpleNamespace) -> None:
    locked = client.key.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"x"))
    for user in (
        {"client-certificate-data": data(client.pem), "client-key-data": data(locked)},
        {"client-certificate-data": data(b"no PEM"), "client-key-data": data(client.key_pem)},
    ):
        kube = document({}, user, "https://127.0.0.1:9")
        endpoint = kubeconfig.read({"kubeconfig": kube}, {})
        assert endpoint is not None
        with pytest.raises((OSError, ValueError)):
            kubeconfig.pool(endpoint)
        connected = Kube.connect({"kubeconfig": kube})
        connected.patience = 0.0
        with pytest.raises(Unreachable):
            connected.version()
    with pytest.raises((OSError, ValueError)):
        kubeconfig.pool(replace(endpoint, certificate=None, authority=b"\xff"))


def test_the_clients_own_words_about_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(json.dumps(document({"certificate-authority": "gone"}, {"token": "t"})))
    with pytest.raises(InvalidInput, match="File does not exist: .*/gone"):
        Kube.connect({"kubeconfig": str(tmp_path / "config")})


# The server, whoever authenticates


def test_the_server_of_a_context(tmp_path: Path) -> None:
    document = {
        "current-context": "a",
        "clusters": [{"name": one, "cluster": {"server": f"https://{one}.test"}} for one in ("a", "b")],
        "contexts": [{"name": one, "context": {"cluster": one, "user": "u"}} for one in ("a", "b")],
        # an exec plugin is not run
        "users": [{"name": "u", "user": {"exec": {"command": "/nowhere", "apiVersion": "v1"}}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document))
    first = tmp_path / "first"
    first.write_text(yaml.safe_dump({"current-context": "b"}))
    for options, environ, server in (
        ({"kubeconfig": str(path)}, {}, "https://a.test"),
        ({"kubeconfig": str(path), "context": "b"}, {}, "https://b.test"),
        ({"kubeconfig": document, "context": "b"}, {}, "https://b.test"),
        ({}, {"KUBECONFIG": f"{first}:{path}"}, "https://b.test"),
        ({"host": "https://h.test", "kubeconfig": str(path)}, {}, "https://h.test"),
        ({"kubeconfig": str(path), "context": "c"}, {}, ""),
        ({"kubeconfig": str(tmp_path / "none")}, {"KUBECONFIG": str(path)}, ""),
        ({}, {"KUBECONFIG": str(tmp_path / "none")}, ""),
    ):
        assert kubeconfig.server(options, environ) == server
