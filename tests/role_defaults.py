# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of roles as the lookup orion.tracing.role_variables returns them, without a play."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.orion.tracing.plugins.module_utils.s3.aws import host_of
from ansible_collections.orion.tracing.plugins.plugin_utils.role_variables import RoleVariables, merged

# Defaults that need a plugin of this collection, which only a play has: mostly the lookup, for another role's variable.
OF_OTHER_ROLES = {
    "object_storage_manage": True,
    "object_storage_iam_partition": "aws",
    "object_storage_public_access_block": "{{ true if object_storage_endpoint_url == '' else none }}",
    "tempo_s3_bucket": "{{ object_storage_bucket }}",
    "tempo_s3_insecure": "{{ object_storage_endpoint_url is match('(?i)http://') }}",
    "tempo_s3_addressing_style": "{{ object_storage_addressing_style }}",
}


def role_defaults(*terms: str, **variables: Any) -> dict[str, Any]:
    """The variables of roles, of entry points (preflight.plan) and single ones, typed.

    variables: those that are set, with the templates in them; one with a value of the wrong type keeps it.
    """
    region = variables.get("tempo_s3_region") or variables.get("tracing_region") or "us-east-1"
    endpoint = {"tempo_s3_endpoint": host_of(variables.get("object_storage_endpoint_url") or "", region)}
    found: dict[str, Any] = json.loads(_read(terms, json.dumps({**endpoint, **variables})))
    return found


@cache
def _read(terms: tuple[str, ...], variables: str) -> str:
    loader, given = DataLoader(), {**OF_OTHER_ROLES, **json.loads(variables)}
    given = {name: trust_as_template(value) if isinstance(value, str) else value for name, value in given.items()}
    read = RoleVariables(Templar(loader=loader, variables=given), loader, given)
    found = merged(map(read.term, terms))
    wrong = [finding for finding in found.findings if finding.variable not in given]
    assert not wrong, wrong
    return json.dumps(found.values)
