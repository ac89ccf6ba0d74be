# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The status page: what was read as plain data, what is down and what is near a limit. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import rfc3339
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import inside
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import MEBIBYTE, memory_bytes
from ansible_collections.orion.tracing.plugins.module_utils.helm.ownership import OWNER_ANNOTATION
from ansible_collections.orion.tracing.plugins.module_utils.helm.release import DEPLOYED
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import boolean, number, usable
from ansible_collections.orion.tracing.plugins.module_utils.proof import prometheus_text as text
from ansible_collections.orion.tracing.plugins.module_utils.status import rates
from ansible_collections.orion.tracing.plugins.module_utils.status.reading import StatusFacts, component
from ansible_collections.orion.tracing.plugins.module_utils.tempo.settings import FRONT

# Near a limit: from this share of it on.
NEAR = 0.8
OK, LIMIT, DOWN = "ok", "limit", "down"
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
PROBE = "trace-probe"
# Resident memory of a process, by component.
MEMORY = {"tempo": "process_resident_memory_bytes"}
COLLECTOR_MEMORY = "otelcol_process_memory_rss"
PASSED, FAILED, UNKNOWN = "passed", "failed", "unknown"


@dataclass(frozen=True)
class StatusSettings:
    """variables: those of the roles tempo and collector and of the plan, {} for none. now: in UTC. certificate_days:
    how many days before its end a certificate is near it. last: the time range of Prometheus, seconds: its length."""

    variables: Mapping[str, Any]
    now: datetime
    certificate_days: int = 30
    last: str = "1h"
    seconds: float = 3600.0


def page(facts: StatusFacts, settings: StatusSettings) -> dict[str, Any]:
    """The whole page. state: "down" where something does not work, else "limit" where something is near a limit, else
    "ok". What could not be read is null, and in unreadable with its reason."""
    pods = [pod for pod in facts.lists.get("Pod") or [] if "deletionTimestamp" not in pod["metadata"]]
    parts = {pod["metadata"]["name"]: component(pod) for pod in pods if component(pod)}
    measured = _measured(facts, parts, settings)
    cost, no_cost = rates.cost(settings.variables, measured)
    unreadable = [*facts.unreadable, *([("cost per day", no_cost)] if no_cost else [])]
    found: dict[str, Any] = {
        "kubernetes": facts.kubernetes,
        "time": rfc3339(settings.now),
        "releases": None if facts.releases is None else [_release(one, facts.components) for one in facts.releases],
        "workloads": _workloads(facts, pods),
        "queues": list(_queues(facts.metrics)),
        "memory": list(_memory(facts.metrics, pods)),
        "volumes": _volumes(facts.volumes),
        "autoscalers": _autoscalers(facts.lists.get("HorizontalPodAutoscaler"), facts.components),
        "load": measured.result(),
        "cost_per_day": cost,
        "bucket_bytes": _bucket(facts.metrics, parts),
        "probe": _probe(facts, measured, settings.now),
        "certificates": [one.result(settings.now) for one in sorted(facts.ends, key=lambda one: one.not_after)],
        "unreadable": merged(unreadable),
    }
    found["down"] = list(_down(found, settings))
    found["limits"] = list(_limits(found, measured, settings))
    found["state"] = DOWN if found["down"] else LIMIT if found["limits"] else OK
    return found


def merged(unreadable: list[tuple[str, str]]) -> list[dict[str, str]]:
    """What could not be read for the same reason is one entry: its names, and why."""
    by_reason: dict[str, list[str]] = {}
    for what, why in unreadable:
        by_reason.setdefault(why, []).append(what)
    return [{"what": ", ".join(names), "why": why} for why, names in by_reason.items()]


def _release(entry: Mapping[str, Any], components: Mapping[str, str]) -> dict[str, Any]:
    names = ("name", "namespace", "revision", "status", "chart", "chart_version", "app_version", "updated")
    return {"component": components[entry["name"]], **{name: entry[name] for name in names}}


