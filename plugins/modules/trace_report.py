#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: trace_report
short_description: Draw traces of the store as one HTML page, or compare two sets of them
version_added: 0.1.0
description:
  - Reads traces from the store (Tempo or Jaeger) and writes them as one HTML page, with timelines, the critical path
    and the service graph. The page needs nothing else and asks no server for anything.
  - With O(compare) the page shows instead where the time went that two sets of traces differ by.
  - What is odd about a trace, such as missing parents, several roots or clocks that differ, is shown and not corrected.
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.report
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  namespace:
    description: Namespace of the store, unless O(store_namespace) names another.
    type: str
    default: tracing
  store_reader:
    description: The query API through which traces are read.
    type: str
    choices: [tempo, jaeger]
    default: tempo
  store_namespace:
    description: Namespace of its Service. Defaults to O(namespace).
    type: str
  store_service:
    description: Name of its Service. Defaults to V(tempo-query-frontend), for Jaeger to V(jaeger).
    type: str
  store_port:
    description: Port of its HTTP API. Defaults to V(3200), for Jaeger to V(16686).
    type: int
  trace_ids:
    description: Ids of the traces, 32 hexadecimal digits each. Give these or O(search).
    type: list
    elements: str
    default: []
  search:
    description:
      - Which traces, as words that each are C(key=value) and have to hold for the same span. C(service), C(name),
        C(error=true) and C(min=200ms) are its service, name, status and least duration; any other key is a span
        attribute.
      - A text that begins with C({) is TraceQL, which only Tempo understands. It is asked with the hint
        C(most_recent), unless it has hints of its own.
    type: str
    default: ''
  end:
    description: End of the time range of a search, ISO 8601. Now by default.
    type: str
  last:
    description: How far a search looks back from O(end), as a Go duration.
    type: str
    default: 1h
  limit:
    description: The most traces that a search gives, the newest ones.
    type: int
    default: 20
  compare:
    description: The traces to compare with.
    type: dict
    suboptions:
      trace_ids:
        description: As O(trace_ids).
        type: list
        elements: str
        default: []
      search:
        description: As O(search), and by default the same.
        type: str
        default: ''
      end:
        description: As O(end).
        type: str
      last:
        description: As O(last), and by default the same.
        type: str
  report_path:
    description: File of the page.
    type: path
    required: true
  option_names:
    description:
      - What messages call the options O(trace_ids), O(search), O(end), O(last), O(limit) and O(report_path), and, as
        C(compare.search), those of O(compare), where a user knows them by other names, such as variables of a playbook.
    type: dict
    default: {}
author:
  - orion.tracing contributors (@orion-tracing)
notes:
  - The store is reached through the API server's service proxy. The user needs the verb C(get) on C(services/proxy) in
    its namespace.
seealso:
  - module: orion.tracing.trace_probe
"""

EXAMPLES = r"""
- name: Draw a trace
  orion.tracing.trace_report:
    trace_ids: [4bf92f3577b34da6a3ce929d0e0e4736]
    report_path: ./trace.html

- name: Compare an operation before and after a change
  orion.tracing.trace_report:
    search: service=gateway name="POST /api/v1/orders"
    end: "2026-11-29T10:00:00Z"
    last: 30m
    compare:
      end: "2026-11-29T11:00:00Z"
    report_path: ./comparison.html
"""

RETURN = r"""
path:
  description: The page's file.
  returned: always
  type: str
traces:
  description: Trace ids of the first 50 traces, with O(compare) of both sets together.
  returned: always
  type: list
  elements: str
spans:
  description: Number of spans of all traces.
  returned: always
  type: int
table:
  description: The traces, or the operations with the largest differences, as a text table.
  returned: always
  type: str
difference_ms:
  description: By how many milliseconds the mean duration of the traces of O(compare) is longer.
  returned: with O(compare)
  type: float
"""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.common.tables import align
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.module.files import check_folders, file_steps, write_file
from ansible_collections.orion.tracing.plugins.module_utils.report import page
from ansible_collections.orion.tracing.plugins.module_utils.report.options import (
    REPORT_OPTIONS,
    check,
    logs_of,
    trace_link,
)
from ansible_collections.orion.tracing.plugins.module_utils.report.sides import (
    SideNames,
    comparison_data,
    read,
    side,
    traces_data,
)
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import TraceRows, duration_text
from ansible_collections.orion.tracing.plugins.module_utils.store.readers import READERS, reader_of

SHOWN = 50
ROWS = 10
ARGUMENTS: dict[str, dict[str, Any]] = {
    "namespace": {"type": "str", "default": "tracing"},
    "store_reader": {"type": "str", "choices": list(READERS), "default": "tempo"},
    "store_namespace": {"type": "str"},
    "store_service": {"type": "str"},
    "store_port": {"type": "int"},
    "trace_ids": {"type": "list", "elements": "str", "default": []},
    "search": {"type": "str", "default": ""},
    "end": {"type": "str"},
    "last": {"type": "str", "default": "1h"},
    "limit": {"type": "int", "default": 20},
    "compare": {
        "type": "dict",
        "options": {
            "trace_ids": {"type": "list", "elements": "str", "default": []},
            "search": {"type": "str", "default": ""},
            "end": {"type": "str"},
            "last": {"type": "str"},
        },
    },
    "report_path": {"type": "path", "required": True},
    "option_names": {"type": "dict", "default": {}},
    **REPORT_OPTIONS,
}


def other_of(params: dict[str, Any]) -> dict[str, Any]:
    """The option compare, with what it takes from the first traces."""
    given = dict(params["compare"])
    if not given["trace_ids"] and not given["search"]:
        given["search"] = params["search"]
    return given | {"last": given["last"] or params["last"]}


def traces_table(traces: Sequence[TraceRows]) -> str:
    rows = [["trace", "operation", "spans", "errors", "duration"]]
    for one in traces[:SHOWN]:
        name = f"{one.service}: {one.name}"
        rows.append([one.trace_id, name, f"{len(one.rows):,}", f"{one.errors:,}", duration_text(one.duration)])
    return align(rows, right={2, 3, 4})


def differences_table(comparison: dict[str, Any]) -> str:
    rows = [["service", "operation", *(one["title"] for one in comparison["sides"]), "difference"]]
    for one in comparison["operations"][:ROWS]:
        times = [duration_text(time) for time in (*one["times"], one["difference"])]
        rows.append([one["service"], one["name"], *times])
    total = [one["mean"] for one in comparison["sides"]]
    rows.append(["all", "mean duration", *(duration_text(one) for one in (*total, total[1] - total[0]))])
    return align(rows, right={2, 3, 4})


def main() -> None:
    module = TracingModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    now = datetime.now(UTC)
    names = params["option_names"]
    with module.guard():
        if not 1 <= params["limit"] <= 1000:
            raise InvalidInput(
                f"{SideNames('', names).one('limit')} is {params['limit']}",
                "a page holds 1 to 1000 traces",
                "Change it.",
            )
        check_folders(params, ("report_path",), names)
        check(params)
        template = page.read_template(params["report_template"])
        sides = [side(SideNames("", names), params, params["limit"], now, params["store_reader"])]
        if params["compare"] is not None:
            sides.append(
                side(SideNames("compare.", names), other_of(params), params["limit"], now, params["store_reader"])
            )

    link = partial(trace_link, params)
    with module.client() as kube:
        logs = logs_of(kube, params)
        namespace = params["store_namespace"] or params["namespace"]
        reader = reader_of(kube, params["store_reader"], namespace, params["store_service"], params["store_port"])
        found = [read(reader, one, now) for one in sides]
        every = [trace for some in found for trace in some]
        result: dict[str, Any] = {
            "path": params["report_path"],
            "traces": [trace.trace_id for trace in every[:SHOWN]],
            "spans": sum(len(trace.rows) for trace in every),
        }
        if len(sides) == 1:
            data = traces_data(sides[0], every, link, logs)
            result["table"] = traces_table(every)
        else:
            data = comparison_data((sides[0], sides[1]), (found[0], found[1]), link, logs)
            means = [one["mean"] for one in data["comparison"]["sides"]]
            result |= {
                "table": differences_table(data["comparison"]),
                "difference_ms": round((means[1] - means[0]) / 1e6, 3),
            }
        steps = file_steps({params["report_path"]: io.StringIO(page.render(template, data))})
        if not module.check_mode:
            for step in steps:
                write_file(step)
    module.exit(Plan(steps=steps, result=result, warnings=[logs.problem] if logs.problem else []))


if __name__ == "__main__":
    main()
