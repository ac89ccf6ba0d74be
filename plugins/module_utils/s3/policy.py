# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The bucket policy: the user's statements, and the ready ones that refuse plain HTTP and outdated TLS. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.s3 import model
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Aspect, Call, Document, Target, set_

# The ready statements, by the option that each belongs to.
TLS_SID, VERSION_SID = "DenyInsecureTransport", "DenyOutdatedTls"
READY = {TLS_SID: "tls_only", VERSION_SID: "minimum_tls_version"}
TLS_VERSIONS = ("none", "1.2", "1.3")
VERSION = "2012-10-17"
VERSIONS = (VERSION, "2008-10-17")
EFFECTS = ("Allow", "Deny")
PAIRS = ("Principal", "Action", "Resource")
KEYS = ("Sid", "Effect", *PAIRS, *(f"Not{key}" for key in PAIRS), "Condition")
PRINCIPALS = ("AWS", "Service", "Federated", "CanonicalUser")
# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
MAX_BYTES = 20480
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
    return {**document, "Statement": statements}


def flaws(params: dict[str, Any], target: Target, shape: Any) -> Iterator[InvalidInput]:
    """Everything in the policy that S3 would answer with a bare MalformedPolicy, each with its statement.

    Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html and
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/security_iam_service-with-iam.html
    """
    if params.get("policy") is None:
        return
    try:
        document = given(params["policy"])
    except InvalidInput as error:
        yield error
        return
    version = document.get("Version")
    if version and str(version) not in VERSIONS:
        yield InvalidInput(f"policy: Version {str(version)!r} does not exist", "", f"Write {VERSION}.")
    found = False
    for number, statement in enumerate(document["Statement"], 1):
        label = f"policy: statement {number}" + (f" (Sid {statement['Sid']})" if statement.get("Sid") else "")
        for what, why, remedy in _statement_flaws(statement, target):
            found = True
            yield InvalidInput(f"{label}{what}", why, remedy)
    if not found and not target.custom:
        size = len(json.dumps(wanted(params, None, target), separators=(",", ":")).encode())
        if size > MAX_BYTES:
            yield InvalidInput(f"policy has {size} bytes", f"S3 takes {MAX_BYTES} at most", "Join statements.")


def _statement_flaws(statement: dict[str, Any], target: Target) -> Iterator[tuple[str, str, str]]:
    for key in sorted(set(map(str, statement)) - set(KEYS)):
        right = model.nearest(key, KEYS)
        yield f": {key} is not an element", "", f"Write {right}." if right else f"Elements: {', '.join(KEYS)}."
    for key in ("Effect", *PAIRS):
        if not _has(statement, key):
            yield (
                f" has no {key}",
                "",
                "A bucket policy's statement needs Effect, Principal, Action and Resource (or their Not… forms).",
            )
        elif statement.get(key) and statement.get(f"Not{key}"):
            yield f" has {key} and Not{key}", "they exclude each other", "Keep one of them."
    effect = statement.get("Effect")
    if effect and effect not in EFFECTS:
        yield f": Effect cannot be {effect!r}", "", f"Write {model.nearest(str(effect), EFFECTS) or 'Allow or Deny'}."
    option = READY.get(str(statement.get("Sid")))
    if option:
        yield f": the Sid {statement['Sid']} belongs to the option {option}", "", f"Set {option} instead."
    conditions = statement.get("Condition") or {}
    if not isinstance(conditions, dict) or not all(isinstance(tests, dict) for tests in conditions.values()):
        yield ": Condition is malformed", "", "Write {OPERATOR: {KEY: VALUE}}."
    for key in ("Principal", "NotPrincipal"):
        yield from _principal_flaws(key, statement.get(key))
    for key in ("Action", "NotAction"):
        for action in _list(statement.get(key) or []):
            if not re.match(r"(?i)(s3:.|\*$)", str(action)):
                yield f": {key} {str(action)!r} is not an action of S3", "", "Write s3:GetObject, s3:* and so on."
    for key in ("Resource", "NotResource"):
        for resource in _list(statement.get(key) or []):
            yield from _resource_flaws(key, str(resource), target)


def _principal_flaws(key: str, value: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, dict):
        for kind in sorted(set(map(str, value)) - set(PRINCIPALS)):
            right = model.nearest(kind, PRINCIPALS)
            yield f": {key} has no {kind}", "", f"Write {right}." if right else f"It has {', '.join(PRINCIPALS)}."
    elif value and value != "*":
        yield f": {key} {str(value)!r} is malformed", "a text can only be *", 'Write {AWS: "..."}.'


def _resource_flaws(key: str, resource: str, target: Target) -> Iterator[tuple[str, str, str]]:
    """Resources of other buckets. A bucket's name with a wildcard or a variable in it is left to the store."""
    match = re.fullmatch(r"arn:([^:]*):s3:::([^/*?$]+)(/.*)?", resource, re.DOTALL)
    right = f"Write {target.arn} or {target.arn}/*."
    if match is None:
        if "*" not in resource and "$" not in resource and "?" not in resource:
            yield f": {key} {resource!r} is not the ARN of a bucket", "", right
        return
    partition, bucket = target.arn.split(":")[1], target.arn.rpartition(":")[2]
    if match[2] != bucket or (match[1] != partition and not target.custom):
        yield f": {key} {resource} is not of this bucket", "a bucket's policy can only name its own bucket", right


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
    flaws=flaws,
)
