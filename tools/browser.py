# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The browser that tests look at the reports with: one of this machine, otherwise Debian's, fetched by airgap."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from pathlib import Path

from airgap import cache, spec
from tools import report
from tools.steps import run

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VARIABLE = "ORION_CHROMIUM"
ENTRY = "chromium"
# With the folder of libraries that libpulse finds by its absolute path only.
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/pulseaudio")
# Nothing that would ask a server for anything by itself. Without a sandbox, which root cannot have, and which needs
# kernel features that containers lack: it opens only files that the tests have made.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def on_machine() -> Path | None:
    """The browser that ORION_CHROMIUM names, or one on PATH."""
    found = os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, NAMES)), None)
    return Path(found) if found else None


@functools.cache
def chromium() -> tuple[Path, dict[str, str]]:
    """The program, and variables of its environment."""
    if found := on_machine():
        return found, {}
    artifacts = spec.load()
    run(sys.executable, "-m", "airgap", "build", ENTRY)
    root = cache.Store(cache.default_root(), cache.digests(artifacts)).folder(ENTRY) / "root"
    fonts = root / "etc/fonts"
    return root / "usr/lib/chromium/chromium", {
        "LD_LIBRARY_PATH": os.pathsep.join(str(root / folder) for folder in LIBRARIES),
        "FONTCONFIG_PATH": str(fonts),
        "FONTCONFIG_SYSROOT": str(root),
    }


def prepare() -> None:
    """Before the tests: the browser, and the packages that they use."""
    chromium()
    report.packages()
