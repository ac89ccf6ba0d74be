# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Tags of a bucket. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import (
    Aspect,
    Call,
    Document,
    Target,
    set_,
    text_of,
)

# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/CostAllocTagging.html
MAX_TAGS, MAX_KEY, MAX_VALUE = 50, 128, 256
SYSTEM = "aws:"


def parse(answer: dict[str, Any]) -> Document:
    """A dictionary, or None for no tags. Some stores leave out an empty value."""
    return {tag["Key"]: tag.get("Value") or "" for tag in answer.get("TagSet") or []} or None


def wanted(params: dict[str, Any], current: Document, target: Target) -> Document:
    """Exactly the given tags. Those that begin with "aws:" are AWS's own and cannot be removed, so they stay."""
    system = {k: v for k, v in (current or {}).items() if k.startswith(SYSTEM)}
    return {**{str(k): text_of(v) for k, v in params["tags"].items()}, **system} or None


def flaws(params: dict[str, Any], target: Target, shape: Any) -> Iterator[InvalidInput]:
    """Values that are not text, keys and values that S3 refuses."""
    given = params["tags"]
    for key, value in given.items():
        name = f"tags: the value of {str(key)[:MAX_KEY]}"
        if isinstance(value, (dict, list, tuple, set)):
            kind = "dictionary" if isinstance(value, dict) else "list"
            yield InvalidInput(f"{name} is a {kind}", "a tag is text", "Write it as one text, such as a,b.")
        elif len(text_of(value)) > MAX_VALUE:
            yield InvalidInput(f"{name} has {len(text_of(value))} characters", f"S3 takes {MAX_VALUE}", "Shorten it.")
        if not 1 <= len(str(key)) <= MAX_KEY:
            yield InvalidInput(
                f"tags: the key {str(key)[:40]!r} has {len(str(key))} characters",
                f"S3 takes 1 to {MAX_KEY}",
                "Shorten it.",
            )
        if str(key).lower().startswith(SYSTEM):
            yield InvalidInput(f"tags: the key {key} begins with {SYSTEM}", "AWS reserves it", "Choose another key.")
    for key, count in Counter(str(key) for key in given).items():
        if count > 1:
            yield InvalidInput(f"tags: the key {key} is there {count} times, as text and as a number", "", "Keep one.")
    if len(given) > MAX_TAGS and not target.custom:
        yield InvalidInput(f"tags: there are {len(given)}", f"AWS takes {MAX_TAGS} for a bucket", "Remove some.")


def write(document: Document) -> Call:
    if document is None:
        return Call("delete_bucket_tagging", "s3:PutBucketTagging")
    tags = [{"Key": key, "Value": value} for key, value in sorted(document.items())]
    return Call("put_bucket_tagging", "s3:PutBucketTagging", {"Tagging": {"TagSet": tags}})


def options(document: Document, target: Target) -> dict[str, Any]:
    return {"tags": {key: value for key, value in (document or {}).items() if not key.startswith(SYSTEM)}}


ASPECT = Aspect(
    option="tags",
    asked=set_("tags"),
    read=Call("get_bucket_tagging", "s3:GetBucketTagging"),
    absent=frozenset({"NoSuchTagSet", "NoSuchTagSetError"}),
    parse=parse,
    wanted=wanted,
    write=write,
    options=options,
    flaws=flaws,
)
