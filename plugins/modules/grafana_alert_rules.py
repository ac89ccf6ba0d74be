#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: groups of alert rules of Grafana."""

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_alert_rules
short_description: Manage groups of Grafana's alert rules
version_added: 0.1.0
author:
  - orion.tracing contributors (@orion-tracing)
description:
  - Ensures that groups of alert rules that Grafana evaluates itself are in a folder, by its HTTP API, or removes them.
  - A group is replaced as a whole, so rules that are not in it are removed from the group.
  - Rules are written as in files of Grafana's alerting provisioning, each with a uid of its own.
  - All of them are checked before anything changes. Defaults that Grafana adds to a rule's queries do not count as a
    difference.
extends_documentation_fragment:
  - orion.tracing.grafana
attributes:
  check_mode:
    support: full
    details: The folder need not exist yet.
  diff_mode:
    support: full
options:
  folder_uid:
    description: Uid of the folder of the groups.
    type: str
    required: true
  groups:
    description:
      - The groups, each with C(name), C(interval) (a duration, a multiple of 10 s) and C(rules). Other keys, such as
        C(folder) and C(orgId), are not used.
      - Only C(name) is needed to remove one.
    type: list
    elements: dict
    required: true
  editable:
    description:
      - Whether the rules can be changed in Grafana's pages too. Otherwise Grafana marks them as provisioned and keeps
        them read-only there.
    type: bool
    default: false
  state:
    description: Whether the groups are there.
    type: str
    choices: [present, absent]
    default: present

"""

EXAMPLES = r"""
- name: Alert rules of a provisioning file
  orion.tracing.grafana_alert_rules:
    url: https://grafana.example.com
    folder_uid: orion-tracing
    groups: "{{ (lookup('ansible.builtin.file', 'alerts.yaml') | from_yaml).groups }}"

- name: Remove a group
  orion.tracing.grafana_alert_rules:
    url: https://grafana.example.com
    folder_uid: orion-tracing
    groups: [{name: collector}]
    state: absent
"""

RETURN = r"""
steps:
  description: Names of the changes, in their order.
  returned: success
  type: list
  elements: str
  sample: [create rules collector]
groups:
  description: Names of the groups.
  returned: success
  type: list
  elements: str
  sample: [collector]
api_calls:
  description: Number of requests made to Grafana.
  returned: success
  type: int
  sample: 3
"""

from ansible_collections.orion.tracing.plugins.module_utils.grafana.calls import ALERT_RULES
from ansible_collections.orion.tracing.plugins.module_utils.grafana.module import GrafanaModule


def main() -> None:
    GrafanaModule(ALERT_RULES.arguments).carry_out(ALERT_RULES)


if __name__ == "__main__":
    main()
