# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""An aspect of a bucket: one document of its configuration, read, compared and written as a whole. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput

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

    arn: its ARN; custom: its store is not AWS; exists: whether it exists already; kms_key_arn: the ARN that AWS KMS
    gives for the option kms_key_id, "" where KMS was not asked.
    """

    arn: str
    custom: bool
    exists: bool = True
    kms_key_arn: str = ""


@dataclass(frozen=True)
class Parts:
    """Parts of a document that some stores lack while they have the rest of it.

    of: (document) → names of the parts in it, in the order in which they are tried.
    only: (document, parts) → the document with these parts alone; None if nothing is left.
    left_out: (document, part) → what goes with the part, for messages.
    common: parts that no store with such a document is known to lack.
    """

    of: Callable[[Document], list[str]]
    only: Callable[[Document, frozenset[str]], Document]
    left_out: Callable[[Document, str], str] = lambda document, part: part
    common: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Aspect:
    """One document of a bucket's configuration.

    option: the module's option that names it in steps, diffs and messages.
    asked: whether the options set it; if not, it is neither read nor written.
    read: the request; absent: error codes by which stores report that nothing is set.
    parse: the answer, normalised.
    wanted: (options, current document, bucket) → the document that has to be there.
    write: (document) → the request that sets it; also for None.
    options: (document, bucket) → the module's options that leave it as it is.
    fresh: what AWS sets by itself on a new bucket.
    flaws: (options, bucket, input shape of the request that writes) → all that the API would refuse in the options.
    check: (current, wanted, bucket) raises if the store can never get from one to the other.
    parts: parts that some stores lack, None where a document is set as a whole or not at all.
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
    flaws: Callable[[dict[str, Any], Target, Any], Iterable[InvalidInput]] = lambda params, target, shape: ()
    check: Callable[[Document, Document, Target], None] = lambda current, wanted, target: None
    parts: Parts | None = None


def set_(*options: str) -> Callable[[dict[str, Any]], bool]:
    """The usual asked: whether one of these options has a value."""
    return lambda params: any(params.get(option) is not None for option in options)


def text_of(value: Any) -> str:
    """A scalar as S3 takes it where it takes text: booleans in lower case, null as nothing."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
