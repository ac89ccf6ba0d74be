# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Files that a module writes for its user, as steps of its plan."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Step


def check_folders(params: Mapping[str, Any], options: tuple[str, ...], names: Mapping[str, str] | None = None) -> None:
    """InvalidInput for an option that names a file in a folder that does not exist. names: what messages call options,
    where it is not their name in the module."""
    for option in options:
        if params[option] and not Path(params[option]).resolve().parent.is_dir():
            raise InvalidInput(
                f"{(names or {}).get(option) or f'option {option}'} is {params[option]}",
                "its folder does not exist",
                "Make it, or name another.",
            )


def file_steps(contents: Mapping[str, IO[str]]) -> list[Step]:
    """A step for each file that is missing or holds something else. contents: text by path."""
    return [Step(f"write {path}", "write", (path, text)) for path, text in contents.items() if _differs(path, text)]


def write_file(step: Step) -> None:
    """Carry a step out. InvalidInput where the file cannot be written."""
    path, text = step.data
    text.seek(0)
    try:
        with Path(path).open("w", encoding="utf-8", newline="") as there:
            shutil.copyfileobj(text, there)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written", str(error)) from error


def _differs(path: str, text: IO[str]) -> bool:
    text.seek(0)
    try:
        with Path(path).open(encoding="utf-8", newline="") as there:
            return any(one != other for one, other in itertools.zip_longest(there, text))
    except (OSError, UnicodeDecodeError):
        return True
