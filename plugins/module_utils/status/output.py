# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The status page as text for people, and the sum over several inventory hosts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import GIBIBYTE, MEBIBYTE
from ansible_collections.orion.tracing.plugins.module_utils.common.tables import align
from ansible_collections.orion.tracing.plugins.module_utils.status.rates import age

NOT_READ = "not read"
STATE = {"ok": "everything that could be read works", "limit": "near a limit", "down": "DOWN"}


def sentence(page: Mapping[str, Any]) -> str:
    """The state, with everything that made it."""
    if page["state"] == "ok":
        return "Everything that could be read works, and nothing is near a limit."
    down, limits = "; ".join(page["down"]), "; ".join(page["limits"])
    return ". ".join(text for text in (down and f"Down: {down}", limits and f"Near a limit: {limits}") if text) + "."


def table(page: Mapping[str, Any]) -> str:
    """The page: what is wrong first, then sections, then what could not be read."""
    head = [f"Kubernetes {page['kubernetes']}, {page['time']}: {STATE[page['state']]}"]
    for title, name in (("Down", "down"), ("Near a limit", "limits")):
        if page[name]:
            head.append("\n".join([f"{title}:", *(f"  {line}" for line in page[name])]))
    parts = [*head, *_sections(page)]
    if page["unreadable"]:
        lines = [f"  {one['what']}: {one['why']}" for one in page["unreadable"]]
        parts.append("\n".join(["Not read:", *lines]))
    return "\n\n".join(parts)


def _sections(page: Mapping[str, Any]) -> Iterator[str]:
    yield _rows(
        page["releases"],
        ["component", "release", "revision", "chart", "version", "status"],
        lambda one: [
            one["component"],
            f"{one['namespace']}/{one['name']}",
            str(one["revision"]),
            one["chart_version"],
            one["app_version"],
            one["status"],
        ],
        {2},
        "releases",
    )
    yield _rows(
        page["workloads"],
        ["workload", "ready", "restarts", "last termination", "image"],
        lambda one: [
            one["name"],
            f"{one['ready']}/{one['wanted']}",
            _number(one["restarts"]),
            NOT_READ if one["last_termination"] is None else one["last_termination"] or "none",
            ", ".join(image.rpartition("/")[2] for image in one["images"]),
        ],
        {1, 2},
        "workloads",
    )
    yield align([*_load(page), *_state(page)], set())
    if page["queues"]:
        yield _rows(
            page["queues"],
            ["queue", "pod", "size", "capacity"],
            lambda one: [
                f"{one['exporter']} ({one['signal']})",
                one["pod"],
                f"{one['size']:,}",
                f"{one['capacity']:,}",
            ],
            {2, 3},
            "queues",
        )
    else:
        yield "queues: none was read"
    if page["memory"]:
        yield _rows(
            page["memory"],
            ["memory", "MiB", "limit"],
            lambda one: [
                one["pod"],
                f"{one['bytes'] / MEBIBYTE:,.0f}",
                f"{one['limit'] / MEBIBYTE:,.0f}" if one["limit"] else "none",
            ],
            {1, 2},
            "memory",
        )
    if page["volumes"] != []:
        yield _rows(
            page["volumes"],
            ["volume", "GiB", "of"],
            lambda one: [one["claim"], f"{one['used'] / GIBIBYTE:,.1f}", f"{one['capacity'] / GIBIBYTE:,.1f}"],
            {1, 2},
            "volumes",
        )
    if page["certificates"]:
        yield _rows(
            page["certificates"],
            ["certificate", "ends", "days left"],
            lambda one: [one["where"], one["not_after"], str(one["days_left"])],
            {2},
            "certificates",
        )


def _rows(items: Any, header: list[str], row: Any, right: set[int], what: str) -> str:
    if items is None:
        return f"{what}: {NOT_READ}"
    if not items:
        return f"{what}: none"
    return align([header, *(row(one) for one in items)], right)


def _number(value: float | None, digits: int = 0) -> str:
    return "unknown" if value is None else f"{value:,.{digits}f}"


