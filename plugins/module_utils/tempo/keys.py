# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What is wrong with the keys of a part of tempo.yaml, for the line of Tempo that reads it. Pure: no I/O, no Ansible.

key_tables.py has the keys of each line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place, error
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import dotted
from ansible_collections.orion.tracing.plugins.module_utils.tempo.key_tables import TEXT

Tree = dict[str, Any]
Line = tuple[int, int]

# What 3.0 has instead of keys of 2.10, by their place.
# Source: docs/sources/tempo/release-notes/v3-0.md and set-up-for-tracing/setup-tempo/migrate-to-3.md of v3.0.3
REPLACED = {
    "ingester": "live_store, and block_builder where there is Kafka, have what is left of it",
    "ingester_client": "Use live_store_client.",
    "compactor": "Use backend_scheduler.provider.compaction and backend_worker.compaction.",
    "partition_ring_live_store": "Remove it: queriers always use the partition ring.",
    "ingest.enabled": "Remove it: tempo_profile decides whether Kafka is used.",
    "querier.query_live_store": "Remove it: queriers always ask live-stores.",
    "query_frontend.search.query_ingesters_until": "Use query_frontend.search.query_backend_after.",
    "block_builder.block": "Use storage.trace.block.",
    "live_store.block_config": "Use storage.trace.block.",
    "metrics_generator.processor.local_blocks": "Remove it: block-builders and live-stores have replaced it.",
    "metrics_generator.traces_storage": "Remove it: it belonged to the processor local-blocks.",
    "metrics_generator.traces_query_storage": "Remove it: it belonged to the processor local-blocks.",
    "distributor.kafka_write_path_enabled": "Remove it: tempo_profile decides whether Kafka is used.",
    "distributor.ingester_write_path_enabled": "Remove it: there are no ingesters.",
}
# The sections of overrides in 3.0; anything else there is of the flat form, which it refuses by default.
# Source: modules/overrides/config.go of v3.0.3
OVERRIDES = (
    "defaults",
    "enable_legacy_overrides",
    "per_tenant_override_config",
    "per_tenant_override_period",
    "user_configurable_overrides",
)


def _parse(text: str) -> Tree:
    tree: Tree = {}
    open_: list[Tree] = [tree]
    last = ""
    for word in text.split():
        if word == "{":
            below: Tree = {}
            open_[-1][last] = below
            open_.append(below)
        elif word == "}":
            open_.pop()
        else:
            open_[-1][word] = None
            last = word
    return tree


KEYS = {line: _parse(text) for line, text in TEXT.items()}


def unknown_keys(config: Mapping[Any, Any], place: Place, line: Line) -> Iterator[Finding]:
    """A finding for each key of a part of tempo.yaml that this line of Tempo does not define. place: of the part."""
    yield from _unknown(config, KEYS[line], place, (), line)
    overrides = config.get("overrides")
    if line[0] >= 3 and isinstance(overrides, Mapping) and not overrides.get("enable_legacy_overrides"):
        for key in overrides:
            if key not in OVERRIDES:
                yield error(
                    place.key("overrides").key(key),
                    f"is an option of the flat form, which Tempo {dotted(line)} refuses",
                    "Write it below overrides.defaults, by section (overrides.defaults.ingestion.rate_limit_bytes).",
                )


def _unknown(
    config: Mapping[Any, Any], known: Tree, place: Place, path: tuple[str, ...], line: Line
) -> Iterator[Finding]:
    for key, value in config.items():
        name = str(key)
        if name not in known:
            other = next((one for one, tree in KEYS.items() if one != line and _has(tree, (*path, name))), None)
            yield error(
                place.key(name),
                f"is an option of Tempo {dotted(other)}, not of {dotted(line)}"
                if other
                else f"is not an option of Tempo {dotted(line)}",
                _replacement((*path, name), line) if other else _instead(name, known, path, KEYS[line]),
                "Tempo refuses to start for an option that it does not define",
            )
        elif known[name] and isinstance(value, Mapping):
            yield from _unknown(value, known[name], place.key(name), (*path, name), line)


def _has(tree: Tree | None, path: tuple[str, ...]) -> bool:
    return not path or (tree is not None and path[0] in tree and _has(tree[path[0]], path[1:]))


def _replacement(path: tuple[str, ...], line: Line) -> str:
    if line[0] < 3:
        return "Remove it, or use Tempo 3.0 (docs/tempo-3.md)."
    heads = (".".join(path[:end]) for end in range(len(path), 0, -1))
    text = next((REPLACED[head] for head in heads if head in REPLACED), "Remove it.")
    return text if text.endswith(".") else f"Remove it: {text}."


def _instead(name: str, known: Tree, path: tuple[str, ...], keys: Tree) -> str:
    if near := difflib.get_close_matches(name, known, 1, 0.8):
        return f"Did you mean {'.'.join((*path, near[0]))}?"
    top = path[:1]
    section = keys[path[0]] if path else keys
    elsewhere = [".".join((*top, *found)) for found in _places(name, section or {})]
    if elsewhere:
        return f"Did you mean {' or '.join(elsewhere[:3])}?"
    listed = ", ".join(sorted(known))
    return f"Known here are {listed}." if len(known) <= 20 else "See Tempo's configuration reference."


def _places(name: str, tree: Tree, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, below in tree.items():
        if key == name:
            yield (*path, key)
        yield from _places(name, below or {}, (*path, key))
