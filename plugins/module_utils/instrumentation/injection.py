# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What the annotations of a pod and of its namespace ask for, and what was injected into a pod. Pure.

The annotations are the OpenTelemetry Operator's: those of the pod take precedence over those of its namespace, one
annotation at a time.
Source: https://opentelemetry.io/docs/platforms/kubernetes/operator/automatic/
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import (
    AGENTS,
    CONTAINER_NAMES,
    LANGUAGES,
    OPERATOR_ONLY,
    POD_NAME,
    PREFIX,
    Language,
)

INJECT = f"{PREFIX}inject-"
SDK = "sdk"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def is_on(value: Any) -> bool:
    """Whether the value of an inject annotation asks for injection: "true", or the name of an Instrumentation."""
    return str(value).lower() not in ("", "false")


@dataclass(frozen=True)
class Obstacle:
    """Why annotations do not have the effect that they ask for. code: a word for programs; why: a clause without a
    full stop; remedy: a sentence."""

    code: str
    why: str
    remedy: str


@dataclass(frozen=True)
class Asked:
    """languages: language → the containers that it goes into. opted_out: language → where "false" was set. problems: of
    the annotations themselves. A place is "pod" or "namespace"."""

    languages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    opted_out: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Obstacle, ...] = ()


def asked(pod: Mapping[str, str], namespace: Mapping[str, str], containers: Sequence[str]) -> Asked:
    """What the annotations of a pod (or pod template) with these containers, and of its namespace, ask for."""
    both = {**namespace, **pod}
    languages: dict[str, tuple[str, ...]] = {}
    opted_out: dict[str, str] = {}
    problems: list[Obstacle] = []
    for name in sorted(name for name in both if name.startswith(INJECT)):
        language, place = name.removeprefix(INJECT), "pod" if name in pod else "namespace"
        if language not in LANGUAGES:
            if is_on(both[name]):
                problems.append(_unknown(language, place))
        elif not is_on(both[name]):
            opted_out[language] = place
        else:
            languages[language], missing = _containers(LANGUAGES[language], both, containers)
            if missing:
                problems.append(_missing(LANGUAGES[language], missing, containers))
    problems += _contradictions(languages)
    return Asked(languages, opted_out, tuple(problems))


def _containers(
    language: Language, annotations: Mapping[str, str], containers: Sequence[str]
) -> tuple[tuple[str, ...], list[str]]:
    """The containers of a language, and those named that do not exist."""
    text = annotations.get(language.container_names) or annotations.get(CONTAINER_NAMES) or ""
    names = [name.strip() for name in text.split(",") if name.strip()] or list(containers[:1])
    return tuple(names), [name for name in names if name not in containers]


def _unknown(language: str, place: str) -> Obstacle:
    near = nearest(language, LANGUAGES)
    remedy = f"Did you mean {INJECT}{near}?" if near else f"The languages are {', '.join(LANGUAGES)}."
    if language in OPERATOR_ONLY:
        remedy = f"For a service that brings its own SDK, such as one in Go, use {LANGUAGES[SDK].annotation}."
    return Obstacle(
        "unknown_language", f"the annotation {INJECT}{language} of the {place} names an unknown language", remedy
    )


def _missing(language: Language, missing: Sequence[str], containers: Sequence[str]) -> Obstacle:
    return Obstacle(
        "container_not_found",
        f"the annotations for {language.name} name {_counted('container', missing)}, and the pod has "
        f"{', '.join(containers)}",
        f"Correct {language.container_names} or {CONTAINER_NAMES}.",
    )


def _contradictions(languages: Mapping[str, Sequence[str]]) -> list[Obstacle]:
    """Languages that share a container: it gets none of them."""
    found: dict[tuple[str, ...], list[str]] = {}
    for container in dict.fromkeys(name for names in languages.values() for name in names):
        sharing = tuple(sorted(one for one, names in languages.items() if container in names))
        if len(sharing) > 1:
            found.setdefault(sharing, []).append(container)
    return [
        Obstacle(
            "contradictory_annotations",
            f"the annotations ask for {' and '.join(sharing)} in the same {_counted('container', names)}",
            f'Set the annotation of all but one of these languages to "false" on the pod template, or name the '
            f"containers of each in {' and '.join(LANGUAGES[one].container_names for one in sharing)}.",
        )
        for sharing, names in found.items()
    ]


def injected(pod: Mapping[str, Any]) -> dict[str, str]:
    """Language → image of its agent, of a pod (or pod template), by the init containers that were added. An SDK that
    the container brings itself counts as sdk, without an image, if it is told where to send traces."""
    spec = pod.get("spec") or {}
    by_name = {language.injected: language.name for language in AGENTS}
    found = {
        by_name[one["name"]]: str(one.get("image") or "")
        for one in spec.get("initContainers") or []
        if one["name"] in by_name
    }
    names = {str(variable["name"]) for one in _all(pod) for variable in one.get("env") or []}
    if not found and names.intersection((POD_NAME, *ENDPOINTS)):
        found[SDK] = ""
    return found


def left_alone(pod: Mapping[str, Any], language: Language, containers: Iterable[str]) -> Obstacle | None:
    """What one of these containers has that keeps a policy from it."""
    extended = {one.name for one in language.extended}
    for one in _all(pod):
        if one["name"] not in containers:
            continue
        for variable in one.get("env") or []:
            name = variable["name"]
            if name in extended and variable.get("valueFrom"):
                return Obstacle(
                    "value_from",
                    f"container {one['name']} takes {name} from a {_source(variable['valueFrom'])}, so it cannot be "
                    "extended",
                    f"Write the value of {name} into the pod template.",
                )
            if name in language.refused:
                return Obstacle(
                    "own_agent",
                    f"container {one['name']} sets {name}, so it brings an agent of its own",
                    f"Remove {name} from the pod template, or the annotation {language.annotation}.",
                )
        if any(mount.get("mountPath") == language.mount_path for mount in one.get("volumeMounts") or []):
            return Obstacle(
                "mount_path",
                f"container {one['name']} mounts something else at {language.mount_path}",
                "Mount it at another path.",
            )
    return None


def wrong_platform(annotations: Mapping[str, str], language: Language) -> Obstacle | None:
    """A C library that the agent is not built for."""
    value = annotations.get(language.platform_annotation, "") if language.platforms else ""
    if not value or value in language.platforms:
        return None
    return Obstacle(
        "unknown_platform",
        f"the annotation {language.platform_annotation} is '{value}'",
        f"Use one of {', '.join(language.platforms)}.",
    )


def _all(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    spec = pod.get("spec") or {}
    return [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]


def container_names(pod: Mapping[str, Any]) -> list[str]:
    """Of a pod or pod template, in the order in which one is the default; agents' own init containers are left out."""
    agents = {language.injected for language in AGENTS}
    return [str(one["name"]) for one in _all(pod) if one["name"] not in agents]


def _source(value_from: Mapping[str, Any]) -> str:
    kinds = {"configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"}
    return next((kind for key, kind in kinds.items() if key in value_from), "reference")


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known name that a misspelled one is most like; "" where none is."""
    return next(iter(difflib.get_close_matches(name, sorted(known), 1, cutoff)), "")


def _counted(noun: str, names: Sequence[str]) -> str:
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(names)}"
