# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Documents checked against the S3 API's own model, as botocore ships it, before anything is sent. Pure.

A shape is a botocore.model.Shape, such as the input shape of an operation; botocore itself is imported on first use.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput

Shape = Any
# Members whose enumerations stores other than AWS extend with names of their own.
OPEN_MEMBERS = frozenset({"StorageClass"})


def flaws(value: Any, shape: Shape, where: str = "", custom: bool = False) -> Iterator[InvalidInput]:
    """What the model refuses: unknown and missing names, wrong types, values that an enumeration lacks.

    where: begins each message. custom: for a store other than AWS, which may have storage classes of its own; of
    these, only another spelling of AWS's is refused.
    """
    yield from _names_and_values(value, shape, "", where, OPEN_MEMBERS if custom else frozenset())
    yield from _types(value, shape, where)


def _names_and_values(
    value: Any, shape: Shape, path: str, where: str, extended: frozenset[str]
) -> Iterator[InvalidInput]:
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, inner in value.items():
            inside = f"{path}.{name}" if path else str(name)
            if name in shape.members:
                yield from _names_and_values(inner, shape.members[name], inside, where, extended)
                continue
            right = nearest(str(name), shape.members)
            known = ", ".join(shape.members)
            yield _flaw(where, f"{inside} is not a member", "", f"Write {right}." if right else f"It has {known}.")
    elif shape.type_name == "list" and isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _names_and_values(inner, shape.member, f"{path}[{number}]", where, extended)
    elif getattr(shape, "enum", None) and isinstance(value, str) and value not in shape.enum:
        right = nearest(value, shape.enum)
        if path.rpartition(".")[2] in extended and _squashed(right) != _squashed(value):
            return
        remedy = f"Write {right}." if right else f"Write one of {', '.join(shape.enum)}."
        yield _flaw(where, f"{path} cannot be {value!r}", "the API compares letter by letter" if right else "", remedy)


def _types(value: Any, shape: Shape, where: str) -> Iterator[InvalidInput]:
    from botocore.validate import ParamValidator

    report = ParamValidator().validate(value, shape)
    for line in report.generate_report().splitlines():
        # Unknown names are reported above, with the right spelling.
        # Dates are checked by the aspect that has them.
        if not line.startswith("Unknown parameter in") and "timestamp-string" not in line:
            yield _flaw(where, _plain(line), "", "Use the names and types of boto3.")


def _plain(line: str) -> str:
    """A line of botocore's report without its words for the document itself and for Python's types."""
    line = re.sub(r"<class '(\w+)'>", r"\1", line).replace(" in input:", ":").replace("parameter input,", "document,")
    return line[0].lower() + line[1:]


def _flaw(where: str, what: str, why: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{where}: {what}" if where else what, why, remedy)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that this one is a spelling of, whatever its case and separators; "" if none is near."""
    words = {_squashed(name): name for name in known}
    near = difflib.get_close_matches(_squashed(word), words, 1, 0.75)
    return words[near[0]] if near else ""


def _squashed(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())


def all_of(errors: Iterable[InvalidInput]) -> InvalidInput | None:
    """One error for all of them; details: problems, each with what, why and remedy. None for none."""
    found = list(errors)
    if len(found) < 2:
        return found[0] if found else None
    problems = [{"what": one.what, "why": one.why, "remedy": one.remedy} for one in found]
    return InvalidInput(" ".join(str(one) for one in found), problems=problems)
