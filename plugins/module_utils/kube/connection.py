# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Which cluster: that of the options, or that of the environment, never a mixture. Pure: no I/O, no Ansible.

kubeconfig, context, host and api_key choose a cluster and who asks. Where one of them is an option, no variable of the
environment counts. Where none is, the variables are taken for all that the options leave open: ca_cert and
validate_certs only say how the server is checked, so they go with either.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import boolean
from ansible_collections.orion.tracing.plugins.module_utils.kube import credentials

# Those that kubernetes.core's modules read, so that AWX credentials fit as they are.
VARIABLES = {
    "kubeconfig": "K8S_AUTH_KUBECONFIG",
    "context": "K8S_AUTH_CONTEXT",
    "host": "K8S_AUTH_HOST",
    "api_key": "K8S_AUTH_API_KEY",
    "ca_cert": "K8S_AUTH_SSL_CA_CERT",
    "validate_certs": "K8S_AUTH_VERIFY_SSL",
}
CHOOSING = ("kubeconfig", "context", "host", "api_key")


@dataclass(frozen=True)
class Connection:
    """options: all of VARIABLES, None for what is not given; kubeconfig is a path or a dictionary. variables: name →
    value of the environment variables that were used, fit to be shown: "" for a secret, and for one that proxies use.
    """

    options: Mapping[str, Any]
    variables: Mapping[str, str]

    @property
    def origin(self) -> str:
        """What the environment has a part in, as "K8S_AUTH_HOST=https://k8s.example and K8S_AUTH_API_KEY"; "" for
        nothing."""
        named = [f"{name}={value}" if value else name for name, value in self.variables.items()]
        return " and ".join(filter(None, [", ".join(named[:-1]), *named[-1:]]))


def resolve(given: Mapping[str, Any], environ: Mapping[str, str]) -> Connection:
    """The connection of options and environment. given: the options of VARIABLES among others; None and "" are not
    given. An empty variable does not exist. A kubeconfig given as text becomes a dictionary. InvalidInput where a token
    has no API server to go to, a boolean is not one, or a kubeconfig is neither a path nor a kubeconfig.
    """
    options = {name: None if given.get(name) == "" else given.get(name) for name in VARIABLES}
    shown: dict[str, str] = {}
    if all(options[name] is None for name in CHOOSING):
        for option, name in VARIABLES.items():
            value = environ.get(name, "")
            if value and options[option] is None:
                options[option] = _typed(option, name, value)
                shown[name] = _shown(option, value)
    if options["host"]:
        # An option that is not used must not be shown either.
        for option in ("kubeconfig", "context"):
            options[option] = None
            shown.pop(VARIABLES[option], None)
    elif options["api_key"]:
        name = VARIABLES["api_key"] if VARIABLES["api_key"] in shown else "api_key"
        raise InvalidInput(
            f"{name} is set without {VARIABLES['host'] if name != 'api_key' else 'host'}",
            "a token belongs to an API server, and a kubeconfig has its own",
            f"Set both, or unset {name}.",
        )
    elif not options["kubeconfig"] and environ.get("KUBECONFIG"):
        shown["KUBECONFIG"] = environ["KUBECONFIG"]
    if credentials.is_content(options["kubeconfig"]):
        options["kubeconfig"] = credentials.document(options["kubeconfig"])
    return Connection(options, shown)


def _typed(option: str, name: str, value: str) -> Any:
    if option == "validate_certs":
        try:
            return boolean(value)
        except ValueError as error:
            raise InvalidInput(f"{name} {error}") from error
    return os.path.expanduser(os.path.expandvars(value)) if option == "ca_cert" else value


def _shown(option: str, value: str) -> str:
    if option == "api_key" or (option == "kubeconfig" and credentials.is_content(value)):
        return ""
    if option != "host":
        return value
    # Without a password that it may hold.
    return value.replace(f"{urlsplit(value).netloc.rpartition('@')[0]}@", "") if "@" in value else value


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine itself: no proxy can lead there."""
    host = ""
    try:
        host = urlsplit(url).hostname or ""
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def proxy_variable(url: str, environ: Mapping[str, str]) -> str:
    """The variable of the environment whose proxy a request to a URL would go through by its scheme; "" for none."""
    scheme = urlsplit(url).scheme
    names = [name for one in (f"{scheme}_proxy", "all_proxy") for name in (one, one.upper())]
    return next((name for name in names if environ.get(name)), "")
