# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The simulator's result as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.

Pure: data in (summary.Summary.result, summary.Comparison.result), text out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

SERVICES_SHOWN = 40
OPERATIONS_SHOWN = 25

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5d6880; --line: #d8dde6; --paper: #fff; --seen: #c3ccda;
  --a: #2563a8; --b: #b8651b; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a3b8; --line: #37404f; --paper: #151a22;
  --seen: #465063; --a: #6aa9e9; --b: #e59a55; --bad: #f2837c; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 68rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p { color: var(--soft); margin: .3rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } td.n, th.n { text-align: right; }
td.bad { color: var(--bad); } code { font-size: .9em; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg text.soft { fill: var(--soft); } .seen { fill: var(--seen); } .a { fill: var(--a); } .b { fill: var(--b); }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .35em 0 1em; border-radius: 2px; }
"""
_COLOURS = ("a", "b")


def page(results: Sequence[dict[str, Any]], comparison: dict[str, Any] | None, source: str) -> str:
    """results: one or two results of summary.Summary. source: what was simulated, for people."""
    first = results[0]
    parts = [
        "<h1>Sampling simulation</h1>",
        f"<p>{escape(source)}: {first['traces']['seen']:,} traces, {first['spans']['seen']:,} spans of "
        f"{len(first['services'])} services.</p>",
        _section("What is kept", _overview(results)),
        _section("By policy", _policies(results), "A trace counts for every policy that voted for the decision."),
        _section("Spans kept by service", _legend(results) + _by_service(results)),
        _section(
            "Traces by service",
            _sets(results) + _traces_by_service(results),
            "An error trace of a service has a span of this service with status ERROR. A slow trace of the recording "
            "counts for every service that has a span in it.",
        ),
        _section(
            "Traces by duration",
            _legend(results) + _durations(results),
            "Each column is a range of durations, four to a factor of ten, under its upper bound.",
        ),
        _section("Storage per month", _costs(results)),
    ]
    for result in results:
        if names := result["edges"]["names_of_lost"]:
            lost = f"<p>{', '.join(f'<code>{escape(name)}</code>' for name in names)}</p>"
            parts.append(_section(f"Edges of the service graph that {result['name']} loses", lost))
    if comparison:
        parts.append(_section("Where the two differ", _differences(comparison)))
    parts.append(
        _section(
            "Operations with the most spans",
            _sets(results) + _operations(results),
            "Error traces and slow traces are an operation's as they are a service's above.",
        )
    )
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Sampling simulation</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _section(title: str, body: str, note: str = "") -> str:
    return f"<h2>{escape(title)}</h2>\n" + (f"<p>{escape(note)}</p>\n" if note else "") + body


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Cells are HTML already."""

    def line(tag: str, cells: Sequence[str]) -> str:
        classes = [' class="n"' if column in numbers else "" for column in range(len(cells))]
        return "<tr>" + "".join(f"<{tag}{c}>{cell}</{tag}>" for c, cell in zip(classes, cells, strict=True)) + "</tr>"

    return f"<table>{line('th', head)}{''.join(line('td', row) for row in rows)}</table>"


def _share(value: dict[str, float]) -> str:
    return f"{value['kept']:,.0f} of {value['seen']:,.0f} <b>{value['percentage']:.1f} %</b>"


def _overview(results: Sequence[dict[str, Any]]) -> str:
    slow = results[0]["slow_traces"]["above_ms"]
    rows = [
        ("Traces", "traces"),
        ("Spans", "spans"),
        ("Traces with an error", "error_traces"),
        (f"Slow traces (above the 99th percentile, {slow:,.0f} ms)", "slow_traces"),
        ("Edges of the service graph", "edges"),
        ("Bytes (OTLP protobuf)", "bytes"),
    ]
    lines = [[escape(title), *(_share(result[key]) for result in results)] for title, key in rows]
    for reason, title in (("too_early", "Evicted undecided (num_traces)"), ("too_large", "Too large")):
        if any(reason in result["reasons"] for result in results):
            lines.append([title, *(f"{result['reasons'].get(reason, 0):,} traces" for result in results)])
    late = [
        ("Late spans", "late_spans"),
        ("Traces with late spans", "late_traces"),
        ("Traces whose first error came late", "late_error_traces"),
    ]
    if any(result["late_spans"]["seen"] for result in results):
        lines += [[title, *(_share(result[key]) for result in results)] for title, key in late]
        after = (result["late_spans"]["p99_after_ms"] for result in results)
        lines.append(["Late spans arrived, after the first span (99th percentile)", *map(_milliseconds, after)])
    if any(result["long_traces"]["seen"] for result in results):
        lines.append(["Traces longer than the decision wait", *(_share(result["long_traces"]) for result in results)])
    return _table(["", *(escape(result["name"]) for result in results)], lines)


