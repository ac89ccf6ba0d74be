# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Grafana makes of a query before it sends it: variables exchanged for what is chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tools.dashboards.builder import Dashboard

VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def chosen(dashboard: Dashboard, seconds: int = 900, step: int = 60) -> dict[str, str]:
    """The values of a dashboard that was just opened, with a range of this many seconds.

    A chosen "All" of a query variable is ".*"; one without "All" has no default, since Grafana asks for it.
    """
    found = {"__rate_interval": f"{4 * step}s", "__interval": f"{step}s", "__range": f"{seconds}s"}
    found |= {variable.name: variable.default for variable in dashboard.variables if variable.default}
    return found | {constant.name: f"{constant.sample:g}" for constant in dashboard.constants}


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """KeyError for a variable without a value. "$1" of label_replace stays."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return match[0] if name.isdigit() else values[name]

    return VARIABLE.sub(value, text)
