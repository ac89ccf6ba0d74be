# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Object lock of a bucket: on from its creation, with or without a retention that new objects get. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import (
    Aspect,
    Call,
    Document,
    Parts,
    Target,
    set_,
)

MODES = ("GOVERNANCE", "COMPLIANCE")
PERIODS = ("Days", "Years")
# What a bucket has that was created with object lock.
CREATED: dict[str, Any] = {"ObjectLockEnabled": "Enabled"}


def parse(answer: dict[str, Any]) -> Document:
    """{ObjectLockEnabled: Enabled}, with DefaultRetention where new objects get one; None without object lock."""
    given = answer.get("ObjectLockConfiguration") or {}
    if given.get("ObjectLockEnabled") != "Enabled":
        return None
    retention = (given.get("Rule") or {}).get("DefaultRetention") or {}
    # The unit that is not used is answered as 0 by some stores.
    retention = {key: value for key, value in retention.items() if value}
    return {**CREATED, "DefaultRetention": retention} if retention else CREATED


def retention_of(params: dict[str, Any]) -> dict[str, Any] | None:
    """The option object_lock_default_retention in the API's words; {} for none at all, None if it is not set."""
    given = params.get("object_lock_default_retention")
    if given is None:
        return None
    given = {key.capitalize(): value for key, value in given.items() if value is not None}
    if not given:
        return {}
    periods = [given[period] for period in PERIODS if period in given]
    if given.get("Mode") not in MODES or len(periods) != 1 or periods[0] < 1:
        raise InvalidInput(
            "object_lock_default_retention is incomplete",
            "",
            f"Give mode ({' or '.join(MODES)}) and either days or years, from 1 up; {{}} takes the retention away.",
        )
    return given


def wanted(params: dict[str, Any], current: Document, target: Target) -> Document:
    """What no option speaks of stays: the retention without object_lock_default_retention, the lock without both."""
    enabled, retention = params.get("object_lock_enabled"), retention_of(params)
    if enabled is False:
        if retention:
            raise InvalidInput("object_lock_default_retention needs object_lock_enabled: true")
        return None
    if enabled is None and current is None and not retention:
        return None
    if retention is None:
        return current or CREATED
    return {**CREATED, "DefaultRetention": retention} if retention else CREATED


def check(current: Document, wanted: Document, target: Target) -> None:
    """The lock is a property of a bucket from its creation, and nothing takes it away."""
    if current and wanted is None:
        raise Conflict(
            "the bucket has object lock, which cannot be turned off", "", "Unset object_lock_enabled, or make it true."
        )
    if current or wanted is None:
        return
    if target.exists:
        raise Conflict(
            "the bucket exists without object lock, which this module sets only when it creates a bucket",
            "",
            "Create another bucket with object_lock_enabled: true and move the objects there, or unset "
            "object_lock_enabled and object_lock_default_retention.",
        )
    raise InvalidInput("object_lock_default_retention needs object_lock_enabled: true for a new bucket")


def write(document: Document) -> Call:
    retention = document.get("DefaultRetention")
    rule = {"Rule": {"DefaultRetention": retention}} if retention else {}
    return Call(
        "put_object_lock_configuration",
        "s3:PutBucketObjectLockConfiguration",
        {"ObjectLockConfiguration": {**CREATED, **rule}},
    )


def options(document: Document, target: Target) -> dict[str, Any]:
    if document is None:
        return {"object_lock_enabled": False}
    retention = {key.lower(): value for key, value in document.get("DefaultRetention", {}).items()}
    return {"object_lock_enabled": True, "object_lock_default_retention": retention}


def parts_of(document: Document) -> list[str]:
    return ["object_lock_default_retention"] if "DefaultRetention" in document else []


def only(document: Document, kept: frozenset[str]) -> Document:
    return document if kept else CREATED


ASPECT = Aspect(
    option="object_lock",
    asked=set_("object_lock_enabled", "object_lock_default_retention"),
    read=Call("get_object_lock_configuration", "s3:GetBucketObjectLockConfiguration"),
    absent=frozenset({"ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration"}),
    parse=parse,
    wanted=wanted,
    write=write,
    options=options,
    check=check,
    parts=Parts(parts_of, only),
)
