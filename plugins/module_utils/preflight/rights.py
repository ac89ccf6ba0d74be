# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Which rights in the cluster the playbooks need for an inventory: the one place that lists them. Pure.

site.yml, verify.yml, uninstall.yml and what reads the platform's state need them; local.yml and local_down.yml, which
work on a cluster of their own, are not meant. Preflight asks for these rights (reviews.py), the module service_account
grants them (account.py), and docs/rbac.md has them as a table.

Nobody may grant a right that he does not hold, unless he has the verb escalate or bind, with which he could grant
himself everything. So what the platform's own Roles contain is among the rights.
Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.collector.workloads import autoscaled
from ansible_collections.orion.tracing.plugins.module_utils.grafana.content import PROMETHEUS_RULE
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.cluster import OWNED, RESOURCES, Modes
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.modes import (
    OPERATOR,
    POLICY,
    of_variables,
    resolved,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.operator import GROUP as INSTRUMENTATIONS
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.policies import policy_name
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.workloads import PRESENT, entries
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, error, warning
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import boolean, usable
from ansible_collections.orion.tracing.plugins.module_utils.platform.admission import GROUP as ADMISSION
from ansible_collections.orion.tracing.plugins.module_utils.platform.record import APPLIED
from ansible_collections.orion.tracing.plugins.module_utils.preflight.grafana import SIDECAR
from ansible_collections.orion.tracing.plugins.module_utils.preflight.kafka import SERVICE as KAFKA_SERVICE
from ansible_collections.orion.tracing.plugins.module_utils.store.url import SERVICE

APPS, BATCH, CORE, POLICIES = "apps", "batch", "", "policy"
MONITORING = "monitoring.coreos.com"
NETWORKING = "networking.k8s.io"
RBAC = "rbac.authorization.k8s.io"
DISCOVERY = "discovery.k8s.io"
READ = ("get", "list", "watch")
# Helm reads an object before it changes it, and follows the kinds of a release (list, watch) while it waits.
HELM = ("get", "list", "watch", "create", "patch", "delete")
# The verb on services/proxy for an HTTP method.
# Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
METHODS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
VARIABLE = "tracing_kubeconfig"

Variables = Mapping[str, Any]


@dataclass(frozen=True)
class Right:
    """Verbs on a resource ("deployments", "services/proxy") of an API group; namespace "" is the whole cluster.

    reason: what they are for, a clause. names: the only objects that they are needed for, () for all. needed: whether
    the playbooks fail without them, or only tell less.
    """

    verbs: tuple[str, ...]
    group: str
    resource: str
    namespace: str
    reason: str
    names: tuple[str, ...] = ()
    needed: bool = True

    @property
    def full_resource(self) -> str:
        """As kubectl names it: deployments.apps."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def where(self) -> str:
        return f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"

    def singles(self) -> Iterator[Right]:
        """The same, one verb and at most one name at a time: what one review can ask for."""
        for verb in self.verbs:
            for name in self.names or ("",):
                yield replace(self, verbs=(verb,), names=(name,) if name else ())


def required(v: Variables, modes: Modes | None = None, absent: Iterable[str] = ()) -> list[Right]:
    """The rights for an inventory; none twice.

    v: variables of the roles, as lookup('orion.tracing.role_variables') has them; what belongs to a variable that is
    not there is left out. modes: what can instrument pods in the cluster; None leaves instrumentation out. absent:
    namespaces that do not exist yet and that the playbooks would create.
    """
    if not _text(v, "tracing_namespace"):
        return []
    found = [
        *_platform(v),
        *_cluster_wide(v, absent),
        *_proof(v),
        *_kafka(v),
        *(_instrumentation(v, modes) if modes is not None else ()),
        *_grafana(v),
        *_node_agent(v),
    ]
    return _merged(found)


def namespaces(v: Variables) -> dict[str, str]:
    """The namespaces that the playbooks create where they do not exist, the platform's own first: name → the release in
    tracing_namespace that the namespace is an object of, "" for none."""
    found = {_text(v, "tracing_namespace"): "", _grafana_namespace(v): "", _agent_namespace(v): "otel-collector"}
    return {name: release for name, release in found.items() if name}


def _platform(v: Variables) -> Iterator[Right]:
    namespace = _text(v, "tracing_namespace")
    yield Right(("get", "patch"), CORE, "namespaces", namespace, "its label for Pod Security")
    yield from _records(namespace)
    yield Right(("patch",), CORE, "secrets", namespace, "the record of what was applied", (APPLIED,))
    objects = "the objects of the platform's releases"
    for group, resource in (
        (CORE, "configmaps"),
        (CORE, "services"),
        (CORE, "serviceaccounts"),
        (APPS, "deployments"),
        (APPS, "statefulsets"),
        (POLICIES, "poddisruptionbudgets"),
        (NETWORKING, "networkpolicies"),
        (RBAC, "roles"),
        (RBAC, "rolebindings"),
    ):
        yield Right(HELM, group, resource, namespace, objects)
    if autoscaled(v):
        yield Right(HELM, "autoscaling", "horizontalpodautoscalers", namespace, "the number of gateways")
    if _flag(v, "verify_probe_enabled"):
        yield Right(HELM, BATCH, "cronjobs", namespace, "the release trace-probe")
    yield Right(
        READ, DISCOVERY, "endpointslices", namespace, "the gateways' Role contains it, for the samplers' addresses"
    )
    yield from _diagnosis(namespace)
    yield Right(("patch",), CORE, "pods", namespace, "scale_samplers.yml empties samplers that are to go", needed=False)


def _records(namespace: str) -> Iterator[Right]:
    verbs = ("get", "list", "create", "update", "delete")
    yield Right(verbs, CORE, "secrets", namespace, "Helm's records of releases, and Secrets that variables name")


def _diagnosis(namespace: str) -> Iterator[Right]:
    yield Right(("list",), CORE, "events", namespace, "why pods do not become ready", needed=False)
    yield Right(("get",), CORE, "pods/log", namespace, "why pods do not become ready", needed=False)


def _cluster_wide(v: Variables, absent: Iterable[str]) -> Iterator[Right]:
    role = f"{_text(v, 'tracing_namespace')}-otel-collector"
    granted = "the gateways' ClusterRole contains it, for the processor k8s_attributes"
    for group, resource in ((CORE, "pods"), (CORE, "namespaces"), (APPS, "replicasets")):
        yield Right(READ, group, resource, "", granted)
    reason = f"the gateways' ClusterRole {role} and its binding"
    for resource in ("clusterroles", "clusterrolebindings"):
        # RBAC cannot limit create, list and watch to a name: the name is not part of these requests.
        yield Right(("list", "watch", "create"), RBAC, resource, "", reason)
        yield Right(("get", "patch", "delete"), RBAC, resource, "", reason, (role,))
    yield Right(
        ("list",), "storage.k8s.io", "storageclasses", "", "whether the StorageClasses of variables exist", needed=False
    )
    if _flag(v, "collector_priority_class_create"):
        yield Right(HELM, "scheduling.k8s.io", "priorityclasses", "", "collector_priority_class_create")
    if missing := sorted(set(absent)):
        be = "does" if len(missing) == 1 else "do"
        reason = f"namespace {' and '.join(missing)} {be} not exist, and site.yml creates what it installs into"
        yield Right(("create",), CORE, "namespaces", "", reason)
        yield Right(("patch",), CORE, "namespaces", "", reason, tuple(missing))


def _proof(v: Variables) -> Iterator[Right]:
    namespace = _text(v, "tracing_namespace")
    yield Right(("get", "create"), CORE, "pods/proxy", namespace, "the proof sends spans and reads metrics of each pod")
    if _text(v, "tracing_store_reader") != "none":
        store = _text(v, "tracing_store_namespace") or namespace
        yield Right(("get",), CORE, "services/proxy", store, "the proof reads traces back from the store")
    for variable in ("verify_prometheus_url", "verify_logs_url"):
        url = usable(None, urlsplit, _text(v, variable))
        match = SERVICE.fullmatch(url.hostname or "") if url else None
        if match:
            yield Right(("get",), CORE, "services/proxy", match[2], f"the proof's report asks {variable}", needed=False)
    for item in v.get("verify_applications") or []:
        if isinstance(item, Mapping) and isinstance(item.get("namespace"), str):
            verb = METHODS.get(str(item.get("method") or "GET").upper())
            if verb:
                yield Right((verb,), CORE, "services/proxy", item["namespace"], "requests of verify_applications")


def _kafka(v: Variables) -> Iterator[Right]:
    host = _text(v, "tempo_kafka_address").rpartition(":")[0]
    if _text(v, "tempo_profile") != "kafka" or not (match := KAFKA_SERVICE.fullmatch(host)):
        return
    name, namespace = match["name"], match["namespace"]
    yield Right(("get",), CORE, "services", namespace, "whether Kafka's Service is there", (name,), needed=False)
    yield Right(("list",), DISCOVERY, "endpointslices", namespace, "whether Kafka's Service has pods", needed=False)


def _instrumentation(v: Variables, modes: Modes) -> Iterator[Right]:
    if not _flag(v, "instrumentation_enabled", True):
        return
    namespace = _text(v, "tracing_namespace")
    mode = resolved(of_variables(v), modes.serves)
    overview = "which workloads have pods without the agent that they ask for"
    for one in RESOURCES.values():
        yield Right(("list",), one.group, one.plural, "", overview)
    if modes.policy_version:
        reason = "the release instrumentation" if mode == POLICY else "whether policies instrument pods"
        languages = v.get("instrumentation_languages") or []
        names = tuple(policy_name(str(one)) for one in languages) if isinstance(languages, list) else ()
        for resource in ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"):
            if mode == POLICY:
                yield Right(("list", "watch", "create"), ADMISSION, resource, "", reason)
                if names:
                    yield Right(("get", "patch", "delete"), ADMISSION, resource, "", reason, names)
            else:
                yield Right(("list",), ADMISSION, resource, "", reason, needed=False)
    if modes.operator_version:
        yield Right(
            ("list",), INSTRUMENTATIONS, "instrumentations", "", "which of the operator's resources are there",
            needed=False,
        )  # fmt: skip
        yield Right(
            ("list",), ADMISSION, "mutatingwebhookconfigurations", "", "whether the operator's webhook answers",
            needed=False,
        )  # fmt: skip
    if mode == OPERATOR:
        yield Right(HELM, INSTRUMENTATIONS, "instrumentations", namespace, "the release instrumentation")
    listed, _wrong = entries(v.get("instrumentation_workloads") or [], "instrumentation_workloads")
    reason = "workloads of instrumentation_workloads"
    for entry in listed:
        if entry.kind in RESOURCES:
            one = RESOURCES[entry.kind]
            yield Right(("get", "patch"), one.group, one.plural, entry.namespace, reason, (entry.name,))
            yield Right(("list",), CORE, "events", entry.namespace, "why pods do not become ready", needed=False)
            if entry.state == PRESENT:
                # Who may change a pod template can start pods of it anyway.
                yield Right(
                    ("create",), CORE, "pods", entry.namespace,
                    "dry runs, whether new pods of instrumentation_workloads get the agent", needed=False,
                )  # fmt: skip
        elif entry.kind in OWNED:
            one = OWNED[entry.kind]
            yield Right(("get",), one.group, one.plural, entry.namespace, reason, (entry.name,))


def _grafana(v: Variables) -> Iterator[Right]:
    namespace = _grafana_namespace(v)
    if not namespace:
        return
    yield from _records(namespace)
    reason = "the release grafana-datasources"
    dashboards, alerts = _flag(v, "grafana_dashboards_enabled"), _flag(v, "grafana_alerts_enabled")
    rule = alerts and _text(v, "grafana_alerts_kind") == PROMETHEUS_RULE
    secret = _text(v, "grafana_provisioning_kind") == "Secret"
    if not secret or dashboards or (alerts and not rule):
        yield Right(HELM, CORE, "configmaps", namespace, reason)
    if secret:
        yield Right(("watch", "patch"), CORE, "secrets", namespace, reason)
    if rule:
        yield Right(HELM, MONITORING, "prometheusrules", namespace, reason)
    yield Right(
        ("list",), APPS, "deployments", namespace, "whether the Grafana there loads what is installed", needed=False
    )


def _node_agent(v: Variables) -> Iterator[Right]:
    namespace = _agent_namespace(v)
    if not namespace:
        return
    reason = "the node agents of the release otel-collector"
    yield Right(("get", "patch"), CORE, "namespaces", namespace, reason)
    for group, resource in ((CORE, "configmaps"), (APPS, "daemonsets"), (NETWORKING, "networkpolicies")):
        yield Right(HELM, group, resource, namespace, reason)


def _grafana_namespace(v: Variables) -> str:
    """ "" where the release grafana-datasources is not installed."""
    return _text(v, "grafana_namespace") if _text(v, "grafana_provisioning") == SIDECAR else ""


def _agent_namespace(v: Variables) -> str:
    return _text(v, "collector_node_agent_namespace") if _flag(v, "collector_node_agent_enabled") else ""


def _text(v: Variables, name: str) -> str:
    return "" if v.get(name) is None else str(v[name])


def _flag(v: Variables, name: str, default: bool = False) -> bool:
    return usable(False, boolean, v.get(name, default))


def _merged(found: Iterable[Right]) -> list[Right]:
    """Each right once: verbs that the whole cluster has are not asked for in a namespace; equal resources with the same
    verbs have one entry, with all reasons and names."""
    found = list(found)
    everywhere = {
        (one.group, one.resource, verb)
        for one in found
        if not one.namespace and not one.names and one.needed
        for verb in one.verbs
    }
    seen: dict[tuple[str, str, str, str, str], Right] = {}
    for one in found:
        for single in one.singles():
            verb, name = single.verbs[0], (single.names or ("",))[0]
            if one.namespace and (one.group, one.resource, verb) in everywhere:
                continue
            plain = (one.group, one.resource, one.namespace, verb, "")
            key = plain if plain in seen else (*plain[:-1], name)
            before = seen.get(key)
            if before is None:
                seen[key] = single
            elif single.reason not in before.reason.split("; ") or (single.needed and not before.needed):
                seen[key] = replace(
                    before, reason=_joined(before.reason, single.reason), needed=before.needed or single.needed
                )
    return together(seen.values())


def _joined(before: str, more: str) -> str:
    return before if more in before.split("; ") else f"{before}; {more}"


def together(singles: Iterable[Right]) -> list[Right]:
    """Single rights that differ only in the name, then only in the verb, as one."""
    by_name: dict[Right, list[str]] = {}
    for one in singles:
        by_name.setdefault(replace(one, names=()), []).extend(one.names)
    by_verb: dict[Right, list[str]] = {}
    for one, names in by_name.items():
        by_verb.setdefault(replace(one, verbs=(), names=tuple(dict.fromkeys(names))), []).extend(one.verbs)
    return [replace(one, verbs=tuple(dict.fromkeys(verbs))) for one, verbs in by_verb.items()]


# What is missing


def findings(missing: Iterable[Right], absent: Iterable[str] = ()) -> list[Finding]:
    """One finding for each reason and place: the verbs on the resources, what they are for, and how to grant them.

    missing: rights with those verbs and names alone that the credentials do not have. absent: as for required. Where
    these may not be created, that alone is told of them: nobody can have Roles in them yet.
    """
    missing, absent = list(missing), set(absent)
    if any(one.resource == "namespaces" and "create" in one.verbs for one in missing):
        missing = [one for one in missing if one.namespace not in absent]
    groups: dict[tuple[str, str, bool, tuple[str, ...], tuple[str, ...]], list[Right]] = {}
    for one in missing:
        groups.setdefault((one.namespace, one.reason, one.needed, one.verbs, one.names), []).append(one)
    found = []
    for (namespace, reason, needed, verbs, names), rights in groups.items():
        resources = ", ".join(dict.fromkeys(one.full_resource for one in rights))
        called = f" named {', '.join(names)}" if names else ""
        what = f"these credentials may not {', '.join(verbs)} {resources}{called} {rights[0].where}"
        make = error if needed else warning
        found.append(make(VARIABLE, what, _remedy(namespace, rights), reason))
    return found


def _remedy(namespace: str, rights: list[Right]) -> str:
    place = f"a Role in namespace {namespace}" if namespace else "a ClusterRole"
    return f"Run playbooks/rbac.yml as an administrator, or add to {place}: {_rule_text(rule(rights))}"


def rule(rights: list[Right]) -> dict[str, list[str]]:
    """The rule of a Role for rights with the same verbs and names."""
    found = {
        "apiGroups": list(dict.fromkeys(one.group for one in rights)),
        "resources": list(dict.fromkeys(one.resource for one in rights)),
    }
    if rights[0].names:
        found["resourceNames"] = list(rights[0].names)
    return {**found, "verbs": list(rights[0].verbs)}


def _rule_text(given: Mapping[str, list[str]]) -> str:
    """As YAML in one line."""
    lists = (f"{key}: [{', '.join(value or chr(34) * 2 for value in values)}]" for key, values in given.items())
    return f"{{{', '.join(lists)}}}"
