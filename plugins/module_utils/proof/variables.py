# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The variables of the periodic probe: what is wrong about them, and the values of its chart. Pure."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.inventory import images
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, error, errors, refuse
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import Reader, boolean, usable
from ansible_collections.orion.tracing.plugins.module_utils.kube.direct import Direct
from ansible_collections.orion.tracing.plugins.module_utils.proof.periodic import (
    GATEWAY,
    PUSH_SECONDS,
    PeriodicSettings,
    plan,
)
from ansible_collections.orion.tracing.plugins.module_utils.proof.readback import LAST_READ_SECONDS
from ansible_collections.orion.tracing.plugins.module_utils.proof.sender import OTLP_HTTP_PORT
from ansible_collections.orion.tracing.plugins.module_utils.store.readers import READERS, reader_of

ENABLED, PREFIX = "verify_probe_enabled", "verify_probe"
# Until the pod's image is there and Python has started.
START_SECONDS = 80.0
# minute, hour, day of the month, month, day of the week: the range of each, and the names of its values.
# Source: https://pkg.go.dev/github.com/robfig/cron/v3#hdr-CRON_Expression_Format, which Kubernetes uses
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_PART = re.compile(r"(?:[*?]|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_SCHEDULE_REMEDY = "Write five fields, such as '*/5 * * * *' for every five minutes."


def findings(v: Mapping[str, Any]) -> list[Finding]:
    """What is wrong. A variable that is not there has no finding, and a probe that is off has none."""
    if ENABLED not in v or usable(None, boolean, v[ENABLED]) is False:
        return []
    return [finding for finding in dict.fromkeys(_problems(v)) if finding.variable in v]


def chart_values(v: Mapping[str, Any], program: Mapping[str, str]) -> dict[str, Any]:
    """Values of roles/verify/files/chart.

    v: all variables of the roles verify and collector, and of the bucket. program: path → text of each file that the
    pod runs. Raises InvalidVariables with every error.
    """
    refuse("the periodic probe's variables", errors(_problems(v)))
    settings = _settings(v)
    timeout = duration_seconds(v["verify_probe_timeout"])
    return {
        "image": {**images.image_values(v, PREFIX), "pullSecrets": images.pull_secrets(v, PREFIX)},
        "schedule": v["verify_probe_schedule"].strip(),
        "deadlineSeconds": math.ceil(START_SECONDS + timeout + LAST_READ_SECONDS + PUSH_SECONDS),
        "resources": v["verify_probe_resources"],
        "program": dict(program),
        "settings": json.dumps(vars(settings), indent=2, ensure_ascii=False, sort_keys=True) + "\n",
    }


def schedule_problem(schedule: str) -> str:
    """What Kubernetes would refuse about a cron schedule, '' for nothing."""
    text = schedule.strip()
    if text.startswith("@"):
        every = text.removeprefix("@every ")
        known = text in _DESCRIPTORS or (every != text and usable(0.0, duration_seconds, every.strip()) > 0)
        return "" if known else f"is '{text}', which Kubernetes does not have"
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return f"is '{text}', which has {len(fields)} fields instead of {len(_FIELDS)}"
    for field, (name, low, high, names) in zip(fields, _FIELDS, strict=True):
        if not all(_fits(part, low, high, names) for part in field.split(",")):
            return f"is '{text}', whose {name} '{field}' is not from {low} to {high}"
    return ""


def _fits(part: str, low: int, high: int, names: Mapping[str, int]) -> bool:
    found = _PART.fullmatch(part)
    if not found or (found[3] is not None and int(found[3]) == 0):
        return False
    if found[1] is None:
        return True
    numbers = [names.get(one.lower(), int(one) if one.isdecimal() else -1) for one in (found[1], found[2]) if one]
    return all(low <= one <= high for one in numbers) and numbers == sorted(numbers)


def _problems(v: Mapping[str, Any]) -> list[Finding]:
    read = Reader(v)
    read.boolean(ENABLED)
    schedule = read.text("verify_probe_schedule")
    if read.sound("verify_probe_schedule") and (problem := schedule_problem(schedule)):
        read.wrong("verify_probe_schedule", problem, _SCHEDULE_REMEDY)
    read.duration("verify_probe_timeout", positive=True)
    read.resources("verify_probe_resources")
    for part in ("repository", "tag"):
        if (name := f"{PREFIX}_image_{part}") not in v:
            read.wrong(name, "is not defined")
    read.findings += [*images.problems(v, PREFIX), *images.pull_secret_problems(v, PREFIX)]
    if not usable(True, boolean, v.get("collector_metrics_enabled", True)):
        read.wrong(
            ENABLED,
            "needs gateways that take metrics, but collector_metrics_enabled is false",
            f"Set collector_metrics_enabled: true and collector_remote_write_url, or {ENABLED}: false.",
            "the gateways would refuse the probe's result",
        )
    if str(v.get("tracing_store_reader", "tempo")) not in READERS:
        read.wrong(
            ENABLED,
            f"needs a store to read from, but tracing_store_reader is {v['tracing_store_reader']}",
            f"Set tracing_store_reader to {' or '.join(READERS)}, or {ENABLED}: false.",
            "the probe could not read its traces back",
        )
    if not errors(read.findings):
        read.findings += _nothing_kept(v)
    return read.findings


def _nothing_kept(v: Mapping[str, Any]) -> list[Finding]:
    """Whether a run could expect anything in the store. What is wrong with other roles' variables is found there."""
    try:
        settings = _settings(v)
    except (InvalidInput, KeyError, TypeError, ValueError):
        return []
    try:
        plan(settings.probed(), "", time.time_ns())
    except InvalidInput as problem:
        return [error(ENABLED, f"would prove nothing: {problem.what}", problem.remedy, problem.why)]
    return []


def _settings(v: Mapping[str, Any]) -> PeriodicSettings:
    """What the pod gets. InvalidInput where the collectors' variables are wrong."""
    values = collector_values(v)[0]
    reader, port = v["tracing_store_reader"], int(v["tracing_store_port"] or 0)
    # Only for the reader's own defaults.
    store = reader_of(Direct(""), reader, v["tracing_store_namespace"], v["tracing_store_service"], port).endpoint
    return PeriodicSettings(
        gateway_url=f"http://{GATEWAY}.{v['tracing_namespace']}.svc:{OTLP_HTTP_PORT}",
        store_reader=reader,
        store_url=f"http://{store.service}.{store.namespace}.svc:{store.port}",
        tail_sampling=values["sampler"]["config"]["processors"]["tail_sampling"],
        gateway_processors=values["gateway"]["config"]["processors"],
        critical_route=next(iter(v["collector_critical_routes"]), ""),
        dropped_route=next(iter(v["collector_dropped_routes"]), ""),
        timeout=duration_seconds(v["verify_probe_timeout"]),
    )
