#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: a folder of Grafana."""

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_folder
short_description: Manage a folder of Grafana
version_added: 0.1.0
author:
  - orion.tracing contributors (@orion-tracing)
description:
  - Ensures that a folder for dashboards and alert rules is in Grafana, by its HTTP API, or removes it.
  - A folder is known by its uid; a changed title renames it.
extends_documentation_fragment:
  - orion.tracing.grafana
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  uid:
    description: Uid of the folder, 1 to 40 letters, digits, hyphens and underscores.
    type: str
    required: true
  title:
    description: Title of the folder. Required unless O(state=absent).
    type: str
  parent_uid:
    description:
      - Uid of the folder in which it is, empty for the top level.
      - Without it, a new folder is made at the top level, and an existing one stays where it is.
    type: str
  force:
    description:
      - With O(state=absent), removes the alert rules in the folder too. Without it, Grafana refuses to remove a folder
        with alert rules. Dashboards in it are removed in any case.
    type: bool
    default: false
  state:
    description: Whether the folder is there.
    type: str
    choices: [present, absent]
    default: present

"""

EXAMPLES = r"""
- name: A folder for the dashboards
  orion.tracing.grafana_folder:
    url: https://grafana.example.com
    uid: orion-tracing
    title: Distributed tracing
"""

RETURN = r"""
steps:
  description: Names of the changes, in their order.
  returned: success
  type: list
  elements: str
  sample: [create folder orion-tracing]
folder:
  description: The folder as it is now, or would be; null if it is not there.
  returned: success
  type: dict
  sample: {uid: orion-tracing, title: Distributed tracing}
api_calls:
  description: Number of requests made to Grafana.
  returned: success
  type: int
  sample: 2
"""

from ansible_collections.orion.tracing.plugins.module_utils.grafana.calls import FOLDER
from ansible_collections.orion.tracing.plugins.module_utils.grafana.module import GrafanaModule


def main() -> None:
    GrafanaModule(FOLDER.arguments, required_if=[("state", "present", ["title"])]).carry_out(FOLDER)


if __name__ == "__main__":
    main()
