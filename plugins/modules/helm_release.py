#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: helm_release
short_description: Install, upgrade and uninstall Helm releases, showing every object that changes
description:
  - Brings a Helm release to the chart and values given, with the helm command (Helm 3.18 or newer, or Helm 4).
  - What is installed is read from the release record in the cluster. Where chart content and values are the same,
    nothing is started and nothing changes.
  - The difference is shown per Kubernetes object, on the first install too, in check mode as in a real run. Values of
    Secrets appear as a digest with a random key only.
  - Failed releases, and those that an interrupted helm left pending, are seen and recovered as the options say.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  release_name:
    description: Name of the release.
    type: str
    required: true
    aliases: [name]
  release_namespace:
    description: Namespace of the release and of its objects.
    type: str
    required: true
    aliases: [namespace]
  release_state:
    description:
      - Whether the release is there.
      - V(absent) leaves the namespace, custom resource definitions and volumes of StatefulSets alone.
    type: str
    choices: [present, absent]
    default: present
    aliases: [state]
  chart_ref:
    description:
      - Path of a chart directory, or of a packaged chart (C(.tgz)). Chart repositories and registries are not read.
      - Required if O(release_state=present).
    type: str
    aliases: [chart]
  values:
    description:
      - The values, over the defaults of the chart. Values of an earlier revision are not kept.
      - They never appear in results, nor on a command line.
    type: dict
    default: {}
    aliases: [release_values]
  create_namespace:
    description: Whether to create the namespace where it does not exist.
    type: bool
    default: false
  namespace_labels:
    description:
      - Labels of the namespace, set by server-side apply when it is created and repaired when they drift, for example
        C(pod-security.kubernetes.io/enforce).
      - Other labels of the namespace are left alone; labels that an earlier run set for this release and that are no
        longer given are removed.
    type: dict
  wait:
    description: Whether to wait until the objects are ready, or gone.
    type: bool
    default: true
  timeout:
    description: How long helm waits for any single operation, as a Go duration.
    type: str
    default: 5m
  history_max:
    description: Revisions that helm keeps, 10 by default; 0 keeps all.
    type: int
  rollback_on_failure:
    description: Whether a failed upgrade is rolled back, and a failed install removed. Waits, whatever O(wait) says.
    type: bool
    default: false
    aliases: [atomic]
  on_pending:
    description:
      - What to do about a release in one of the states C(pending-install), C(pending-upgrade), C(pending-rollback) and
        C(uninstalling). Another helm may be at work on it, or have been interrupted, which cannot be told apart.
      - V(fail) reports it.
      - V(rollback) goes back to the revision before, then upgrades; where there is none, an unfinished install is
        removed first.
      - V(replace) uninstalls the release and installs it again.
    type: str
    choices: [fail, rollback, replace]
    default: fail
  on_failed:
    description:
      - What to do about a release whose last operation failed.
      - V(upgrade) upgrades it.
      - V(replace) uninstalls it and installs it again.
      - V(fail) reports it.
    type: str
    choices: [upgrade, replace, fail]
    default: upgrade
  binary_path:
    description:
      - The helm binary, a path or a name on E(PATH).
      - Falls back to the environment variable E(HELM_BINARY).
    type: str
    default: helm
requirements:
  - helm (3.18 or newer)
  - PyYAML (Python package)
notes:
  - Release records are read from Secrets, Helm's default.
  - Helm installs the custom resource definitions in a chart's C(crds) folder once and never changes them.
  - A chart with subcharts costs one helm process also when nothing changed, because release records do not hold
    subcharts.
seealso:
  - name: Helm
    description: The package manager for Kubernetes.
    link: https://helm.sh/docs/
"""

EXAMPLES = r"""
- name: Tempo is installed in a restricted namespace
  orion.tracing.helm_release:
    name: tempo
    namespace: tracing
    chart: "{{ playbook_dir }}/charts/tempo"
    values:
      replicas: 3
    create_namespace: true
    namespace_labels:
      pod-security.kubernetes.io/enforce: restricted
    timeout: 10m

- name: A packaged chart, going on after an interrupted run
  orion.tracing.helm_release:
    name: otel-collector
    namespace: tracing
    chart: /srv/charts/otel-collector-1.0.0.tgz
    on_pending: rollback
    rollback_on_failure: true

- name: The release is gone
  orion.tracing.helm_release:
    name: tempo
    namespace: tracing
    state: absent
