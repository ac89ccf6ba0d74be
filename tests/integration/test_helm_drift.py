# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drift of real releases, installed by both majors of Helm, on a real API server.

The chart holds what manifests and the API server write differently: quantities, zero values and empty collections,
nulls, defaults inside of lists, stringData, lists merged by keys. No pod ever starts: the images do not exist.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import NotFound
from ansible_collections.orion.tracing.plugins.module_utils.helm import drift, release, render
from ansible_collections.orion.tracing.plugins.module_utils.helm.drift import DriftReport
from ansible_collections.orion.tracing.plugins.module_utils.helm.info import Query, gather
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import Mask
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

BY_HAND = "kubectl-edit"  # the field manager of the edits
MERGE, STRATEGIC, JSON = (f"application/{kind}+json" for kind in ("merge-patch", "strategic-merge-patch", "json-patch"))
DEFINED = ("widgets", "gadgets")
# Kinds of the chart that are read: all but the hook.
KINDS = 21
OBJECTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: d, labels: {}, annotations: {example.com/a: "1"}}
data: {message: hello, empty: ""}
---
apiVersion: v1
kind: Secret
metadata: {name: d}
data: {old: b2xk, both: b2xk}
stringData: {password: first-password, both: new}
---
apiVersion: v1
kind: Service
metadata: {name: d, annotations: null}
spec:
  clusterIP: None
  selector: {app: d}
  publishNotReadyAddresses: false
  ports:
    - {name: http, port: 80, targetPort: http}
    - {name: udp, port: 53, protocol: UDP}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: d}
automountServiceAccountToken: false
imagePullSecrets: [{name: pull}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, labels: {app: d}, annotations: {helm.sh/resource-policy: keep}}
spec:
  replicas: 1
  minReadySeconds: 0
  selector: {matchLabels: {app: d}}
  strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: d}}
    spec:
      automountServiceAccountToken: false
      hostNetwork: false
      nodeSelector: {}
      priorityClassName: ""
      affinity: {}
      securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
      tolerations:
        - {key: x, operator: Exists, effect: NoSchedule}
      topologySpreadConstraints:
        - topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          maxSkew: 1
          labelSelector: {matchLabels: {app: d}}
      containers:
        - name: main
          image: registry.invalid/none:1
          args: [a, b]
          command: []
          env:
            - {name: A, value: "1"}
            - {name: B, valueFrom: {secretKeyRef: {name: d, key: password}}}
            - {name: E, value: ""}
            - {name: F, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: G, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
          ports: [{containerPort: 8080, name: http}]
          resources:
            limits: {cpu: 1000m, memory: 1024Mi}
            requests: {cpu: 0.1, memory: "134217728", ephemeral-storage: 1e9}
          volumeMounts:
            - {mountPath: /tmp, name: tmp, readOnly: false}
            - {mountPath: /p, name: p, subPath: ""}
          livenessProbe: {httpGet: {path: /, port: http}, initialDelaySeconds: 0}
          securityContext: {allowPrivilegeEscalation: false, privileged: false, capabilities: {drop: [ALL]}}
      volumes:
        - {name: tmp, emptyDir: {}}
        - {name: c, configMap: {name: d, items: [{key: message, path: m}]}}
        - name: p
          projected:
            sources:
              - serviceAccountToken: {path: t}
              - downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: d}
spec:
  replicas: 0
  serviceName: d
  selector: {matchLabels: {app: s}}
  template:
    metadata: {labels: {app: s}, creationTimestamp: null}
    spec:
      terminationGracePeriodSeconds: 0
      initContainers: []
      containers: [{name: main, image: registry.invalid/none:1, resources: {}}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: d}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress: []
  egress: [{ports: [{port: 53}]}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: d}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: d}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: d}
