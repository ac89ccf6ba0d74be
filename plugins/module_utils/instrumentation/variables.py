# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The instrumentation role's variables: what is wrong or doubtful about them, and the values of its chart. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import (
    AGENTS,
    FIELDS,
    LANGUAGES,
    OWN_TAG,
    PROTOCOLS,
    RESOURCE_ATTRIBUTES,
    SAMPLERS,
    SERVICE_NAME,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.operator import instrumentation_values
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.policies import VERSIONS, policy_values
from ansible_collections.orion.tracing.plugins.module_utils.inventory import images
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    Finding,
    Place,
    error,
    errors,
    refuse,
    warning,
    warnings,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import (
    Reader,
    WrongValue,
    number,
    usable,
)

MODES = ("auto", "policy", "operator", "sdk")
PULL_POLICIES = ("IfNotPresent", "Always", "Never")
KINDS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")
# The key of a baggage entry is a token of RFC 7230. Source: https://www.w3.org/TR/baggage/#key
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What OTLP's ports speak. Source: https://opentelemetry.io/docs/specs/otlp/
PORTS = {4317: "grpc", 4318: "http/protobuf"}
# Every container has its own value of these, or extends what it has.
OF_ONE_CONTAINER = {SERVICE_NAME, RESOURCE_ATTRIBUTES, *FIELDS} | {
    extended.name for language in LANGUAGES.values() for extended in language.extended
}
HEADERS = re.compile(r"OTEL_EXPORTER_OTLP_(TRACES_)?HEADERS")
NO_API = (
    "Use a cluster of Kubernetes 1.36 or newer, or 1.34 with the feature gate MutatingAdmissionPolicy and the API "
    "admissionregistration.k8s.io/v1beta1 switched on; or install the OpenTelemetry Operator; or set "
    "instrumentation_mode: sdk, which gives the listed workloads the environment variables alone."
)
UNSAMPLED = (
    "traces that an SDK leaves out never reach the collectors, so errors and slow traces among them are lost, and "
    "span metrics count only the sampled share"
)


def findings(v: Mapping[str, Any]) -> list[Finding]:
    """What is wrong or doubtful. A variable that is not there has no finding, and a role that is off has none."""
    if "instrumentation_enabled" in v and usable(None, _is_false, v["instrumentation_enabled"]):
        return []
    return list(dict.fromkeys(finding for finding in _problems(v) if finding.variable in v))


def served(modes: Mapping[str, Any]) -> dict[str, str]:
    """modes for chart_values, of what the module instrumentation_info returns under that name."""
    return {name: str(modes[name]["version"]).rpartition("/")[2] for name in ("policy", "operator")}


def chart_values(v: Mapping[str, Any], modes: Mapping[str, str]) -> tuple[dict[str, Any], list[Finding]]:
    """Values of roles/instrumentation/files/chart, and warnings.

    v: all variables of the role, as roles/instrumentation/meta/argument_specs.yml describes them. modes: what the
    cluster serves: policy → the version of MutatingAdmissionPolicy, operator → that of Instrumentation, "" for neither.
    Raises InvalidVariables with every error.
    """
    found = [*_problems(v), *cluster_findings(v, modes)]
    refuse("the instrumentation role's variables", errors(found))
    mode = resolved(v, modes)
    references = {language.name: _reference(v, language.name) for language in AGENTS}
    values: dict[str, Any] = {"policyVersion": modes["policy"] or VERSIONS[0], "policies": [], "instrumentations": []}
    if mode == "policy":
        values["policies"] = policy_values(v, references)
    elif mode == "operator":
        values["instrumentations"] = [instrumentation_values(v, references)]
    return values, warnings(found)


def resolved(v: Mapping[str, Any], modes: Mapping[str, str]) -> str:
    """The mode that the role works in: policy, operator or sdk."""
    mode = str(v["instrumentation_mode"])
    if mode != "auto":
        return mode
    return "policy" if modes["policy"] in VERSIONS else "operator" if modes["operator"] else "sdk"


