# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Links of the documentation site. Those between pages, and to headings, are checked by Sphinx when it is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import docs_site
from tools.steps import ROOT, Failed

REPOSITORY = "https://example.com/repository"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("README.md", "docs/a.md", "roles/x/README.md", "roles/x/tasks/main.yml", "docs/site/index.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def published(checkout: Path, page: str, text: str) -> str:
    return docs_site.published(text, Path(page), checkout, docs_site.pages(checkout), REPOSITORY)


def test_the_pages_are_the_readmes_and_guides(checkout: Path) -> None:
    assert [str(page) for page in docs_site.pages(checkout)] == ["README.md", "docs/a.md", "roles/x/README.md"]


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("README.md", "docs/a.md", "docs/a.md"),
        ("docs/a.md", "../roles/x/README.md#heading", "../roles/x/README.md#heading"),
        ("docs/a.md", "#heading", "#heading"),
        ("docs/a.md", "https://example.org/x", "https://example.org/x"),
        ("docs/a.md", "../roles/x/tasks/main.yml", f"{REPOSITORY}/blob/main/roles/x/tasks/main.yml"),
        ("README.md", "docs/", f"{REPOSITORY}/tree/main/docs"),
    ],
)
def test_links_to_other_files_lead_to_the_repository(checkout: Path, page: str, link: str, expected: str) -> None:
    assert published(checkout, page, f"See [it]({link}).") == f"See [it]({expected})."
    assert published(checkout, page, f"[it]: {link}\n") == f"[it]: {expected}\n"


def test_a_link_to_nothing_names_the_page_and_the_file(checkout: Path) -> None:
    with pytest.raises(Failed, match=r"^docs/a\.md: there is no docs/b\.md, to which 'b\.md#c' leads"):
        published(checkout, "docs/a.md", "[it](b.md#c)")


@pytest.mark.parametrize("code", ["`[it](nowhere.md)`", "```yaml\n# [it](nowhere.md)\n```\n"])
def test_code_has_no_links(checkout: Path, code: str) -> None:
    assert published(checkout, "README.md", code) == code


def test_every_link_of_this_repository_leads_somewhere(tmp_path: Path) -> None:
    docs_site.stage(ROOT, tmp_path)
    assert {"index.md", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"} == {
        path.name for path in tmp_path.glob("*.md")
    }
