# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Load, kept share and loss, from Prometheus over a time range, or else from the pods' counters since they began; and
what that load costs. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.planner.capacity import read_inputs
from ansible_collections.orion.tracing.plugins.module_utils.planner.model import plan
from ansible_collections.orion.tracing.plugins.module_utils.platform.load import DAYS_PER_MONTH
from ansible_collections.orion.tracing.plugins.module_utils.proof import prometheus_text as text
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Increase
from ansible_collections.orion.tracing.plugins.module_utils.store.prometheus import increase

GATEWAYS = "and on (instance) otelcol_loadbalancer_num_backends"
SAMPLERS = "and on (instance) otelcol_processor_tail_sampling_sampling_traces_on_memory"
FIGURE = "figure"
# A rate that a plan can be made for where nothing was sent.
LEAST_RATE = 0.001


@dataclass(frozen=True)
class Measured:
    """Rates per second, None where unknown: spans that gateways accepted and samplers received, traces that samplers
    saw first, decided on and kept. lost, refused: counts over the same time. over: that time, in words. recent: whether
    it is the time range asked for. probe: success, completeness and freshness by Prometheus, of those that are known.
    """

    over: str
    recent: bool
    accepted: float | None = None
    arrived: float | None = None
    traces: float | None = None
    decided: float | None = None
    kept: float | None = None
    refused: int | None = None
    lost: Mapping[str, int] | None = None
    bytes_per_span: float | None = None
    probe: Mapping[str, float] = field(default_factory=dict)

    @property
    def kept_percentage(self) -> float | None:
        """Of the traces that were decided on."""
        return None if not self.decided or self.kept is None else 100 * self.kept / self.decided

    @property
    def spans_per_trace(self) -> float | None:
        return None if not self.traces or self.arrived is None else self.arrived / self.traces

    @property
    def kept_spans(self) -> float | None:
        """Spans per second that are kept, if kept traces are as large as the others."""
        share = self.kept_percentage
        return None if share is None or self.arrived is None else self.arrived * share / 100

    def result(self) -> dict[str, Any]:
        def rounded(value: float | None) -> float | None:
            return None if value is None else round(value, 3)

        return {
            "over": self.over,
            "accepted_spans_per_second": rounded(self.accepted),
            "traces_per_second": rounded(self.traces),
            "kept_traces_per_second": rounded(self.kept),
            "kept_percentage": rounded(self.kept_percentage),
            "kept_spans_per_second": rounded(self.kept_spans),
            "spans_per_trace": rounded(self.spans_per_trace),
            "bytes_per_span": rounded(self.bytes_per_span),
            "refused_spans": self.refused,
            "lost": None if self.lost is None else dict(self.lost),
        }


def query(last: str) -> str:
    """One PromQL for all figures, told apart by the label FIGURE. last: the time range, as a Go duration."""

    def grew(metric: str, by: str = "", only: str = "") -> str:
        return f"sum{by} (({increase(metric, last)}) {only})"

    sampling = "otelcol_processor_tail_sampling"
    parts = {
        "accepted": grew("otelcol_receiver_accepted_spans", only=GATEWAYS),
        "arrived": grew('otelcol_receiver_accepted_spans{receiver!~"otlp/.*"}', only=SAMPLERS),
        "refused": grew("otelcol_receiver_refused_spans"),
        "traces": grew(f"{sampling}_new_trace_id_received"),
        "decided": grew(f"{sampling}_global_count_traces_sampled"),
        "kept": grew(f'{sampling}_global_count_traces_sampled{{sampled="true"}}'),
        "gateway_send_failed_spans": grew("otelcol_exporter_send_failed_spans", only=GATEWAYS),
        "gateway_enqueue_failed_spans": grew("otelcol_exporter_enqueue_failed_spans", only=GATEWAYS),
        "sampler_dropped_too_early": grew(f"{sampling}_sampling_trace_dropped_too_early"),
        "sampler_send_failed_spans": grew('otelcol_exporter_send_failed_spans{exporter!~"awsxray/.*"}', only=SAMPLERS),
        "sampler_enqueue_failed_spans": grew("otelcol_exporter_enqueue_failed_spans", only=SAMPLERS),
        "tempo_discarded_spans": grew("tempo_discarded_spans_total"),
        "probe_success": "min (last_over_time(orion_probe_success[1h]))",
        "probe_completeness": "min (last_over_time(orion_probe_completeness_ratio[1h]))",
        "probe_freshness": "max (last_over_time(orion_probe_freshness_seconds[1h]))",
    }
    return " or ".join(f'label_replace({one}, "{FIGURE}", "{name}", "", "")' for name, one in parts.items())


LOSS = (
    "gateway_send_failed_spans",
    "gateway_enqueue_failed_spans",
    "sampler_dropped_too_early",
    "sampler_send_failed_spans",
    "sampler_enqueue_failed_spans",
    "tempo_discarded_spans",
)


