# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Tier 2: metrics of all spans, the decision, and the export of what is kept. Pure: no I/O, no Ansible."""

from __future__ import annotations

import math
import re

from ansible_collections.orion.tracing.plugins.module_utils.collector.components import (
    CLUSTER_NAME,
    EXTENSIONS,
    MEMORY_LIMITER,
    POD_IP,
    POD_NAME,
    Config,
    cluster_label,
    remote_write,
    retry,
    service,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.exporters import (
    Destinations,
    Exporter,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.names import (
    dimension_findings,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import (
    EXTRA,
    OWN,
    default_policies,
    modern_policies,
    ottl_string,
    placed,
    refused,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.queues import (
    Queues,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.variables import (
    CollectorVariables,
    SamplerLoad,
    plain_number,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    Place,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import (
    decision_cache_size,
)
from ansible_collections.orion.tracing.plugins.module_utils.sampling.policy_types import read_policies

# What the semantic conventions advise for http.server.request.duration.
LATENCY_BUCKETS = (
    "5ms", "10ms", "25ms", "50ms", "75ms", "100ms", "250ms", "500ms", "750ms", "1s", "2500ms", "5s", "7500ms", "10s",
)  # fmt: skip


# An exemplar carries its own value, so few buckets suffice to spread exemplars over fast and slow requests.
EXEMPLAR_BUCKETS = ("100ms", "1s", "10s")


def _policies(read: CollectorVariables, load: SamplerLoad) -> list[Config]:
    instead, extra = read.listing(OWN), read.listing(EXTRA)
    written = placed(instead, extra)
    built = default_policies(
        plain_number(read.number("collector_sampling_percentage", maximum=100)),
        read.integer("collector_latency_threshold_ms"),
        read.routes("collector_critical_routes"),
        read.routes("collector_dropped_routes"),
    )
    # Built policies come first, so a name that is used twice is a problem of the user's policy.
    before = [] if instead else built
    everything = [*before, *(policy for _place, policy in written)]
    decoded = read_policies(everything, [""] * len(everything))[len(before) :]
    good = []
    for (place, policy), one in zip(written, decoded, strict=True):
        read.findings += refused(one, place)
        if isinstance(policy, str) and not one.all_problems:
            # The collector would read it from its environment, where the role cannot see what it is.
            read.wrong(place, f"is {policy!r}, not a mapping", "Write the policy itself.")
        elif not one.all_problems:
            good.append((place, policy))
    all_read = len(good) == len(written)
    own, outdated = modern_policies(
        [policy for _place, policy in good], [place for place, _policy in good], alone=all_read and not before
    )
    read.findings += outdated
    policies = before + own
    ceiling = load.ceiling
    if (ceiling.spans or ceiling.size) and read.is_mapping("collector_rate_allocation"):
        found = ceiling.findings(policies, all_read=all_read)
        read.findings += found
        # What was not read, or has no share, cannot be divided either.
        if found or not all_read:
            return policies
        _small_shares(read, load, policies)
        return ceiling.apply(policies)
    return policies


def _small_shares(read: CollectorVariables, load: SamplerLoad, policies: list[Config]) -> None:
    """Warnings for policies whose share of a ceiling is smaller than one trace."""
    ceiling = load.ceiling
    what = "its share on each of {samplers} samplers is {share}, less than one trace of {trace}"
    remedy = "Raise the ceiling, or the policy's share in collector_rate_allocation."
    why = "the policy would keep next to nothing"
    for name, percent in ceiling.percentages(policies).items():
        spans = ceiling.spans_per_sampler * percent // 100
        if ceiling.spans and spans < load.spans_per_trace:
            text = what.format(
                samplers=load.samplers, share=f"{spans} spans per second", trace=f"{load.spans_per_trace:g} spans"
            )
            read.doubtful("collector_max_total_spans_per_second", f"policy '{name}': {text}", remedy, why)
        size = 2 * (ceiling.size // ceiling.samplers * percent // 100)
        if ceiling.size and size < load.spans_per_trace * load.bytes_per_span:
            text = what.format(
                samplers=load.samplers,
                share=f"a bucket of {size} bytes",
                trace=f"{load.spans_per_trace:g} spans of {load.bytes_per_span:g} bytes",
            )
            read.doubtful("collector_max_total_bytes_per_second", f"policy '{name}': {text}", remedy, why)


def _red_metrics(dimensions: list[str], cluster: str) -> tuple[Config, Config]:
    """Connectors and processors of the request, error and duration metrics, under the names Grafana reads.

    Grafana's Tempo data source reads traces_spanmetrics_calls_total, traces_spanmetrics_latency_bucket (seconds) and
    traces_service_graph_* and takes no other names. They count every span and so carry no exemplars, most of which
    would name a trace that was not kept. Exemplars come with a second histogram of the kept spans alone,
    traces_spanmetrics_sampled_latency_bucket: its values are biased by what is kept and good for nothing else.
    """
    span_metrics: Config = {
        # One set of counters per service. By default each resource, so each pod, has its own, and once resource
        # attributes are gone they would be the same series.
        "resource_metrics_key_attributes": ["service.name"],
        # Bounds for a service that puts ids into span names.
        "aggregation_cardinality_limit": 5000,
        "metrics_expiration": "1h",
        "metrics_flush_interval": "15s",
    }
    connectors: Config = {
        "span_metrics": {
            "namespace": "traces.spanmetrics",
            "histogram": {"unit": "s", "explicit": {"buckets": list(LATENCY_BUCKETS)}},
            "dimensions": [{"name": name} for name in dimensions],
            "exemplars": {"enabled": False},
            **span_metrics,
        },
        "span_metrics/sampled": {
            "namespace": "traces.spanmetrics.sampled",
            "histogram": {"unit": "s", "explicit": {"buckets": list(EXEMPLAR_BUCKETS)}},
            "exemplars": {"enabled": True, "max_per_data_point": 5},
            **span_metrics,
        },
        "service_graph": {
            "store": {"ttl": "10s", "max_items": 50000},
            "latency_histogram_buckets": list(LATENCY_BUCKETS),
            "database_name_attributes": ["db.namespace", "db.name"],
            "virtual_node_peer_attributes": ["peer.service", "db.namespace", "db.name", "db.system.name", "db.system"],
            "metrics_flush_interval": "15s",
        },
    }
    processors: Config = {
        "filter/sampled": {"metric_conditions": ['metric.name == "traces.spanmetrics.sampled.calls"']},
        "transform/red": {
            "metric_statements": [
                # Those of whichever pod came first; the service is a label.
                'delete_matching_keys(resource.attributes, ".*")',
                # With a unit, Prometheus' name would end in _seconds.
                *(
                    f'set({field}, "{value}") where metric.name == "{name}.duration"'
                    for name in ("traces.spanmetrics", "traces.spanmetrics.sampled")
                    for field, value in (("metric.unit", ""), ("metric.name", f"{name}.latency"))
                ),
                'set(datapoint.attributes["service"], datapoint.attributes["service.name"]) '
                'where datapoint.attributes["service.name"] != nil',
                # service_graph does not set it, and samplers must not write each other's series.
                f'set(datapoint.attributes["collector.instance.id"], "{POD_NAME}")',
                cluster_label(cluster),
            ]
        },
    }
    return connectors, processors


def _own_spans(cluster: str) -> Config:
    """A filter that leaves the spans of this cluster. Others send only what they have sampled, and compute the metrics
    of their spans themselves."""
    key = f'resource.attributes["{CLUSTER_NAME}"]'
    return {"filter/own": {"trace_conditions": [f"{key} != nil and {key} != {ottl_string(cluster)}"]}}


def _exporters(made: Destinations, queues: Queues) -> tuple[Config, Config, Config]:
    """Exporters of traces, and the receivers and pipelines of those that the collector sends to through itself."""
    exporters: Config = {}
    receivers: Config = {}
    pipelines: Config = {}
    for one in made.exporters:
        storage = f"file_storage/{one.name}" if one.name in queues.storages else ""
        exporters[one.component] = {
            **one.settings,
            "sending_queue": one.sending_queue(queues.sizes[one.name], storage),
            "retry_on_failure": retry("1s", "5s", "0s"),
        }
        if one.relayed:
            name, settings, port = one.relayed
            exporters[name] = settings
            receiver = f"otlp/{one.name}"
            receivers[receiver] = {"protocols": {"grpc": {"endpoint": f"localhost:{port}"}}}
            pipelines[f"traces/relay-{one.name}"] = {"receivers": [receiver], "exporters": [name]}
    if made.debug:
        exporters["debug"] = {"verbosity": "detailed", "sampling_initial": 5, "sampling_thereafter": 200}
    return exporters, receivers, pipelines


def _unsampled(one: Exporter) -> tuple[Config, Config]:
    """Processors and pipeline of a destination of all traces, or a share of them, before sampling.

    batch is there for the one thing that it does beside batches: it keeps the error of a full queue to itself. Passed
    on, it would make the gateways send the whole request again, to tail_sampling and the metrics too.
    """
    processors: Config = {}
    if one.share < 100:
        # By trace id, so traces stay whole. hash_seed mode leaves tracestate as it is: a replay of what was recorded
        # must not be counted many times over by span_metrics.
        processors[f"probabilistic_sampler/{one.name}"] = {
            "mode": "hash_seed",
            "hash_seed": 1,
            "sampling_percentage": plain_number(one.share),
        }
    processors[f"batch/{one.name}"] = {"timeout": "0s", "send_batch_size": 0}
    pipeline = {"receivers": ["forward"], "processors": list(processors), "exporters": [one.component]}
    return processors, pipeline


def sampler_config(
    read: CollectorVariables, load: SamplerLoad, made: Destinations, queues: Queues, edges: bool
) -> Config:
    """edges: whether spans of other clusters are among those that arrive."""
    policies = _policies(read, load)
    num_traces = read.integer("collector_num_traces", minimum=1)
    cache = decision_cache_size(num_traces)
    exporters, receivers, relays = _exporters(made, queues)
    kept = [one.component for one in made.exporters if one.traces == "kept"] + (["debug"] if made.debug else [])
    unsampled = [one for one in made.exporters if one.traces == "all"]

    processors: Config = {
        "memory_limiter": dict(MEMORY_LIMITER),
        "tail_sampling": {
            "decision_wait": read.written("collector_decision_wait"),
            "num_traces": num_traces,
            "expected_new_traces_per_sec": math.ceil(load.traces / load.samplers),
            "decision_cache": {"sampled_cache_size": cache, "non_sampled_cache_size": cache},
            "policies": policies,
        },
    }
    connectors: Config = {}
    pipelines: Config = {"traces": {"receivers": ["otlp"], "processors": list(processors), "exporters": kept}}
    dimensions = read.listing("collector_span_metrics_dimensions", str)
    read.findings += dimension_findings(dimensions, Place("collector_span_metrics_dimensions"))
    url = read.text("collector_remote_write_url", empty=True)
    if url and not re.match(r"https?://", url):
        read.wrong("collector_remote_write_url", f"is '{url}', not a URL", "Begin it with http:// or https://.")
    if url or unsampled:
        # Before tail_sampling, for what is to see every span.
        connectors = {"forward": {}}
        pipelines = {
            "traces/in": {"receivers": ["otlp"], "processors": ["memory_limiter"], "exporters": ["forward"]},
            "traces/sampled": {"receivers": ["forward"], "processors": ["tail_sampling"], "exporters": kept},
        }
    for one in unsampled:
        own_processors, pipelines[f"traces/unsampled-{one.name}"] = _unsampled(one)
        processors |= own_processors
    if url:
        cluster = read.text("tracing_cluster_name")
        red_connectors, red_processors = _red_metrics(dimensions, cluster)
        red_exporters = remote_write(url, made.remote_write)
        exporters |= red_exporters
        every, sampled = ["span_metrics", "service_graph"], ["span_metrics/sampled"]
        if edges:
            own = _own_spans(cluster)
            processors |= own
            connectors["forward/kept"] = {}
            pipelines["traces/own"] = {"receivers": ["forward"], "processors": list(own), "exporters": every}
            pipelines["traces/own-kept"] = {
                "receivers": ["forward/kept"], "processors": list(own), "exporters": sampled
            }  # fmt: skip
            sampled = ["forward/kept"]
        else:
            pipelines["traces/in"]["exporters"] += every
        pipelines["traces/sampled"]["exporters"] = [*kept, *sampled]
        connectors |= red_connectors
        processors |= red_processors
        pipelines["metrics/red"] = {
            "receivers": list(red_connectors),
            "processors": list(red_processors),
            "exporters": list(red_exporters),
        }
    storages = {f"file_storage/{name}": storage for name, storage in queues.storages.items()}
    extensions = {**EXTENSIONS, **made.wiring.extensions, **storages}
    config: Config = {
        # A gateway's request of 8000 spans may exceed gRPC's default of 4 MiB.
        "receivers": {
            "otlp": {"protocols": {"grpc": {"endpoint": f"{POD_IP}:4317", "max_recv_msg_size_mib": 64}}},
            **receivers,
        },
        "processors": processors,
        "exporters": exporters,
        "extensions": extensions,
        "service": service(list(extensions), {**pipelines, **relays}),
    }
    return {**config, "connectors": connectors} if connectors else config
