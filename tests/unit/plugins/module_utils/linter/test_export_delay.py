# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The SDKs' export delay against the samplers' decision wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.linter.export_delay import DEFAULT_DELAY, SCHEDULE_DELAY
from ansible_collections.orion.tracing.plugins.module_utils.linter.variables import lint_variables
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROOT = Path(__file__).resolve().parents[5]
PLACE = f"instrumentation_environment.{SCHEDULE_DELAY}"


def found(wait: str, delay: Any = None, **changes: Any) -> list[Any]:
    environment = {} if delay is None else {SCHEDULE_DELAY: delay}
    given = {"collector_decision_wait": wait, "instrumentation_environment": environment, **changes}
    findings = lint_variables({**role_defaults("collector"), **role_defaults("instrumentation"), **given})
    return [one for one in findings if one.code == "export-delay"]


@pytest.mark.parametrize(
    ("wait", "delay"),
    [
        ("10s", None),
        ("10s", "5000"),
        ("3s", "1500"),
        ("3s", 1500),
        ("1m", "30000"),
        ("3s", "0"),
        ("10s", ""),
        ("10s", "soon"),
    ],
)
def test_half_of_the_wait_has_no_finding(wait: str, delay: Any) -> None:
    assert found(wait, delay) == []


@pytest.mark.parametrize(
    ("wait", "delay"),
    [("9999ms", None), ("3s", "1501"), ("3s", 1501), ("1m", "30001"), ("3s", None), ("3s", ""), ("3s", "soon")],
)
def test_more_than_half_of_the_wait_has_one(wait: str, delay: Any) -> None:
    [one] = found(wait, delay)
    assert (str(one.place), one.severity) == (PLACE, "warning")


def test_what_it_says() -> None:
    [default] = found("3s")
    assert default.what == (
        "agents export spans every 5000 ms, OTEL_BSP_SCHEDULE_DELAY's default, which is more than half of "
        "collector_decision_wait (3s)"
    )
    assert default.remedy == "Set it to 1500 or less, or collector_decision_wait to 10s or more."
    assert "the trace is dropped" in default.why
    [own] = found("3s", "2500")
    assert own.what.startswith("agents export spans every 2500 ms, which") and "to 5s or more" in own.remedy
    assert not found("3s", "1500") and not found("10s")


def test_nothing_to_compare() -> None:
    assert not found("soon") and not found("3s", instrumentation_enabled=False)
    without_agents = lint_variables(role_defaults("collector", collector_decision_wait="1s"))
    assert "export-delay" not in [one.code for one in without_agents]


def test_an_environment_that_is_not_a_mapping_is_left_to_the_role() -> None:
    assert len(found("3s", instrumentation_environment="text")) == 1
    assert not found("10s", instrumentation_environment="text")


def test_defaults_and_inventories_are_free_of_it() -> None:
    """The default wait is just long enough for the SDKs' own default."""
    assert role_defaults("collector")["collector_decision_wait"] == f"{2 * DEFAULT_DELAY // 1000}s"
    for path in sorted((ROOT / "inventories").glob("*/group_vars/all.yml")):
        group = yaml.safe_load(path.read_text())
        wait = group.get("collector_decision_wait", "10s")
        assert not found(wait, (group.get("instrumentation_environment") or {}).get(SCHEDULE_DELAY)), path
