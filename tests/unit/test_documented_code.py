# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Code in the pages about instrumentation is the code of the example system, which is compiled and run."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.environment import settings
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import LANGUAGES
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROOT = Path(__file__).resolve().parents[2]
INDEX = ROOT / "docs/instrument-your-service.md"
SHOP = ROOT / "examples/shop"
PAGES = [ROOT / "docs/instrument-your-service" / f"{name}.md" for name in ("java", "from-the-sdk", "python", "nodejs")]
# Language of a code block → files that may have it
FILES = {
    "java": "pricing/src/**/*.java",
    "xml": "pricing/pom.xml",
    "properties": "pricing/src/**/*.properties",
    "python": "*/*.py",
    "js": "storefront/*.js",
}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"^ *<!--.*?-->\n", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(language, code) for language, code in BLOCK.findall(page.read_text()) if language in FILES]


@pytest.mark.parametrize(
    ("language", "code"),
    [pytest.param(*block, id=f"{page.stem}-{block[1].split()[0]}") for page in PAGES for block in blocks(page)],
)
def test_code_is_that_of_the_example(language, code):
    found = [COMMENT.sub("", path.read_text()) for path in SHOP.glob(FILES[language])]
    assert any(f"\n{code}" in f"\n{text}" for text in found), dedent(code)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_has_code_that_is_compiled(page):
    assert [language for language, _code in blocks(page) if language in ("java", "python", "js")]


def test_the_table_of_the_environment_is_what_is_injected():
    """Every variable and value by default, and the languages that get it."""
    variables = role_defaults("instrumentation")
    injected: dict[tuple[str, str], list[str]] = {}
    for language in LANGUAGES.values():
        alone = {one.name: one.alone for one in language.extended}
        for name, value in {**settings(language, variables), **alone}.items():
            injected.setdefault((name, value), []).append(language.name)
    text = INDEX.read_text().partition("## What a pod gets")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| `(.*)` \| (.*) \|$", text, re.MULTILINE)
    written = {(name, value): list(LANGUAGES) if to == "all" else to.split(", ") for name, value, to in rows}
    assert written == injected


def test_the_annotations_are_those_that_are_read():
    text = INDEX.read_text().partition("## Annotations")[2].partition("\n## ")[0]
    for language in LANGUAGES.values():
        assert f"`{language.name}`" in text
        assert not language.platform_annotation or f"`{language.platform_annotation}`" in text
        assert all(f"`{platform}`" in text for platform in language.platforms)
