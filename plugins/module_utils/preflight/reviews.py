# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Which of the rights that the playbooks need the credentials have, asked from the API server.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import NotFound, PermissionDenied
from ansible_collections.orion.tracing.plugins.module_utils.common.threads import in_threads
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.preflight.rights import Right, together

API = "/apis/authorization.k8s.io/v1"
# Rules in a namespace that nobody can have Roles in, since it does not exist, are those of the whole cluster. The API
# wants a namespace, and a name of this length belongs to nobody.
NOWHERE = "orion-tracing-asks-for-rights-in-the-whole-cluster"
Rule = Mapping[str, Any]


def everything(kube: Kube) -> bool:
    """Whether the credentials may do everything: one request, after which nothing else has to be asked."""
    return allowed(kube, Right(("*",), "*", "*", "", ""))


def missing(kube: Kube, rights: Iterable[Right]) -> tuple[Right, ...]:
    """The rights that the credentials lack, with the missing verbs and names alone.

    One request for each namespace and one for the whole cluster; and one for each right that these do not show, since
    only RBAC lists its rules, and other authorizers (webhooks of clouds) may allow more.
    """
    singles = [single for right in rights for single in right.singles()]
    places = list(dict.fromkeys(single.namespace for single in singles))
    rules = dict(zip(places, in_threads(lambda place: rules_in(kube, place or NOWHERE), places), strict=True))
    doubtful = [single for single in singles if not any(grants(rule, single) for rule in rules[single.namespace])]
    answers = in_threads(lambda single: allowed(kube, single), doubtful)
    return tuple(together(single for single, granted in zip(doubtful, answers, strict=True) if not granted))


def rules_in(kube: Kube, namespace: str) -> list[Rule]:
    """The rules for these credentials in a namespace, as far as the API server can list them."""
    body = _review("SelfSubjectRulesReview", {"namespace": namespace})
    try:
        answer = kube.request("POST", f"{API}/selfsubjectrulesreviews", body=body)
    except (PermissionDenied, NotFound):
        return []
    return list((answer.get("status") or {}).get("resourceRules") or [])


def grants(rule: Rule, single: Right) -> bool:
    """Whether a rule allows a right of one verb. Source: the same as RBAC's own, of the type PolicyRule in
    https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/role-v1/"""
    (verb,), names = single.verbs, rule.get("resourceNames") or ()
    _resource, _slash, subresource = single.resource.partition("/")
    resources = {"*", single.resource, *([f"*/{subresource}"] if subresource else [])}
    return (
        bool({"*", verb} & set(rule.get("verbs") or ()))
        and bool({"*", single.group} & set(rule.get("apiGroups") or ()))
        and bool(resources & set(rule.get("resources") or ()))
        and (not names or (bool(single.names) and set(single.names) <= set(names)))
    )


def allowed(kube: Kube, single: Right) -> bool:
    """Whether the credentials have a right of one verb. Everybody may ask about himself, as a rule; without an answer:
    no."""
    resource, separator, subresource = single.resource.partition("/")
    attributes = {
        "verb": single.verbs[0],
        "group": single.group,
        "resource": resource,
        "namespace": single.namespace,
    }
    if separator:
        attributes["subresource"] = subresource
    if single.names:
        attributes["name"] = single.names[0]
    body = _review("SelfSubjectAccessReview", {"resourceAttributes": attributes})
    try:
        answer = kube.request("POST", f"{API}/selfsubjectaccessreviews", body=body)
    except (PermissionDenied, NotFound):
        return False
    return bool(answer["status"].get("allowed"))


def _review(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
