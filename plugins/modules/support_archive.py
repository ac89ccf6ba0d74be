#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: support_archive
short_description: Write an archive about the tracing platform, without secrets, to attach to an issue
version_added: 0.1.0
description:
  - Writes a C(.tar.gz) with versions, the variables of this collection's roles, release history, the ConfigMaps of
    releases, workloads and pods, events, logs, metrics of the collectors and Tempo, and what O(documents) adds.
  - >-
    Secrets are replaced by C(<removed>). Looked for are the values of all Secrets of the namespaces, also where they
    are quoted, escaped, or encoded in base64 or for a URL; secret variables of the roles, and variables that are
    encrypted one by one with ansible-vault; values whose names announce a secret; and private keys, Authorization
    headers, bearer tokens, JSON Web Tokens, AWS keys, signed URLs, passwords in URLs and tokens of well-known services.
  - Secret objects are never part of it. Values shorter than six characters are not looked for.
  - C(manifest.json) in it lists the files, what was removed, by number, and what is missing, with the reason.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
    details: Nothing is read or written.
  diff_mode:
    support: none
options:
  path:
    description: The archive. Only its owner may read it. A file that is there is replaced.
    type: path
    required: true
  namespaces:
    description: Namespaces with releases of the platform, all of whose pods are part of it.
    type: list
    elements: str
    default: [tracing]
  log_lines:
    description: Number of lines of the log of each container, counted from its end.
    type: int
    default: 500
  max_bytes:
    description: Bytes of all files together before they are packed. What would exceed them is left out, and named.
    type: int
    default: 52428800
  timeout:
    description: Time limit for reading, as a Go duration. What was not read by then is left out, and named.
    type: str
    default: 3m
  documents:
    description: More files of the archive, text or data by name, such as C(status.json).
    type: dict
    default: {}
  variables:
    description: Variables of each role. The action plugin gives all that are not secret.
    type: dict
    default: {}
  secret_values:
    description: Values that are to be removed. The action plugin adds the secret variables of the roles.
    type: list
    elements: str
    default: []
  versions:
    description: Versions by name. The action plugin gives those of the controller.
    type: dict
    default: {}
  binary_path:
    description: The helm whose version is reported.
    type: str
    default: helm
    aliases: [helm_binary]
  progress_file:
    description: File to which progress is appended. The action plugin sets it.
    type: path
notes:
  - Read an archive before you send it to somebody. No list of patterns finds every secret.
  - Requires the verbs C(list) and C(get) on what is part of it, and C(get) on C(pods/log) and C(pods/proxy). Each may
    be missing. Without C(list) on Secrets, their values are not known; only what looks like a secret is removed then.
seealso:
  - module: orion.tracing.platform_info
"""

EXAMPLES = r"""
- name: Write an archive for support
  orion.tracing.support_archive:
    path: tracing-support.tar.gz
    namespaces: [tracing]
"""

RETURN = r"""
archive:
  description: The archive.
  returned: success
  type: str
bytes:
  description: Its size. 0 in check mode.
  returned: success
  type: int
manifest:
  description: >-
    C(files) with their sizes by path, C(removed) with the number of values by kind, C(missing) with C(what) and C(why),
    and the numbers of secret values that were looked for and that were too short for it. Empty in check mode.
  returned: success
  type: dict
msg:
  description: One sentence.
  returned: success
  type: str
api_calls:
  description: Number of requests made to the API server.
  returned: success
  type: int