spec:
  maxReplicas: 3
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: none}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: d}
spec:
  schedule: "0 0 1 1 *"
  suspend: true
  successfulJobsHistoryLimit: 0
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: main, image: "registry.invalid/none:1", env: [{name: NUM, value: "5"}]}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: d}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: "registry.invalid/none:1"}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: d}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: d}
roleRef: {kind: Role, name: d, apiGroup: rbac.authorization.k8s.io}
subjects: [{kind: ServiceAccount, name: d}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: {{ .Release.Namespace }}}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {rbac.authorization.k8s.io/aggregate-to-view: "true"}}]}
rules: []
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: d}
spec:
  rules:
    - host: d.invalid
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: d, port: {number: 80}}}}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: d}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: {{ .Release.Namespace }}}
webhooks:
  - name: d.example.com
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Ignore
    namespaceSelector: {matchLabels: {never: "true"}}
    clientConfig: {service: {name: d, namespace: default, path: /v}, caBundle: ""}
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [podtemplates]}]
---
apiVersion: v1
kind: LimitRange
metadata: {name: d}
spec: {limits: [{type: Container, default: {cpu: 1000m}, max: {memory: 1024Mi}}]}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: d}
spec: {hard: {requests.cpu: 4000m, pods: 10}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.{{ .Release.Namespace }}.example.com}
spec:
  group: {{ .Release.Namespace }}.example.com
  names: {kind: Gadget, plural: gadgets}
  scope: Namespaced
  preserveUnknownFields: false
  versions:
    - name: v1
      served: true
      storage: true
      additionalPrinterColumns: [{name: A, type: string, jsonPath: .spec.a, priority: 0}]
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              x-kubernetes-preserve-unknown-fields: true
              properties:
                a: {type: integer, nullable: false, default: 0, minimum: 0}
                b: {type: string, default: x}
      subresources: {status: {}}
