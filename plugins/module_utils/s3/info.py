# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What buckets there are, and each one's configuration in the words of s3_bucket's options. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import rfc3339
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import NotFound, PermissionDenied
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Aspect, Call, Target
from ansible_collections.orion.tracing.plugins.module_utils.s3.bucket import (
    ASPECTS,
    WORKERS,
    arn_of,
    read_aspect,
)
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store, Unsupported, region_of

NAMES = tuple(aspect.option for aspect in ASPECTS)
# AWS tells the region of a bucket only in a list by pages; other stores may not know that argument.
PAGE = 1000


@dataclass
class Info:
    """One bucket, in the form that the module returns. creation_date: ISO 8601, None if it is not listed."""

    name: str
    arn: str
    region: str = ""
    creation_date: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    unsupported: list[dict[str, str]] = field(default_factory=list)
    unreadable: list[dict[str, str]] = field(default_factory=list)


def one(store: Store, name: str, aspects: Iterable[str]) -> list[Info]:
    """The bucket of that name with these aspects, all read at the same time; empty if it does not exist."""
    chosen = _chosen(aspects)
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        head = pool.submit(store.head, name)
        listed = pool.submit(_listed, store, name)
        reads = _submit(pool, store, name, chosen)
        found = head.result()
        if found is None:
            return []
        info = Info(name, arn_of(name, store.partition), region_of(found), options={"name": name})
        _fill(info, store, reads)
        try:
            entry = next((bucket for bucket in listed.result() if bucket["Name"] == name), {})
        except (PermissionDenied, Unsupported):
            # The right to list all buckets is another one, and somebody else's bucket is not in the list.
            entry = {}
    info.creation_date = _date(entry)
    info.region = info.region or entry.get("BucketRegion") or store.region
    return [info]


def every(store: Store, aspects: Iterable[str]) -> list[Info]:
    """All buckets of these credentials, by name; with aspects, these of each one. What is refused is unreadable."""
    chosen = _chosen(aspects)
    entries = sorted(_listed(store), key=lambda entry: str(entry["Name"]))
    infos = []
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        reads = {entry["Name"]: _submit(pool, store, entry["Name"], chosen) for entry in entries}
        for entry in entries:
            name = entry["Name"]
            info = Info(name, arn_of(name, store.partition), entry.get("BucketRegion") or "", _date(entry))
            info.options["name"] = name
            try:
                _fill(info, store, reads[name])
            except NotFound:
                # Deleted since it was listed.
                continue
            infos.append(info)
    return infos


def _chosen(aspects: Iterable[str]) -> list[Aspect]:
    return [aspect for aspect in ASPECTS if aspect.option in set(aspects)]


def _listed(store: Store, name: str = "") -> list[dict[str, Any]]:
    arguments: dict[str, Any] = {} if store.custom else {"MaxBuckets": PAGE, **({"Prefix": name} if name else {})}
    entries: list[dict[str, Any]] = []
    while True:
        answer = store.call("", Call("list_buckets", "s3:ListAllMyBuckets", arguments))
        entries += answer.get("Buckets") or []
        if not answer.get("ContinuationToken"):
            return entries
        arguments = {**arguments, "ContinuationToken": answer["ContinuationToken"]}


def _date(entry: dict[str, Any]) -> str | None:
    moment = entry.get("CreationDate")
    return rfc3339(moment) if moment else None


Reads = list[tuple[Aspect, Future[Any]]]


def _submit(pool: ThreadPoolExecutor, store: Store, name: str, aspects: list[Aspect]) -> Reads:
    return [(aspect, pool.submit(read_aspect, store, name, aspect)) for aspect in aspects]


def _fill(info: Info, store: Store, reads: Reads) -> None:
    target = Target(info.arn, store.custom)
    for aspect, future in reads:
        try:
            info.options |= aspect.options(future.result(), target)
        except Unsupported as error:
            info.unsupported.append({"feature": aspect.option, "answer": error.why})
        except PermissionDenied as error:
            info.unreadable.append({"feature": aspect.option, "answer": str(error)})
