# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""A ServiceAccount with the rights of rights.py: its objects, and the steps by which the cluster gets them.

Roles in the namespaces, one ClusterRole for what is needed in the whole cluster, and optionally a Secret for which
Kubernetes makes a token that does not expire. Objects are found again by labels, so that those of a namespace that the
inventory does not name any more are removed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, TimedOut
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.helm import documents
from ansible_collections.orion.tracing.plugins.module_utils.helm.ownership import (
    NAMESPACE_ANNOTATION,
    OWNER_ANNOTATION,
)
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import ApiResource
from ansible_collections.orion.tracing.plugins.module_utils.local.files import LocalFile, read_file, write_file
from ansible_collections.orion.tracing.plugins.module_utils.preflight.rights import RBAC, Right, rule

LABEL, LABEL_NAMESPACE = "orion.tracing/service-account", "orion.tracing/service-account-namespace"
REASONS = "orion.tracing/reasons"
LONGEST_NAME = 63  # of a label's value
FILE_MODE = 0o600
# How long Kubernetes may take to make the token.
TOKEN_SECONDS, TOKEN_INTERVAL = 30.0, 0.2
# In the order in which they are made; removed in the other one.
RESOURCES = {
    "Namespace": ApiResource("", "v1", "namespaces", False),
    "ServiceAccount": ApiResource("", "v1", "serviceaccounts", True),
    "Secret": ApiResource("", "v1", "secrets", True),
    "ClusterRole": ApiResource(RBAC, "v1", "clusterroles", False),
    "ClusterRoleBinding": ApiResource(RBAC, "v1", "clusterrolebindings", False),
    "Role": ApiResource(RBAC, "v1", "roles", True),
    "RoleBinding": ApiResource(RBAC, "v1", "rolebindings", True),
}
# What of an object is ours; of metadata, the labels and annotations that are wanted.
FIELDS = ("rules", "roleRef", "subjects", "type")
Document = dict[str, Any]
Key = tuple[str, str, str]  # kind, namespace, name


@dataclass(frozen=True)
class Account:
    """name and namespace of the ServiceAccount. token: whether it gets a Secret with a token."""

    name: str
    namespace: str
    token: bool = False

    def __post_init__(self) -> None:
        if len(self.name) > LONGEST_NAME:
            raise InvalidInput(
                f"the name {self.name} of the service account is too long",
                f"its objects are found by a label, which holds {LONGEST_NAME} characters",
                "Choose a shorter one.",
            )

    @property
    def labels(self) -> dict[str, str]:
        return {
            "app.kubernetes.io/managed-by": "orion.tracing",
            LABEL: self.name,
            LABEL_NAMESPACE: self.namespace,
        }

    @property
    def secret(self) -> str:
        return f"{self.name}-token"


@dataclass(frozen=True)
class AccountState:
    """What is there: objects with the account's labels and those of the same names; which namespaces exist; the file
    with the kubeconfig, None where there is none or none is asked for."""

    objects: Mapping[Key, Document] = field(default_factory=dict)
    namespaces: frozenset[str] = frozenset()
    file: LocalFile | None = None


