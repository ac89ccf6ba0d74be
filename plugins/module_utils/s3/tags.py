# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Tags of a bucket. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Aspect, Call, Document, Target, set_


def parse(answer: dict[str, Any]) -> Document:
    """A dictionary, or None for no tags. Some stores leave out an empty value."""
    return {tag["Key"]: tag.get("Value") or "" for tag in answer.get("TagSet") or []} or None


def wanted(params: dict[str, Any], current: Document, target: Target) -> Document:
    """Exactly the given tags. Those that begin with "aws:" are AWS's own and cannot be removed, so they stay."""
    system = {k: v for k, v in (current or {}).items() if k.startswith("aws:")}
    return {**{str(k): _text(v) for k, v in params["tags"].items()}, **system} or None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def write(document: Document) -> Call:
    if document is None:
        return Call("delete_bucket_tagging", "s3:PutBucketTagging")
    tags = [{"Key": key, "Value": value} for key, value in sorted(document.items())]
    return Call("put_bucket_tagging", "s3:PutBucketTagging", {"Tagging": {"TagSet": tags}})


def options(document: Document, target: Target) -> dict[str, Any]:
    return {"tags": {key: value for key, value in (document or {}).items() if not key.startswith("aws:")}}


ASPECT = Aspect(
    option="tags",
    asked=set_("tags"),
    read=Call("get_bucket_tagging", "s3:GetBucketTagging"),
    absent=frozenset({"NoSuchTagSet", "NoSuchTagSetError"}),
    parse=parse,
    wanted=wanted,
    write=write,
    options=options,
)
