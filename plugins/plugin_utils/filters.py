# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What the filters that take a role's variables have in common.

To find one filter of a collection, Ansible loads its files in alphabetical order, in the process of every task. So
filters import what they need when they are called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError


@contextmanager
def role_variables(name: str, variables: Any) -> Iterator[None]:
    """Turns errors of the filter of that name into Ansible's. A missing variable is one: filters have no defaults."""
    if not isinstance(variables, Mapping):
        raise AnsibleFilterError(f"{name} takes a mapping of variables, not {type(variables).__name__}.")
    try:
        yield
    except TracingError as problem:
        raise AnsibleFilterError(str(problem)) from problem
    except KeyError as missing:
        raise AnsibleFilterError(
            f"{name}: the variable {missing.args[0]} is missing. Give all variables of the role, as "
            "lookup('orion.tracing.role_variables', ROLE) returns them."
        ) from missing
