# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts
from ansible_collections.orion.tracing.plugins.module_utils.helm import release
from ansible_collections.orion.tracing.plugins.module_utils.helm.chart import Chart, differences, ignore_rules


@pytest.fixture
def stored(record: dict) -> Chart:
    return charts.of_release(release.decode(record["data"]["release"])["chart"])


def test_what_helm_stored_equals_what_lies_on_disk(stored: Chart, chart: Chart) -> None:
    assert differences(stored, chart) == set()
    assert stored.metadata == chart.metadata
    assert "ignored.bak" not in chart.files
    assert "docs/notes.md" not in chart.files


def test_a_packaged_chart_equals_its_folder(tmp_path: Path, stored: Chart, chart: Chart) -> None:
    package = tmp_path / "mini-0.1.0.tgz"
    package.write_bytes(charts.archive(chart, {}))
    assert differences(stored, charts.load(str(package))) == set()


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("templates/cm.yaml", "kind: ConfigMap", "templates/cm.yaml"),
        ("templates/new.yaml", "", "templates/new.yaml"),
        ("README.md", "other", "README.md"),
        ("values.schema.json", "{}", "values.schema.json"),
        ("values.yaml", "replicas: 2", "values.yaml"),
        ("Chart.yaml", "name: mini\napiVersion: v2\nversion: 0.2.0", "Chart.yaml"),
        ("Chart.lock", "digest: abc", "Chart.lock"),
        ("crds/a.yaml", "", "crds/a.yaml"),
        ("charts/sub/Chart.yaml", "name: sub", "charts/"),
    ],
)
def test_every_kind_of_change_is_seen(stored: Chart, chart_folder: Path, name: str, text: str, part: str) -> None:
    path = chart_folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    assert differences(stored, charts.load(str(chart_folder))) == {part}


def test_a_removed_template_is_seen(stored: Chart, chart_folder: Path) -> None:
    (chart_folder / "templates/hook.yaml").unlink()
    assert differences(stored, charts.load(str(chart_folder))) == {"templates/hook.yaml"}


def test_comments_in_values_do_not_matter(stored: Chart, chart_folder: Path) -> None:
    path = chart_folder / "values.yaml"
    path.write_text("# a comment\n" + path.read_text())
    assert differences(stored, charts.load(str(chart_folder))) == set()


def test_a_byte_order_mark_is_dropped(stored: Chart, chart_folder: Path) -> None:
    path = chart_folder / "README.md"
    path.write_bytes(charts.BOM + path.read_bytes())
    assert differences(stored, charts.load(str(chart_folder))) == set()


def test_dependencies_make_subcharts_uncertain_and_nothing_else() -> None:
    wanted = charts.of_files({"Chart.yaml": b"name: a\ndependencies: [{name: b, repository: ''}]"})
    stored = charts.of_release({"metadata": {"name": "a", "apiVersion": "v1", "dependencies": [{"enabled": True}]}})
    assert differences(stored, wanted) == {"charts/"}
    assert {"charts/"} <= charts.UNCERTAIN


def test_crds_are_files_of_their_folder() -> None:
    chart = charts.of_files({"Chart.yaml": b"name: a", "crds/a.yaml": b"x", "crds/README.md": b"", "crds.yaml": b""})
    assert list(chart.crds) == ["crds/a.yaml"]


def test_provenance_files_of_subcharts_are_kept_as_helm_does() -> None:
    chart = charts.of_files({"Chart.yaml": b"name: a", "charts/b.tgz.prov": b"x", "charts/b.tgz": b"y"})
    assert list(chart.files) == ["charts/b.tgz.prov"]


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("oci://registry.example.com/chart", "is a URL"),
        ("https://example.com/chart.tgz", "is a URL"),
        ("example/chart", "set chart_repo_url"),
    ],
)
def test_repositories_are_refused(reference: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        charts.load(reference)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("Chart.yaml", None, r"no Chart\.yaml"),
        ("Chart.yaml", "- a list", r"Chart\.yaml is not a mapping"),
        ("Chart.yaml", "version: 1.0.0", "name is missing"),
        ("values.yaml", "a: [", "cannot be read"),
        (".helmignore", "**/x", "double-star"),
        (".helmignore", "[a", "syntax error"),
    ],
)
def test_broken_charts(chart_folder: Path, name: str, text: str | None, words: str) -> None:
    path = chart_folder / name
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidInput, match=words):
        charts.load(str(chart_folder))


