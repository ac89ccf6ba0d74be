# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The planner: published figures come out, more load never takes less, and its own snippet satisfies it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.filter.capacity import FilterModule
from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import (
    MEBIBYTE,
    memory_bytes,
    quantity,
)
from ansible_collections.orion.tracing.plugins.module_utils.linter.variables import lint_variables
from ansible_collections.orion.tracing.plugins.module_utils.planner.capacity import read_inputs, tracing_plan
from ansible_collections.orion.tracing.plugins.module_utils.planner.model import plan
from ansible_collections.orion.tracing.plugins.module_utils.planner.prices import REGIONS
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import sampler_memory
from ansible_collections.orion.tracing.plugins.module_utils.tempo.config import ingestion_limit, tempo_values
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import read
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROOT = Path(__file__).resolve().parents[5]


def variables(inventory: str = "", **changes: Any) -> dict[str, Any]:
    values = role_defaults("tempo", "collector", "preflight.plan")
    if inventory:
        values |= yaml.safe_load((ROOT / f"inventories/{inventory}/group_vars/all.yml").read_text())
    values["tempo_retention"] = values["tracing_retention"]
    return {**values, **changes}


def load(megabytes: float, **changes: Any) -> dict[str, Any]:
    """So many MB/s of kept spans."""
    rate = megabytes * 1e6 / 500 / 20
    return variables(tracing_expected_traces_per_second=rate, tracing_expected_kept_percentage=100, **changes)


def components(v: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in tracing_plan(v)["components"]}


@pytest.mark.parametrize(
    ("spans", "size", "measured"),
    [(78_036, 92, 154), (58_512, 341, 203), (29_208, 710, 189), (19_500, 1484, 217), (29_316, 800, 170)],
)
def test_measured_memory_of_a_collector(spans, size, measured):
    """By tests/bench/memory.py; docs/capacity.md has the shapes."""
    assert 0.75 <= measured / (sampler_memory(spans, size).expected / MEBIBYTE) <= 1.25


def test_the_limit_has_room_for_garbage():
    memory = sampler_memory(1e6, 500)
    assert memory.limit == pytest.approx(memory.expected / 0.65 * 1.15, abs=2)


def test_measured_memory_of_decision_caches():
    """Measured: a million decisions in each of two caches took a collector from 266 to 697 MiB."""
    more = sampler_memory(0, 500, 2e6).expected - sampler_memory(0, 500).expected
    assert more / MEBIBYTE == pytest.approx(697 - 266, rel=0.05)


def test_an_inventory_needs_memory_for_its_own_num_traces():
    small = {"requests": {"cpu": "1"}, "limits": {"memory": "640Mi"}}
    v = variables(collector_persistent_queue_enabled=True, collector_sampler_resources=small)
    assert tracing_plan({**v, "collector_num_traces": 10_000})["warnings"] == []
    [warning] = tracing_plan({**v, "collector_num_traces": 100_000})["warnings"]
    assert warning.startswith("collector_sampler_resources has limits.memory 640Mi: the load needs 12")
    assert tracing_plan({**v, **yaml.safe_load(tracing_plan(v)["snippet"])})["warnings"] == []


def test_one_instance_has_an_end():
    """25 to 35 MB/s, https://grafana.com/docs/tempo/latest/set-up-for-tracing/setup-tempo/plan/deployment-modes/"""
    for megabytes, said in ((20, False), (30, True)):
        warnings = tracing_plan(load(megabytes, tempo_profile="monolithic"))["warnings"]
        assert any("one instance takes up to 25 MB/s" in one for one in warnings) is said


def test_the_metrics_generator_counts_where_it_runs():
    without, beside = (components(variables(tempo_metrics_generator_enabled=on)) for on in (False, True))
    assert set(beside) - set(without) == {"metrics_generator"}


CACHE = {"tempo_memcached_enabled": True, "tempo_memcached_replicas": 3, "tempo_memcached_memory_mib": 512}


