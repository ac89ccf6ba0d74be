# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bucket policy: own statements, and the one that refuses plain HTTP. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Aspect, Call, Document, Target

TLS_SID = "DenyInsecureTransport"
VERSION = "2012-10-17"
ROOT = re.compile(r"^arn:aws[a-z-]*:iam::(\d{12}):root$")


def tls_statement(arn: str) -> dict[str, Any]:
    """Refuses every request that is not made over TLS.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
    """
    return {
        "Sid": TLS_SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def normalise(policy: dict[str, Any]) -> Document:
    """One form for all the ways to write a policy; None for one without statements.

    A list of one is its element, longer lists and the statements are sorted, condition values are text, an account's
    root ARN is its id, and {"AWS": "*"} is "*".
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    statements = policy.get("Statement") or []
    statements = [statements] if isinstance(statements, dict) else statements
    if not statements:
        return None
    document: dict[str, Any] = {"Version": policy.get("Version") or VERSION}
    if policy.get("Id"):
        document["Id"] = policy["Id"]
    document["Statement"] = sorted(
        (_statement(statement) for statement in statements),
        key=lambda s: (s.get("Sid", ""), json.dumps(s, sort_keys=True)),
    )
    return document


def _statement(statement: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in statement.items():
        if key in ("Principal", "NotPrincipal"):
            result[key] = _principal(value)
        elif key == "Condition":
            result[key] = {
                operator: {name: _scalars(v) for name, v in tests.items()} for operator, tests in value.items()
            }
        elif key in ("Action", "NotAction", "Resource", "NotResource"):
            result[key] = _scalars(value)
        elif value not in (None, ""):
            result[key] = value
    return result


def _principal(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    result = {kind: _scalars([ROOT.sub(r"\1", str(name)) for name in _list(names)]) for kind, names in value.items()}
    return "*" if result == {"AWS": "*"} else result


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _scalars(value: Any) -> Any:
    texts = sorted({str(v).lower() if isinstance(v, bool) else str(v) for v in _list(value)})
    return texts[0] if len(texts) == 1 else texts


def parse(answer: dict[str, Any]) -> Document:
    return normalise(json.loads(answer["Policy"])) if answer.get("Policy") else None


def check(statements: list[Any]) -> None:
    """Refuse what cannot be a statement, before anything is sent."""
    for number, statement in enumerate(statements, 1):
        missing = [key for key in ("Effect", "Principal", "Action", "Resource") if not _has(statement, key)]
        if missing:
            raise InvalidInput(
                f"policy: statement {number} has no {missing[0]}",
                "",
                "A bucket policy's statement needs Effect, Principal, Action and Resource (or their Not… forms).",
            )
        if statement.get("Sid") == TLS_SID:
            raise InvalidInput(f"policy: the Sid {TLS_SID} belongs to the option tls_only", "", "Set tls_only instead.")


def _has(statement: dict[str, Any], key: str) -> bool:
    return bool(statement.get(key)) or bool(statement.get(f"Not{key}"))


def wanted(params: dict[str, Any], current: Document, target: Target) -> Document:
    """policy owns every statement but DenyInsecureTransport, tls_only that one. Unset, they leave theirs alone."""
    policy = current or {}
    before = policy.get("Statement", [])
    own = [s for s in before if s.get("Sid") != TLS_SID]
    tls = [s for s in before if s.get("Sid") == TLS_SID]
    if params.get("policy") is not None:
        check(params["policy"])
        own = params["policy"]
    if params.get("tls_only") is not None:
        tls = [tls_statement(target.arn)] if params["tls_only"] else []
    return normalise({**policy, "Statement": [*own, *tls]})


def write(document: Document) -> Call:
    if document is None:
        return Call("delete_bucket_policy", "s3:DeleteBucketPolicy")
    return Call("put_bucket_policy", "s3:PutBucketPolicy", {"Policy": json.dumps(document)})


ASPECT = Aspect(
    option="policy",
    asked=lambda params: params.get("policy") is not None or params.get("tls_only") is not None,
    read=Call("get_bucket_policy", "s3:GetBucketPolicy"),
    absent=frozenset({"NoSuchBucketPolicy"}),
    parse=parse,
    wanted=wanted,
    write=write,
)
