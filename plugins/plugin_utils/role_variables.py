# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Variables of this collection's roles in the context of a play: evaluated, typed and checked.

A role's defaults are not visible outside of it, and its argument spec is checked only when it runs, without converting
anything. Here both are read from the role's files, so that every consumer sees the same values, whichever role runs.
The variables of the role tracing belong to every role. Values of the play win over defaults.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place, error
from ansible_collections.orion.tracing.plugins.module_utils.inventory.unknown import unknown_variables
from ansible_collections.orion.tracing.plugins.plugin_utils.evaluation import Evaluator

# Not resolved: the loader keeps files that Ansible has read with the role, by their path.
ROLES = Path(__file__).parents[2] / "roles"
MAIN = "main"
# The role whose variables every role has. Its spec has an entry point of its own, since one named main would add a task
# to every role.
SHARED, SHARED_ENTRY_POINT = "tracing", "variables"
# What playbooks leave as artefacts (set_stats). A workflow of AWX gives them to later jobs as extra variables.
# Source: https://github.com/ansible/awx, get_job_kwargs in awx/main/models/workflow.py
ARTIFACTS = frozenset({"tracing_plan", "tracing_status"})

_KINDS = {
    "bool": ("a boolean", "Give true or false."),
    "dict": ("a mapping", "Write it as {key: value}."),
    "float": ("a number", "Give a number."),
    "int": ("a whole number", "Give a whole number."),
    "list": ("a list", "Write it as [a, b]."),
    "path": ("a path", "Give a path."),
    "str": ("a string", "Give a string."),
}

# A template that is another variable and nothing else.
REPEATED = re.compile(r"\{\{ (?:lookup\('orion\.tracing\.role_variables', '\w+'\)\.)?([a-z]\w*) \}\}")

Options = Mapping[str, Mapping[str, Any]]
# The reader that is evaluating a template.
CURRENT: ContextVar[RoleVariables | None] = ContextVar("CURRENT", default=None)


@dataclass(frozen=True)
class Values:
    """values: of every variable, None for one without a value; what is wrong stays as it was written.
    findings: what is wrong. secret: names of variables that must not be logged. repeats: the variable that another's
    template only repeats, as tempo_retention repeats tracing_retention by default."""

    values: dict[str, Any]
    findings: list[Finding]
    secret: frozenset[str]
    repeats: dict[str, str]


