# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The simulator's result as the data of the page of the reports (report/page.py, where report/src/data.ts describes the
blocks). Pure: data in (summary.Summary.result, summary.Comparison.result), data out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SERVICES_SHOWN = 40
OPERATIONS_SHOWN = 25
# The colour of everything; results have 0 and 1.
WHOLE = -1

Data = dict[str, Any]


def page_data(results: Sequence[dict[str, Any]], comparison: dict[str, Any] | None, source: str) -> Data:
    """results: one or two results of summary.Summary. source: what was simulated, for people."""
    first = results[0]
    names = [str(result["name"]) for result in results]
    keys = [{"name": "everything", "series": WHOLE}, *({"name": n, "series": i} for i, n in enumerate(names))]
    # One result needs no telling whose line of a cell is whose.
    sets = keys[1:] if len(results) > 1 else []
    blocks = [
        {"title": "What is kept", "table": _overview(results)},
        {
            "title": "By policy",
            "note": "A trace counts for every policy that voted for the decision.",
            "table": _policies(results),
        },
        {"title": "Spans kept by service", "keys": keys, **_by_service(results)},
        {
            "title": "Traces by service",
            "note": "An error trace of a service has a span of this service with status ERROR. A slow trace of the "
            "recording counts for every service that has a span in it.",
            "keys": sets,
            **_traces_by_service(results),
        },
        {
            "title": "Traces by duration",
            "note": "Each column is a range of durations, four to a factor of ten, under its upper bound.",
            "keys": keys,
            "columns": _durations(results),
        },
        {"title": "Storage per month", "bars": _costs(results)},
    ]
    for result in results:
        if lost := result["edges"]["names_of_lost"]:
            title = f"Edges of the service graph that {result['name']} loses"
            blocks.append({"title": title, "table": {"head": ["Edge"], "rows": [[{"code": name}] for name in lost]}})
    if comparison:
        blocks.append({"title": "Where the two differ", **_differences(comparison)})
    blocks.append(
        {
            "title": "Operations with the most spans",
            "note": "Error traces and slow traces are an operation's as they are a service's above.",
            "keys": sets,
            "table": _operations(results),
        }
    )
    return {
        "title": "Sampling simulation",
        "subtitle": f"{source}: {first['traces']['seen']:,} traces, {first['spans']['seen']:,} spans of "
        f"{len(first['services'])} services",
        "traces": [],
        "blocks": blocks,
    }


def _share(value: Mapping[str, float]) -> Data:
    return {"text": f"{value['kept']:,.0f} of {value['seen']:,.0f}", "strong": f"{value['percentage']:.1f} %"}


def _overview(results: Sequence[dict[str, Any]]) -> Data:
    slow = results[0]["slow_traces"]["above_ms"]
    rows = [
        ("Traces", "traces"),
        ("Spans", "spans"),
        ("Traces with an error", "error_traces"),
        (f"Slow traces (above the 99th percentile, {slow:,.0f} ms)", "slow_traces"),
        ("Edges of the service graph", "edges"),
        ("Bytes (OTLP protobuf)", "bytes"),
    ]

    def shares(title: str, key: str) -> list[Any]:
        return [title, *({"figures": [_share(result[key])]} for result in results)]

    lines = [shares(title, key) for title, key in rows]
    for reason, title in (("too_early", "Evicted undecided (num_traces)"), ("too_large", "Too large")):
        if any(reason in result["reasons"] for result in results):
            lines.append([title, *(f"{result['reasons'].get(reason, 0):,} traces" for result in results)])
    late = [
        ("Late spans", "late_spans"),
        ("Traces with late spans", "late_traces"),
        ("Traces whose first error came late", "late_error_traces"),
    ]
    if any(result["late_spans"]["seen"] for result in results):
        lines += [shares(title, key) for title, key in late]
        after = (result["late_spans"]["p99_after_ms"] for result in results)
        lines.append(["Late spans arrived, after the first span (99th percentile)", *map(_milliseconds, after)])
    if any(result["long_traces"]["seen"] for result in results):
        lines.append(shares("Traces longer than the decision wait", "long_traces"))
    return {"head": ["", *(result["name"] for result in results)], "rows": lines}


def _policies(results: Sequence[dict[str, Any]]) -> Data:
    lines = []
    for name in dict.fromkeys(name for result in results for name in result["policies"]):
        cells: list[Any] = [{"code": name}]
        for result in results:
            count = result["policies"].get(name)
            cells.append(
                f"{count['traces']:,} traces ({count['error_traces']:,} with an error, {count['slow_traces']:,} slow), "
                f"{count['spans']:,} spans"
                if count
                else ""
            )
        lines.append(cells)
    return {"head": ["Policy", *(result["name"] for result in results)], "rows": lines}


