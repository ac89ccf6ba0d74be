# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""python -m tools.surveys [--check]: AWX's surveys, generated from the argument specs of the roles.

awx/surveys.yml names the variables; awx/surveys/NAME.json is the survey_spec of AWX's API. --check compares and writes
nothing. What AWX accepts as a survey is in problems().
Source: https://github.com/ansible/awx, awx/api/views/__init__.py (JobTemplateSurveySpec) and awx/main/models/mixins.py
(SurveyJobTemplateMixin), commit e21dd0a of October 2024, the newest to be had after 24.6.1.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tools.steps import ROOT, Failed

SELECTION, FOLDER, ROLES = ROOT / "awx/surveys.yml", ROOT / "awx/surveys", ROOT / "roles"
# Types of questions, with that of their defaults (SURVEY_TYPE_MAPPING in awx/main/constants.py).
TYPES: dict[str, type | tuple[type, ...]] = {
    "text": str,
    "textarea": str,
    "password": str,
    "integer": int,
    "float": (float, int),
    "multiplechoice": str,
    "multiselect": str,
}
KEYS = {"question_name", "question_description", "required", "type", "variable", "min", "max", "default", "choices"}
WITH_CHOICES, OF_TEXT = ("multiplechoice", "multiselect"), ("text", "textarea", "password")
ENCRYPTED = "$encrypted$"
# Ansible's markup in descriptions: C(code), O(option=value), P(plugin#kind) and the like.
MARKUP = re.compile(r"\b(?:[CEIBOVMPU])\(((?:[^()]|\([^()]*\))*)\)")


