# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""A MutatingAdmissionPolicy and its binding for each language, which instrument pods when they are made. Pure.

The policy's expressions are CEL, with what an API server of Kubernetes 1.34 has (two-variable comprehensions, but no
lists.range, sort or cel.bind). All changes are one JSON patch, because environment variables have an order:
OTEL_RESOURCE_ATTRIBUTES refers to others by $(NAME), which the kubelet expands only if they stand before it.
An expression that fails leaves the pod as it is (failurePolicy Ignore).
Source: https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/ and
https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.environment import (
    ENCODED,
    SERVICE_NAME_LABELS,
    SERVICE_VERSION_LABEL,
    settings,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import (
    CONTAINER_NAMES,
    FIELDS,
    LANGUAGES,
    NODE_NAME,
    POD_NAME,
    POD_UID,
    RESOURCE_ATTRIBUTES,
    RESOURCE_PREFIX,
    RESTRICTED,
    SAMPLER,
    SAMPLER_ARGUMENT,
    SERVICE_NAME,
    Language,
)

NAME = "opentelemetry-auto-instrumentation-{}"
# The resource attribute that names the owner of a pod.
OWNERS = {
    "ReplicaSet": "k8s.replicaset.name",
    "StatefulSet": "k8s.statefulset.name",
    "DaemonSet": "k8s.daemonset.name",
    "Job": "k8s.job.name",
}
# What the kubelet writes on the copies of static pods, which must stay as they are.
MIRROR = "kubernetes.io/config.mirror"


def policy_name(language: str) -> str:
    """Of the policy and of its binding."""
    return NAME.format(language)


def policy_values(v: Mapping[str, Any], images: Mapping[str, str]) -> list[dict[str, Any]]:
    """name and spec of the policies of instrumentation_languages; each has a binding of the same name.

    v: the variables of the role instrumentation, without errors. images: language → reference of its agent image.
    """
    languages = [LANGUAGES[name] for name in v["instrumentation_languages"]]
    return [
        {"name": policy_name(language.name), "spec": _spec(language, v, images.get(language.name, ""))}
        for language in languages
    ]


def _spec(language: Language, v: Mapping[str, Any], image: str) -> dict[str, Any]:
    excluded = sorted(map(str, v["instrumentation_excluded_namespaces"]))
    selector = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": excluded}
    return {
        # With the API's defaults, so that a comparison with what the API server returns finds no difference.
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "namespaceSelector": {"matchExpressions": [selector]} if excluded else {},
            "objectSelector": {},
            "resourceRules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["pods"],
                    "scope": "Namespaced",
                }
            ],
        },
        "matchConditions": [
            {"name": name, "expression": expression} for name, expression in _conditions(language).items()
        ],
        "failurePolicy": "Ignore",
        # Another mutation may add the annotation, or containers. A container is never instrumented twice.
        "reinvocationPolicy": "IfNeeded",
        "variables": [{"name": name, "expression": expression} for name, expression in _variables(language, v).items()],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": _patch(language, v, image)}}],
    }