def _policies(results: Sequence[dict[str, Any]]) -> str:
    names = dict.fromkeys(name for result in results for name in result["policies"])
    lines = []
    for name in names:
        cells = [f"<code>{escape(name)}</code>"]
        for result in results:
            count = result["policies"].get(name)
            cells.append(
                f"{count['traces']:,} traces ({count['error_traces']:,} with an error, {count['slow_traces']:,} slow), "
                f"{count['spans']:,} spans"
                if count
                else ""
            )
        lines.append(cells)
    return _table(["Policy", *(escape(result["name"]) for result in results)], lines)


def _legend(results: Sequence[dict[str, Any]]) -> str:
    return f"<p>{_key('seen')}everything{_names(results)}</p>"


def _sets(results: Sequence[dict[str, Any]]) -> str:
    """Which line of a table's cell is whose; one result needs no telling."""
    return f"<p>{_names(results)}</p>" if len(results) > 1 else ""


def _names(results: Sequence[dict[str, Any]]) -> str:
    return "".join(_key(_COLOURS[i]) + escape(result["name"]) for i, result in enumerate(results))


def _key(colour: str) -> str:
    return f'<span class="key" style="background: var(--{colour})"></span>'


def _svg(width: int, height: int, body: Iterable[str], label: str) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{"".join(body)}</svg>'


def _bar(x: float, y: float, width: float, height: float, kind: str, title: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" rx="2">'
        f"<title>{escape(title)}</title></rect>"
    )


