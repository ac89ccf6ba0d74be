# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Grafana's HTTP API: one connection, JSON in and out, refusals as errors that say what to do.

Only endpoints by uid are used, which Grafana 11 to 13 have; those by numeric id are off since 13.0.
Source: https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    ApiError,
    Conflict,
    InvalidInput,
    NotFound,
    PermissionDenied,
    TracingError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.secrets import SHORTEST_SECRET

URL, TOKEN = "GRAFANA_URL", "GRAFANA_TOKEN"
OLDEST = (11, 0)
# The options of every module that talks to Grafana.
GRAFANA_OPTIONS: dict[str, dict[str, Any]] = {
    "url": {"type": "str"},
    "token": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "ca_cert": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 30},
}
BY_STATUS: dict[int, type[TracingError]] = {
    401: PermissionDenied,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    412: Conflict,
}
REMEDIES = {
    401: "Check the option token (a service account's, not expired, of this Grafana), or username and password.",
    403: "Give the service account the role Admin, or the permission that is named.",
    412: "Run again; if somebody else keeps changing it, agree on who does.",
    429: "Run again later.",
}
_NAMES = re.compile(r"Permissions? needed: (.+)")


class Grafana:
    """A Grafana. calls counts the requests made, for tests and results.

    url: with the path under which Grafana is served. timeout: seconds that an answer may take. secrets: what no
    message may show.
    """

    def __init__(self, url: str, pool: Any, headers: Mapping[str, str], timeout: float, secrets: Iterable[str]) -> None:
        self.url, self._pool, self._headers, self._timeout = url.rstrip("/"), pool, dict(headers), timeout
        self.secrets: set[str] = set()
        self.hide(*secrets)
        self.calls = 0
        self._lock = threading.Lock()

    @classmethod
    def connect(cls, params: Mapping[str, Any]) -> Grafana:
        """With the options of GRAFANA_OPTIONS. Nothing is sent yet. InvalidInput for options that cannot work."""
        url = str(params.get("url") or os.environ.get(URL, "")).strip()
        token = str(params.get("token") or "").strip()
        if not token and not params.get("username"):
            token = os.environ.get(TOKEN, "").strip()
        _check(url, params, token)
        try:
            import urllib3
        except ImportError as error:
            raise InvalidInput(
                "the Python package urllib3 cannot be imported",
                str(error),
                "Install it for the interpreter that runs the module (ansible_python_interpreter).",
            ) from error
        headers = {"Accept": "application/json", "User-Agent": "orion.tracing"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        else:
            basic = f"{params['username']}:{params.get('password') or ''}"
            headers |= urllib3.make_headers(basic_auth=basic)
        secrets = [token, str(params.get("password") or "")]
        return cls(url, _pool(url, params), headers, float(params.get("timeout") or 30), secrets)

    def close(self) -> None:
        self._pool.clear()

    def hide(self, *secrets: str) -> None:
        """Keep these out of every message. Short ones would garble it."""
        self.secrets.update(secret for secret in secrets if len(secret) >= SHORTEST_SECRET)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The document that answers a request; None for an empty body. A refusal raises the matching TracingError.

        path: below the URL, with its parts quoted. headers: further ones.
        """
        status, data = self.exchange(method, path, body, query, headers)
        if status >= 300:
            raise self.refusal(f"{method} {path}", status, data)
        return data

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """The document at a path, or None where there is none (404)."""
        status, data = self.exchange("GET", path, None, query)
        if status == 404:
            return None
        if status >= 300:
            raise self.refusal(f"GET {path}", status, data)
        return data

    def exchange(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """The status and the document of any answer that Grafana itself gives, also of a refusal.

        Unreachable without an answer in time; PermissionDenied for a redirect to a login page; ApiError for another
        redirect, and for a body that is not JSON where one was asked for.
        """
        from urllib3.exceptions import HTTPError

        url = f"{self.url}/{path.lstrip('/')}"
        if query:
            url += "?" + urlencode(query)
        data = None if body is None else json.dumps(body).encode()
        sent = {**self._headers, **(headers or {})}
        if data is not None:
            sent["Content-Type"] = "application/json"
        with self._lock:
            self.calls += 1
        try:
            answer = self._pool.request(
                method, url, body=data, headers=sent, timeout=self._timeout, retries=False, redirect=False
            )
        except HTTPError as error:
            raise Unreachable(
                f"no answer from Grafana at {self.url} within {self._timeout:g} s"
                if _timed_out(error)
                else f"no answer from Grafana at {self.url}",
                self._masked(str(getattr(error, "reason", None) or error)),
                "Check the option url, and that Grafana runs and can be reached from the host that runs the module; "
                "for a slow Grafana raise the option timeout.",
            ) from None
        if 300 <= answer.status < 400:
            raise self._redirected(method, path, answer.headers.get("Location", ""))
        return answer.status, self._document(method, path, answer)

    def refusal(self, what: str, status: int, document: Any) -> TracingError:
        """The error for an HTTP refusal, with Grafana's own message."""
        found = document if isinstance(document, Mapping) else {}
        why = self._masked(str(found.get("message") or found.get("error") or "").strip())
        remedy = REMEDIES.get(status, "")
        if needed := _NAMES.search(why):
            remedy = f"Give the service account the permission {needed[1].rstrip('.')}, or the role Admin."
        elif status == 412 and found.get("status") == "name-exists":
            remedy = "Give it another uid or title, or remove the other."
        elif status >= 500:
            remedy = "Look at Grafana's log."
        details = {"status": status} | ({"reason": str(found["status"])} if found.get("status") else {})
        return BY_STATUS.get(status, ApiError)(f"{what} of {self.url} answered {status}", why, remedy, **details)

    def _document(self, method: str, path: str, answer: Any) -> Any:
        if not answer.data:
            return None
        try:
            return json.loads(answer.data)
        except ValueError:
            pass
        text = answer.data.decode("utf-8", "replace")
        if answer.status >= 300 and answer.status not in (404, 405):
            # Grafana itself answers in text at times; a proxy answers in HTML.
            return {"message": "an HTML page" if _is_html(text) else text[:300]}
        what = "an HTML page" if _is_html(text) else f"'{self._masked(text[:80])}'"
        raise ApiError(
            f"{method} {path} of {self.url} answered {answer.status} with {what} instead of JSON",
            "this is not Grafana's API, or a proxy in front of it wants a login" if _is_html(text) else "",
            "Check the option url: with the path under which Grafana is served (root_url), and past any login proxy.",
            status=answer.status,
        )

    def _redirected(self, method: str, path: str, location: str) -> TracingError:
        target = urljoin(f"{self.url}/", location)
        where = urlsplit(target)
        if "login" in where.path.lower() or where.hostname not in (None, urlsplit(self.url).hostname):
            return PermissionDenied(
                f"{method} {path} of {self.url} redirects to the login page {where.scheme}://{where.netloc}{where.path}",
                "the request is not let through as that of a service account",
                "Use a URL at which Grafana takes tokens itself, not behind a login proxy, and check the option token.",
            )
        base = target.partition("/api/")[0]
        return ApiError(
            f"{method} {path} of {self.url} redirects to {base}",
            "redirects are not followed: the token would be sent there",
            f"Set the option url to {base}.",
        )

    def _masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def segment(value: str) -> str:
    """A uid or name as a part of a path."""
    return quote(str(value), safe="")


def version_of(health: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """Major and minor version in the answer of /api/health, None where it is hidden."""
    match = re.match(r"(\d+)\.(\d+)", str((health or {}).get("version", "")))
    return (int(match[1]), int(match[2])) if match else None


def _check(url: str, params: Mapping[str, Any], token: str) -> None:
    if not url:
        raise InvalidInput("Grafana's URL is missing", remedy=f"Set the option url, or the environment variable {URL}.")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(f"option url is '{url}', not a URL", remedy="Begin it with http:// or https://.")
    if parts.username or parts.password:
        raise InvalidInput("option url has credentials in it", remedy="Use the option token, or username and password.")
    if parts.query or parts.fragment:
        raise InvalidInput(f"option url is '{url}', with more than a path", remedy="Leave out what follows the path.")
    if not token and not params.get("username"):
        raise InvalidInput(
            "there are no credentials for Grafana",
            remedy=f"Set the option token, or username and password, or the environment variable {TOKEN}.",
        )


def _pool(url: str, params: Mapping[str, Any]) -> Any:
    import ssl

    import urllib3

    parts = urlsplit(url)
    settings: dict[str, Any] = {"maxsize": 8}
    if parts.scheme == "https":
        verify, authorities = params.get("validate_certs", True), params.get("ca_cert")
        settings["cert_reqs"] = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
        if authorities:
            try:
                ssl.create_default_context(cafile=authorities)
            except (OSError, ssl.SSLError) as error:
                raise InvalidInput(f"option ca_cert {authorities} cannot be read", str(error)) from None
            settings["ca_certs"] = authorities
        if not verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(parts.netloc):
        return urllib3.ProxyManager(proxy, **settings)
    return urllib3.PoolManager(**settings)


def _timed_out(error: Exception) -> bool:
    from urllib3.exceptions import ReadTimeoutError

    return isinstance(error, ReadTimeoutError)


def _is_html(text: str) -> bool:
    return text.lstrip()[:15].lower().startswith(("<!doctype", "<html"))