status: {acceptedNames: {kind: "", plural: ""}, conditions: [], storedVersions: []}
---
apiVersion: {{ .Release.Namespace }}.example.com/v1
kind: Widget
metadata: {name: d}
spec: {parts: [{name: one, size: 1}], duration: 60m, tags: [a]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: second}
data: {a: b}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: hook, annotations: {helm.sh/hook: pre-install, helm.sh/hook-delete-policy: hook-succeeded}}
"""

# A custom resource whose list is merged by key, which only its definition says.
WIDGETS = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "duration": {"type": "string"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string"},
                            "size": {"type": "integer"},
                            "color": {"type": "string", "default": "red"},
                        },
                    },
                },
            },
        }
    },
}


class Spy(Kube):
    """A connection that notes its requests."""

    log: list[tuple[str, str]]

    def send(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        self.log.append((method, path))
        return super().send(method, path, *args, **kwargs)

    @property
    def dry_runs(self) -> list[str]:
        return sorted(path.split("/")[-2] for method, path in self.log if method == "PATCH")


def spy(params: dict[str, Any]) -> Spy:
    kube = Spy.connect(params)
    assert isinstance(kube, Spy)
    kube.log = []
    return kube


@pytest.fixture(scope="module", params=["ORION_HELM", "ORION_HELM3"], ids=["helm4", "helm3"])
def helm(request: pytest.FixtureRequest, state: Path) -> Callable[..., str]:
    path = os.environ.get(request.param, "")
    if not os.access(path, os.X_OK):
        pytest.fail(f"{request.param} does not name a helm binary (`python -m airgap path` prints where it is)")

    def run(*arguments: str) -> str:
        argv = [path, *arguments, "--kubeconfig", str(state / "kubeconfig")]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def namespace(kube: Kube, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"drift-{request.node.callspec.id}-{request.node.originalname.split('_')[1]}"
    paths = [
        f"/api/v1/namespaces/{name}",
        f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}",
        f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}",
        f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{name}",
        *(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind}.{name}.example.com" for kind in DEFINED),
    ]
    delete(kube, paths)  # a run before this one may have been interrupted
    for _attempt in range(60):
        if all(kube.get(path) is None for path in paths):
            break
        time.sleep(1)
    kube.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
    yield name
    delete(kube, paths)


def delete(kube: Kube, paths: list[str]) -> None:
    for path in paths:
        kube.send("DELETE", path)


@pytest.fixture
def install(helm: Callable[..., str], namespace: str, kube: Kube, tmp_path: Path) -> Callable[[str], None]:
    """Install (or upgrade) a release named d of these templates."""

    def run(templates: str) -> None:
        (tmp_path / "templates").mkdir(exist_ok=True)
        (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: d\nversion: 0.1.0\n")
        (tmp_path / "templates" / "all.yaml").write_text(templates)
        helm("upgrade", "--install", "d", str(tmp_path), "--namespace", namespace)

    return run


@pytest.fixture
def survey(kube: Kube, state: Path, namespace: str) -> Callable[..., tuple[DriftReport, Spy]]:
    """Compare the release as it is stored."""

    def run(connection: Spy | None = None) -> tuple[DriftReport, Spy]:
        secrets = kube.list(f"/api/v1/namespaces/{namespace}/secrets", "owner=helm,name=d,status=deployed")
        document = release.of_document(release.decode(secrets[0]["data"]["release"]))
        objects = render.parse_release(document.manifest, document.hooks)
        watched = connection or spy({"kubeconfig": str(state / "kubeconfig")})
        return drift.survey(watched, namespace, objects, Mask()), watched

    return run


@pytest.fixture
def edit(kube: Kube, namespace: str) -> Callable[..., None]:
    """Change an object as somebody does by hand."""

    def run(path: str, change: Any, kind: str = MERGE) -> None:
        path = path if path.startswith("/apis/apiext") else path.replace("/NS/", f"/namespaces/{namespace}/")
        kube.request("PATCH", path, {"fieldManager": BY_HAND}, change, content_type=kind)

    return run


def define_widgets(kube: Kube, group: str) -> None:
    names = {"kind": "Widget", "listKind": "WidgetList", "plural": "widgets", "singular": "widget"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": WIDGETS}}
    kube.request(
        "POST",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        body={
            "metadata": {"name": f"widgets.{group}"},
            "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
        },
    )
    for _attempt in range(60):
        if kube.get(f"/apis/{group}/v1") is not None:
            return
        time.sleep(0.5)
    pytest.fail(f"the API server does not serve {group}")


def paths(report: DriftReport) -> dict[str, set[str]]:
    return {item.key.kind: {entry["path"] for entry in item.fields} for item in report.drifted}


def test_fresh(install, survey, kube: Kube, namespace: str) -> None:
    """What the API server makes of a manifest is no drift, not even a suspicion, and each kind costs one request."""
    define_widgets(kube, f"{namespace}.example.com")
    install(OBJECTS)
    report, watched = survey()
    assert report == DriftReport()
    assert watched.dry_runs == []
    assert watched.calls == 2 + KINDS  # the ConfigMaps are two, and the hook is none


def test_edited(install, survey, edit, kube: Kube, namespace: str) -> None:
    """Every change by hand is found with its writer, nothing else is, and no secret is shown."""
    group = f"{namespace}.example.com"
    define_widgets(kube, group)
    install(OBJECTS)
    kube.request("DELETE", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/d")
    edit("/api/v1/NS/configmaps/d", {"data": {"message": "bye", "own": "1", "empty": None}})
    edit("/api/v1/NS/configmaps/d", {"metadata": {"annotations": {"example.com/a": None, "example.com/b": "2"}}})
    edit("/api/v1/NS/secrets/d", {"stringData": {"password": "edited-password", "own": "own-password"}})
    edit("/api/v1/NS/serviceaccounts/d", {"automountServiceAccountToken": None})
    edit("/api/v1/NS/services/d", {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}, STRATEGIC)
    edit(
        "/apis/networking.k8s.io/v1/NS/networkpolicies/d",
        {"spec": {"ingress": [{}], "egress": [{"ports": [{"port": 53, "protocol": "TCP", "endPort": 60}]}]}},
    )
    edit(
        "/apis/apps/v1/NS/deployments/d",
        {
            "metadata": {"annotations": {"note": "own"}},
            "spec": {
                "replicas": 2,
                "template": {
                    "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-23T00:00:00Z"}},
                    "spec": {
                        "automountServiceAccountToken": None,
                        "hostNetwork": True,
                        "tolerations": [{"key": "y", "operator": "Exists"}],
                        "containers": [
                            {
                                "name": "main",
                                "image": "registry.invalid/other:2",
                                "args": ["a", "c"],
                                "env": [{"name": "A", "value": "2"}, {"name": "OWN", "value": "3"}],
                                "ports": [{"containerPort": 8080, "name": "web"}],
                                "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "200m"}},
                            },
                            {"name": "own", "image": "registry.invalid/own:1"},
                        ],
                    },
                },
            },
        },
        STRATEGIC,
    )
    edit(
        f"/apis/{group}/v1/NS/widgets/d",
        {"spec": {"parts": [{"name": "one", "size": 2}, {"name": "own", "size": 9}], "tags": ["a", "b"]}},
    )
    new = [{"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/x", "value": {"type": "string"}}]
    edit(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gadgets.{group}", new, JSON)

    report, watched = survey()
    pod = "spec.template.spec."
    expected = {
        "Role": set(),
        "ConfigMap": {"data.message", "data.empty", 'metadata.annotations["example.com/a"]'},
        "Secret": {"data.password"},
        "ServiceAccount": {"automountServiceAccountToken"},
        "Service": {"spec.ports[port=80,protocol=TCP].targetPort"},
        "NetworkPolicy": {"spec.ingress", "spec.egress[0].ports[0].endPort"},
        "Deployment": {
            "spec.replicas",
            f"{pod}automountServiceAccountToken",
            f"{pod}hostNetwork",
            f"{pod}tolerations[0].key",
            f"{pod}tolerations[0].effect",
            *(
                f"{pod}containers[name=main].{name}"
                for name in (
                    "image",
                    "args[1]",
                    "env[name=A].value",
                    "ports[containerPort=8080,protocol=TCP].name",
                    "resources.requests.cpu",
                )
            ),
        },
        "Widget": {"spec.parts[name=one].size", "spec.tags"},
        "CustomResourceDefinition": {"spec.versions[0].schema.openAPIV3Schema.properties.x"},
    }
    found = paths(report)
    assert found["Deployment"] ^ expected["Deployment"] == set()
    assert found == expected
    assert {item.key.kind: item.action for item in report.drifted}.pop("Role") == drift.MISSING
    assert all(item.confirmed for item in report.drifted)
    assert report.unreadable == []
    assert len(watched.dry_runs) == len(expected) - 1
    removed = {f"{pod}automountServiceAccountToken", "automountServiceAccountToken", "data.empty"}
    removed.add('metadata.annotations["example.com/a"]')
    for item in report.drifted:
        for entry in item.fields:
            assert entry["manager"] == ("" if entry["path"] in removed else BY_HAND), entry
            assert bool(entry["time"]) == (entry["path"] not in removed), entry

    shown = json.dumps([item.summary() for item in report.drifted]) + json.dumps(
        drift.diff_entries(report.drifted, Mask())
    )
    for secret in ("first-password", "edited-password"):
        assert secret not in shown
        assert base64.b64encode(secret.encode()).decode() not in shown


def test_repaired(install, survey, edit, helm, kube: Kube, namespace: str) -> None:
    """Helm's own rollback takes back what counts as drift. Helm 3 never looks at live custom resources."""
    group = f"{namespace}.example.com"
    define_widgets(kube, group)
    install(OBJECTS)
    kube.request("DELETE", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/d")
    edit("/api/v1/NS/configmaps/d", {"data": {"message": "bye", "own": "1", "empty": None}})
    edit("/api/v1/NS/secrets/d", {"stringData": {"password": "edited-password"}})
    edit("/api/v1/NS/services/d", {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}, STRATEGIC)
    edit(
        "/apis/networking.k8s.io/v1/NS/networkpolicies/d",
        {"spec": {"egress": [{"ports": [{"port": 53, "protocol": "TCP", "endPort": 60}]}]}},
    )
    edit("/apis/apps/v1/NS/deployments/d", {"spec": {"template": {"spec": {"automountServiceAccountToken": None}}}})
    edit(f"/apis/{group}/v1/NS/widgets/d", {"spec": {"tags": ["b"]}})
    assert len(survey()[0].drifted) == 7
    major = helm("version", "--template", "{{.Version}}").strip().partition(".")[0]
    helm("rollback", "d", "1", "--namespace", namespace, *(["--force-conflicts"] if major == "v4" else []))
    left = survey()[0]
    assert paths(left) == ({} if major == "v4" else {"Widget": {"spec.tags[0]"}})
    for item in left.drifted:
        assert drift.left_by_helm(item)
        drift.put_back(kube, item)
    assert survey()[0] == DriftReport()
    assert kube.get(f"/api/v1/namespaces/{namespace}/configmaps/d")["data"]["own"] == "1"


def test_scaled(install, survey, kube: Kube, namespace: str) -> None:
    """The replicas that an autoscaler set are its own; those that somebody set by hand are not."""
    deployment = """
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %s}
spec:
  replicas: 1
  selector: {matchLabels: {app: %s}}
  template:
    metadata: {labels: {app: %s}}
    spec: {containers: [{name: main, image: "registry.invalid/none:1", resources: {requests: {cpu: 1m}}}]}
"""
    install(deployment % (("auto",) * 3) + deployment % (("hand",) * 3))
    base = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    kube.request(
        "POST",
        f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers",
        body={
            "metadata": {"name": "auto"},
            "spec": {
                "minReplicas": 2,
                "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "auto"},
            },
        },
    )
    kube.request(
        "PATCH", f"{base}/hand/scale", {"fieldManager": "kubectl"}, {"spec": {"replicas": 3}}, content_type=MERGE
    )
    for _attempt in range(120):
        if kube.get(f"{base}/auto")["spec"]["replicas"] == 2:
            break
        time.sleep(0.5)
    else:
        pytest.fail("the autoscaler did not scale")
    report, watched = survey()
    assert [(item.key.name, [entry["path"] for entry in item.fields]) for item in report.drifted] == [
        ("hand", ["spec.replicas"])
    ]
    entry = report.drifted[0].fields[0]
    assert (entry["wanted"], entry["live"], entry["manager"]) == (1, 3, "kubectl")
    assert watched.calls == 1 + 1 + 1  # discovery of /apis, one list of Deployments, one dry run


def test_rights(install, survey, edit, kube: Kube, namespace: str, tmp_path: Path) -> None:
    """What may not be read is told apart from drift; without the right to patch, differences stay unconfirmed."""
    install(OBJECTS.partition("---\napiVersion: v1\nkind: ServiceAccount")[0])
    edit("/api/v1/NS/configmaps/d", {"data": {"message": "bye"}})
    edit("/api/v1/NS/secrets/d", {"stringData": {"password": "edited-password"}})
    base = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    kube.request("POST", base, body={"metadata": {"name": "reader"}})
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": [""], "resources": ["configmaps", "services"], "verbs": ["get", "list"]}
    kube.request("POST", f"{rbac}/roles", body={"metadata": {"name": "reader"}, "rules": [rule]})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    kube.request(
        "POST",
        f"{rbac}/rolebindings",
        body={"metadata": {"name": "reader"}, "roleRef": reference, "subjects": [subject]},
    )
    token = kube.request("POST", f"{base}/reader/token", body={"spec": {}})["status"]["token"]
    authority = kube.get(f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt")["data"]["ca.crt"]
    (tmp_path / "ca.crt").write_text(authority)
    reader = spy({"host": kube.host, "api_key": token, "ca_cert": str(tmp_path / "ca.crt")})

    report, watched = survey(reader)
    assert [(item.key.kind, item.confirmed) for item in report.drifted] == [("ConfigMap", False)]
    assert [item["path"] for item in report.drifted[0].fields] == ["data.message"]
    assert [(item.kind, item.namespace) for item in report.unreadable] == [("Secret", namespace)]
    assert "cannot get resource" in str(report.unreadable[0])
    assert watched.dry_runs == ["configmaps"]


def test_gone(install, survey, kube: Kube, namespace: str) -> None:
    """Objects of a kind that is no longer served are missing; a Job that ran out of its time to live is not."""
    group = f"{namespace}.example.com"
    define_widgets(kube, group)
    job = """
---
apiVersion: batch/v1
kind: Job
metadata: {name: d}
spec:
  suspend: true
  ttlSecondsAfterFinished: 1
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: "registry.invalid/none:1"}]}}
"""
    install("apiVersion: {{ .Release.Namespace }}.example.com/v1\nkind: Widget\nmetadata: {name: d}\n" + job)
    kube.request("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}")
    kube.request("DELETE", f"/apis/batch/v1/namespaces/{namespace}/jobs/d", {"propagationPolicy": "Background"})
    for _attempt in range(60):
        try:
            kube.request("GET", f"/apis/{group}/v1")
        except NotFound:
            break
        time.sleep(0.5)
    report = survey()[0]
    assert [(item.key.kind, item.action) for item in report.drifted] == [("Widget", drift.MISSING)]


def test_the_backends_have_not_drifted(kube: Kube) -> None:
    """The release that the test cluster is created with. Those of site.yml are read in Molecule's `site`."""
    answer = gather(kube, Query(drift=True))
    found = [entry["drift"] for entry in answer.releases if entry["namespace"] == "local-backends"]
    assert found == [[]]
