# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The periodic probe as files: the modules of this collection that it runs, as they are installed on the controller."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

COLLECTION = Path(__file__).resolve().parents[2]
PACKAGE = "ansible_collections.orion.tracing"
ENTRY = f"{PACKAGE}.plugins.module_utils.proof.periodic"
# What `python FOLDER SETTINGS` runs.
MAIN = f"import sys\n\nfrom {ENTRY} import main\n\nsys.exit(main(sys.argv[1]))\n"


def program() -> dict[str, str]:
    """Path → text of every file, sorted: __main__.py, and each module that is imported at the top of another one.

    Folders without __init__.py are packages to Python too. Files are text, so that a difference between two versions
    can be read.
    """
    found: dict[str, str] = {}
    waiting = [ENTRY]
    while waiting:
        module = waiting.pop()
        path = module.replace(".", "/") + ".py"
        if path not in found:
            found[path] = _file(module).read_text(encoding="utf-8")
            waiting += _imported(found[path])
    return {"__main__.py": MAIN, **dict(sorted(found.items()))}


def _file(module: str) -> Path:
    return COLLECTION / (module.removeprefix(f"{PACKAGE}.").replace(".", "/") + ".py")


def _imported(text: str) -> Iterator[str]:
    """Modules of the collection; not those that are only for types."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from [name for name in (str(node.module), *names) if _file(name).is_file()]
