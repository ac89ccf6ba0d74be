# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Shows what a long module is doing while it runs, and its table at the end.

A module cannot print: its output is its result. So it appends lines to a file that the action plugin watches. That
needs a module that runs as the same user on the controller; elsewhere it runs without progress.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

INTERVAL = 0.2
PAGE = Path(__file__).resolve().parents[2] / "roles/verify/files/report.html"


class ProgressAction(ActionBase):
    """Runs the module of the same name with its option progress_file set, and displays the lines of that file, and then
    RV(table) and RV(notes) if the module returns them. HAS_PROGRESS: whether the module has that option. REPORT: its
    option for the file of a page, "" where it has none; report_template is then the page without data, which the
    collection has in its role verify."""

    HAS_PROGRESS = True
    REPORT = ""
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        background = bool(self._task.async_val)
        local = self._connection.transport == "local" and not self._connection.become
        with contextlib.ExitStack() as stack:
            if self.HAS_PROGRESS and local and not background and "progress_file" not in arguments:
                arguments["progress_file"] = stack.enter_context(displayed(self._task.action.rpartition(".")[2]))
            if self.REPORT and arguments.get(self.REPORT) and "report_template" not in arguments:
                arguments["report_template"] = str(PAGE) if local else self._carried(PAGE)
            result |= self._execute_module(module_args=arguments, task_vars=task_vars, wrap_async=background)
        # As it is: a callback folds text, or shows it with escapes.
        if result.get("table") and not self._task.no_log:
            Display().display("\n".join([result["table"], *result.get("notes", [])]))
        if not background:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _carried(self, file: Path) -> str:
        """The path of a copy on the host where the module runs, in the task's folder."""
        folder = self._connection._shell.tmpdir or self._make_tmp_path()
        path = str(self._connection._shell.join_path(folder, file.name))
        self._transfer_file(str(file), path)
        self._fixup_perms2((folder, path))
        return path


@contextlib.contextmanager
def displayed(name: str) -> Iterator[str]:
    """A file whose lines are displayed as they are appended, each after the module's name; gone afterwards."""
    handle, path = tempfile.mkstemp(prefix="orion-tracing-progress-")
    os.close(handle)
    done = threading.Event()
    display = Display()

    def follow() -> None:
        with Path(path).open(encoding="utf-8") as stream:
            rest = ""
            while True:
                last = done.is_set()
                *lines, rest = (rest + stream.read()).split("\n")
                for line in lines:
                    display.display(f"{name}: {line}")
                if last:
                    return
                done.wait(INTERVAL)

    watcher = threading.Thread(target=follow, daemon=True)
    watcher.start()
    try:
        yield path
    finally:
        done.set()
        watcher.join()
        Path(path).unlink(missing_ok=True)
