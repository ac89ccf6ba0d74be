#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: how far the upgrade from Tempo 2.10 to 3.0 is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tempo_upgrade
short_description: Next step of an upgrade from Tempo 2.10 to 3.0
version_added: 0.1.0
author:
  - orion.tracing contributors (@orion-tracing)
description:
  - Reads from the cluster how far the upgrade is, and returns the step that comes next. It keeps no state of its own,
    so an interrupted upgrade goes on where it was.
  - Fails where bucket, prefix or retention of the two installations differ, and where the old one is one instance
    (C(tempo_profile=monolithic)), which docs/tempo-3.md describes how to upgrade.
  - With O(drain=true), it also lets the old ingesters store everything, and waits until nothing is left and the new
    installation finds it.
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  namespace:
    description: Namespace of both releases and of the collectors.
    type: str
    required: true
  old_release:
    description: Name of the release of Tempo 2.10.
    type: str
    default: tempo
  variables:
    description: The variables of the tempo role, as P(orion.tracing.role_variables#lookup) returns them.
    type: dict
    required: true
  drain:
    description: Whether to let the old ingesters store everything, where that is the next step.
    type: bool
    default: false
  timeout:
    description: How long to wait for that, in seconds. The new installation reads at intervals which blocks there are
      (C(tempo_blocklist_poll)), so at least two of these.
    type: float
    default: 3600
"""

EXAMPLES = r"""
- name: See how far the upgrade is
  orion.tracing.tempo_upgrade:
    namespace: tracing
    variables: "{{ lookup('orion.tracing.role_variables', 'tempo') }}"
  register: upgrade

- name: Show it
  ansible.builtin.debug:
    var: upgrade.step
"""

RETURN = r"""
step:
  description:
    - V(install) the new one, V(move_writes) to it, V(drain) the old ingesters, V(hand_over), V(finish) (compaction and
      names of Services), or V(done).
    - V(hand_over) is returned only where the ingesters were drained just now, with O(drain=true). Then the old one can
      be removed, and there is no way back.
  returned: success
  type: str
  sample: move_writes
release:
  description: Name of the new release, as O(variables) has it.
  returned: success
  type: str
  sample: tempo-3
old:
  description: Version of the old installation; empty where it is gone.
  returned: success
  type: str
  sample: 2.10.8
new:
  description: Version of the new installation; empty where it is not there yet.
  returned: success
  type: str
  sample: 3.0.3
drained:
  description: The ingesters that were drained.
  returned: success
  type: list
  elements: str
  sample: [tempo-ingester-0]
"""

from dataclasses import replace

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.proof import tempo_upgrade
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import line
from ansible_collections.orion.tracing.plugins.module_utils.tempo.upgrade import DRAIN, WantedTempo, next_step


def main() -> None:
    module = TracingModule(
        {
            "namespace": {"type": "str", "required": True},
            "old_release": {"type": "str", "default": "tempo"},
            "variables": {"type": "dict", "required": True},
            "drain": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 3600},
        },
        supports_check_mode=True,
    )
    params, v = module.params, module.params["variables"]
    wanted = WantedTempo(
        release=str(v.get("tempo_release_name") or "tempo"),
        profile=str(v.get("tempo_profile") or ""),
        line=line(v),
        bucket=str(v.get("tempo_s3_bucket") or ""),
        prefix=str(v.get("tempo_s3_prefix") or ""),
        retention=str(v.get("tempo_retention") or ""),
    )
    namespace, old = params["namespace"], params["old_release"]
    drained: list[str] = []
    with module.client() as kube:
        state = tempo_upgrade.read(kube, namespace, old, wanted.release)
        step = next_step(state, wanted, old)
        if step == DRAIN and params["drain"] and not module.check_mode:
            deadline = Deadline(Clock(), params["timeout"])
            drained = tempo_upgrade.drain(kube, namespace, old, deadline)
            tempo_upgrade.await_blocks(kube, namespace, wanted.release, deadline)
            step = next_step(replace(state, drained=True), wanted, old)
    module.exit_json(
        changed=bool(drained),
        step=step,
        release=wanted.release,
        old=state.old.version if state.old else "",
        new=state.new.version if state.new else "",
        drained=drained,
    )


if __name__ == "__main__":
    main()