class RoleVariables:
    """Reads the variables of roles for one play.

    variables: those of the play, as templates. templar, loader: Ansible's, of the plugin that asks.
    """

    def __init__(self, templar: Templar, loader: DataLoader, variables: Mapping[str, Any]) -> None:
        self._templar, self._loader, self._variables = templar, loader, variables

    def term(self, term: str) -> Values:
        """The variables of a role (verify), of an entry point of a role (verify.replay), or a variable."""
        role, _dot, entry_point = term.partition(".")
        return self.read(role, entry_point or MAIN) if role in roles() else self.one(term)

    def read(self, role: str, entry_point: str = MAIN) -> Values:
        """All variables of a role's entry point, and those that every role has. AnsibleError for an unknown name."""
        return self._read(role, {**self.shared(), **self.options(role, entry_point)})

    def one(self, name: str) -> Values:
        """A variable of whichever role has it. AnsibleError where none has."""
        role = self._role_of(name)
        options = self.options(role, MAIN) if role else {}
        if name not in options:
            raise AnsibleError(f"{name} is neither a role of this collection nor a variable of one.")
        return self._read(role, {name: options[name]})

    def options(self, role: str, entry_point: str = MAIN) -> Options:
        """The options of a role's argument spec, by name. AnsibleError for an unknown role or entry point."""
        specs = self._specs(role)
        if entry_point == MAIN and role == SHARED:
            entry_point = SHARED_ENTRY_POINT
        if entry_point not in specs:
            raise AnsibleError(f"The role {role} has no entry point {entry_point}. It has {', '.join(sorted(specs))}.")
        options: Options = specs[entry_point]["options"]
        return options

    def shared(self) -> Options:
        return self.options(SHARED)

    def secret(self) -> frozenset[str]:
        """Names of all variables of all roles that must not be shown."""
        specs = (self._specs(role).values() for role in roles())
        return frozenset(
            name for every in specs for one in every for name, option in one["options"].items() if option.get("no_log")
        )

    def raw(self, *asked: str) -> dict[str, Any]:
        """What decides about these roles, evaluated, but neither typed nor checked, and unknown names among it: the
        variables in their defaults, and those of the play that begin with their names. Faster than read(), since no
        argument spec is needed. AnsibleError where a template fails."""
        prefixes = tuple(f"{role}_" for role in (SHARED, *asked))
        found: dict[str, Any] = {}
        for role in (SHARED, *asked):
            for name in self._defaults(role):
                found[name] = self._raw(name, role)
        for name in self._variables:
            if name.startswith(prefixes) and name not in found:
                found[name] = self._raw(name, SHARED)
        return found

    def value(self, name: str) -> Any:
        """One variable of a role, evaluated, but neither typed nor checked."""
        return self._raw(name, self._role_of(name) or SHARED)

    @staticmethod
    def _role_of(name: str) -> str:
        """The role that the variable belongs to, by its prefix; empty where there is none."""
        return max((role for role in roles() if name.startswith(f"{role}_")), key=len, default="")

    def _raw(self, name: str, role: str) -> Any:
        with self._current():
            return self._evaluator.value(name, self._around(role))

    def evaluate(self, role: str, data: Any, registered: Mapping[str, Any] | None = None) -> Any:
        """Data of one of the role's tasks, as Ansible evaluates it there. registered: results of tasks before it."""
        with self._current():
            return self._evaluator.template(data, {**(registered or {}), **self._around(role)})

    def holds(self, role: str, when: Any, registered: Mapping[str, Any] | None = None) -> bool:
        """Whether the condition of one of the role's tasks is true."""
        with self._current():
            return self._evaluator.holds(when, {**(registered or {}), **self._around(role)})

    def tasks(self, role: str, file: str) -> list[Mapping[str, Any]]:
        """The tasks of a file of the role, as they are written."""
        loaded: Any = self._load(role, f"tasks/{file}.yml")
        return list(loaded)

    def unknown(self, *asked: str) -> list[Finding]:
        """Variables of the play that begin with the name of one of the roles, of one of their entry points or of the
        role tracing, and that no role has."""
        prefixes = {SHARED, *asked}.union(*(self._specs(role) for role in asked)) - {MAIN}
        every = [options["options"] for role in roles() for options in self._specs(role).values()]
        known = {name for options in every for name in options} | ARTIFACTS
        return unknown_variables(self._variables, known, prefixes)

    def _specs(self, role: str) -> Mapping[str, Any]:
        if role not in roles():
            raise AnsibleError(f"{role} is not a role of this collection. It has {', '.join(roles())}.")
        specs: Mapping[str, Any] = self._load(role, "meta/argument_specs.yml")["argument_specs"]
        return specs

    def _defaults(self, role: str) -> Mapping[str, Any]:
        return self._load(role, "defaults/main.yml")

    def _load(self, role: str, file: str) -> Mapping[str, Any]:
        loaded: Mapping[str, Any] = self._loader.load_from_file(
            str(ROLES / role / file), unsafe=True, trusted_as_template=True
        )
        return loaded

    def _read(self, role: str, options: Options) -> Values:
        around = self._around(role)
        defaults = {name: option["default"] for name, option in options.items() if "default" in option}
        values: dict[str, Any] = {}
        findings: list[Finding] = []
        for name, option in options.items():
            try:
                with self._current():
                    if name in self._context:
                        value = self._evaluator.value(name, around)
                    else:
                        # An entry point's: it is in no defaults/main.yml.
                        value = self._evaluator.template(defaults.get(name), around)
            except AnsibleError as problem:
                why = "its template needs a secret" if option.get("no_log") else " ".join(str(problem).split())
                findings.append(error(name, "cannot be evaluated", why=why))
                continue
            values[name], found = typed(name, option, value)
            findings += found
        secret = frozenset(name for name, option in options.items() if option.get("no_log"))
        written = {name: self._context.get(name, defaults.get(name)) for name in options}
        repeats = {n: match[1] for n, w in written.items() if isinstance(w, str) and (match := REPEATED.fullmatch(w))}
        return Values(values, findings, secret, repeats)

    @staticmethod
    def _around(role: str) -> dict[str, str]:
        return {"role_path": str(ROLES / role), "role_name": role}

    @contextmanager
    def _current(self) -> Iterator[None]:
        """The lookup role_variables inside of a template takes this reader, which has evaluated much already."""
        before = CURRENT.set(self)
        try:
            yield
        finally:
            CURRENT.reset(before)

    @cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator(self._templar, self._context)

    @cached_property
    def _context(self) -> Mapping[str, Any]:
        """What is true while a role runs, then the play's variables, then defaults of all roles, since a variable of
        one may name another's. Names belong to one role each."""
        context: dict[str, Any] = {}
        for role in roles():
            context.update(self._defaults(role))
        context.update(self._variables)
        for role in roles():
            if (ROLES / role / "vars/main.yml").is_file():
                context.update(self._load(role, "vars/main.yml"))
        return context


@cache
def roles() -> tuple[str, ...]:
    """Names of this collection's roles."""
    return tuple(sorted(path.parents[1].name for path in ROLES.glob("*/defaults/main.yml")))


