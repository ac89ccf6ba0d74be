# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The queues in front of the destinations, in memory or on disk. Pure: no I/O, no Ansible."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.orion.tracing.plugins.module_utils.collector.components import (
    Config,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.exporters import (
    Exporter,
)
from ansible_collections.orion.tracing.plugins.module_utils.collector.variables import (
    CollectorVariables,
    SamplerLoad,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import (
    MEBIBYTE,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import (
    DISK_PER_BYTE,
    QUEUE_SHARE_OF_VOLUME,
)

# Where the chart mounts the samplers' volume.
QUEUE_DIRECTORY = "/var/lib/otelcol/file_storage"


# file_storage starts compaction at 100 MiB, and refuses to start where it may not grow so far.
MIN_VOLUME = 256 * MEBIBYTE


# Of each queue's file, at least.
MIN_QUEUE_FILE = 32 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Queues:
    """The queues in front of the destinations: the size of each in spans, by its name, and for those on disk, the
    extensions, by the same name, and the chart's volume.
    """

    sizes: dict[str, int]
    storages: dict[str, Config]
    volume: Config

    @classmethod
    def of(cls, read: CollectorVariables, load: SamplerLoad, in_memory: int, exporters: list[Exporter]) -> Queues:
        """On disk as large as the outage needs; in memory as large as memory allows (in_memory, in spans). What
        several have of the memory or of the volume is divided as their needs are.
        """
        written = read.written("collector_persistent_queue_volume_size")
        size = read.size("collector_persistent_queue_volume_size", minimum=MIN_VOLUME)
        volume = {
            "enabled": read.boolean("collector_persistent_queue_enabled"),
            "size": written,
            "storageClass": read.text("collector_persistent_queue_storage_class", empty=True),
        }
        needs = {one.name: load.waiting(one) for one in exporters}
        memory = {one.name: needs[one.name] for one in exporters if one.queue == "memory"}
        disk = {one.name: needs[one.name] for one in exporters if one.queue == "disk"}
        needed = sum(memory.values())
        if needed > in_memory:
            minutes = in_memory / needed * read.number("collector_outage_minutes")
            read.doubtful(
                "collector_outage_minutes",
                f"{_wanted(memory, load)}, but memory allows {in_memory}",
                "Set collector_persistent_queue_enabled, raise collector_sampler_resources, or lower it.",
                f"when a destination is unavailable for longer than {minutes:.1f} minutes at the expected rate, spans "
                "are lost",
            )
        sizes = {name: max(share, 1000) for name, share in _divide(in_memory, memory).items()}
        # Small platforms get what a burst of theirs may need.
        sizes |= {name: max(spans, 10000) for name, spans in disk.items()}
        if disk and MIN_VOLUME <= size < len(disk) * MIN_VOLUME:
            least = len(disk) * MIN_VOLUME // MEBIBYTE
            read.wrong(
                "collector_persistent_queue_volume_size",
                f"is {written}, but {len(disk)} queues need {least}Mi",
                f"Give {least}Mi or more.",
            )
        maximum = int(size * QUEUE_SHARE_OF_VOLUME)
        bytes_needed = sum(disk.values()) * load.bytes_per_span * DISK_PER_BYTE
        if bytes_needed > maximum:
            enough = math.ceil(bytes_needed / QUEUE_SHARE_OF_VOLUME / MEBIBYTE)
            read.doubtful(
                "collector_persistent_queue_volume_size",
                f"{_wanted(disk, load)}, {math.ceil(bytes_needed / MEBIBYTE)} MiB on disk, but {written} leaves "
                f"{maximum // MEBIBYTE} MiB for it",
                f"Raise it to {enough}Mi, or lower collector_outage_minutes.",
            )
        rest = _divide(maximum - len(disk) * MIN_QUEUE_FILE, {name: sizes[name] for name in disk})
        storages = {name: _file_storage(MIN_QUEUE_FILE + share) for name, share in rest.items()}
        return cls(sizes, storages, volume)


def _divide(whole: int, needs: Mapping[str, int]) -> dict[str, int]:
    """Parts of the whole as the needs are to each other."""
    total = sum(needs.values())
    return {name: whole * need // total if total else whole // len(needs) for name, need in needs.items()}


def _wanted(needs: Mapping[str, int], load: SamplerLoad) -> str:
    each = f" ({', '.join(f'{name} {need}' for name, need in needs.items())})" if len(needs) > 1 else ""
    queues = "queues" if len(needs) > 1 else "a queue"
    return (
        f"collector_outage_minutes asks for {queues} of {sum(needs.values())} spans{each} on each of {load.samplers} "
        "samplers"
    )


def _file_storage(maximum: int) -> Config:
    """maximum: bytes of the file, which is one for each queue."""
    compaction: Config = {"on_rebound": True, "directory": QUEUE_DIRECTORY, "cleanup_on_start": True}
    if maximum < MIN_VOLUME // 2:
        # At most max_size, says the extension, and 100 MiB unless it is told.
        compaction["rebound_needed_threshold_mib"] = maximum // MEBIBYTE // 2
    return {
        "directory": QUEUE_DIRECTORY,
        "create_directory": True,
        # Until the lock of a sampler that is being stopped is gone.
        "timeout": "10s",
        # A full volume would be an error of the file system in the midst of a write.
        "max_size": maximum,
        # What the process has written survives its end; only the node's own crash may cost the last seconds, and
        # the file, which recreate then replaces. fsync would bound the sampler by the disk's latency.
        "fsync": False,
        "recreate": True,
        "compaction": compaction,
    }
