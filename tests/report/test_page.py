# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page in a browser. What the fixture `opened` checks holds for every test: nothing logged, nothing asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.tests.report import made
from playwright.sync_api import expect

AXE = Path(__file__).resolve().parents[2] / "report/node_modules/axe-core/axe.min.js"
PAGES = ["proof", "odd", "comparison", "empty", "simulation"]
ACTIVE = ".row.active"


def expect_operation(page, name):
    """That the row that the keyboard is on is of that operation, once the page has drawn it."""
    expect(page.locator(f"{ACTIVE} .operation")).to_have_text(name)


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
    expect(page.locator("#checks tbody tr")).to_have_count(6)
    assert page.locator("#checks .label").all_inner_texts() == ["AC1", "AC5"]
    expect(page.get_by_role("tab")).to_have_count(6)
    expect(page.locator("#sampling")).to_contain_text("269 kept by no policy", use_inner_text=True)
    expect(page.locator("#freshness")).to_contain_text("3.4 s", use_inner_text=True)
    expect(page.locator("#versions")).to_contain_text("0.158.0", use_inner_text=True)
    assert page.get_by_role("link", name="Grafana").get_attribute("href") == "https://grafana.example.com/explore"
    licences = page.locator(".licences").text_content()
    assert all(f"\n{name} " in licences for name in ("preact", "@tanstack/virtual-core", "@dagrejs/dagre"))


@pytest.mark.parametrize("source", ["metrics", "traces"])
def test_every_service_and_call_is_in_picture_and_table(opened, source):
    page = opened("proof")
    data = next(one for one in made.proof()["graphs"] if one["source"] == source)
    if source == "traces":
        page.get_by_role("radio", name="The traces above").check()
    expect(page.locator(".graph .node")).to_have_count(len(data["nodes"]))
    assert page.locator(".graph .edge").count() == len(data["edges"]) == page.locator("#graph tbody tr").count()
    expect(page.locator(".graph .edge.failing")).to_have_count(sum(edge["errors"] > 0 for edge in data["edges"]))
    name = {"metrics": "orders", "traces": "checkoutservice"}[source]
    page.locator(".graph .node", has=page.locator(f"text='{name}'")).click()
    shown = page.locator("#graph tbody tr").all_inner_texts()
    assert shown
    assert all(name in row for row in shown)


def test_a_graph_names_what_its_figures_are_of(opened):
    page = opened("proof")
    graph = page.locator("#graph")
    expect(graph).to_contain_text(
        "all requests that the collectors saw in the last 60 minutes, before tail sampling", use_inner_text=True
    )
    texts = page.locator(".graph .edge text").all_text_contents()
    assert "1.00/s · 1.0 % errors · 8.00 ms" in texts, "gateway"
    assert "58.3/min · 0.1 % errors" in texts, "no duration is known of the broker's edge"
    assert "0.20/min · 28.0 ms" in texts
    page.get_by_role("radio", name="The traces above").check()
    expect(graph).to_contain_text("The figures count the spans of 5 traces that were read back.", use_inner_text=True)
    only = opened("odd")
    expect(only.locator("#graph").get_by_role("radio")).to_have_count(0)
    expect(only.locator("#graph")).to_contain_text("that was read back", use_inner_text=True)
    expect(only.locator("#graph")).to_contain_text("Prometheus gave no service graph: it is away", use_inner_text=True)


def test_a_trace_id_among_the_evidence_leads_to_the_trace(opened):
    page = opened("proof")
    page.get_by_role("tab").nth(3).click()
    page.locator("#checks button.jump").click()
    expect(page.get_by_role("tab").first).to_have_attribute("aria-selected", "true")
    assert page.evaluate("document.activeElement.id") == "tab-0"