def cluster_findings(v: Mapping[str, Any], modes: Mapping[str, str]) -> list[Finding]:
    """Whether the cluster serves what the mode needs. modes: as for chart_values."""
    mode, name = v.get("instrumentation_mode"), "instrumentation_mode"
    served = f", only {modes['policy']}" if modes["policy"] and modes["policy"] not in VERSIONS else ""
    without_policies = f"the cluster does not serve MutatingAdmissionPolicy in {' or '.join(VERSIONS)}{served}"
    without_operator = "it does not have the OpenTelemetry Operator's Instrumentation"
    if mode == "policy" and modes["policy"] not in VERSIONS:
        return [error(name, f"is policy, but {without_policies}", NO_API)]
    if mode == "operator" and not modes["operator"]:
        return [error(name, "is operator, but " + without_operator.replace("it", "the cluster", 1), NO_API)]
    if mode == "auto" and modes["policy"] not in VERSIONS and not modes["operator"]:
        return [
            warning(
                name,
                f"is auto, and {without_policies}, and {without_operator}",
                NO_API,
                "annotated pods are not instrumented; only listed workloads are, as with sdk",
            )
        ]
    return []


def _is_false(value: Any) -> bool:
    return value is False or str(value).lower() in ("false", "no", "off", "0")


def _reference(v: Mapping[str, Any], language: str) -> str:
    """repository:tag[@digest]; the digest decides where there is one."""
    parts = images.image_values(v, f"instrumentation_{language}")
    return f"{parts['repository']}:{parts['tag']}" + (f"@{parts['digest']}" if parts["digest"] else "")


def _problems(v: Mapping[str, Any]) -> list[Finding]:
    read = Reader(v)
    read.boolean("instrumentation_enabled")
    read.choice("instrumentation_mode", MODES)
    languages = _chosen(read, "instrumentation_languages", "a language", LANGUAGES)
    for language in AGENTS:
        for part in ("repository", "tag"):
            if (name := f"instrumentation_{language.name}_image_{part}") not in v:
                read.wrong(name, "is not defined")
        read.findings += images.problems(v, f"instrumentation_{language.name}")
    read.choice("instrumentation_image_pull_policy", PULL_POLICIES)
    _endpoint(read, languages)
    _propagators(read, languages)
    _sampler(read)
    _baggage(read, languages, v)
    _logs(read, languages)
    _environment(read)
    excluded = _excluded(read)
    read.resources("instrumentation_init_resources")
    if not read.size("instrumentation_volume_size_limit") and read.sound("instrumentation_volume_size_limit"):
        read.wrong("instrumentation_volume_size_limit", "is 0", "Give a size such as 200Mi.")
    read.duration("instrumentation_wait_timeout", positive=True)
    _workloads(read, languages, excluded)
    return read.findings


def _chosen(read: Reader, name: str, noun: str, known: Collection[str]) -> list[str]:
    """The items of a list, each of which has to be known and there once."""
    listed = read.listing(name, str)
    for index, one in enumerate(listed):
        if one not in known:
            read.wrong(Place(name).item(index), f"is '{one}', not {noun}", f"Choose from {', '.join(known)}.")
        elif one in listed[:index]:
            read.wrong(Place(name).item(index), f"is '{one}' again", "List it once.")
    return listed


def _endpoint(read: Reader, languages: list[str]) -> None:
    name, protocol_name = "instrumentation_endpoint", "instrumentation_protocol"
    endpoint, protocol = read.text(name), read.choice(protocol_name, PROTOCOLS)
    parts = usable(urlsplit(""), urlsplit, endpoint)
    port = usable(None, lambda: parts.port)
    if read.sound(name) and (parts.scheme not in ("http", "https") or not parts.hostname):
        read.wrong(
            name,
            f"is '{endpoint}', not a URL",
            "Begin it with http:// or https://, for gRPC too.",
            "SDKs need a scheme",
        )
    elif read.sound(name) and parts.path.rstrip("/").endswith("/v1/traces"):
        read.wrong(
            name,
            f"is '{endpoint}', which has the path of traces",
            f"Write {endpoint.rstrip('/').removesuffix('/v1/traces')}.",
            "SDKs add /v1/traces",
        )
    if read.sound(name, protocol_name):
        if protocol == "grpc" and parts.path.strip("/"):
            read.wrong(name, f"is '{endpoint}', which has a path", "Leave the path out.", "gRPC has none")
        spoken = PORTS.get(port or 0, protocol)
        if spoken != protocol:
            right = next(number for number, other in PORTS.items() if other == protocol)
            read.wrong(
                name,
                f"is '{endpoint}', but {protocol_name} is {protocol}",
                f"Use port {right}, or set {protocol_name}: {spoken}.",
                f"port {port} is that of {spoken}",
            )
    if read.sound(protocol_name, "instrumentation_languages"):
        lacking = [name for name in languages if name in LANGUAGES and protocol not in LANGUAGES[name].protocols]
        if lacking:
            read.wrong(
                protocol_name,
                f"is {protocol}, which the agent image of {' and '.join(lacking)} does not have",
                f"Set {protocol_name}: http/protobuf and port 4318, or take {' and '.join(lacking)} out of "
                "instrumentation_languages.",
            )


