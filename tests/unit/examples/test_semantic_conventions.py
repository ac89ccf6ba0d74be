# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tables of docs/semantic-conventions.md against the released conventions, and against what the services write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from opentelemetry import semconv
from opentelemetry.semconv.trace import SpanAttributes

ROOT = Path(__file__).parents[3]
SHOP = ROOT / "examples/shop"
PACKAGE = Path(next(iter(semconv.__path__)))

NAME = re.compile(r'^\w+: Final = "([^"]+)"\n"""\n((?:Deprecated)?)', re.MULTILINE)


def released(folder: str) -> dict[str, bool]:
    """Attributes of a folder of the package → whether they are deprecated."""
    names = {}
    for file in (PACKAGE / folder).glob("*.py"):
        names.update({name: bool(deprecated) for name, deprecated in NAME.findall(file.read_text())})
    return names


STABLE = released("attributes")
ALL = released("_incubating/attributes")
# Names from before 2023, which the package above has dropped.
FORMER = {value for value in vars(SpanAttributes).values() if isinstance(value, str)}
# Neither: the user story's own spelling of messaging.kafka.consumer.group.
MISSPELT = {"messaging.kafka.consumer_group"}


def rows() -> list[tuple[str, str, str]]:
    """(old name, today's name, stability) of each line of a table; empty for a dash."""
    lines = (ROOT / "docs/semantic-conventions.md").read_text().splitlines()
    cells = [line.replace("\\|", "/").split("|")[1:4] for line in lines if re.match(r"\| (?:`|–)", line)]
    return [(old.strip(" `–"), new.strip(" `–"), stability.strip()) for old, new, stability in cells]


def test_the_page_has_its_tables():
    assert len(rows()) > 45


@pytest.mark.parametrize(("old", "new", "stability"), rows())
def test_a_name_is_as_stable_as_the_table_has_it(old, new, stability):
    match stability:
        case "stable":
            assert STABLE[new] is False
        case "development":
            assert ALL[new] is False
            assert new not in STABLE
        case "removed":
            assert new == ""
        case "the shop's":
            assert new not in {**ALL, **STABLE}
        case _:
            pytest.fail(f"{stability!r} is not a stability")


@pytest.mark.parametrize("old", sorted({old for old, new, _one in rows() if old != new} - {""}))
def test_an_old_name_is_out_of_use(old):
    assert ALL.get(old) or (old not in ALL and old in FORMER | MISSPELT)


def written() -> set[str]:
    """The names of attributes in the services' own code."""
    pattern = re.compile(r"""["']((?:shop|messaging|tenant)\.[a-z_.]+)["']""")
    files = [file for ending in ("py", "js", "java") for file in SHOP.rglob(f"*.{ending}") if "build" not in file.parts]
    return {name for file in files for name in pattern.findall(file.read_text())}


def test_every_attribute_that_the_services_write_has_a_line():
    assert len(written()) > 10
    assert written() - {new for _one, new, _two in rows()} == set()


def test_every_attribute_of_the_shop_is_written():
    assert {new for _one, new, stability in rows() if stability == "the shop's"} <= written()
