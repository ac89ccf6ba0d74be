# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The data of the page, and the page with them. tests/report looks at the page in a browser."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.report import page
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.report.made import BEGIN, MS, TRACE_ID, rows

TEMPLATE = (Path(__file__).resolve().parents[5] / "roles/verify/files/report.html").read_text(encoding="utf-8")
DATA = re.compile(r'<script type="([^"]+)" id="data">([^<]*)</script>')
MARKUP = "</script><script>alert(1)</script><!--"


def data(html):
    kind, text = DATA.search(html).groups()
    return json.loads(gzip.decompress(base64.b64decode(text)) if "gzip" in kind else text)


def some(**more):
    return {"title": "T", "traces": [], **more}


def test_a_trace_as_the_page_has_it():
    found = page.trace_data(
        rows(
            (1, 0, "web", "root", 0, 100, {"links": [{"traceId": TRACE_ID, "spanId": f"{2:016x}"}]}),
            (2, 1, "api", "call", 10, 40, {"error": "no", "attributes": {"a": 1}}),
        ),
        "why",
        "https://grafana.example.com",
        {"none": "not asked"},
    )
    assert (found["label"], found["link"], found["logs"]) == (
        "why",
        "https://grafana.example.com",
        {"none": "not asked"},
    )
    assert (found["start"], found["duration"], found["length"], found["view"]) == (
        str(BEGIN), 100 * MS, 100 * MS, [0, 100 * MS],
    )  # fmt: skip
    root, call = found["spans"]
    assert root == {
        "id": f"{1:016x}", "parent": -1, "depth": 0, "below": 1, "service": 0, "name": "root", "kind": "INTERNAL",
        "start": 0, "duration": 100 * MS, "resource": 0, "scope": "test",
        "critical": [[0, 10 * MS], [40 * MS, 100 * MS]],
        "links": [{"trace_id": TRACE_ID, "span_id": f"{2:016x}", "row": 1, "attributes": {}}],
    }  # fmt: skip
    assert (call["status"], call["message"], call["attributes"]) == ("ERROR", "no", {"a": 1})
    assert found["services"] == [{"name": "web", "spans": 1}, {"name": "api", "spans": 1}]
    assert found["critical"][0] == {"service": "web", "name": "root", "kind": "INTERNAL", "spans": 1, "time": 70 * MS}


def test_only_so_many_operations_and_the_rest_counted():
    found = page.trace_data(rows((1, 0, "a", "r", 0, 100), *((n, 1, "a", f"n{n}", n, n + 1) for n in range(2, 60))))
    assert (len(found["critical"]), found["critical_more"]) == (page.OPERATIONS_SHOWN, 59 - page.OPERATIONS_SHOWN)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"\x00\xff", "0x00ff"),
        (2**53, str(2**53)),
        (-5, -5),
        (True, True),
        (None, None),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (["a", b"b", {"c": float("inf")}], ["a", "0x62", {"c": "inf"}]),
        ("x" * 9000, "x" * 8192 + "… (808 more characters)"),
        ("\ud800", "?"),
    ],
)
def test_values_that_a_browser_reads_without_loss(value, shown):
    assert page.readable(value) == shown


def test_no_text_ends_the_element_of_the_data():
    html = page.render(TEMPLATE, some(title=MARKUP, subtitle=MARKUP, notes=[MARKUP]))
    assert data(html) == {"schema_version": 1, "title": MARKUP, "subtitle": MARKUP, "notes": [MARKUP], "traces": []}
    assert "<script>alert" not in html
    assert html.count("<script") == TEMPLATE.count("<script")


def test_large_data_are_compressed_and_the_same_each_time():
    found = page.render(TEMPLATE, some(notes=["x" * page.PLAIN_BYTES]))
    assert len(found) < len(TEMPLATE) + 10_000
    assert data(found)["notes"] == ["x" * page.PLAIN_BYTES]
    assert found == page.render(TEMPLATE, some(notes=["x" * page.PLAIN_BYTES]))


def test_without_script_there_is_a_table():
    checks = [{"name": "a <b>", "expected": "1", "observed": "2", "passed": False, "seconds": 1.0}]
    assert "<td>FAILED</td><td>a &lt;b&gt;</td><td>1</td><td>2</td>" in page.render(TEMPLATE, some(checks=checks))
    one = page.trace_data(rows((1, 0, "a", "r", 0, 1)))
    assert f"<td>{TRACE_ID}</td><td>a</td><td>r</td><td>1 spans</td>" in page.render(TEMPLATE, some(traces=[one]))


def test_a_template_that_is_something_else():
    with pytest.raises(InvalidInput, match="report_template is not the page of this version"):
        page.render("<html></html>", some())


def test_the_page_asks_nobody_for_anything():
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', TEMPLATE).group(1)
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r'(?:src|href)="?(?:https?:)?//', TEMPLATE)
    assert "\n\npreact 1" in TEMPLATE


def test_the_service_graph_as_the_page_has_it():
    found = page.graph_data([rows((1, 0, "a", "x", 0, 9), (2, 1, "b", "y", 1, 3))])
    assert found == {
        "source": "traces",
        "traces": 1,
        "nodes": [
            {"name": "a", "kind": "service", "spans": 1, "errors": 0},
            {"name": "b", "kind": "service", "spans": 1, "errors": 0},
        ],
        "edges": [
            {"client": "a", "server": "b", "calls": 1, "errors": 0, "p50": 2 * MS, "p95": 2 * MS, "max": 2 * MS},
        ],
    }
