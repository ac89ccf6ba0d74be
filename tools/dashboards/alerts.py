# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The alert rules of the grafana role, and the two forms that are written of them: Prometheus' rules file, whose groups
are a PrometheusRule's too, and Grafana's provisioning file.

An alert is a query, a comparison and a threshold, since Grafana compares in a step of its own. Queries are of a range
that Prometheus' default evaluation interval of a minute and a scrape interval of up to a minute fill.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from tools.dashboards import queries as q

Json = dict[str, Any]

GROUP, PLAN_GROUP, FOLDER = "orion-tracing", "orion-tracing-plan", "Tracing"
RUNBOOKS = "https://github.com/orion-tracing/orion.tracing/blob/main/docs/runbooks"
WINDOW = "5m"
# The uid of the Prometheus data source: the default of grafana_prometheus_uid
PROMETHEUS = "prometheus"

# Figures of the plan as recording rules, with those of the role's defaults: the grafana role writes the inventory's.
PLAN = {
    "orion_plan_kept_spans_per_second": 5000.0,
    "orion_plan_bucket_usd_per_day": 1.57,
    "orion_plan_usd_per_gib_and_month": 0.023,
    "orion_plan_usd_per_thousand_puts": 0.005,
    "orion_plan_usd_per_thousand_gets": 0.0004,
}


def planned(name: str) -> str:
    """A figure of PLAN in a query; where there is none, no comparison with it is true."""
    return f"scalar({next(figure for figure in PLAN if figure == f'orion_plan_{name}')})"


@dataclass(frozen=True)
class Alert:
    """summary: one line, what is wrong. description: what it means for users. Both may have {{ $labels.… }}.
    wait: how long the comparison must hold."""

    name: str
    severity: Literal["critical", "warning"]
    query: str
    compare: Literal[">", "<"]
    threshold: float
    wait: str
    summary: str
    description: str

    @property
    def runbook(self) -> str:
        return f"{RUNBOOKS}/{self.name}.md"

    @property
    def annotations(self) -> Json:
        return {"summary": self.summary, "description": self.description, "runbook_url": self.runbook}


ALERTS = (
    Alert(
        "TracingNoSpans",
        "critical",
        q.zero(q.received("10m")),
        "<",
        0.001,
        "10m",
        "No spans arrive at the gateways.",
        "Applications send none, or their spans do not reach the gateways: there are no new traces.",
    ),
    Alert(
        "TracingSpansRefused",
        "warning",
        q.refused(WINDOW),
        ">",
        0,
        "5m",
        "Gateways refuse spans, because their memory is full.",
        "Clients send refused spans again for a while and then drop them.",
    ),
    Alert(
        "TracingExportFailing",
        "critical",
        # Retries go on without end, so a destination that is away makes the queue stand still and fails nothing.
        f"{q.total('otelcol_exporter_send_failed_spans', by='exporter', window=WINDOW)} > 0 or "
        '(sum by (exporter) (otelcol_exporter_queue_size{data_type="traces"}) > 0 unless on (exporter) '
        f"{q.total('otelcol_exporter_sent_spans', by='exporter', window=WINDOW)} > 0)",
        ">",
        0,
        "5m",
        "{{ $labels.exporter }} does not get its spans away.",
        "Its destination refuses spans, or is away: traces are missing there, and are lost once the queue is full.",
    ),
    Alert(
        "TracingQueueFilling",
        "warning",
        q.QUEUE_SHARE,
        ">",
        0.5,
        "5m",
        "The queue of {{ $labels.exporter }} is more than half full.",
        "More comes in than the destination takes. When the queue is full, spans are lost.",
    ),
    Alert(
        "TracingQueueFull",
        "critical",
        q.total("otelcol_exporter_enqueue_failed_spans", by="exporter", window=WINDOW),
        ">",
        0,
        "2m",
        "The queue of {{ $labels.exporter }} is full: spans are lost.",
        "Traces are missing at its destination, or are there without some of their spans.",
    ),
    Alert(
        "TracingLateSpans",
        "warning",
        f"{q.late('15m')} / ({q.at_samplers('15m')} > 0)",
        ">",
        0.01,
        "15m",
        "More than 1 % of the spans come after their trace's decision.",
        "The decision did not see them: errors and slow requests among them do not keep a trace.",
    ),
    Alert(
        "TracingTracesDroppedTooEarly",
        "warning",
        q.dropped_too_early(WINDOW),
        ">",
        0,
        "5m",
        "Samplers drop traces before they are decided.",
        "There are more undecided traces than collector_num_traces: traces are lost, those with errors among them.",
    ),
    Alert(
        "TracingIngesterFlushFailing",
        "critical",
        # Of 2.10, and of one instance of 3.0. Block-builders have TracingBlocksNotWritten.
        f"{q.total('tempo_ingester_failed_flushes_total', window='15m')} > 0 or "
        f"{q.total('tempo_live_store_local_failed_flushes_total', window='15m')}",
        ">",
        0,
        "10m",
        "Tempo's ingesters fail to write blocks to the bucket.",
        "Traces are on the ingesters' volumes alone and are lost with them. The volumes fill up.",
    ),
    Alert(
        "TracingKafkaWritesFailing",
        "critical",
        q.total("tempo_distributor_produce_failures_total", by="reason", window=WINDOW),
        ">",
        0,
        "5m",
        "Tempo's distributors cannot write spans to Kafka ({{ $labels.reason }}).",
        "Distributors refuse these spans. Samplers keep them in their queues; when a queue is full, they are lost.",
    ),
    Alert(
        "TracingPartitionUnread",
        "critical",
        q.unread_partitions(),
        ">",
        0,
        "10m",
        "No {{ $labels.reader }} reads one or more of the partitions that Tempo writes to.",
        "Without a live-store, new traces of the partition are not found. Without a block-builder, they do not get "
        "into the bucket and are lost when Kafka deletes them.",
    ),
    Alert(
        "TracingPartitionLag",
        "warning",
        q.PARTITION_LAG,
        ">",
        900,
        "10m",
        "{{ $labels.group }} is more than 15 minutes behind in partition {{ $labels.partition }}.",
        "New traces are found late, or get into the bucket late. What Kafka deletes before it is read is lost.",
    ),
    Alert(
        "TracingBlocksNotWritten",
        "critical",
        q.blocks_not_written(),
        ">",
        0,
        "15m",
        "Block-builder {{ $labels.instance }} reads spans and writes no blocks to the bucket.",
        "What it reads is in Kafka alone, and is lost when Kafka deletes it.",
    ),
    Alert(
        "TracingCompactionBehind",
        "warning",
        q.OUTSTANDING,
        ">",
        100,
        "1h",
        "More than 100 blocks of tenant {{ $labels.tenant }} wait for each compactor.",
        "Searches become slower, and copies of the same spans stay in the bucket.",
    ),
    Alert(
        "TracingBackendJobsFailing",
        "warning",
        q.failed_jobs("1h"),
        ">",
        0.1,
        "30m",
        "More than 10 % of Tempo's jobs of the type {{ $labels.job_type }} fail.",
        "Blocks are not compacted, so searches become slower; or blocks older than the retention stay in the bucket.",
    ),
    Alert(
        "TracingS3Errors",
        "critical",
        q.s3_errors(WINDOW),
        ">",
        0.01,
        "10m",
        "More than 1 % of Tempo's {{ $labels.operation }} requests to the bucket fail.",
        "Blocks are not written, or traces are not found, although they are there.",
    ),
    Alert(
        "TracingProbeFailing",
        "critical",
        "min(last_over_time(orion_probe_success[1h]))",
        "<",
        1,
        "5m",
        "Tracing is broken: the periodic probe's traces are not read back as they were sent.",
        "A trace that should be there was not found, is not whole, or was not kept as the policies say.",
    ),
    Alert(
        "TracingProbeMissing",
        "warning",
        "absent_over_time(orion_probe_success[1h]) and on () count(present_over_time(orion_probe_success[1d]))",
        ">",
        0,
        "5m",
        "The periodic probe has not sent a result for an hour.",
        "Nobody knows whether tracing works. The probe does not run, or cannot send its metrics.",
    ),
    Alert(
        "TracingTracesNotFresh",
        "warning",
        "max(last_over_time(orion_probe_freshness_seconds[1h]))",
        ">",
        60,
        "15m",
        "A trace can be read only more than a minute after it was sent.",
        "Somebody who looks for a trace of just now does not find it.",
    ),
    Alert(
        "TracingKeptSpansOverPlan",
        "warning",
        f"{q.exported(window='1h')} / {planned('kept_spans_per_second')}",
        ">",
        1.2,
        "1h",
        "More than 120 % of the planned spans are exported.",
        "What is kept decides what storage costs: the bucket grows more than planned.",
    ),
    Alert(
        "TracingCostOverPlan",
        "warning",
        "("
        + q.bucket_cost(
            planned("usd_per_gib_and_month"), planned("usd_per_thousand_puts"), planned("usd_per_thousand_gets")
        )
        + f") / {planned('bucket_usd_per_day')}",
        ">",
        1.2,
        "1h",
        "The bucket costs more than 120 % of what is planned for a day.",
        "At the planner's prices, for what the bucket holds and for requests to it.",
    ),
)


