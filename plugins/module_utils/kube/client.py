# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The Kubernetes API: one HTTP session, raw documents, and the way into the cluster's own HTTP servers.

kubeconfig.py reads plain kubeconfigs; the kubernetes client reads the others (exec plugins, OIDC, proxies). Requests
are made on the connection pool directly, because most of what this collection does is proxying and server-side apply
of plain documents, which need no models.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    InvalidInput,
    NotFound,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.kube import credentials, kubeconfig
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response, refusal
from ansible_collections.orion.tracing.plugins.module_utils.kube.connection import (
    Connection,
    is_loopback,
    proxy_variable,
    resolve,
)

FIELD_MANAGER = "orion.tracing"
APPLY_PATCH = "application/apply-patch+yaml"
# How long reads are repeated while the API server is unavailable, as in an upgrade of the control plane.
READ_RETRY_SECONDS = 30.0
# How long a server that refuses every request may take to read its roles.
ROLES_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0
REMEDY = "Check the option kubeconfig, its context, and that the cluster is running."


class Kube:
    """A connected API server. calls counts the requests made, for tests and results.

    patience: seconds that reads go on for, all together, while the server cannot be reached; 0 for none.
    origin: the variables of the environment that chose this server or the way to it, "" for none.
    """

    def __init__(
        self, pool: Any, host: str, authorization: Callable[[], str], owner: Any = None, origin: str = ""
    ) -> None:
        self._pool, self._authorization, self._owner = pool, authorization, owner
        self.host, self.origin = host.rstrip("/"), origin
        self.calls = 0
        self.patience = READ_RETRY_SECONDS
        self._started = False

    @classmethod
    def connect(cls, params: dict[str, Any]) -> Kube:
        """Connect with the options kubeconfig, context, host, api_key, ca_cert, validate_certs (module.KUBE_OPTIONS).

        Without kubeconfig, context, host and api_key: the environment variables (connection.VARIABLES), else the
        default kubeconfig, or the service account of the pod this runs in.
        """
        connection = resolve(params, os.environ)
        endpoint = kubeconfig.read(connection.options, os.environ)
        if endpoint:
            try:
                pool = kubeconfig.pool(endpoint)
                return cls(pool, endpoint.host, endpoint.authorization, origin=connection.origin)
            except (ImportError, OSError, ValueError):
                # The client reports what is wrong.
                pass
        return cls._with_client(connection)

    @classmethod
    def _with_client(cls, connection: Connection) -> Kube:
        try:
            import yaml
            from kubernetes import config
            from kubernetes.client import ApiClient, Configuration
        except ImportError as error:
            raise InvalidInput(
                "the Python package kubernetes cannot be imported",
                str(error),
                "Install it for the interpreter that runs the module (ansible_python_interpreter).",
            ) from error
        configuration, params = Configuration(), connection.options
        source = params["kubeconfig"]
        logged = _Errors()
        logging.getLogger().addHandler(logged)
        try:
            if params["host"]:
                configuration.host = params["host"]
                if params["api_key"]:
                    configuration.api_key["authorization"] = "Bearer " + params["api_key"]
            elif isinstance(source, dict):
                config.load_kube_config_from_dict(source, context=params["context"], client_configuration=configuration)
            else:
                try:
                    config.load_kube_config(
                        config_file=source, context=params["context"], client_configuration=configuration
                    )
                except config.ConfigException:
                    if source:
                        raise
                    config.load_incluster_config(client_configuration=configuration)
        except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, AttributeError) as error:
            where = f"kubeconfig {source}" if isinstance(source, str) else "the kubeconfig"
            if isinstance(source, str) and kubeconfig.is_vaulted(source):
                raise credentials.vaulted(where) from None
            raise InvalidInput(f"{where} cannot be used", str(error), remedy(connection.origin)) from error
        finally:
            logging.getLogger().removeHandler(logged)
        plugin = kubeconfig.exec_plugin(params, os.environ)
        if logged.messages and plugin and not (configuration.api_key or configuration.cert_file):
            raise InvalidInput(
                f"the exec plugin {plugin} of the kubeconfig gave no credentials",
                "; ".join(logged.messages)[:500],
                "Install it on the host the module runs on, and check that it works there: the arguments and variables"
                " are in the kubeconfig, under users.",
            )
        if params["ca_cert"]:
            configuration.ssl_ca_cert = params["ca_cert"]
        if params["validate_certs"] is not None:
            configuration.verify_ssl = params["validate_certs"]
        configuration.connection_pool_maxsize = kubeconfig.POOL_SIZE
        origin = connection.origin
        # A proxy that the kubeconfig names is used as it is.
        if getattr(configuration, "_proxy_from_env", configuration.proxy in getproxies().values()):
            if is_loopback(configuration.host):
                configuration.proxy = None
            elif configuration.proxy and not _bypassed(configuration.host):
                variable = proxy_variable(configuration.host, os.environ)
                origin = Connection(params, {**connection.variables, variable: ""}).origin
        client = ApiClient(configuration)

        def authorization() -> str:
            settings: Any = configuration.auth_settings().values()
            return next((setting["value"] for setting in settings if setting.get("value")), "")

        return cls(client.rest_client.pool_manager, configuration.host, authorization, client, origin)

    def close(self) -> None:
        self._pool.clear()

    def send(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Response:
        """One request to the API server; any answer is returned, only silence raises (Unreachable).

        A read (GET) is repeated, within the patience, where the connection is refused or breaks, and where the answer
        is 429 or 503 with a Retry-After, as an API server gives while it stops or starts. A refusal (401, 403) counts
        only from a server that is ready: until it has read the roles, for about a second, it refuses everybody.
        """
        from urllib3.exceptions import HTTPError

        url = self.host + path
        if query:
            url += "?" + urlencode(query, doseq=True)
        head = {"Accept": "application/json", "User-Agent": FIELD_MANAGER, **(headers or {})}
        pauses = _Pauses(self.patience if method == "GET" else 0.0)
        starting: _Pauses | None = None
        while True:
            authorization = self._authorization()
            if authorization:
                head["authorization"] = authorization
            self.calls += 1
            try:
                answer = self._pool.request(
                    method, url, body=body, headers=head, timeout=timeout, retries=False, redirect=False
                )
            except HTTPError as error:
                self._started = False
                if _went_away(error) and pauses.another():
                    continue
                raise Unreachable(
                    f"no answer from the API server {self.host}", _reason(error), remedy(self.origin)
                ) from error
            wait = answer.headers.get("Retry-After", "") if answer.status in (429, 503) else ""
            if wait.isdigit() and pauses.another(float(wait)):
                continue
            if answer.status in (401, 403) and method == "GET" and self._starts(head):
                starting = starting or _Pauses(min(ROLES_SECONDS, self.patience))
                if starting.another():
                    continue
                self._started = True  # or /readyz is closed to these credentials
            return Response(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.data)

    def _starts(self, headers: dict[str, str]) -> bool:
        """Whether the API server is not ready yet; asked until it is.

        The role system:public-info-viewer allows every user to read /readyz, so a refusal means that the roles have
        not been read yet.
        Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#discovery-roles
        """
        from urllib3.exceptions import HTTPError

        if self._started or not self.patience:
            return False
        self.calls += 1
        try:
            answer = self._pool.request(
                "GET", f"{self.host}/readyz", headers=headers, timeout=5.0, retries=False, redirect=False
            )
        except HTTPError:
            return True
        self._started = answer.status not in (403, 500, 503)
        return not self._started

    def request(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float = 30.0,
    ) -> Any:
        """A request whose body and answer are JSON documents; a refusal raises the matching TracingError."""
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": content_type}
        answer = self.send(method, path, query, data, headers, timeout)
        if not answer.ok:
            raise refusal(f"{method} {path}", answer)
        return answer.json() if answer.body else None

    def get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        """The document at a path, or None where there is none (404)."""
        try:
            return self.request("GET", path, query)
        except NotFound:
            return None

    def list(self, path: str, label_selector: str = "", field_selector: str = "") -> list[dict[str, Any]]:
        """The items of a collection, e.g. /api/v1/namespaces/tracing/pods."""
        query = {k: v for k, v in (("labelSelector", label_selector), ("fieldSelector", field_selector)) if v}
        return self.request("GET", path, query)["items"]

    def apply(
        self,
        path: str,
        document: dict[str, Any],
        dry_run: bool = False,
        force: bool = True,
        manager: str = FIELD_MANAGER,
    ) -> dict[str, Any]:
        """Server-side apply of one document at its own path, under a field manager: this collection's by default."""
        query = {"fieldManager": manager, "force": str(force).lower()}
        if dry_run:
            query["dryRun"] = "All"
        return self.request("PATCH", path, query, document, content_type=APPLY_PATCH)

    def version(self) -> str:
        """The API server's gitVersion, e.g. v1.34.4."""
        return self.request("GET", "/version")["gitVersion"]

    def proxy(
        self,
        kind: str,
        namespace: str,
        name: str,
        port: int | str,
        path: str,
        method: str = "GET",
        query: dict[str, Any] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        scheme: str = "http",
        timeout: float = 30.0,
    ) -> Response:
        """An HTTP request to a Service or Pod inside the cluster, through the API server.

        kind: "services" or "pods". Needs the verb of the method on services/proxy or pods/proxy (get, create, …).
        The API server answers 503 itself when nothing listens there. It drops the Authorization header.
        Source: https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/
        """
        target = f"/api/v1/namespaces/{quote(namespace)}/{kind}/{scheme}:{quote(name)}:{port}/proxy/{path.lstrip('/')}"
        return self.send(method, target, query, body, {"Accept": "*/*", **(headers or {})}, timeout)


def remedy(origin: str) -> str:
    """What to do about a cluster that cannot be used. origin: that of the connection."""
    if not origin:
        return REMEDY
    return f"The environment chose it: {origin}. Unset that, or name the cluster by the option kubeconfig or host."


def _bypassed(url: str) -> bool:
    return bool(proxy_bypass(urlsplit(url).netloc.rpartition("@")[2]))


class _Errors(logging.Handler):
    """What the kubernetes client logs as errors: it goes on without credentials where an exec plugin fails."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


class _Pauses:
    """Pauses of growing length between attempts, until the patience has run out."""

    def __init__(self, patience: float) -> None:
        self._until, self._next = time.monotonic() + patience, FIRST_PAUSE

    def another(self, at_least: float = 0.0) -> bool:
        """Pause and say True, or say False where the time left is too short."""
        pause = max(self._next, at_least)
        if time.monotonic() + pause > self._until:
            return False
        time.sleep(pause)
        self._next = min(2 * self._next, LONGEST_PAUSE)
        return True


def _went_away(error: BaseException | None) -> bool:
    """Whether a connection was refused or broke, rather than a name unknown, a certificate wrong or nothing heard.

    A server behind a forwarded port (kind, a load balancer) is gone when the connection ends within the handshake.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, (ConnectionError, ssl.SSLEOFError)):
            return True
        seen.add(id(error))
        inner = next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        error = inner or error.__cause__ or error.__context__
    return False


def _reason(error: Exception) -> str:
    """urllib3 wraps the socket's words in two layers of its own."""
    return str(getattr(error, "reason", None) or error)
