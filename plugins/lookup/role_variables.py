# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
name: role_variables
author: orion.tracing contributors (@orion-tracing)
version_added: 0.1.0
short_description: Variables of this collection's roles, typed and checked
description:
  - Returns the variables of a role as one dictionary, whether the role runs in this play or not. Values are those of
    the play or else the role's defaults, evaluated in the play's context and converted to the types of the role's
    argument spec. A variable without a value is null. Nothing is added to a value that is a dictionary.
  - Text is converted, as extra variables and forms (a survey of AWX) have it. For a list of strings it is split at line
    ends, or, if it is one line, at commas; space around an item is removed, and so are empty items. Empty text for a
    number, a boolean, a list or a dictionary is an error.
  - The variables of the role P(orion.tracing.tracing#role), which all roles share, are part of every role's.
  - Fails with one message that lists all errors. It names variables that cannot be evaluated, do not have the type
    that the argument spec gives, or are not one of its choices; and variables that begin with the name of the role, of
    one of its entry points or with C(tracing_), but that this collection does not have.
  - Feed the result to the filters of this collection that take variables. They have no defaults of their own.
  - The result contains secrets if the role has any, such as C(object_storage_secret_key). Set C(no_log) on tasks that
    show it.
options:
  _terms:
    description:
      - Names of roles of this collection, and of single variables of its roles. For a role, its variables are returned.
      - A role's name may be followed by a dot and the name of one of its entry points, C(main) by default.
      - A role's name also makes unknown variables fail; a variable's name does not.
    type: list
    elements: str
    required: true
"""

EXAMPLES = """
- name: Show the configuration of the samplers that the collector role would install
  ansible.builtin.debug:
    msg: "{{ (variables | orion.tracing.collector_values).sampler.config }}"
  vars:
    # The last three are for recordings in a bucket (collector_exporters).
    variables: >-
      {{ lookup('orion.tracing.role_variables', 'collector', 'object_storage_bucket', 'tempo_s3_bucket',
                'tempo_s3_prefix') }}

- name: Show what ten times the load would take
  ansible.builtin.debug:
    msg: "{{ (variables | combine({'tracing_expected_traces_per_second': 10000}) | orion.tracing.tracing_plan).table }}"
  vars:
    variables: "{{ lookup('orion.tracing.role_variables', 'tempo', 'collector', 'preflight.plan') }}"

- name: Show the name of the bucket
  ansible.builtin.debug:
    msg: "{{ lookup('orion.tracing.role_variables', 'tempo_s3_bucket').tempo_s3_bucket }}"
"""

RETURN = """
_value:
  description: One dictionary with all variables, by name.
  type: list
  elements: dict
  sample: [{collector_sampling_percentage: 10.0, tracing_namespace: tracing}]
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import refuse
from ansible_collections.orion.tracing.plugins.plugin_utils.role_variables import CURRENT, RoleVariables, merged, roles


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        if not terms:
            raise AnsibleError("Name a role of this collection.")
        read = CURRENT.get() or RoleVariables(self._templar, self._loader, variables or {})
        asked = [term.split(".")[0] for term in terms if term.split(".")[0] in roles()]
        found = merged(map(read.term, terms))
        unknown = read.unknown(*asked) if asked else []
        try:
            refuse(f"the variables of {' and '.join(terms)} are wrong", [*found.findings, *unknown])
        except InvalidInput as problem:
            raise AnsibleError(str(problem)) from problem
        return [found.values]
