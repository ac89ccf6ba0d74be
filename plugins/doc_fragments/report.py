# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the options of modules that write a page (module_utils/report/options.py)."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  report_template:
    description: File of the page without data. By default that of the collection.
    type: path
  grafana_url:
    description: Address of Grafana, for links from the page to its traces and logs. Empty makes none.
    type: str
    default: ''
  grafana_uid:
    description: Uid of Grafana's data source of traces.
    type: str
    default: tempo
  grafana_traces_to_logs:
    description:
      - The C(tracesToLogsV2) of that data source, as the filter P(orion.tracing.grafana_datasources#filter) makes it.
        The link from a trace to its logs runs its C(query) for the root span. Empty makes none.
    type: dict
    default: {}
  logs_type:
    description:
      - The store of the logs. The page has the log records of its traces if this is V(victorialogs); of the others it
        has the link into Grafana alone.
    type: str
    choices: [loki, victorialogs, opensearch]
    default: victorialogs
  logs_url:
    description:
      - Its base URL, without credentials. The host name C(SERVICE.NAMESPACE.svc) is a Service of the cluster, reached
        through the API server's proxy. Any other is asked directly, from the host on which the module runs.
      - At most the newest 500 records of each of the first 50 traces are read. If the store does not answer, the page
        has the reason, and there is a warning.
    type: str
    default: ''
"""
