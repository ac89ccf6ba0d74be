# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Variables are evaluated once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.orion.tracing.plugins.plugin_utils.evaluation import Evaluator


def evaluator(variables: dict[str, Any]) -> Evaluator:
    trusted = {n: trust_as_template(v) if isinstance(v, str) else v for n, v in variables.items()}
    return Evaluator(Templar(DataLoader(), variables=trusted), trusted)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each template was compiled."""
    from ansible._internal._templating._jinja_bits import AnsibleEnvironment

    counted: Counter[str] = Counter()
    original = AnsibleEnvironment.from_string

    def from_string(self: Any, source: str, *args: Any, **options: Any) -> Any:
        counted[str(source)] += 1
        return original(self, source, *args, **options)

    monkeypatch.setattr(AnsibleEnvironment, "from_string", from_string)
    return counted


def test_each_template_is_compiled_once(compiled: Counter[str]) -> None:
    many = {f"path_{number}": f"{{{{ base }}}}/{number}" for number in range(20)}
    found = evaluator({"root": "/srv", "base": "{{ root }}/data", **many})
    assert [found.value(name) for name in many] == [f"/srv/data/{number}" for number in range(20)]
    assert compiled["{{ root }}/data"] == 1
    assert compiled.total() == 21


def test_a_variable_that_fails_in_a_branch_that_is_not_taken() -> None:
    found = evaluator({"fails": "{{ nowhere.at_all }}", "safe": "{{ fails if false else 1 }}"})
    assert found.value("safe") == 1


def test_values_inside_of_containers() -> None:
    found = evaluator({"name": "orders", "listed": [{"name": trust_as_template("{{ name }}")}]})
    assert found.value("listed") == [{"name": "orders"}]


def test_variables_that_name_each_other_fail() -> None:
    found = evaluator({"one": "{{ other }}", "other": "{{ one }}"})
    with pytest.raises(AnsibleError):
        found.value("one")


def test_an_error_is_that_of_the_template_that_has_it() -> None:
    found = evaluator({"wrong": "{{ nowhere }}", "uses": "{{ wrong }}", "right": "{{ wrong | default('x') }}"})
    with pytest.raises(AnsibleError, match="nowhere"):
        found.value("uses")
    assert found.value("right") == "x"


def test_conditions() -> None:
    found = evaluator({"on": "{{ 1 == 1 }}"})
    assert found.holds(trust_as_template("on"))
    assert not found.holds([trust_as_template("on"), trust_as_template("not on")])


def test_what_is_set_around_a_variable() -> None:
    found = evaluator({"chart": "{{ role_path }}/files/chart"})
    assert found.value("chart", {"role_path": "/roles/tempo"}) == "/roles/tempo/files/chart"