def test_files_that_are_too_large_or_irregular(chart_folder: Path) -> None:
    big = chart_folder / "big"
    with big.open("wb") as file:
        file.truncate(charts.MAX_FILE + 1)
    with pytest.raises(InvalidInput, match="big is larger"):
        charts.load(str(chart_folder))
    big.unlink()
    os.mkfifo(chart_folder / "pipe")
    with pytest.raises(InvalidInput, match="pipe is not a regular file"):
        charts.load(str(chart_folder))


def package(tmp_path: Path, names: list[str]) -> str:
    path = tmp_path / "chart.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
            member.size = 0 if name.endswith("/") else 7
            archive.addfile(member, io.BytesIO(b"name: a"))
    return str(path)


@pytest.mark.parametrize("name", ["chart/../../etc/passwd", "Chart.yaml"])
def test_archives_that_reach_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="outside the chart's directory"):
        charts.load(package(tmp_path, [name]))


def test_archives_without_a_chart(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"Chart\.yaml is missing"):
        charts.load(package(tmp_path, ["chart/", "chart/other"]))
    (tmp_path / "text.yaml").write_text("a: 1")
    with pytest.raises(InvalidInput, match="cannot be read"):
        charts.load(str(tmp_path / "text.yaml"))


def test_archives_made_on_windows(tmp_path: Path) -> None:
    assert charts.load(package(tmp_path, ["chart\\Chart.yaml"])).metadata["name"] == "a"


def test_symbolic_links_are_followed(chart_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/extra.yaml").write_text("x")
    (chart_folder / "templates/shared").symlink_to(tmp_path / "shared")
    assert charts.load(str(chart_folder)).files["templates/shared/extra.yaml"] == b"x"


@pytest.mark.parametrize(
    ("rules", "path", "directory", "ignored"),
    [
        ("", "templates/.hidden", False, True),
        ("", ".hidden", False, False),
        ("# comment\n\n*.bak", "a/b.bak", False, True),
        ("*.bak", "a.bak.yaml", False, False),
        ("docs/", "docs", True, True),
        ("docs/", "docs", False, False),
        ("/top.txt", "top.txt", False, True),
        ("/top.txt", "a/top.txt", False, False),
        ("a/*.txt", "a/b.txt", False, True),
        ("a/*.txt", "a/b/c.txt", False, False),
        ("?.md", "a.md", False, True),
        ("[a-c].md", "b.md", False, True),
        ("[^a-c].md", "b.md", False, False),
        ("\\*.md", "*.md", False, True),
        ("\\*.md", "x.md", False, False),
        ("!*.yaml", "notes.txt", False, True),
        ("!*.yaml", "a.yaml", False, False),
        ("!keep/", "file", False, True),
        ("!keep/", "keep", True, False),
        ("\ufeff*.bom", "a.bom", False, True),
    ],
)
def test_helmignore(rules: str, path: str, directory: bool, ignored: bool) -> None:
    assert ignore_rules(rules)(path, directory) is ignored


def test_metadata_as_helm_keeps_it() -> None:
    chart = charts.of_files(
        {
            "Chart.yaml": b"name: a\nversion: 1\nappVersion: 1.50\nkeywords: []\ndeprecated: true\nicon: ''\n"
            b"annotations: {enabled: true, count: 1}\nmaintainers: [{name: x}]\nunknown: 1\n"
            b'description: "two\\nlines\\u0007"'
        }
    )
    assert chart.metadata == {
        "apiVersion": "v1",
        "name": "a",
        "version": "1",
        "appVersion": "1.5",
        "deprecated": True,
        "annotations": {"enabled": "true", "count": "1"},
        "maintainers": [{"name": "x"}],
        "description": "two lines",
    }


def test_the_content_s_digest_is_that_of_every_file() -> None:
    files = {"Chart.yaml": b"name: a", "templates/x.yaml": b"x", "charts/b/Chart.yaml": b"name: b"}
    digest = charts.content_digest(charts.of_files(files))
    assert len(digest) == 56
    assert charts.content_digest(charts.of_files(dict(reversed(files.items())))) == digest
    changed = [
        {**files, "charts/b/Chart.yaml": b"name: c"},
        {**files, "templates/y.yaml": b""},
        {name: data for name, data in files.items() if name != "templates/x.yaml"},
        {"Chart.yaml": b"name: a", "templates/x.yamlx": b"", "charts/b/Chart.yaml": b"name: b"},
    ]
    assert len({digest, *(charts.content_digest(charts.of_files(other)) for other in changed)}) == 5
