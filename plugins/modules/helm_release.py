#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: helm_release
short_description: Install, upgrade and uninstall Helm releases, showing every object that changes
version_added: 0.1.0
description:
  - Installs or upgrades a Helm release to the given chart and values with the helm command (Helm 3.18 or newer, or Helm
    4), or uninstalls it.
  - Compares the chart and the values with the release record in the cluster. If they are equal, no helm process is
    started, and nothing changes.
  - Shows the difference for each Kubernetes object, in check mode as in a real run, also on the first install. Values
    of Secrets are shown as digests with a random key.
  - Asks the API server about each object that differs, by a server-side dry run, before anything is written. Fields
    that cannot change, conflicts with other field managers and objects that are being deleted are errors in check mode
    too.
  - Keeps the number of replicas of a workload where the chart leaves it to a HorizontalPodAutoscaler from now on, until
    the autoscaler changes it, and takes it over from the autoscaler where the chart states it again. With Helm 3, and
    releases that Helm 3 installed, the former cannot be done, and gives a warning.
  - Recovers failed releases, and releases that an interrupted helm left pending, as the options specify.
  - Charts come from a directory, a packaged chart, a chart repository or an OCI registry. A pinned chart is downloaded
    only if something changes.
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
      - Whether the release exists.
      - V(absent) keeps the namespace, custom resource definitions and volumes of StatefulSets.
    type: str
    choices: [present, absent]
    default: present
    aliases: [state]
  chart_ref:
    description:
      - Path of a chart directory or of a packaged chart (C(.tgz)), an C(oci://) reference, the URL of a packaged chart,
        or, with O(chart_repo_url), the name of a chart in that repository.
      - Required if O(release_state=present), unless O(rollback_to) is set.
    type: str
    aliases: [chart]
  chart_repo_url:
    description: URL of the chart repository that holds O(chart_ref).
    type: str
  chart_version:
    description:
      - "Exact version of a remote chart (SemVer, e.g. V(1.2.3)). Ranges are rejected: they may resolve differently
        later."
      - Required with O(chart_repo_url), and for an C(oci://) reference without a tag or digest.
    type: str
  chart_digest:
    description:
      - SHA-256 of the packaged chart, as C(sha256:) and 64 hexadecimal digits. A file with another digest is rejected.
      - For OCI, the digest of the chart's layer.
    type: str
  repo_username:
    description: User of the chart repository or registry. Requires O(repo_password).
    type: str
  repo_password:
    description: Password of O(repo_username). Passed to helm through standard input or a file of mode 0600.
    type: str
  repo_ca_file:
    description: File with the CA certificate of the chart repository or registry.
    type: path
  insecure_skip_tls_verify:
    description: Whether to skip verification of the certificate of the chart repository or registry.
    type: bool
    default: false
  plain_http:
    description: Whether to use HTTP for the registry.
    type: bool
    default: false
  verify:
    description:
      - Whether the packaged chart must be signed (provenance file). Verified after download, or, for a local file,
        before it is rendered.
    type: bool
    default: false
  keyring:
    description: File with the public keys for O(verify). Defaults to C(~/.gnupg/pubring.gpg).
    type: path
  values:
    description:
      - Values that override the chart's defaults. Values of earlier revisions are not reused.
      - They never appear in results, or on a command line.
      - Helm reads numbers as 64-bit floats. An integer beyond 2^53 that would be rounded gives a warning.
    type: dict
    default: {}
    aliases: [release_values]
  values_files:
    description:
      - Values files on the host that the module runs on, merged as helm does. Mappings are merged at every depth, lists
        are replaced, null removes a default of the chart, later files override earlier ones, and O(values) overrides
        all of them.
    type: list
    elements: path
  create_namespace:
    description: Whether to create the namespace if it does not exist.
    type: bool
    default: false
  namespace_labels:
    description:
      - Labels of the namespace, for example C(pod-security.kubernetes.io/enforce). Set by server-side apply when the
        namespace is created, and again if they differ.
      - Other labels of the namespace are kept. Labels that an earlier run set for this release and that are no longer
        listed are removed.
    type: dict
  wait:
    description:
      - Whether to wait until the objects are ready, or deleted.
      - An install or upgrade is stopped early if an image can never be pulled.
    type: bool
    default: true
  wait_for_jobs:
    description: Whether O(wait) includes the completion of all jobs.
    type: bool
    default: false
  timeout:
    description: Timeout of each helm operation, as a Go duration.
    type: str
    default: 5m
    aliases: [wait_timeout]
  history_max:
    description: Number of revisions that helm keeps. Defaults to 10; 0 keeps all.
    type: int
  rollback_on_failure:
    description:
      - Whether to roll back a failed upgrade, and to remove a failed install. Implies waiting, also with O(wait=false).
    type: bool
    default: false
    aliases: [atomic]
  on_pending:
    description:
      - What to do if the release is C(pending-install), C(pending-upgrade), C(pending-rollback) or C(uninstalling). The
        record does not show whether another helm is still running or was interrupted.
      - V(fail) reports an error.
      - V(rollback) rolls back to the previous revision, then upgrades. An unfinished first install is removed first.
      - V(replace) uninstalls the release and installs it again.
    type: str
    choices: [fail, rollback, replace]
    default: fail
  on_failed:
    description:
      - What to do if the last operation on the release failed.
      - V(upgrade) upgrades it.
      - V(replace) uninstalls it and installs it again.
      - V(fail) reports an error.
    type: str
    choices: [upgrade, replace, fail]
    default: upgrade
  skip_crds:
    description:
      - Whether to skip the custom resource definitions in the chart's C(crds) folder, for example because the user may
        not install them.
    type: bool
    default: false
  upgrade_crds:
    description:
      - Whether to apply the custom resource definitions in the C(crds) folders of the chart and of its enabled
        subcharts, by server-side apply with the field manager C(orion.tracing). Helm itself installs them once and
        never updates them.
      - Costs one request if nothing differs. Requires the verbs C(list) and C(patch) on CustomResourceDefinitions.
    type: bool
    default: false
  take_ownership:
    description:
      - Whether to take over existing objects that belong to another release, or to none. The diff shows each as an
        update, with the release that it belonged to.
    type: bool
    default: false
  force_conflicts:
    description:
      - Whether to take over fields that another field manager owns, with server-side apply. Requires Helm 4.
    type: bool
    default: false
  labels:
    description:
      - Labels of the release record. Other labels are removed. If this option is not set, labels are kept as they are.
      - A difference makes a new revision, as it does with helm.
    type: dict
  description:
    description: Description of the new revision. A different description alone does not make a new revision.
    type: str
  post_renderer:
    description:
      - A program that changes the rendered objects. With Helm 3, an executable; with Helm 4, the name of a plugin.
      - Its effect is only known after running it, so each run with this option starts one helm process.
    type: str
  post_renderer_args:
    description: Arguments for O(post_renderer). They are visible on a command line.
    type: list
    elements: str
  rollback_to:
    description:
      - Revision whose chart, values and objects are restored. Nothing changes if the newest revision is deployed and
        has the same content.
      - Mutually exclusive with O(chart_ref) and all other options that describe what to install.
    type: int
  test:
    description:
      - Whether to run the chart's tests (C(helm test)) after an install, upgrade or rollback. The module fails if a
        test fails.
      - If nothing changes, tests are run only if they failed the last time.
    type: bool
    default: false
  drift:
    description:
      - What to do about objects that were changed or deleted other than through helm. Only fields that the release's
        manifest states are compared, unless O(drift_added=true). Each kind is read once, in parallel.
      - V(ignore) does not compare.
      - V(report) returns the differences and shows them in the diff. They do not count as a change.
      - V(repair) has helm apply the manifest of the newest revision again (C(helm rollback), without hooks), which
        makes a new revision with the same content. Nothing is rendered, so random values do not change.
    type: str
    choices: [ignore, report, repair]
    default: ignore
  drift_added:
    description:
      - Whether O(drift) includes what others added to objects of the release, such as an environment variable, a label
        or a key of a ConfigMap. In such fields, C(wanted) is null. With O(drift=repair) they are
        removed.
      - Determined from the field managers of each object. Kubernetes' own controllers and admission webhooks do not
        count.
    type: bool
    default: false
  binary_path:
    description:
      - The helm binary, as a path or a name on E(PATH).
      - Falls back to the environment variable E(HELM_BINARY).
    type: str
    default: helm
requirements:
  - helm (3.18 or newer)
  - PyYAML (Python package)
notes:
  - Release records are read from Secrets, Helm's default.
  - Helm installs the custom resource definitions in a chart's C(crds) folder once and never updates them. See
    O(upgrade_crds).
  - Remote charts are cached in C($XDG_CACHE_HOME/orion-tracing/charts) (default C(~/.cache)), in check mode too.
  - Releases have the label C(orion.tracing/chart), a digest of the chart's content. It shows that a chart with
    subcharts, which release records do not contain, has not changed.
  - The dry runs need the verb C(patch) on the objects that differ. Without it they are skipped, and helm reports what
    the API server refuses.
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

- name: A chart from a repository, with values from files
  orion.tracing.helm_release:
    name: ingress
    namespace: ingress
    chart_repo_url: https://charts.example.com
    chart: ingress-nginx
    chart_version: 4.13.2
    values_files:
      - "{{ playbook_dir }}/values/common.yml"
      - "{{ playbook_dir }}/values/production.yml"
    upgrade_crds: true
    test: true

- name: A chart from a registry, the very file that was reviewed
  orion.tracing.helm_release:
    name: ingress
    namespace: ingress
    chart: oci://registry.example.com/charts/ingress-nginx
    chart_version: 4.13.2
    chart_digest: sha256:4ac1e8fcd2c8a9a1e2f2f8d5c8a1c8d9b64b1e1b2b3c4d5e6f708192a3b4c5d6
    repo_username: reader
    repo_password: "{{ registry_password }}"

- name: Changes made by hand are put back
  orion.tracing.helm_release:
    name: tempo
    namespace: tracing
    chart: "{{ playbook_dir }}/charts/tempo"
    drift: repair

- name: Back to revision 3
  orion.tracing.helm_release:
    name: tempo
    namespace: tracing
    rollback_to: 3

- name: The release is gone
  orion.tracing.helm_release:
    name: tempo
    namespace: tracing
    state: absent
"""

RETURN = r"""
release:
  description: The release as it is now, or would be outside of check mode.
  returned: success, and when helm failed
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
    updated:
      description: Time of the last operation (RFC 3339); empty for what check mode only foresees.
      type: str
      sample: "2026-11-23T22:54:01.184Z"
    description:
      description: Helm's description of the revision, or the one given.
      type: str
      sample: Upgrade complete
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
    restarts:
      description:
        - "Of a Deployment, StatefulSet or DaemonSet whose pod template differs: RV(ignore:objects[].restarts.pods), the
          number of pods that are replaced, null where the object does not name it, and
          RV(ignore:objects[].restarts.because), the fields that differ."
      type: dict
      returned: for objects whose pods are replaced
      sample: {pods: 3, because: ["containers.tempo.image: grafana/tempo:2.10.7 → grafana/tempo:2.10.8"]}
steps:
  description: Names of the steps taken, or to be taken.
  returned: success
  type: list
  elements: str
  sample: ["label namespace tracing", upgrade]
diff:
  description:
    - One entry per object that differs or drifted, and one each for the namespace and the release's labels.
    - If no object differs, one entry for the release record shows what does, with values as digests.
  returned: success
  type: list
  elements: dict
helm_processes:
  description: Number of helm processes started; 0 if nothing changed.
  returned: success
  type: int
  sample: 2
api_calls:
  description: Number of requests that the module made to the API server, dry runs and looks at pods included.
  returned: success
  type: int
  sample: 1
not_ready:
  description: Why pods of the release are not ready, with the end of the log of containers that ended.
  returned: when helm failed
  type: list
  elements: str
  sample: ["Pod tempo-0: container tempo: ImagePullBackOff: Back-off pulling image"]
drift:
  description: Objects that differ from the manifest of the newest revision.
  returned: when O(drift) is not V(ignore) and the release is to be present
  type: list
  elements: dict
  contains:
    kind:
      description: Kind.
      type: str
      sample: ConfigMap
    name:
      description: Name.
      type: str
      sample: tempo
    namespace:
      description: Namespace; empty for objects of the whole cluster.
      type: str
      sample: tracing
    api_version:
      description: API version.
      type: str
      sample: v1
    action:
      description: V(missing) or V(changed).
      type: str
      sample: changed
    confirmed:
      description: Whether the API server confirmed it, by a dry run. What it did not confirm is not repaired.
      type: bool
      sample: true
    fields:
      description: Fields that differ, each with its path, both values, and the field manager and time of the change.
      type: list
      elements: dict
      sample:
        - path: data.mode
          wanted: a
          live: b
          manager: kubectl-edit
          time: "2026-11-23T22:54:01Z"
test:
  description: The tests that were run.
  returned: when O(test) is true and the release is to be present, also when a test failed
  type: list
  elements: dict
  contains:
    name:
      description: Name of the test's object.
      type: str
      sample: tempo-test
    phase:
      description: V(Succeeded), V(Failed), V(Running) or V(Unknown).
      type: str
      sample: Succeeded
    log:
      description: The last lines of its log.
      type: str
      sample: "ready"
"""

import os

from ansible_collections.orion.tracing.plugins.module_utils.helm.arguments import ARGUMENTS, INSTALLED, wanted_of
from ansible_collections.orion.tracing.plugins.module_utils.helm.cli import Helm, environment
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
from ansible_collections.orion.tracing.plugins.module_utils.helm.run import ensure
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule


class HelmModule(TracingModule):
    """Keeps the values out of results and of the log of invocations."""

    HIDDEN_OPTIONS = ("values", "release_values")


def main() -> None:
    module = HelmModule(
        ARGUMENTS,
        supports_check_mode=True,
        required_if=[("release_state", "present", ["chart_ref", "rollback_to"], True)],
        required_together=[("repo_username", "repo_password")],
        mutually_exclusive=[("rollback_to", name) for name in INSTALLED],
    )
    params = module.params
    with module.guard():
        wanted = wanted_of(params, params["values"] or {})
    with module.client() as kube, environment(params, os.environ) as env:
        plan = ensure(kube, Helm(params["binary_path"], env), wanted, module.check_mode, Mask())
    module.exit(plan)


if __name__ == "__main__":
    main()