def _text(x: float, y: float, text: str, soft: bool = False, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{" class=soft" if soft else ""}>{escape(text)}</text>'


def _by_service(results: Sequence[dict[str, Any]]) -> str:
    """A bar of kept spans in percent for each service and result; those with the most spans first."""
    services = results[0]["services"]
    shown = _shown(services)
    left, width, row = 250, 560, 10 * len(results) + 8
    body = []
    for number, name in enumerate(shown):
        top = number * row
        body.append(_text(left - 10, top + row / 2 + 2, name[:38], anchor="end"))
        body.append(_bar(left, top + 2, width, row - 6, "seen", f"{services[name]['spans']['seen']:,} spans"))
        for index, result in enumerate(results):
            share = result["services"][name]["spans"]
            title = f"{name}: {share['kept']:,} of {share['seen']:,} spans, {share['percentage']:.1f} %"
            height = (row - 6) / len(results)
            length = width * share["percentage"] / 100
            body.append(_bar(left, top + 2 + index * height, length, height, _COLOURS[index], title))
        percentages = " / ".join(f"{result['services'][name]['spans']['percentage']:.1f} %" for result in results)
        body.append(_text(left + width + 10, top + row / 2 + 2, percentages, soft=True))
    svg = _svg(960, len(shown) * row + 4, body, "Percentage of spans kept by service")
    return svg + _not_shown(services)


def _shown(services: dict[str, Any]) -> list[str]:
    return sorted(services, key=lambda name: (-services[name]["spans"]["seen"], name))[:SERVICES_SHOWN]


def _not_shown(services: dict[str, Any]) -> str:
    more = len(services) - SERVICES_SHOWN
    return f"<p>… and {more} services with fewer spans.</p>" if more > 0 else ""


def _lines(shares: Sequence[dict[str, float] | None]) -> str:
    """A line for each result, with its colour where there are two. None: the result has no such figure."""
    texts = ["" if share is None else _share(share) if share["seen"] else "none" for share in shares]
    return "<br>".join((_key(_COLOURS[i]) if len(texts) > 1 else "") + text for i, text in enumerate(texts))


def _traces_by_service(results: Sequence[dict[str, Any]]) -> str:
    services = results[0]["services"]
    kinds = ("traces", "error_traces", "slow_traces")
    rows = [
        [escape(name), *(_lines([result["services"][name][kind] for result in results]) for kind in kinds)]
        for name in _shown(services)
    ]
    return _table(["Service", "Traces", "Error traces", "Slow traces"], rows) + _not_shown(services)


def _milliseconds(value: float) -> str:
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"


def _durations(results: Sequence[dict[str, Any]]) -> str:
    columns = results[0]["durations"]
    if not columns:
        return "<p>No trace.</p>"
    kept = [{round(c["up_to"], 6): c["kept"] for c in result["durations"]} for result in results]
    high, height, left = max(column["seen"] for column in columns), 220, 50
    width = (940 - left) / len(columns)
    body = [_text(left - 8, 14, f"{high:,}", soft=True, anchor="end"), _text(left - 8, height, "0", True, "end")]
    for number, column in enumerate(columns):
        x, wide = left + number * width, (width - 4) / len(results)
        tall = (height - 4) * column["seen"] / high
        body.append(_bar(x, height - tall, width - 4, tall, "seen", f"{column['seen']:,} traces"))
        for index, counts in enumerate(kept):
            count = counts.get(round(column["up_to"], 6), 0)
            part = (height - 4) * count / high
            title = f"up to {_milliseconds(column['up_to'])}: {count:,} of {column['seen']:,} traces kept"
            body.append(_bar(x + index * wide, height - part, wide, part, _COLOURS[index], title))
        if number % max(1, -(-len(columns) // 10)) == 0:
            body.append(_text(x + width / 2, height + 18, _milliseconds(column["up_to"]), True, "middle"))
    return _svg(960, height + 28, body, "Traces by duration, all and kept")


def _costs(results: Sequence[dict[str, Any]]) -> str:
    rows = [("seen", "everything", results[0]["cost"]["before"])]
    rows += [(_COLOURS[i], result["name"], result["cost"]["kept"]) for i, result in enumerate(results)]
    most = max(row[2]["stored_gib"] for row in rows) or 1.0
    body = []
    for number, (kind, name, cost) in enumerate(rows):
        top = number * 26
        text = f"{cost['stored_gib']:,.1f} GiB, {cost['per_month']:,.2f} USD per month"
        body.append(_text(240, top + 16, name[:38], anchor="end"))
        body.append(_bar(250, top + 3, 400 * cost["stored_gib"] / most, 18, kind, text))
        body.append(_text(260 + 400 * cost["stored_gib"] / most, top + 16, text, soft=True))
    return _svg(960, len(rows) * 26 + 2, body, "Storage per month")


def _differences(comparison: dict[str, Any]) -> str:
    first, second = comparison["names"]
    text = (
        f"<p>They agree on {comparison['same']:,} traces. Only {escape(first)} keeps "
        f"{comparison['only_first']['traces']:,}, only {escape(second)} {comparison['only_second']['traces']:,}.</p>"
    )
    rows = [
        [
            f"<code>{escape(one['trace_id'])}</code>",
            f"{one['spans']:,}",
            f"{one['duration_ms']:,.0f}",
            "yes" if one["error"] else "",
            escape(one["kept_by"]),
            escape(", ".join(one["policies"])),
            escape(", ".join(one["why_not"])),
        ]
        for one in comparison["differences"]
    ]
    return (
        text + _table(["Trace", "Spans", "ms", "Error", "Kept by", "Because of", "The other"], rows, (1, 2))
        if rows
        else text
    )


def _operations(results: Sequence[dict[str, Any]]) -> str:
    every = [{(one["service"], one["operation"]): one for one in result["operations"]} for result in results]
    rows = []
    for one in results[0]["operations"][:OPERATIONS_SHOWN]:
        # Missing where a result counts it among the other operations: they are those that it met last.
        found = [by_key.get((one["service"], one["operation"]), {}) for by_key in every]
        kinds = (_lines([figures.get(kind) for figures in found]) for kind in ("spans", "error_traces", "slow_traces"))
        rows.append([escape(one["service"]), f"<code>{escape(one['operation'])}</code>", *kinds])
    return _table(["Service", "Operation", "Spans", "Error traces", "Slow traces"], rows)
