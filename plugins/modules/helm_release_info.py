#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: helm_release_info
short_description: Read Helm releases with their history, values and drift, without helm
version_added: 0.1.0
description:
  - Reads the records of one Helm release, of all in a namespace, or of all in the cluster, from the Secrets that Helm 3
    and Helm 4 keep. The helm command is not needed.
  - Releases in every state are seen, also those that failed or that an interrupted helm left pending.
  - With O(drift=true), compares the live objects with the manifest of the release, field by field, and shows who
    changed what and when.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
    details: Nothing is ever written.
  diff_mode:
    support: none
options:
  release_name:
    description: Name of the release. Defaults to all releases.
    type: str
    aliases: [name]
  release_namespace:
    description: Namespace of the release. Defaults to all, which requires the verb C(list) on Secrets of the cluster.
    type: str
    aliases: [namespace]
  release_state:
    description:
      - Return only releases whose newest revision is in one of these states.
      - Defaults to all except releases that were uninstalled with their history kept.
      - V(pending) means C(pending-install), C(pending-upgrade) and C(pending-rollback).
    type: list
    elements: str
    choices: [all, deployed, failed, pending, superseded, uninstalled, uninstalling]
    default: []
  with_values:
    description:
      - Whether to return values. They are not masked, since names do not show reliably which of them are secret. Set
        C(no_log) on the task if they may hold secrets.
      - V(user) returns those given at the install or the last upgrade.
      - V(computed) returns them merged over the defaults of the chart.
    type: str
    choices: [none, user, computed]
    default: none
  history:
    description: Whether to return all revisions that Helm keeps.
    type: bool
    default: false
  notes:
    description: Whether to return the notes of the chart. Some charts write passwords into them.
    type: bool
    default: false
  objects:
    description: Whether to return the list of objects that belong to the release.
    type: bool
    default: false
  drift:
    description:
      - Whether to compare the live objects with the manifest of the deployed revision.
      - Only fields that the manifest states are compared, unless O(drift_added=true). Hooks, the custom resource
        definitions of a chart's C(crds) folder, and fields that controllers set by design, such as the replicas of an
        autoscaled Deployment, are ignored.
      - Requires the verbs C(get) and C(list) on the kinds of the release. With the verb C(patch), differences are
        confirmed by a dry run of a server-side apply, which changes nothing.
      - A kind that the user may not read, and an object that is being deleted, give a warning.
    type: bool
    default: false
  drift_added:
    description:
      - Whether O(drift) includes what others added to objects of the release, such as an environment variable, a label
        or a key of a ConfigMap. In such fields, C(wanted) is null.
      - Determined from the field managers of each object. Kubernetes' own controllers and admission webhooks do not
        count.
    type: bool
    default: false
requirements:
  - PyYAML (Python package), for O(objects) and O(drift)
notes:
  - Release records are read from Secrets, Helm's default. The user needs the verb C(list) on Secrets.
  - Release records do not hold subcharts, so O(with_values=computed) does not show the defaults of subcharts.
    C(helm get values --all) does not either.
  - What a mutating webhook changed carries the name of the manager whose request it was. It is no drift if the webhook
    does the same in the dry run.
seealso:
  - module: orion.tracing.helm_release
"""

EXAMPLES = r"""
- name: All releases of the cluster
  orion.tracing.helm_release_info:
  register: helm

- name: Releases that need a hand
  orion.tracing.helm_release_info:
    release_state: [failed, pending]

- name: One release, how it came about and what it is made of
  orion.tracing.helm_release_info:
    name: tempo
    namespace: tracing
    history: true
    objects: true

- name: Values of a release, which may hold secrets
  orion.tracing.helm_release_info:
    name: tempo
    namespace: tracing
    with_values: user
  no_log: true
  register: tempo

- name: Nobody has changed the tracing platform by hand
  orion.tracing.helm_release_info:
    namespace: tracing
    drift: true
  register: platform
  failed_when: platform.failed | default(false) or platform.releases | map(attribute='drift') | flatten | length > 0
