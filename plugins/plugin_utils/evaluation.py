# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Evaluates variables of a play, each of them once.

Ansible evaluates a variable anew wherever another one names it, and compiles its template each time: a path that forty
variables begin with is compiled forty times, with the lookups in it. Here, the variables that a template names are
evaluated first and kept, so each template is compiled once. Jinja looks up all names of a template before it renders
it, those of branches that are not taken too, so nothing is evaluated that was not before.
"""

from __future__ import annotations

import contextlib
from collections import ChainMap
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.template import Templar, is_trusted_as_template
from jinja2 import Environment, TemplateError, meta


class Evaluator:
    """templar: Ansible's, of the plugin that asks. variables: all that templates may name."""

    def __init__(self, templar: Templar, variables: Mapping[str, Any]) -> None:
        self._templar, self._variables = templar, variables
        self._known: dict[str, Any] = {}
        self._under_way: set[str] = set()
        # For its grammar alone. Unknown filters are no errors to the parser.
        self._grammar = Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])

    def value(self, name: str, around: Mapping[str, Any] | None = None) -> Any:
        """The value of a variable. KeyError where there is none, AnsibleError where its template fails.

        around: variables that are set while this one is evaluated, such as role_path."""
        if name not in self._known:
            self._known[name] = self.template(self._variables[name], around)
        return self._known[name]

    def template(self, data: Any, around: Mapping[str, Any] | None = None) -> Any:
        """Data with the templates in it evaluated."""
        for name in sorted(set(self._needed(data))):
            self._prepare(name)
        return self._with(around).template(data)

    def holds(self, condition: Any, around: Mapping[str, Any] | None = None) -> bool:
        """Whether a condition (when) is true; of a list, all of them."""
        conditions = condition if isinstance(condition, list) else [condition]
        templar = self._with(around)
        return all(bool(templar.evaluate_conditional(one)) for one in conditions)

    def _with(self, around: Mapping[str, Any] | None) -> Templar:
        context: MutableMapping[str, Any] = ChainMap(dict(around or {}), dict(self._known), self._variables)  # type: ignore[arg-type]
        return self._templar.copy_with_new_env(available_variables=context)

    def _prepare(self, name: str) -> None:
        """What fails here fails again where it is used, with the message that belongs there."""
        if name in self._known or name in self._under_way or name not in self._variables:
            return
        if next(_templates(self._variables[name]), None) is None:
            return
        self._under_way.add(name)
        try:
            self.value(name)
        except AnsibleError:
            pass
        finally:
            self._under_way.discard(name)

    def _needed(self, data: Any) -> Iterator[str]:
        for text in _templates(data):
            with contextlib.suppress(TemplateError):  # Ansible names the error
                yield from meta.find_undeclared_variables(self._grammar.parse(text))


def _templates(data: Any) -> Iterator[str]:
    """The strings in it that Ansible evaluates."""
    if isinstance(data, str):
        if "{" in data and is_trusted_as_template(data):
            yield data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _templates(key)
            yield from _templates(value)
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from _templates(value)