def typed(name: str, option: Mapping[str, Any], value: Any) -> tuple[Any, list[Finding]]:
    """The value as its option has it, by Ansible's rules, or as it is with what is wrong about it.

    What is wrong never contains the value of an option with no_log.
    """
    if value is None and option.get("default") is None:
        return None, [error(name, "is not set", f"Set it to {_purpose(option)}")] if option.get("required") else []
    if isinstance(value, str) and option.get("type", "str") not in ("str", "path", "raw"):
        if not value.strip():
            return value, [_empty(name, option)]
        if option["type"] == "list" and option.get("elements") == "str":
            value = _items(value)
    if changed := list(_changed_by_conversion(Place(name), option, value)):
        return value, changed
    result = ArgumentSpecValidator({name: dict(option)}).validate({name: value})
    if not result.error_messages:
        return _as_written(option, result.validated_parameters[name], value), []
    return value, list(_problems(name, option, value, result.error_messages))


def _empty(name: str, option: Mapping[str, Any]) -> Finding:
    """An empty answer in a form, or -e name=. It is not taken for "not set": it hides the inventory's value, and is
    refused by Ansible when the role begins."""
    what, remedy = _KINDS[option["type"]]
    return error(
        name, f"is empty, not {what}", f"{remedy.rstrip('.')}, or leave it out: then the inventory's value holds."
    )


def _items(text: str) -> list[str]:
    """A list of strings given as text: one in each line, as forms have it, or with commas between them."""
    return [item for part in (text.splitlines() if "\n" in text.strip() else text.split(",")) if (item := part.strip())]


def _as_written(option: Mapping[str, Any], found: Any, written: Any) -> Any:
    """Without the keys that Ansible adds to dictionaries whose keys the spec lists, as null or with their default: an
    empty dictionary is not the same as one with every default."""
    options = option.get("options")
    if not options:
        return found
    if isinstance(found, list) and isinstance(written, list):
        return [_as_written(option, *both) for both in zip(found, written, strict=True)]
    if isinstance(found, dict) and isinstance(written, dict):
        return {key: _as_written(options[key], found[key], value) for key, value in written.items()}
    return found


def _problems(name: str, option: Mapping[str, Any], value: Any, messages: list[str]) -> Iterator[Finding]:
    what, remedy = _KINDS.get(option.get("type", "str"), ("a valid value", ""))
    written = "" if option.get("no_log") else " empty, which is" if value == "" else f" {value!r}, which is"
    if isinstance(value, {"dict": dict, "list": list}.get(option.get("type", "str"), ())):
        # Inside it, which Ansible's messages name.
        for message in dict.fromkeys(messages):
            yield error(name, message.rstrip("."))
    elif "choices" in option:
        choices = ", ".join(str(choice) or "''" for choice in option["choices"])
        yield error(name, f"is{written} not one of its choices", f"Choose from {choices}.")
    else:
        yield error(name, f"is{written} not {what}", remedy)


def _changed_by_conversion(place: Place, option: Mapping[str, Any], value: Any) -> Iterator[Finding]:
    """Values that Ansible's conversion would accept as something other than what was written.

    YAML reads 2.10 as the number 2.1 and off as false, so as text they are no longer what was written; a boolean is a
    number to Python; and a mapping's text is that of Python.
    """
    kind = option.get("type", "str")
    if kind in ("str", "path"):
        if isinstance(value, (bool, float)):
            yield error(
                place,
                f"is the {'boolean' if isinstance(value, bool) else 'number'} {value}, not a string",
                f'Quote it: {place.variable}: "{value}".' if not place.path else "Quote it.",
                "YAML does not keep what was written",
            )
        elif isinstance(value, (dict, list)):
            yield error(
                place, f"is a {'mapping' if isinstance(value, dict) else 'list'}, not a string", "Give a string."
            )
    elif kind in ("int", "float") and isinstance(value, bool):
        yield error(place, f"is {value}, not a number", "Give a number.")
    elif kind == "list" and isinstance(value, list):
        for index, item in enumerate(value):
            element = {"type": option.get("elements", "raw"), "options": option.get("options")}
            yield from _changed_by_conversion(place.item(index), element, item)
    elif kind == "dict" and isinstance(value, dict):
        for key, inner in (option.get("options") or {}).items():
            if value.get(key) is not None:
                yield from _changed_by_conversion(place.key(key), inner, value[key])


def _purpose(option: Mapping[str, Any]) -> str:
    description = option["description"]
    return description if isinstance(description, str) else description[0]


def merged(every: Iterable[Values]) -> Values:
    """Those of several roles as one; findings each once."""
    found = list(every)
    return Values(
        {name: value for one in found for name, value in one.values.items()},
        list(dict.fromkeys(finding for one in found for finding in one.findings)),
        frozenset().union(*(one.secret for one in found)),
        {name: other for one in found for name, other in one.repeats.items()},
    )
