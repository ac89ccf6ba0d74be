#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: data sources of Grafana."""

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_datasource
short_description: Manage data sources of Grafana
version_added: 0.1.0
author:
  - orion.tracing contributors (@orion-tracing)
description:
  - Ensures that data sources are in Grafana, by its HTTP API, or removes them.
  - A data source is known by its uid. What is set is exact, C(jsonData) as a whole too; what is not set stays as it is.
  - Everything that would fail is found before anything changes, among it names that another data source has, and data
    sources that were provisioned from files.
  - Grafana never returns a secret, so only whether one is set can be compared; see O(secrets).
extends_documentation_fragment:
  - orion.tracing.grafana
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the names of secrets, never their values.
options:
  datasources:
    description:
      - The data sources, each as Grafana's API has it, with C(name), C(type), C(uid), C(url), C(access) (V(proxy) by
        default), C(isDefault), C(basicAuth), C(basicAuthUser), C(withCredentials), C(user), C(database), C(jsonData)
        and C(secureJsonData). Only C(uid) is needed to remove one.
      - Dollars are single, unlike in provisioning files.
      - With C(secureJsonData), secrets that are not in it are removed.
    type: list
    elements: dict
    required: true
  secrets:
    description:
      - When the values of C(secureJsonData) are sent. V(missing) sends them when one of them is not set yet, and
        whenever the data source changes for another reason.
      - V(always) sends them in every run and then always reports a change, as after a rotation.
    type: str
    choices: [missing, always]
    default: missing
  state:
    description: Whether the data sources are there.
    type: str
    choices: [present, absent]
    default: present

seealso:
  - module: orion.tracing.grafana_info
"""

EXAMPLES = r"""
- name: Tempo, linked to a Prometheus data source that is there
  orion.tracing.grafana_datasource:
    url: https://grafana.example.com
    token: "{{ lookup('ansible.builtin.env', 'GRAFANA_TOKEN') }}"
    datasources:
      - name: Tempo
        type: tempo
        uid: tempo
        url: http://tempo-query-frontend.tracing.svc:3200
        jsonData:
          serviceMap: {datasourceUid: prometheus}
          httpHeaderName1: X-Scope-OrgID
        secureJsonData:
          httpHeaderValue1: "{{ tenant }}"

- name: All data sources of the grafana role's variables
  orion.tracing.grafana_datasource:
    url: https://grafana.example.com
    datasources: "{{ lookup('orion.tracing.role_variables', 'grafana') | orion.tracing.grafana_datasources }}"

- name: Remove one
  orion.tracing.grafana_datasource:
    url: https://grafana.example.com
    datasources: [{uid: tempo}]
    state: absent
"""

RETURN = r"""
steps:
  description: Names of the changes, in their order.
  returned: success
  type: list
  elements: str
  sample: [create data source tempo]
datasources:
  description: The data sources that were written, as Grafana has them now, without secrets.
  returned: success
  type: list
  elements: dict
  sample:
    - name: Tempo
      type: tempo
      uid: tempo
      access: proxy
      url: http://tempo-query-frontend.tracing.svc:3200
      jsonData: {serviceMap: {datasourceUid: prometheus}}
      secureJsonData: {httpHeaderValue1: "set, not shown"}
api_calls:
  description: Number of requests made to Grafana.
  returned: success
  type: int
  sample: 2
"""

from ansible_collections.orion.tracing.plugins.module_utils.grafana.calls import DATASOURCE
from ansible_collections.orion.tracing.plugins.module_utils.grafana.module import GrafanaModule


class DatasourceModule(GrafanaModule):
    HIDDEN_OPTIONS = ("datasources",)


def main() -> None:
    DatasourceModule(DATASOURCE.arguments).carry_out(DATASOURCE)


if __name__ == "__main__":
    main()
