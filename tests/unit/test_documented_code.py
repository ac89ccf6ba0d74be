# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Java code in the pages about instrumentation is the code of the example system, which is compiled and run."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRICING = ROOT / "examples/shop/pricing"
PAGES = [ROOT / "docs/instrument-your-service" / name for name in ("java.md", "from-the-sdk.md")]
# Language of a code block → files that may have it
FILES = {"java": "src/**/*.java", "xml": "pom.xml", "properties": "src/**/*.properties"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"^ *<!--.*?-->\n", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(language, code) for language, code in BLOCK.findall(page.read_text()) if language in FILES]


@pytest.mark.parametrize(
    ("language", "code"),
    [pytest.param(*block, id=f"{page.stem}-{block[1].split()[0]}") for page in PAGES for block in blocks(page)],
)
def test_code_is_that_of_the_example(language, code):
    found = [COMMENT.sub("", path.read_text()) for path in PRICING.glob(FILES[language])]
    assert any(f"\n{code}" in f"\n{text}" for text in found), dedent(code)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_has_code_that_is_compiled(page):
    assert [language for language, _code in blocks(page) if language == "java"]