"""

RETURN = r"""
release:
  description: The release as it is now, or would be outside of check mode.
  returned: success
  type: dict
  contains:
    name:
      description: Name.
      type: str
      sample: tempo
    namespace:
      description: Namespace.
      type: str
      sample: tracing
    revision:
      description: Revision; 0 where it is absent.
      type: int
      sample: 3
    status:
      description: Helm's status, or C(absent).
      type: str
      sample: deployed
    chart:
      description: Name of the chart.
      type: str
      sample: tempo
    chart_version:
      description: Version of the chart.
      type: str
      sample: 1.4.0
    app_version:
      description: Version of what the chart installs.
      type: str
      sample: 2.10.8
objects:
  description: Objects that differ, in the order of the manifest.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Kind.
      type: str
      sample: Deployment
    name:
      description: Name.
      type: str
      sample: tempo-distributor
    namespace:
      description: Namespace; the release's for objects that name none.
      type: str
      sample: tracing
    api_version:
      description: API version.
      type: str
      sample: apps/v1
    part:
      description: Where it comes from, V(manifest), V(hook) or V(crd).
      type: str
      sample: manifest
    action:
      description: What happens to it, V(create), V(update) or V(delete).
      type: str
      sample: update
steps:
  description: Names of the steps taken, or to be taken.
  returned: success
  type: list
  elements: str
  sample: ["label namespace tracing", upgrade]
diff:
  description: One entry per object that differs, and one for the namespace.
  returned: success
  type: list
  elements: dict
helm_processes:
  description: How many helm processes were started; 0 where nothing changed.
  returned: success
  type: int
  sample: 2
api_calls:
  description: How many requests this module itself made to the API server.
  returned: success
  type: int
  sample: 1
not_ready:
  description: What is wrong with the pods of the release.
  returned: when helm failed
  type: list
  elements: str
  sample: ["Pod tempo-0: container tempo: ImagePullBackOff: Back-off pulling image"]
"""

import os
from typing import Any

from ansible.module_utils.basic import env_fallback
from ansible_collections.orion.tracing.plugins.module_utils.helm.cli import Helm, environment, seconds_of
from ansible_collections.orion.tracing.plugins.module_utils.helm.plan import Wanted
from ansible_collections.orion.tracing.plugins.module_utils.helm.render import Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.run import ensure
from ansible_collections.orion.tracing.plugins.module_utils.module import TracingModule

ARGUMENTS: dict[str, dict[str, Any]] = {
    "release_name": {"type": "str", "required": True, "aliases": ["name"]},
    "release_namespace": {"type": "str", "required": True, "aliases": ["namespace"]},
    "release_state": {
        "type": "str",
        "choices": ["present", "absent"],
        "default": "present",
        "aliases": ["state"],
    },
    "chart_ref": {"type": "str", "aliases": ["chart"]},
    "values": {"type": "dict", "default": {}, "aliases": ["release_values"]},
    "create_namespace": {"type": "bool", "default": False},
    "namespace_labels": {"type": "dict"},
    "wait": {"type": "bool", "default": True},
    "timeout": {"type": "str", "default": "5m"},
    "history_max": {"type": "int"},
    "rollback_on_failure": {"type": "bool", "default": False, "aliases": ["atomic"]},
    "on_pending": {"type": "str", "choices": ["fail", "rollback", "replace"], "default": "fail"},
    "on_failed": {"type": "str", "choices": ["upgrade", "replace", "fail"], "default": "upgrade"},
    "binary_path": {"type": "str", "default": "helm", "fallback": (env_fallback, ["HELM_BINARY"])},
}
HIDDEN = "not shown: may hold secrets"


class HelmModule(TracingModule):
    """Keeps the values out of the log of invocations and out of results, where Ansible would repeat them."""

    values: dict[str, Any]

    def _log_invocation(self) -> None:
        self.values = self.params["values"] or {}
        self._hide()
        super()._log_invocation()

    def _return_formatted(self, kwargs: dict[str, Any]) -> None:
        self._hide()
        super()._return_formatted(kwargs)

    def _hide(self) -> None:
        for name in ("values", "release_values"):
            if name in self.params:
                self.params[name] = HIDDEN


def main() -> None:
    module = HelmModule(ARGUMENTS, supports_check_mode=True, required_if=[("release_state", "present", ["chart_ref"])])
    params = module.params
    wanted = Wanted(
        name=params["release_name"],
        namespace=params["release_namespace"],
        state=params["release_state"],
        chart_ref=params["chart_ref"] or "",
        values=module.values,
        **{
            name: params[name]
            for name in (
                "create_namespace",
                "namespace_labels",
                "wait",
                "timeout",
                "history_max",
                "rollback_on_failure",
                "on_pending",
                "on_failed",
            )
        },
    )
    with module.guard():
        seconds_of(wanted.timeout)
    with module.client() as kube, environment(params, os.environ) as env:
        plan = ensure(kube, Helm(params["binary_path"], env), wanted, module.check_mode, Mask())
    module.exit(plan)


if __name__ == "__main__":
    main()
