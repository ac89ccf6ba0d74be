# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A headless Chromium, and pages opened in it."""

from __future__ import annotations

import os

import pytest
from ansible_collections.orion.tracing.tests.report import made
from playwright.sync_api import expect, sync_playwright

from tools import browser as programs

# A busy machine is slow.
TIMEOUT = 60_000
expect.set_options(timeout=TIMEOUT)


@pytest.fixture(scope="session")
def browser():
    program, environment = programs.chromium()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=programs.ARGUMENTS, env={**os.environ, **environment}
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Path of a page by its name."""
    folder = tmp_path_factory.mktemp("pages")
    makers = {
        "proof": made.proof,
        "odd": lambda: made.traces(made.odd()) | {"graph_note": "Prometheus gave no service graph: it is away."},
        "large": lambda: made.traces(made.large(50_000)),
        "comparison": made.comparison,
        "simulation": made.simulation,
        "empty": lambda: made.traces(made.trace_rows("ab" * 16, {})),
    }
    paths = {}

    def path(name):
        if name not in paths:
            paths[name] = made.write(folder, name, makers[name]())
        return paths[name]

    return path


@pytest.fixture
def opened(browser, written):
    """Opens a page. At the end: it has logged nothing, and asked nobody for anything."""
    pages, said, asked = [], [], []

    def show(name, width=1440, theme="light", **options):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme, **options)
        pages.append(page)
        page.set_default_timeout(TIMEOUT)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        address = written(name).as_uri()
        page.goto(address)
        page.wait_for_selector("html[data-ready]", state="attached")
        asked.remove(address)
        return page

    yield show
    for page in pages:
        page.close()
    assert said == []
    assert asked == []
