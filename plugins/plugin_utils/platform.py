# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The plan of the whole platform in one process, that of the task.

It is made where Ansible runs, with the same code as the modules: starting Python for a module, and packing and
importing what it needs, takes longer than everything that is asked. Hosts that are reached by another connection than
"local" have no plan; their roles find out themselves what they change, each in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.module.base import KUBE_OPTIONS
from ansible_collections.orion.tracing.plugins.module_utils.plan import record as records
from ansible_collections.orion.tracing.plugins.module_utils.plan.arguments import CONNECTION
from ansible_collections.orion.tracing.plugins.module_utils.plan.components import (
    BUCKET,
    WORKLOADS,
    Component,
    ComponentPlan,
    RoleCall,
    plan_bucket,
)
from ansible_collections.orion.tracing.plugins.module_utils.plan.run import (
    Planner,
    is_applied,
    namespaces_of,
    read_record,
    read_revisions,
)
from ansible_collections.orion.tracing.plugins.module_utils.s3.options import connection, s3_options
from ansible_collections.orion.tracing.plugins.plugin_utils.components import (
    COLLECTION,
    OF_THE_RUN,
    TASKS,
    RoleTasks,
    digest_of,
    portable,
)
from ansible_collections.orion.tracing.plugins.plugin_utils.role_variables import RoleVariables, merged

# Those by which the bucket is reached.
STORE_VARIABLES = tuple(f"object_storage_{option}" for option in s3_options())
# Component → module whose objects are looked at in every run.
ASKED = (("object_storage", BUCKET), ("instrumentation", WORKLOADS))