def of_prometheus(found: list[tuple[dict[str, str], float]], last: str, seconds: float, size: float | None) -> Measured:
    """What query() gave. size: bytes per span, by the pods. A figure without a series is unknown; a kind of loss
    without one did not happen where others were counted, since its counter begins with the first loss."""
    by_name = {labels.get(FIGURE, ""): value for labels, value in found}
    counted = "accepted" in by_name or "decided" in by_name

    def rate(name: str) -> float | None:
        return by_name[name] / seconds if name in by_name else None

    kept = rate("kept")
    return Measured(
        over=f"the last {last}, by Prometheus",
        recent=True,
        accepted=rate("accepted"),
        arrived=rate("arrived"),
        traces=rate("traces"),
        decided=rate("decided"),
        kept=0.0 if kept is None and "decided" in by_name else kept,
        refused=round(by_name.get("refused", 0.0)) if counted else None,
        lost={name: round(by_name.get(name, 0.0)) for name in LOSS} if counted else None,
        bytes_per_span=size,
        probe={name.removeprefix("probe_"): value for name, value in by_name.items() if name.startswith("probe_")},
    )


def of_pods(metrics: Mapping[str, text.Samples], components: Mapping[str, str], missing: bool) -> Measured:
    """By the pods' own counters. components: gateway, sampler or tempo by pod. missing: whether a pod was not read, so
    that all of it is a lower bound."""
    by_part: dict[str, list[text.Samples]] = {"gateway": [], "sampler": [], "tempo": []}
    for pod, samples in metrics.items():
        by_part[components[pod]].append(samples)
    uptimes = [text.total(one, "otelcol_process_uptime") for part in ("gateway", "sampler") for one in by_part[part]]
    over = "no collector"
    if uptimes:
        ages = dict.fromkeys((age(min(uptimes)), age(max(uptimes))))
        over = f"since the collectors began, {' to '.join(ages)} ago"
    if missing:
        over += ", without pods that could not be read"
    sampling = "otelcol_processor_tail_sampling"

    def rate(part: str, name: str, **labels: str) -> float | None:
        each = [
            text.total(one, name, **labels) / uptime
            for one in by_part[part]
            if (uptime := text.total(one, "otelcol_process_uptime")) > 0
        ]
        return sum(each) if each else None

    increased = counted(by_part)
    arrived_each = [
        Increase({}, one, {}).arrived_spans / uptime
        for one in by_part["sampler"]
        if (uptime := text.total(one, "otelcol_process_uptime")) > 0
    ]
    read = bool(by_part["gateway"] or by_part["sampler"])
    return Measured(
        over=over,
        recent=False,
        accepted=rate("gateway", "otelcol_receiver_accepted_spans"),
        arrived=sum(arrived_each) if arrived_each else None,
        traces=rate("sampler", f"{sampling}_new_trace_id_received"),
        decided=rate("sampler", f"{sampling}_global_count_traces_sampled"),
        kept=rate("sampler", f"{sampling}_global_count_traces_sampled", sampled="true"),
        refused=increased.refused_spans if read else None,
        lost=increased.lost if read else None,
        bytes_per_span=span_size(increased),
    )


def counted(by_part: Mapping[str, Iterable[text.Samples]]) -> Increase:
    """What the processes of each component counted since they began. by_part: of gateway, sampler and tempo."""
    return Increase(text.add(by_part["gateway"]), text.add(by_part["sampler"]), text.add(by_part["tempo"]))


def span_size(increased: Increase) -> float | None:
    """Bytes of OTLP per span: of what the gateways or else the samplers put into their queues, else of what Tempo
    received; None where neither is known."""
    for samples, size, count in (
        (increased.gateway, "otelcol_exporter_enqueue_size_bytes_sum", "otelcol_exporter_enqueue_size_sum"),
        (increased.sampler, "otelcol_exporter_enqueue_size_bytes_sum", "otelcol_exporter_enqueue_size_sum"),
        (increased.tempo, "tempo_distributor_bytes_received", "tempo_distributor_spans_received"),
    ):
        if (spans := text.total(samples, count)) and (total := text.total(samples, size)):
            return total / spans
    return None


def cost(v: Mapping[str, Any], measured: Measured) -> tuple[dict[str, Any] | None, str]:
    """USD per day of the planner's formula (docs/capacity.md) for the measured load, and why it is not known, "" where
    it is. v: the variables of the plan. What was not measured is the inventory's, and named in assumed."""
    if not v:
        return None, "the variables of the plan were not given"
    if measured.traces is None:
        return None, "the rate of traces is not known"
    known = {
        "tracing_expected_traces_per_second": max(measured.traces, LEAST_RATE),
        "tracing_expected_spans_per_trace": measured.spans_per_trace and max(1.0, measured.spans_per_trace),
        "tracing_expected_bytes_per_span": measured.bytes_per_span,
        "tracing_expected_kept_percentage": measured.kept_percentage,
    }
    given = {name: value for name, value in known.items() if value is not None}
    try:
        inputs, prices, _notes = read_inputs({**v, **given})
    except TracingError as error:
        return None, str(error)
    per_day = {name: round(value / DAYS_PER_MONTH, 2) for name, value in plan(inputs, prices).cost.items()}
    return {**per_day, "assumed": sorted(set(known) - set(given))}, ""


def age(seconds: float) -> str:
    """A length of time for people: 40 s, 12 min, 5 h, 3 d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
