# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The helm command: where it is, which version, its arguments, and its answers.

Arguments are lists, never a shell line. Values go through standard input, credentials through the environment; neither
ever appears among the arguments. Helm 3.18 or newer and Helm 4.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.errors import InvalidInput, TimedOut, ToolError
from ansible_collections.orion.tracing.plugins.module_utils.helm.chart import Chart, archive
from ansible_collections.orion.tracing.plugins.module_utils.helm.plan import Wanted
from ansible_collections.orion.tracing.plugins.module_utils.quantities import duration_seconds

OLDEST = (3, 18)
REMEDY = "Install it, or set binary_path (environment: HELM_BINARY, variable: tracing_helm_binary)."
# The version of helm is needed, but not a process of its own: this template makes the rendering say it.
VERSION_TEMPLATE = "templates/zz-orion-tracing-helm-version.yaml"
VERSION_MARK = "# rendered by helm "
VERSION_SOURCE = (VERSION_MARK + "{{ .Capabilities.HelmVersion.Version }}\n").encode()
VERSION = re.compile(r"v?(\d+)\.(\d+)(\.\d+)?\S*")
RENDER_SECONDS, PULL_SECONDS, GRACE_SECONDS = 180.0, 300.0, 10.0
# Inherited, these would send helm to another cluster or another kind of storage than the one this collection reads.
DROPPED = ("HELM_KUBE", "HELM_NAMESPACE", "HELM_DEBUG", "HELM_DRIVER")


@dataclass(frozen=True)
class Answer:
    """What a process left behind."""

    code: int
    out: str
    err: str


# argv, environment, standard input, seconds
Runner = Callable[[list[str], Mapping[str, str], str, float], Answer]


def run_process(argv: list[str], env: Mapping[str, str], stdin: str, seconds: float) -> Answer:
    """Run a program to its end. TimedOut after so many seconds: it is then asked to stop (SIGTERM), so that helm marks
    the release as failed, and killed 10 s later. OSError where it cannot be started."""
    # AnsibleModule.run_command knows no time limit.
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        argv, env=dict(env), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        out, err = process.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        process.terminate()
        try:
            process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        raise TimedOut(f"{argv[0]} {argv[1]} did not end within {seconds:.0f} s", "", "Raise timeout.") from error
    return Answer(process.returncode, out, err)


def seconds_of(duration: str) -> float:
    """Seconds of the option timeout, a Go duration, e.g. 5m, 1h30m, 90s. InvalidInput otherwise."""
    try:
        return duration_seconds(duration)
    except ValueError:
        remedy = "Write it as Go does, e.g. 90s, 5m or 1h30m."
        raise InvalidInput(f"timeout {duration} is not a duration", "", remedy) from None


