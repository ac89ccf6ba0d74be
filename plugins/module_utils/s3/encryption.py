# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Default encryption of new objects. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Aspect, Call, Document, Target, set_

ALGORITHMS = {"sse_s3": "AES256", "sse_kms": "aws:kms"}


def parse(answer: dict[str, Any]) -> Document:
    """The one rule that a bucket has, flat: SSEAlgorithm, and where set KMSMasterKeyID, BucketKeyEnabled, …"""
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules") or []
    default = rules[0].get("ApplyServerSideEncryptionByDefault") if rules else None
    if not default:
        return None
    document = {"SSEAlgorithm": default["SSEAlgorithm"]}
    # Bucket keys exist for KMS only; what AWS says about them otherwise depends on how the bucket was made.
    if default["SSEAlgorithm"] != "AES256":
        document["BucketKeyEnabled"] = bool(rules[0].get("BucketKeyEnabled"))
    if default.get("KMSMasterKeyID"):
        document["KMSMasterKeyID"] = default["KMSMasterKeyID"]
    if rules[0].get("BlockedEncryptionTypes"):
        document["BlockedEncryptionTypes"] = rules[0]["BlockedEncryptionTypes"]
    return document


def wanted(params: dict[str, Any], current: Document, target: Target) -> Document:
    """BlockedEncryptionTypes is in the same document but no option sets it, so it is kept.

    AWS encrypts every bucket at least with AES256, so there encryption "none" can mean no more than that.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html
    """
    kept = {k: v for k, v in (current or {}).items() if k == "BlockedEncryptionTypes"}
    if params["encryption"] == "none":
        return current if current == {"SSEAlgorithm": "AES256", **kept} and not target.custom else None
    document = {"SSEAlgorithm": ALGORITHMS[params["encryption"]], **kept}
    if params["encryption"] == "sse_kms":
        document["BucketKeyEnabled"] = bool(params.get("bucket_key_enabled"))
        if params.get("kms_key_id"):
            document["KMSMasterKeyID"] = params["kms_key_id"]
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


ASPECT = Aspect(
    option="encryption",
    asked=set_("encryption"),
    read=Call("get_bucket_encryption", "s3:GetEncryptionConfiguration"),
    absent=frozenset({"ServerSideEncryptionConfigurationNotFoundError", "NoSuchEncryptionConfiguration"}),
    parse=parse,
    wanted=wanted,
    write=write,
    fresh={"SSEAlgorithm": "AES256"},
)
