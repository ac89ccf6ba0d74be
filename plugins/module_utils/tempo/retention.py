# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The lifecycle rules of Tempo's bucket, which must not delete what Tempo still reads. Pure.

Tempo deletes its blocks itself, after its retention; rules of the store are a second line of defence. This is the one
place that defines what they may do: the object_storage role refuses the rest, the preflight role reports it. Both pass
variables by name: those of the object_storage role that are read here, tracing_retention, and where they
are known tempo_retention, tempo_s3_bucket, tempo_s3_prefix, tempo_extra_config, tracing_store and collector_exporters.
A variable that is not there has no finding, nor have blocks where tracing_store is not Tempo.

Recordings of traces in the bucket, destinations of collector_exporters with protocol s3, expire by a rule of their own
for each prefix. Other errors in an entry are reported by the collector role.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.parsing.convert_bool import BOOLEANS_TRUE as TRUE
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place, error, refuse
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import Reader
from ansible_collections.orion.tracing.plugins.module_utils.s3 import lifecycle
from ansible_collections.orion.tracing.plugins.module_utils.s3.aws import is_aws

EXPIRY, RULES = "object_storage_expiry_days", "object_storage_lifecycle_rules"
MARGIN = "object_storage_expiry_margin"
EXPORTERS = "collector_exporters"
DAY = 86400
# Storage classes from which an object cannot be read at once.
ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
# The folder of all traces while multitenancy is off: Tempo's util.FakeTenantID.
TENANT = "single-tenant"

Variables = Mapping[str, Any]


@dataclass(frozen=True)
class Recordings:
    """A destination in the bucket. where: its place in collector_exporters; prefix: ends with a slash; days: after
    which objects expire, 0 for never, None for a value that is not a number of days."""

    where: Place
    name: str
    prefix: str
    days: int | None


def recordings(v: Variables, bucket: str) -> list[Recordings]:
    """The destinations of collector_exporters in a bucket, that of the object_storage role unless they name another."""
    given = v.get(EXPORTERS)
    found = []
    for number, one in enumerate(given if isinstance(given, list) else []):
        if not isinstance(one, Mapping) or one.get("protocol") != "s3":
            continue
        prefix = str(one.get("prefix") or "").strip("/")
        if prefix and str(one.get("bucket") or v.get("object_storage_bucket") or "") == bucket:
            days = _days(one.get("expiration_days"))
            found.append(Recordings(Place(EXPORTERS).item(number), str(one.get("name")), f"{prefix}/", days))
    return found


def least_days(retention: float, margin: float) -> int:
    """The smallest number of whole days that is longer than both (in seconds) together.

    The store counts from when an object was written. A compacted block is a new object of old spans, so Tempo deletes
    it earlier than the store would; but deletion also waits for the compactor, and the store for midnight UTC.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
    """
    return math.floor((retention + margin) / DAY) + 1


def rules(v: Variables) -> list[dict[str, Any]] | None:
    """All lifecycle rules of the bucket: the given ones, one for each prefix of recordings that expire, and
    expire-objects; None where none is wanted.

    Raises InvalidVariables with every contradiction and every value that is not a duration.
    """
    read = Reader(v)
    for name in (_retention(v), MARGIN):
        if name in v:
            read.duration(name)
    refuse("the bucket's lifecycle", [*read.findings, *contradictions(v)])
    given = v.get(RULES)
    by_prefix = {one.prefix: one for one in reversed(recordings(v, _own(v))) if one.days}
    made = [_expire(f"expire-recordings-{one.name}", one.prefix, one.days, v) for one in reversed(by_prefix.values())]
    if days := _days(v.get(EXPIRY)):
        made.append(_expire("expire-objects", "", days, v))
    return None if given is None and not made else [*(given or []), *made]


