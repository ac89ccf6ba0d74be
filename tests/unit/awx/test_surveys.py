# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""AWX's surveys: as generated, as AWX takes them, and what becomes of every answer that a form can send."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import errors
from ansible_collections.orion.tracing.plugins.module_utils.preflight.checks import Facts, check
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.plugins.lookup.test_role_variables import Lookup, processes

from tools import surveys
from tools.steps import ROOT, Failed

SURVEYS = surveys.generate()
# What the playbook of a survey's templates reads.
TERMS = {
    "platform": ("tracing", "collector", "instrumentation", "grafana"),
    "verify": ("verify",),
    "simulate": ("collector.simulate", "collector"),
    "report": ("verify.trace_report",),
    "status": ("verify.status",),
}
# Answers to text questions whose variables have no default.
TEXTS = {
    "grafana_token": "glsa_a",
    "report_end": "2026-01-31T10:00:00Z",
    "report_last": "1h",
    "search": "error=true",
    "simulate_end": "2026-01-31T10:00:00Z",
    "simulate_last": "1h",
    "simulate_path": "s3://bucket/prefix",
    "simulate_start": "2026-01-31T10:00:00Z",
}
EVERY = [(name, one) for name, survey in SURVEYS.items() for one in survey["spec"]]
OPTIONS = surveys.options()


def of(*kinds: str) -> list[Any]:
    return [pytest.param(name, one, id=f"{name}-{one['variable']}") for name, one in EVERY if one["type"] in kinds]


@pytest.fixture(scope="module")
def lookup() -> Iterator[Lookup]:
    yield from processes()


def test_the_committed_surveys_are_those_that_the_argument_specs_make() -> None:
    there = {path.name: path.read_text() for path in surveys.FOLDER.glob("*.json")}
    assert there == surveys.files(), "run `python -m tools.surveys`"
    surveys.main(["--check"])


def test_a_survey_has_about_a_dozen_questions() -> None:
    assert set(SURVEYS) == set(TERMS)
    assert all(3 <= len(survey["spec"]) <= 14 for survey in SURVEYS.values())
    assert {one["type"] for _name, one in EVERY} == set(surveys.TYPES)


def test_a_question_has_type_choices_and_description_of_the_argument_spec() -> None:
    questions = {one["variable"]: one for _name, one in EVERY}
    assert questions["tracing_prove"] == {
        "question_name": "Prove (tracing_prove)",
        "question_description": "When the playbook site runs the proof. changed runs it if the bucket, Tempo or the "
        "Collectors have changed.",
        "required": False,
        "type": "multiplechoice",
        "variable": "tracing_prove",
        "min": None,
        "max": None,
        "default": "changed",
        "choices": ["changed", "always", "never"],
    }
    sampling = questions["collector_sampling_percentage"]
    assert (sampling["type"], sampling["min"], sampling["max"]) == ("float", 0, 100)
    assert sampling["question_description"].endswith("The role's default is 10.")
    assert questions["collector_critical_routes"]["question_description"].endswith(
        "One in each line. The role's default is /api/v1/orders, /api/v1/trades."
    )
    assert questions["instrumentation_enabled"]["choices"] == ["true", "false"]
    for variable, one in questions.items():
        assert not re.search(r"\b[A-Z]\(|\{\{", one["question_description"]), variable
        assert (one["type"] == "password") == bool(OPTIONS[variable].get("no_log")), variable


def test_no_answer_leaves_the_inventorys_value() -> None:
    """AWX sends a default as an extra variable, and an empty text too, unless one character is the least."""
    prefilled = {one["variable"] for _name, one in EVERY if one.get("default", "") != ""}
    assert prefilled == {"tracing_prove", "verify_plain_traces", "verify_timeout", "verify_prometheus_last"}
    assert all(one["min"] == 1 for _name, one in EVERY if one["type"] in surveys.OF_TEXT)


