# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tables as text."""

from __future__ import annotations

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.tables import align


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows = [["check", "seconds", ""], ["an error is kept", "1.5", "passed"], ["–", "120.0", ""]]
    assert align(rows, right={1}).splitlines() == [
        "check             seconds",
        "an error is kept      1.5  passed",
        "–                   120.0",
    ]
    assert align([["a", "bb"]], right=set()) == "a  bb"


@pytest.mark.parametrize(
    ("rows", "raised"), [([], IndexError), ([["a"], []], IndexError), ([["a"], ["b", "c"]], ValueError)]
)
def test_what_is_no_table(rows: list[list[str]], raised: type[Exception]) -> None:
    with pytest.raises(raised):
        align(rows, right=set())
