# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a trace, its critical path, and what is wrong with it."""

from __future__ import annotations

import base64
import itertools
import json
import random
import time
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.otlp import recordings
from ansible_collections.orion.tracing.plugins.module_utils.report import page, trace
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import duration_text, trace_rows
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.report.made import (
    BEGIN,
    MS,
    TRACE_ID,
    document,
    rows,
)


def tree(found):
    return [(row.depth, row.name) for row in found.rows]


def critical(found):
    return {
        row.name: [((start - BEGIN) / MS, (end - BEGIN) / MS) for start, end in row.critical]
        for row in found.rows
        if row.critical
    }


ORDER = (
    (1, 0, "web", "root", 0, 100),
    (2, 1, "web", "second", 50, 90),
    (3, 1, "web", "first", 10, 40),
    (4, 3, "db", "query", 20, 30),
)


def test_children_follow_their_parents_by_start():
    found = rows(*ORDER)
    assert tree(found) == [(0, "root"), (1, "first"), (2, "query"), (1, "second")]
    assert [row.parent for row in found.rows] == [-1, 0, 1, 0]
    assert [row.descendants for row in found.rows] == [3, 1, 0, 0]
    assert (found.service, found.name, found.duration) == ("web", "root", 100 * MS)
    assert found.services() == {"web": 3, "db": 1}
    assert found.findings == []


def test_the_order_of_the_document_does_not_matter():
    assert rows(*reversed(ORDER)).rows[0].critical == rows(*ORDER).rows[0].critical
    assert tree(rows(*reversed(ORDER))) == tree(rows(*ORDER))


def test_the_critical_path_is_what_the_root_waited_for():
    assert critical(rows(*ORDER)) == {
        "root": [(0, 10), (40, 50), (90, 100)],
        "first": [(10, 20), (30, 40)],
        "query": [(20, 30)],
        "second": [(50, 90)],
    }


def test_of_parallel_children_the_last_to_end_was_waited_for():
    found = rows(
        (1, 0, "web", "root", 0, 100), (2, 1, "web", "short", 10, 50), (3, 1, "web", "long", 20, 80)
    )  # fmt: skip
    assert critical(found) == {"root": [(0, 10), (80, 100)], "long": [(20, 80)], "short": [(10, 20)]}


def test_what_goes_on_after_the_parents_end_was_not_waited_for():
    found = rows(
        (1, 0, "web", "root", 0, 50),
        (2, 1, "queue", "consume", 40, 200),
        (3, 1, "queue", "later", 60, 90),
        (4, 2, "queue", "inside", 100, 150),
    )
    assert critical(found) == {"root": [(0, 40)], "consume": [(40, 50)]}


