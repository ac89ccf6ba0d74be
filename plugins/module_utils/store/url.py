# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Servers that options name by a URL: Services of the cluster, or others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit

from ansible.module_utils.urls import open_url
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, NotFound, Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response, refusal
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.proxy import from_api_server, proxy_denied
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import NotNow

# <service>.<namespace>.svc, with or without a cluster domain.
SERVICE = re.compile(r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(\.[a-z0-9.-]+)?\.?")
# What these servers add is not worth a longer wait.
SECONDS = 10.0


def check_url(option: str, url: str, example: str) -> None:
    """InvalidInput for what is not an HTTP URL, and for one with credentials. Nothing is wrong with an empty one."""
    remedy = f"Write the base URL, such as {example}."
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or True)
    except ValueError:
        parts, sound = urlsplit(""), False
    if url and not sound:
        raise InvalidInput(f"option {option} is '{url}', not an HTTP URL", remedy=remedy)
    if parts.username or parts.password:
        raise InvalidInput(f"option {option} has credentials in it", "messages would show them", remedy)


@dataclass(frozen=True)
class UrlEndpoint:
    """The HTTP API of a server by its base URL, without credentials. A Service of the cluster is reached through the
    API server's proxy, any other host directly."""

    kube: Kube
    url: str

    def get(self, path: str, query: Mapping[str, str | int]) -> Response:
        """The server's own answer, whatever its status. NotNow if there is none at the moment."""
        parts = urlsplit(self.url)
        path = f"{parts.path.rstrip('/')}/{path}"
        try:
            if match := SERVICE.fullmatch(parts.hostname or ""):
                port = parts.port or (443 if parts.scheme == "https" else 80)
                return self._proxied(parts.scheme, match[1], match[2], port, path, query)
            address = f"{parts.scheme}://{parts.netloc}{path}?{urlencode(query)}"
            with open_url(address, timeout=SECONDS) as answer:
                return Response(answer.status, {}, answer.read())
        except HTTPError as error:
            return Response(error.code, {}, error.read())
        except Unreachable as error:
            raise NotNow(error.what, error.why, error.remedy) from error
        except (OSError, HTTPException) as error:
            why = error.reason if isinstance(error, URLError) else error
            raise NotNow(f"no answer from {self.url}", str(why)) from error

    def _proxied(
        self, scheme: str, service: str, namespace: str, port: int, path: str, query: Mapping[str, str | int]
    ) -> Response:
        answer = self.kube.proxy(
            "services", namespace, service, port, path, query=dict(query), scheme=scheme, timeout=SECONDS
        )
        if answer.status in (403, 404) and from_api_server(answer):
            if answer.status == 403:
                raise proxy_denied("get", "services", namespace, answer)
            raise NotFound(f"namespace {namespace} has no Service {service} ({self.url})", refusal("", answer).why)
        return answer