"""

RETURN = r"""
releases:
  description: The releases, by namespace and name.
  returned: success
  type: list
  elements: dict
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
      description: Newest revision.
      type: int
      sample: 3
    status:
      description: Helm's status of it.
      type: str
      sample: deployed
    chart:
      description: Name of the chart.
      type: str
      sample: tempo
    chart_version:
      description: Version of the chart.
      type: str
      sample: 0.1.0
    app_version:
      description: Version of what the chart installs.
      type: str
      sample: 2.10.8
    updated:
      description: When Helm last worked on it, RFC 3339.
      type: str
      sample: "2026-11-23T23:36:27.188157035Z"
    description:
      description: Description of the revision, by Helm or the user.
      type: str
      sample: Install complete
    labels:
      description: Labels of the release record, without Helm's own.
      type: dict
      sample: {team: observability}
    release_values:
      description: The values.
      returned: if O(with_values) is not V(none)
      type: dict
      sample: {replicas: 2}
    notes:
      description: The notes that the chart prints.
      returned: if O(notes=true)
      type: str
      sample: Thank you for installing cc.
    history:
      description: All revisions that Helm keeps, oldest first.
      returned: if O(history=true)
      type: list
      elements: dict
      contains:
        revision:
          description: Number.
          type: int
        updated:
          description: When Helm last worked on it, RFC 3339.
          type: str
        status:
          description: Helm's status of it.
          type: str
        chart:
          description: Name of the chart.
          type: str
        chart_version:
          description: Version of the chart.
          type: str
        app_version:
          description: Version of what the chart installs.
          type: str
        description:
          description: Description of the revision, by Helm or the user.
          type: str
      sample:
        - revision: 1
          updated: "2026-11-23T23:36:27.188157035Z"
          status: deployed
          chart: tempo
          chart_version: 0.1.0
          app_version: 2.10.8
          description: Install complete
    objects:
      description: Objects of the newest revision, hooks included, in the order of the manifest.
      returned: if O(objects=true)
      type: list
      elements: dict
      contains:
        kind:
          description: Kind.
          type: str
        name:
          description: Name.
          type: str
        namespace:
          description: Namespace; the release's for objects that name none.
          type: str
        api_version:
          description: API version.
          type: str
        part:
          description: Where it comes from, V(manifest) or V(hook).
          type: str
      sample:
        - kind: NetworkPolicy
          name: tempo
          namespace: tracing
          api_version: networking.k8s.io/v1
          part: manifest
    drift:
      description: Objects that differ from the manifest; empty where none does.
      returned: if O(drift=true) and a revision is deployed
      type: list
      elements: dict
      contains:
        kind:
          description: Kind.
          type: str
        name:
          description: Name.
          type: str
        namespace:
          description: Namespace; empty for objects outside of namespaces.
          type: str
        api_version:
          description: API version.
          type: str
        action:
          description: V(missing) or V(changed).
          type: str
        confirmed:
          description:
            - Whether the API server confirmed the differences by a dry run. If not, it refused the dry run, and some of
              them may only be another way to write the same.
          type: bool
        fields:
          description: Fields that differ. Empty for missing objects.
          type: list
          elements: dict
          contains:
            path:
              description: Path of the field.
              type: str
            wanted:
              description:
                - Value of the manifest, null where it has none. Values of Secrets are digests with a random key.
              type: raw
            live:
              description: Value of the live object, likewise.
              type: raw
            manager:
              description: Field manager that wrote the field last. Empty where the field was removed.
              type: str
            time:
              description:
                - When this manager last changed the object, RFC 3339.
                - Empty where the field was removed, and for changes through a subresource, such as C(kubectl scale).
              type: str
      sample:
        - kind: Secret
          name: d
          namespace: drift-h4
          api_version: v1
          action: changed
          confirmed: true
          fields:
            - path: data.password
              wanted: digest:4a77c1da93fa46b0
              live: digest:2b3c42957229d6ff
              manager: kubectl-patch
              time: "2026-11-23T23:40:53Z"
        - kind: Role
          name: d
          namespace: drift-h4
          api_version: rbac.authorization.k8s.io/v1
          action: missing
          confirmed: true
          fields: []
api_calls:
  description: How many requests were made to the API server.
  returned: success
  type: int
  sample: 1
"""

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.helm.info import Query, gather
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule

ARGUMENTS: dict[str, dict[str, Any]] = {
    "release_name": {"type": "str", "aliases": ["name"]},
    "release_namespace": {"type": "str", "aliases": ["namespace"]},
    "release_state": {
        "type": "list",
        "elements": "str",
        "choices": ["all", "deployed", "failed", "pending", "superseded", "uninstalled", "uninstalling"],
        "default": [],
    },
    "with_values": {"type": "str", "choices": ["none", "user", "computed"], "default": "none"},
    "history": {"type": "bool", "default": False},
    "notes": {"type": "bool", "default": False},
    "objects": {"type": "bool", "default": False},
    "drift": {"type": "bool", "default": False},
    "drift_added": {"type": "bool", "default": False},
}


def main() -> None:
    module = TracingModule(ARGUMENTS, supports_check_mode=True)
    params = module.params
    query = Query(
        name=params["release_name"] or "",
        namespace=params["release_namespace"] or "",
        states=tuple(params["release_state"]),
        values=params["with_values"],
        **{name: params[name] for name in ("history", "notes", "objects", "drift", "drift_added")},
    )
    with module.client() as kube:
        answer = gather(kube, query)
    for warning in answer.warnings:
        module.warn(warning)
    module.exit_json(changed=False, releases=answer.releases, api_calls=kube.calls)


if __name__ == "__main__":
    main()