class BucketProcess:
    """Plans the bucket in a process of its own, because importing botocore takes as long as everything else together,
    and on another core it costs no time."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
        self._pool.submit(_import)
        self._plans: dict[str, Future[Any]] = {}

    def plan(self, options: Mapping[str, Any]) -> Future[Any]:
        """The bucket is read once for the same options."""
        key = records.canonical(options)
        if key not in self._plans:
            self._plans[key] = self._pool.submit(_plan_bucket, dict(options))
        return self._plans[key]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def result_of(future: Future[Any]) -> Plan:
    """TracingError where the bucket could not be planned."""
    found = future.result()
    if isinstance(found, Plan):
        return found
    what, why, remedy, details = found
    raise TracingError(what, why, remedy, **details)


def _import() -> None:
    import botocore.session  # noqa: F401 - the import is what takes time


def _plan_bucket(options: dict[str, Any]) -> Any:
    """An exception with arguments of its own does not come back whole from another process."""
    try:
        return plan_bucket(options)
    except TracingError as error:
        return error.what, error.why, error.remedy, error.details


class Platform:
    """What a run is about. names: of components. roles: those whose variables decide. read: the play's variables. host:
    its name in the inventory."""

    def __init__(self, names: Sequence[str], roles: Sequence[str], read: RoleVariables, host: str) -> None:
        self.names, self.roles, self.read, self.host = names, roles, read, host

    @cached_property
    def values(self) -> dict[str, Any]:
        """As they are evaluated."""
        asked = {*self.roles, *(TASKS[name][0] for name in self.names if name in TASKS)}
        found = self.read.raw(*sorted(asked))
        return {name: portable(name, value) for name, value in found.items() if name not in OF_THE_RUN}

    @cached_property
    def content(self) -> str:
        return digest_of(COLLECTION / "plugins", COLLECTION / "roles")

    @property
    def namespace(self) -> str:
        return str(self.read.value("tracing_namespace"))

    def where(self, kube: Kube) -> dict[str, str]:
        return {
            "host": self.host,
            "cluster": str(self.values["tracing_cluster_name"]),
            "namespace": self.namespace,
            "api_server": kube.host,
        }

    @property
    def instrumented(self) -> bool:
        return "instrumentation" in self.names and boolean(self.read.value("instrumentation_enabled"), strict=False)

    def inputs(self, served: Mapping[str, str], secret: Iterable[str]) -> records.AppliedInputs:
        return records.AppliedInputs(self.content, self.values, frozenset(secret), served, tuple(self.names))


@contextmanager
def connected(arguments: Mapping[str, Any]) -> Iterator[Kube]:
    """arguments: of the task."""
    kube = Kube.connect(connection_of(arguments))
    try:
        yield kube
    finally:
        kube.close()


def connection_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    checked = ArgumentSpecValidator(KUBE_OPTIONS).validate(
        {name: value for name, value in arguments.items() if name in CONNECTION}
    )
    found: dict[str, Any] = checked.validated_parameters
    return found


def served_by(kube: Kube, instrumented: bool) -> Any:
    """What instruments pods in the cluster (instrumentation.cluster.Modes), None where nothing is to."""
    if not instrumented:
        return None
    from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import cluster

    return cluster.read_modes(kube)


@dataclass(frozen=True)
class Applied:
    """What is in the cluster. record: None where none can be used. modes: as served_by has them."""

    record: records.AppliedRecord | None
    revisions: Mapping[str, int]
    modes: Any = None

    @property
    def served(self) -> dict[str, str]:
        return dict(self.modes.serves) if self.modes else {}

    @property
    def registered(self) -> dict[str, Any]:
        """The result that a task of the role instrumentation registers."""
        if not self.modes:
            return {}
        from ansible_collections.orion.tracing.plugins.module_utils.instrumentation import report

        return {"__instrumentation_cluster": {"modes": report.modes_result(self.modes)}}


def read_applied(kube: Kube, platform: Platform, bucket: BucketProcess | None = None) -> Applied:
    """At the same time: the record, the revisions of the releases, and what instruments pods. While these answers are
    under way, the variables are evaluated, which only one thread may do. bucket: begins to read what the record has as
    soon as it is there.
    """
    namespace, instrumented = platform.namespace, platform.instrumented
    store = {name: platform.read.value(name) for name in STORE_VARIABLES} if bucket else {}

    def recorded() -> records.AppliedRecord | None:
        record = read_record(kube, namespace)
        if bucket and record and (options := asked_again(store, record, BUCKET)) is not None:
            bucket.plan(options)
        return record

    with ThreadPoolExecutor(4) as pool:
        noted = pool.submit(recorded)
        deployed = pool.submit(read_revisions, kube, [namespace])
        modes = pool.submit(served_by, kube, instrumented)
        content = pool.submit(lambda: platform.content)
        _values = platform.values
        record, revisions, served = noted.result(), deployed.result(), modes.result()
        content.result()
    if others := set(namespaces_of(record)) - {namespace}:
        revisions |= read_revisions(kube, others)
    return Applied(record, revisions, served)


def is_recorded(platform: Platform, applied: Applied) -> bool:
    """Whether the record has these variables, and the releases are those that it has."""
    record = applied.record
    # Those that the record hides: argument specs take longer to read than all the rest, and a variable that has become
    # secret since, or that is new, differs from the record in any case.
    return record is not None and is_applied(record, platform.inputs(applied.served, record.hidden), applied.revisions)


def unchanged(
    kube: Kube, platform: Platform, applied: Applied, bucket: BucketProcess | None, say: Callable[[str], None]
) -> list[ComponentPlan] | None:
    """Plans that change nothing, of the components that are asked in every run, where everything else is known to be
    as it was applied; else None."""
    if applied.record is None or not is_recorded(platform, applied):
        return None
    asked = [
        Component(name, (RoleCall(module, options),))
        for name, module in ASKED
        if (options := asked_again(platform.values, applied.record, module)) is not None
    ]
    planned = make(kube, asked, {}, bucket, say)
    return None if any(one.changed for one in planned) else planned


def asked_again(values: Mapping[str, Any], record: records.AppliedRecord, module: str) -> dict[str, Any] | None:
    """The options of the module whose objects are looked at even where nothing has changed; None where it has none.
    values: of the play. The record does not have those by which the store is reached, since they hold secrets.
    """
    options = record.asked.get(module)
    if options is None:
        return None
    if module != BUCKET:
        return dict(options)
    checked = ArgumentSpecValidator(s3_options()).validate(connection(values))
    return {**options, **checked.validated_parameters}


def asked_in_every_run(components: Iterable[Component]) -> dict[str, dict[str, Any]]:
    """For the record: the options of calls whose objects are looked at even where nothing has changed, since others may
    have changed them."""
    left_out = s3_options()
    return {
        call.module: {name: value for name, value in call.options.items() if name not in left_out}
        for component in components
        for call in component.calls
        if call.module == BUCKET or (call.module == WORKLOADS and call.options["workloads"])
    }


def make(
    kube: Kube,
    components: Sequence[Component],
    arguments: Mapping[str, Any],
    bucket: BucketProcess | None,
    say: Callable[[str], None],
    drift: str = "ignore",
) -> list[ComponentPlan]:
    """The plans of components, made at the same time. TracingError that begins with the component's name."""
    futures = {
        id(call.options): bucket.plan(call.options)
        for component in components
        for call in component.calls
        if call.module == BUCKET and bucket
    }
    planner = Planner(kube, connection_of(arguments), say, drift, lambda options: result_of(futures[id(options)]))
    return planner.plan(components)


