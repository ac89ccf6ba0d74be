# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What the modules that write to Grafana do with their options, by the module's name: for the modules themselves, and
for the plan of the whole platform."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.grafana import dashboards, folders, rules, sources
from ansible_collections.orion.tracing.plugins.module_utils.grafana.client import Grafana
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Place

Options = Mapping[str, Any]
# Reads and plans. The second argument: whether nothing will be written, so that what is missing may still come.
Planning = Callable[[Grafana, bool], Plan]

STATE: dict[str, Any] = {"type": "str", "choices": ["present", "absent"], "default": "present"}


@dataclass(frozen=True)
class GrafanaCall:
    """arguments: the module's own, without those of the connection. prepare: refuses options that cannot be, before
    anything is sent. secrets: among the options, once they are checked."""

    arguments: Mapping[str, Mapping[str, Any]]
    prepare: Callable[[Options], Planning]
    apply: Callable[[Grafana, Plan], None]
    secrets: Callable[[Options], Sequence[str]] = lambda _params: ()


def _secrets(params: Options) -> list[str]:
    """What no message and no result may show of data sources."""
    return [str(value) for source in params["datasources"] for value in (source.get("secureJsonData") or {}).values()]


def _absent(params: Options) -> bool:
    return bool(params["state"] == "absent")


def _datasources(params: Options) -> Planning:
    wanted, absent = params["datasources"], _absent(params)
    sources.check(wanted, absent=absent)

    def plan(grafana: Grafana, _check_mode: bool) -> Plan:
        grafana.hide(*_secrets(params))
        if absent:
            return sources.plan_absent(grafana, wanted)
        return sources.plan_present(grafana, wanted, params["secrets"])

    return plan


def _folder(params: Options) -> Planning:
    uid, title = params["uid"], params["title"]
    folders.check(uid, None if _absent(params) else title)

    def plan(grafana: Grafana, _check_mode: bool) -> Plan:
        if _absent(params):
            return folders.plan_absent(grafana, uid, params["force"])
        return folders.plan_present(grafana, uid, title, params["parent_uid"])

    return plan


def _dashboards(params: Options) -> Planning:
    inputs = {str(name): str(value) for name, value in params["inputs"].items()}
    wanted = [] if _absent(params) else dashboards.read(_texts(params["paths"], params["dashboards"]), inputs)

    def plan(grafana: Grafana, check_mode: bool) -> Plan:
        if _absent(params):
            return dashboards.plan_absent(grafana, params["uids"])
        return dashboards.plan_present(
            grafana, wanted, params["folder_uid"], params["overwrite"], params["commit_message"], check_mode
        )

    return plan


def _texts(paths: Sequence[str], given: Sequence[object]) -> list[tuple[Place, object]]:
    """Where each dashboard is from, and what it is. InvalidInput for a file that cannot be read."""
    found: list[tuple[Place, object]] = [(Place("dashboards").item(index), one) for index, one in enumerate(given)]
    for path in paths:
        try:
            found.append((Place(path), Path(path).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{path} cannot be read", str(error)) from None
    return found


def _alert_rules(params: Options) -> Planning:
    folder, groups = params["folder_uid"], params["groups"]
    rules.check(groups, _absent(params))

    def plan(grafana: Grafana, check_mode: bool) -> Plan:
        if _absent(params):
            return rules.plan_absent(grafana, folder, [group["name"] for group in groups])
        return rules.plan_present(grafana, folder, groups, params["editable"], check_mode)

    return plan


DATASOURCE = GrafanaCall(
    {
        "datasources": {"type": "list", "elements": "dict", "required": True},
        # When they are sent, not one itself.
        "secrets": {"type": "str", "choices": ["missing", "always"], "default": "missing", "no_log": False},
        "state": STATE,
    },
    _datasources,
    sources.apply,
    _secrets,
)
FOLDER = GrafanaCall(
    {
        "uid": {"type": "str", "required": True},
        "title": {"type": "str"},
        "parent_uid": {"type": "str"},
        "force": {"type": "bool", "default": False},
        "state": STATE,
    },
    _folder,
    folders.apply,
)
DASHBOARD = GrafanaCall(
    {
        "paths": {"type": "list", "elements": "path", "default": []},
        "dashboards": {"type": "list", "elements": "raw", "default": []},
        "inputs": {"type": "dict", "default": {}},
        "folder_uid": {"type": "str", "default": ""},
        "overwrite": {"type": "bool", "default": False},
        "commit_message": {"type": "str", "default": "Provisioned by orion.tracing"},
        "uids": {"type": "list", "elements": "str", "default": []},
        "state": STATE,
    },
    _dashboards,
    dashboards.apply,
)
ALERT_RULES = GrafanaCall(
    {
        "folder_uid": {"type": "str", "required": True},
        "groups": {"type": "list", "elements": "dict", "required": True},
        "editable": {"type": "bool", "default": False},
        "state": STATE,
    },
    _alert_rules,
    rules.apply,
)
CALLS: Mapping[str, GrafanaCall] = {
    "grafana_datasource": DATASOURCE,
    "grafana_folder": FOLDER,
    "grafana_dashboard": DASHBOARD,
    "grafana_alert_rules": ALERT_RULES,
}