def _propagators(read: Reader, languages: list[str]) -> None:
    name = "instrumentation_propagators"
    known = list(dict.fromkeys(one for language in LANGUAGES.values() for one in language.propagators))
    given = _chosen(read, name, "a propagator", known)
    if not given and read.sound(name):
        read.wrong(name, "is empty", "List tracecontext, at least.", "every service would begin traces of its own")
    for one in given if read.sound(name, "instrumentation_languages") else []:
        lacking = [n for n in languages if n in LANGUAGES and one not in LANGUAGES[n].propagators]
        if lacking:
            read.doubtful(
                name,
                f"has {one}, which the agents of {' and '.join(lacking)} do not have",
                "Use another propagator for services that call each other.",
                "it is left out there",
            )


def _sampler(read: Reader) -> None:
    name, argument = "instrumentation_sampler", "instrumentation_sampler_argument"
    sampler = read.text(name)
    share = read.number(argument, maximum=1)
    if read.sound(name) and sampler not in SAMPLERS:
        read.wrong(
            name,
            f"is '{sampler}', not a sampler that every SDK has",
            f"Choose from {', '.join(SAMPLERS)}. For another one, set OTEL_TRACES_SAMPLER in the workload itself.",
        )
    if not read.sound(name):
        return
    if sampler.endswith("always_off"):
        read.doubtful(name, f"is {sampler}", "Choose parentbased_traceidratio.", "services begin no traces")
    elif read.sound(argument) and SAMPLERS[sampler] and share < 1:
        read.doubtful(argument, f"is {share:g}", "Sample at the collectors instead (collector_*).", UNSAMPLED)


def _baggage(read: Reader, languages: list[str], v: Mapping[str, Any]) -> None:
    name = "instrumentation_baggage_attributes"
    keys = read.listing(name, str)
    for index, key in enumerate(keys):
        if key == "*":
            read.wrong(
                Place(name).item(index),
                "is '*', which Java's agent reads as every key",
                "List the keys.",
                "whatever a client sends would become attributes of spans",
            )
        elif not TOKEN.fullmatch(key):
            read.wrong(
                Place(name).item(index),
                f"is '{key}', which cannot be the key of a baggage entry",
                "Use letters, digits and !#$%&'*+-.^_`|~ only.",
                "W3C Baggage allows the characters of a token",
            )
        elif key in keys[:index]:
            read.wrong(Place(name).item(index), f"is '{key}' again", "List it once.")
    if not keys or not read.sound(name, "instrumentation_languages"):
        return
    for language in AGENTS:
        tag = f"instrumentation_{language.name}_image_tag"
        if language.name not in languages or language.baggage_upstream or not read.sound(tag):
            continue
        if not language.baggage:
            read.doubtful(name, f"does not reach spans of {language.title}", why="its agent does not copy baggage")
        elif OWN_TAG not in str(v[tag]):
            read.doubtful(
                name,
                f"does not reach spans of {language.title}, since {tag} is {v[tag]}",
                f"Use an agent image that this project builds (a tag with {OWN_TAG}), or add the attributes in the "
                "service's code.",
                "upstream's image passes baggage on, but does not copy it to spans",
            )


def _logs(read: Reader, languages: list[str]) -> None:
    name, correlation = "instrumentation_logs_enabled", "instrumentation_log_correlation"
    sent, correlated = read.boolean(name), read.boolean(correlation)
    if sent and not correlated and read.sound(name, correlation) and "nodejs" in languages:
        read.doubtful(
            name,
            f"does not reach Node.js, since {correlation} is false",
            f"Set {correlation}: true.",
            "the instrumentations of bunyan, pino and winston do both, and are switched off",
        )


def _environment(read: Reader) -> None:
    name = "instrumentation_environment"
    for variable in read.strings(name):
        place = Place(name).key(variable)
        if not VARIABLE.fullmatch(variable):
            read.wrong(place, "is not the name of an environment variable", "Use letters, digits and _.")
        elif variable in OF_ONE_CONTAINER:
            read.wrong(
                place,
                "cannot be the same for all containers",
                "Set it in the workload: what a container sets itself is kept.",
            )
        elif HEADERS.fullmatch(variable):
            read.wrong(
                place,
                "holds credentials, which would be in plain text in policies and pods",
                "Send to the collectors, and give them the credentials (collector_exporters).",
            )


