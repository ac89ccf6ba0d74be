# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes the dashboards and the alert rules of the grafana role: python -m tools.dashboards [--check]"""

from __future__ import annotations

import json
import sys
from typing import Any

import yaml

from tools.dashboards import alerts
from tools.dashboards.catalog import DASHBOARDS
from tools.steps import ROOT, Failed, fail

FILES = ROOT / "roles/grafana/files"
NOTE = "# Written by `python -m tools.dashboards` from tools/dashboards/alerts.py.\n"


class _Dumper(yaml.SafeDumper):
    """Lists inside mappings are indented, as yamllint demands."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def files() -> dict[str, str]:
    """The text of each file that is written, by its path below FILES."""
    found = {
        f"dashboards/{one.name}.json": json.dumps(one.json(), indent=2, ensure_ascii=False) + "\n" for one in DASHBOARDS
    }
    for name, document in (("prometheus", alerts.prometheus()), ("grafana", alerts.grafana())):
        dumped = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=60)
        found[f"alerts/{name}.yml"] = f"---\n{NOTE}{dumped}"
    return found


def outdated(wanted: dict[str, str]) -> list[str]:
    """Files that are missing, differ, or should not be there."""
    there = {
        str(path.relative_to(FILES)): path.read_text()
        for folder in ("alerts", "dashboards")
        for path in (FILES / folder).glob("*")
    }
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def main(argv: list[str]) -> None:
    wanted = files()
    changed = outdated(wanted)
    if argv == ["--check"]:
        if changed:
            raise Failed(
                f"{', '.join(changed)} below {FILES.relative_to(ROOT)} differ from their source: run "
                "`python -m tools.dashboards`."
            )
        return
    for name in changed:
        if name in wanted:
            (FILES / name).parent.mkdir(parents=True, exist_ok=True)
            (FILES / name).write_text(wanted[name])
        else:
            (FILES / name).unlink()
        print(f"{name}: {'written' if name in wanted else 'removed'}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failed as error:
        fail(error)
