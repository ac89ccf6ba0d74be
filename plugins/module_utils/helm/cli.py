# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The helm command: where it is, which version, its arguments, and its answers.

What differs between the major versions is in FLAGS and nowhere else.

Arguments are lists, never a shell line. Values go through standard input, credentials through the environment; neither
ever appears among the arguments. Helm 3.18 or newer and Helm 4.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    Conflict,
    InvalidInput,
    PermissionDenied,
    ToolError,
    TracingError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.process import (
    VERSION,
    Answer,
    Interrupt,
    Runner,
    run_process,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.helm import documents
from ansible_collections.orion.tracing.plugins.module_utils.helm.chart import Chart, archive
from ansible_collections.orion.tracing.plugins.module_utils.helm.options import ReleaseOptions
from ansible_collections.orion.tracing.plugins.module_utils.helm.release import SSA, Release
from ansible_collections.orion.tracing.plugins.module_utils.kube.connection import resolve
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import MIN_HELM, dotted

REMEDY = "Install it, or set binary_path (environment: HELM_BINARY, variable: tracing_helm_binary)."
# The version of helm is needed, but not a process of its own: this template makes the rendering say it.
VERSION_TEMPLATE = "templates/zz-orion-tracing-helm-version.yaml"
VERSION_MARK = "# rendered by helm "
VERSION_SOURCE = (VERSION_MARK + "{{ .Capabilities.HelmVersion.Version }}\n").encode()
RENDER_SECONDS, PULL_SECONDS = 180.0, 300.0
# Flags by what they are for; None where that major has nothing like it. All other flags are those of both.
FLAGS: dict[int, dict[str, list[str] | None]] = {
    3: {"rollback_on_failure": ["--atomic"], "force_conflicts": None, "repair": []},
    4: {
        "rollback_on_failure": ["--rollback-on-failure"],
        "force_conflicts": ["--server-side=true", "--force-conflicts"],
        "repair": ["--force-conflicts"],
    },
}
LOG_LINES = 40
# Inherited, these would send helm to another cluster or another kind of storage than the one this collection reads.
DROPPED = ("K8S_AUTH_", "HELM_KUBE", "HELM_NAMESPACE", "HELM_DEBUG", "HELM_DRIVER")


class RaceLost(Conflict):
    """Another helm is working on the release. Nothing was written."""


class ServerLost(Unreachable):
    """The API server became unavailable while helm was running; the operation may be unfinished."""


RELEASE_COMMANDS = ("upgrade", "rollback", "uninstall", "test")  # those that talk to the API server
# Messages of helm whose cause is not the chart: error class, pattern, meaning, remedy.
# An admission webhook that refuses a connection is an object's trouble; the API server's own is tried again.
REASONS: list[tuple[type[TracingError], re.Pattern[str], str, str]] = [
    (
        RaceLost,
        re.compile(
            r"another operation \(install/upgrade/rollback\) is in progress"
            r'|secrets "sh\.helm\.release\.v1\.\S+" already exists'
            r"|release: already exists|cannot re-?use a name that is still in use"
        ),
        "another run is working on this release, or has just changed it",
        "Run again when it is done.",
    ),
    (
        Conflict,
        re.compile(r"because it is being terminated"),
        "the namespace is being deleted",
        "Wait until it is gone, then run again.",
    ),
    (
        InvalidInput,
        re.compile(r"(?i)(create|update): failed to \1.*(too long|request is too large|too large)"),
        "its record is too large for a Secret",
        "Keep files that no template reads out of the chart (.helmignore), or split the chart.",
    ),
    (
        Conflict,
        re.compile(r"conflicts? with \"|Apply failed with \d+ conflict"),
        "another field manager owns fields of its objects",
        "Set force_conflicts, or drift to repair, to take them over.",
    ),
    (
        Conflict,
        re.compile(r"exists and cannot be imported into the current release|invalid ownership metadata"),
        "objects of it exist already and do not belong to it",
        "Set take_ownership to true to take them over (check mode shows whose they are), or remove or rename them.",
    ),
    (
        PermissionDenied,
        re.compile(r"(?s)failed to install CRD .*is forbidden"),
        "its custom resource definitions may not be installed by this user",
        "Set skip_crds to true if they are installed already, or have them installed by a user who may.",
    ),
    (
        ServerLost,
        re.compile(
            r"(?is)^(?!.*webhook).*(connection refused|connection reset by peer|client connection lost|GOAWAY"
            r"|unexpected EOF|: EOF|TLS handshake timeout|cluster unreachable|unable to handle the request"
            r"|etcdserver: (leader changed|request timed)|apiserver (not ready|is shutting down)"
            r"|server is shutting down)"
        ),
        "the API server went away",
        "Check that it runs, then run again.",
    ),
]


Labels = Mapping[str, "str | None"]


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
    validate_certs, found as Kube.connect finds it. A kubeconfig that is a dictionary lies in a file of mode 0600
    meanwhile."""
    env = {name: value for name, value in inherited.items() if not name.startswith(DROPPED)}
    params = resolve(params, inherited).options
    source = params["kubeconfig"]
    with tempfile.TemporaryDirectory(prefix="orion-tracing-") as folder:
        if params["host"]:
            # An empty kubeconfig, so that nothing of the user's own mixes in.
            env["KUBECONFIG"] = os.devnull
            env["HELM_KUBEAPISERVER"] = params["host"]
            if params["api_key"]:
                env["HELM_KUBETOKEN"] = params["api_key"]
        elif isinstance(source, dict):
            path = Path(folder) / "kubeconfig"
            path.touch(0o600)
            path.write_text(json.dumps(source))
            env["KUBECONFIG"] = str(path)
        elif source:
            env["KUBECONFIG"] = str(Path(source).expanduser())
        if params["context"] and not params["host"]:
            env["HELM_KUBECONTEXT"] = params["context"]
        if params["ca_cert"]:
            env["HELM_KUBECAFILE"] = params["ca_cert"]
        if params["validate_certs"] is False:
            env["HELM_KUBEINSECURE_SKIP_TLS_VERIFY"] = "true"
        yield env


class Helm:
    """A helm binary. processes counts those started; version is known after the first rendering."""

    def __init__(self, binary: str, env: Mapping[str, str], run: Runner = run_process) -> None:
        self.binary, self._env, self._run = binary, env, run
        self.processes = 0
        self.version = ""

    def render(self, wanted: ReleaseOptions, chart: Chart, labels: Labels) -> dict[str, Any]:
        """The release document that an upgrade (or install) would store: Helm's own dry run of it, which reads from
        the API server (capabilities, lookup) and writes nothing. ToolError with Helm's message where it fails."""
        with _probe(chart) as package:
            argv = [*_upgrade(wanted, package, labels), "--dry-run=server"]
            answer = self._call(argv, _stdin(wanted), RENDER_SECONDS, "rendering failed")
        document = self._document(answer.out)
        self._learn(document.get("manifest") or "", wanted, 4 if document.get("apply_method") else 0)
        return document

    def template(
        self, wanted: ReleaseOptions, chart: Chart, kube_version: str, api_versions: list[str], is_upgrade: bool
    ) -> str:
        """The manifest, hooks included, rendered without the cluster, where Helm refuses a dry run of an upgrade."""
        with _probe(chart) as package:
            argv = ["template", wanted.name, package, "--namespace", wanted.namespace, "--values", "-"]
            argv += ["--kube-version", kube_version, *(["--is-upgrade"] if is_upgrade else [])]
            argv += [part for version in api_versions for part in ("--api-versions", version)]
            argv += _post_renderer(wanted)
            answer = self._call(argv, _stdin(wanted), RENDER_SECONDS, "rendering failed")
        self._learn(answer.out, wanted)
        return answer.out

    def upgrade(
        self,
        wanted: ReleaseOptions,
        chart: Chart,
        labels: Labels,
        force: bool = False,
        interrupt: Interrupt | None = None,
    ) -> dict[str, Any]:
        """Install or upgrade; the release document as stored. force: take over fields that others changed. interrupt:
        whether to stop, asked now and then; helm then marks the release as failed. TracingError with Helm's message
        where it fails."""
        argv = _upgrade(wanted, chart.path, labels)
        if wanted.rollback_on_failure:
            argv += self._flags("rollback_on_failure")
        argv += self._force(wanted, force)
        answer = self._call(argv, _stdin(wanted), _guard(wanted), "the release failed", interrupt=interrupt)
        return self._document(answer.out)

    def uninstall(self, wanted: ReleaseOptions, wait: bool) -> None:
        argv = ["uninstall", wanted.name, "--namespace", wanted.namespace, "--timeout", wanted.timeout]
        answer = self._call([*argv, *_wait(wait)], "", _guard(wanted), "uninstalling failed")
        if "uninstalled" not in answer.out + answer.err:
            raise self._not_helm()

    def rollback(
        self, wanted: ReleaseOptions, revision: int, wait: bool, repair: bool = False, force: bool = False
    ) -> None:
        """Bring back a revision. repair: put back what drifted from it, without hooks, which would migrate data back
        and forth. force: take over fields that others changed."""
        argv = ["rollback", wanted.name, str(revision), "--namespace", wanted.namespace, "--timeout", wanted.timeout]
        argv += [*_wait(wait, wanted.wait_for_jobs), *_history(wanted), *(["--no-hooks"] if repair else [])]
        self._call([*argv, *self._force(wanted, force)], "", _guard(wanted), "rolling back failed")

    def test(self, wanted: ReleaseOptions) -> list[dict[str, str]]:
        """Run the release's tests: name, phase and log of each. TracingError, with the same in its details as test,
        where one of them fails."""
        argv = ["test", wanted.name, "--namespace", wanted.namespace, "--timeout", wanted.timeout, "--logs"]
        answer = self._start(argv, "", _guard(wanted))
        tests = suites(answer.out)
        if answer.code:
            error = self._failure(argv, answer, "a test of the release failed")
            raise type(error)(error.what, error.why, error.remedy, test=tests, **error.details)
        return tests

    def verify(self, path: Path, keyring: Path) -> None:
        """Check the signature (.prov) beside a packaged chart. ToolError with Helm's message if it is not valid."""
        argv = ["verify", str(path), "--keyring", str(keyring)]
        self._call(argv, "", RENDER_SECONDS, f"the signature of {path.name} is not valid")

    def check(self, wanted: ReleaseOptions) -> None:
        """InvalidInput where this version of helm cannot do what is wanted."""
        self._force(wanted, False)

    def pull(self, argv_tail: list[str], env_extra: Mapping[str, str]) -> None:
        """Download a chart. ToolError with Helm's message if that fails."""
        self._call(["pull", *argv_tail], "", PULL_SECONDS, "the chart cannot be downloaded", env_extra)

    def repo_add(self, argv_tail: list[str], env_extra: Mapping[str, str], password: str) -> None:
        """Make a chart repository known, with the password from standard input."""
        self._call(["repo", "add", *argv_tail], password, PULL_SECONDS, "the repository cannot be read", env_extra)

    def applies_on_server(self, wanted: ReleaseOptions, latest: Release | None) -> bool:
        """Whether an upgrade applies objects on the server, where fields that others changed are conflicts: Helm 4 does
        for releases that it installed, and where force_conflicts asks for it; Helm 3 never does. Known after rendering:
        before, by the release alone."""
        found = VERSION.fullmatch(self.version)
        major = int(found[1]) if found else 0
        if latest is not None and latest.apply_method == SSA:
            return major != 3
        return (latest is None or wanted.force_conflicts) and major > 3

    def _major(self) -> int:
        if not self.version:
            self._require(VERSION_MARK + self._ask_version())
        return min(int(self.version.removeprefix("v").partition(".")[0]), max(FLAGS))

    def _flags(self, purpose: str) -> list[str]:
        flags = FLAGS[self._major()][purpose]
        if flags is None:
            raise InvalidInput(
                f"{purpose} is set, and {self.binary} is helm {self.version}",
                f"helm {max(FLAGS)} is needed for it",
                f"Drop {purpose}, or set binary_path.",
            )
        return flags

    def _force(self, wanted: ReleaseOptions, repair: bool) -> list[str]:
        if wanted.force_conflicts:
            return self._flags("force_conflicts")
        return self._flags("repair") if repair else []

    def _call(
        self,
        argv: list[str],
        stdin: str,
        seconds: float,
        failed: str,
        env: Mapping[str, str] | None = None,
        interrupt: Interrupt | None = None,
    ) -> Answer:
        answer = self._start(argv, stdin, seconds, env, interrupt)
        if answer.code:
            raise self._failure(argv, answer, failed)
        return answer

    def _failure(self, argv: list[str], answer: Answer, failed: str) -> TracingError:
        if answer.code < 0:
            why = f"it was killed by signal {-answer.code} ({_signal(-answer.code)})"
            remedy = "Find out what killed it. If the release is left pending, on_pending: rollback recovers it."
            return ToolError(f"helm {argv[0]}: {failed}", why, remedy, helm_exit_code=answer.code)
        message = explain(answer.err or answer.out)
        if re.search(r"unknown (shorthand )?(flag|command)|invalid argument", message) or not message:
            self._require(VERSION_MARK + self._ask_version())
        for kind, pattern, why, remedy in REASONS if argv[0] in RELEASE_COMMANDS else []:
            if pattern.search(message):
                what = f"helm {argv[0]}: {failed}, because {why}"
                return kind(what, message, remedy, helm_exit_code=answer.code)
        return ToolError(f"helm {argv[0]}: {failed}", message, helm_exit_code=answer.code)

    def _start(
        self,
        argv: list[str],
        stdin: str,
        seconds: float,
        env: Mapping[str, str] | None = None,
        interrupt: Interrupt | None = None,
    ) -> Answer:
        path = shutil.which(self.binary)
        if path is None:
            where = f"{self.binary} is not an executable file" if os.sep in self.binary else f"no {self.binary} on PATH"
            raise ToolError("helm is missing", where, f"Helm {_oldest()} or newer is needed. {REMEDY}")
        self.processes += 1
        try:
            return self._run([path, *argv], {**self._env, **(env or {})}, stdin, seconds, interrupt)
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

    def _learn(self, rendered: str, wanted: ReleaseOptions, major: int = 0) -> None:
        """The version, before anything is written, and whether it can do what is wanted. major: the least that it must
        be, where something else shows it."""
        if wanted.post_renderer and VERSION_MARK not in rendered:
            # A post-renderer may drop what holds no object; Helm 4 does so itself before it calls one.
            rendered = VERSION_MARK + (f"v{major}.0" if major else self._ask_version())
        self._require(rendered)
        self.check(wanted)

    def _require(self, rendered: str) -> None:
        found = re.search(re.escape(VERSION_MARK) + r"(\S+)", rendered)
        version = VERSION.fullmatch(found[1]) if found else None
        if version is None:
            raise self._not_helm()
        self.version = version[0]
        if (int(version[1]), int(version[2])) < MIN_HELM:
            raise ToolError(f"{self.binary} is helm {self.version}", f"helm {_oldest()} or newer is needed", REMEDY)

    def _not_helm(self) -> ToolError:
        return ToolError(f"{self.binary} does not behave like helm", f"helm {_oldest()} or newer is needed", REMEDY)


def explain(err: str) -> str:
    """Helm's own error out of what it printed: from the line with Error on, without log lines."""
    lines = [line.rstrip() for line in err.splitlines() if line.strip()]
    start = next((number for number, line in enumerate(lines) if line.startswith("Error:")), None)
    if start is None:
        lines = [line for line in lines if not line.startswith(("WARNING", "level=", "time="))] or lines
        return "\n".join(lines[-10:])
    return "\n".join(lines[start:]).removeprefix("Error:").strip()


def suites(out: str) -> list[dict[str, str]]:
    """The tests in what helm test --logs prints: name, phase (Succeeded, Failed, Running or Unknown) and the end of the
    log of each."""
    logs: dict[str, list[str]] = {}
    tests: list[dict[str, str]] = []
    lines: list[str] | None = None
    for line in out.splitlines():
        if line.startswith("POD LOGS:"):
            name = line.partition(":")[2].split()[0]  # Helm 4 names the container behind it
            lines = logs.setdefault(name, [])
        elif lines is not None:
            lines.append(line)
        elif line.startswith("TEST SUITE:") and line.split()[-1] != "None":
            tests.append({"name": line.split()[-1], "phase": "", "log": ""})
        elif line.startswith("Phase:") and tests:
            tests[-1]["phase"] = line.split()[-1]
    for test in tests:
        test["log"] = "\n".join(logs.get(test["name"], [])[-LOG_LINES:]).strip()
    return tests


def _upgrade(wanted: ReleaseOptions, chart_path: str, labels: Labels) -> list[str]:
    """The one builder for the dry run and for the real thing: what is shown is what is done. Flags of both majors."""
    argv = ["upgrade", wanted.name, chart_path, "--install", "--namespace", wanted.namespace, "--reset-values"]
    argv += ["--values", "-", "--output", "json", "--timeout", wanted.timeout]
    argv += [*_wait(wanted.wait, wanted.wait_for_jobs), *_history(wanted)]
    argv += ["--skip-crds"] if wanted.skip_crds else []
    argv += ["--take-ownership"] if wanted.take_ownership else []
    argv += [f"--description={wanted.description}"] if wanted.description else []
    argv += [f"--labels={name}={'null' if text is None else text}" for name, text in labels.items()]
    return argv + _post_renderer(wanted)


def _post_renderer(wanted: ReleaseOptions) -> list[str]:
    if not wanted.post_renderer:
        return []
    arguments = [f"--post-renderer-args={argument}" for argument in wanted.post_renderer_args]
    return [f"--post-renderer={wanted.post_renderer}", *arguments]


def _wait(wait: bool, jobs: bool = False) -> list[str]:
    return ["--wait", *(["--wait-for-jobs"] if jobs else [])] if wait else []


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _history(wanted: ReleaseOptions) -> list[str]:
    return [] if wanted.history_max is None else ["--history-max", str(wanted.history_max)]


def _stdin(wanted: ReleaseOptions) -> str:
    return documents.to_helm(wanted.values)


def _guard(wanted: ReleaseOptions) -> float:
    """helm's timeout holds per operation (hooks before, objects, hooks after, rollback): it must end by itself."""
    return 4 * seconds_of(wanted.timeout) + 60.0


def _oldest() -> str:
    return dotted(MIN_HELM)


@contextmanager
def _probe(chart: Chart) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="orion-tracing-") as folder:
        path = Path(folder) / "chart.tgz"
        path.write_bytes(archive(chart, {VERSION_TEMPLATE: VERSION_SOURCE}))
        yield str(path)
