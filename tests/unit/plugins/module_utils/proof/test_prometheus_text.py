# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import math

from ansible_collections.orion.tracing.plugins.module_utils.proof import prometheus_text as text

# Lines as the collector 0.158 and Tempo 2.8 write them, and the odd ones of the format's own description.
PAGE = r"""
# HELP otelcol_receiver_accepted_spans Number of spans successfully pushed into the pipeline. [Alpha]
# TYPE otelcol_receiver_accepted_spans counter
otelcol_receiver_accepted_spans{receiver="otlp",transport="http"} 943
otelcol_receiver_accepted_spans{receiver="otlp",transport="grpc"} 57
otelcol_processor_tail_sampling_count_traces_sampled{decision="sampled",policy="errors",sampled="true"} 2
otelcol_processor_tail_sampling_count_traces_sampled{decision="sampled",policy="slow",sampled="true"} 1
otelcol_processor_tail_sampling_count_traces_sampled{decision="not_sampled",policy="slow",sampled="false"} 169
tempo_distributor_spans_received_total{tenant="single-tenant"} 276
tempo_request_message_bytes_bucket{method="GET",route="flush",le="1.048576e+06"} 1
go_memstats_alloc_bytes 1.2345e+07
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
with_exemplar_total{a="}"} 5 # {trace_id="x"} 0.5
{"quoted.name", a="b"} 1
no_value_here
bad_value x
not_a_number NaN
"""


def test_parse_understands_the_format() -> None:
    samples = text.parse(PAGE)
    assert len(samples) == 13
    assert text.total(samples, "otelcol_receiver_accepted_spans") == 1000
    assert text.total(samples, "otelcol_receiver_accepted_spans", transport="grpc") == 57
    assert text.total(samples, "tempo_distributor_spans_received") == 276
    assert text.total(samples, "with_exemplar", a="}") == 5
    assert text.total(samples, "something_weird") == math.inf
    assert text.total(samples, "metric_without_timestamp_and_labels") == 12.47
    assert text.total(samples, "absent") == 0
    paths = dict(next(labels for name, labels in samples if name.startswith("msdos")))
    assert paths == {"path": r"C:\DIR\FILE.TXT", "error": 'Cannot find file:\n"FILE.TXT"'}


def test_a_name_matches_itself_and_its_counter_only() -> None:
    samples = text.parse("a_total 1\na 2\na_bucket 4\nab 8\n")
    assert text.total(samples, "a") == 3
    assert text.has(samples, "a") and text.has(samples, "ab") and not text.has(samples, "b")


def test_by_label() -> None:
    samples = text.parse(PAGE)
    name = "otelcol_processor_tail_sampling_count_traces_sampled"
    assert text.by_label(samples, name, "policy", sampled="true") == {"errors": 2, "slow": 1}
    assert text.by_label(samples, name, "policy") == {"errors": 2, "slow": 170}
    assert text.by_label(samples, "go_memstats_alloc_bytes", "policy") == {"": 12345000}


def test_increase_counts_new_series_and_restarts_from_zero() -> None:
    before = text.parse("up 5\nrestarted 100\ngone 7\n")
    after = text.parse("up 8\nrestarted 30\nnew 4\n")
    assert {name: value for (name, _labels), value in text.increase(before, after).items()} == {
        "up": 3, "restarted": 30, "new": 4,
    }  # fmt: skip
    assert text.total(text.add([text.increase({}, after), after]), "up") == 16