def components_of(platform: Platform, applied: Applied) -> list[Component]:
    tasks, registered = RoleTasks(platform.read), applied.registered
    return [tasks.component(name, registered) for name in platform.names]


def releases_of(kube: Kube, platform: Platform, applied: Applied, components: Iterable[Component]) -> dict[str, int]:
    """The revision of every release of the components, 0 where it is not installed."""
    releases = [call.release for component in components for call in component.calls if call.release]
    revisions = dict(applied.revisions)
    if others := {release.namespace for release in releases} - {platform.namespace}:
        revisions |= read_revisions(kube, others)
    return {str(release): revisions.get(str(release), 0) for release in releases}


def consequences(
    platform: Platform, applied: Applied, differ: Mapping[str, Any], say: Callable[[str], None]
) -> list[str]:
    """What the changed variables mean, in lines."""
    if applied.record is None or not differ:
        return []
    from ansible_collections.orion.tracing.plugins.module_utils.plan import consequences as meaning

    after = merged(map(platform.read.term, ("tempo", "collector", "preflight.plan"))).values
    before = {**after, **{name: applied.record.variables.get(name) for name in after if name in differ}}
    lines = meaning.of_cost(before, after) + meaning.of_samplers(before, after)
    if any(name.startswith(("collector_", "tracing_")) for name in differ):
        path = platform.read.term("collector.simulate").values.get("simulate_path") or ""
        lines += meaning.of_sampling(before, after, "" if path.startswith("s3://") else path, say)
    return lines


def record_of(
    platform: Platform,
    applied: Applied,
    components: Iterable[Component],
    releases: Mapping[str, int],
    advice: Sequence[str],
) -> records.AppliedRecord:
    """Of a run that has applied everything."""
    salt = applied.record.salt if applied.record else secrets.token_hex(16)
    inputs = platform.inputs(applied.served, platform.read.secret())
    return records.of_inputs(inputs, salt, releases, asked_in_every_run(components), advice)


def is_here(action: ActionBase, task_vars: Mapping[str, Any]) -> bool:
    """Whether modules of the task would run on this machine, as this user, with this Python."""
    if action._connection.transport != "local" or action._connection.become:
        return False
    interpreter = str(action._templar.template(task_vars.get("ansible_python_interpreter", sys.executable)))
    return interpreter.startswith("auto") or os.path.abspath(interpreter) == os.path.abspath(sys.executable)


@contextmanager
def environment(task: Any) -> Iterator[None]:
    """The task's environment, as a module would have it."""
    given: dict[str, str] = {}
    for one in task.environment or []:
        given |= {str(name): str(value) for name, value in (one or {}).items()}
    before = dict(os.environ)
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