"""

import os
import platform
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.common.process import run_process
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.kube import credentials
from ansible_collections.orion.tracing.plugins.module_utils.module.base import SECRETS, TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.module.files import check_folders
from ansible_collections.orion.tracing.plugins.module_utils.module.progress import progress
from ansible_collections.orion.tracing.plugins.module_utils.status.archive import ArchiveLimits, Collector, write
from ansible_collections.orion.tracing.plugins.module_utils.status.removal import OF_VARIABLES, Removal

ARGUMENTS: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True},
    "namespaces": {"type": "list", "elements": "str", "default": ["tracing"]},
    "log_lines": {"type": "int", "default": 500},
    "max_bytes": {"type": "int", "default": 50 * 2**20},
    "timeout": {"type": "str", "default": "3m"},
    "documents": {"type": "dict", "default": {}},
    "variables": {"type": "dict", "default": {}},
    "secret_values": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "versions": {"type": "dict", "default": {}},
    "binary_path": {"type": "str", "default": "helm", "aliases": ["helm_binary"]},
    "progress_file": {"type": "path"},
}


class ArchiveModule(TracingModule):
    """What goes into the archive is shown nowhere before secrets are removed from it."""

    HIDDEN_OPTIONS = ("variables", "documents", "secret_values")


def helm_version(binary: str) -> str:
    """What helm says of itself, or why it does not."""
    try:
        answer = run_process([binary, "version", "--short"], os.environ, "", 20.0)
    except (OSError, TracingError) as error:
        return str(error)
    return (answer.out or answer.err).strip()[:200]


def fill(collector: Collector, params: dict[str, Any]) -> None:
    """Everything that is not of the cluster."""
    versions = {**params["versions"], "module's Python": platform.python_version()}
    collector.add("versions.json", {**versions, "helm": helm_version(params["binary_path"])})
    for role, values in sorted(params["variables"].items()):
        # A kubeconfig as a value is secret in many ways.
        shown = {
            name: "<removed>" if name == "tracing_kubeconfig" and credentials.is_content(value) else value
            for name, value in values.items()
        }
        collector.add(f"variables/{role}.json", shown)
    for name, content in sorted(params["documents"].items()):
        collector.add(name, content)


def main() -> None:
    module = ArchiveModule(ARGUMENTS, supports_check_mode=True)
    params = dict(module.params)
    with module.guard():
        check_folders(params, ("path",))
        try:
            seconds = duration_seconds(params["timeout"])
        except ValueError as error:
            raise InvalidInput(f"option timeout: {error}", remedy="Write a duration such as 3m.") from error
        for option in ("log_lines", "max_bytes"):
            if params[option] < 1:
                raise InvalidInput(f"option {option} is {params[option]}", remedy="Write a number from 1.")
        for name in params["documents"]:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise InvalidInput(
                    f"option documents: {name} is not a path in the archive", remedy="Write a file name."
                )
    if module.check_mode:
        message = f"{params['path']} would be written."
        module.exit_json(changed=True, archive=params["path"], bytes=0, manifest={}, msg=message, api_calls=0)
    show, clock, removal = progress(params), Clock(), Removal()
    limits = ArchiveLimits(params["log_lines"], params["max_bytes"])
    collector = Collector(removal, limits, Deadline(clock, seconds), show)
    with module.client() as kube:
        show("Secrets, whose values will be removed")
        inherited = [os.environ.get(name, "") for name in SECRETS]
        own = credentials.secrets_of(params["kubeconfig"]) if credentials.is_content(params["kubeconfig"]) else set()
        answers = collector.learn(kube, params["namespaces"])
        for value in (*params["secret_values"], *inherited, *own, params["api_key"] or ""):
            removal.learn(value, OF_VARIABLES)
        removal.learn_named(params["variables"])
        fill(collector, params)
        if answers:
            collector.cluster(kube, params["namespaces"])
        about = {"created": clock.timestamp(), "namespaces": params["namespaces"]}
        manifest = collector.contents.manifest(removal, about)
        size = write(params["path"], collector.contents, manifest)
    removed = sum(manifest["removed"].values())
    message = f"{params['path']} has {len(manifest['files'])} files; {removed} secret values were removed from them."
    if manifest["missing"]:
        message += f" {len(manifest['missing'])} things are missing, see manifest.json in it."
    module.exit_json(
        changed=True, archive=params["path"], bytes=size, manifest=manifest, msg=message, api_calls=kube.calls
    )


if __name__ == "__main__":
    main()