def _workloads(facts: StatusFacts, pods: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Of our releases, by kind and name. restarts, last_termination and images: null where pods could not be listed."""
    found = []
    if all(facts.lists.get(kind) is None for kind in WORKLOADS):
        return None
    for kind in WORKLOADS:
        for item in facts.lists.get(kind) or []:
            release = (item["metadata"].get("annotations") or {}).get(OWNER_ANNOTATION, "")
            if release not in facts.components:
                continue
            status = item.get("status") or {}
            if kind == "DaemonSet":
                wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
            else:
                wanted, ready = inside(item, "spec", "replicas"), status.get("readyReplicas", 0)
            listed = facts.lists.get("Pod") is not None
            own = [pod for pod in pods if _selects(item, pod)]
            found.append(
                {
                    "release": release,
                    "kind": kind,
                    "name": item["metadata"]["name"],
                    "wanted": 1 if wanted is None else wanted,
                    "ready": ready,
                    "restarts": sum(_restarts(pod) for pod in own) if listed else None,
                    "last_termination": _last_termination(own) if listed else None,
                    "images": _images(own) if own else _images([inside(item, "spec", "template") or {}]),
                }
            )
    return found


def _selects(workload: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    wanted = inside(workload, "spec", "selector", "matchLabels") or {}
    labels = pod["metadata"].get("labels") or {}
    return bool(wanted) and all(labels.get(name) == value for name, value in wanted.items())


def _containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(inside(pod, "status", "containerStatuses") or [])


def _restarts(pod: Mapping[str, Any]) -> int:
    return sum(one.get("restartCount", 0) for one in _containers(pod))


def _last_termination(pods: list[dict[str, Any]]) -> str:
    """The newest one: reason, exit code and time. "" for none."""
    ended = [
        one
        for pod in pods
        for status in _containers(pod)
        if (one := inside(status, "lastState", "terminated")) is not None
    ]
    if not ended:
        return ""
    last = max(ended, key=lambda one: one.get("finishedAt") or "")
    return f"{last.get('reason') or 'unknown'} (exit code {last.get('exitCode')}) at {last.get('finishedAt') or '?'}"


def _images(pods: list[dict[str, Any]]) -> list[str]:
    return sorted({one["image"] for pod in pods for one in inside(pod, "spec", "containers") or [] if "image" in one})


def _queues(metrics: Mapping[str, text.Samples]) -> Iterator[dict[str, Any]]:
    """Of each exporter in each pod, in the unit in which its configuration counts."""
    for pod, samples in sorted(metrics.items()):
        for (name, pairs), capacity in sorted(samples.items(), key=lambda one: sorted(one[0][1])):
            if name != "otelcol_exporter_queue_capacity" or capacity <= 0:
                continue
            labels = dict(pairs)
            size = text.total(samples, "otelcol_exporter_queue_size", **labels)
            yield {
                "pod": pod,
                "exporter": labels.get("exporter", ""),
                "signal": labels.get("data_type", ""),
                "size": round(size),
                "capacity": round(capacity),
            }


def _memory(metrics: Mapping[str, text.Samples], pods: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for pod in pods:
        name = pod["metadata"]["name"]
        samples = metrics.get(name)
        if samples is None:
            continue
        metric = MEMORY.get(component(pod), COLLECTOR_MEMORY)
        if not text.has(samples, metric):
            continue
        containers = inside(pod, "spec", "containers") or []
        limits = [usable(0, memory_bytes, inside(one, "resources", "limits", "memory") or 0) for one in containers]
        yield {"pod": name, "bytes": round(text.total(samples, metric)), "limit": sum(limits) or None}


def _volumes(volumes: Mapping[str, tuple[int, int]] | None) -> list[dict[str, Any]] | None:
    if volumes is None:
        return None
    return [{"claim": name, "used": used, "capacity": size} for name, (used, size) in sorted(volumes.items())]


def _autoscalers(items: list[dict[str, Any]] | None, components: Mapping[str, str]) -> list[dict[str, Any]] | None:
    if items is None:
        return None
    return [
        {
            "name": item["metadata"]["name"],
            "replicas": inside(item, "status", "currentReplicas") or 0,
            "max": inside(item, "spec", "maxReplicas") or 0,
        }
        for item in items
        if (item["metadata"].get("annotations") or {}).get(OWNER_ANNOTATION, "") in components
    ]


def _bucket(metrics: Mapping[str, text.Samples], parts: Mapping[str, str]) -> int | None:
    """Bytes of blocks by the list that Tempo's pods keep; each of them has all tenants. None where no pod has one."""
    sizes = [
        text.total(samples, "tempodb_backend_bytes")
        for pod, samples in metrics.items()
        if parts.get(pod) == "tempo" and text.has(samples, "tempodb_backend_bytes")
    ]
    return round(max(sizes)) if sizes else None


def _measured(facts: StatusFacts, parts: Mapping[str, str], settings: StatusSettings) -> rates.Measured:
    metrics = {pod: samples for pod, samples in facts.metrics.items() if pod in parts}
    if facts.measured:
        by_part = {
            part: [samples for pod, samples in metrics.items() if parts[pod] == part]
            for part in ("gateway", "sampler", "tempo")
        }
        size = rates.span_size(rates.counted(by_part))
        by_prometheus = rates.of_prometheus(facts.measured, settings.last, settings.seconds, size)
        if by_prometheus.lost is not None:
            return by_prometheus
    collectors = {pod for pod, part in parts.items() if part != "tempo"}
    return rates.of_pods(metrics, parts, missing=bool(collectors - set(metrics)))


def _probe(facts: StatusFacts, measured: rates.Measured, now: datetime) -> dict[str, Any] | None:
    """Of the periodic probe: last_result of the newest run that ended. None where CronJobs cannot be listed."""
    jobs, listed = facts.lists.get("Job"), facts.lists.get("CronJob")
    if listed is None:
        return None
    found = next((item for item in listed if item["metadata"]["name"] == PROBE), None)
    figures = {
        "success": measured.probe.get("success"),
        "completeness": measured.probe.get("completeness"),
        "freshness_seconds": measured.probe.get("freshness"),
    }
    if found is None:
        return {"installed": False, **figures}
    ended = []
    for job in jobs or []:
        owners = job["metadata"].get("ownerReferences") or []
        if not any(one.get("kind") == "CronJob" and one.get("name") == PROBE for one in owners):
            continue
        for one in inside(job, "status", "conditions") or []:
            if one.get("status") == "True" and one.get("type") in ("Complete", "Failed"):
                result = PASSED if one["type"] == "Complete" else FAILED
                ended.append((one.get("lastTransitionTime") or "", result))
    at, result = max(ended, default=("", UNKNOWN))
    success = inside(found, "status", "lastSuccessfulTime") or ""
    return {
        "installed": True,
        "suspended": bool(inside(found, "spec", "suspend")),
        "schedule": inside(found, "spec", "schedule") or "",
        "last_scheduled": inside(found, "status", "lastScheduleTime") or "",
        "last_success": success,
        "last_success_seconds_ago": _seconds_ago(success, now),
        "last_result": result,
        "last_result_at": at,
        **figures,
    }


def _seconds_ago(moment: str, now: datetime) -> int | None:
    try:
        return round((now - datetime.fromisoformat(moment)).total_seconds())
    except ValueError:
        return None


def _required(v: Mapping[str, Any]) -> list[str]:
    found = ["otel-collector"]
    if v.get("tracing_store") == "tempo":
        found.insert(0, str(v.get("tempo_release_name") or FRONT))
    return [*found, *([PROBE] if usable(False, boolean, v.get("verify_probe_enabled", False)) else [])]


def _down(found: Mapping[str, Any], settings: StatusSettings) -> Iterator[str]:
    """What does not work."""
    if found["releases"] is not None:
        there = {one["name"] for one in found["releases"]}
        yield from (f"release {name} is not installed" for name in _required(settings.variables) if name not in there)
        for one in found["releases"]:
            if one["status"] != DEPLOYED:
                yield f"release {one['name']}, revision {one['revision']}, is {one['status']}"
    for one in found["workloads"] or []:
        if one["wanted"] and not one["ready"]:
            yield f"{one['kind']} {one['name']} has none of {one['wanted']} pods ready{_because(one)}"
    probe = found["probe"] or {}
    if probe.get("last_result") == FAILED:
        yield f"the last run of the periodic probe failed, at {probe['last_result_at']}"
    elif probe.get("success") is not None and probe["success"] < 1:
        yield "the periodic probe failed, by its metric orion_probe_success of the last hour"
    for one in found["certificates"]:
        if one["days_left"] < 0:
            yield f"the certificate of {one['where']} ended on {one['not_after']}"


def _because(workload: Mapping[str, Any]) -> str:
    return f"; last termination: {workload['last_termination']}" if workload["last_termination"] else ""


def _limits(found: Mapping[str, Any], measured: rates.Measured, settings: StatusSettings) -> Iterator[str]:
    """What still works, and is near a limit."""
    for one in found["workloads"] or []:
        if 0 < one["ready"] < one["wanted"]:
            yield f"{one['kind']} {one['name']} has {one['ready']} of {one['wanted']} pods ready{_because(one)}"
    for one in found["queues"]:
        if one["size"] >= NEAR * one["capacity"]:
            full = f"{_share(one['size'], one['capacity'])} full: {one['size']:,} of {one['capacity']:,}"
            yield f"the queue of {one['exporter']} ({one['signal']}) in pod {one['pod']} is {full}"
    for one in found["memory"]:
        if one["limit"] and one["bytes"] >= NEAR * one["limit"]:
            yield (
                f"pod {one['pod']} uses {_share(one['bytes'], one['limit'])} of its memory limit: "
                f"{one['bytes'] / MEBIBYTE:,.0f} of {one['limit'] / MEBIBYTE:,.0f} MiB"
            )
    for one in found["volumes"] or []:
        if one["used"] >= NEAR * one["capacity"]:
            yield f"the volume of claim {one['claim']} is {_share(one['used'], one['capacity'])} full"
    for one in found["autoscalers"] or []:
        if one["max"] and one["replicas"] >= one["max"]:
            yield f"HorizontalPodAutoscaler {one['name']} is at its maximum of {one['max']} replicas"
    yield from _ceilings(measured, settings.variables)
    for one in found["certificates"]:
        if 0 <= one["days_left"] < settings.certificate_days:
            yield f"the certificate of {one['where']} ends in {one['days_left']} days, on {one['not_after']}"
    if measured.recent:
        for place, count in (measured.lost or {}).items():
            if count:
                yield f"{count:,} lost in {measured.over}: {place}"
    if (found["probe"] or {}).get("suspended"):
        yield "the periodic probe is suspended"


def _ceilings(measured: rates.Measured, v: Mapping[str, Any]) -> Iterator[str]:
    spans, size = measured.kept_spans, measured.bytes_per_span
    for variable, rate in (
        ("collector_max_total_spans_per_second", spans),
        ("collector_max_total_bytes_per_second", None if spans is None or size is None else spans * size),
    ):
        ceiling = usable(0.0, number, v.get(variable) or 0)
        if rate is not None and ceiling > 0 and rate >= NEAR * ceiling:
            yield f"{_share(rate, ceiling)} of {variable} ({ceiling:,.0f}) are kept: {rate:,.0f} per second"


def _share(value: float, whole: float) -> str:
    return f"{100 * value / whole:.0f} %"
