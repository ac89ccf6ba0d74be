# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The user's environment as `make` hands it on: without what bends a run, with what a run needs.

python -E -m tools.surroundings COMMAND… becomes the command in that environment. It needs Python's own library alone,
so that tools/bootstrap.sh can use it before there is more.

Kept is what says how this machine reaches the world and where things may lie: proxies and certificates, GOPROXY and its
kind, package indexes (PIP_*, UV_*), DOCKER_* (the user's engine may need them), XDG_*, ORION_*.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent / ".state/home"

# By prefix. The cluster, the store and the settings are those of the checkout and of inventories/local.
DROPPED = (
    "ANSIBLE_",
    "AWS_",
    "BASH_ENV",
    "CDPATH",
    "COVERAGE_",
    "GIT_",
    "HELM_",
    "K8S_AUTH_",
    "KIND_",
    "KUBE",
    "LANG",
    "LC_",
    "MAKEFLAGS",
    "MAKEOVERRIDES",
    "MFLAGS",
    "MOLECULE_",
    "MYPY",
    "OTEL_",
    "PYTEST_",
    "PYTHON",
    "RUFF_",
    "VIRTUAL_ENV",
    "YAMLLINT_",
)
# Of pip and uv, what changes which packages are installed and where, rather than where they come from
INSTALLATION = frozenset(
    {
        "PIP_DRY_RUN",
        "PIP_NO_BINARY",
        "PIP_NO_DEPS",
        "PIP_PREFIX",
        "PIP_PYTHON",
        "PIP_ROOT",
        "PIP_TARGET",
        "PIP_USER",
        "UV_NO_BINARY",
        "UV_PROJECT",
        "UV_PYTHON",
        "UV_SYSTEM_PYTHON",
        "UV_WORKING_DIR",
    }
)
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
# What is on this machine and inside a kind cluster: no proxy leads there.
NEAR = ("127.0.0.1", "localhost", "::1", "10.96.0.0/16", "10.244.0.0/16", ".svc", ".cluster.local")
# Images hold files that other users read. What is secret is written with a mode of its own.
UMASK = 0o022


def clean(environ: Mapping[str, str], fallback_home: Path = HOME) -> dict[str, str]:
    """The environment without what disturbs, and with a UTF-8 locale, HOME, PATH, and no proxy for what is near.

    fallback_home: for a user who has no home folder.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith(DROPPED) and name not in INSTALLATION}
    for name in ("TMPDIR", "TMP", "TEMP"):
        if name in kept and not _writable(kept[name]):
            del kept[name]
    if any(kept.get(name) or kept.get(name.upper()) for name in PROXIES):
        said = ",".join(filter(None, (kept.get("no_proxy"), kept.get("NO_PROXY"))))
        hosts = [host.strip() for host in said.split(",") if host.strip()]
        # Programs differ in which of the two they read.
        kept["no_proxy"] = kept["NO_PROXY"] = "*" if "*" in hosts else ",".join(dict.fromkeys([*hosts, *NEAR]))
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "HOME": _home(kept.get("HOME"), fallback_home),
        "PATH": kept.get("PATH") or os.defpath,
    }


def _writable(folder: str) -> bool:
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _home(named: str | None, fallback: Path) -> str:
    if named and os.path.isdir(named):
        return named
    try:
        known = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        known = ""
    return known if os.path.isdir(known) else str(fallback)


def main(argv: list[str]) -> None:
    os.umask(UMASK)
    os.execvpe(argv[0], argv, clean(os.environ, HOME))


if __name__ == "__main__":
    main(sys.argv[1:])
