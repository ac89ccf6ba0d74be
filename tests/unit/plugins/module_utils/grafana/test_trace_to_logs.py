# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.grafana.trace_to_logs import (
    PLUGINS,
    PROMETHEUS,
    SpanValues,
    filled,
    labels,
    query,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CHARGE = SpanValues(
    TRACE,
    SPAN,
    "charge",
    1500,
    [("service.name", "orders"), ("k8s.namespace.name", "shop"), ("http.status_code", 500), ("retry", True)],
)
TAGS = [{"key": "k8s.namespace.name", "value": "namespace"}, {"key": "service.name", "value": "service_name"}]


def test_loki() -> None:
    """As Grafana's documentation has it, and with every quote closed."""
    assert query("loki", span=CHARGE, tags=TAGS) == (
        '{service_name="orders", namespace="shop"} | label_format log_line_contains_trace_id='
        f'`{{{{ contains "{TRACE}" __line__ }}}}` | log_line_contains_trace_id="true" or trace_id="{TRACE}"'
    )
    both = query("loki", True, True, CHARGE, TAGS) or ""
    assert both.endswith(f'| log_line_contains_span_id="true" or span_id="{SPAN}"') and both.count('"') % 2 == 0
    assert query("loki", False, False, CHARGE, TAGS) == '{service_name="orders", namespace="shop"}'


def test_victorialogs() -> None:
    tags = labels("victorialogs", [{"key": "service.name"}, {"key": "namespace"}, {"key": "a", "value": '"b.c"'}])
    assert tags == [
        {"key": "service.name", "value": '"service.name"'},
        {"key": "namespace"},
        {"key": "a", "value": '"b.c"'},
    ]
    assert query("victorialogs", True, True, CHARGE, tags) == (
        f'(trace_id:="{TRACE}" OR "{TRACE}") AND (span_id:="{SPAN}" OR "{SPAN}") AND "service.name":="orders"'
    )


def test_opensearch() -> None:
    tags = labels("opensearch", [{"key": "service.name", "value": "serviceName"}])
    assert query("opensearch", span=CHARGE, tags=tags) == f'"{TRACE}" AND serviceName:"orders"'


@pytest.mark.parametrize("store", PLUGINS)
def test_the_template_filled_in_is_the_query(store: str) -> None:
    tags = labels(store, TAGS)
    for by in [(True, False), (True, True), (False, True), (False, False)]:
        template = query(store, *by)
        assert template and "${__tags}" in template
        assert filled(template, store, tags, CHARGE) == query(store, *by, CHARGE, tags)
        assert (TRACE in (query(store, *by, CHARGE, tags) or "")) == by[0]


def test_no_link_without_a_mapped_attribute() -> None:
    assert query("loki", span=SpanValues(TRACE, SPAN), tags=TAGS) is None
    assert filled('{job="x"} |= "${__span.tags["http.route"]}"', "loki", TAGS, CHARGE) is None


def test_all_of_grafanas_variables() -> None:
    """Both spellings of ${__tags}; values as JavaScript writes them."""
    template = 'x{$__tags} ${__span.name} ${__span.duration} ${__trace.traceId} ${__span.tags["retry"]}'
    assert filled(template, PROMETHEUS, TAGS[1:], CHARGE) == (f'x{{service_name="orders"}} charge 1500 {TRACE} true')
    span_id = [{"key": "spanId", "value": "span"}]
    assert filled("${__tags}", "loki", span_id, CHARGE) == f'span="{SPAN}"'
