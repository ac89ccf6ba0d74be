# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""A connection to an S3 store: AWS or anything that speaks its protocol. botocore's errors become TracingErrors."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
import threading
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    ApiError,
    Conflict,
    InvalidInput,
    NotFound,
    PermissionDenied,
    TimedOut,
    TracingError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.kube.connection import is_loopback
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Call
from ansible_collections.orion.tracing.plugins.module_utils.s3.aws import is_aws, partition_of

# The oldest boto3 that is tested, as in requirements.txt, and so the oldest botocore: they have the same numbers.
BOTO3 = (1, 40)
# An endpoint that swallows packets is given up after about (attempts × connect) + back-off = 9 s.
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 2.5, 10, 3

CREDENTIALS_REFUSED = {
    "ExpiredToken": "The session has expired: get new credentials.",
    "ExpiredTokenException": "The session has expired: get new credentials.",
    "InvalidAccessKeyId": "Correct access_key (or AWS_ACCESS_KEY_ID): the store has no such key.",
    "InvalidToken": "session_token (or AWS_SESSION_TOKEN) does not belong to these keys.",
    "RequestTimeTooSkewed": "Set the clock of the machine that runs the module.",
    "SignatureDoesNotMatch": "secret_key (or AWS_SECRET_ACCESS_KEY) does not belong to access_key.",
}
# Answers to requests of a part of the API that a store lacks.
UNSUPPORTED = frozenset(
    {
        # The option encryption takes only algorithms that exist, so the store lacks it.
        "InvalidEncryptionAlgorithmError",
        "MethodNotAllowed",
        "NotImplemented",
        "NotSupported",
        "UnsupportedArgument",
        "UnsupportedOperation",
        "XNotImplemented",
        "405",
        "501",
    }
)
HEAD = Call("head_bucket", "s3:ListBucket")
# What OpenSSL reports where the other side answers in plain HTTP.
PLAIN = re.compile(
    r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|UNKNOWN_PROTOCOL|HTTP_REQUEST|record layer failure", re.IGNORECASE
)
LOCATION = Call("get_bucket_location", "s3:GetBucketLocation")


class Unsupported(TracingError):
    """The store does not have this part of the S3 API."""


