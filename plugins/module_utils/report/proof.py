# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""A proof as the data of the page. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import rfc3339
from ansible_collections.orion.tracing.plugins.module_utils.proof.expectation import walk
from ansible_collections.orion.tracing.plugins.module_utils.proof.run import Evidence, Proof
from ansible_collections.orion.tracing.plugins.module_utils.report import page
from ansible_collections.orion.tracing.plugins.module_utils.report.trace import TraceRows, trace_rows

# Checks whose time is how fresh the store is.
FRESH = ("found by", "block objects", "recorded objects")


def proof_data(
    proof: Proof,
    evidence: Evidence,
    policies: list[Mapping[str, Any]],
    made: datetime,
    cluster: str,
    link: Callable[[TraceRows], str] = lambda trace: "",
    logs: Callable[[TraceRows], page.Data | None] = lambda trace: None,
    measured: tuple[page.Data | None, str] = (None, ""),
) -> page.Data:
    """policies: those of the samplers. made: now. cluster: version of Kubernetes. link: a trace's address in Grafana,
    '' for none. logs: its log records (see page.trace_data). measured: as measured.read gives it."""
    traces = [(label, trace_rows(trace_id, document)) for label, trace_id, document in evidence.traces]
    kept, sent = (sum(one[key] for one in evidence.outcomes) for key in ("kept", "sent"))
    passed = sum(check["passed"] for check in proof.checks)
    first = proof.first_trace_seconds
    tiles = [
        ("Checks passed", f"{passed} of {len(proof.checks)}", f"in {proof.seconds:.0f} s"),
        ("First trace read back", "never" if first is None else f"{first:.1f} s", "after it was sent"),
        ("Spans sent", f"{proof.sent['spans']:,}", f"in {proof.sent['requests']:,} requests"),
    ]
    if sent:
        tiles.insert(2, ("Traces kept", f"{kept:,} of {sent:,}", "of those that the proof sent"))
    found: page.Data = {
        "made": rfc3339(made),
        "title": "Proof of the tracing platform",
        "subtitle": " · ".join(
            [
                proof.started.replace("T", " ").replace("Z", " UTC"),
                evidence.store or "no store",
                f"run {proof.run}",
            ]
        ),
        "passed": proof.passed,
        "tiles": [{"name": name, "value": value, "note": note} for name, value, note in tiles],
        "checks": proof.checks,
        "notes": [*proof.notes, *([f"last seen: {proof.last_seen}"] if proof.last_seen else [])],
        "traces": [page.trace_data(trace, label, link(trace), logs(trace)) for label, trace in traces],
        "freshness": _freshness(proof),
        "versions": _versions(evidence, cluster),
    }
    graph, why_none = measured
    of_traces = page.graph_data([trace for _label, trace in traces])
    found["graphs"] = [one for one in (graph, of_traces) if one]
    if why_none:
        found["graph_note"] = why_none
    if evidence.outcomes:
        types = {policy["name"]: policy["type"] for policy in walk(policies)}
        found["sampling"] = {
            "cases": evidence.outcomes,
            "policies": [
                {"name": name, "type": types.get(name, ""), "traces": count}
                for name, count in sorted(proof.kept_by_policy.items(), key=lambda item: -item[1])
            ],
            "note": "Why: what the deployed policies make of each trace, by the simulator. A trace counts for every "
            "policy that decides about it.",
        }
    return found


def _freshness(proof: Proof) -> list[page.Data]:
    rows: list[page.Data] = [{"name": "first trace read back", "seconds": proof.first_trace_seconds, "note": ""}]
    for check in proof.checks:
        if check["name"].startswith(FRESH):
            seconds = check["seconds"] if check["passed"] else None
            rows.append({"name": check["name"], "seconds": seconds, "note": check["observed"]})
    return rows


def _versions(evidence: Evidence, cluster: str) -> list[page.Data]:
    rows = [("Kubernetes", cluster, "")]
    for component, images in evidence.images.items():
        rows += [(component, _tag(image), image) for image in images]
    return [{"name": name, "version": tag, "image": image} for name, tag, image in rows if tag or image]


def _tag(image: str) -> str:
    """repository:tag@digest → tag. A port may stand before the path."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2]
