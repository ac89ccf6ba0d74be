# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter over plugins/module_utils/unknown.py."""

from __future__ import annotations

from ansible_collections.orion.tracing.plugins.module_utils.unknown import unknown_variables

DOCUMENTATION = r"""
name: unknown_variables
author: orion.tracing contributors (@orion-tracing)
short_description: Find variables that a role does not know
description:
  - Returns a sentence for every variable that begins with a role's prefix but is not in its argument spec.
positional: known, prefix
options:
  _input:
    description: Names of variables.
    type: list
    elements: str
    required: true
  known:
    description: Names of the options in the role's argument spec.
    type: list
    elements: str
    required: true
  prefix:
    description: What the role's variables begin with.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse misspelt variables
  ansible.builtin.assert:
    that: __unknown | length == 0
    fail_msg: "{{ __unknown | join('\n') }}"
  vars:
    __spec: "{{ lookup('ansible.builtin.file', role_path ~ '/meta/argument_specs.yml') | from_yaml }}"
    __unknown: >-
      {{ query('ansible.builtin.varnames', '^tempo_')
         | orion.tracing.unknown_variables(__spec.argument_specs.main.options.keys() | list, 'tempo_') }}
"""

RETURN = r"""
_value:
  description: Sentences, empty when every variable is known.
  type: list
  elements: str
"""


class FilterModule:
    def filters(self):
        return {"unknown_variables": unknown_variables}
