# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the connection options that every module for Grafana shares."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  url:
    description:
      - URL of Grafana, with the path under which it is served.
      - Falls back to the environment variable E(GRAFANA_URL).
    type: str
  token:
    description:
      - Token of a service account of Grafana. It is never shown.
      - Falls back to the environment variable E(GRAFANA_TOKEN), unless O(username) is set.
    type: str
  username:
    description: Name of a user of Grafana, instead of O(token).
    type: str
  password:
    description: Password of O(username).
    type: str
  ca_cert:
    description: PEM file with the certificate authorities that Grafana's certificate is checked against.
    type: path
  validate_certs:
    description: Whether Grafana's certificate is checked.
    type: bool
    default: true
  timeout:
    description: Time limit for each answer, in seconds.
    type: int
    default: 30
attributes:
  action_group:
    description: Use C(group/orion.tracing.grafana) in C(module_defaults) to set the connection for all these modules.
    support: full
    membership:
      - orion.tracing.grafana
  check_mode:
    description: Can run in check mode and return the same keys without changing anything.
  diff_mode:
    description: Returns details on what has changed, or would change in check mode.
requirements:
  - urllib3 (Python package)
notes:
  - Works with Grafana 11 to 13. Only endpoints by uid are used.
  - Redirects are not followed, since the token would be sent to where they lead.
"""
