# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The base of the modules for Grafana's HTTP API."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.secrets import SHORTEST_SECRET
from ansible_collections.orion.tracing.plugins.module_utils.grafana.calls import GrafanaCall
from ansible_collections.orion.tracing.plugins.module_utils.grafana.client import GRAFANA_OPTIONS, TOKEN, Grafana
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule


class GrafanaModule(TracingModule):
    """A module with the connection options of Grafana, and check mode."""

    def __init__(self, argument_spec: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__({**GRAFANA_OPTIONS, **argument_spec}, kube=False, supports_check_mode=True, **kwargs)
        self.hide(os.environ.get(TOKEN, ""))

    def hide(self, *secrets: Any) -> None:
        """Keep these out of every result. Short ones would garble names and numbers; nothing here returns them."""
        self.no_log_values.update(str(secret) for secret in secrets if len(str(secret)) >= SHORTEST_SECRET)

    @contextmanager
    def grafana(self) -> Iterator[Grafana]:
        """A connection; errors inside the block become fail_json."""
        with self.guard():
            grafana = Grafana.connect(self.params)
            try:
                yield grafana
            finally:
                grafana.close()

    def carry_out(self, call: GrafanaCall) -> None:
        """Check the options, plan, apply the plan unless in check mode, and end with its result."""
        with self.guard():
            planned = call.prepare(self.params)
        self.hide(*call.secrets(self.params))
        with self.grafana() as grafana:
            plan = planned(grafana, self.check_mode)
            if not self.check_mode:
                call.apply(grafana, plan)
            plan.result["api_calls"] = grafana.calls
            self.exit(plan)
