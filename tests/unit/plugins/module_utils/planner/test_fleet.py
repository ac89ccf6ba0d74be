# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans of edges and their central platform together."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.planner.capacity import tracing_plan
from ansible_collections.orion.tracing.plugins.module_utils.planner.fleet import fleet_plan
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

EDGE = {"collector_exporters": [{"name": "c", "protocol": "http", "endpoint": "https://c.example.com"}]}
CENTRALS = {"edge-1": "central", "edge-2": "central"}


def plan(traces: float, kept: float, size: float = 500, store: str = "tempo") -> dict[str, Any]:
    given = {"tracing_store": store, **(EDGE if store == "otlp" else {})}
    expected = {"traces_per_second": traces, "kept_percentage": kept, "bytes_per_span": size}
    given |= {f"tracing_expected_{name}": value for name, value in expected.items()}
    return tracing_plan(role_defaults("tempo", "collector", "preflight.plan", **given))


def edges() -> dict[str, dict[str, Any]]:
    """Together they keep 20 × (100 × 25 % + 200 × 50 %) = 2,500 spans, 1.25 MB a second."""
    return {"edge-1": plan(100, 25, store="otlp"), "edge-2": plan(200, 50, store="otlp")}


@pytest.mark.parametrize(
    ("central", "words"),
    [
        (plan(125, 100), None),
        (plan(124, 100), "tracing_expected_traces_per_second of central is 124, 2,480 spans per second, but 2 hosts"),
        (plan(125, 100, 499), "tracing_expected_bytes_per_span of central is 499, 1,247,500 bytes per second, but"),
        (plan(250, 49), "tracing_expected_kept_percentage of central is 49, 2,450 spans per second, but"),
        (plan(250, 50), None),
    ],
)
def test_a_central_platform_expects_what_its_edges_keep(central: dict[str, Any], words: str | None) -> None:
    made = fleet_plan({"central": central, **edges()}, CENTRALS)
    if words is None:
        assert made["warnings"] == []
        return
    [warning] = made["warnings"]
    assert words in warning and "(edge-1, edge-2)" in warning
    for needed in ("Raise it to 125,", "Raise it to 500.", "Raise it to 50,"):
        if needed in warning:
            break
    else:
        pytest.fail(warning)


def test_a_central_platform_without_a_plan_is_named() -> None:
    [warning] = fleet_plan(edges(), CENTRALS)["warnings"]
    assert "there is no plan of central" in warning


def test_what_edges_send_is_not_counted_twice() -> None:
    plans = {"central": plan(250, 50), **edges()}
    made = fleet_plan(plans, CENTRALS)
    assert made["total"]["kept_spans_per_second"] == 2500
    assert made["total"]["cost"] == pytest.approx(sum(one["cost"]["total"] for one in plans.values()), abs=0.02)
    assert made["total"]["bytes_at_rest"] == plans["central"]["storage"]["bytes_at_rest"]
    assert made["hosts"]["edge-1"]["bytes_at_rest"] == 0
    lines = made["table"].splitlines()
    assert [line.split()[0] for line in lines] == ["host", "central", "edge-1", "edge-2", "together"]
    # each by itself
    alone = fleet_plan(plans, {})
    assert alone["total"]["kept_spans_per_second"] == 5000 and alone["warnings"] == []
