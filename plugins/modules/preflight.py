#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Find everything that can be known to fail, before anything changes
version_added: 0.1.0
author:
  - orion.tracing contributors (@orion-tracing)
description:
  - Checks variables against each other, and against the cluster, helm, the S3 store, and the Kafka that Tempo 3 writes
    to. Reads only.
  - Reports all findings at once, each with the variable, what is wrong and what to do. Fails if one is an error.
  - An action plugin evaluates the variables of O(roles) on the controller, with the defaults of these roles, so that
    what is checked is what will be used. Options of roles that are secret are not among them.
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: It changes nothing.
options:
  roles:
    description:
      - Roles of this collection whose variables are checked. Their argument specs are applied, and names that no role
        knows are found.
    type: list
    elements: str
    default: []
  variables:
    description: Variables to check, which win over those that were evaluated for O(roles).
    type: dict
    default: {}
  findings:
    description: Findings from before, reported together with the others. The action plugin sets it.
    type: list
    elements: dict
    default: []
    suboptions:
      variable:
        description: Name of the variable.
        type: str
        required: true
      what:
        description: What is wrong.
        type: str
        required: true
      why:
        description: The reason or the consequence.
        type: str
        default: ''
      remedy:
        description: What to do.
        type: str
        default: ''
      severity:
        description: Whether the run would fail.
        type: str
        choices: [error, warning]
        default: error
      path:
        description: Where inside the variable's value it is, such as C([0].tls).
        type: str
        default: ''
      code:
        description: Name of the rule, where docs/sampling-linter.md lists it.
        type: str
        default: ''
  repeats:
    description:
      - The variable that another one only repeats, by the other's name. What is wrong with both is reported once. The
        action plugin sets it.
    type: dict
    default: {}
  binary_path:
    description:
      - The helm binary, a path or a name on E(PATH).
      - Falls back to the environment variable E(HELM_BINARY).
    type: str
    default: helm
  s3:
    description:
      - How the bucket C(object_storage_bucket) of the variables is reached. The action plugin takes it from the
        variables of the role C(object_storage). Without it and without that role, the store is not asked.
    type: dict
    suboptions:
      endpoint_url:
        description: URL of the store. AWS by default, or E(AWS_ENDPOINT_URL_S3), E(AWS_ENDPOINT_URL).
        type: str
      region:
        description: Region that requests are signed for. Falls back to E(AWS_REGION), E(AWS_DEFAULT_REGION).
        type: str
      access_key:
        description: Access key. Without it, boto3 looks for credentials in its own order.
        type: str
      secret_key:
        description: Secret key that belongs to O(s3.access_key).
        type: str
      session_token:
        description: Session token of temporary credentials.
        type: str
      ca_bundle:
        description: File with certificate authorities. Falls back to E(AWS_CA_BUNDLE).
        type: path
      validate_certs:
        description: Whether the store's certificate is checked.
        type: bool
        default: true
      addressing_style:
        description: Where the bucket is named in a request.
        type: str
        choices: [auto, path, virtual]
  grafana:
    description:
      - How Grafana is reached. The action plugin takes it from the variables of the role C(grafana) with
        C(grafana_provisioning=api). Without it, Grafana is not asked.
    type: dict
    suboptions:
      url:
        description: URL of Grafana. Falls back to E(GRAFANA_URL).
        type: str
      token:
        description: Token of a service account. Falls back to E(GRAFANA_TOKEN).
        type: str
      username:
        description: Name of a user, instead of O(grafana.token).
        type: str
      password:
        description: Password of O(grafana.username).
        type: str
      ca_cert:
        description: File with certificate authorities.
        type: path
      validate_certs:
        description: Whether Grafana's certificate is checked.
        type: bool
        default: true
      timeout:
        description: Time limit for each answer, in seconds.
        type: int
        default: 30
requirements:
  - helm (3.18 or newer)
  - boto3 (Python package)
  - kafka-python >= 3, for C(tempo_profile=kafka); without it, Kafka is not asked
"""

EXAMPLES = r"""
- name: Check the inventory
  orion.tracing.preflight:
    roles: [object_storage, tempo, collector, grafana]

- name: Check one idea
  orion.tracing.preflight:
    variables:
      tracing_namespace: tracing
      tempo_replication_factor: 3
      tempo_ingester_replicas: 2
"""

RETURN = r"""
findings:
  description: What would fail. Empty on success.
  returned: always
  type: list
  elements: dict
  contains:
    severity:
      description: C(error).
      type: str
      sample: error
    variable:
      description: Name of the variable.
      type: str
      sample: tracing_retention
    path:
      description: Where inside the variable's value it is.
      type: str
      sample: ''
    what:
      description: What is wrong.
      type: str
      sample: is '7 days', not a Go duration
    why:
      description: The reason or the consequence; may be empty.
      type: str
      sample: ''
    remedy:
      description: What to do.
      type: str
      sample: Write 168h.
    code:
      description: Name of the rule, where docs/sampling-linter.md lists it.
      type: str
      sample: ''
advice:
  description: What is doubtful, in the same form, with the severity C(warning). Also shown as warnings.
  returned: always
  type: list
  elements: dict
api_server:
  description: URL of the API server; empty if no connection could be made ready.
  returned: always
  type: str
  sample: https://k8s.example:6443
chosen_by_environment:
  description:
    - Which environment variables chose the cluster, in a sentence; empty if options did, or the default kubeconfig.
    - It is the first line that the task shows, and part of the first line of what it finds.
  returned: always
  type: str
  sample: "The environment chose the cluster https://k8s.test: K8S_AUTH_HOST=https://k8s.test and K8S_AUTH_API_KEY."
kubernetes_version:
  description: The API server's version; empty if it did not answer.
  returned: always
  type: str
  sample: v1.34.4
helm_version:
  description: Helm's version; empty if it is missing or unusable.
  returned: always
  type: str
  sample: v4.3.1
default_storage_class:
  description: The cluster's default StorageClass; empty if there is none.
  returned: always
  type: str
  sample: gp3
pod_security:
  description: The Pod Security level that the namespace enforces; empty if it does not exist or enforces none.
  returned: always
  type: str
  sample: restricted
bucket_exists:
  description: Whether the bucket is there; null if that is not known.
  returned: always
  type: bool
"""

from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.preflight.run import ARGUMENTS, examine


def main() -> None:
    module = TracingModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
    )
    found = examine(module.params)
    for finding in found.advice:
        module.warn(finding)
    if found.errors:
        module.fail_json(msg=found.errors, **found.result)
    module.exit_json(changed=False, **found.result)


if __name__ == "__main__":
    main()
