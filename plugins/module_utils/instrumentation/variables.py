# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The instrumentation role's variables: what is wrong or doubtful about them, and the values of its chart. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import modes
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
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.policies import policy_values
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.workloads import entries
from ansible_collections.orion.tracing.plugins.module_utils.inventory import images
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    Finding,
    Place,
    errors,
    refuse,
    warnings,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import (
    Reader,
    usable,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.admission import VERSIONS

PULL_POLICIES = ("IfNotPresent", "Always", "Never")
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


def findings(v: Mapping[str, Any]) -> list[Finding]:
    """What is wrong or doubtful. A variable that is not there has no finding, and a role that is off has none."""
    if "instrumentation_enabled" in v and usable(None, _is_false, v["instrumentation_enabled"]):
        return []
    return list(dict.fromkeys(finding for finding in _problems(v) if finding.variable in v))


def chart_values(v: Mapping[str, Any], serves: Mapping[str, str]) -> tuple[dict[str, Any], list[Finding]]:
    """Values of roles/instrumentation/files/chart, and warnings.

    v: all variables of the role, as roles/instrumentation/meta/argument_specs.yml describes them. serves: what
    the cluster does, as modes.py has it.
    Raises InvalidVariables with every error.
    """
    found = [*_problems(v), *modes.findings(modes.of_variables(v), serves)]
    refuse("the instrumentation role's variables", errors(found))
    mode = modes.resolved(modes.of_variables(v), serves)
    references = {language.name: _reference(v, language.name) for language in AGENTS}
    values: dict[str, Any] = {
        "policyVersion": serves[modes.POLICY] or VERSIONS[0],
        "policies": [],
        "instrumentations": [],
    }
    if mode == modes.POLICY:
        values["policies"] = policy_values(v, references)
    elif mode == modes.OPERATOR:
        values["instrumentations"] = [instrumentation_values(v, references)]
    return values, warnings(found)


def _is_false(value: Any) -> bool:
    return value is False or str(value).lower() in ("false", "no", "off", "0")


def _reference(v: Mapping[str, Any], language: str) -> str:
    """repository:tag[@digest]; the digest decides where there is one."""
    parts = images.image_values(v, f"instrumentation_{language}")
    return f"{parts['repository']}:{parts['tag']}" + (f"@{parts['digest']}" if parts["digest"] else "")


def _problems(v: Mapping[str, Any]) -> list[Finding]:
    read = Reader(v)
    read.boolean("instrumentation_enabled")
    read.choice("instrumentation_mode", modes.MODES)
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
    _workloads(read, languages, excluded, v)
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
    """What a share below 1 costs is a matter of the linter, rule head-sampling."""
    name = "instrumentation_sampler"
    sampler = read.text(name)
    read.number("instrumentation_sampler_argument", maximum=1)
    if read.sound(name) and sampler not in SAMPLERS:
        read.wrong(
            name,
            f"is '{sampler}', not a sampler that every SDK has",
            f"Choose from {', '.join(SAMPLERS)}. For another one, set OTEL_TRACES_SAMPLER in the workload itself.",
        )


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


def _workloads(read: Reader, languages: list[str], excluded: list[str], v: Mapping[str, Any]) -> None:
    """What the list itself shows (workloads.entries), and what contradicts other variables."""
    name = "instrumentation_workloads"
    if name not in v:
        read.wrong(name, "is not defined")
        return
    listed, wrong = entries(v[name], name, excluded)
    read.findings += wrong
    for entry in listed if read.sound("instrumentation_languages") else []:
        if entry.language in LANGUAGES and entry.language not in languages:
            read.wrong(
                entry.place.key("language"),
                f"is {entry.language}, which is not in instrumentation_languages",
                f"Add {entry.language} there, or take the workload out.",
            )
    sampler = read.text("instrumentation_sampler")
    for entry in listed:
        if entry.sampler_argument and not SAMPLERS.get(sampler, True):
            read.wrong(
                entry.place.key("sampler_argument"),
                f"is {entry.sampler_argument}, but instrumentation_sampler is {sampler}, which takes no argument",
                "Leave it out, or set instrumentation_sampler: parentbased_traceidratio.",
            )
