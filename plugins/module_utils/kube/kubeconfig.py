# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Connections of the plain kinds, without the kubernetes client, whose import alone costs more than many requests.

Plain are: a host with a token; a kubeconfig in one file, or as a dictionary, whose user has client certificates or a
token; the service account of a pod. Everything else (exec plugins, OIDC, several files, proxies, passwords) and
everything that is wrong in any way is left to the client, so that it acts, and complains, as it always does.
Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import getproxies

from ansible_collections.orion.tracing.plugins.module_utils.kube.connection import is_loopback
from ansible_collections.orion.tracing.plugins.module_utils.kube.credentials import VAULT

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# The kubelet replaces the file long before the token in it expires; the kubernetes client reads as often.
TOKEN_SECONDS = 60.0
POOL_SIZE = 16

CLUSTER_KEYS = frozenset(
    {
        "certificate-authority",
        "certificate-authority-data",
        "extensions",
        "insecure-skip-tls-verify",
        "server",
        "tls-server-name",
    }
)
USER_KEYS = frozenset(
    {
        "client-certificate",
        "client-certificate-data",
        "client-key",
        "client-key-data",
        "extensions",
        "token",
        "tokenFile",
    }
)


class NotPlain(Exception):
    """Left to the kubernetes client."""


@dataclass
class ApiEndpoint:
    """An API server and how to speak to it.

    authority, certificate, key: a path, PEM in bytes, or None (for authority: those that the system trusts).
    server_name: the name that the certificate is checked against; "" for the host's own.
    """

    host: str
    authority: str | bytes | None = None
    certificate: str | bytes | None = None
    key: str | bytes | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    token_file: str = ""
    verify: bool = True
    server_name: str = ""
    _read_at: float = field(default=0.0, repr=False, compare=False)

    def authorization(self) -> str:
        """The header's value, "" for none. A token in a file is read again every minute."""
        if self.token_file and time.monotonic() - self._read_at > TOKEN_SECONDS:
            self.token = Path(self.token_file).read_text(encoding="utf-8").strip()
            self._read_at = time.monotonic()
        return f"Bearer {self.token}" if self.token else ""


