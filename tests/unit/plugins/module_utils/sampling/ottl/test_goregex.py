# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Go's regular expressions: every pattern of the table is answered as Go's regexp did (Go 1.26), or not supported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.goregex import GoRegexError, compile_go

TABLE = json.loads((Path(__file__).resolve().parents[4] / "fixtures" / "go_regex.json").read_text(encoding="utf-8"))
# What Go accepts and the translation refuses by name.
UNSUPPORTED = {r"(?U)a*", r"[\D]", r"\pL", r"\p{Greek}", "[[:^alpha:]]"}


@pytest.mark.parametrize("pattern", TABLE["matches"])
def test_as_go(pattern: str) -> None:
    expected = TABLE["matches"][pattern]
    if expected is None or pattern in UNSUPPORTED:
        with pytest.raises(GoRegexError) as caught:
            compile_go(pattern)
        assert caught.value.unsupported is (pattern in UNSUPPORTED)
        return
    compiled = compile_go(pattern)
    found = [number for number, text in enumerate(TABLE["texts"]) if compiled.search(text)]
    assert found == sorted(expected)


@pytest.mark.parametrize(
    ("pattern", "position"), [("ab(?=c)", 2), (r"a\1", 1), ("a++", 2), ("x[b-a]", 5), ("[a", 0), ("a(b", 3)]
)
def test_complaints_name_the_place(pattern: str, position: int) -> None:
    with pytest.raises(GoRegexError) as caught:
        compile_go(pattern)
    assert caught.value.position == position