def _by_service(results: Sequence[dict[str, Any]]) -> Data:
    """A bar of kept spans for each service and result; those with the most spans first."""
    services = results[0]["services"]
    bars = []
    for name in _shown(services):
        shares = [result["services"][name]["spans"] for result in results]
        parts = [
            {
                "series": index,
                "share": share["percentage"] / 100,
                "title": f"{share['kept']:,} of {share['seen']:,} spans, {share['percentage']:.1f} %",
            }
            for index, share in enumerate(shares)
        ]
        text = " / ".join(f"{share['percentage']:.1f} %" for share in shares)
        bars.append({"name": name, "whole": f"{shares[0]['seen']:,} spans", "parts": parts, "text": text})
    return {"bars": bars, "more": _not_shown(services)}


def _shown(services: Mapping[str, Any]) -> list[str]:
    return sorted(services, key=lambda name: (-services[name]["spans"]["seen"], name))[:SERVICES_SHOWN]


def _not_shown(services: Mapping[str, Any]) -> str:
    more = len(services) - SERVICES_SHOWN
    return f"… and {more} services with fewer spans." if more > 0 else ""


def _figures(shares: Sequence[Mapping[str, float] | None]) -> Data:
    """A line for each result. None: the result has no such figure."""
    texts = (
        {"text": ""} if share is None else _share(share) if share["seen"] else {"text": "none"} for share in shares
    )
    return {"figures": list(texts)}


def _traces_by_service(results: Sequence[dict[str, Any]]) -> Data:
    services = results[0]["services"]
    kinds = ("traces", "error_traces", "slow_traces")
    rows = [
        [name, *(_figures([result["services"][name][kind] for result in results]) for kind in kinds)]
        for name in _shown(services)
    ]
    head = ["Service", "Traces", "Error traces", "Slow traces"]
    return {"table": {"head": head, "rows": rows}, "more": _not_shown(services)}


def _milliseconds(value: float) -> str:
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"


def _durations(results: Sequence[dict[str, Any]]) -> Data:
    columns = results[0]["durations"]
    kept = [{round(c["up_to"], 6): c["kept"] for c in result["durations"]} for result in results]
    high = max((column["seen"] for column in columns), default=0)
    found = []
    for column in columns:
        label, seen = _milliseconds(column["up_to"]), column["seen"]
        parts = []
        for index, counts in enumerate(kept):
            count = counts.get(round(column["up_to"], 6), 0)
            title = f"up to {label}: {count:,} of {seen:,} traces kept"
            parts.append({"series": index, "share": count / (high or 1), "title": title})
        found.append({"label": label, "share": seen / (high or 1), "title": f"{seen:,} traces", "parts": parts})
    return {"most": f"{high:,}", "columns": found}


def _costs(results: Sequence[dict[str, Any]]) -> list[Data]:
    rows = [(WHOLE, "everything", results[0]["cost"]["before"])]
    rows += [(index, result["name"], result["cost"]["kept"]) for index, result in enumerate(results)]
    most = max(row[2]["stored_gib"] for row in rows) or 1.0
    bars = []
    for series, name, cost in rows:
        text = f"{cost['stored_gib']:,.1f} GiB, {cost['per_month']:,.2f} USD per month"
        parts = [{"series": series, "share": cost["stored_gib"] / most, "title": text}]
        bars.append({"name": name, "whole": "", "parts": parts, "text": text})
    return bars


def _differences(comparison: Mapping[str, Any]) -> Data:
    first, second = comparison["names"]
    note = (
        f"They agree on {comparison['same']:,} traces. Only {first} keeps {comparison['only_first']['traces']:,}, only "
        f"{second} {comparison['only_second']['traces']:,}."
    )
    rows = [
        [
            {"code": one["trace_id"]},
            f"{one['spans']:,}",
            f"{one['duration_ms']:,.0f}",
            "yes" if one["error"] else "",
            one["kept_by"],
            ", ".join(one["policies"]),
            ", ".join(one["why_not"]),
        ]
        for one in comparison["differences"]
    ]
    head = ["Trace", "Spans", "ms", "Error", "Kept by", "Because of", "The other"]
    return {"note": note, **({"table": {"head": head, "rows": rows, "numbers": [1, 2]}} if rows else {})}


def _operations(results: Sequence[dict[str, Any]]) -> Data:
    every = [{(one["service"], one["operation"]): one for one in result["operations"]} for result in results]
    rows = []
    for one in results[0]["operations"][:OPERATIONS_SHOWN]:
        # Missing where a result counts it among the other operations: they are those that it met last.
        found = [by_key.get((one["service"], one["operation"]), {}) for by_key in every]
        kinds = (
            _figures([figures.get(kind) for figures in found]) for kind in ("spans", "error_traces", "slow_traces")
        )
        rows.append([one["service"], {"code": one["operation"]}, *kinds])
    return {"head": ["Service", "Operation", "Spans", "Error traces", "Slow traces"], "rows": rows}
