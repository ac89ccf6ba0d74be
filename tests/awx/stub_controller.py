# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""AWX's API v2 in memory, on a port of this machine: what awx.awx uses to make the objects of awx/.

It is a stub, since no package registry has AWX. It was checked against AWX's sources, whose messages it repeats
(https://github.com/ansible/awx, commit e21dd0a of October 2024, the newest to be had after 24.6.1), and against what
awx.awx 24.6.1 expects:
  - awx/api/serializers.py: fields, defaults and refusals of each object; awx/api/views/__init__.py: survey_spec
    (JobTemplateSurveySpec) and create_approval_template; awx/api/generics.py: lists, attach and disassociate, headers
  - awx/main/fields.py: inputs and injectors of credential types; awx/main/models: what is unique, what nodes and
    schedules may prompt for
Nothing runs here: projects are in sync at once, and jobs, approvals and notifications do not exist.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jinja2
from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving

TOKEN = "bqV5txm97wqJqtkxlMkhQz0pKhRMMX"
LOGIN = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Single sign-on</body></html>"
PAGE = 25
Answer = tuple[int, Any]


class Refused(Exception):
    """status: of the answer. document: its JSON."""

    def __init__(self, status: int, document: Any) -> None:
        self.status, self.document = status, document
        super().__init__(str(document))


def wrong(**messages: str) -> Refused:
    return Refused(400, {name: [message] for name, message in messages.items()})


@dataclass(frozen=True)
class Kind:
    """A type of objects. fields: writable, with their defaults. required, references (field → plural), choices: of
    fields. unique: fields that no two objects share. lists: what can be attached, with the plural of it."""

    type: str
    fields: dict[str, Any]
    required: tuple[str, ...] = ("name",)
    references: dict[str, str] = field(default_factory=dict)
    choices: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    unique: tuple[str, ...] = ("name", "organization")
    lists: dict[str, str] = field(default_factory=dict)


ORGANIZATION = {"organization": "organizations"}
NAMED = {"name": "", "description": ""}
ASK = ("variables", "limit", "tags", "skip_tags", "inventory", "scm_branch", "labels")
PROMPTS: dict[str, Any] = {
    "extra_data": {},
    "inventory": None,
    "scm_branch": None,
    "job_type": None,
    "job_tags": None,
    "skip_tags": None,
    "limit": None,
    "diff_mode": None,
    "verbosity": None,
    "execution_environment": None,
    "forks": None,
    "job_slice_count": None,
    "timeout": None,
}
NODES = "workflow_job_template_nodes"
KINDS: dict[str, Kind] = {
    "organizations": Kind(
        "organization", {**NAMED, "max_hosts": 0, "default_environment": None}, unique=("name",), lists={}
    ),
    "credential_types": Kind(
        "credential_type",
        {**NAMED, "kind": "", "inputs": {}, "injectors": {}},
        required=("name", "kind"),
        unique=("name", "kind"),
    ),
    "credentials": Kind(
        "credential",
        {**NAMED, "organization": None, "credential_type": None, "inputs": {}},
        required=("name", "credential_type"),
        references={**ORGANIZATION, "credential_type": "credential_types"},
        unique=("name", "organization", "credential_type"),
    ),
    "execution_environments": Kind(
        "execution_environment",
        {**NAMED, "organization": None, "image": "", "credential": None, "pull": ""},
        required=("name", "image"),
        references={**ORGANIZATION, "credential": "credentials"},
        choices={"pull": ("", "always", "missing", "never")},
        unique=("name",),
    ),
    "projects": Kind(
        "project",
        {
            **NAMED,
            "organization": None,
            "local_path": "",
            "scm_type": "",
            "scm_url": "",
            "scm_branch": "",
            "scm_refspec": "",
            "scm_clean": False,
            "scm_update_on_launch": False,
            "scm_update_cache_timeout": 0,
            "allow_override": False,
            "credential": None,
            "default_environment": None,
            "timeout": 0,
        },
        references={**ORGANIZATION, "default_environment": "execution_environments", "credential": "credentials"},
        choices={"scm_type": ("", "git", "svn", "insights", "archive")},
    ),
    "inventories": Kind(
        "inventory",
        {**NAMED, "organization": None, "kind": "", "host_filter": None, "variables": ""},
        required=("name", "organization"),
        references=ORGANIZATION,
        choices={"kind": ("", "smart", "constructed")},
    ),
    "inventory_sources": Kind(
        "inventory_source",
        {
            **NAMED,
            "inventory": None,
            "source": "",
            "source_path": "",
            "source_project": None,
            "overwrite": False,
            "overwrite_vars": False,
            "update_on_launch": False,
            "update_cache_timeout": 0,
        },
        required=("name", "inventory", "source"),
        references={"inventory": "inventories", "source_project": "projects"},
        choices={"source": ("file", "scm", "ec2", "gce", "azure_rm", "vmware", "controller")},
        unique=("name", "inventory"),
    ),
    "job_templates": Kind(
        "job_template",
        {
            **NAMED,
            "job_type": "run",
            "inventory": None,
            "project": None,
            "playbook": "",
            "execution_environment": None,
            "extra_vars": "",
            "limit": "",
            "forks": 0,
            "verbosity": 0,
            "diff_mode": False,
            "survey_enabled": False,
            **{f"ask_{name}_on_launch": False for name in (*ASK, "job_type", "diff_mode", "credential")},
        },
        references={
            "inventory": "inventories",
            "project": "projects",
            "execution_environment": "execution_environments",
        },
        choices={"job_type": ("run", "check")},
        lists={"credentials": "credentials", "labels": "labels", "instance_groups": "instance_groups"},
    ),
    "workflow_job_templates": Kind(
        "workflow_job_template",
        {
            **NAMED,
            "organization": None,
            "inventory": None,
            "limit": None,
            "extra_vars": "",
            "allow_simultaneous": False,
            "survey_enabled": False,
            **{f"ask_{name}_on_launch": False for name in ASK},
        },
        references={**ORGANIZATION, "inventory": "inventories"},
        lists={"labels": "labels"},
    ),
    NODES: Kind(
        "workflow_job_template_node",
        {
            **PROMPTS,
            "workflow_job_template": None,
            "unified_job_template": None,
            "identifier": "",
            "all_parents_must_converge": False,
        },
        required=("workflow_job_template",),
        references={"workflow_job_template": "workflow_job_templates", "unified_job_template": "unified_job_templates"},
        unique=("identifier", "workflow_job_template"),
        lists={"success_nodes": NODES, "failure_nodes": NODES, "always_nodes": NODES, "credentials": "credentials"},
    ),
    "workflow_approval_templates": Kind("workflow_approval_template", {**NAMED, "timeout": 0}, unique=()),
    "schedules": Kind(
        "schedule",
        {**NAMED, **PROMPTS, "rrule": "", "unified_job_template": None, "enabled": True},
        required=("name", "rrule", "unified_job_template"),
        references={"unified_job_template": "unified_job_templates"},
        unique=("name", "unified_job_template"),
        lists={"credentials": "credentials"},
    ),
}
UNIFIED = ("projects", "inventory_sources", "job_templates", "workflow_job_templates", "workflow_approval_templates")
MANAGED = {
    "OpenShift or Kubernetes API Bearer Token": ("kubernetes", "kubernetes_bearer_token"),
    "Amazon Web Services": ("cloud", "aws"),
}


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    document: Any


@dataclass
class StubController:
    """playbooks: what the project has in Git. scope: of the token. trouble: what a request gets instead of an answer.
    asked: all requests."""

    playbooks: tuple[str, ...]
    scope: str = "write"
    prefix: str = "/api/"
    trouble: Callable[[Request], Any] | None = None
    asked: list[Request] = field(default_factory=list)
    objects: dict[str, dict[int, dict[str, Any]]] = field(default_factory=lambda: {name: {} for name in KINDS})
    attached: dict[tuple[str, int, str], list[int]] = field(default_factory=dict)
    surveys: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    ids: int = 0

    def __post_init__(self) -> None:
        for name, (kind, namespace) in MANAGED.items():
            self._store("credential_types", {**NAMED, "name": name, "kind": kind, "namespace": namespace})

    # For tests

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.asked if request.method != "GET"]

    def named(self, plural: str, name: str) -> dict[str, Any]:
        (found,) = [one for one in self.objects[plural].values() if name in (one.get("name"), one.get("identifier"))]
        return found

    def add_credential(self, name: str, type_name: str) -> None:
        """As if somebody had made it in the user interface."""
        kind = self.named("credential_types", type_name)["id"]
        self._store("credentials", {**KINDS["credentials"].fields, "name": name, "credential_type": kind})

    @contextmanager
    def serving(self) -> Iterator[str]:
        stub = self

        class Api(Handler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                url, body = urlsplit(self.path), self.body()
                request = Request(
                    self.command,
                    url.path,
                    dict(parse_qsl(url.query)),
                    {name.lower(): value for name, value in self.headers.items()},
                    json.loads(body) if body else None,
                )
                stub.asked.append(request)
                status, document = stub.answer(request)
                html = isinstance(document, str)
                sent = document.encode() if html else b"" if document is None else json.dumps(document).encode()
                kind = "text/html; charset=utf-8" if html else "application/json"
                headers = {"X-API-Product-Name": "AWX", "X-API-Product-Version": "24.6.1", "Content-Type": kind}
                self.answer(status, sent, headers)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any

        with serving(Api) as url:
            yield url

    # The API

    def answer(self, request: Request) -> Answer:
        if self.trouble and (found := self.trouble(request)) is not None:
            return found
        root = f"{self.prefix}v2/"
        if not request.path.startswith(root):
            return 404, LOGIN
        path = [part for part in request.path.removeprefix(root).split("/") if part]
        if not request.path.endswith("/"):
            return 404, LOGIN  # Django's, in production: no redirect of a POST
        if path == ["ping"]:
            return 200, {"ha": False, "version": "24.6.1", "active_node": "awx", "instances": [], "instance_groups": []}
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            detail = "Authentication credentials were not provided. To establish a login session, visit /api/login/."
            return 401, {"detail": detail}
        if request.method != "GET" and self.scope != "write":
            return 403, {"detail": "You do not have permission to perform this action."}
        try:
            return self._route(request, path)
        except Refused as refusal:
            return refusal.status, refusal.document

    def _route(self, request: Request, path: list[str]) -> Answer:
        match request.method, path:
            case "GET", ["me"]:
                user = {"id": 1, "type": "user", "username": "admin", "is_superuser": True}
                return 200, self._page(request, [user])
            case "GET", ["project_updates", number]:
                return 200, {"id": int(number), "status": "successful", "failed": False}
            case "GET", ["unified_job_templates"]:
                return 200, self._page(request, self._filtered(request, self._unified(), KINDS["job_templates"]))
            case "GET", [plural] if plural in KINDS:
                found = [self._shown(plural, one) for one in self.objects[plural].values()]
                return 200, self._page(request, self._filtered(request, found, KINDS[plural]))
            case "POST", [plural] if plural in KINDS and plural != "workflow_approval_templates":
                return 201, self._shown(plural, self._create(plural, request.document))
            case method, [plural, number, *rest] if plural in KINDS and number.isdigit():
                one = self.objects[plural].get(int(number))
                if one is None:
                    raise Refused(404, {"detail": "Not found."})
                return self._one(request, method, plural, one, rest)
        raise Refused(404, {"detail": "The requested resource could not be found."})

    def _one(self, request: Request, method: str, plural: str, one: dict[str, Any], rest: list[str]) -> Answer:
        match method, rest:
            case "GET", []:
                return 200, self._shown(plural, one)
            case "PATCH", []:
                self._change(plural, one, request.document)
                return 200, self._shown(plural, one)
            case "DELETE", []:
                del self.objects[plural][one["id"]]
                return 204, None
            case "GET", ["survey_spec"] if plural in ("job_templates", "workflow_job_templates"):
                return 200, self.surveys.get((plural, one["id"]), {})
            case "POST", ["survey_spec"] if plural in ("job_templates", "workflow_job_templates"):
                self.surveys[plural, one["id"]] = survey(request.document)
                return 200, None
            case "POST", ["create_approval_template"] if plural == NODES:
                fields = {
                    name: request.document[name]
                    for name in ("name", "description", "timeout")
                    if name in request.document
                }
                if not fields.get("name"):
                    raise wrong(name="This field is required.")
                made = self._store("workflow_approval_templates", {**NAMED, "timeout": 0, **fields})
                one["unified_job_template"] = made["id"]
                return 201, self._shown("workflow_approval_templates", made)
            case _, [name] if name in KINDS[plural].lists:
                return self._list(request, plural, one, name)
        raise Refused(404, {"detail": "The requested resource could not be found."})

    def _list(self, request: Request, plural: str, one: dict[str, Any], name: str) -> Answer:
        other = KINDS[plural].lists[name]
        attached = self.attached.setdefault((plural, one["id"], name), [])
        if request.method == "GET":
            return 200, self._page(request, [self._shown(other, self.objects[other][number]) for number in attached])
        number = request.document.get("id")
        if not isinstance(number, int) or isinstance(number, bool):
            raise Refused(400, {"msg": '"id" field must be an integer.'})
        if request.document.get("disassociate"):
            attached.remove(number)
        elif number not in self.objects.get(other, {}):
            raise Refused(400, {"msg": "Not found."})
        elif number == one["id"] and other == plural:
            raise Refused(400, {"Error": "Cycle detected."})
        else:
            attached.append(number)
        return 204, None

    def _page(self, request: Request, found: list[dict[str, Any]]) -> dict[str, Any]:
        number = int(request.query.get("page", 1))
        rest = {**request.query, "page": str(number + 1)}
        more = len(found) > number * PAGE
        following = f"{request.path}?{'&'.join(f'{k}={v}' for k, v in rest.items())}" if more else None
        return {
            "count": len(found),
            "next": following,
            "previous": None,
            "results": found[(number - 1) * PAGE : number * PAGE],
        }

    def _filtered(self, request: Request, found: list[dict[str, Any]], kind: Kind) -> list[dict[str, Any]]:
        either = {name.removeprefix("or__"): value for name, value in request.query.items() if name.startswith("or__")}
        every = {
            name: value
            for name, value in request.query.items()
            if not name.startswith("or__") and name not in ("page", "page_size")
        }
        for name in (*either, *every):
            if name not in {"id", "type", "organization", *kind.fields}:
                raise Refused(400, {"detail": f"{kind.type} has no field named '{name}'"})
        return [
            one
            for one in found
            if all(str(one.get(name)) == value for name, value in every.items())
            and (not either or any(str(one.get(name)) == value for name, value in either.items()))
        ]

    def _unified(self) -> list[dict[str, Any]]:
        return [self._shown(plural, one) for plural in UNIFIED for one in self.objects[plural].values()]

    # Objects

    def _store(self, plural: str, fields: dict[str, Any]) -> dict[str, Any]:
        self.ids += 1
        self.objects[plural][self.ids] = one = {"id": self.ids, **copy.deepcopy(fields)}
        return one

    def _create(self, plural: str, given: dict[str, Any]) -> dict[str, Any]:
        kind = KINDS[plural]
        missing = [name for name in kind.required if given.get(name) in (None, "")]
        if missing:
            raise Refused(400, {name: ["This field is required."] for name in missing})
        fields = {**kind.fields, **{name: value for name, value in given.items() if name in kind.fields}}
        self._validate(plural, {"id": 0, **fields})
        return self._store(plural, fields)

    def _change(self, plural: str, one: dict[str, Any], given: dict[str, Any]) -> None:
        if one.get("namespace"):
            raise Refused(403, {"detail": "Modifications not allowed for managed credential types"})
        new = {**one, **{name: value for name, value in given.items() if name in KINDS[plural].fields}}
        self._validate(plural, new)
        one.update(copy.deepcopy(new))

    def _validate(self, plural: str, new: dict[str, Any]) -> None:
        kind = KINDS[plural]
        for name, default in kind.fields.items():
            if new[name] is None and default is not None:
                raise wrong(**{name: "This field may not be null."})
            if isinstance(default, bool) and not isinstance(new[name], bool):
                raise wrong(**{name: "Must be a valid boolean."})
            if isinstance(default, str) and not isinstance(new[name], str):
                raise wrong(**{name: "Not a valid string."})
        for name, choices in kind.choices.items():
            if new[name] not in choices:
                raise wrong(**{name: f'"{new[name]}" is not a valid choice.'})
        for name, other in kind.references.items():
            there = self.objects.get(other) or {one["id"]: one for one in self._unified()}
            if new[name] is not None and new[name] not in there:
                raise wrong(**{name: f'Invalid pk "{new[name]}" - object does not exist.'})
        if kind.unique and any(
            one["id"] != new["id"] and all(one.get(name) == new.get(name) for name in kind.unique)
            for one in self.objects[plural].values()
        ):
            raise Refused(400, {"__all__": [f"{kind.type} with this {' and '.join(kind.unique)} already exists."]})
        check = getattr(self, f"_validate_{plural}", None)
        if check:
            check(new)

    def _validate_credential_types(self, new: dict[str, Any]) -> None:
        if new["kind"] not in ("cloud", "net"):
            raise wrong(kind=f"Must be 'cloud' or 'net', not {new['kind']}")
        credential_type(new["inputs"], new["injectors"])

    def _validate_inventory_sources(self, new: dict[str, Any]) -> None:
        if new["source"] == "scm" and not new["source_project"]:
            raise wrong(source_project="Project required for scm type sources.")

    def _validate_job_templates(self, new: dict[str, Any]) -> None:
        if new["project"] is None:
            raise wrong(project="This field is required.")
        if not new["playbook"]:
            raise wrong(playbook="Must select playbook for project.")
        if new["playbook"] not in self.playbooks:
            raise wrong(playbook="Playbook not found for project.")
        if new["inventory"] is None and not new["ask_inventory_on_launch"]:
            raise wrong(inventory="You must either set a default value or ask to prompt on launch.")
        if new["extra_vars"]:
            json.loads(new["extra_vars"])

    def _validate_workflow_job_template_nodes(self, new: dict[str, Any]) -> None:
        if not new["identifier"]:
            raise wrong(identifier="This field may not be blank.")
        self._prompts(new)

    def _validate_schedules(self, new: dict[str, Any]) -> None:
        rule(new["rrule"])
        self._prompts(new)

    def _prompts(self, new: dict[str, Any]) -> None:
        """Answers are those of the template's survey, unless it asks for any variables."""
        if new["unified_job_template"] is None:
            return
        template = next(one for one in self._unified() if one["id"] == new["unified_job_template"])
        questions = {
            one["variable"]: one
            for one in self.surveys.get((f"{template['type']}s", template["id"]), {}).get("spec", [])
            if template.get("survey_enabled")
        }
        others = sorted(set(new["extra_data"]) - set(questions))
        if others and not template.get("ask_variables_on_launch"):
            raise wrong(extra_vars=f"Variables {', '.join(others)} are not allowed on launch.")
        problems = [
            answer_problem(questions[name], value) for name, value in new["extra_data"].items() if name in questions
        ]
        if any(problems):
            raise Refused(400, {"variables_needed_to_start": [problem for problem in problems if problem]})

    def _shown(self, plural: str, one: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.prefix}v2/{plural}/{one['id']}/"
        shown = {**copy.deepcopy(one), "type": KINDS[plural].type, "url": url, "summary_fields": {}}
        related = {name: f"{url}{name}/" for name in KINDS[plural].lists}
        match plural:
            case "job_templates" | "workflow_job_templates":
                related["survey_spec"] = f"{url}survey_spec/"
            case "projects":
                shown["scm_revision"] = "e21dd0a0933fd544d1fe2513c54fe41203775eb5"
                related["update"] = f"{url}update/"
                shown["summary_fields"]["current_update"] = {"id": one["id"], "status": "pending"}
            case "credential_types":
                shown["managed"] = bool(one.get("namespace"))
            case name if name == NODES:
                related["create_approval_template"] = f"{url}create_approval_template/"
                if (number := one["unified_job_template"]) is not None:
                    related["unified_job_template"] = next(u["url"] for u in self._unified() if u["id"] == number)
        if plural == "job_templates":
            # Not written: that of the project.
            shown["organization"] = self.objects["projects"][one["project"]]["organization"]
        return {**shown, "related": related}


def survey(given: Any) -> dict[str, Any]:
    """A survey_spec as AWX stores it. Refused with AWX's messages (JobTemplateSurveySpec._validate_spec_data)."""

    def refused(message: str) -> Refused:
        return Refused(400, {"error": message})

    for name, kind, label in (("name", str, "string"), ("description", str, "string"), ("spec", list, "list of items")):
        if name not in given:
            raise refused(f"Field '{name}' is missing from survey spec.")
        if not isinstance(given[name], kind):
            raise refused(f"Expected {label} for field '{name}', received {type(given[name]).__name__} type.")
    if not given["spec"]:
        raise refused("'spec' doesn't contain any items.")
    types = {"text": str, "textarea": str, "password": str, "multiplechoice": str, "multiselect": str, "integer": int}
    types["float"] = (float, int)  # type: ignore[assignment]
    seen = set()
    for number, one in enumerate(given["spec"]):
        for name in ("type", "question_name", "variable", "required"):
            if name not in one:
                raise refused(f"'{name}' missing from survey question {number}")
            if not isinstance(one[name], bool if name == "required" else str):
                raise refused(f"'{name}' in survey question {number} expected to be of another type.")
        if one["variable"] in seen:
            raise refused(f"'variable' '{one['variable']}' duplicated in survey question {number}.")
        seen.add(one["variable"])
        if one["type"] not in types:
            raise refused(f"'{one['type']}' in survey question {number} is not one of the allowed question types.")
        default = one.get("default", "")
        if default != "" and not isinstance(default, types[one["type"]]):
            raise refused(f"Default value {default} in survey question {number} expected to be {one['type']}.")
        for name in ("min", "max"):
            if one.get(name) is not None and not isinstance(one[name], int):
                raise refused(f"The {name} limit in survey question {number} expected to be integer.")
        if one["type"] in ("multiselect", "multiplechoice"):
            if "choices" not in one:
                raise refused(f"Survey question {number} of type {one['type']} must specify choices.")
            chosen = [line for line in default.splitlines() if line.strip()]
            if one["type"] == "multiplechoice" and len(chosen) > 1:
                raise refused("Multiple Choice (Single Select) can only have one default value.")
            if any(item not in one["choices"] for item in chosen):
                raise refused("Default choice must be answered from the choices listed.")
        if str(default).startswith("$encrypted$"):
            raise refused(f"$encrypted$ is a reserved keyword, may not be used for new default in position {number}.")
    stored = copy.deepcopy(given)
    for one in stored["spec"]:
        if one["type"] == "password" and "default" in one:
            one["default"] = "$encrypted$" if one["default"] else ""
    return stored


def answer_problem(question: dict[str, Any], value: Any) -> str:
    """What AWX says about an answer; "" where it takes it (SurveyJobTemplateMixin._survey_element_validation)."""
    name, low, high = question["variable"], question.get("min"), question.get("max")
    match question["type"]:
        case "text" | "textarea" | "password":
            if not isinstance(value, str):
                return f"Value {value} for '{name}' expected to be a string."
            size: float = len(value)
        case "integer" | "float" as kind:
            if type(value) not in ((int,) if kind == "integer" else (int, float)):
                wanted = "an integer" if kind == "integer" else "a numeric type"
                return f"Value {value} for '{name}' expected to be {wanted}."
            size = value
        case "multiplechoice":
            choices = question["choices"]
            return "" if value in choices else f"Value {value} for '{name}' expected to be one of {choices}."
        case _:
            if not isinstance(value, list):
                return f"'{name}' value is expected to be a list."
            odd = [item for item in value if item not in question["choices"]]
            return f"Value {odd[0]} for '{name}' expected to be one of {question['choices']}." if odd else ""
    if low not in ("", None) and size < int(low):
        return f"'{name}' value {value} is too small (must be at least {low})."
    if high not in ("", None) and size > int(high):
        return f"'{name}' value {value} is too large (must be no more than {high})."
    return ""


def credential_type(inputs: dict[str, Any], injectors: dict[str, Any]) -> None:
    """Refused with AWX's messages (CredentialTypeInputField, CredentialTypeInjectorField)."""
    known = {
        "id",
        "label",
        "type",
        "format",
        "choices",
        "help_text",
        "multiline",
        "secret",
        "ask_at_runtime",
        "default",
    }
    if unknown := set(inputs) - {"fields", "required"}:
        raise wrong(inputs=f"Additional properties are not allowed ({', '.join(sorted(unknown))})")
    ids = []
    for one in inputs.get("fields", []):
        if unknown := set(one) - known:
            raise wrong(inputs=f"Additional properties are not allowed ({', '.join(sorted(unknown))})")
        if not {"id", "label"} <= set(one):
            raise wrong(inputs="'id' and 'label' are required properties")
        if not re.fullmatch(r"[a-zA-Z_]\w*", one["id"]) or one["id"] in ("tower", *ids):
            raise wrong(inputs=f"{one['id']} is an invalid variable name")
        one.setdefault("type", "string")
        if one["type"] not in ("string", "boolean") or one.get("format", "url") not in ("url", "ssh_private_key"):
            raise wrong(inputs=f"{one['id']} is of an unknown type or format")
        if one["type"] != "string" and {"choices", "multiline", "format", "secret"} & set(one):
            raise wrong(inputs=f"secret not allowed for {one['type']} type ({one['id']})")
        ids.append(one["id"])
    if unknown := set(injectors) - {"file", "env", "extra_vars"}:
        raise wrong(injectors=f"Additional properties are not allowed ({', '.join(sorted(unknown))})")
    for name in injectors.get("env", {}):
        if name.startswith("ANSIBLE_") or name in ("PATH", "PYTHONPATH", "VIRTUAL_ENV"):
            raise wrong(injectors=f"Environment variable {name} is not allowed to be used in credentials.")
    names = {name.partition(".")[2]: "EXAMPLE_FILENAME" for name in injectors.get("file", {})}
    namespace = {**dict.fromkeys(ids, "EXAMPLE"), "tower": {"filename": names or jinja2.StrictUndefined()}}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    for injected in injectors.values():
        for name, template in injected.items():
            try:
                environment.from_string(template).render(namespace)
            except jinja2.UndefinedError as error:
                raise wrong(injectors=f"{name} uses an undefined field ({error})") from None


def rule(text: str) -> None:
    """Refused with AWX's messages (SchedulePreviewSerializer.validate_rrule)."""
    starts = re.findall(r"DTSTART(?:;[^:]+)?:[0-9]+T[0-9]+Z?", text)
    if len(starts) != 1 or not re.match(r"DTSTART(;TZID=[^:]+:[0-9]+T[0-9]+|:[0-9]+T[0-9]+Z) ", text):
        raise wrong(rrule="Valid DTSTART required in rrule. Value should start with: DTSTART:YYYYMMDDTHHMMSSZ")
    rules = re.findall(r"RRULE:(\S*)", text)
    if not rules:
        raise wrong(rrule="One or more rule required in rrule.")
    for one in rules:
        parts = dict(part.partition("=")[::2] for part in one.split(";"))
        if "INTERVAL" not in parts:
            raise wrong(rrule=f"INTERVAL required in rrule: {one}")
        if parts.get("FREQ") not in ("MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
            raise wrong(rrule=f"rrule parsing failed validation: {one}")
