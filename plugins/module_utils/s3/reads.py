# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads about a bucket without botocore, whose import takes longer than all of them together.

Only where everything is given: a custom endpoint, keys, a region and, with https, an authority; and only what is plain:
a GET or HEAD of one document of a bucket that answers with it, or that says it has none. The botocore client is made,
and asked instead, for everything else: writes, other answers, no answer. So it stays the one that retries and explains.
Answers are shaped by botocore's own description of the S3 API, a file that is read without importing it.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import re
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from http.client import responses
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

# The client's methods, the API's names, and what of a bucket they read.
OPERATIONS = {
    "get_bucket_encryption": ("GetBucketEncryption", "encryption"),
    "get_bucket_lifecycle_configuration": ("GetBucketLifecycleConfiguration", "lifecycle"),
    "get_bucket_ownership_controls": ("GetBucketOwnershipControls", "ownershipControls"),
    "get_bucket_policy": ("GetBucketPolicy", "policy"),
    "get_bucket_tagging": ("GetBucketTagging", "tagging"),
    "get_bucket_versioning": ("GetBucketVersioning", "versioning"),
    "get_object_lock_configuration": ("GetObjectLockConfiguration", "object-lock"),
    "get_public_access_block": ("GetPublicAccessBlock", "publicAccessBlock"),
    "head_bucket": ("HeadBucket", ""),
}
# "There is none" and "the store has no such thing"; other refusals are botocore's to judge.
PLAIN_REFUSALS = (404, 405, 501)
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
BUCKET = re.compile(r"[A-Za-z0-9._-]+")


class NotPlain(Exception):
    """Left to botocore."""


def usable(params: dict[str, Any]) -> bool:
    """Whether the options of options.s3_options say everything that botocore would otherwise look for."""
    url = params.get("endpoint_url") or ""
    safe = url.startswith("http://") or params.get("ca_bundle") or params.get("validate_certs") is False
    given = url and safe and params.get("access_key") and params.get("secret_key") and params.get("region")
    path_style = params.get("addressing_style") in (None, "", "path")
    ordinary = path_style and re.fullmatch(r"[A-Za-z0-9-]+", params.get("region") or "") and find_spec("botocore")
    return bool(given and ordinary) and not any(proxy for scheme, proxy in getproxies().items() if scheme != "no")


class Reads:
    """Stands for botocore's S3 client: reads by itself, and makes the client for everything else.

    make: makes the client; timeouts: seconds for connecting and for an answer.
    """

    def __init__(self, params: dict[str, Any], timeouts: tuple[float, float], make: Callable[[], Any]) -> None:
        import urllib3

        self._params, self._make = params, make
        self._lock = threading.Lock()
        self._made: Any = None
        self._shapes: dict[str, Any] = {}
        self.meta = Meta(self, params["endpoint_url"], params["region"])
        context = _context(params) if params["endpoint_url"].startswith("https") else None
        options: dict[str, Any] = {"ssl_context": context, "cert_reqs": context.verify_mode} if context else {}
        timeout = urllib3.Timeout(connect=timeouts[0], read=timeouts[1])
        self._pool = urllib3.PoolManager(maxsize=16, timeout=timeout, retries=False, **options)

    def __getattr__(self, name: str) -> Any:
        return partial(self._read, name) if name in OPERATIONS else getattr(self.client(), name)

    def client(self) -> Any:
        """botocore's client."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
                for event, handler in self.meta.handlers:
                    self._made.meta.events.register(event, handler)
        return self._made

    def close(self) -> None:
        self._pool.clear()
        if self._made:
            self._made.close()

    def _read(self, name: str, **arguments: Any) -> dict[str, Any]:
        from urllib3.exceptions import HTTPError

        if set(arguments) == {"Bucket"} and BUCKET.fullmatch(arguments["Bucket"]):
            try:
                return self._plain(name, arguments["Bucket"])
            except (NotPlain, HTTPError):
                pass
        answer: dict[str, Any] = getattr(self.client(), name)(**arguments)
        return answer

    def _plain(self, name: str, bucket: str) -> dict[str, Any]:
        operation, document = OPERATIONS[name]
        method = "GET" if document else "HEAD"
        url = f"{self._params['endpoint_url'].rstrip('/')}/{bucket}" + (f"?{document}" if document else "")
        headers = signed(method, url, self._params, datetime.now(UTC))
        for _event, handler in self.meta.handlers_of("request-created.s3"):
            handler()
        answer = self._pool.request(method, url, headers=headers, redirect=False)
        if answer.status in PLAIN_REFUSALS:
            raise self._refusal(operation, answer)
        if answer.status != 200:
            raise NotPlain
        received = {key.lower(): value for key, value in answer.headers.items()}
        metadata = {"HTTPStatusCode": 200, "HTTPHeaders": received}
        if not document:
            region = received.get("x-amz-bucket-region")
            return {"ResponseMetadata": metadata, **({"BucketRegion": region} if region else {})}
        return {"ResponseMetadata": metadata, **shaped(self._model(), operation, received, answer.data)}

    @staticmethod
    def _refusal(operation: str, answer: Any) -> Exception:
        from botocore.exceptions import ClientError

        words = {"Code": str(answer.status), "Message": responses[answer.status]}
        if answer.data:
            words = {_tag(node): node.text or "" for node in _xml(answer.data)}
            if "Code" not in words:
                raise NotPlain
        return ClientError({"Error": words, "ResponseMetadata": {"HTTPStatusCode": answer.status}}, operation)

    def _model(self) -> dict[str, Any]:
        with self._lock:
            if not self._shapes:
                self._shapes = model()
        return self._shapes


class Meta:
    """Stands for the client's meta: what the endpoint is, and who wants to know of requests."""

    def __init__(self, reads: Reads, endpoint_url: str, region_name: str) -> None:
        self._reads = reads
        self.endpoint_url, self.region_name = endpoint_url, region_name
        self.handlers: list[tuple[str, Callable[..., None]]] = []
        self.events = self

    def register(self, event: str, handler: Callable[..., None]) -> None:
        self.handlers.append((event, handler))

    def handlers_of(self, event: str) -> list[tuple[str, Callable[..., None]]]:
        return [entry for entry in self.handlers if entry[0] == event]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reads.client().meta, name)


