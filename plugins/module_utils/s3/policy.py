# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The bucket policy: own statements, and the ready ones that refuse plain HTTP and outdated TLS. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Aspect, Call, Document, Target, set_

# The ready statements, by the option that each belongs to.
TLS_SID, VERSION_SID = "DenyInsecureTransport", "DenyOutdatedTls"
READY = {TLS_SID: "tls_only", VERSION_SID: "minimum_tls_version"}
TLS_VERSIONS = ("none", "1.2", "1.3")
VERSION = "2012-10-17"
ROOT = re.compile(r"^arn:aws[a-z-]*:iam::(\d{12}):root$")


def tls_statement(arn: str) -> dict[str, Any]:
    """Refuses every request that is not made over TLS.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
    """
    return _deny(TLS_SID, arn, {"Bool": {"aws:SecureTransport": "false"}})


def version_statement(arn: str, version: str) -> dict[str, Any]:
    """Refuses every request over a TLS version below this one; to AWS, plain HTTP is below all of them.

    Source: https://repost.aws/knowledge-center/s3-enforce-modern-tls
    """
    return _deny(VERSION_SID, arn, {"NumericLessThan": {"s3:TlsVersion": version}})


def _deny(sid: str, arn: str, condition: dict[str, Any]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": condition,
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


def given(value: Any) -> dict[str, Any]:
    """The option policy as a document. It takes a list of statements, a whole document, or the JSON text of either.

    Version and Id are in it only if they were given.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value or "null")
        except ValueError as error:
            raise InvalidInput("policy is not JSON", str(error), "Give a list of statements or a document.") from error
    document = value if isinstance(value, dict) else {"Statement": value or []}
    statements = document.get("Statement") or []
    statements = [statements] if isinstance(statements, dict) else statements
    unknown = sorted(set(document) - {"Version", "Id", "Statement"})
    if unknown or not isinstance(statements, list) or not all(isinstance(s, dict) for s in statements):
        raise InvalidInput(
            "policy is neither a list of statements nor a document",
            f"unknown key {unknown[0]}" if unknown else "a statement is not a dictionary",
            "A document has Version, Id and Statement.",
        )
    _check(statements)
    return {**document, "Statement": statements}


def _check(statements: list[dict[str, Any]]) -> None:
    for number, statement in enumerate(statements, 1):
        missing = [key for key in ("Effect", "Principal", "Action", "Resource") if not _has(statement, key)]
        if missing:
            raise InvalidInput(
                f"policy: statement {number} has no {missing[0]}",
                "",
                "A bucket policy's statement needs Effect, Principal, Action and Resource (or their Not… forms).",
            )
        option = READY.get(str(statement.get("Sid")))
        if option:
            raise InvalidInput(
                f"policy: the Sid {statement['Sid']} belongs to the option {option}", "", f"Set {option} instead."
            )


def _has(statement: dict[str, Any], key: str) -> bool:
    return bool(statement.get(key)) or bool(statement.get(f"Not{key}"))


def wanted(params: dict[str, Any], current: Document, target: Target) -> Document:
    """policy owns every statement but the ready ones, which belong to their options. Unset, they leave theirs alone."""
    document = dict(current or {})
    before = document.get("Statement", [])
    own = [s for s in before if s.get("Sid") not in READY]
    ready = {s["Sid"]: s for s in before if s.get("Sid") in READY}
    if params.get("policy") is not None:
        document |= given(params["policy"])
        own = document["Statement"]
    if params.get("tls_only") is not None:
        ready.pop(TLS_SID, None)
        if params["tls_only"]:
            ready[TLS_SID] = tls_statement(target.arn)
    if params.get("minimum_tls_version") is not None:
        ready.pop(VERSION_SID, None)
        if params["minimum_tls_version"] != "none":
            ready[VERSION_SID] = version_statement(target.arn, params["minimum_tls_version"])
    return normalise({**document, "Statement": [*own, *ready.values()]})


def write(document: Document) -> Call:
    if document is None:
        return Call("delete_bucket_policy", "s3:DeleteBucketPolicy")
    return Call("put_bucket_policy", "s3:PutBucketPolicy", {"Policy": json.dumps(document)})


def options(document: Document, target: Target) -> dict[str, Any]:
    """A ready Sid with other contents than its option makes is left out, so that nothing changes it."""
    document = document or {"Version": VERSION, "Statement": []}
    ready = {s["Sid"]: s for s in document["Statement"] if s.get("Sid") in READY}
    own = [s for s in document["Statement"] if s.get("Sid") not in READY]
    plain = set(document) == {"Version", "Statement"} and document["Version"] == VERSION
    result: dict[str, Any] = {"policy": own if plain else {**document, "Statement": own}}
    if ready.get(TLS_SID) in (None, _statement(tls_statement(target.arn))):
        result["tls_only"] = TLS_SID in ready
    for version in TLS_VERSIONS:
        made = None if version == "none" else _statement(version_statement(target.arn, version))
        if ready.get(VERSION_SID) == made:
            result["minimum_tls_version"] = version
    return result


ASPECT = Aspect(
    option="policy",
    asked=set_("policy", "tls_only", "minimum_tls_version"),
    read=Call("get_bucket_policy", "s3:GetBucketPolicy"),
    absent=frozenset({"NoSuchBucketPolicy"}),
    parse=parse,
    wanted=wanted,
    write=write,
    options=options,
)