def options() -> dict[str, dict[str, Any]]:
    """Options of all entry points of all roles, by variable."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        for spec in yaml.safe_load(path.read_text())["argument_specs"].values():
            found.update(spec["options"])
    return found


def generate() -> dict[str, dict[str, Any]]:
    """All surveys by name. Failed for a variable that no role has, or that cannot be asked for."""
    known, found = options(), {}
    for name, survey in yaml.safe_load(SELECTION.read_text()).items():
        unknown = sorted(set(survey["questions"]) - set(known))
        if unknown:
            raise Failed(f"{SELECTION.relative_to(ROOT)}, {name}: no role has {', '.join(unknown)}.")
        questions = [question(variable, known[variable], how) for variable, how in survey["questions"].items()]
        found[name] = {"name": survey["title"], "description": survey["text"], "spec": questions}
        if wrong := list(problems(found[name])):
            raise Failed(f"{SELECTION.relative_to(ROOT)}, {name}: {'; '.join(wrong)}")
    return found


def question(variable: str, option: Mapping[str, Any], how: Mapping[str, Any]) -> dict[str, Any]:
    """The question for a variable. how: its entry in awx/surveys.yml."""
    kind = _kind(variable, option)
    made: dict[str, Any] = {
        "question_name": f"{_words(variable)} ({variable})",
        "question_description": _description(option, kind, how),
        "required": bool(option.get("required")),
        "type": kind,
        "variable": variable,
        # At least one character: AWX then leaves out an empty answer, or refuses it, but does not send it.
        "min": how.get("min", 1 if kind in OF_TEXT else None),
        "max": how.get("max"),
        # Empty is none. The user interface needs the key, and splits that of a multiselect into lines.
        "default": _typed(option, kind) if how.get("prefill") else "",
    }
    if kind in WITH_CHOICES:
        choices = ["true", "false"] if option["type"] == "bool" else [str(one) for one in option["choices"]]
        made["choices"] = [one for one in choices if one]
    if kind == "password":
        # AWX would encrypt an empty one, and send it.
        del made["default"]
    return made


def _kind(variable: str, option: Mapping[str, Any]) -> str:
    if option.get("no_log"):
        return "password"
    match option.get("type", "str"), "choices" in option:
        case ("bool", _) | ("str", True):
            return "multiplechoice"
        case "int", False:
            return "integer"
        case "float", False:
            return "float"
        case "list", chosen if option.get("elements") == "str":
            return "multiselect" if chosen else "textarea"
        case (("str" | "path"), False):
            return "text"
    raise Failed(f"{variable} cannot be asked for: a survey has no questions of the type {option.get('type')}.")


def _words(variable: str) -> str:
    """collector_sampling_percentage → Collector sampling percentage; tracing_retention → Retention."""
    words = re.sub(r"^(tracing|simulate|report|status)_", "", variable).replace("_", " ")
    return words[:1].upper() + words[1:]


def _description(option: Mapping[str, Any], kind: str, how: Mapping[str, Any]) -> str:
    written = option["description"]
    text = " ".join([written] if isinstance(written, str) else written)
    text = MARKUP.sub(lambda match: match[1].partition("#")[0].removeprefix("orion.tracing."), text)
    parts = [text if text.endswith((".", ")")) else f"{text}."]
    if kind == "textarea":
        parts.append("One in each line.")
    default = option.get("default")
    if not how.get("prefill") and not option.get("no_log") and default not in (None, "") and "{{" not in str(default):
        shown = ", ".join(map(str, default)) if isinstance(default, list) else _text(default)
        parts.append(f"The role's default is {shown or 'an empty list'}.")
    return " ".join(parts)


def _typed(option: Mapping[str, Any], kind: str) -> Any:
    default = option.get("default")
    if default is None or "{{" in str(default):
        return ""
    if isinstance(default, list):
        return "\n".join(map(str, default))
    return default if kind in ("integer", "float") else _text(default)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def problems(survey: Mapping[str, Any]) -> Iterator[str]:
    """What AWX would refuse about a survey, and what it accepts although it cannot work: a sentence each."""
    for key, kind in (("name", str), ("description", str), ("spec", list)):
        if not isinstance(survey.get(key), kind):
            yield f"{key} is not a {kind.__name__}"
            return
    if not survey["spec"]:
        yield "spec has no questions"
    seen: set[str] = set()
    for number, one in enumerate(survey["spec"]):
        if not isinstance(one, Mapping):
            yield f"question {number} is not a mapping"
            continue
        name = str(one.get("variable", f"question {number}"))
        for problem in _question_problems(one):
            yield f"{name}: {problem}"
        if name in seen:
            yield f"{name}: there are two questions for it"
        seen.add(name)


def _question_problems(one: Mapping[str, Any]) -> Iterator[str]:
    for key, kind in (("type", str), ("question_name", str), ("variable", str), ("required", bool)):
        if not isinstance(one.get(key), kind):
            yield f"{key} is not a {kind.__name__}"
            return
    if unknown := set(one) - KEYS:
        yield f"unknown keys {', '.join(sorted(unknown))}"
    if not re.fullmatch(r"[a-zA-Z_]\w*", one["variable"], re.ASCII):
        yield "it is not the name of a variable"
    if one["type"] not in TYPES:
        yield f"type {one['type']} is not one of {', '.join(TYPES)}"
        return
    for key in ("min", "max"):
        if one.get(key) is not None and (not isinstance(one[key], int) or isinstance(one[key], bool)):
            yield f"{key} is not a whole number"
            return
    low, high = one.get("min"), one.get("max")
    if low is not None and high is not None and low > high:
        yield "min is larger than max"
    yield from _default_problems(one)


def _default_problems(one: Mapping[str, Any]) -> Iterator[str]:
    kind, default = one["type"], one.get("default", "")
    if default != "" and (isinstance(default, bool) or not isinstance(default, TYPES[kind])):
        yield f"its default {default!r} does not fit the type {kind}"
        return
    if kind == "password" and "default" in one:
        yield "a password has a default"
    if str(default).startswith(ENCRYPTED):
        yield f"its default begins with {ENCRYPTED}"
    if kind in WITH_CHOICES:
        choices = one.get("choices")
        if not isinstance(choices, list) or not choices or not all(isinstance(item, str) and item for item in choices):
            yield "choices is not a list of texts"
            return
        if len(set(choices)) < len(choices):
            yield "a choice is there twice"
        chosen = default.splitlines()
        if kind == "multiplechoice" and len(chosen) > 1:
            yield "it has more than one default"
        yield from (f"its default {item} is not one of its choices" for item in chosen if item not in choices)
    elif "choices" in one:
        yield f"a question of the type {kind} has choices"
    elif default != "":
        size = len(default) if kind in OF_TEXT else default
        if size < (one.get("min") or size) or size > (one.get("max") or size):
            yield f"its default {default!r} is out of its bounds"


def files() -> dict[str, str]:
    """Content of each file of awx/surveys, by name."""
    return {f"{name}.json": json.dumps(survey, indent=2) + "\n" for name, survey in generate().items()}


def main(arguments: list[str]) -> None:
    wanted = files()
    there = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    different = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
    if "--check" in arguments:
        if different:
            raise Failed(f"awx/surveys: {', '.join(different)}: not as generated. Run `python -m tools.surveys`.")
        return
    for name in different:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name])
        else:
            (FOLDER / name).unlink()
    print(f"awx/surveys: {', '.join(different) or 'nothing'} written")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failed as error:
        sys.exit(str(error))
