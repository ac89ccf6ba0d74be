# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page in a browser. What the fixture `opened` checks holds for every test: nothing logged, nothing asked for."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.tests.report import made
from playwright import sync_api as playwright

AXE = Path(__file__).resolve().parents[2] / "report/node_modules/axe-core/axe.min.js"
PAGES = ["proof", "odd", "comparison", "empty", "simulation"]
ACTIVE = ".row.active"


def operation(page):
    """The operation of the row that the keyboard is on."""
    return page.locator(f"{ACTIVE} .operation").inner_text()


def keys(page, *names):
    for name in names:
        page.keyboard.press(name)


def violations(page):
    # As a script of the page it would be refused, as its policy says.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:150]} ({node['failureSummary']})"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def test_a_proof_has_all_its_parts(opened):
    page = opened("proof")
    assert page.title() == "Proof of the tracing platform"
    assert page.locator("h1").inner_text().split() == ["Proof", "of", "the", "tracing", "platform", "✓", "passed"]
    assert page.locator("h2").all_inner_texts() == [
        "What was proven", "Traces", "Service graph", "What sampling kept and dropped", "Freshness", "Versions",
    ]  # fmt: skip
    assert page.locator("#checks tbody tr").count() == 6
    assert page.locator("#checks .label").all_inner_texts() == ["AC1", "AC5"]
    assert page.get_by_role("tab").count() == 6
    assert "269 kept by no policy" in page.locator("#sampling").inner_text()
    assert "3.4 s" in page.locator("#freshness").inner_text()
    assert "0.158.0" in page.locator("#versions").inner_text()
    assert page.get_by_role("link", name="Grafana").get_attribute("href") == "https://grafana.example.com/explore"
    licences = page.locator(".licences").text_content()
    assert all(f"\n{name} " in licences for name in ("preact", "@tanstack/virtual-core", "@dagrejs/dagre"))


@pytest.mark.parametrize("source", ["metrics", "traces"])
def test_every_service_and_call_is_in_picture_and_table(opened, source):
    page = opened("proof")
    data = next(one for one in made.proof()["graphs"] if one["source"] == source)
    if source == "traces":
        page.get_by_role("radio", name="The traces above").check()
    assert page.locator(".graph .node").count() == len(data["nodes"])
    assert page.locator(".graph .edge").count() == len(data["edges"]) == page.locator("#graph tbody tr").count()
    assert page.locator(".graph .edge.failing").count() == sum(edge["errors"] > 0 for edge in data["edges"])
    name = {"metrics": "orders", "traces": "checkoutservice"}[source]
    page.locator(".graph .node", has=page.locator(f"text='{name}'")).click()
    shown = page.locator("#graph tbody tr").all_inner_texts()
    assert shown
    assert all(name in row for row in shown)


def test_a_graph_names_what_its_figures_are_of(opened):
    page = opened("proof")
    graph = page.locator("#graph")
    assert "all requests that the collectors saw in the last 60 minutes, before tail sampling" in graph.inner_text()
    texts = page.locator(".graph .edge text").all_text_contents()
    assert "1.00/s · 1.0 % errors · 8.00 ms" in texts, "gateway"
    assert "58.3/min · 0.1 % errors" in texts, "no duration is known of the broker's edge"
    assert "0.20/min · 28.0 ms" in texts
    page.get_by_role("radio", name="The traces above").check()
    assert "The figures count the spans of 5 traces that were read back." in graph.inner_text()
    only = opened("odd")
    assert only.locator("#graph").get_by_role("radio").count() == 0
    assert "that was read back" in only.locator("#graph").inner_text()
    assert "Prometheus gave no service graph: it is away" in only.locator("#graph").inner_text()


def test_a_trace_id_among_the_evidence_leads_to_the_trace(opened):
    page = opened("proof")
    page.get_by_role("tab").nth(3).click()
    page.locator("#checks button.jump").click()
    assert page.get_by_role("tab").first.get_attribute("aria-selected") == "true"
    assert page.evaluate("document.activeElement.id") == "tab-0"


def test_rows_bars_and_the_critical_path_are_those_of_the_trace(opened):
    page = opened("proof")
    trace = made.shop(1)[0]
    rows = page.locator("[role=row][aria-level]")
    assert rows.count() == len(trace.rows)
    assert [int(one.get_attribute("aria-level")) - 1 for one in rows.all()] == [row.depth for row in trace.rows]
    assert page.locator(".row:has(.critical)").count() == sum(bool(row.critical) for row in trace.rows)
    total = page.locator(".where tbody tr .meter").all_inner_texts()
    assert 98 < sum(float(one.split()[0]) for one in total) < 102