def a_survey(**question: Any) -> dict[str, Any]:
    one = {"question_name": "A", "required": False, "type": "text", "variable": "a", "default": "", **question}
    return {"name": "n", "description": "d", "spec": [{k: v for k, v in one.items() if v != "left out"}]}


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ({"type": "number"}, "a: type number is not one of text, textarea"),
        ({"type": "left out"}, "a: type is not a str"),
        ({"variable": "left out"}, "question 0: variable is not a str"),
        ({"variable": "a-b"}, "a-b: it is not the name of a variable"),
        ({"required": "yes"}, "a: required is not a bool"),
        ({"question": "x"}, "a: unknown keys question"),
        ({"min": "1"}, "a: min is not a whole number"),
        ({"type": "float", "max": 1.5}, "a: max is not a whole number"),
        ({"min": 3, "max": 2}, "a: min is larger than max"),
        ({"type": "integer", "default": "3"}, "a: its default '3' does not fit the type integer"),
        ({"type": "integer", "default": True}, "a: its default True does not fit the type integer"),
        ({"default": 3}, "a: its default 3 does not fit the type text"),
        ({"type": "integer", "default": 3, "max": 2}, "a: its default 3 is out of its bounds"),
        ({"default": "abc", "max": 2}, "a: its default 'abc' is out of its bounds"),
        ({"default": "$encrypted$"}, "a: its default begins with $encrypted$"),
        ({"type": "password"}, "a: a password has a default"),
        ({"type": "multiplechoice"}, "a: choices is not a list of texts"),
        ({"type": "multiselect", "choices": ["b", "b"]}, "a: a choice is there twice"),
        ({"type": "multiselect", "choices": ["b", ""]}, "a: choices is not a list of texts"),
        ({"type": "multiplechoice", "choices": ["b"], "default": "c"}, "a: its default c is not one of its choices"),
        ({"type": "multiplechoice", "choices": ["b", "c"], "default": "b\nc"}, "a: it has more than one default"),
        ({"type": "multiselect", "choices": ["b"], "default": "b\nc"}, "a: its default c is not one of its choices"),
        ({"choices": ["b"]}, "a: a question of the type text has choices"),
    ],
)
def test_what_awx_would_refuse_is_found(question: dict[str, Any], problem: str) -> None:
    (found,) = surveys.problems(a_survey(**question))
    assert found.startswith(problem)


def test_a_survey_without_problems_has_none() -> None:
    assert not [problem for survey in SURVEYS.values() for problem in surveys.problems(survey)]
    assert not list(surveys.problems(a_survey(type="multiselect", choices=["b", "c"], default="b\nc")))
    twice = a_survey()
    assert list(surveys.problems({**twice, "spec": twice["spec"] * 2})) == ["a: there are two questions for it"]
    assert list(surveys.problems({**twice, "spec": []})) == ["spec has no questions"]
    assert list(surveys.problems({"name": "n", "spec": []})) == ["description is not a str"]


@pytest.mark.parametrize("variable", ["tracing_kubeconfig", "collector_exporters", "collector_sampler_resources"])
def test_what_cannot_be_asked_for_is_refused(variable: str) -> None:
    with pytest.raises(Failed, match=f"{variable} cannot be asked for: a survey has no questions of the type"):
        surveys.question(variable, OPTIONS[variable], {})


def test_a_variable_that_no_role_has_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    selection = ROOT / ".state/surveys-of-a-test.yml"
    monkeypatch.setattr(surveys, "SELECTION", selection)
    selection.write_text(yaml.safe_dump({"x": {"title": "t", "text": "d", "questions": {"tempo_retnetion": {}}}}))
    try:
        with pytest.raises(Failed, match="x: no role has tempo_retnetion"):
            surveys.generate()
    finally:
        selection.unlink()


# What becomes of answers.