def objects(account: Account, rights: Iterable[Right]) -> list[Document]:
    """The account's objects without namespaces, in the order in which they are made."""
    found = [_object(account, "ServiceAccount", account.name, account.namespace)]
    if account.token:
        # Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#create-token
        secret = _object(account, "Secret", account.secret, account.namespace)
        secret["metadata"]["annotations"] = {"kubernetes.io/service-account.name": account.name}
        found.append({**secret, "type": "kubernetes.io/service-account-token"})
    places: dict[str, list[Right]] = {}
    for one in rights:
        places.setdefault(one.namespace, []).append(one)
    for namespace, inside in sorted(places.items()):
        kind = "Role" if namespace else "ClusterRole"
        name = account.name if namespace else f"{account.namespace}-{account.name}"
        role = _object(account, kind, name, namespace)
        role["metadata"]["annotations"] = {REASONS: _reasons(inside)}
        binding = _object(account, f"{kind}Binding", name, namespace)
        binding["roleRef"] = {"apiGroup": RBAC, "kind": kind, "name": name}
        binding["subjects"] = [{"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}]
        found += [{**role, "rules": _rules(inside)}, binding]
    return sorted(found, key=lambda one: list(RESOURCES).index(one["kind"]))


def _object(account: Account, kind: str, name: str, namespace: str = "") -> Document:
    inside = {"namespace": namespace} if namespace else {}
    metadata = {"name": name, **inside, "labels": account.labels}
    return {"apiVersion": RESOURCES[kind].api_version, "kind": kind, "metadata": metadata}


def _rules(rights: Iterable[Right]) -> list[dict[str, list[str]]]:
    """One rule for the resources of a group with the same verbs and names."""
    groups: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[Right]] = {}
    for one in rights:
        groups.setdefault((one.group, one.verbs, one.names), []).append(one)
    return [rule(found) for found in groups.values()]


def _reasons(rights: Iterable[Right]) -> str:
    lines: dict[str, list[str]] = {}
    for one in rights:
        lines.setdefault(f"({', '.join(one.verbs)}): {one.reason}", []).append(one.full_resource)
    return "".join(f"{', '.join(resources)} {text}\n" for text, resources in lines.items())


def namespace_document(name: str, release: str, release_namespace: str) -> Document:
    """A namespace that the playbooks would create. release: the one that it is an object of, "" for none; Helm takes
    over what has its marks."""
    metadata: Document = {"name": name}
    if release:
        metadata["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
        metadata["annotations"] = {OWNER_ANNOTATION: release, NAMESPACE_ANNOTATION: release_namespace}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def read(kube: Kube, account: Account, namespaces: Iterable[str], path: str | None = None) -> AccountState:
    """Six lists by label, and a request for each namespace that may have to be created. TracingError where that is
    refused, or the file cannot be read."""
    selector = f"{LABEL}={account.name},{LABEL_NAMESPACE}={account.namespace}"

    def listed(kind: str) -> list[tuple[Key, Document]]:
        # Roles are those of all namespaces.
        items = kube.list(replace(RESOURCES[kind], namespaced=False).url(""), selector)
        return [((kind, one["metadata"].get("namespace", ""), one["metadata"]["name"]), one) for one in items]

    kinds = [kind for kind in RESOURCES if kind != "Namespace"]
    names = list(namespaces)
    found = [pair for pairs in in_threads(listed, kinds) for pair in pairs]
    there = in_threads(lambda name: kube.get(f"/api/v1/namespaces/{quote(name)}"), names)
    existing = frozenset(name for name, document in zip(names, there, strict=True) if document is not None)
    return AccountState(dict(found), existing, read_file(Path(path), "path") if path else None)


def make_plan(
    account: Account,
    wanted: Iterable[Document],
    namespaces: Iterable[Document],
    current: AccountState,
    path: str | None = None,
    content: bytes | None = None,
) -> Plan:
    """The steps to the wanted objects; without any, those that remove the account. Namespaces are never removed.

    namespaces: those that are created where they do not exist. content: of the file path, None where it is not known
    before the token is there.
    """
    plan = Plan()
    for document in namespaces:
        if document["metadata"]["name"] not in current.namespaces:
            _add(plan, document, None)
    keys = set()
    for document in wanted:
        keys.add(key_of(document))
        before = current.objects.get(key_of(document))
        if before is None or _ours(before, document) != document:
            _add(plan, document, before)
    kinds = list(RESOURCES)
    surplus = sorted(current.objects.keys() - keys, key=lambda key: (-kinds.index(key[0]), *key))
    for key in surplus:
        plan.steps.append(Step(f"delete {_named(key)}", "delete", key))
        plan.diff.append(diff_entry(_named(key), f"kind: {key[0]}\n", ""))
    if path and (content is None or current.file != LocalFile(content, FILE_MODE)):
        plan.steps.append(Step(f"write {path}", "file", path))
        plan.diff.append(diff_entry(path, "another content\n" if current.file else "", "a kubeconfig\n"))
    plan.result["service_account"] = f"{account.namespace}/{account.name}"
    return plan


def _add(plan: Plan, document: Document, before: Mapping[str, Any] | None) -> None:
    named = _named(key_of(document))
    plan.steps.append(Step(f"{'create' if before is None else 'update'} {named}", "apply", document))
    shown = "" if before is None else documents.dump(_ours(before, document))
    plan.diff.append(diff_entry(named, shown, documents.dump(document)))


def _ours(live: Mapping[str, Any], wanted: Document) -> Document:
    """Of a live object, what the wanted one could state."""
    metadata = live["metadata"]
    found: Document = {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"], "metadata": {}}
    for name, value in wanted["metadata"].items():
        there = metadata.get(name)
        found["metadata"][name] = (
            {key: text for key, text in (there or {}).items() if key in value} if isinstance(value, dict) else there
        )
    for name in FIELDS:
        if name in wanted:
            found[name] = live.get(name)
    return found


def key_of(document: Mapping[str, Any]) -> Key:
    metadata = document["metadata"]
    return (document["kind"], metadata.get("namespace", ""), metadata["name"])


def _named(key: Key) -> str:
    kind, namespace, name = key
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def apply(kube: Kube, account: Account, plan: Plan) -> None:
    """Do the steps."""

    def execute(step: Step) -> None:
        if step.action == "apply":
            kind, namespace, name = key_of(step.data)
            kube.apply(RESOURCES[kind].url(namespace, name), step.data)
        elif step.action == "delete":
            kind, namespace, name = step.data
            kube.request("DELETE", RESOURCES[kind].url(namespace, name))
        else:
            write_file(Path(step.data), kubeconfig(kube, account, token(kube, account)), FILE_MODE, "path")

    run_steps(plan.steps, execute)


def token(kube: Kube, account: Account, seconds: float = TOKEN_SECONDS) -> Mapping[str, str]:
    """The data of the token's Secret, values in base64. TimedOut where Kubernetes does not fill it."""
    deadline = Deadline(Clock(), seconds)
    while True:
        secret = kube.get(RESOURCES["Secret"].url(account.namespace, account.secret)) or {}
        data: Mapping[str, str] = secret.get("data") or {}
        if data.get("token"):
            return data
        if not deadline.wait(TOKEN_INTERVAL):
            raise TimedOut(
                f"Secret {account.namespace}/{account.secret} has no token after {seconds:.0f} s",
                "Kubernetes' token controller fills it",
                "Look at the Secret's events, and at the log of kube-controller-manager.",
            )


def kubeconfig(kube: Kube, account: Account, data: Mapping[str, str]) -> bytes:
    """A kubeconfig with the account's token. data: of the token's Secret."""
    name = f"{account.namespace}-{account.name}"
    cluster = {"server": kube.host}
    if data.get("ca.crt"):
        cluster["certificate-authority-data"] = data["ca.crt"]
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": base64.b64decode(data["token"]).decode()}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": account.namespace}}],
        "current-context": name,
    }
    return (json.dumps(content, indent=2) + "\n").encode()