def test_rows_bars_and_the_critical_path_are_those_of_the_trace(opened):
    page = opened("proof")
    trace = made.shop(1)[0]
    rows = page.locator("[role=row][aria-level]")
    expect(rows).to_have_count(len(trace.rows))
    assert [int(one.get_attribute("aria-level")) - 1 for one in rows.all()] == [row.depth for row in trace.rows]
    expect(page.locator(".row:has(.critical)")).to_have_count(sum(bool(row.critical) for row in trace.rows))
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
    expect_operation(page, "GET /checkout")
    assert grid.get_attribute("aria-activedescendant") == page.locator(ACTIVE).get_attribute("id")
    keys(page, "End")
    expect_operation(page, names[-1])
    keys(page, "Home", "ArrowDown", "ArrowDown")
    assert names[2] == made.MARKUP
    expect_operation(page, names[2])
    keys(page, "ArrowLeft")
    expect(page.locator(ACTIVE)).to_have_attribute("aria-expanded", "false")
    expect(page.locator("[role=row][aria-level]")).to_have_count(len(names) - 4)
    keys(page, "ArrowRight", "ArrowRight")
    expect_operation(page, "POST /orders")
    keys(page, "Enter")
    expect(page.locator(".details h4")).to_have_text("POST /orders")
    keys(page, "Escape")
    expect(page.locator(".details")).to_have_count(0)
    # The axis has as many ticks as there is room for, which the browser says a moment after the panel is gone.
    expect(page.locator(".tick")).to_have_count(5)
    before = page.locator(".tick").all_inner_texts()
    keys(page, "z")
    assert page.locator(".tick").all_inner_texts() != before
    keys(page, "0")
    expect(page.locator(".tick")).to_have_text(before)
    keys(page, "/")
    page.keyboard.type("consumer")
    keys(page, "Enter")
    expect_operation(page, "process orders")
    expect(page.locator(".count")).to_have_text("1 of 1 match")
    keys(page, "Escape")
    assert page.locator("input[type=search]").input_value() == ""
    assert grid.evaluate("one => one === document.activeElement")


def test_the_tabs_have_the_keys_of_tabs(opened):
    page = opened("proof")
    page.get_by_role("tab").first.focus()
    keys(page, "ArrowRight")
    expect(page.get_by_role("tab").nth(1)).to_have_attribute("aria-selected", "true")
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
    expect(page.locator(".details h4")).to_have_text("orphan")
    expect(page.locator(".details")).to_contain_text(
        "its parent 0000000000000063 is not in the trace", use_inner_text=True
    )


def test_logs_are_beside_their_span_or_it_says_why_there_are_none(opened):
    page = opened("proof")
    page.locator(".row").first.click()
    expect(page.locator(".details .logs li")).to_have_count(2)
    expect(page.locator(".details .logs")).to_contain_text(f"order 7 failed: {made.MARKUP}", use_inner_text=True)
    page.locator(".row").nth(1).click()
    expect(page.locator(".details")).to_contain_text("No log record has this span's id.", use_inner_text=True)
    page.get_by_role("tab").nth(2).click()
    page.locator(".row").first.click()
    expect(page.locator(".details")).to_contain_text("No log store is configured.", use_inner_text=True)
    expect(page.locator("article > .remark")).to_contain_text("Logs: No log store is configured.", use_inner_text=True)


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
    expect(page.locator(".row .doubt")).to_have_count(sum(bool(row.notes) for row in made.odd().rows))


def test_markup_is_text(opened):
    page = opened("odd")
    for row in range(page.locator(".row").count()):
        page.locator(".row").nth(row).click()
    assert page.evaluate("window.hacked") is None
    expect(page.locator("img")).to_have_count(0)
    expect(page.locator("body")).to_contain_text(made.MARKUP, use_inner_text=True)


def test_an_attribute_is_found_by_its_value(opened):
    page = opened("odd")
    page.get_by_role("searchbox").fill("db.namespace=shop")
    expect(page.locator(".count")).to_have_text("1 match")
    page.get_by_role("searchbox").fill("db.namespace=sho")
    expect(page.locator(".count")).to_have_text("0 matches")


def test_filters(opened):
    page = opened("odd")
    page.get_by_role("button", name="Errors").click()
    expect(page.locator("[role=row][aria-level]")).to_have_count(1)
    page.get_by_role("button", name="Errors").click()
    page.get_by_role("button", name="Critical path").click()
    expect(page.locator("[role=row][aria-level]")).to_have_count(sum(bool(row.critical) for row in made.odd().rows))


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