def _excluded(read: Reader) -> list[str]:
    name = "instrumentation_excluded_namespaces"
    given = read.listing(name, str)
    for index, namespace in enumerate(given):
        if not images.OBJECT_NAME.fullmatch(namespace):
            read.wrong(Place(name).item(index), f"is '{namespace}', not a name of a namespace", "Give its name.")
    return given


def _workloads(read: Reader, languages: list[str], excluded: list[str]) -> None:
    name = "instrumentation_workloads"
    seen: dict[tuple[str, str, str], list[tuple[int, Mapping[str, Any]]]] = {}
    for index, one in enumerate(read.listing(name, dict)):
        place = Place(name).item(index)
        missing = [
            key for key in ("namespace", "name", "language") if not isinstance(one.get(key), str) or not one[key]
        ]
        for key in missing:
            read.wrong(place.key(key), "is not set", f"Give the workload's {key}.")
        _workload(read, place, one, languages, excluded)
        if not missing:
            workload = (str(one["namespace"]), str(one.get("kind") or KINDS[0]), str(one["name"]))
            seen.setdefault(workload, []).append((index, one))
    for (namespace, kind, of_workload), entries in seen.items():
        for position, (index, one) in enumerate(entries):
            for before, other in entries[:position]:
                _pair(read, index, one, before, other, f"{kind} {namespace}/{of_workload}")


def _workload(read: Reader, place: Place, one: Mapping[str, Any], languages: list[str], excluded: list[str]) -> None:
    language, namespace, share = one.get("language"), one.get("namespace"), one.get("sampler_argument")
    if language and language not in LANGUAGES:
        read.wrong(place.key("language"), f"is '{language}', not a language", f"Choose from {', '.join(LANGUAGES)}.")
    elif language and read.sound("instrumentation_languages") and language not in languages:
        read.wrong(
            place.key("language"),
            f"is {language}, which is not in instrumentation_languages",
            f"Add {language} there, or take the workload out.",
        )
    if (kind := one.get("kind") or KINDS[0]) not in KINDS:
        read.wrong(
            place.key("kind"), f"is '{kind}', which does not have a pod template that can be changed",
            f"Choose from {', '.join(KINDS)}.",
        )  # fmt: skip
    present = one.get("state") != "absent"
    if present and namespace and namespace in excluded and read.sound("instrumentation_excluded_namespaces"):
        read.wrong(
            place.key("namespace"),
            f"is {namespace}, which is in instrumentation_excluded_namespaces",
            "Take it out of one of the two.",
        )
    if share is None:
        return
    try:
        share = number(share, 0, 1)
    except WrongValue as problem:
        read.wrong(place.key("sampler_argument"), problem.what, problem.remedy)
        return
    sampler = read.text("instrumentation_sampler")
    if not SAMPLERS.get(sampler, True):
        read.wrong(
            place.key("sampler_argument"),
            f"is {share:g}, but instrumentation_sampler is {sampler}, which takes no argument",
            "Leave it out, or set instrumentation_sampler: parentbased_traceidratio.",
        )
    elif share < 1 and present:
        read.doubtful(
            place.key("sampler_argument"), f"is {share:g}", "Sample at the collectors instead (collector_*).", UNSAMPLED
        )


def _pair(
    read: Reader, index: int, one: Mapping[str, Any], before: int, other: Mapping[str, Any], workload: str
) -> None:
    """Two entries of one workload that have a container in common; one without containers means the first."""
    name = "instrumentation_workloads"
    mine, theirs = (set(map(str, entry.get("containers") or [])) for entry in (one, other))
    if mine != theirs and not mine & theirs:
        return
    place = Place(name).item(index)
    if (one.get("state") == "absent") != (other.get("state") == "absent") and one["language"] == other["language"]:
        read.wrong(place, f"contradicts [{before}]: {workload} is present in one and absent in the other", "Keep one.")
    elif one["language"] == other["language"]:
        read.wrong(place, f"repeats [{before}]: {workload} for {one['language']}", "List it once.")
    elif one.get("state") != "absent" and other.get("state") != "absent":
        read.wrong(
            place,
            f"contradicts [{before}]: {workload} has {other['language']} and {one['language']} in the same container",
            "Keep one, or name the containers of each.",
            "a container can have one agent",
        )