class Store:
    """A connected S3 store. Safe to use from several threads.

    endpoint: the URL in use; region: the region that requests are signed for; custom: it is not AWS;
    partition: first part of ARNs after "arn:"; api_calls: HTTP requests sent so far, retries included.
    """

    def __init__(self, client: Any, partition: str = "aws") -> None:
        self._client = client
        self.endpoint: str = client.meta.endpoint_url
        self.region: str = client.meta.region_name
        self.custom = not is_aws(self.endpoint)
        self.partition = "aws" if self.custom else partition
        self.api_calls = 0
        self._lock = threading.Lock()
        client.meta.events.register("request-created.s3", self._count)
        if self.custom:
            client.meta.events.register("before-call.s3", _content_md5)

    @classmethod
    def connect(cls, params: dict[str, Any], read_seconds: float | None = None) -> Store:
        """Connect with the options of options.s3_options. Sends nothing.

        read_seconds: how long an answer may take, READ_SECONDS by default.

        Without keys, botocore looks for credentials in its own order: environment, profile, web identity (IRSA), Pod
        Identity, instance role. It is botocore's client that boto3 hands out, so nothing is lost without boto3's layer
        above, but for the time of its import.
        """
        check_endpoint(params.get("endpoint_url") or "", params.get("name") or "")
        _check_ca(params)
        if bool(params.get("access_key")) != bool(params.get("secret_key")):
            lacking = "secret_key" if params.get("access_key") else "access_key"
            raise InvalidInput(f"{lacking} is missing", "", "Set both access_key and secret_key, or neither.")
        return cls(*_connect(params, read_seconds or READ_SECONDS))

    def close(self) -> None:
        self._client.close()

    def _count(self, **_: Any) -> None:
        with self._lock:
            self.api_calls += 1

    def call(self, bucket: str, call: Call) -> dict[str, Any]:
        """Send one request about a bucket; a refusal raises the matching TracingError (details: code, status)."""
        from botocore.exceptions import BotoCoreError, ClientError

        arguments = {**call.arguments, "Bucket": bucket} if bucket else call.arguments
        try:
            answer: dict[str, Any] = getattr(self._client, call.operation)(**arguments)
        except ClientError as error:
            raise refusal(error.response, call, bucket) from error
        except BotoCoreError as error:
            raise self._silence(error, call, bucket) from error
        return answer

    def read(self, bucket: str, key: str) -> bytes:
        """All of an object. An answer that breaks off in the middle is asked for again, ATTEMPTS times in all."""
        from botocore.exceptions import BotoCoreError

        call = Call("get_object", "s3:GetObject", {"Key": key})
        for attempt in range(1, ATTEMPTS + 1):
            answer = self.call(bucket, call)
            try:
                content: bytes = answer["Body"].read()
            except BotoCoreError as error:
                # call() itself repeats what fails before the answer begins.
                if attempt == ATTEMPTS:
                    raise self._silence(error, call, bucket) from error
            else:
                return content
        raise AssertionError("unreachable")

    def input_shape(self, operation: str) -> Any:
        """The API's model of an operation's arguments, a botocore.model.Shape. operation: boto3's method."""
        name = self._client.meta.method_to_api_mapping[operation]
        return self._client.meta.service_model.operation_model(name).input_shape

    def wait(self, bucket: str) -> None:
        """Until a new bucket is seen by every part of the store, at most 20 s."""
        from botocore.exceptions import WaiterError

        try:
            waiter = self._client.get_waiter("bucket_exists")
            waiter.wait(Bucket=bucket, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        except WaiterError as error:
            raise TimedOut(f"bucket {bucket} was created but is not there", str(error), "Run again.") from error

    def kms_key_arn(self, params: dict[str, Any], region: str, alias: str) -> str:
        """The ARN of the key that an alias of AWS KMS stands for, "" if these credentials may not ask.

        params: those of connect. An alias that does not exist is NotFound.
        """
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.session import get_session

        session = get_session()
        if params.get("access_key"):
            session.set_credentials(params["access_key"], params["secret_key"], params.get("session_token") or None)
        verify = False if params.get("validate_certs") is False else params.get("ca_bundle") or None
        kms = session.create_client("kms", region_name=region, verify=verify)
        kms.meta.events.register("request-created.kms", self._count)
        try:
            return str(kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"])
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NotFoundException":
                raise NotFound(
                    f"kms_key_id {alias} does not exist in {region}", str(error), "Create it, or name another key."
                ) from error
            return ""
        except BotoCoreError:
            return ""
        finally:
            kms.close()

    def head(self, bucket: str) -> dict[str, Any] | None:
        """The answer to HeadBucket, None for a bucket that does not exist.

        The answer to HEAD has no body, so further requests find the reason of a refusal: wrong credentials, a bucket of
        these credentials' account without the permission to use it, another account's bucket.
        """
        try:
            return self.call(bucket, HEAD)
        except NotFound:
            return None
        except (PermissionDenied, ApiError) as error:
            if error.details.get("status") not in (400, 401, 403):
                raise
            return self._why_not(bucket, error)

    def _why_not(self, bucket: str, refused: TracingError) -> dict[str, Any] | None:
        try:
            self.call(bucket, LOCATION)
            there = True
        except NotFound:
            return None
        except (PermissionDenied, ApiError) as error:
            if error.details.get("code") in CREDENTIALS_REFUSED or refused.details.get("status") == 400:
                raise error from refused
            there = False
        missing = f"{HEAD.action} on bucket {bucket} was refused"
        arn = f"arn:{self.partition}:s3:::{bucket}"
        details: dict[str, Any] = {"status": refused.details.get("status"), "code": "AccessDenied"}
        try:
            owned = self.call("", Call("list_buckets", "s3:ListAllMyBuckets")).get("Buckets") or []
            mine = bucket in [entry["Name"] for entry in owned]
            why = "it is not among the buckets of these credentials, and the store does not say whether it exists"
        except TracingError:
            mine, why = False, "the store does not say whether it exists, nor which buckets these credentials have"
        if there or mine:
            why = "the bucket exists and is in reach, but these credentials lack the permission"
            remedy = f"Grant {HEAD.action} on {arn}, or change the bucket policy"
        else:
            remedy = (
                f"If it is yours to create, grant {HEAD.action} and s3:CreateBucket on {arn}; if it is somebody else's "
                "(all accounts share the names), choose another one"
            )
        raise PermissionDenied(missing, why, remedy + self._plain() + ".", **details) from refused

    def _plain(self) -> str:
        # The commonest reason for a sudden 403 from a store of one's own.
        plain = self.endpoint.startswith("http://")
        return "; a policy that allows only TLS also refuses this http:// endpoint" if plain else ""

    def _silence(self, error: Exception, call: Call, bucket: str) -> TracingError:
        from botocore import exceptions as known

        where = f"the S3 endpoint {self.endpoint} (option endpoint_url)"
        if isinstance(error, known.ParamValidationError):
            return _invalid(error, call)
        if isinstance(error, known.SSLError) and PLAIN.search(str(error)):
            return Unreachable(
                f"no TLS connection to {where}",
                f"the server does not answer with TLS on this port ({_reason(error)})",
                "Write the port on which it speaks TLS, or http:// if it has none.",
            )
        if isinstance(error, known.SSLError):
            return Unreachable(
                f"no TLS connection to {where}",
                _reason(error),
                "Set ca_bundle to the certificate authority, and use a host name that the certificate has.",
            )
        if isinstance(error, (known.ConnectionError, known.HTTPClientError)):
            return Unreachable(
                f"no answer from {where}",
                _reason(error),
                "Check host and port, the network between, and that the store is running.",
            )
        if isinstance(
            error,
            (
                known.NoCredentialsError,
                known.PartialCredentialsError,
                known.CredentialRetrievalError,
                known.TokenRetrievalError,
                known.MetadataRetrievalError,
            ),
        ):
            return PermissionDenied(
                f"no usable credentials for {where}",
                str(error),
                "Set access_key and secret_key, AWS_* variables, AWS_PROFILE, or run where a role is attached.",
            )
        return ApiError(f"{call.operation} on bucket {bucket} failed", str(error))


def _connect(params: dict[str, Any], read_seconds: float) -> tuple[Any, str]:
    """botocore's client, and the partition of its region."""
    try:
        from botocore import __version__ as found
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
        from botocore.session import get_session
    except ImportError as error:
        raise InvalidInput(
            "the Python package botocore cannot be imported",
            str(error),
            "Install boto3, which brings it, for the interpreter that runs the module (ansible_python_interpreter).",
        ) from error
    _check_version(found)
    url = params.get("endpoint_url") or ""
    custom = not is_aws(url)
    settings: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": read_seconds,
        "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
        "max_pool_connections": 16,
        "user_agent_extra": "orion.tracing",
        "s3": {"addressing_style": params.get("addressing_style") or ("path" if custom else "auto")},
    }
    if is_loopback(url):
        # No proxy of the environment leads to this machine.
        settings["proxies"] = {}
    if custom:
        # Checksums that botocore adds by itself since 1.36 are refused by many stores (boto/boto3#4392).
        settings["request_checksum_calculation"] = settings["response_checksum_validation"] = "when_required"
    verify: Any = params.get("ca_bundle") or None
    if params.get("validate_certs") is False:
        verify = False
    try:
        session = get_session()
        if params.get("access_key"):
            session.set_credentials(params["access_key"], params["secret_key"], params.get("session_token") or None)
        client = session.create_client(
            "s3",
            endpoint_url=url or None,
            region_name=params.get("region") or session.get_config_variable("region") or "us-east-1",
            verify=verify,
            config=Config(**settings),
        )
        return client, partition_of(client.meta.region_name).name
    except (BotoCoreError, OSError, ValueError) as error:
        raise InvalidInput(
            "the S3 connection options cannot be used",
            str(error),
            "Check region, endpoint_url, ca_bundle and the AWS_* environment variables.",
        ) from error


def check_endpoint(url: str, bucket: str = "") -> None:
    """Refuse an endpoint that is not a URL, holds credentials, or names the bucket, which requests add themselves."""
    try:
        parts = urlsplit(url)
        # Reading it fails for a port that is not a number.
        _port = parts.port
    except ValueError as error:
        # The text may hold a password, so neither it nor the parser's message is shown.
        raise InvalidInput("endpoint_url is not a URL", "", "Write it as https://host[:port].") from error
    if not url:
        return
    if "@" in url:
        raise InvalidInput(
            "endpoint_url holds credentials", "they would be shown in messages", "Use access_key and secret_key."
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(f"endpoint_url {url} is not a URL", "", "Write it as https://host[:port].")
    if parts.query or parts.fragment:
        raise InvalidInput(f"endpoint_url {url} has a query or a fragment", "", "Write it as https://host[:port].")
    in_path = bool(bucket) and bucket in parts.path.split("/")
    if in_path or (bucket and is_aws(url) and parts.hostname.startswith(f"{bucket}.")):
        raise InvalidInput(
            f"endpoint_url {url} names the bucket in its {'path' if in_path else 'host'}",
            "requests would treat it as the first part of an object's key",
            f"Leave {bucket} out of endpoint_url.",
        )


def _check_ca(params: dict[str, Any]) -> None:
    """botocore reports a missing file without its name, and only with the first request."""
    path = params.get("ca_bundle")
    if not path or params.get("validate_certs") is False or urlsplit(params.get("endpoint_url") or "").scheme == "http":
        return
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        # ssl.SSLError, for a file without certificates, is an OSError, too.
        why = error.strerror or str(error)
        raise InvalidInput(f"ca_bundle {path} cannot be used", why, "Name a file of PEM certificates.") from error


def _check_version(found: str) -> None:
    oldest = ".".join(map(str, BOTO3))
    numbers = tuple(int(part) for part in re.findall(r"\d+", found)[:2])
    if numbers < BOTO3:
        raise InvalidInput(
            f"botocore {found} is too old",
            f"the modules for S3 need boto3 and botocore {oldest} or newer",
            f"Run `pip install 'boto3>={oldest}'` for the interpreter that runs the module "
            "(ansible_python_interpreter).",
        )


def region_of(head: dict[str, Any] | None) -> str:
    """The region in the answer to HeadBucket, "" if there is none."""
    headers = (head or {}).get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str((head or {}).get("BucketRegion") or headers.get("x-amz-bucket-region") or "")


def refusal(response: dict[str, Any], call: Call, bucket: str) -> TracingError:
    """The error for an answer of the store that is not a success. Pure; response: botocore's ClientError.response."""
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or (code if code.isdigit() else 0))
    message = str(response.get("Error", {}).get("Message") or "")
    why = ": ".join(part for part in (code, message) if part)
    on = f" on bucket {bucket}" if bucket else ""
    details: dict[str, Any] = {"code": code, "status": status}
    if code in CREDENTIALS_REFUSED:
        return PermissionDenied("the store refuses these credentials", why, CREDENTIALS_REFUSED[code], **details)
    if status in (401, 403):
        return PermissionDenied(
            f"{call.action}{on} was refused",
            why,
            f"Grant {call.action} to these credentials, and check whether the bucket's policy denies it.",
            **details,
        )
    if code in UNSUPPORTED or status in (405, 501):
        return Unsupported(f"the store has no {call.operation}", why, **details)
    if status == 404:
        return NotFound(f"{call.operation}{on} found nothing", why, **details)
    if code == "BucketAlreadyExists":
        return Conflict(
            f"bucket {bucket} belongs to another account",
            why,
            "All accounts of a store share the names of buckets: choose another one.",
            **details,
        )
    if code == "BucketNotEmpty":
        return not_empty(bucket, why)
    if code in ("InvalidBucketState", "InvalidBucketAclWithObjectOwnership"):
        return Conflict(f"{call.operation}{on} conflicts with the bucket's configuration", why, **details)
    if status == 409:
        return Conflict(f"{call.operation}{on} conflicts with another change", why, "Run again in a minute.", **details)
    return ApiError(f"{call.operation}{on} answered {status or code}", why, **details)


def not_empty(bucket: str, why: str = "") -> Conflict:
    """The refusal to delete a bucket that still holds something."""
    return Conflict(
        f"bucket {bucket} is not empty, so it is not deleted",
        why,
        "Delete its objects first, with all their versions and delete markers, or set force_empty: true.",
        code="BucketNotEmpty",
        status=409,
    )


def _invalid(error: Exception, call: Call) -> InvalidInput:
    # botocore's report begins with a heading line of its own.
    lines = [line.strip() for line in str(error).splitlines() if not line.startswith("Parameter validation failed")]
    return InvalidInput(
        f"the arguments of {call.operation} are not valid", "; ".join(lines), "Use boto3's names and types."
    )


def _reason(error: Exception) -> str:
    """The message of urllib3 or of the socket: botocore's own only repeats the URL."""
    inner = getattr(error, "kwargs", {}).get("error")
    inner = getattr(inner, "reason", inner)
    words = next((arg for arg in reversed(getattr(inner, "args", ())) if isinstance(arg, str)), str(inner or error))
    return re.sub(r"^\w*Connection\([^)]*\): ", "", words)


def _content_md5(params: dict[str, Any], **_: Any) -> None:
    """Send Content-MD5 where S3 demands a checksum: botocore sends CRC32 instead, which older stores do not support.

    Source: https://github.com/boto/boto3/issues/4392 and boto/botocore#3415.
    """
    checksum = params.get("context", {}).get("checksum", {})
    if "request_algorithm" not in checksum:
        return
    body = params.get("body") or b""
    body = body.encode() if isinstance(body, str) else body
    if isinstance(body, bytes | bytearray):
        try:
            digest = hashlib.md5(body, usedforsecurity=False).digest()
        except ValueError:
            # Some FIPS builds have no MD5 at all; then botocore's own checksum is the only one (community.aws#2057).
            return
        params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
        checksum.pop("request_algorithm")
        checksum.pop("request_algorithm_header", None)
        for name in [h for h in params["headers"] if h.lower() == "x-amz-sdk-checksum-algorithm"]:
            del params["headers"][name]
