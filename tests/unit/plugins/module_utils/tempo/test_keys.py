# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of tempo.yaml that Tempo does not define. test_tempo_configs.py asks Tempo about the table."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Place
from ansible_collections.orion.tracing.plugins.module_utils.tempo.keys import unknown_keys
from ansible_collections.orion.tracing.tests.unit.charts import tempo_configs


@pytest.mark.parametrize(
    ("config", "path", "remedy"),
    [
        ({"querier": {"query_timeout": "1m"}}, ".querier.query_timeout", "querier.search.query_timeout"),
        ({"querrier": {}}, ".querrier", "Did you mean querier?"),
        ({"query_timeout": "1m"}, ".query_timeout", "or querier.search.query_timeout or"),
        ({"storage": {"trace": {"s3": {"bukcet": "a"}}}}, ".storage.trace.s3.bukcet", "storage.trace.s3.bucket?"),
        ({"cache": {"nothing_of_the_kind": 1}}, ".cache.nothing_of_the_kind", "Known here are background, caches."),
    ],
)
def test_unknown_options_have_a_place_and_a_remedy(config: dict[str, Any], path: str, remedy: str) -> None:
    [finding] = unknown_keys(config, Place("tempo_extra_config"))
    assert (finding.variable, finding.path, finding.severity) == ("tempo_extra_config", path, "error")
    assert remedy in finding.remedy


def test_all_are_found() -> None:
    found = unknown_keys({"a": 1, "querier": {"b": 1, "search": {"c": 1}}}, Place("x"))
    assert [str(one.place) for one in found] == ["x.a", "x.querier.b", "x.querier.search.c"]


@pytest.mark.parametrize(
    "config",
    [
        tempo_configs.EXTRA,
        # Open places: receivers belong to the collector, overrides have two spellings, lists hold anything.
        {"distributor": {"receivers": {"otlp": {"protocols": {"grpc": {"keepalive": {}}}}}}},
        {"overrides": {"max_traces_per_user": 1, "defaults": {"read": {}}}},
        {"metrics_generator": {"storage": {"remote_write": [{"url": "http://p", "headers": {"a": "b"}}]}}},
        {"querier": None},
        {"querier": "text, which Tempo refuses for its type"},
    ],
)
def test_options_that_tempo_defines(config: dict[str, Any]) -> None:
    assert list(unknown_keys(config, Place("x"))) == []