@pytest.mark.parametrize("profile", ["distributed", "monolithic", "kafka"])
def test_memcached_counts_as_its_chart_requests_it(profile: str) -> None:
    v = variables(tempo_profile=profile, tempo_image_tag="3.0.3" if profile == "kafka" else "2.10.8")
    without, beside = tracing_plan(v), tracing_plan({**v, **CACHE})
    assert beside["components"][:-1] == without["components"]
    own = {"object_storage_bucket": "traces", "tempo_kafka_address": "kafka:9092"}
    chart = tempo_values(
        role_defaults("tempo", tempo_profile=profile, tempo_image_tag=v["tempo_image_tag"], **own, **CACHE)
    )
    requests = chart["memcached"]["resources"]["requests"]
    assert beside["components"][-1] == {
        "name": "memcached",
        "replicas": chart["memcached"]["replicas"],
        "cpu": float(quantity(requests["cpu"])),
        "memory": memory_bytes(requests["memory"]),
        "storage": 0,
    }
    month = 3 * (0.1 * 0.04048 + 704 / 1024 * 0.004445) * 730
    assert beside["cost"]["compute"] - without["cost"]["compute"] == pytest.approx(month, abs=0.02)
    assert beside["storage"] == without["storage"]
    assert "\nmemcached " in beside["table"] and "tempo_memcached_resources" not in beside["snippet"]
    assert "memcached" not in {
        one["name"] for one in tracing_plan({**v, **CACHE, "tracing_store": "otlp"})["components"]
    }


def test_a_cache_holds_the_bloom_filters_of_all_blocks() -> None:
    """9.6 bits for each trace: 1,000 a second for 100 days are 9.6 GiB."""
    v = load(10, tempo_retention="2400h", tempo_replication_factor=1, **CACHE)
    found = tracing_plan(v)
    needed = 9.585 / 8 * 1000 * 8_640_000 / 3 / MEBIBYTE
    [warning] = [line for line in found["warnings"] if "memcached" in line]
    assert warning == f"tempo_memcached_memory_mib is 512: the load needs {needed:.0f}."
    assert found["components"][-1]["memory"] / MEBIBYTE == pytest.approx(needed * 1.25 + 64, abs=2)
    pasted = tracing_plan({**v, **yaml.safe_load(found["snippet"])})
    assert "memcached" not in str(pasted["warnings"])
    # Other servers have a part of them; nobody asks for them.
    for changes in ({"tempo_memcached_addresses": ["cache:11211"]}, {"tempo_memcached_roles": ["frontend-search"]}):
        other = tracing_plan({**v, **changes})
        assert "memcached" not in str(other["warnings"]) and other["components"][-1]["memory"] == 704 * MEBIBYTE


def test_longer_blocks_are_fewer_writes():
    short, long = (tracing_plan(variables(tempo_ingester_max_block_duration=d)) for d in ("10m", "1h"))
    assert short["storage"]["puts_per_day"] > long["storage"]["puts_per_day"]
    kept_longer = tracing_plan(variables(tempo_ingester_complete_block_timeout="1h"))
    assert kept_longer["storage"]["puts_per_day"] == tracing_plan(variables())["storage"]["puts_per_day"]


def test_published_sizes_of_tempo():
    """100 MB/s: 10 distributors of 2 cores and 2 GB; ingesters for 3 to 5 MB/s, queriers for 1 to 2 MB/s each.
    Source: https://grafana.com/docs/tempo/latest/set-up-for-tracing/setup-tempo/plan/size/
    """
    found = components(load(100))
    assert (found["distributor"]["replicas"], found["distributor"]["cpu"]) == (10, 2.0)
    assert found["distributor"]["memory"] == 2048 * MEBIBYTE
    assert 100 / 5 <= found["ingester"]["replicas"] <= 100 / 3
    assert found["ingester"]["cpu"] == 2.5
    assert 4096 <= found["ingester"]["memory"] / MEBIBYTE <= 20 * 1024
    assert 100 / 5 <= found["compactor"]["replicas"] <= 100 / 3
    assert 100 / 2 <= found["querier"]["replicas"] <= 100


