# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""errors.py, plan.py and unknown.py."""

from __future__ import annotations

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import ApiError, PartialFailure, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, run_steps


def test_error_says_what_why_and_what_to_do() -> None:
    error = TracingError("chart cannot be read.", "no such file.", "Check chart_ref.", path="/x")
    assert str(error) == "chart cannot be read: no such file. Check chart_ref."
    assert error.details == {"path": "/x"}
    assert str(TracingError("it broke")) == "it broke."


def test_plan_is_changed_by_its_steps_alone() -> None:
    assert not Plan(diff=[{"before": "", "after": "x"}]).changed
    assert Plan(steps=[Step("create", "create")]).changed


def test_run_steps_names_what_was_done_and_what_was_not() -> None:
    done = []

    def execute(step: Step) -> None:
        if step.name == "two":
            raise ApiError("PUT answered 500", "no disk", status=500)
        done.append(step.name)

    with pytest.raises(PartialFailure) as caught:
        run_steps([Step(name, "put") for name in ("one", "two", "three")], execute)
    assert done == ["one"]
    assert caught.value.details == {"done": ["one"], "failed": "two", "not_done": ["three"], "status": 500}
    assert "step 'two' failed: PUT answered 500: no disk." in str(caught.value)


def test_run_steps_with_one_step_raises_its_own_error() -> None:
    def execute(step: Step) -> None:
        raise ApiError(step.name)

    with pytest.raises(ApiError):
        run_steps([Step("only", "put")], execute)