def test_a_walk_with_the_keyboard_alone(opened):
    page = opened("odd")
    names = [row.name for row in made.odd().rows]
    grid = page.get_by_role("treegrid")
    for _number in range(30):
        if grid.evaluate("one => one === document.activeElement"):
            break
        keys(page, "Tab")
    assert operation(page) == "GET /checkout"
    assert grid.get_attribute("aria-activedescendant") == page.locator(ACTIVE).get_attribute("id")
    keys(page, "End")
    assert operation(page) == names[-1]
    keys(page, "Home", "ArrowDown", "ArrowDown")
    assert operation(page) == names[2] == made.MARKUP
    keys(page, "ArrowLeft")
    assert page.locator(ACTIVE).get_attribute("aria-expanded") == "false"
    assert page.locator("[role=row][aria-level]").count() == len(names) - 4
    keys(page, "ArrowRight", "ArrowRight")
    assert operation(page) == "POST /orders"
    keys(page, "Enter")
    assert page.locator(".details h4").inner_text() == "POST /orders"
    keys(page, "Escape")
    assert page.locator(".details").count() == 0
    # The axis has as many ticks as there is room for, which the browser says a moment after the panel is gone.
    playwright.expect(page.locator(".tick")).to_have_count(5)
    before = page.locator(".tick").all_inner_texts()
    keys(page, "z")
    assert page.locator(".tick").all_inner_texts() != before
    keys(page, "0")
    playwright.expect(page.locator(".tick")).to_have_text(before)
    keys(page, "/")
    page.keyboard.type("consumer")
    keys(page, "Enter")
    assert operation(page) == "process orders"
    assert page.locator(".count").inner_text() == "1 of 1 match"
    keys(page, "Escape")
    assert page.locator("input[type=search]").input_value() == ""
    assert grid.evaluate("one => one === document.activeElement")


def test_the_tabs_have_the_keys_of_tabs(opened):
    page = opened("proof")
    page.get_by_role("tab").first.focus()
    keys(page, "ArrowRight")
    assert page.get_by_role("tab").nth(1).get_attribute("aria-selected") == "true"
    keys(page, "ArrowLeft", "ArrowLeft")
    assert page.evaluate("document.activeElement.innerText").startswith("everything wrong")
    assert page.locator("article h3").inner_text().startswith("web: GET /checkout")


def test_everything_about_a_span(opened):
    page = opened("odd")
    page.locator(".row", has_text="POST /orders").click()
    text = page.locator(".details").inner_text()
    for part in (
        "it starts 13.0 ms before its parent", f"Error: {made.MARKUP}", "SERVER", "shop 1.4", "exception.message",
        "3 attributes dropped by the SDK.", f"span {'cd' * 8} of trace {'ab' * 16}", "code.stacktrace",
    ):  # fmt: skip
        assert part in text
    page.locator(".details .jump", has_text="orphan").click()
    assert page.locator(".details h4").inner_text() == "orphan"
    assert "its parent 0000000000000063 is not in the trace" in page.locator(".details").inner_text()


def test_logs_are_beside_their_span_or_it_says_why_there_are_none(opened):
    page = opened("proof")
    page.locator(".row").first.click()
    assert page.locator(".details .logs li").count() == 2
    assert f"order 7 failed: {made.MARKUP}" in page.locator(".details .logs").inner_text()
    page.locator(".row").nth(1).click()
    assert "No log record has this span's id." in page.locator(".details").inner_text()
    page.get_by_role("tab").nth(2).click()
    page.locator(".row").first.click()
    assert "No log store is configured." in page.locator(".details").inner_text()
    assert "Logs: No log store is configured." in page.locator("article > .remark").inner_text()


def test_the_logs_of_a_trace_are_below_it_those_of_no_span_among_them(opened):
    page = opened("proof")
    page.locator(".records summary", has_text="4 log records of this trace").click()
    rows = page.locator(".records tbody tr").all_inner_texts()
    assert [row.split("\t")[3] for row in rows[1:]] == [made.shop(1)[0].rows[0].name, "not in the trace", "–"]
    assert "… (1,000 more characters)" in rows[3]
    remark = page.locator(".records .remark")
    assert remark.inner_text().startswith("2 without a span of this trace.")
    assert remark.get_by_role("link").get_attribute("href") == "https://grafana.example.com/explore?logs"
    assert violations(page) == []


def test_what_is_wrong_with_a_trace_is_said(opened):
    page = opened("odd")
    findings = page.locator("[role=note] li").all_inner_texts()
    assert findings == made.odd().findings
    assert len(findings) >= 6
    assert page.locator(".row .doubt").count() == sum(bool(row.notes) for row in made.odd().rows)


def test_markup_is_text(opened):
    page = opened("odd")
    for row in range(page.locator(".row").count()):
        page.locator(".row").nth(row).click()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert made.MARKUP in page.locator("body").inner_text()


def test_an_attribute_is_found_by_its_value(opened):
    page = opened("odd")
    page.get_by_role("searchbox").fill("db.namespace=shop")
    assert page.locator(".count").inner_text() == "1 match"
    page.get_by_role("searchbox").fill("db.namespace=sho")
    assert page.locator(".count").inner_text() == "0 matches"