def test_bucket_and_cost_by_hand():
    """1 MB/s at half its size: 43.2 GB a day."""
    found = tracing_plan(load(1, tempo_retention="240h", tempo_replication_factor=1))
    assert found["storage"]["bytes_per_day"] == 43_200_000_000
    assert found["storage"]["bytes_at_rest"] == 432_000_000_000
    assert found["cost"]["storage"] == round(432e9 / 2**30 * 0.023, 2)
    parts = ("storage", "requests", "volumes", "compute")
    assert found["cost"]["total"] == pytest.approx(sum(found["cost"][part] for part in parts), abs=0.03)
    assert found["load"] == {
        "offered_spans_per_second": 2000, "kept_spans_per_second": 2000, "kept_bytes_per_second": 1_000_000,
    }  # fmt: skip


def test_a_ceiling_counts_in_full():
    found = tracing_plan(variables(collector_max_total_spans_per_second=1000))
    assert found["load"]["kept_spans_per_second"] == 1000


LOADS = (1, 50, 1000, 5000, 40_000, 250_000)
MORE_LOADS = [round(1.1**step, 1) for step in range(1, 130)]


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["distributed", "monolithic", "kafka"])
def test_more_load_never_takes_less(profile):
    """Of replicas, cores, volumes and bucket. Limits are of one replica, and a third sampler makes the reserve for one
    that is away smaller, so these may drop where a replica is added.
    """
    plans = [tracing_plan(variables(tracing_expected_traces_per_second=n, tempo_profile=profile)) for n in MORE_LOADS]
    for less, more in itertools.pairwise(plans):
        assert less["storage"]["bytes_at_rest"] < more["storage"]["bytes_at_rest"]
        for one, other in zip(less["components"], more["components"], strict=True):
            assert one["replicas"] <= other["replicas"], one["name"]
            for resource in ("cpu", "storage"):
                assert one["replicas"] * one[resource] <= other["replicas"] * other[resource], (one, other)


@pytest.mark.parametrize("queue", [False, True])
@pytest.mark.parametrize("traces", LOADS)
@pytest.mark.parametrize(("spans", "size"), [(3, 200), (20, 500), (200, 3000)])
def test_the_snippet_satisfies_planner_linter_and_role(queue, traces, spans, size):
    v = variables(
        tracing_namespace="tracing",
        tracing_expected_traces_per_second=traces,
        tracing_expected_spans_per_trace=spans,
        tracing_expected_bytes_per_span=size,
        collector_persistent_queue_enabled=queue,
        collector_resource_detectors=["env"],
    )
    pasted = {**v, **yaml.safe_load(tracing_plan(v)["snippet"])}
    assert tracing_plan(pasted)["warnings"] == []
    assert lint_variables(pasted) == []
    assert collector_values(pasted)[1] == []


@pytest.mark.parametrize(
    ("inventory", "changes"),
    [("staging", {}), ("production", {}), ("", {"collector_persistent_queue_enabled": True})],
)
def test_what_is_shipped_is_large_enough(inventory, changes):
    assert tracing_plan(variables(inventory, **changes))["warnings"] == []


def test_a_queue_in_memory_that_is_too_small_is_said_by_planner_and_role():
    [warning] = tracing_plan(variables())["warnings"]
    assert warning == (
        "collector_sampler_resources has limits.memory 2Gi: the load needs 5888Mi, or "
        "collector_persistent_queue_enabled, for then spans wait on disk."
    )
    [said] = collector_values(variables(tracing_namespace="tracing"))[1]
    assert "a queue of 750000 spans" in said.what


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        (
            {"collector_tail_sampling_policies": [{"name": "all", "type": "always_sample"}]},
            "less than the 100 % of all traces that collector_tail_sampling_policies[0] (always_sample) keeps",
        ),
        (
            {
                "collector_tail_sampling_extra_policies": [
                    {"name": "some", "type": "probabilistic", "probabilistic": {"sampling_percentage": 40}}
                ]
            },
            "less than the 40 % of all traces that collector_tail_sampling_extra_policies[0] (probabilistic) keeps",
        ),
        ({"collector_tail_sampling_policies": [{"name": "e", "type": "status_code"}]}, ""),
        ({"collector_sampling_percentage": 25}, ""),
    ],
)
def test_a_policy_that_keeps_more_than_is_planned_for(changes: dict[str, Any], warning: str) -> None:
    text = "\n".join(tracing_plan(variables(tracing_expected_kept_percentage=25, **changes))["warnings"])
    assert warning in text
    assert bool(warning) == ("tracing_expected_kept_percentage 25" in text)