def test_fifty_thousand_spans_scroll(opened):
    page = opened("large")
    grid = page.get_by_role("treegrid")
    expect(grid).to_have_attribute("aria-rowcount", "50000")
    assert page.locator(".row").count() < 100
    grid.focus()
    keys(page, "End")
    page.wait_for_selector('[aria-rowindex="50000"].active')
    # Only the rows that are in sight are in the document, wherever that is.
    most = page.evaluate(
        """async (grid) => {
          let most = 0;
          for (let step = 0; step < 100; step++) {
            grid.scrollTop = (step / 100) * grid.scrollHeight;
            await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
            most = Math.max(most, grid.querySelectorAll(".row").length);
          }
          return most;
        }""",
        grid.element_handle(),
    )
    assert 0 < most < 100
    page.get_by_role("searchbox").fill("failed")
    expect(page.locator(".count")).to_have_text("50 matches")
    page.get_by_role("button", name="Next match").click()
    expect(page.locator(f"{ACTIVE} .bad")).to_have_count(1)


def test_paper_gets_all_rows_up_to_a_limit_that_is_said(opened):
    page = opened("large")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator(".row")).to_have_count(400)
    expect(page.locator("article")).to_contain_text("The first 400 of 50,000 rows are printed.", use_inner_text=True)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.wait_for_function("document.querySelectorAll('.row').length < 100")


def test_a_comparison(opened):
    page = opened("comparison")
    data = made.comparison()["comparison"]
    assert page.locator("#comparison .lead").inner_text().startswith("after takes ")
    rows = page.locator("#comparison .scroll").nth(1).locator("tbody tr")
    expect(rows).to_have_count(min(25, len(data["operations"])))
    assert data["operations"][0]["name"] in rows.first.inner_text()
    expect(page.locator("article")).to_have_count(2)


def test_a_simulation(opened):
    page = opened("simulation")
    data = made.simulation()
    assert page.locator("h2").all_inner_texts() == [block["title"] for block in data["blocks"]]
    bars = next(block for block in data["blocks"] if block["title"] == "Spans kept by service")["bars"]
    shown = page.locator("section", has=page.locator("h2", has_text="Spans kept by service"))
    expect(shown.locator("tbody tr")).to_have_count(len(bars))
    whole = shown.locator(".all").first.bounding_box()["width"]
    for number, part in enumerate(bars[0]["parts"]):
        width = shown.locator("tr").first.locator("span").nth(number).bounding_box()["width"]
        assert abs(width / whole - part["share"]) < 0.02
    columns = page.locator(".column")
    expect(columns).to_have_count(
        len(next(block["columns"] for block in data["blocks"] if "columns" in block)["columns"])
    )
    assert max(column.locator(".whole").bounding_box()["height"] for column in columns.all()) > 200
    expect(page.locator("#keys")).to_have_count(0)
    expect(page.locator("main")).to_contain_text(made.MARKUP, use_inner_text=True)


def test_a_trace_that_is_not_there(opened):
    page = opened("empty")
    expect(page.locator("article")).to_contain_text("the trace has no spans in the store", use_inner_text=True)


def test_data_that_were_cut(browser, written, tmp_path):
    broken = tmp_path / "broken.html"
    text = written("odd").read_text(encoding="utf-8")
    broken.write_text(re.sub(r'("schema_version":1).*?</script>', r"\1</script>", text, flags=re.DOTALL))
    page = browser.new_page()
    page.goto(broken.as_uri())
    page.wait_for_selector("#page .alert")
    expect(page.locator("#page")).to_contain_text("The data in this page cannot be read", use_inner_text=True)
    page.close()


def test_without_javascript_there_is_a_table(browser, written):
    page = browser.new_page(java_script_enabled=False)
    page.goto(written("proof").as_uri())
    expect(page.locator("noscript")).to_contain_text("share of other traces kept", use_inner_text=True)
    page.close()
