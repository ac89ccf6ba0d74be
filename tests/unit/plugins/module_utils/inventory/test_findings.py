# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of what is wrong, and its text."""

from __future__ import annotations

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    Finding,
    InvalidVariables,
    Place,
    error,
    refuse,
    warning,
)

CA = Place("collector_exporters").item(0).key("tls").key("ca")


def test_a_place_is_a_variable_and_a_path_inside_it() -> None:
    assert (CA.variable, CA.path, str(CA)) == ("collector_exporters", "[0].tls.ca", "collector_exporters[0].tls.ca")
    finding = error(CA, "is missing")
    assert (finding.variable, finding.path, finding.place) == ("collector_exporters", "[0].tls.ca", CA)


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (error("a", "is odd"), "a: is odd."),
        (error("a", "is odd", "Give 2."), "a: is odd. Give 2."),
        (error("a", "is odd", "Give 2.", "halves are needed"), "a: is odd: halves are needed. Give 2."),
        (warning(CA, "is empty."), "collector_exporters[0].tls.ca: is empty."),
        (error("a", "is no variable; did you mean b?"), "a: is no variable; did you mean b?"),
        (Finding("a", "is odd", "", "Give 2.", code="even-only"), "a: is odd (even-only). Give 2."),
    ],
)
def test_text(finding: Finding, text: str) -> None:
    assert str(finding) == text


def test_plain_data_has_every_field() -> None:
    assert warning(CA, "is old", "Renew it.", "it ends soon").result() == {
        "variable": "collector_exporters",
        "path": "[0].tls.ca",
        "what": "is old",
        "why": "it ends soon",
        "remedy": "Renew it.",
        "severity": "warning",
        "code": "",
    }


def test_errors_are_raised_all_and_each_once() -> None:
    first, second = error("a", "is odd"), error("b", "is x; a is odd: c is bad")
    with pytest.raises(InvalidInput) as caught:
        refuse("the variables", [first, warning("c", "is old"), second, first])
    assert isinstance(caught.value, InvalidVariables)
    assert caught.value.findings == [first, second]
    assert str(caught.value) == f"the variables: 2 errors:\n1. {first}\n2. {second}"
    assert str(InvalidVariables("the variables", [first])) == "a: is odd."


def test_without_errors_the_warnings_are_returned() -> None:
    old = warning("c", "is old")
    assert refuse("the variables", [old, old]) == [old]
    assert refuse("the variables", []) == []