def test_filters(opened):
    page = opened("odd")
    page.get_by_role("button", name="Errors").click()
    assert page.locator("[role=row][aria-level]").count() == 1
    page.get_by_role("button", name="Errors").click()
    page.get_by_role("button", name="Critical path").click()
    assert page.locator("[role=row][aria-level]").count() == sum(bool(row.critical) for row in made.odd().rows)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(opened, name, theme):
    page = opened(name, theme=theme)
    assert violations(page) == []
    if page.locator(".row").count():
        page.locator(".row").nth(1).click()
        assert violations(page) == []


def test_axe_finds_what_there_is_to_find(opened):
    page = opened("empty")
    page.evaluate("document.body.append(document.createElement('button'))")
    assert violations(page)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [360, 700, 1440])
def test_nothing_is_wider_than_the_window(opened, name, width):
    page = opened(name, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_switch_of_colours(opened):
    page = opened("proof")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("combobox").select_option("dark")
    dark = page.evaluate(paper)
    page.get_by_role("combobox").select_option("light")
    assert (page.evaluate(paper) == light) and dark != light


def test_fifty_thousand_spans_scroll(opened, written):
    written("large")
    begin = time.monotonic()
    page = opened("large")
    assert page.get_by_role("treegrid").get_attribute("aria-rowcount") == "50000"
    assert time.monotonic() - begin < 60
    grid = page.get_by_role("treegrid")
    assert page.locator(".row").count() < 100
    grid.focus()
    keys(page, "End")
    page.wait_for_selector('[aria-rowindex="50000"].active')
    assert page.locator(".row").count() < 100
    # How long the page needs for each of a hundred steps through all rows
    slowest = page.evaluate(
        """async (grid) => {
          const times = [];
          for (let step = 0; step < 100; step++) {
            const begin = performance.now();
            grid.scrollTop = (step / 100) * grid.scrollHeight;
            await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
            times.push(performance.now() - begin);
          }
          return times.sort((one, other) => one - other)[90];
        }""",
        grid.element_handle(),
    )
    assert slowest < 500
    page.get_by_role("searchbox").fill("failed")
    assert page.locator(".count").inner_text() == "50 matches"
    page.get_by_role("button", name="Next match").click()
    assert page.locator(f"{ACTIVE} .bad").count() == 1


def test_paper_gets_all_rows_up_to_a_limit_that_is_said(opened):
    page = opened("large")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".row").count() == 400
    assert "The first 400 of 50,000 rows are printed." in page.locator("article").inner_text()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".row").count() < 100


def test_a_comparison(opened):
    page = opened("comparison")
    data = made.comparison()["comparison"]
    assert page.locator("#comparison .lead").inner_text().startswith("after takes ")
    rows = page.locator("#comparison .scroll").nth(1).locator("tbody tr")
    assert rows.count() == min(25, len(data["operations"]))
    assert data["operations"][0]["name"] in rows.first.inner_text()
    assert page.locator("article").count() == 2


def test_a_simulation(opened):
    page = opened("simulation")
    data = made.simulation()
    assert page.locator("h2").all_inner_texts() == [block["title"] for block in data["blocks"]]
    bars = next(block for block in data["blocks"] if block["title"] == "Spans kept by service")["bars"]
    shown = page.locator("section", has=page.locator("h2", has_text="Spans kept by service"))
    assert shown.locator("tbody tr").count() == len(bars)
    whole = shown.locator(".all").first.bounding_box()["width"]
    for number, part in enumerate(bars[0]["parts"]):
        width = shown.locator("tr").first.locator("span").nth(number).bounding_box()["width"]
        assert abs(width / whole - part["share"]) < 0.02
    columns = page.locator(".column")
    assert columns.count() == len(next(block["columns"] for block in data["blocks"] if "columns" in block)["columns"])
    assert max(column.locator(".whole").bounding_box()["height"] for column in columns.all()) > 200
    assert page.locator("#keys").count() == 0
    assert made.MARKUP in page.locator("main").inner_text()


def test_a_trace_that_is_not_there(opened):
    page = opened("empty")
    assert "the trace has no spans in the store" in page.locator("article").inner_text()


def test_data_that_were_cut(browser, written, tmp_path):
    broken = tmp_path / "broken.html"
    text = written("odd").read_text(encoding="utf-8")
    broken.write_text(re.sub(r'("schema_version":1).*?</script>', r"\1</script>", text, flags=re.DOTALL))
    page = browser.new_page()
    page.goto(broken.as_uri())
    page.wait_for_selector("#page .alert")
    assert "The data in this page cannot be read" in page.locator("#page").inner_text()
    page.close()


def test_without_javascript_there_is_a_table(browser, written):
    page = browser.new_page(java_script_enabled=False)
    page.goto(written("proof").as_uri())
    assert "share of other traces kept" in page.locator("noscript").inner_text()
    page.close()
