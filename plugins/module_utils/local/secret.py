# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Secrets that are generated once and kept in the cluster, and passwords in them."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.local.files import LocalFile, read_file, write_file

# Characters that neither a URL nor a connection string needs to escape; 32 of them have 190 bits.
ALPHABET, LENGTH = string.ascii_letters + string.digits, 32
FILE_MODE = 0o600


@dataclass(frozen=True)
class Copy:
    """A file that holds the passwords, too. there: what it is now, None where there is none."""

    path: Path
    there: LocalFile | None

    @classmethod
    def of(cls, path: str | None) -> Copy | None:
        """TracingError for a file that cannot be read."""
        return cls(Path(path), read_file(Path(path), "path")) if path else None


def make_plan(
    present: Mapping[str, str] | None,
    namespace: str,
    name: str,
    keys: Iterable[str],
    labels: Mapping[str, str] | None,
    copy: Copy | None = None,
) -> Plan:
    """The steps by which the Secret gets the keys that it lacks, and the file its content. Nothing in it is secret.

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
    if copy:
        plan.result["path"] = str(copy.path)
        if missing or copy.there != LocalFile(_content(present or {}), FILE_MODE):
            plan.steps.append(Step(f"write {copy.path}", "file", copy.path))
            text = "".join(f"{key}\n" for key in sorted({*before, *missing}))
            plan.diff.append(diff_entry(f"{copy.path}, keys", "another content\n" if copy.there else "", text))
    return plan


def _content(data: Mapping[str, str]) -> bytes:
    """data: values in base64."""
    values = {key: base64.b64decode(value).decode() for key, value in sorted(data.items())}
    return (json.dumps(values, indent=2) + "\n").encode()


def read(kube: Kube, namespace: str, name: str) -> tuple[dict[str, str] | None, bool]:
    """The Secret's data as the API has it, None without a Secret, and whether the namespace exists."""
    secret = kube.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    if secret is not None:
        return secret.get("data") or {}, True
    return None, kube.get(f"/api/v1/namespaces/{namespace}") is not None


def apply(kube: Kube, plan: Plan, present: Mapping[str, str] | None, namespace: str, name: str) -> list[str]:
    """Do the steps. Returns the passwords that were generated."""
    made: dict[str, str] = {}
    data = dict(present or {})

    def execute(step: Step) -> None:
        if step.action == "namespace":
            create_namespace(kube, namespace, step.data)
            return
        if step.action == "file":
            write_file(step.data, _content(data), FILE_MODE, "path")
            return
        made.update({key: "".join(secrets.choice(ALPHABET) for _character in range(LENGTH)) for key in step.data})
        data.update({key: base64.b64encode(value.encode()).decode() for key, value in made.items()})
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
