# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Block Public Access of one bucket. Pure."""

from __future__ import annotations

import re
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import (
    Aspect,
    Call,
    Document,
    Parts,
    Target,
    set_,
)

SETTINGS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
SNAKE = {re.sub(r"\B([A-Z])", r"_\1", name).lower(): name for name in SETTINGS}


def parse(answer: dict[str, Any]) -> Document:
    """All four settings; four times false is the same as none."""
    given = answer.get("PublicAccessBlockConfiguration") or {}
    document = {name: bool(given.get(name)) for name in SETTINGS}
    return document if any(document.values()) else None


def wanted(params: dict[str, Any], current: Document, target: Target) -> Document:
    """A boolean stands for all four settings; a dictionary names them, and what it leaves out is false.

    A name may be written as in amazon.aws, too: block_public_acls.
    """
    value = params["public_access_block"]
    if isinstance(value, dict):
        value = {SNAKE.get(name, name): v for name, v in value.items()}
    else:
        value = dict.fromkeys(SETTINGS, value)
    unknown = sorted(set(value) - set(SETTINGS))
    if unknown:
        raise InvalidInput(
            f"public_access_block has the unknown key {unknown[0]}", "", f"Known keys: {', '.join(SETTINGS)}."
        )
    return parse({"PublicAccessBlockConfiguration": {name: _boolean(name, v) for name, v in value.items()}})


def _boolean(name: str, value: Any) -> bool:
    # The option is raw, so that it takes both forms; values from templates arrive as text.
    try:
        return bool(boolean(value))
    except TypeError:
        remedy = f"Write true or false, or a dictionary of {name}, …"
        raise InvalidInput(f"public_access_block: {value!r} is not a boolean", "", remedy) from None


def write(document: Document) -> Call:
    if document is None:
        return Call("delete_public_access_block", "s3:PutBucketPublicAccessBlock")
    return Call(
        "put_public_access_block",
        "s3:PutBucketPublicAccessBlock",
        {"PublicAccessBlockConfiguration": document},
    )


def options(document: Document, target: Target) -> dict[str, Any]:
    return {"public_access_block": document or False}


def parts_of(document: Document) -> list[str]:
    return [f"public_access_block.{name}" for name in SETTINGS if (document or {}).get(name)]


def only(document: Document, kept: frozenset[str]) -> Document:
    rest = {name: on and f"public_access_block.{name}" in kept for name, on in document.items()}
    return rest if any(rest.values()) else None


ASPECT = Aspect(
    option="public_access_block",
    asked=set_("public_access_block"),
    read=Call("get_public_access_block", "s3:GetBucketPublicAccessBlock"),
    absent=frozenset({"NoSuchPublicAccessBlockConfiguration"}),
    parse=parse,
    wanted=wanted,
    write=write,
    options=options,
    parts=Parts(parts_of, only),
    fresh=dict.fromkeys(SETTINGS, True),
)