def read(params: Mapping[str, Any], environ: Mapping[str, str]) -> ApiEndpoint | None:
    """The endpoint that the options of a connection lead to; None where the kubernetes client has to find it."""
    try:
        endpoint = _endpoint(params, environ)
        if not is_loopback(endpoint.host) and any(url for scheme, url in getproxies().items() if scheme != "no"):
            return None
        endpoint.authorization()
    except (NotPlain, ImportError, OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if not endpoint.host.startswith(("http://", "https://")):
        return None
    if params.get("ca_cert"):
        endpoint.authority = params["ca_cert"]
    if params.get("validate_certs") is not None:
        endpoint.verify = params["validate_certs"]
    return endpoint


def _endpoint(params: Mapping[str, Any], environ: Mapping[str, str]) -> ApiEndpoint:
    source = params.get("kubeconfig")
    if params.get("host"):
        return ApiEndpoint(params["host"], token=params.get("api_key") or "")
    if isinstance(source, dict):
        return parse(source, params.get("context"), "")
    paths = _paths(source, environ)
    if len(paths) == 1:
        return parse(_load(paths[0]), params.get("context"), os.path.abspath(os.path.dirname(paths[0])))
    if paths or source:
        raise NotPlain
    return _service_account(environ)


def exec_plugin(params: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """The command of the exec plugin that gives the credentials of the chosen context; "" where there is none."""
    return str((_chosen(params, environ, "user").get("exec") or {}).get("command") or "")


def server(params: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """URL of the API server that the options of a connection lead to, however credentials are found; "" where a
    kubeconfig does not tell."""
    found = str(params.get("host") or "") or str(_chosen(params, environ, "cluster").get("server") or "")
    if found or params.get("kubeconfig") or _paths(None, environ):
        return found
    try:
        return _service_account(environ).host
    except (NotPlain, OSError, KeyError):
        return ""


def _chosen(params: Mapping[str, Any], environ: Mapping[str, str], kind: str) -> Mapping[str, Any]:
    """The user or the cluster of the chosen context, {} where there is none."""
    source = params.get("kubeconfig")
    try:
        documents = [source] if isinstance(source, dict) else [_load(path) for path in _paths(source, environ)]
        # Of several files, the first that sets a value wins.
        name = params.get("context") or next(d["current-context"] for d in documents if d.get("current-context"))
        parts = {part: [entry for d in documents for entry in d.get(part) or []] for part in ("contexts", f"{kind}s")}
        chosen = next(entry["context"] for entry in parts["contexts"] if entry["name"] == name)
        return next(entry[kind] for entry in parts[f"{kind}s"] if entry["name"] == chosen[kind]) or {}
    except (NotPlain, ImportError, OSError, ValueError, TypeError, KeyError, AttributeError, StopIteration):
        return {}


def is_vaulted(path: str) -> bool:
    """Whether a file is encrypted with ansible-vault."""
    try:
        with open(os.path.expanduser(path), "rb") as file:
            return file.read(len(VAULT)) == VAULT.encode()
    except OSError:
        return False


def _paths(source: str | None, environ: Mapping[str, str]) -> list[str]:
    """Files of a kubeconfig. An empty entry, and a file that does not exist, are passed over."""
    named = source or environ.get("KUBECONFIG", "~/.kube/config")
    return [path for path in map(os.path.expanduser, filter(None, named.split(os.pathsep))) if os.path.exists(path)]


def _load(path: str) -> Any:
    import yaml

    with open(path, encoding="utf-8") as file:
        try:
            return yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError as error:
            raise NotPlain from error


def parse(document: Mapping[str, Any], context: str | None, folder: str) -> ApiEndpoint:
    """The endpoint of a context (by default the current one); relative paths start at the folder. NotPlain, or another
    error, where there is anything that this function does not know."""
    chosen = _named(document["contexts"], context or document["current-context"])["context"]
    cluster = _named(document["clusters"], chosen["cluster"])["cluster"]
    user = _named(document["users"], chosen["user"])["user"] or {} if chosen.get("user") else {}
    if not CLUSTER_KEYS.issuperset(cluster) or not USER_KEYS.issuperset(user):
        raise NotPlain
    endpoint = ApiEndpoint(_text(cluster["server"]).rstrip("/"))
    if endpoint.host.startswith("https"):
        endpoint.authority = _file_or_data(cluster, "certificate-authority", folder)
        endpoint.certificate = _file_or_data(user, "client-certificate", folder)
        endpoint.key = _file_or_data(user, "client-key", folder)
    endpoint.verify = not cluster.get("insecure-skip-tls-verify", False)
    endpoint.server_name = _text(cluster.get("tls-server-name") or "")
    if "token" in user:
        endpoint.token = _text(user["token"] or "")
    elif "tokenFile" in user:
        endpoint.token_file = _path(user["tokenFile"], folder)
    return endpoint


def _named(entries: Any, name: str) -> Any:
    found = [entry for entry in entries if entry["name"] == name]
    if len(found) != 1:
        raise NotPlain
    return found[0]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise NotPlain
    return value


def _path(name: Any, folder: str) -> str:
    path = os.path.normpath(os.path.join(folder, _text(name)))
    if not os.path.isfile(path):
        raise NotPlain
    return path


def _file_or_data(entry: Mapping[str, Any], key: str, folder: str) -> str | bytes | None:
    """Data wins over a file, also where it is empty, which is as good as nothing."""
    if f"{key}-data" in entry:
        return base64.standard_b64decode(_text(entry[f"{key}-data"] or "")) or None
    return _path(entry[key], folder) if key in entry else None


def _service_account(environ: Mapping[str, str]) -> ApiEndpoint:
    """Source: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/"""
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
    authority = SERVICE_ACCOUNT / "ca.crt"
    if not host or not port or not authority.read_bytes() or not (SERVICE_ACCOUNT / "token").read_bytes():
        raise NotPlain
    host = f"[{host}]" if ":" in host else host
    return ApiEndpoint(f"https://{host}:{port}", authority=str(authority), token_file=str(SERVICE_ACCOUNT / "token"))


def pool(endpoint: ApiEndpoint) -> Any:
    """A urllib3 pool for it. ImportError without urllib3; OSError or ValueError for certificates that do not load."""
    import urllib3

    if not endpoint.host.startswith("https"):
        return urllib3.PoolManager(maxsize=POOL_SIZE)
    names: dict[str, Any] = {"server_hostname": endpoint.server_name} if endpoint.server_name else {}
    context = _context(endpoint)
    # Both, because either of them alone is not enough for every version of urllib3.
    return urllib3.PoolManager(maxsize=POOL_SIZE, ssl_context=context, cert_reqs=context.verify_mode, **names)


def _context(endpoint: ApiEndpoint) -> ssl.SSLContext:
    """One context for all connections: certificates are parsed once, and lie in a file only while they are read."""
    from urllib3.util.ssl_ import create_urllib3_context

    context: ssl.SSLContext = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if endpoint.verify else ssl.CERT_NONE)
    if isinstance(endpoint.authority, bytes):
        context.load_verify_locations(cadata=endpoint.authority.decode("ascii"))
    elif endpoint.authority:
        context.load_verify_locations(cafile=endpoint.authority)
    else:
        context.load_default_certs()
    if endpoint.certificate:
        with tempfile.TemporaryDirectory(prefix="orion-tracing-") as folder:
            files = [_file(part, folder, name) for name, part in (("c", endpoint.certificate), ("k", endpoint.key))]
            context.load_cert_chain(files[0] or "", files[1], password=_no_password)
    return context


def _file(part: str | bytes | None, folder: str, name: str) -> str | None:
    if not isinstance(part, bytes):
        return part
    path = Path(folder) / name
    path.touch(0o600)
    path.write_bytes(part)
    return str(path)


def _no_password() -> str:
    # Without it, OpenSSL asks the terminal.
    raise ValueError("the client's private key is encrypted")
