#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: dashboards of Grafana."""

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_dashboard
short_description: Manage dashboards of Grafana
version_added: 0.1.0
author:
  - orion.tracing contributors (@orion-tracing)
description:
  - Ensures that dashboards are in a folder of Grafana, by its HTTP API, or removes them.
  - Dashboards are in the classic model, which Grafana 11 to 13 have, each with a uid of its own.
  - All of them are read and checked before anything changes.
  - A dashboard is unchanged if Grafana returns all that it says. Ids, versions and empty values that Grafana adds do
    not count, nor do keys that it adds while it migrates a model to a newer C(schemaVersion).
extends_documentation_fragment:
  - orion.tracing.grafana
attributes:
  check_mode:
    support: full
    details: The folder need not exist yet.
  diff_mode:
    support: full
options:
  paths:
    description: Files with the JSON model of a dashboard each, on the host that runs the module.
    type: list
    elements: path
    default: []
  dashboards:
    description: The same as mappings, or as text.
    type: list
    elements: raw
    default: []
  inputs:
    description:
      - Values of the inputs of dashboards that were exported for sharing, by name, such as C(DS_PROMETHEUS) with the
        uid of a data source.
    type: dict
    default: {}
  folder_uid:
    description: Uid of the folder, empty for the top level.
    type: str
    default: ''
  overwrite:
    description:
      - Whether a dashboard is replaced that has the uid, but another title and another folder, or that somebody changes
        during the run. Otherwise that is an error.
    type: bool
    default: false
  commit_message:
    description: Message in the history of the dashboard.
    type: str
    default: Provisioned by orion.tracing
  uids:
    description: Uids of the dashboards to remove, with O(state=absent).
    type: list
    elements: str
    default: []
  state:
    description: Whether the dashboards are there.
    type: str
    choices: [present, absent]
    default: present

"""

EXAMPLES = r"""
- name: All dashboards of a folder on disk
  orion.tracing.grafana_dashboard:
    url: https://grafana.example.com
    folder_uid: orion-tracing
    paths: "{{ query('ansible.builtin.fileglob', 'dashboards/*.json') }}"

- name: A dashboard that was exported for sharing
  orion.tracing.grafana_dashboard:
    url: https://grafana.example.com
    paths: [collector.json]
    inputs: {DS_PROMETHEUS: prometheus}

- name: Remove a dashboard
  orion.tracing.grafana_dashboard:
    url: https://grafana.example.com
    uids: [orion-collector]
    state: absent
"""

RETURN = r"""
steps:
  description: Names of the changes, in their order.
  returned: success
  type: list
  elements: str
  sample: [create dashboard orion-collector]
dashboards:
  description: The dashboards that were written.
  returned: success
  type: list
  elements: dict
  sample:
    - uid: orion-collector
      title: OpenTelemetry Collector
      url: /d/orion-collector/opentelemetry-collector
      version: 1
api_calls:
  description: Number of requests made to Grafana.
  returned: success
  type: int
  sample: 3
"""

from ansible_collections.orion.tracing.plugins.module_utils.grafana.calls import DASHBOARD
from ansible_collections.orion.tracing.plugins.module_utils.grafana.module import GrafanaModule


def main() -> None:
    GrafanaModule(DASHBOARD.arguments).carry_out(DASHBOARD)


if __name__ == "__main__":
    main()