@contextmanager
def environment(params: Mapping[str, Any], inherited: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The environment that leads helm to the cluster of the options kubeconfig, context, host, api_key, ca_cert and
    validate_certs. A kubeconfig that is a dictionary lies in a file of mode 0600 meanwhile."""
    env = {name: value for name, value in inherited.items() if not name.startswith(DROPPED)}
    source = params.get("kubeconfig")
    with tempfile.TemporaryDirectory(prefix="orion-tracing-") as folder:
        if params.get("host"):
            # An empty kubeconfig, so that nothing of the user's own mixes in.
            env["KUBECONFIG"] = os.devnull
            env["HELM_KUBEAPISERVER"] = params["host"]
            if params.get("api_key"):
                env["HELM_KUBETOKEN"] = params["api_key"]
        elif isinstance(source, dict):
            path = Path(folder) / "kubeconfig"
            path.touch(0o600)
            path.write_text(json.dumps(source))
            env["KUBECONFIG"] = str(path)
        elif source:
            env["KUBECONFIG"] = str(Path(source).expanduser())
        if params.get("context") and not params.get("host"):
            env["HELM_KUBECONTEXT"] = params["context"]
        if params.get("ca_cert"):
            env["HELM_KUBECAFILE"] = params["ca_cert"]
        if params.get("validate_certs") is False:
            env["HELM_KUBEINSECURE_SKIP_TLS_VERIFY"] = "true"
        yield env


class Helm:
    """A helm binary. processes counts those started; version is known after the first rendering."""

    def __init__(self, binary: str, env: Mapping[str, str], run: Runner = run_process) -> None:
        self.binary, self._env, self._run = binary, env, run
        self.processes = 0
        self.version = ""

    def render(self, wanted: Wanted, chart: Chart) -> dict[str, Any]:
        """The release document that an upgrade (or install) would store: Helm's own dry run of it, which reads from
        the API server (capabilities, lookup) and writes nothing. ToolError with Helm's message where it fails."""
        with _probe(chart) as package:
            answer = self._call(
                [*_upgrade(wanted, package), "--dry-run=server"], _stdin(wanted), RENDER_SECONDS, "rendering failed"
            )
        document = self._document(answer.out)
        self._require(document.get("manifest") or "")
        return document

    def template(
        self, wanted: Wanted, chart: Chart, kube_version: str, api_versions: list[str], is_upgrade: bool
    ) -> str:
        """The manifest, hooks included, rendered without the cluster, where Helm refuses a dry run of an upgrade."""
        with _probe(chart) as package:
            argv = ["template", wanted.name, package, "--namespace", wanted.namespace, "--values", "-"]
            argv += ["--kube-version", kube_version, *(["--is-upgrade"] if is_upgrade else [])]
            argv += [part for version in api_versions for part in ("--api-versions", version)]
            answer = self._call(argv, _stdin(wanted), RENDER_SECONDS, "rendering failed")
        self._require(answer.out)
        return answer.out

    def upgrade(self, wanted: Wanted) -> dict[str, Any]:
        """Install or upgrade; the release document as stored. ToolError with Helm's message where it fails."""
        argv = _upgrade(wanted, str(Path(wanted.chart_ref).expanduser()))
        if wanted.rollback_on_failure:
            argv.append("--rollback-on-failure" if self._major() >= 4 else "--atomic")
        return self._document(self._call(argv, _stdin(wanted), _guard(wanted), "the release failed").out)

    def uninstall(self, wanted: Wanted, wait: bool) -> None:
        argv = ["uninstall", wanted.name, "--namespace", wanted.namespace, "--timeout", wanted.timeout]
        answer = self._call([*argv, *_wait(wait)], "", _guard(wanted), "uninstalling failed")
        if "uninstalled" not in answer.out + answer.err:
            raise self._not_helm()

    def rollback(self, wanted: Wanted, revision: int, wait: bool) -> None:
        argv = ["rollback", wanted.name, str(revision), "--namespace", wanted.namespace, "--timeout", wanted.timeout]
        self._call([*argv, *_wait(wait), *_history(wanted)], "", _guard(wanted), "rolling back failed")

    def pull(self, argv_tail: list[str], env_extra: Mapping[str, str]) -> None:
        """Download a chart. ToolError with Helm's message where it cannot be had."""
        self._call(["pull", *argv_tail], "", PULL_SECONDS, "the chart cannot be had", env_extra)

    def repo_add(self, argv_tail: list[str], env_extra: Mapping[str, str], password: str) -> None:
        """Make a chart repository known, with the password from standard input."""
        self._call(["repo", "add", *argv_tail], password, PULL_SECONDS, "the repository cannot be read", env_extra)

    def _major(self) -> int:
        return int(VERSION.match(self.version)[1]) if VERSION.match(self.version) else OLDEST[0]  # type: ignore[index]

    def _call(
        self, argv: list[str], stdin: str, seconds: float, failed: str, env: Mapping[str, str] | None = None
    ) -> Answer:
        answer = self._start(argv, stdin, seconds, env)
        if answer.code:
            message = explain(answer.err or answer.out)
            if re.search(r"unknown (shorthand )?(flag|command)|invalid argument", message) or not message:
                self._require(VERSION_MARK + self._ask_version())
            raise ToolError(f"helm {argv[0]}: {failed}", message, helm_exit_code=answer.code)
        return answer

    def _start(self, argv: list[str], stdin: str, seconds: float, env: Mapping[str, str] | None = None) -> Answer:
        path = shutil.which(self.binary)
        if path is None:
            where = f"{self.binary} is not an executable file" if os.sep in self.binary else f"no {self.binary} on PATH"
            raise ToolError("helm is missing", where, f"Helm {_oldest()} or newer is needed. {REMEDY}")
        self.processes += 1
        try:
            return self._run([path, *argv], {**self._env, **(env or {})}, stdin, seconds)
        except OSError as error:
            raise ToolError(f"{path} cannot be started", str(error), REMEDY) from error

    def _ask_version(self) -> str:
        answer = self._start(["version", "--template", "{{.Version}}"], "", 20.0)
        return answer.out.strip() if answer.code == 0 else ""

    def _document(self, out: str) -> dict[str, Any]:
        # Helm 3 prints warnings of the API server before the document.
        start = out.find("{")
        try:
            document = json.loads(out[start:]) if start >= 0 else None
        except ValueError:
            document = None
        if not isinstance(document, dict) or "info" not in document:
            raise self._not_helm()
        return document

    def _require(self, rendered: str) -> None:
        found = re.search(re.escape(VERSION_MARK) + r"(\S+)", rendered)
        version = VERSION.fullmatch(found[1]) if found else None
        if version is None:
            raise self._not_helm()
        self.version = version[0]
        if (int(version[1]), int(version[2])) < OLDEST:
            raise ToolError(f"{self.binary} is helm {self.version}", f"helm {_oldest()} or newer is needed", REMEDY)

    def _not_helm(self) -> ToolError:
        return ToolError(f"{self.binary} does not answer as helm does", f"helm {_oldest()} or newer is needed", REMEDY)


def explain(err: str) -> str:
    """Helm's own error out of what it printed: from the line with Error on, without log lines."""
    lines = [line.rstrip() for line in err.splitlines() if line.strip()]
    start = next((number for number, line in enumerate(lines) if line.startswith("Error:")), None)
    if start is None:
        lines = [line for line in lines if not line.startswith(("WARNING", "level=", "time="))] or lines
        return "\n".join(lines[-10:])
    return "\n".join(lines[start:]).removeprefix("Error:").strip()


def _upgrade(wanted: Wanted, chart_path: str) -> list[str]:
    """The one builder for the dry run and for the real thing: what is shown is what is done. Flags of both majors."""
    argv = ["upgrade", wanted.name, chart_path, "--install", "--namespace", wanted.namespace, "--reset-values"]
    argv += ["--values", "-", "--output", "json", "--timeout", wanted.timeout, *_wait(wanted.wait), *_history(wanted)]
    return argv


def _wait(wait: bool) -> list[str]:
    return ["--wait"] if wait else []


def _history(wanted: Wanted) -> list[str]:
    return [] if wanted.history_max is None else ["--history-max", str(wanted.history_max)]


def _stdin(wanted: Wanted) -> str:
    return json.dumps(wanted.values)


def _guard(wanted: Wanted) -> float:
    """helm's timeout holds per operation (hooks before, objects, hooks after, rollback): it must end by itself."""
    return 4 * seconds_of(wanted.timeout) + 60.0


def _oldest() -> str:
    return ".".join(map(str, OLDEST))


@contextmanager
def _probe(chart: Chart) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="orion-tracing-") as folder:
        path = Path(folder) / "chart.tgz"
        path.write_bytes(archive(chart, {VERSION_TEMPLATE: VERSION_SOURCE}))
        yield str(path)
