#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: platform_plan
short_description: Check the whole platform, and plan what a run would change
version_added: 0.1.0
author:
  - orion.tracing contributors (@orion-tracing)
description:
  - Reads everything in one process and at the same time, checks it as M(orion.tracing.preflight) does, and plans every
    component as its role would. It changes nothing; it displays the plan, and returns it.
  - What the roles are going to do is read from their own tasks, with the variables of the play.
  - Where the variables and the collection are those of the record in the cluster (M(orion.tracing.platform_record)),
    and the releases have the revisions that it names, only the bucket and the instrumented workloads are looked at.
  - It runs as part of C(ansible-playbook), so hosts need C(ansible_connection=local). For others it does what
    M(orion.tracing.preflight) does, and returns no plan.
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
    details: O(plan_output) is written in check mode too, since it is what is asked for.
  diff_mode:
    support: N/A
    details: It changes nothing.
options:
  roles:
    description: Roles whose variables are checked, as for M(orion.tracing.preflight).
    type: list
    elements: str
    required: true
  components:
    description:
      - What is planned, any of C(object_storage), C(tempo), C(collector), C(instrumentation), C(grafana), C(local_demo)
        and C(probe).
    type: list
    elements: str
    required: true
  drift:
    description:
      - With V(report), the objects of all releases are read and compared with what was applied, as
        M(orion.tracing.helm_release) does with the option of that name.
    type: str
    choices: [ignore, report]
    default: ignore
  confirm:
    description:
      - Whether to ask at the terminal before a plan that changes something is applied. Fails without a terminal, and
        for any answer but C(yes). Not in check mode.
    type: bool
    default: false
  plan:
    description:
      - A plan of an earlier job, as the run's statistics have it. As O(plan_file), but as data, since the jobs of an
        AWX workflow share no files.
    type: dict
  plan_file:
    description: A plan that O(plan_output) has written. Fails, before anything changes, if the present plan differs.
    type: path
  plan_output:
    description: File for the plan as JSON, on the machine where Ansible runs.
    type: path
  binary_path:
    description:
      - The helm binary, a path or a name on E(PATH).
      - Falls back to the environment variable E(HELM_BINARY).
    type: str
    default: helm
requirements:
  - helm (3.18 or newer)
  - boto3 (Python package)
"""

EXAMPLES = r"""
- name: Plan Tempo and the Collectors
  orion.tracing.platform_plan:
    roles: [tempo, collector]
    components: [tempo, collector]
  register: planned

- name: Show the releases that would change
  ansible.builtin.debug:
    msg: "{{ planned.plan.apply }}"
"""

RETURN = r"""
plan:
  description: What a run would change. Also among the run's statistics, as C(tracing_plan), by host.
  returned: with a local connection, unless a check failed
  type: dict
  contains:
    format:
      description: Version of this structure.
      type: int
      sample: 1
    host:
      description: Name of the inventory host.
      type: str
      sample: localhost
    cluster:
      description: RV(ignore:tracing_cluster_name).
      type: str
      sample: orion-prod
    namespace:
      description: Namespace of the platform.
      type: str
      sample: tracing
    api_server:
      description: URL of the API server.
      type: str
      sample: https://k8s.example:6443
    changed:
      description: Whether anything would change.
      type: bool
    recorded:
      description: Whether the record in the cluster has these variables, and nothing else has changed the releases.
      type: bool
    apply:
      description: Names of the components whose roles have something to do.
      type: list
      elements: str
      sample: [tempo]
    components:
      description:
        - Of each component its name, the action (V(create), V(change), V(remove), V(none), or V(unknown) where only its
          role finds out), the steps, the objects with their action and the pods that are replaced, and its release.
      type: list
      elements: dict
    variables:
      description: Variables that differ from those that were applied last, with their values before and after.
      type: list
      elements: dict
      sample: [{name: tracing_retention, before: 24h, after: 48h}]
    consequences:
      description: What that means for cost and for kept traces, a line each.
      type: list
      elements: str
    totals:
      description: Numbers of objects to create, change and remove, and of pods that are replaced.
      type: dict
      sample: {create: 0, change: 2, remove: 0, pods_replaced: 3}
plan_text:
  description: The plan for people, as lines.
  returned: with RV(plan)
  type: list
  elements: str
findings:
  description: What would fail, as M(orion.tracing.preflight) returns it. Empty on success.
  returned: always
  type: list
  elements: dict
api_calls:
  description: Requests to the API server, without those of the checks.
  returned: with RV(plan)
  type: int
  sample: 5
"""
