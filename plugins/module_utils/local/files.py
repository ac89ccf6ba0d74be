# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Files with secrets on the machine that runs a module."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import TracingError


@dataclass(frozen=True)
class LocalFile:
    """Content and permission bits of a file that exists."""

    content: bytes
    mode: int


def read_file(path: Path, option: str = "files_dir") -> LocalFile | None:
    """A file, or None where there is none. option: that of the module which names it, for messages."""
    try:
        return LocalFile(path.read_bytes(), path.stat().st_mode & 0o7777)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise _file_error(path, "read", problem, option) from problem


def write_file(path: Path, content: bytes, mode: int, option: str = "files_dir") -> None:
    """Replace a file in one step, so that no reader ever sees half of it, nor it with a wider mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                os.fchmod(stream.fileno(), mode)
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise _file_error(path, "written", problem, option) from problem


def _file_error(path: Path, verb: str, problem: OSError, option: str) -> TracingError:
    return TracingError(
        f"{path} cannot be {verb}",
        problem.strerror or str(problem),
        f"Check the option {option} and its permissions.",
    )
