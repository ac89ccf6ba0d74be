# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What policies look at: attributes, fields and OTTL conditions."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import RENAMED
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding
from ansible_collections.orion.tracing.plugins.module_utils.linter.subject import Node, Subject, finding
from ansible_collections.orion.tracing.plugins.module_utils.sampling import attributes
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl.truth import examine

_TYPES = {"string_attribute": str, "numeric_attribute": int, "boolean_attribute": bool}
_NAMES = {str: "strings", int: "integers", bool: "booleans"}
CONTEXTS = ("span", "spanevent")


def keys(subject: Subject) -> Iterator[Finding]:
    for node in subject.everywhere():
        if node.kind in _TYPES:
            yield from _key(node)
        elif node.kind == "ottl_condition":
            yield from _outdated_conditions(node)


def _key(node: Node) -> Iterator[Finding]:
    key, place = node.settings["key"], node.option("key")
    if key in RENAMED:
        today = [name for name in RENAMED[key] if name != key]
        yield finding(
            "outdated-key",
            place,
            f"current instrumentation does not set {key}, so '{node.name}' matches only what old SDKs send",
            f"Write {' or '.join(today)}, and keep {key} in a policy of its own while old SDKs run.",
        )
    if misplaced := attributes.misplaced(key):
        what, remedy = misplaced
        yield finding("span-field", place, what, remedy, f"'{node.name}' looks at attributes of spans and resources")
        return
    wanted = attributes.value_type(key)
    if wanted is not None and wanted is not _TYPES[node.kind]:
        better = {one: kind for kind, one in _TYPES.items()}[wanted]
        yield finding(
            "attribute-type",
            place,
            f"the values of {key} are {_NAMES[wanted]}, and a policy of type {node.kind} matches "
            f"{_NAMES[_TYPES[node.kind]]}",
            f"Use a policy of type {better}, or an ottl_condition.",
        )
    if node.settings["invert_match"]:
        yield finding(
            "invert-match",
            node.option("invert_match"),
            f"'{node.name}' uses invert_match",
            "Write a policy of type not for the opposite of a match, or of type drop to exclude traces.",
            "it matches a trace in which no span and no resource has the value"
            if node.around
            else "it no longer keeps other policies from sampling, but samples every trace in which no span and no "
            "resource has the value",
        )


def _outdated_conditions(node: Node) -> Iterator[Finding]:
    texts = [text for context in CONTEXTS for text in node.settings[context]]
    for context in CONTEXTS:
        for index, text in enumerate(node.settings[context]):
            for old, names in RENAMED.items():
                new = [name for name in names if name != old]
                if f'"{old}"' in text and not any(f'"{name}"' in other for name in new for other in texts):
                    yield finding(
                        "outdated-key",
                        node.at(f".ottl_condition.{context}[{index}]"),
                        f"current instrumentation does not set {old}",
                        f"Add a condition with {' or '.join(new)}.",
                    )


def conditions(subject: Subject) -> Iterator[Finding]:
    """OTTL that compiles and cannot be meant: comparisons of different types, constants, fields used as attributes."""
    for node in subject.everywhere():
        if node.kind != "ottl_condition":
            continue
        for context in CONTEXTS:
            for index, text in enumerate(node.settings[context]):
                found = examine(text, context)
                place = node.at(f".ottl_condition.{context}[{index}]")
                effect = {True: "the condition always holds", False: "the condition never holds"}
                why = effect[found.always] if found.always is not None else ""
                for doubt in found.doubts:
                    yield finding("constant-condition", place, f"{text!r}: {doubt.what}", doubt.remedy, why)
                if found.always is False and not found.doubts:
                    yield finding("constant-condition", place, f"{text!r} never holds", "Correct or remove it.")
