# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The module's side of progress: lines in a file, which the action plugin shows (plugin_utils.progress)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def progress(params: dict[str, Any]) -> Callable[[str], None]:
    """Appends lines to the option progress_file. A file that cannot be written to must not stop the work."""

    def append(line: str) -> None:
        if params.get("progress_file"):
            try:
                with Path(params["progress_file"]).open("a", encoding="utf-8") as stream:
                    stream.write(line + "\n")
            except OSError:
                params["progress_file"] = None

    return append
