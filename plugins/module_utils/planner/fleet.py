# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The plans of several hosts together: sums, and whether a central platform is planned for what its edges send.

Pure: no I/O, no Ansible.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.tables import align
from ansible_collections.orion.tracing.plugins.module_utils.planner.model import MEGABYTE

Plan = Mapping[str, Any]
TRACES, BYTES, KEPT = (
    f"tracing_expected_{name}" for name in ("traces_per_second", "bytes_per_span", "kept_percentage")
)  # fmt: skip
CENTRAL = "tracing_central_host"


def fleet_plan(plans: Mapping[str, Plan], centrals: Mapping[str, str]) -> dict[str, Any]:
    """hosts: of each, its central host ("" for none), load and cost; total: sums; table: text; warnings: sentences.

    plans: host to tracing_plan()'s result. centrals: host to tracing_central_host. Rates are per second, sizes in
    bytes, money in USD per month. What an edge keeps is part of what the central platform is offered, so only hosts
    without a central host count in the sum of what is kept.
    """
    hosts = {
        host: {
            "central": centrals.get(host, ""),
            **plan["load"],
            "bytes_at_rest": plan["storage"]["bytes_at_rest"] if plan["inputs"]["own_store"] else 0,
            "cost": plan["cost"]["total"],
        }
        for host, plan in plans.items()
    }
    stored = [one for one in hosts.values() if not one["central"]]
    total = {
        "kept_spans_per_second": round(sum(one["kept_spans_per_second"] for one in stored), 1),
        "kept_bytes_per_second": round(sum(one["kept_bytes_per_second"] for one in stored)),
        "bytes_at_rest": sum(one["bytes_at_rest"] for one in hosts.values()),
        "cost": round(sum(one["cost"] for one in hosts.values()), 2),
    }
    return {"hosts": hosts, "total": total, "table": _table(hosts, total), "warnings": list(_warnings(plans, hosts))}


def _table(hosts: Mapping[str, Mapping[str, Any]], total: Mapping[str, Any]) -> str:
    rows = [["host", "sends to", "offered spans/s", "kept spans/s", "kept MB/s", "USD per month"]]
    rows += [
        [
            host,
            one["central"],
            f"{one['offered_spans_per_second']:,.0f}",
            f"{one['kept_spans_per_second']:,.0f}",
            f"{one['kept_bytes_per_second'] / MEGABYTE:,.2f}",
            f"{one['cost']:,.2f}",
        ]
        for host, one in hosts.items()
    ]
    rows.append(
        [
            "together",
            "",
            "",
            f"{total['kept_spans_per_second']:,.0f}",
            f"{total['kept_bytes_per_second'] / MEGABYTE:,.2f}",
            f"{total['cost']:,.2f}",
        ]
    )
    return align(rows, {2, 3, 4, 5})


def _warnings(plans: Mapping[str, Plan], hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    edges: dict[str, list[str]] = {}
    for host, one in hosts.items():
        if one["central"]:
            edges.setdefault(one["central"], []).append(host)
    for central, names in edges.items():
        named = f"{len(names)} hosts with {CENTRAL} {central} ({', '.join(names)})"
        if central not in plans:
            yield f"{named}: there is no plan of {central}, so it is not known whether its load includes theirs."
            continue
        own, inputs = hosts[central], plans[central]["inputs"]
        sent = sum(hosts[name]["kept_spans_per_second"] for name in names)
        size = sum(hosts[name]["kept_bytes_per_second"] for name in names)
        offered, size_of_span = own["offered_spans_per_second"], inputs["bytes_per_span"]
        if offered < sent:
            yield (
                f"{TRACES} of {central} is {inputs['traces_per_second']:g}, {offered:,.0f} spans per second, but "
                f"{named} keep and send {sent:,.0f}. Raise it to {math.ceil(sent / inputs['spans_per_trace'])}, and by "
                "what the applications of its own cluster send."
            )
        elif offered * size_of_span < size:
            yield (
                f"{BYTES} of {central} is {size_of_span:g}, {offered * size_of_span:,.0f} bytes per second, but "
                f"{named} keep and send {size:,.0f}. Raise it to {math.ceil(size / offered)}."
            )
        elif own["kept_spans_per_second"] < sent:
            yield (
                f"{KEPT} of {central} is {inputs['kept_percentage']:g}, {own['kept_spans_per_second']:,.0f} spans per "
                f"second, but {named} keep and send {sent:,.0f}. Raise it to {math.ceil(100 * sent / offered)}, unless "
                f"the policies of {central} drop the rest."
            )
