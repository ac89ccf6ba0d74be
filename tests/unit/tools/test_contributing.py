# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CONTRIBUTING.md against the repository: the paths that it names exist, and what it calls a pattern is there."""

from __future__ import annotations

import re

import pytest

from tools.steps import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
CODE = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", TEXT, flags=re.DOTALL | re.MULTILINE))
PATHS = sorted({word for word in CODE if re.fullmatch(r"(\w+/)+[\w./]*", word)} - {"defaults/main.yml", "files/chart"})


def test_it_names_paths() -> None:
    assert len(PATHS) > 30


@pytest.mark.parametrize("path", [path for path in PATHS if path != "meta/argument_specs.yml"])
def test_paths_exist(path: str) -> None:
    assert (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("plugins/module_utils/s3/bucket.py", ["ASPECTS", "versioning.ASPECT"]),
        ("plugins/module_utils/linter/lint.py", ["_CHECKS"]),
        ("plugins/module_utils/linter/subject.py", ["CODES", '"zero-percentage"']),
        ("plugins/module_utils/linter/values.py", ['"zero-percentage"']),
        ("plugins/module_utils/collector/exporters.py", ["KNOWN", '"kafka"']),
        ("roles/collector/defaults/main.yml", ["collector_max_concurrent_streams"]),
        ("roles/collector/meta/argument_specs.yml", ["collector_max_concurrent_streams"]),
    ],
)
def test_patterns_are_there(path: str, words: list[str]) -> None:
    assert path in TEXT
    text = (ROOT / path).read_text()
    for word in words:
        assert word in text
        assert word.strip('"').partition(".")[0] in TEXT


def test_every_package_is_on_the_map() -> None:
    packages = {path.parent.name for path in (ROOT / "plugins/module_utils").glob("*/__init__.py")}
    # Helpers of all others; who looks for them finds them in architecture.md.
    helpers = {"common", "inventory", "kube", "module", "otlp"}
    assert {name for name in packages if f"plugins/module_utils/{name}/" not in TEXT} == helpers


def test_words_are_in_order() -> None:
    words = re.findall(r"^\| \*\*([\w -]+)\*\*", TEXT, re.MULTILINE)
    assert len(words) > 20 and words == sorted(words)
