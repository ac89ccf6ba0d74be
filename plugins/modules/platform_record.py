#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: platform_record
short_description: Note in the cluster what was applied
version_added: 0.1.0
author:
  - orion.tracing contributors (@orion-tracing)
description:
  - Writes the variables of the roles and the revisions of the releases into the Secret C(tracing-applied) of the
    namespace of the platform. M(orion.tracing.platform_plan) compares them with those of the next run.
  - Variables that are secret are in it only as keyed digests.
  - It runs as part of C(ansible-playbook), and is skipped for hosts without C(ansible_connection=local).
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The Secret has the values of all variables.
options:
  state:
    description: Whether the record is written or removed.
    type: str
    choices: [present, absent]
    default: present
  roles:
    description: Roles whose variables are noted, those of the plan.
    type: list
    elements: str
    default: []
  components:
    description: Components that were applied, those of the plan.
    type: list
    elements: str
    default: []
  advice:
    description: Warnings of the checks, which are shown again while nothing changes.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Note what was applied
  orion.tracing.platform_record:
    roles: [tempo, collector]
    components: [tempo, collector]
"""

RETURN = r"""
releases:
  description: The revision of each release, 0 for one that is not installed.
  returned: success
  type: dict
  sample: {tracing/tempo: 3}
api_calls:
  description: Requests to the API server.
  returned: success
  type: int
  sample: 4
"""