def _context(params: dict[str, Any]) -> ssl.SSLContext:
    from urllib3.util.ssl_ import create_urllib3_context

    unchecked = params.get("validate_certs") is False
    context: ssl.SSLContext = create_urllib3_context(cert_reqs=ssl.CERT_NONE if unchecked else ssl.CERT_REQUIRED)
    if not unchecked:
        context.load_verify_locations(cafile=params["ca_bundle"])
    return context


def signed(method: str, url: str, params: dict[str, Any], now: datetime) -> dict[str, str]:
    """The headers of a request without a body, with its signature. Pure.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    """
    parts = urlsplit(url)
    port = parts.port if parts.port != {"http": 80, "https": 443}[parts.scheme] else None
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "host": f"{host}:{port}" if port else host,
        "x-amz-content-sha256": EMPTY_SHA256,
        "x-amz-date": stamp,
    }
    if params.get("session_token"):
        headers["x-amz-security-token"] = params["session_token"]
    names = ";".join(sorted(headers))
    query = f"{quote(parts.query, safe='-_.~')}=" if parts.query else ""
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    canonical = "\n".join([method, quote(parts.path, safe="/-_.~"), query, *lines, "", names, EMPTY_SHA256])
    scope = f"{stamp[:8]}/{params['region']}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + params["secret_key"].encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    credential = f"Credential={params['access_key']}/{scope}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={key.hex()}"
    return headers


def model() -> dict[str, Any]:
    """botocore's description of the S3 API."""
    spec = find_spec("botocore")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "data/s3/2006-03-01/service-2.json"
        try:
            if path.is_file():
                return dict(json.loads(path.read_bytes()))
            return dict(json.loads(gzip.decompress(path.with_suffix(".json.gz").read_bytes())))
        except (OSError, ValueError) as error:
            raise NotPlain from error
    raise NotPlain


def shaped(model: dict[str, Any], operation: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """What the client's method returns for this answer, without its metadata. Pure."""
    shapes = model["shapes"]
    output = shapes[model["operations"][operation]["output"]["shape"]]
    payload = output.get("payload")
    kind = output["members"][payload]["shape"] if payload else ""
    result: dict[str, Any]
    if kind and shapes[kind]["type"] == "string":
        result = {payload: body.decode()}
    elif kind:
        result = {payload: _structure(shapes, shapes[kind], _xml(body))}
    else:
        result = _structure(shapes, output, _xml(body))
    for member, reference in output["members"].items():
        if reference.get("location") == "header" and reference["locationName"].lower() in headers:
            result[member] = _scalar(shapes[reference["shape"]]["type"], headers[reference["locationName"].lower()])
    return result


def _xml(body: bytes) -> Any:
    from xml.etree import ElementTree

    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise NotPlain from error


def _tag(node: Any) -> str:
    return str(node.tag).rpartition("}")[2]


def _value(shapes: dict[str, Any], name: str, node: Any) -> Any:
    shape = shapes[name]
    if shape["type"] == "structure":
        return _structure(shapes, shape, node)
    if shape["type"] == "list":
        return [_value(shapes, shape["member"]["shape"], child) for child in node]
    return _scalar(shape["type"], node.text or "")


def _scalar(kind: str, text: str) -> Any:
    if kind == "string":
        return text
    if kind == "boolean":
        return text == "true"
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind == "timestamp":
            return datetime.fromisoformat(text)
    except ValueError as error:
        raise NotPlain from error
    raise NotPlain


def _structure(shapes: dict[str, Any], shape: dict[str, Any], node: Any) -> dict[str, Any]:
    result = {}
    for member, reference in shape["members"].items():
        if "location" in reference:
            # In a header.
            continue
        target = shapes[reference["shape"]]
        flat = target["type"] == "list" and (target.get("flattened") or reference.get("flattened"))
        wanted = (target["member"].get("locationName") if flat else None) or reference.get("locationName") or member
        found = [child for child in node if _tag(child) == wanted]
        if found and flat:
            result[member] = [_value(shapes, target["member"]["shape"], child) for child in found]
        elif found:
            result[member] = _value(shapes, reference["shape"], found[0])
    return result
