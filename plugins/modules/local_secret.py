#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: a Secret with generated passwords."""

from __future__ import annotations

DOCUMENTATION = r"""
module: local_secret
short_description: Generate passwords once and keep them in a Secret
version_added: 0.1.0
description:
  - Ensures a Secret with random passwords, for programs inside the cluster, such as the database of the demo.
  - The Secret is the source of truth. What it holds is kept, and only keys that are missing are generated.
  - No value is ever returned, shown in a diff or logged.
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
    details: Shows the keys, never their values.
options:
  name:
    description: Name of the Secret.
    type: str
    required: true
  namespace:
    description: Its namespace, which is created if it does not exist.
    type: str
    required: true
  namespace_labels:
    description: Labels of the namespace if it is created. An existing one is left alone.
    type: dict
    default: {}
  keys:
    description: Keys of the Secret that hold a password each, of 32 letters and digits.
    type: list
    elements: str
    required: true
  path:
    description:
      - File on the machine that runs the module, which gets the Secret's values as a JSON object by key (mode 0600),
        for programs that people log in to. Its folder is created when it is missing.
      - Without it, no file is written.
    type: path
"""

EXAMPLES = r"""
- name: Ensure the password of the database
  orion.tracing.local_secret:
    name: postgresql
    namespace: shop
    keys: [password]

- name: Ensure the password of somebody who logs in
  orion.tracing.local_secret:
    name: grafana
    namespace: local-backends
    keys: [admin_password]
    path: "{{ tracing_state_dir }}/grafana-credentials.json"
"""

RETURN = r"""
secret:
  description: The Secret as namespace/name.
  returned: success
  type: str
  sample: shop/postgresql
path:
  description: The file.
  returned: with O(path)
  type: str
  sample: /srv/state/grafana-credentials.json
steps:
  description: Names of the changes, in their order.
  returned: success
  type: list
  elements: str
  sample: ["create namespace shop", "generate password of Secret shop/postgresql"]
api_calls:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 1
"""

from ansible_collections.orion.tracing.plugins.module_utils.local.secret import Copy, apply, make_plan, read
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule


def main() -> None:
    module = TracingModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "namespace_labels": {"type": "dict", "default": {}},
            # Names of keys, not values.
            "keys": {"type": "list", "elements": "str", "required": True, "no_log": False},
            "path": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = module.params
    namespace, name = params["namespace"], params["name"]
    with module.client() as kube:
        present, exists = read(kube, namespace, name)
        labels = None if exists else params["namespace_labels"]
        plan = make_plan(present, namespace, name, params["keys"], labels, Copy.of(params["path"]))
        if not module.check_mode:
            module.no_log_values.update(apply(kube, plan, present, namespace, name))
        plan.result["api_calls"] = kube.calls
    module.exit(plan)


if __name__ == "__main__":
    main()