def cel(value: Any) -> str:
    """Plain data as a CEL expression. Kubernetes' CEL refuses lists and maps whose items have several types."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{cel(key)}: dyn({cel(item)})" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(f'dyn({cel(item)})' if isinstance(item, Mapping) else cel(item) for item in value)}]"
    return json.dumps(value)


def _pairs(environment: Mapping[str, str]) -> str:
    """A list of {name, value}, all of one type."""
    return "[" + ",\n".join(f'{{"name": {cel(n)}, "value": {cel(text)}}}' for n, text in environment.items()) + "]"


# Conditions. They cannot read the namespace (Kubernetes 1.34: "no such key: namespaceObject"), so whether a pod is
# annotated is a matter of the variable targets, which is empty for almost every pod.

_POD = "(has(object.metadata.annotations) ? object.metadata.annotations : {})"
_NAMESPACE = "(has(namespaceObject.metadata.annotations) ? namespaceObject.metadata.annotations : {})"


def _conditions(language: Language) -> dict[str, str]:
    return {
        "linux": '!has(object.spec.os) || object.spec.os.name != "windows"',
        "not-a-static-pod": f"!({cel(MIRROR)} in {_POD})",
        **({"not-injected": _not_injected(language.injected)} if language.injected else {}),
    }


def _either(key: str, pod: str = "variables.pod", namespace: str = "variables.inherited") -> str:
    """An annotation of the pod, else of its namespace, else ""."""
    return f'({key} in {pod} ? {pod}[{key}] : {key} in {namespace} ? {namespace}[{key}] : "")'


def _not_injected(name: str) -> str:
    return " && ".join(
        f"!(has(object.spec.{field}) && object.spec.{field}.exists(item, item.name == {cel(name)}))"
        for field in ("initContainers", "volumes")
    )


# Variables, each evaluated once at most.


def _variables(language: Language, v: Mapping[str, Any]) -> dict[str, str]:
    found = {
        "pod": _POD,
        "inherited": _NAMESPACE,
        "labels": "has(object.metadata.labels) ? object.metadata.labels : {}",
    }
    for other in LANGUAGES.values():
        found[f"{other.name}_containers"] = _named_containers(other)
    if language.platform_annotation:
        found["platform"] = _either(cel(language.platform_annotation))
    found["settings"] = _pairs(settings(language, v))
    found["targets"] = _targets(language)
    found["owner"] = _owner()
    found["workload"] = _workload()
    found["service"] = _service()
    found["declared"] = _declared()
    found["attributes"] = _attributes()
    return found


def _named_containers(language: Language) -> str:
    """Names of the containers that a language goes into, by annotations."""
    wanted = _either(cel(language.annotation))
    own, common = _either(cel(language.container_names)), _either(cel(CONTAINER_NAMES))
    return f"""{wanted}.lowerAscii() in ["", "false"] ? [] :
[{own} != "" ? {own} : {common}].map(text,
  text.split(",").map(name, name.trim()).filter(name, name != ""))
  .map(names, names.size() > 0 ? names : [object.spec.containers[0].name])[0]"""


def _targets(language: Language) -> str:
    """The containers to instrument: path: of the JSON patch, container, env: its variables, names: theirs, declared:
    keys of its own OTEL_RESOURCE_ATTRIBUTES."""
    others = [other.name for other in LANGUAGES.values() if other is not language]
    chosen = [f"container.name in variables.{language.name}_containers"]
    # A container that two languages share gets neither.
    chosen += [f"!(container.name in variables.{other}_containers)" for other in others]
    refused = (POD_NAME, *language.refused)
    environment = f"variable.name in {cel(refused)}"
    if language.extended:
        names = cel([extended.name for extended in language.extended])
        environment += f" || (variable.name in {names} && has(variable.valueFrom))"
    chosen.append(f"!(has(container.env) && container.env.exists(variable, {environment}))")
    if language.mount_path:
        path = f"mount.mountPath == {cel(language.mount_path)}"
        chosen.append(f"!(has(container.volumeMounts) && container.volumeMounts.exists(mount, {path}))")
    if language.platforms:
        chosen.append(f"variables.platform in {cel(['', *language.platforms])}")
    condition = " &&\n  ".join(chosen)
    lists = [
        f"""(has(object.spec.{field}) ? object.spec.{field} : []).transformList(index, container,
  {condition},
  {{"path": dyn("/spec/{field}/" + string(index)), "container": dyn(container),
   "env": dyn(has(container.env) ? container.env : [])}})"""
        for field in ("initContainers", "containers")
    ]
    attributes = f'item.env.filter(e, e.name == {cel(RESOURCE_ATTRIBUTES)} && has(e.value)).map(e, e.value).join(",")'
    return f"""({" +\n".join(lists)}).map(item, {{
  "path": dyn(item.path), "container": dyn(item.container), "env": dyn(item.env),
  "names": dyn(item.env.map(e, e.name)),
  "written": dyn({attributes}),
  "declared": dyn({attributes}.split(",").filter(pair, pair.contains("=")).map(pair, pair.split("=")[0].trim()))}})"""


def _owner() -> str:
    """[kind, name] of what controls the pod, or []."""
    return """has(object.metadata.ownerReferences) ?
