# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The base of every module: connection options, one place that turns errors into fail_json, result handling."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.common.secrets import SHORTEST_SECRET
from ansible_collections.orion.tracing.plugins.module_utils.kube import credentials
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.kube.connection import VARIABLES

# Without fallbacks to the environment: those would be mixed with what is given. connection.py reads it, as a whole.
KUBE_OPTIONS: dict[str, dict[str, Any]] = {
    "kubeconfig": {"type": "raw"},
    "context": {"type": "str"},
    "host": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"]},
    "validate_certs": {"type": "bool", "aliases": ["verify_ssl"]},
}


# Variables of the environment whose values no result may show.
SECRETS = (VARIABLES["api_key"], "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
HIDDEN = "not shown: may hold secrets"


class TracingModule(AnsibleModule):
    """AnsibleModule with this collection's connection options (kube=True) and its way to fail and to finish.

    HIDDEN_OPTIONS: names of options, and their aliases, that neither results nor the log of invocations may show.
    """

    HIDDEN_OPTIONS: tuple[str, ...] = ()

    def __init__(self, argument_spec: dict[str, Any], kube: bool = True, **kwargs: Any) -> None:
        super().__init__(argument_spec={**(KUBE_OPTIONS if kube else {}), **argument_spec}, **kwargs)
        inherited = (os.environ.get(name, "") for name in SECRETS)
        self.no_log_values.update(text for text in inherited if len(text) >= SHORTEST_SECRET)
        if credentials.is_content(os.environ.get(VARIABLES["kubeconfig"])):
            self._learn(os.environ[VARIABLES["kubeconfig"]])

    def _log_invocation(self) -> None:
        given = dict(self.params)
        self._hide()
        super()._log_invocation()
        self.params.update(given)

    def _return_formatted(self, kwargs: dict[str, Any]) -> None:
        self._hide()
        super()._return_formatted(kwargs)

    def _hide(self) -> None:
        """Ansible repeats the options in results and logs. A kubeconfig that is a path may be named there."""
        if credentials.is_content(self.params.get("kubeconfig")):
            self._learn(self.params["kubeconfig"])
            self.params["kubeconfig"] = HIDDEN
        for name in self.HIDDEN_OPTIONS:
            if name in self.params:
                self.params[name] = HIDDEN

    def _learn(self, kubeconfig: Any) -> None:
        self.no_log_values.update(credentials.secrets_of(kubeconfig))

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn this collection's errors into fail_json."""
        try:
            yield
        except TracingError as error:
            self._fail(error)

    def _fail(self, error: TracingError, kube: Kube | None = None) -> None:
        message = str(error)
        if kube and kube.origin and kube.origin not in message:
            message += f" The environment chose the cluster {kube.host}: {kube.origin}."
        self.fail_json(msg=message, **error.details)

    @contextmanager
    def client(self) -> Iterator[Kube]:
        """A connection to the API server; errors inside the block become fail_json."""
        with self.guard():
            kube = Kube.connect(self.params)
        try:
            yield kube
        except TracingError as error:
            self._fail(error, kube)
        finally:
            kube.close()

    def exit(self, plan: Plan) -> None:
        """The same keys in every mode: changed, diff, steps, and the plan's result."""
        for warning in plan.warnings:
            self.warn(warning)
        self.exit_json(changed=plan.changed, diff=plan.diff, steps=[step.name for step in plan.steps], **plan.result)
