# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Default encryption of new objects. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import (
    Aspect,
    Call,
    Document,
    Parts,
    Target,
    set_,
)

ALGORITHMS = {"sse_s3": "AES256", "sse_kms": "aws:kms", "dsse_kms": "aws:kms:dsse"}
# AWS's own key for S3, which is used where no key is named.
DEFAULT_KEY = "alias/aws/s3"


def algorithm(params: dict[str, Any]) -> str | None:
    """The API's name for the value of the option encryption, which takes both names; None for none."""
    given = params.get("encryption")
    return ALGORITHMS.get(given, given) if given not in (None, "none") else None


def parse(answer: dict[str, Any]) -> Document:
    """The one rule that a bucket has, flat: SSEAlgorithm, and where set KMSMasterKeyID, BucketKeyEnabled, …"""
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules") or []
    default = rules[0].get("ApplyServerSideEncryptionByDefault") if rules else None
    if not default:
        return None
    document = {"SSEAlgorithm": default["SSEAlgorithm"]}
    # Bucket keys exist for KMS only; without it, AWS's answer depends on how the bucket was created.
    if default["SSEAlgorithm"] != "AES256":
        document["BucketKeyEnabled"] = bool(rules[0].get("BucketKeyEnabled"))
    if default.get("KMSMasterKeyID"):
        document["KMSMasterKeyID"] = default["KMSMasterKeyID"]
    if rules[0].get("BlockedEncryptionTypes"):
        document["BlockedEncryptionTypes"] = rules[0]["BlockedEncryptionTypes"]
    return document


def same_key(given: str, current: str, kms_key_arn: str = "") -> bool:
    """Whether two names mean one key, as far as the names show: ARN, id, alias, or the ARN of an alias.

    kms_key_arn: the ARN that KMS gives for the first one.
    Source: https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
    """
    if current in (given, kms_key_arn):
        return True
    # Two ARNs may differ in nothing but account or region.
    return _name(given) == _name(current) and not (given.startswith("arn:") and current.startswith("arn:"))


def _name(key: str) -> str:
    """The part of an ARN after the account, without "key/"; an alias keeps its "alias/"."""
    return key.rsplit(":", 1)[-1].removeprefix("key/")


def unresolved(params: dict[str, Any], current: Document) -> str:
    """The alias that KMS has to be asked about, because the store names a key by its id or ARN; "" if none."""
    given, present = params.get("kms_key_id") or "", (current or {}).get("KMSMasterKeyID") or ""
    both = bool(given and present) and _name(given).startswith("alias/") and not _name(present).startswith("alias/")
    return given if both else ""


def wanted(params: dict[str, Any], current: Document, target: Target) -> Document:
    """BlockedEncryptionTypes is in the same document but no option sets it, so it is kept.

    AWS encrypts every bucket at least with AES256, so there encryption "none" can mean no more than that.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html
    """
    kept = {k: v for k, v in (current or {}).items() if k == "BlockedEncryptionTypes"}
    name = algorithm(params)
    if name is None:
        return current if current == {"SSEAlgorithm": "AES256", **kept} and not target.custom else None
    document: dict[str, Any] = {"SSEAlgorithm": name, **kept}
    if name != "AES256":
        document["BucketKeyEnabled"] = bool(params.get("bucket_key_enabled"))
        present, given = (current or {}).get("KMSMasterKeyID") or "", params.get("kms_key_id") or ""
        if present and same_key(given or DEFAULT_KEY, present, target.kms_key_arn):
            # Stores answer with the ARN of what was given as an id or alias.
            document["KMSMasterKeyID"] = present
        elif given:
            document["KMSMasterKeyID"] = given
    return document


def write(document: Document) -> Call:
    if document is None:
        return Call("delete_bucket_encryption", "s3:PutEncryptionConfiguration")
    default = {k: document[k] for k in ("SSEAlgorithm", "KMSMasterKeyID") if k in document}
    rule: dict[str, Any] = {"ApplyServerSideEncryptionByDefault": default}
    rule.update({k: document[k] for k in ("BucketKeyEnabled", "BlockedEncryptionTypes") if k in document})
    return Call(
        "put_bucket_encryption",
        "s3:PutEncryptionConfiguration",
        {"ServerSideEncryptionConfiguration": {"Rules": [rule]}},
    )


def options(document: Document, target: Target) -> dict[str, Any]:
    """Nothing for an algorithm that the option encryption does not have."""
    if document is None:
        return {"encryption": "none"}
    name = next((name for name, value in ALGORITHMS.items() if value == document["SSEAlgorithm"]), None)
    given = {
        "encryption": name,
        "kms_key_id": document.get("KMSMasterKeyID"),
        "bucket_key_enabled": document.get("BucketKeyEnabled"),
    }
    return {key: value for key, value in given.items() if value is not None} if name else {}


def parts_of(document: Document) -> list[str]:
    return ["bucket_key_enabled"] if document.get("BucketKeyEnabled") else []


def only(document: Document, kept: frozenset[str]) -> Document:
    return document if kept or "BucketKeyEnabled" not in document else {**document, "BucketKeyEnabled": False}


ASPECT = Aspect(
    option="encryption",
    asked=set_("encryption"),
    read=Call("get_bucket_encryption", "s3:GetEncryptionConfiguration"),
    absent=frozenset({"ServerSideEncryptionConfigurationNotFoundError", "NoSuchEncryptionConfiguration"}),
    parse=parse,
    wanted=wanted,
    write=write,
    options=options,
    parts=Parts(parts_of, only),
    fresh={"SSEAlgorithm": "AES256"},
)
