# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The words of a search, and links into Grafana."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.report.links import check_grafana_url, explore
from ansible_collections.orion.tracing.plugins.module_utils.report.search import criteria, is_traceql
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import Criteria
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.report.made import BEGIN, TRACE_ID, rows


def test_words_are_criteria():
    text = (
        'service=orders service=gateway name="POST /orders" error=true min=200ms http.route=/a http.status=500 x=true'
    )
    assert criteria(text, "option search") == Criteria(
        ("orders", "gateway"), "POST /orders", {"http.route": "/a", "http.status": 500, "x": True}, 0.2, True
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "option search is empty: it would match every trace"),
        ("orders", "option search has the word 'orders': each word is key=value"),
        ("service=", "option search has the word 'service='"),
        ("error=yes", "option search has error=yes: it is true or false"),
        ("min=fast", "option search has min=fast"),
        ('name="POST', "no closing quotation"),
    ],
)
def test_words_that_are_none(text, message):
    with pytest.raises(InvalidInput) as error:
        criteria(text, "option search")
    assert message in str(error.value)


def test_what_is_traceql():
    assert is_traceql(' { span.x = "y" }')
    assert is_traceql("({ } && { })")
    assert not is_traceql("service={x}")


@pytest.mark.parametrize("kind", ["tempo", "jaeger"])
def test_a_trace_in_explore(kind):
    url = explore("https://g.example.com/grafana/", kind, "uid-1", rows((1, 0, "a", "x", 0, 1000)))
    assert url.startswith("https://g.example.com/grafana/explore?")
    query = parse_qs(urlsplit(url).query)
    pane = json.loads(query["panes"][0])["trace"]
    assert query["schemaVersion"] == ["1"]
    assert pane["datasource"] == "uid-1"
    assert pane["queries"][0]["query"] == TRACE_ID
    assert ("queryType" in pane["queries"][0]) == (kind == "tempo")
    begin = BEGIN // 10**6
    assert pane["range"] == {"from": str(begin - 60_000), "to": str(begin + 61_000)}


def test_no_grafana_no_link():
    assert explore("", "tempo", "tempo", rows((1, 0, "a", "x", 0, 1))) == ""
    check_grafana_url("grafana_url", "")
    with pytest.raises(InvalidInput, match="option grafana_url is data:text"):
        check_grafana_url("grafana_url", "data:text/html,x")
