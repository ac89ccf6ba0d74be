# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All dashboards, in the order in which a reader meets them."""

from __future__ import annotations

from tools.dashboards.applications import APPLICATIONS
from tools.dashboards.builder import Dashboard
from tools.dashboards.collector import COLLECTOR
from tools.dashboards.overview import OVERVIEW
from tools.dashboards.probe import PROBE
from tools.dashboards.red import RED
from tools.dashboards.service_map import SERVICE_MAP
from tools.dashboards.slo import SLO
from tools.dashboards.tempo import TEMPO, TEMPO_3
from tools.dashboards.traces import TRACES, TRACES_JAEGER

DASHBOARDS: tuple[Dashboard, ...] = (
    OVERVIEW, RED, SERVICE_MAP, TRACES, TRACES_JAEGER, SLO, APPLICATIONS, COLLECTOR, TEMPO, TEMPO_3, PROBE,
)  # fmt: skip
