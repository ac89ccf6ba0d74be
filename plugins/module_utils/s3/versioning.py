# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Versioning of a bucket. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Aspect, Call, Document, Target, set_


def parse(answer: dict[str, Any]) -> Document:
    """Enabled, Suspended, or None for a bucket that never had it."""
    return answer.get("Status") or None


def wanted(params: dict[str, Any], current: Document, target: Target) -> Document:
    """Versioning cannot be taken back, only suspended; a bucket that never had it stays as it is.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html
    """
    if params["versioning"]:
        return "Enabled"
    return "Suspended" if current else None


def write(document: Document) -> Call:
    return Call("put_bucket_versioning", "s3:PutBucketVersioning", {"VersioningConfiguration": {"Status": document}})


def options(document: Document, target: Target) -> dict[str, Any]:
    return {"versioning": document == "Enabled"}


ASPECT = Aspect(
    option="versioning",
    asked=set_("versioning"),
    read=Call("get_bucket_versioning", "s3:GetBucketVersioning"),
    absent=frozenset(),
    parse=parse,
    wanted=wanted,
    write=write,
    options=options,
)
