# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attributes that the modules of this collection share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return the same keys without changing anything.
  diff_mode:
    description: Returns details on what has changed, or would change in check mode.
  action_group:
    description: Use C(group/orion.tracing.all) in C(module_defaults) to set options for all modules of this collection.
    support: full
    membership:
      - orion.tracing.all
"""