@pytest.mark.parametrize(
    "spans",
    [
        ORDER,
        (*ORDER, (5, 1, "x", "early", -20, 15), (6, 2, "x", "late", 80, 400), (7, 4, "x", "empty", 25, 25)),
        tuple((n, n // 2, f"s{n % 5}", f"n{n}", n * 7 % 40, n * 7 % 40 + n * 13 % 90) for n in range(1, 200)),
    ],
)
def test_the_critical_path_adds_up_to_the_root(spans):
    found = rows(*spans)
    parts = sorted(part for row in found.rows for part in row.critical)
    root = found.rows[found.root]
    assert parts[0][0] == root.start
    assert parts[-1][1] == root.end
    assert all(one[1] == other[0] for one, other in itertools.pairwise(parts))
    assert sum(one[4] for one in trace.where_time_went(found)) == root.duration


def test_real_traces_add_up(shop_traces):
    for trace_id, one in shop_traces:
        found = trace_rows(trace_id, one)
        assert len(found.rows) == otlp.count_spans(one)
        assert found.findings == []
        assert sum(row.critical_ns for row in found.rows) == found.duration


@pytest.fixture(scope="module")
def shop_traces():
    path = Path(__file__).resolve().parents[4] / "data/shop.jsonl.gz"
    documents = [message.document() for message in recordings.FileRecording(path).messages()]
    return [(next(otlp.spans(one))["traceId"], one) for one in documents]


def test_a_missing_parent_makes_a_row_at_the_top():
    found = rows((1, 0, "web", "root", 0, 10), (2, 77, "web", "orphan", 1, 2), (3, 2, "web", "below", 1, 2))
    assert tree(found) == [(0, "root"), (0, "orphan"), (1, "below")]
    assert found.rows[1].notes == ["its parent 000000000000004d is not in the trace"]
    assert found.findings == [
        "1 span whose parent is not in the trace (000000000000004d): it was never sent, arrived after the decision, "
        "or is not stored yet"
    ]


def test_without_any_root_the_largest_part_counts():
    found = rows((2, 77, "web", "small", 0, 2), (3, 78, "web", "large", 1, 5), (4, 3, "web", "below", 1, 2))
    assert found.name == "large"
    assert found.findings[-1] == "no root; the critical path is that of the span with the most spans below it"


def test_two_roots_are_both_shown():
    found = rows((1, 0, "web", "a", 0, 10), (2, 0, "job", "b", 5, 50), (3, 2, "job", "c", 6, 7))
    assert tree(found) == [(0, "a"), (0, "b"), (1, "c")]
    assert found.name == "b"
    assert found.findings == ["2 roots (web: a, job: b); the critical path is that of job: b"]


@pytest.mark.parametrize("length", [1, 2, 3, 500])
def test_circles_are_opened_at_their_earliest_span(length):
    circle = [(n + 10, (n + 1) % length + 10, "web", f"n{n}", 100 - n if length > 1 else 5, 200) for n in range(length)]
    below = (9, 10, "web", "below", 150, 160)
    found = rows((1, 0, "web", "root", 0, 300), *circle, below)
    assert len(found.rows) == length + 2
    assert {row.name for row in found.rows} == {"root", "below", *(one[3] for one in circle)}
    opened = next(row for row in found.rows if row.notes)
    assert opened.parent == -1
    if length == 1:
        assert opened.notes == ["it names itself as its parent"]
    else:
        assert opened.name == f"n{length - 1}"
        assert f"{length} spans in a circle" in opened.notes[0]
        assert any(text.startswith("1 circle of spans") for text in found.findings)


def test_two_circles_and_a_trace_that_is_only_a_circle():
    found = rows(
        (1, 2, "a", "a1", 0, 5), (2, 1, "a", "a2", 1, 5), (3, 4, "b", "b1", 2, 5), (4, 3, "b", "b2", 3, 5)
    )  # fmt: skip
    assert tree(found) == [(0, "a1"), (1, "a2"), (0, "b1"), (1, "b2")]
    assert "2 circles" in " ".join(found.findings)


def test_a_span_stored_twice_is_shown_once_and_said():
    found = rows(*ORDER, ORDER[1])
    assert len(found.rows) == 4
    assert found.findings == ["1 span stored more than once, shown once"]


def test_client_and_server_may_share_an_id():
    found = rows(
        (1, 0, "web", "call", 0, 10, {"kind": "CLIENT"}),
        (1, 0, "api", "serve", 2, 8, {"kind": "SERVER"}),
        (2, 1, "api", "inner", 3, 4),
    )
    assert len(found.rows) == 3
    inner = next(row for row in found.rows if row.name == "inner")
    assert found.rows[inner.parent].name == "serve"
    assert found.findings[0] == "1 span id used by several spans: 0000000000000001"


def test_clock_skew_is_shown_and_said():
    found = rows((1, 0, "web", "root", 100, 200), (2, 1, "api", "serve", 60, 90), (3, 2, "api", "inner", 59, 70))
    assert [row.start for row in found.rows] == [BEGIN + ms * MS for ms in (100, 60, 59)]
    assert (found.start, found.end) == (BEGIN + 59 * MS, BEGIN + 200 * MS)
    assert found.rows[1].notes == ["it starts 40.0 ms before its parent"]
    assert found.findings == [
        "clock skew: 1 span of api before the parent's start in web, by up to 40.0 ms; the times are shown as they "
        "were recorded",
        "1 span before the parent's start in the same process",
    ]
    assert critical(found) == {"root": [(100, 200)]}


def test_a_clock_that_is_days_off_does_not_hide_the_rest():
    day = 24 * 3600 * 1000
    found = rows((1, 0, "web", "root", 0, 100), (2, 1, "api", "serve", -day, 50 - day))
    assert found.view == (BEGIN, BEGIN + 100 * MS)
    assert found.findings[0] == (
        "spans reach from 1440 min before the root's start to 0 after its end; the timeline begins with the root's time"
    )


def test_times_that_cannot_be():
    found = rows((1, 0, "web", "root", 0, 100), (2, 1, "web", "back", 50, 20), (3, 1, "web", "untimed", 1, 2,
                 {"startTimeUnixNano": "0", "endTimeUnixNano": "0"}))  # fmt: skip
    assert {row.name: (row.start - BEGIN, row.duration) for row in found.rows} == {
        "root": (0, 100 * MS), "untimed": (0, 0), "back": (50 * MS, 0),
    }  # fmt: skip
    assert next(row for row in found.rows if row.name == "back").notes == [
        "it ends 30.0 ms before it starts, and is drawn without length"
    ]
    assert found.findings == ["1 span without a start time, drawn where the trace begins"]


def test_events_links_status_and_scope():
    found = rows(
        (1, 0, "web", "root", 0, 10, {
            "error": "out of stock",
            "attributes": {"a": "<b>", "n": 3},
            "events": [
                {"name": "exception", "timeUnixNano": str(BEGIN + MS), "attributes": otlp.attributes({"t": "E"})}
            ],
            "links": [{"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "2"}],
            "droppedEventsCount": 4,
        }),
    )  # fmt: skip
    row = found.rows[0]
    assert (row.status, row.message, row.scope, row.kind) == ("ERROR", "out of stock", "test", "INTERNAL")
    assert row.attributes == {"a": "<b>", "n": 3}
    assert row.events == [("exception", BEGIN + MS, {"t": "E"})]
    assert row.links == [("0" * 31 + "1", "0" * 15 + "2", {})]
    assert row.dropped == {"events": 4}
    assert found.resources == [{"service.name": "web"}]
    assert found.errors == 1


def test_tempos_ids_in_base64():
    one = document(*ORDER)
    for span in otlp.spans(one):
        for key in otlp.IDS.intersection(span):
            span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    assert tree(trace_rows(TRACE_ID, {"batches": one["resourceSpans"]})) == tree(rows(*ORDER))


def test_other_traces_and_no_spans_at_all():
    both = otlp.merge([document(*ORDER), document((1, 0, "x", "other", 0, 1), trace_id="f" * 32)])
    assert len(trace_rows(TRACE_ID, both).rows) == 4
    none = trace_rows(TRACE_ID, {})
    assert (none.rows, none.duration, none.name, none.services()) == ([], 0, "", {})
    assert none.findings == ["the trace has no spans in the store"]


@pytest.mark.parametrize("field", ["name", "kind", "startTimeUnixNano", "parentSpanId"])
def test_null_is_no_reason_to_draw_nothing(field):
    one = document((1, 0, "web", "a", 0, 9), (2, 1, "web", "b", 0, 9))
    first, second = otlp.spans(one)
    second[field] = None
    first["attributes"] = [{"key": key, "value": {"intValue": "1"}} for key in ("b", None, "a")]
    assert [len(row.attributes) for row in trace_rows(TRACE_ID, one).rows] == [3, 0]


@pytest.mark.parametrize("seed", range(20))
def test_a_trace_is_the_same_in_whatever_order_a_store_gives_it(seed):
    attributes = {"b": 1, "a": "x"}
    event = {"name": "e", "timeUnixNano": str(BEGIN), "attributes": otlp.attributes({"y": 1, "x": 2})}
    one = document(
        (1, 0, "shop", "root", 0, 9, {"attributes": attributes, "events": [event]}), (2, 0, "shop", "root too", 0, 9),
        # Beside each other, at the same time, of the same name; the same id twice; a circle; a span sent twice, which
        # had changed in between.
        (3, 1, "till", "charge", 1, 2), (4, 1, "bank", "charge", 1, 2), (4, 1, "till", "charge", 1, 2),
        (5, 6, "till", "a", 3, 4), (6, 5, "bank", "b", 3, 4),
        (7, 1, "till", "twice", 5, 6, {"attributes": {"n": 1}}),
        (7, 1, "till", "twice", 5, 6, {"attributes": {"n": 2}}),
    )  # fmt: skip
    given = page.trace_data(trace_rows(TRACE_ID, one))
    parts = []
    for whole in one["resourceSpans"]:
        spans = whole["scopeSpans"][0]["spans"]
        parts += [{**whole, "scopeSpans": [{**whole["scopeSpans"][0], "spans": [span]}]} for span in spans]
    dice = random.Random(seed)
    dice.shuffle(parts)
    for span in otlp.spans({"resourceSpans": parts}):
        dice.shuffle(span.get("attributes") or [])
        for listed in span.get("events") or ():
            dice.shuffle(listed["attributes"])
    again = page.trace_data(trace_rows(TRACE_ID, {"resourceSpans": parts}))
    assert json.dumps(again) == json.dumps(given)


def test_fifty_thousand_spans_in_a_chain_or_beside_each_other():
    count = 50_000
    chain = [(n, n - 1, f"s{n % 9}", f"n{n}", n * 0.01, 2000 - n * 0.01) for n in range(1, count + 1)]
    wide = [(1, 0, "s", "root", 0, 2000), *((n, 1, "s", "n", n * 0.01, n * 0.01 + 1) for n in range(2, count + 1))]
    for spans in (chain, wide):
        one = document(*spans)
        started = time.process_time()
        found = trace_rows(TRACE_ID, one)
        assert time.process_time() - started < 20
        assert len(found.rows) == count
        assert sum(row.critical_ns for row in found.rows) == found.duration
    assert json.dumps(found.rows[0].attributes) == "{}"


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0"),
        (999, "999 ns"),
        (1500, "1.50 µs"),
        (12_340_000, "12.3 ms"),
        (1_500_000_000, "1.50 s"),
        (9e10, "1.50 min"),
    ],
)
def test_durations_for_people(nanoseconds, text):
    assert duration_text(nanoseconds) == text
