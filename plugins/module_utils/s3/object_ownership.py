# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Object ownership of a bucket: whether ACLs count, and whose uploaded objects are. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Aspect, Call, Document, Target, set_

# AWS disables ACLs on new buckets since April 2023:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
CHOICES = ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter", "none")


def parse(answer: dict[str, Any]) -> Document:
    """One of CHOICES, None for a bucket without ownership controls."""
    rules = (answer.get("OwnershipControls") or {}).get("Rules") or []
    return (rules[0].get("ObjectOwnership") or None) if rules else None


def wanted(params: dict[str, Any], current: Document, target: Target) -> Document:
    return None if params["object_ownership"] == "none" else params["object_ownership"]


def write(document: Document) -> Call:
    if document is None:
        return Call("delete_bucket_ownership_controls", "s3:PutBucketOwnershipControls")
    return Call(
        "put_bucket_ownership_controls",
        "s3:PutBucketOwnershipControls",
        {"OwnershipControls": {"Rules": [{"ObjectOwnership": document}]}},
    )


def options(document: Document, target: Target) -> dict[str, Any]:
    return {"object_ownership": document or "none"}


ASPECT = Aspect(
    option="object_ownership",
    asked=set_("object_ownership"),
    read=Call("get_bucket_ownership_controls", "s3:GetBucketOwnershipControls"),
    absent=frozenset({"OwnershipControlsNotFoundError"}),
    parse=parse,
    wanted=wanted,
    write=write,
    options=options,
    fresh="BucketOwnerEnforced",
)