object.metadata.ownerReferences.filter(o, has(o.controller) && o.controller).map(o, [o.kind, o.name]) : []"""


def _workload() -> str:
    """Resource attributes for the owner of the pod and for what owns that, by the names that Kubernetes gives: of a
    ReplicaSet the Deployment's and the label pod-template-hash, of a Job the CronJob's and the time in minutes."""
    return f"""variables.owner.size() == 0 || !(variables.owner[0][0] in {cel(list(OWNERS))}) ? [] :
[variables.owner[0]].map(owner,
  (owner[0] == "ReplicaSet" && "pod-template-hash" in variables.labels
     && owner[1].endsWith("-" + variables.labels["pod-template-hash"]) ?
   [{{"name": "k8s.deployment.name",
     "value": string(owner[1]).substring(0, size(owner[1]) - size(variables.labels["pod-template-hash"]) - 1)}}] :
   owner[0] == "Job" && owner[1].matches("^.+-[0-9]{{8}}$") ?
   [{{"name": "k8s.cronjob.name", "value": string(owner[1]).substring(0, size(owner[1]) - 9)}}] : []) +
  [{{"name": {{{", ".join(f'"{kind}": "{name}"' for kind, name in OWNERS.items())}}}[owner[0]],
    "value": string(owner[1])}}])[0]"""


def _service() -> str:
    """The first name of the service that is found, "" if the container's is to be taken."""
    key = cel(f"{RESOURCE_PREFIX}service.name")
    candidates = [
        f'{key} in variables.pod ? string(variables.pod[{key}]).replace("$(", "$$(") : ""',
        *(
            f'{cel(label)} in variables.labels ? string(variables.labels[{cel(label)}]) : ""'
            for label in SERVICE_NAME_LABELS
        ),
        'variables.workload.size() > 0 ? variables.workload[0].value : ""',
        'has(object.metadata.name) ? string(object.metadata.name) : ""',
        '""',
    ]
    return f'[{",\n".join(candidates)}].filter(name, name != "")'


def _declared() -> str:
    """Resource attributes by annotations of the pod, sorted by name, without the service's."""
    prefix = cel(RESOURCE_PREFIX)
    value = "string(variables.pod[RESOURCE + key])".replace("RESOURCE", prefix)
    for char, code in ENCODED.items():
        value += f".replace({cel(char)}, {cel(code)})"
    value += '.replace("$(", "$$(")'
    service = cel(f"{RESOURCE_PREFIX}service.name")
    return f"""[variables.pod.map(key, key).filter(key, key.startsWith({prefix}) && key != {service}
    && variables.pod[key].matches("^[\\\\x20-\\\\x7e]*$")).map(key, string(key).substring({len(RESOURCE_PREFIX)}))]
  .map(keys, keys.transformList(index, any, keys.filter(key, keys.filter(other, other < key).size() == index)[0]))[0]
  .map(key, {{"name": key, "value": {value}}})"""


def _attributes() -> str:
    """Resource attributes that all containers of the pod have in common; those of annotations take precedence."""
    return f"""variables.declared + ([
  {{"name": "service.namespace", "value": request.namespace}},
  {{"name": "k8s.namespace.name", "value": request.namespace}}] +
  variables.workload + [
  {{"name": "k8s.pod.name", "value": "$({POD_NAME})"}},
  {{"name": "k8s.pod.uid", "value": "$({POD_UID})"}},
  {{"name": "k8s.node.name", "value": "$({NODE_NAME})"}}])
  .filter(item, !variables.declared.exists(other, other.name == item.name))"""


# The patch.


def _patch(language: Language, v: Mapping[str, Any], image: str) -> str:
    patches = [
        'variables.targets.map(item, JSONPatch{op: "add", path: item.path + "/env", '
        f"value: {_environment(language)}}})"
    ]
    if image:
        mount = {"name": language.injected, "mountPath": language.mount_path}
        patches += [
            f"""variables.targets.map(item, JSONPatch{{op: "add", path: item.path + "/volumeMounts", value:
  (has(item.container.volumeMounts) ? item.container.volumeMounts : []) +
  [{cel({**mount, "readOnly": True})}]}})""",
            "(variables.targets.size() == 0 ? [] :\n"
            f"{_volume(language, v)} +\n{_init_container(language, v, image, mount)})",
        ]
    return " +\n".join(patches)


