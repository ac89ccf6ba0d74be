# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Secrets that are generated once and kept in the cluster, and passwords in them."""

from __future__ import annotations

import base64
import contextlib
import secrets
import string
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

# Characters that neither a URL nor a connection string needs to escape; 32 of them have 190 bits.
ALPHABET, LENGTH = string.ascii_letters + string.digits, 32


def make_plan(
    present: Mapping[str, str] | None, namespace: str, name: str, keys: Iterable[str], labels: Mapping[str, str] | None
) -> Plan:
    """The steps by which the Secret gets the keys that it lacks. Nothing in the plan is secret.

    present: the Secret's data, None without a Secret. labels: of the namespace to be created, None where it exists.
    """
    keys, before = sorted(set(keys)), sorted(present or {})
    missing = [key for key in keys if not (present or {}).get(key)]
    plan = Plan(result={"secret": f"{namespace}/{name}"})
    if labels is not None:
        plan.steps.append(Step(f"create namespace {namespace}", "namespace", labels))
        lines = "".join(f"  {label}: {value}\n" for label, value in sorted(labels.items()))
        plan.diff.append(diff_entry(f"Namespace {namespace}", "", f"labels:\n{lines}"))
    if missing:
        plan.steps.append(Step(f"generate {', '.join(missing)} of Secret {namespace}/{name}", "secret", missing))
        texts = ["".join(f"{key}\n" for key in there) for there in (before, sorted({*before, *missing}))]
        plan.diff.append(diff_entry(f"Secret {namespace}/{name}, keys", *texts))
    return plan


def read(kube: Kube, namespace: str, name: str) -> tuple[dict[str, str] | None, bool]:
    """The Secret's data as the API has it, None without a Secret, and whether the namespace exists."""
    secret = kube.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    if secret is not None:
        return secret.get("data") or {}, True
    return None, kube.get(f"/api/v1/namespaces/{namespace}") is not None


def apply(kube: Kube, plan: Plan, present: Mapping[str, str] | None, namespace: str, name: str) -> list[str]:
    """Do the steps. Returns the passwords that were generated."""
    made: dict[str, str] = {}

    def execute(step: Step) -> None:
        if step.action == "namespace":
            create_namespace(kube, namespace, step.data)
            return
        made.update({key: "".join(secrets.choice(ALPHABET) for _character in range(LENGTH)) for key in step.data})
        data = {**(present or {}), **{key: base64.b64encode(value.encode()).decode() for key, value in made.items()}}
        kube.apply(f"/api/v1/namespaces/{namespace}/secrets/{name}", secret_document(name, namespace, data))

    run_steps(plan.steps, execute)
    return list(made.values())


def create_namespace(kube: Kube, name: str, labels: Mapping[str, str]) -> None:
    """Create a namespace, unless somebody else has created it in the meantime."""
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}
    with contextlib.suppress(Conflict):
        kube.request("POST", "/api/v1/namespaces", body=document)


def secret_document(name: str, namespace: str, data: Mapping[str, str]) -> dict[str, Any]:
    """The Secret as it is applied. data: values in base64."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "orion.tracing"},
        },
        "type": "Opaque",
        "data": dict(data),
    }
