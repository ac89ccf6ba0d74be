# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module platform_info as Ansible runs it, against a platform in memory behind a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.status.made import FakePlatform
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run


@pytest.fixture
def platform() -> Iterator[tuple[str, FakePlatform]]:
    made = FakePlatform(now=datetime.now(UTC))
    with made.serving() as url:
        yield url, made


def test_the_page(platform: tuple[str, FakePlatform]) -> None:
    url, made = platform
    variables = role_defaults("tempo", "collector", "preflight.plan", object_storage_bucket="b")
    found = run("platform_info", host=url, grafana_namespace="monitoring", variables=variables)
    assert not found["changed"] and set(made.methods) == {"GET"} and found["api_calls"] == len(made.asked) == 18
    page = found["page"]
    assert page["state"] == "limit" and page["unreadable"] == [] and page["cost_per_day"]["total"] > 0
    assert page["certificates"][0]["days_left"] == 89 and found["msg"].startswith("Near a limit: ")
    assert "otel-sampler" in found["table"] and page["time"].startswith("20")
    assert "collector_sampling_percentage" not in json.dumps(found), "the inventory's variables are not repeated"
    assert "PRIVATE KEY" not in json.dumps(found) and "BEGIN" not in json.dumps(found)


def test_check_mode_is_the_same(platform: tuple[str, FakePlatform]) -> None:
    found = run("platform_info", host=platform[0], _ansible_check_mode=True)
    assert not found["changed"] and found["page"]["cost_per_day"] is None
    assert {"what": "cost per day", "why": "the variables of the plan were not given"} in found["page"]["unreadable"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"prometheus_url": "prometheus:9090"}, "option prometheus_url is 'prometheus:9090', not an HTTP URL"),
        ({"last": "soon"}, "option last: 'soon' is not a Go duration"),
        ({"last": "1.5h"}, "option last is 1.5h, not whole seconds"),
        ({"last": "10ms"}, "option last is 10ms, not whole seconds"),
        ({"certificate_days": -1}, "option certificate_days is -1"),
    ],
)
def test_wrong_options(options: dict[str, Any], expected: str) -> None:
    failed = run("platform_info", host="http://127.0.0.1:1", **options)
    assert failed["failed"] and expected in failed["msg"]


def test_a_cluster_that_does_not_answer() -> None:
    failed = run("platform_info", host="http://127.0.0.1:1")
    assert failed["failed"] and failed["msg"].startswith("no answer from the API server http://127.0.0.1:1")