def prometheus() -> Json:
    """A rules file: https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/"""
    return {
        "groups": [
            {
                "name": PLAN_GROUP,
                "rules": [{"record": name, "expr": f"vector({value:g})"} for name, value in PLAN.items()],
            },
            {
                "name": GROUP,
                "rules": [
                    {
                        "alert": alert.name,
                        "expr": f"({alert.query}) {alert.compare} {alert.threshold:g}",
                        "for": alert.wait,
                        "labels": {"severity": alert.severity},
                        "annotations": alert.annotations,
                    }
                    for alert in ALERTS
                ],
            },
        ]
    }


def grafana() -> Json:
    """A file for Grafana's folder provisioning/alerting. Its annotations are not expanded, so "$" is single there.

    https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/file-provisioning/
    """
    group = {"orgId": 1, "name": GROUP, "folder": FOLDER, "interval": "1m", "rules": list(_grafana_rules())}
    return {"apiVersion": 1, "groups": [group]}


def _grafana_rules() -> Iterable[Json]:
    for alert in ALERTS:
        queried = {
            "refId": "A",
            "relativeTimeRange": {"from": 600, "to": 0},
            "datasourceUid": PROMETHEUS,
            "model": {"refId": "A", "expr": alert.query, "instant": True, "range": False},
        }
        compared = {
            "refId": "B",
            "relativeTimeRange": {"from": 0, "to": 0},
            "datasourceUid": "__expr__",
            "model": {
                "refId": "B",
                "type": "threshold",
                "expression": "A",
                "conditions": [
                    {"evaluator": {"type": {">": "gt", "<": "lt"}[alert.compare], "params": [alert.threshold]}}
                ],
            },
        }
        yield {
            "uid": uid(alert.name),
            "title": alert.name,
            "condition": "B",
            "data": [queried, compared],
            # The queries of failures have no series while there are none.
            "noDataState": "OK",
            "execErrState": "Error",
            "for": alert.wait,
            "labels": {"severity": alert.severity},
            "annotations": alert.annotations,
            "isPaused": False,
        }


def uid(name: str) -> str:
    """TracingNoSpans → orion-tracing-no-spans; at most 40 characters, as Grafana demands."""
    return "orion" + "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
