# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What an aspect of a bucket is: one document of its configuration, read, compared and written as a whole. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# A normalised document: JSON-like, two documents mean the same if and only if they are equal. None: nothing is set.
Document = Any


@dataclass(frozen=True)
class Call:
    """One S3 request: boto3's method, the permission it needs, and its arguments besides Bucket."""

    operation: str
    action: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """The bucket that a document is for.

    arn: its ARN; custom: its store is not AWS; exists: it is there already; kms_key_arn: what AWS KMS says that the
    option kms_key_id stands for, "" where nobody asked.
    """

    arn: str
    custom: bool
    exists: bool = True
    kms_key_arn: str = ""


def nothing_more(document: Document) -> None:
    """The usual fallback: a store that refuses the document gets none."""


@dataclass(frozen=True)
class Aspect:
    """One document of a bucket's configuration.

    option: the module's option that it is named by in steps, diffs and messages.
    asked: whether the options say anything about it; if not, it is neither read nor written.
    read: the request; absent: error codes by which stores say that nothing is set.
    parse: the answer, normalised.
    wanted: (options, current document, bucket) → the document that has to be there.
    write: (document) → the request that makes it so; also for None.
    options: (document, bucket) → the module's options that leave it as it is.
    fresh: what AWS sets by itself on a new bucket.
    check: (current, wanted, bucket) raises if the store can never get from one to the other.
    fallback: (document) → (the part that some stores are known to refuse, the document without it), or None.
    """

    option: str
    asked: Callable[[dict[str, Any]], bool]
    read: Call
    absent: frozenset[str]
    parse: Callable[[dict[str, Any]], Document]
    wanted: Callable[[dict[str, Any], Document, Target], Document]
    write: Callable[[Document], Call]
    options: Callable[[Document, Target], dict[str, Any]]
    fresh: Document = None
    check: Callable[[Document, Document, Target], None] = lambda current, wanted, target: None
    fallback: Callable[[Document], tuple[str, Document] | None] = nothing_more


def set_(*options: str) -> Callable[[dict[str, Any]], bool]:
    """The usual asked: one of the options of those names has a value."""
    return lambda params: any(params.get(option) is not None for option in options)
