#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: what is in a Grafana."""

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_info
short_description: Show the version, the data sources and their health of a Grafana
version_added: 0.1.0
author:
  - orion.tracing contributors (@orion-tracing)
description:
  - Shows the version of a Grafana and its data sources, each with its health as Grafana's own C(Save & test) finds it.
  - For Tempo with streaming switched on, that is a real search by gRPC, so it shows whether streaming and the tenant
    work.
  - Nothing is written. A data source that is not well is no error; see RV(unhealthy).
extends_documentation_fragment:
  - orion.tracing.grafana
attributes:
  check_mode:
    support: full
    details: The module only reads.
  diff_mode:
    support: none
options:
  health:
    description: Whether the health of the data sources is asked for.
    type: bool
    default: true
  uids:
    description: Uids of the data sources to show. All by default.
    type: list
    elements: str

"""

EXAMPLES = r"""
- name: Look at the data sources
  orion.tracing.grafana_info:
    url: https://grafana.example.com
    uids: [tempo, prometheus, loki]
  register: grafana

- name: Fail if one of them does not work
  ansible.builtin.assert:
    that: not grafana.unhealthy
    fail_msg: "{{ grafana.unhealthy }}"
"""

RETURN = r"""
version:
  description: Version of Grafana. Empty where Grafana hides it from anonymous requests.
  returned: success
  type: str
  sample: 13.2.0
datasources:
  description: The data sources, by name.
  returned: success
  type: list
  elements: dict
  contains:
    uid:
      description: Its uid.
      type: str
      sample: tempo
    name:
      description: Its name.
      type: str
      sample: Tempo
    type:
      description: Its type, which is the id of a plugin.
      type: str
      sample: tempo
    url:
      description: The URL that it is asked at.
      type: str
      sample: http://tempo-query-frontend.tracing.svc:3200
    read_only:
      description: Whether it was provisioned from a file.
      type: bool
    health:
      description:
        - V(OK), V(ERROR), or V(UNKNOWN) for a plugin without health checks. Only with O(health).
      type: str
      sample: OK
    message:
      description: What the plugin says. Only with O(health).
      type: str
      sample: Data source is working
unhealthy:
  description: The data sources that do not work, as uid, colon and why, and those of O(uids) that are not there.
  returned: success
  type: list
  elements: str
  sample: ["tempo: failed to connect"]
api_calls:
  description: Number of requests made to Grafana.
  returned: success
  type: int
  sample: 5
"""

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.grafana import sources
from ansible_collections.orion.tracing.plugins.module_utils.grafana.client import Grafana
from ansible_collections.orion.tracing.plugins.module_utils.grafana.module import GrafanaModule


def shown(source: dict[str, Any]) -> dict[str, Any]:
    found = {key: source.get(key, "") for key in ("uid", "name", "type", "url")}
    return {**found, "read_only": bool(source.get("readOnly"))}


def look(grafana: Grafana, uids: list[str] | None, health: bool) -> dict[str, Any]:
    version = (grafana.get("api/health") or {}).get("version", "")
    found = [shown(one) for one in sources.every(grafana) if uids is None or one["uid"] in uids]
    bad = [f"{uid}: there is no such data source" for uid in uids or [] if uid not in {one["uid"] for one in found}]
    if health:
        answers = sources.healths(grafana, [one["uid"] for one in found])
        for one, answer in zip(found, answers, strict=True):
            one |= {"health": answer["status"], "message": answer["message"]}
        bad += [f"{one['uid']}: {one['message']}" for one in found if one["health"] == "ERROR"]
    return {"version": version, "datasources": found, "unhealthy": bad}


def main() -> None:
    module = GrafanaModule({"health": {"type": "bool", "default": True}, "uids": {"type": "list", "elements": "str"}})
    with module.grafana() as grafana:
        result = look(grafana, module.params["uids"], module.params["health"])
        module.exit_json(changed=False, **result, api_calls=grafana.calls)


if __name__ == "__main__":
    main()