def _expire(label: str, prefix: str, days: int | None, v: Variables) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "ID": label,
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"Days": days},
    }
    if str(v.get("object_storage_versioning", "")).lower() in TRUE:
        # Without it, a versioned bucket would keep what has expired.
        rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": 1}
    return rule


def contradictions(v: Variables) -> Iterator[Finding]:
    """What the store would delete or archive while Tempo may still read it."""
    days = _days(v.get(EXPIRY))
    if EXPIRY in v and days is None:
        yield error(EXPIRY, f"is {v[EXPIRY]!r}, not a number of days", "0 is never.")
    yield from _recordings(v, days)
    yield from emptied(v)
    wrong, usable = _given_rules(v)
    yield from wrong
    if str(v.get("tracing_store") or "tempo") != "tempo":
        return
    retention, margin = _seconds(v, _retention(v)), _seconds(v, MARGIN)
    least = least_days(retention, margin) if retention is not None and margin is not None else None
    until = f"only later than {_retention(v)} ({v.get(_retention(v))}) and {MARGIN} ({v.get(MARGIN)}) together"
    if least and days and days < least:
        yield error(
            EXPIRY, f"the store would delete blocks after {days} days, but may {until}", f"Set {least} or more, or 0."
        )
    for rule in usable:
        if rule["Status"] == "Enabled" and _meets_tempo(rule["Filter"], v):
            yield from _rule(rule, least, until)


def _given_rules(v: Variables) -> tuple[list[Finding], list[dict[str, Any]]]:
    """What is wrong with the given rules, and those that are usable, normalised."""
    if v.get(RULES) is not None and not isinstance(v[RULES], list):
        return [error(RULES, f"is {v[RULES]!r}, not a list", "Write rules as boto3 takes them.")], []
    custom = not is_aws(str(v.get("object_storage_endpoint_url") or ""))
    wrong, usable = [], []
    for index, rule in enumerate(v.get(RULES) or []):
        flaws = list(lifecycle.rule_flaws(rule, index + 1, custom))
        for flaw in flaws:
            what = flaw.what.removeprefix(f"{lifecycle.OPTION}: ")
            wrong.append(error(RULES, what, flaw.remedy, flaw.why))
        if not flaws:
            usable.append(lifecycle.normalise(rule))
    return wrong, usable


def _recordings(v: Variables, days: int | None) -> Iterator[Finding]:
    """Expiries of recordings that would delete blocks or other recordings, or never take effect."""
    found = [one for one in recordings(v, _own(v)) if one.days != 0]
    for one in found:
        where = one.where.key("expiration_days")
        if one.days is None:
            yield error(where, "is not a whole number of days", "0 is never.")
            continue
        if _own(v) and _own(v) == _tempos(v) and _meets_tempo({"Prefix": one.prefix}, v):
            yield error(
                where,
                f"the store would delete Tempo's blocks with everything else in {one.prefix}",
                "Give the recordings a prefix beside Tempo's (tempo_s3_prefix), or a bucket of their own.",
            )
        if days and one.days > days:
            yield error(
                where,
                f"is {one.days}, but {EXPIRY} deletes all objects of the bucket after {days} days",
                f"Set {days} or less, or raise {EXPIRY}.",
            )
        for other in recordings(v, _own(v)):
            # Of two rules the shorter wins.
            if other.prefix.startswith(one.prefix) and (other.days or math.inf) > one.days:
                yield error(
                    where,
                    f"{one.prefix} is deleted after {one.days} days, and {other.prefix} of {other.where} with it",
                    "Give them prefixes beside each other, or the same number of days.",
                )


def emptied(v: Variables) -> Iterator[Finding]:
    """Recordings that Tempo would delete: without a prefix of its own, it takes each folder of its bucket for a tenant,
    and the recordings' for one that has no block any more.
    """
    enabled = inside(v.get("tempo_extra_config"), "storage", "trace", "empty_tenant_deletion_enabled")
    if str(enabled).lower() in TRUE and not tempo_folder(v):
        for one in recordings(v, _tempos(v)):
            yield error(
                one.where.key("prefix"),
                f"Tempo would take {one.prefix} for an empty tenant and delete it (empty_tenant_deletion_enabled)",
                "Name another bucket for the recordings, or set empty_tenant_deletion_enabled to false.",
            )