def test_warnings_name_variable_value_and_need():
    found = tracing_plan(
        variables(
            collector_sampler_replicas=1,
            collector_sampler_resources={"requests": {"cpu": "10m"}, "limits": {"memory": "64Mi"}},
            tempo_ingester_storage_size="1Gi",
            tempo_ingestion_rate_limit_bytes=1000,
            tempo_querier_resources={"limits": {"memory": "much"}},
            tracing_region="mars-1",
            tracing_expected_kept_percentage=5,
        )
    )["warnings"]
    text = "\n".join(found)
    assert "tracing_region mars-1 has no prices here" in text
    assert "tracing_expected_kept_percentage 5 is less than the 10 % of all traces that collector_sampl" in text
    assert "collector_sampler_replicas is 1: the load needs 3." in text
    assert "collector_sampler_resources has limits.memory 64Mi: the load needs" in text
    assert "collector_sampler_resources has requests.cpu 10m: the load needs 450m." in text
    assert "tempo_ingester_storage_size is 1Gi: the load needs" in text
    assert "tempo_ingestion_rate_limit_bytes is 1000: the load needs 30000000, or 0" in text
    assert "tempo_querier_resources" not in text  # the role refuses it


def test_prices_of_the_region_and_of_the_inventory():
    cheap, dear = (tracing_plan(variables(tracing_region=region)) for region in ("us-east-1", "eu-central-1"))
    assert cheap["cost"]["total"] < dear["cost"]["total"]
    free = tracing_plan(variables(plan_prices=dict.fromkeys(("storage", "put", "get", "cpu", "memory", "volume"), 0)))
    assert free["cost"]["total"] == 0
    assert set(REGIONS) >= {"us-east-1", "eu-central-1"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tracing_expected_traces_per_second": 0}, "tracing_expected_traces_per_second: is 0, less than 0.001"),
        ({"tracing_expected_bytes_per_span": "big"}, "tracing_expected_bytes_per_span: is 'big', not a number"),
        ({"tempo_retention": "7 days"}, "tempo_retention: is '7 days', not a Go duration. Write 168h."),
        ({"plan_prices": {"storge": 1}}, "plan_prices: has unknown prices storge. Known are storage, put"),
        ({"plan_prices": [1]}, "plan_prices: is [1], not a mapping"),
        ({"plan_prices": {"cpu": "cheap"}}, "plan_prices: is {'cpu': 'cheap'}, not numbers"),
        ({"tempo_profile": "both"}, "tempo_profile: is 'both', not one of the choices. Choose distributed or"),
        (
            {"tracing_expected_kept_percentage": 150},
            "tracing_expected_kept_percentage: is 150, more than 100",
        ),
        ({"collector_outage_minutes": "nan"}, "collector_outage_minutes: is 'nan', not a number"),
        ({"plan_queries_per_day": True}, "plan_queries_per_day: is True, not a number. Give a number of at least 0."),
        ({"plan_prices": {"cpu": "nan"}}, "plan_prices: is {'cpu': 'nan'}, not numbers"),
        ({"tempo_memcached_enabled": True, "tempo_memcached_memory_mib": 1}, "tempo_memcached_memory_mib: is 1, less"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(InvalidInput) as caught:
        tracing_plan(variables(**changes))
    assert message in str(caught.value)


def test_the_table_and_the_filter():
    found = FilterModule().filters()["tracing_plan"](variables())
    assert "20,000 spans/s" in found["table"] and "query_frontend" in found["table"]
    with pytest.raises(Exception, match="takes a mapping"):
        FilterModule().filters()["tracing_plan"]("x")
    with pytest.raises(Exception, match="tempo_retention"):
        FilterModule().filters()["tracing_plan"](variables(tempo_retention="x"))


def test_text_on_the_command_line_is_a_number():
    assert tracing_plan(variables(tracing_expected_traces_per_second="1000")) == tracing_plan(variables())


def test_a_missing_variable_is_named():
    """The planner has no defaults: they are the roles'."""
    every = variables()
    for name in ("collector_decision_wait", "tracing_expected_kept_percentage", "plan_queries_per_day"):
        with pytest.raises(InvalidInput, match=f"{name}: is not defined"):
            read_inputs({key: value for key, value in every.items() if key != name})
    with pytest.raises(Exception, match="the variable tracing_store is missing.*role_variables"):
        FilterModule().filters()["tracing_plan"]({k: v for k, v in every.items() if k != "tracing_store"})


def test_a_queue_in_memory_counts_in_the_samplers():
    inputs, prices, _notes = read_inputs(variables())
    assert not inputs.persistent_queue
    in_memory = {part.name: part for part in plan(inputs, prices).parts}["sampler"].memory
    on_disk = components(variables(collector_persistent_queue_enabled=True))["sampler"]["memory"]
    assert in_memory > on_disk


def test_each_destination_adds_a_queue_of_what_it_gets():
    load = variables(tracing_expected_kept_percentage=25, tracing_store="tempo")
    one = tracing_plan(load)["collector"]["queue_spans"]
    kept = {"name": "vendor", "protocol": "http", "endpoint": "https://otlp.example.com"}
    tenth = {"name": "rec", "protocol": "s3", "bucket": "recordings", "prefix": "r", "traces": "all", "share": 10}
    assert tracing_plan({**load, "collector_exporters": [kept]})["collector"]["queue_spans"] == 2 * one
    # a tenth of all is 40 % of the quarter that is kept
    found = tracing_plan({**load, "collector_exporters": [tenth]})["collector"]["queue_spans"]
    assert found == pytest.approx(1.4 * one, rel=1e-4)
    instead = tracing_plan({**load, "tracing_store": "otlp", "collector_exporters": [kept]})
    assert instead["collector"]["queue_spans"] == one
    # another store is not planned, nor asked for
    assert [part["name"] for part in instead["components"]] == ["gateway", "sampler"]
    assert instead["cost"]["storage"] == instead["cost"]["requests"] == 0
    assert {*instead["limits"].values(), *instead["storage"].values()} == {0}
    assert "tempo" not in instead["snippet"] and "not planned" in instead["table"]
    assert not [line for line in instead["warnings"] if "tempo" in line]


@pytest.mark.parametrize("strategy", ["local", "global"])
def test_the_ingestion_limit_is_the_one_that_the_tempo_role_derives(strategy):
    v = load(40, tempo_ingestion_rate_strategy=strategy, tempo_ingestion_rate_limit_bytes=0)
    planned = tracing_plan(v)
    [distributor] = [one for one in planned["components"] if one["name"] == "distributor"]
    derived = ingestion_limit(read({**v, "tempo_distributor_replicas": distributor["replicas"]})[0])
    assert planned["limits"]["ingestion_rate_limit_bytes"] == derived


def test_the_plan_is_for_what_sdks_send():
    """Head sampling in SDKs does not change the figures, which are for what arrives; the plan says what that means."""
    sdk = {"instrumentation_sampler": "parentbased_traceidratio", "instrumentation_sampler_argument": "0.25"}
    plain, sampled = tracing_plan(variables("production")), tracing_plan({**variables("production"), **sdk})
    assert sampled["components"] == plain["components"] and plain["warnings"] == []
    [warning] = sampled["warnings"]
    assert warning.startswith("instrumentation_sampler_argument lets SDKs record 25 % of the traces")
    assert "applications that start 4,000 traces per second" in warning


def test_an_autoscaler_may_make_the_gateways_that_are_needed():
    """The number that matters is the most that there may be."""
    on = {"enabled": True, "min_replicas": 2, "max_replicas": 6}
    v = variables(tracing_expected_traces_per_second=4000, collector_gateway_replicas=2)
    [short] = [line for line in tracing_plan(v)["warnings"] if line.startswith("collector_gateway_replicas")]
    assert short == "collector_gateway_replicas is 2: the load needs 6."
    assert "gateway_replicas" not in str(tracing_plan({**v, "collector_gateway_autoscaling": on})["warnings"])
    few = tracing_plan({**v, "collector_gateway_autoscaling": {**on, "max_replicas": 5}})["warnings"]
    assert "collector_gateway_autoscaling.max_replicas is 5: the load needs 6." in few