def _list_there(field: str) -> str:
    return f'(has(object.spec.{field}) ? [] : [JSONPatch{{op: "add", path: "/spec/{field}", value: []}}])'


def _volume(language: Language, v: Mapping[str, Any]) -> str:
    volume = {"name": language.injected, "emptyDir": {"sizeLimit": str(v["instrumentation_volume_size_limit"])}}
    return f'{_list_there("volumes")} +\n[JSONPatch{{op: "add", path: "/spec/volumes/-", value: {cel(volume)}}}]'


def _init_container(language: Language, v: Mapping[str, Any], image: str, mount: Mapping[str, Any]) -> str:
    """Before all others, since they may be instrumented too."""
    container = {
        "name": language.injected,
        "image": image,
        "imagePullPolicy": str(v["instrumentation_image_pull_policy"]),
        "command": [],
        "resources": v["instrumentation_init_resources"],
        "securityContext": RESTRICTED,
        "volumeMounts": [dict(mount)],
    }
    command = cel(language.command(language.source))
    for platform, source in language.sources.items():
        if source != language.source:
            command = f"variables.platform == {cel(platform)} ? {cel(language.command(source))} : {command}"
    literal = cel(container).replace('"command": dyn([])', f'"command": dyn({command})')
    return f"""{_list_there("initContainers")} +
[JSONPatch{{op: "add", path: "/spec/initContainers/0", value: {literal}}}]"""


def _environment(language: Language) -> str:
    """All variables of a container: its own, in their order; what is missing; the resource attributes."""
    own = "e"
    for extended in language.extended:
        own = (
            f'e.name == {cel(extended.name)} ? {{"name": dyn(e.name), "value": dyn(has(e.value) && e.value != "" ? '
            f"{cel(extended.before)} + e.value + {cel(extended.after)} : {cel(extended.alone)})}} : {own}"
        )
    fields = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in FIELDS.items()]
    loaded = _pairs({extended.name: extended.alone for extended in language.extended})
    platforms = [(value, name, text) for value, them in language.platforms.items() for name, text in them.items()]
    special = "".join(
        f" + (variables.platform == {cel(value)}{' || variables.platform == ""' if not index else ''} ? "
        f"{_pairs({name: text})} : [])"
        for index, (value, name, text) in enumerate(platforms)
    )
    missing = "!(e.name in item.names)"
    return f"""
  item.env.filter(e, e.name != {cel(RESOURCE_ATTRIBUTES)} || has(e.valueFrom)).map(e, {own}) +
  {cel(fields)}.filter(e, {missing}) +
  ({loaded if language.extended else "[]"}{special}).filter(e, {missing}) +
  ({cel(SERVICE_NAME)} in item.names || "service.name" in item.declared ? [] :
   [{{"name": {cel(SERVICE_NAME)}, "value": (variables.service + [string(item.container.name)])[0]}}]) +
  variables.settings.filter(e, {missing} && !(e.name == {cel(SAMPLER_ARGUMENT)} && {cel(SAMPLER)} in item.names)) +
  (item.env.exists(e, e.name == {cel(RESOURCE_ATTRIBUTES)} && has(e.valueFrom)) ? [] :
   [{{"name": {cel(RESOURCE_ATTRIBUTES)}, "value":
     ((item.written == "" ? [] : [item.written]) +
      (variables.attributes + {_of_container()})
        .filter(a, !(a.name in item.declared)).map(a, a.name + "=" + a.value)).join(",")}}])"""


def _of_container() -> str:
    """Resource attributes of one container that no annotation declares. The version without the label is the image's
    tag@digest, tag or digest."""
    label, container = cel(SERVICE_VERSION_LABEL), "string(item.container.name)"
    image = 'string(item.container.image).find("(:[^/:@]+)?(@.+)?$").find("[^:@].*$")'
    return f"""([{{"name": "service.instance.id", "value": request.namespace + ".$({POD_NAME})." + {container}}},
        {{"name": "k8s.container.name", "value": {container}}},
        {{"name": "service.version",
         "value": {label} in variables.labels ? string(variables.labels[{label}]) : {image}}}]
       .filter(a, a.value != "" && !variables.declared.exists(other, other.name == a.name)))"""
