# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Sends spans to the gateways, OTLP/JSON over HTTP."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ApiError, TimedOut, Unreachable
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response, refusal
from ansible_collections.orion.tracing.plugins.module_utils.kube.proxy import (
    RETRYABLE,
    Proxy,
    from_api_server,
    proxy_denied,
)
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp

OTLP_HTTP_PORT = 4318


class WayIn(Protocol):
    """Where gateways are, and how they are reached: a Pipeline, or what a pod has instead."""

    @property
    def kube(self) -> Proxy: ...

    @property
    def namespace(self) -> str: ...


class Sender:
    """Sends documents to gateways. Counts are exact from any number of threads.

    spans: accepted by a gateway. rejected: refused for good in a partial success. retries: requests sent again.
    """

    def __init__(self, pipeline: WayIn, gateways: Sequence[str], kind: str = "pods") -> None:
        """gateways: names of pods, or of services if that is their kind."""
        self.pipeline, self.gateways, self.kind = pipeline, list(gateways), kind
        self._lock = threading.Lock()
        self.requests = self.retries = self.spans = self.rejected = 0
        self.by_gateway: dict[str, int] = dict.fromkeys(gateways, 0)
        self.last_refusal = ""

    def use(self, gateways: Sequence[str]) -> None:
        """Send to these from now on."""
        with self._lock:
            self.gateways = list(gateways)
            for gateway in gateways:
                self.by_gateway.setdefault(gateway, 0)

    def send(self, document: Mapping[str, Any], first: int, deadline: Deadline) -> int:
        """One request to gateway number first (modulo their count); the next one is asked when it cannot take it. How
        often it was sent again.

        A document may so be sent twice if an answer got lost: Tempo takes the same span once.
        """
        count = otlp.count_spans(document)
        body = gzip.compress(json.dumps(document, separators=(",", ":")).encode(), 1)
        attempt = 0
        while True:
            gateways = self.gateways
            gateway = gateways[(first + attempt) % len(gateways)]
            reason, pause = self._try(gateway, body, count)
            if not reason:
                return attempt
            attempt += 1
            with self._lock:
                self.retries += 1
                self.last_refusal = reason
            if not deadline.wait(pause or min(5.0, 0.25 * 2 ** min(attempt, 5))):
                raise TimedOut(
                    f"the gateways did not accept spans within {deadline.seconds:.0f} s",
                    f"the last of {attempt} attempts: {reason}",
                    "Look at the logs and the memory of the gateway pods.",
                )

    def _try(self, gateway: str, body: bytes, count: int) -> tuple[str, float]:
        """Empty on success, else why the request may be sent again, and the wait that the server asked for."""
        namespace = self.pipeline.namespace
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        with self._lock:
            self.requests += 1
        try:
            answer = self.pipeline.kube.proxy(
                self.kind, namespace, gateway, OTLP_HTTP_PORT, "v1/traces", "POST", body=body, headers=headers
            )
        except Unreachable as error:
            return str(error), 0.0
        if answer.ok:
            rejected = _rejected(answer)
            with self._lock:
                self.spans += count - rejected
                self.rejected += rejected
                self.by_gateway[gateway] += count - rejected
            return "", 0.0
        if answer.status == 403 and from_api_server(answer):
            raise proxy_denied("create", self.kind, namespace, answer)
        refused = refusal(f"POST /v1/traces of gateway {gateway}", answer)
        # A gateway pod may go away while we send (404 by the API server), or not listen yet (its 500 or 503).
        if answer.status in RETRYABLE or (answer.status in (404, 500) and from_api_server(answer)):
            return str(refused), _retry_after(answer)
        raise ApiError(refused.what, refused.why, "Spans of this form were not accepted.", **refused.details)


def _rejected(answer: Response) -> int:
    """Spans refused in a partial success. Source: https://opentelemetry.io/docs/specs/otlp/#partial-success-1"""
    try:
        return int(answer.json()["partialSuccess"]["rejectedSpans"])
    except (ValueError, KeyError, TypeError):
        return 0


def _retry_after(answer: Response) -> float:
    """Seconds of a Retry-After header, at most 30; 0 without one or with a date."""
    try:
        return min(30.0, float(answer.headers["retry-after"]))
    except (KeyError, ValueError):
        return 0.0
