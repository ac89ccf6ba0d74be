# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of tempo.yaml that Tempo does not define. test_tempo_configs.py asks Tempo about the table."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Place
from ansible_collections.orion.tracing.plugins.module_utils.tempo.keys import KEYS, REPLACED, unknown_keys
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import VERSION, VERSION_3
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
    [finding] = unknown_keys(config, Place("tempo_extra_config"), VERSION)
    assert (finding.variable, finding.path, finding.severity) == ("tempo_extra_config", path, "error")
    assert remedy in finding.remedy


def test_all_are_found() -> None:
    found = unknown_keys({"a": 1, "querier": {"b": 1, "search": {"c": 1}}}, Place("x"), VERSION)
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
    assert list(unknown_keys(config, Place("x"), VERSION)) == []


@pytest.mark.parametrize(
    ("config", "path", "remedy"),
    [
        ({"ingester": {"max_block_bytes": 1}}, ".ingester", "Remove it: live_store, and block_builder"),
        ({"compactor": {}}, ".compactor", "Use backend_scheduler.provider.compaction and backend_worker.compaction."),
        ({"live_store": {"block_config": {}}}, ".live_store.block_config", "Use storage.trace.block."),
        ({"block_builder": {"block": {"version": "x"}}}, ".block_builder.block.version", "Use storage.trace.block."),
        (
            {"query_frontend": {"search": {"query_ingesters_until": "1h"}}},
            ".query_frontend.search.query_ingesters_until",
            "Use query_frontend.search.query_backend_after.",
        ),
        ({"storage": {"trace": {"wal": {"v2_encoding": "lz4"}}}}, ".storage.trace.wal.v2_encoding", "Remove it."),
    ],
)
def test_options_that_only_2_10_has(config: dict[str, Any], path: str, remedy: str) -> None:
    assert list(unknown_keys(config, Place("x"), VERSION)) == []
    [finding] = unknown_keys(config, Place("x"), VERSION_3)
    assert (finding.path, finding.what) == (path, "is an option of Tempo 2.10, not of 3.0")
    assert finding.remedy.startswith(remedy)


def test_options_that_only_3_0_has() -> None:
    [finding] = unknown_keys({"live_store": {"fail_on_high_lag": False}}, Place("x"), VERSION)
    assert finding.what == "is an option of Tempo 3.0, not of 2.10"
    assert "docs/tempo-3.md" in finding.remedy


def test_the_flat_form_of_overrides() -> None:
    flat = {"overrides": {"ingestion_rate_limit_bytes": 1, "defaults": {}, "per_tenant_override_config": "/x"}}
    assert list(unknown_keys(flat, Place("x"), VERSION)) == []
    [finding] = unknown_keys(flat, Place("x"), VERSION_3)
    assert (finding.path, finding.severity) == (".overrides.ingestion_rate_limit_bytes", "error")
    assert (
        list(unknown_keys({"overrides": {**flat["overrides"], "enable_legacy_overrides": True}}, Place("x"), VERSION_3))
        == []
    )


def test_what_is_replaced_is_gone() -> None:
    """Each remedy is about something that 2.10 has and 3.0 has not, or has less of."""
    for place in REPLACED:
        trees: list[Any] = [KEYS[VERSION], KEYS[VERSION_3]]
        for key in place.split("."):
            trees = [(tree or {}).get(key, "absent") if tree != "absent" else tree for tree in trees]
        before, after = trees
        assert before != "absent", place
        assert after == "absent" or set(after) < set(before), place