def tempo_folder(v: Variables) -> str:
    """The folder of Tempo's objects, with a slash at its end; "" for the top of the bucket.

    Tempo joins its prefix and the names of its objects with path.Join, so a slash at the beginning stays in the keys.
    Source: grafana/tempo v2.10.8, tempodb/backend/backend.go (KeyPathWithPrefix, ObjectFileName)
    """
    own = inside(v.get("tempo_extra_config"), "storage", "trace", "s3", "prefix")
    prefix = str(own or v.get("tempo_s3_prefix") or "")
    folder = re.sub("/+", "/", f"{prefix}/")
    return "" if folder == "/" else folder


def _own(v: Variables) -> str:
    return str(v.get("object_storage_bucket") or "")


def _tempos(v: Variables) -> str:
    """Tempo's bucket, "" where traces go to another store."""
    if str(v.get("tracing_store") or "tempo") != "tempo":
        return ""
    return str(v.get("tempo_s3_bucket") or v.get("object_storage_bucket") or "")


def _rule(rule: dict[str, Any], least: int | None, until: str) -> Iterator[Finding]:
    label = rule.get("ID") or "without ID"
    expiration = rule.get("Expiration") or {}
    after = expiration.get("Days")
    if least and isinstance(after, int) and after < least:
        yield error(
            RULES,
            f"rule {label} deletes blocks after {after} days, but may {until}",
            f"Set its Expiration to {least} days or more, or remove it.",
        )
    if "Date" in expiration:
        # From that day on the store deletes every object, new ones within a day.
        yield error(
            RULES,
            f"rule {label} deletes all blocks from {expiration['Date'][:10]} on, whatever their age",
            f"Give its Expiration Days, {least} or more." if least else "Give its Expiration Days.",
        )
    archived = [t["StorageClass"] for t in rule.get("Transitions", []) if t.get("StorageClass") in ARCHIVES]
    if archived:
        yield error(
            RULES,
            f"rule {label} moves blocks to {archived[0]}, from which Tempo cannot read",
            "Use STANDARD_IA, INTELLIGENT_TIERING or GLACIER_IR.",
        )


def _meets_tempo(condition: dict[str, Any], v: Variables) -> bool:
    """Whether a rule's normalised Filter may be true of Tempo's objects.

    Their names begin with tempo_s3_prefix and the tenant. A rule by size may mean some of them; one by tag means none,
    because Tempo tags nothing unless storage.trace.s3.tags says so.
    """
    extra = v.get("tempo_extra_config")
    storage = inside(extra, "storage", "trace", "s3")
    condition = condition.get("And", condition)
    if ("Tag" in condition or "Tags" in condition) and not inside(storage, "tags"):
        return False
    folder = tempo_folder(v)
    if str(inside(extra, "multitenancy_enabled")).lower() not in TRUE:
        folder += f"{TENANT}/"
    prefix = str(condition.get("Prefix") or "")
    return prefix.startswith(folder) or folder.startswith(prefix)


def _retention(v: Variables) -> str:
    # By default they are the same: then the platform's is the one to change.
    name = "tracing_retention"
    return "tempo_retention" if v.get("tempo_retention", v.get(name)) != v.get(name) else name


def _seconds(v: Variables, name: str) -> float | None:
    try:
        return duration_seconds(str(v[name]).strip())
    except (KeyError, ValueError):
        return None


def _days(value: Any) -> int | None:
    """A number of days, 0 for unset; None for anything but a whole number of days."""
    if value in (None, ""):
        return 0
    text = "" if isinstance(value, bool) else str(value)
    return int(text) if text.isdecimal() else None
