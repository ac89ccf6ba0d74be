# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""A server in the cluster as a pod of the same cluster reaches it: by its own address, with the standard library."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response


class Direct:
    """One server. url: http://HOST:PORT.

    Each request has a connection of its own, so those to a Service are spread over its pods.
    """

    def __init__(self, url: str) -> None:
        self.url = url

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
        """As client.Kube.proxy, of which kind, namespace, name, port and scheme are those of the URL here."""
        target = "/" + path.lstrip("/") + (f"?{urlencode(query, doseq=True)}" if query else "")
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=timeout)
        try:
            connection.request(method, target, body, {"Accept": "*/*", **(headers or {})})
            answer = connection.getresponse()
            return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        except (OSError, HTTPException) as error:
            raise Unreachable(
                f"no answer from {self.url}",
                str(error) or type(error).__name__,
                "Check that its pods run, and that no NetworkPolicy keeps this pod from them.",
            ) from error
        finally:
            connection.close()
