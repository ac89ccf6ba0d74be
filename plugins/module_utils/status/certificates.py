# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""When certificates end. Only names and dates leave these functions, never a certificate or a key."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import rfc3339
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    InvalidInput,
    NotFound,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.kube import kubeconfig
from ansible_collections.orion.tracing.plugins.module_utils.kube.connection import resolve

BEGIN = b"-----BEGIN CERTIFICATE-----"
SECONDS = 5.0


@dataclass(frozen=True)
class Certificate:
    """where: what has it, in words. not_after: in UTC."""

    where: str
    not_after: datetime

    def result(self, now: datetime) -> dict[str, Any]:
        """days_left: whole days, negative once it has ended."""
        return {
            "where": self.where,
            "not_after": rfc3339(self.not_after),
            "days_left": (self.not_after - now).days,
        }


def ends(pem: bytes) -> datetime:
    """notAfter of the certificate in a PEM that ends first. InvalidInput where none can be read."""
    try:
        from cryptography import x509
    except ImportError as error:
        raise InvalidInput(
            "the Python package cryptography cannot be imported", str(error), "Install it beside the modules."
        ) from error
    try:
        return min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise InvalidInput("the certificate cannot be read", str(error)) from error


def of_secret(secret: Mapping[str, Any]) -> Iterator[Certificate]:
    """One for each key of a Secret that holds certificates. InvalidInput where one of them cannot be read."""
    name = "{namespace}/{name}".format(**secret["metadata"])
    for key, value in sorted((secret.get("data") or {}).items()):
        try:
            content = base64.b64decode(value)
        except (binascii.Error, ValueError):
            continue
        if BEGIN in content:
            yield Certificate(f"Secret {name}, {key}", ends(content))


def of_api_server(host: str) -> Certificate | None:
    """That of the API server, by a connection of its own. host: its URL. None where it is not reached by TLS."""
    parts = urlsplit(host)
    if parts.scheme != "https" or not parts.hostname:
        return None
    try:
        pem = ssl.get_server_certificate((parts.hostname, parts.port or 443), timeout=SECONDS)
    except (OSError, ValueError) as error:
        raise Unreachable(f"no certificate from {host} without a proxy", str(error)) from error
    return Certificate(f"API server {parts.netloc}", ends(pem.encode()))


def of_client(params: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Certificate | None:
    """The client certificate of the kubeconfig, None where it has another way to say who asks. params: the connection
    options of a module. environ: os.environ by default. NotFound where the kubeconfig is not a plain one
    (kube/kubeconfig.py)."""
    environ = os.environ if environ is None else environ
    endpoint = kubeconfig.read(resolve(params, environ).options, environ)
    if endpoint is None:
        raise NotFound(
            "the kubeconfig is read by the kubernetes client", "an exec plugin, OIDC or a proxy is part of it"
        )
    if not endpoint.certificate:
        return None
    try:
        pem = (
            endpoint.certificate if isinstance(endpoint.certificate, bytes) else Path(endpoint.certificate).read_bytes()
        )
    except OSError as error:
        raise InvalidInput("the client certificate of the kubeconfig cannot be read", str(error)) from error
    return Certificate("client certificate of the kubeconfig", ends(pem))