def samples(one: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Every shape in which a form sends an answer, with the value that the role then has."""
    variable, option = one["variable"], OPTIONS[one["variable"]]
    low, high = one["min"] or 0, one["max"]
    match one["type"]:
        case "integer":
            value = option.get("default") or low + 5
            return [(value, value), (str(value), value), (f" {value} ", value), (float(value), value)]
        case "float":
            value = float(high or 12)
            return [(value, value), (int(value), value), (str(value), value), (str(int(value)), value), ("12.5", 12.5)]
        case "multiplechoice":
            return [(item, {"true": True, "false": False}.get(item, item)) for item in one["choices"]]
        case "multiselect":
            some = one["choices"][:2]
            return [(shape, some) for shape in (some, "\n".join(some), "\r\n".join(some) + "\r\n", ",".join(some))]
        case "textarea":
            return [
                (shape, ["/a", "/b c"]) for shape in ("/a\n/b c", "/a\r\n/b c\r\n", "\n/a\n\n /b c \n", ["/a", "/b c"])
            ] + [("/a", ["/a"])]
    text = option.get("default") or TEXTS[variable]
    return [(text, text)]


@pytest.mark.parametrize(("name", "one"), of(*surveys.TYPES))
def test_an_answer_of_any_shape_is_the_variables_value(name: str, one: dict[str, Any], lookup: Lookup) -> None:
    for answer, value in samples(one):
        found = lookup(*TERMS[name], trusted=False, **{one["variable"]: answer})[one["variable"]]
        assert found == value and type(found) is type(value), answer


@pytest.mark.parametrize(("name", "one"), of("integer", "float", "multiplechoice", "multiselect"))
def test_an_empty_or_a_wrong_answer_is_refused_by_name(name: str, one: dict[str, Any], lookup: Lookup) -> None:
    variable = one["variable"]
    # AWX itself sends none of them: it refuses them, or leaves an empty answer out.
    odd = ["", "  ", "nonsense", *([True] if one["type"] in ("integer", "float") else [])]
    for answer in odd if one["type"] != "multiselect" else ["", " \n "]:
        text = lookup.errors(*TERMS[name], **{variable: answer})
        (line,) = text.splitlines()[1:] or [text]
        assert re.search(rf"{variable}: is .+\. (Give|Choose|Write) .+", line), line


@pytest.mark.parametrize(("name", "one"), of("textarea"))
def test_an_empty_list_is_refused_by_name(name: str, one: dict[str, Any], lookup: Lookup) -> None:
    text = lookup.errors(*TERMS[name], **{one["variable"]: "\n"})
    assert f"{one['variable']}: is empty, not a list. Write it as [a, b], or leave it out" in text


@pytest.mark.parametrize(("name", "one"), of(*surveys.TYPES))
def test_null_is_refused_by_name_or_means_that_there_is_no_answer(
    name: str, one: dict[str, Any], lookup: Lookup
) -> None:
    """AWX 24.6.1 was seen to send it for an empty text. Source: https://github.com/ansible/awx/issues/16205"""
    variable = one["variable"]
    answer = lookup.ask(TERMS[name], {variable: None}, True)
    if "error" in answer:
        assert f"{variable}: is None, which is not " in answer["error"]
    elif OPTIONS[variable].get("default"):
        assert answer["found"][0][variable] == "" and wrong(variable, "")
    else:
        assert answer["found"][0][variable] in (None, "")


OF_PROOF = [one["variable"] for one in SURVEYS["verify"]["spec"]]
BASE = role_defaults(
    "tempo", "collector", "instrumentation", "grafana", "object_storage", *OF_PROOF, object_storage_bucket="b"
)
CHECKED = [
    item for item in of("integer", "float", "multiselect", "text", "textarea") if item.values[1]["variable"] in BASE
]


def wrong(variable: str, value: Any) -> list[str]:
    found = errors(check({**BASE, variable: value}, Facts()))
    return [str(finding) for finding in found if finding.variable == variable]


@pytest.mark.parametrize(("name", "one"), CHECKED)
def test_the_preflight_refuses_what_is_out_of_bounds_and_takes_the_bounds(name: str, one: dict[str, Any]) -> None:
    """AWX holds answers to the bounds of a question; from elsewhere the preflight does."""
    variable = one["variable"]
    match one["type"]:
        case "integer" | "float":
            outside = [number for number in (one["min"] - 1, one["max"] and one["max"] + 1) if number is not None]
            inside = [number for number in (one["min"], one["max"]) if number is not None]
        case "multiselect":
            outside, inside = [["nonsense"]], [one["choices"]]
        case "textarea":
            outside, inside = [["no slash"]], [["/a"]]
        case _:
            outside, inside = ["7 days", "0s"], ["3m"]
    for value in inside:
        found = wrong(variable, value)
        assert not [line for line in found if re.search("less than|more than|not an? |not one", line)], value
    for value in outside:
        found = wrong(variable, value)
        assert found and all(line.startswith(variable) and line.endswith(".") for line in found), value


def test_the_bounds_of_questions_are_looked_at() -> None:
    assert len(CHECKED) >= 14
    assert json.loads((surveys.FOLDER / "platform.json").read_text()) == SURVEYS["platform"]
