# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The collector role's variables, read, and the load that they expect of the samplers. Pure: no I/O, no Ansible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.components import (
    Config,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.exporters import (
    Exporter,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import (
    Ceiling,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import (
    MEBIBYTE,
    QUANTITY_REMEDY,
    go_mem_limit,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory import images
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import (
    Place,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import (
    Reader,
    container_memory,
    text,
    usable,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import (
    BYTES_PER_QUEUED_SPAN,
    GOMEMLIMIT,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.load import kept_spans, queued_spans
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import (
    COLLECTOR,
    MIN_COLLECTOR,
    dotted,
    minor,
)


class CollectorVariables(Reader):
    """Reads the collector's variables, all of which are required."""

    def written(self, name: str) -> str:
        """Of a kind that another method looks after, the text that goes into the configuration."""
        return usable("", text, self._variables.get(name))

    def is_mapping(self, name: str) -> bool:
        return isinstance(self._variables.get(name), Mapping)

    def shares(self, name: str) -> dict[str, int]:
        """Percentages by name; text that reads as a whole number is one."""
        return {
            str(key): int(value) if isinstance(value, str) and value.strip().isdecimal() else value
            for key, value in self.mapping(name).items()
        }

    def routes(self, name: str) -> list[str]:
        routes = self.listing(name, str)
        for index, route in enumerate(routes):
            if not route.startswith("/"):
                self.wrong(Place(name).item(index), f"is '{route}', not a route", f"Begin it with a slash: /{route}.")
        return routes

    def image(self) -> Config:
        """The chart's section image."""
        variables = self._variables
        for name in ("collector_image_repository", "collector_image_tag"):
            if name not in variables:
                self.wrong(name, "is not defined")
        found = [*images.problems(variables, "collector"), *images.pull_secret_problems(variables, "collector")]
        self.findings += found
        if found or not {"collector_image_repository", "collector_image_tag"} <= variables.keys():
            return {}
        self._version(variables["collector_image_tag"])
        return {
            **images.image_values(variables, "collector"),
            "pullPolicy": "IfNotPresent",
            "pullSecrets": images.pull_secrets(variables, "collector"),
        }

    def _version(self, tag: Any) -> None:
        """A tag that does not name a version is not judged."""
        name, version, tested = "collector_image_tag", images.tagged_version(tag), minor(COLLECTOR)
        remedy = f"Use a tag of {dotted(tested)}, such as {COLLECTOR}."
        if version and version < MIN_COLLECTOR:
            self.wrong(
                name,
                f"is {tag}, older than {dotted(MIN_COLLECTOR)}",
                remedy,
                "it does not have the component names of the role's configuration, such as load_balancing, and refuses "
                "to start",
            )
        elif version and version != tested:
            self.doubtful(
                name, f"is {tag}, but the role's configuration is that of {dotted(tested)}, the only one tested", remedy
            )

    def tier(self, tier: str) -> tuple[dict[str, Any], int]:
        """Replicas, resources and GOMEMLIMIT of a tier, and how many spans its queue may hold."""
        values, size = self.limited(f"collector_{tier}_resources")
        return {
            "replicas": self.integer(f"collector_{tier}_replicas", minimum=1),
            **values,
        }, size // BYTES_PER_QUEUED_SPAN

    def limited(self, name: str) -> tuple[dict[str, Any], int]:
        """Resources and the GOMEMLIMIT for them, and the memory limit, which is required, in bytes."""
        resources = self.resources(name)
        try:
            size = container_memory(resources, "limits")
        except ValueError:
            limits = resources.get("limits") or {}
            if self.is_mapping(name) and isinstance(limits, Mapping) and "memory" not in limits:
                self.wrong(
                    Place(name).key("limits").key("memory"),
                    "is missing",
                    QUANTITY_REMEDY,
                    "GOMEMLIMIT and the sizes of the queues are derived from it",
                )
            size = MEBIBYTE
        return {"resources": resources, "goMemLimit": go_mem_limit(size, GOMEMLIMIT)}, size


def plain_number(number: float) -> float:
    """As the configuration has it: 10 instead of 10.0."""
    return int(number) if number.is_integer() else number


@dataclass(frozen=True, slots=True)
class SamplerLoad:
    """What is expected of the platform, and what the samplers keep of it."""

    samplers: int
    traces: float  # per second, over the platform
    spans_per_trace: float
    bytes_per_span: float
    ceiling: Ceiling
    kept: float  # spans per second, over the platform
    outage_minutes: float

    @classmethod
    def of(cls, read: CollectorVariables, samplers: int) -> SamplerLoad:
        traces = read.number("tracing_expected_traces_per_second", minimum=0.001)
        spans = read.number("tracing_expected_spans_per_trace", minimum=1)
        size = read.number("tracing_expected_bytes_per_span", minimum=1)
        ceiling = Ceiling(
            spans=read.integer("collector_max_total_spans_per_second"),
            size=read.integer("collector_max_total_bytes_per_second"),
            shares=read.shares("collector_rate_allocation"),
            samplers=samplers,
        )
        percentage = read.number("tracing_expected_kept_percentage", maximum=100)
        kept = kept_spans(traces, spans, size, percentage, ceiling.spans, ceiling.size)
        return cls(samplers, traces, spans, size, ceiling, kept, read.number("collector_outage_minutes"))

    def waiting(self, one: Exporter) -> int:
        """Spans that a sampler keeps while that destination is away."""
        unsampled = self.traces * self.spans_per_trace * one.share / 100
        return queued_spans(self.kept if one.traces == "kept" else unsampled, self.samplers, self.outage_minutes)