def _load(page: Mapping[str, Any]) -> Iterator[list[str]]:
    load = page["load"]
    yield ["measured", load["over"]]
    traces, spans = load["traces_per_second"], load["accepted_spans_per_second"]
    yield ["load", f"{_number(traces, 1)} traces/s, {_number(spans, 1)} spans/s"]
    kept = load["kept_percentage"]
    share = "unknown" if kept is None else f"{kept:.1f} % of the traces"
    yield ["kept", f"{share}, {_number(load['kept_spans_per_second'], 1)} spans/s"]
    if load["lost"] is None:
        yield ["lost", "unknown"]
    else:
        lost = ", ".join(f"{name} {count:,}" for name, count in load["lost"].items() if count)
        yield ["lost", lost or "nothing"]
    yield ["refused", f"{_number(load['refused_spans'])} spans"]


def _state(page: Mapping[str, Any]) -> Iterator[list[str]]:
    cost = page["cost_per_day"]
    if cost is None:
        yield ["cost", "unknown"]
    else:
        parts = ", ".join(f"{name} {value:,.2f}" for name, value in cost.items() if name not in ("total", "assumed"))
        assumed = f"; not measured: {', '.join(cost['assumed'])}" if cost["assumed"] else ""
        yield ["cost", f"{cost['total']:,.2f} USD a day ({parts}){assumed}"]
    if page["bucket_bytes"] is not None:
        yield ["bucket", f"{page['bucket_bytes'] / GIBIBYTE:,.1f} GiB in blocks"]
    yield ["probe", _probe(page["probe"])]
    for one in page["autoscalers"] or []:
        yield ["autoscaler", f"{one['name']}: {one['replicas']} of at most {one['max']} replicas"]


def _probe(probe: Mapping[str, Any] | None) -> str:
    if probe is None:
        return NOT_READ
    if not probe["installed"]:
        return "not installed"
    ago = probe["last_success_seconds_ago"]
    parts = [
        f"last run: {probe['last_result']}" + (f" at {probe['last_result_at']}" if probe["last_result_at"] else ""),
        "last success: " + ("none" if ago is None else f"{age(ago)} ago"),
    ]
    if probe["freshness_seconds"] is not None:
        parts.append(f"traces could be read after {probe['freshness_seconds']:.0f} s")
    if probe["completeness"] is not None:
        parts.append(f"complete to {100 * probe['completeness']:.0f} %")
    return ", ".join(parts)


def summary(pages: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """Over inventory hosts: a table, and sums of what is known. pages: by host, None for one that was not reached."""
    reached = {host: page for host, page in pages.items() if page}
    rows = [["host", "state", "traces/s", "kept", "USD a day", "down", "near a limit", "not read"]]
    for host, page in pages.items():
        if not page:
            rows.append([host, "NOT REACHED", *[""] * 6])
            continue
        load, cost = page["load"], page["cost_per_day"]
        kept = load["kept_percentage"]
        rows.append(
            [
                host,
                page["state"],
                _number(load["traces_per_second"], 1),
                "unknown" if kept is None else f"{kept:.1f} %",
                _number(cost and cost["total"], 2),
                *(str(len(page[name])) for name in ("down", "limits", "unreadable")),
            ]
        )
    traces = [one["load"]["traces_per_second"] for one in reached.values()]
    costs = [one["cost_per_day"] and one["cost_per_day"]["total"] for one in reached.values()]
    traces_sum, cost_sum = _sum(traces), _sum(costs)
    total = {
        "hosts": len(pages),
        "not_reached": sorted(set(pages) - set(reached)),
        "traces_per_second": traces_sum,
        "cost_per_day": cost_sum,
        "unknown_traces_per_second": sum(one is None for one in traces),
        "unknown_cost_per_day": sum(one is None for one in costs),
        "states": {state: sorted(h for h, page in reached.items() if page["state"] == state) for state in STATE},
    }
    rows.append(
        [
            "sum of those known",
            "",
            _number(traces_sum, 1),
            "",
            _number(cost_sum, 2),
            *[""] * 3,
        ]
    )
    return {**total, "table": align(rows, {2, 3, 4, 5, 6, 7})}


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 3) if known else None
