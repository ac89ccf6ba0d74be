"""Recipe pypi: requirements files are read, wheels unpacked side by side. pip is a stand-in."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from airgap import cache, pypi, recipes, spec
from airgap.errors import AirgapError

HASH = "--hash=sha256:" + "0" * 64
ENTRY = """
  packages:
    kind: pypi
    license: {license}
    requirements: requirements.txt
    package: thing
    version: "2.0"
    pythons: ["3.12", "3.13"]
    libc: {libc}
    folders: {{"thing*": site, "*": site/others}}
"""


def wheel(folder: Path, name: str, files: dict[str, str], terms: str = "MIT") -> None:
    package, version, *_tags = name.split("-")
    metadata = f"Name: {package}\nVersion: {version}\nLicense-Expression: {terms}\n"
    with zipfile.ZipFile(folder / f"{name}.whl", "w") as zipped:
        for path, content in {**files, f"{package}-{version}.dist-info/METADATA": metadata}.items():
            zipped.writestr(path, content)


@pytest.fixture
def pip(monkeypatch):
    """Stands in for `pip download`: hands out what it is given for a version of Python, and keeps what it is asked."""
    asked: list[tuple[str, str]] = []
    shelf: dict[str, list] = {}

    def run(argv, log, env):
        python = argv[argv.index("--python-version") + 1]
        assert "--require-hashes" in argv and "--only-binary=:all:" in argv and "--no-deps" in argv
        names = Path(argv[argv.index("--requirement") + 1]).read_text()
        asked.append((python, names))
        pip.platforms = [argv[place + 1] for place, word in enumerate(argv) if word == "--platform"]
        for arguments in shelf[python]:
            if arguments[0].split("-")[0] in names:
                wheel(Path(argv[argv.index("--dest") + 1]), *arguments)

    monkeypatch.setattr(pypi, "run", run)
    pip = run
    pip.asked, pip.shelf = asked, shelf
    return pip


def entry(checkout: Path, tmp_path: Path, terms: str = "MIT", libc: str = "glibc") -> tuple[spec.Artifact, cache.Store]:
    (checkout / "requirements.txt").write_text(f"# a comment\nother==1.0 \\\n    {HASH}\nthing==2.0 \\\n    {HASH}\n")
    path = checkout / "images.yml"
    path.write_text(path.read_text() + ENTRY.format(license=terms, libc=libc))
    artifacts = spec.load(path)
    return artifacts["packages"], cache.Store(tmp_path / "cache", cache.digests(artifacts))


def test_compiled_modules_of_all_versions_lie_side_by_side(checkout, tmp_path, pip):
    pip.shelf["3.12"] = [
        ("thing-2.0-cp312-cp312-manylinux_2_17_x86_64", {"thing/__init__.py": "x", "thing/fast.cpython-312.so": "a"}),
        ("other-1.0-py3-none-any", {"other.py": "y", "other-1.0.data/scripts/run": "#!python", "other-1.0.data/": ""}),
    ]
    pip.shelf["3.13"] = [
        ("thing-2.0-cp313-cp313-manylinux_2_17_x86_64", {"thing/__init__.py": "x", "thing/fast.cpython-313.so": "b"})
    ]
    artifact, store = entry(checkout, tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    assert recipes.build(artifact, store, work) == ["pkg:pypi/other@1.0", "pkg:pypi/thing@2.0"]
    found = sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file())
    assert found == [
        "site/others/other-1.0.dist-info/METADATA",
        "site/others/other.py",
        "site/thing-2.0.dist-info/METADATA",
        "site/thing/__init__.py",
        "site/thing/fast.cpython-312.so",
        "site/thing/fast.cpython-313.so",
    ]
    # a wheel of pure Python is fetched once
    assert [python for python, _names in pip.asked] == ["3.12", "3.13"]
    assert "other" in pip.asked[0][1] and "other" not in pip.asked[1][1]
    assert all(platform.startswith("manylinux") for platform in pip.platforms)


def test_musl_has_wheels_of_its_own(checkout, tmp_path, pip):
    pip.shelf |= {"3.12": [], "3.13": []}
    artifact, store = entry(checkout, tmp_path, libc="musl")
    recipes.build(artifact, store, tmp_path)
    assert all(platform.startswith("musllinux") for platform in pip.platforms)


def test_files_of_two_wheels_that_differ_are_refused(checkout, tmp_path, pip):
    pip.shelf["3.12"] = [("thing-2.0-cp312-cp312-manylinux_2_17_x86_64", {"thing/version.py": "built for 3.12"})]
    pip.shelf["3.13"] = [("thing-2.0-cp313-cp313-manylinux_2_17_x86_64", {"thing/version.py": "built for 3.13"})]
    artifact, store = entry(checkout, tmp_path)
    with pytest.raises(AirgapError, match=r"thing-2.0-cp313.* and another wheel have different files thing/version.py"):
        recipes.build(artifact, store, tmp_path)


def test_a_licence_that_the_entry_does_not_name_ends_the_build(checkout, tmp_path, pip):
    pip.shelf |= {"3.12": [("thing-2.0-py3-none-any", {"thing.py": ""}, "AGPL-3.0-only")], "3.13": []}
    artifact, store = entry(checkout, tmp_path)
    with pytest.raises(AirgapError, match=r"packages: license does not name all licences: thing 2.0 is under AGPL"):
        recipes.build(artifact, store, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"thing==2.0 {HASH}\nother>=1 {HASH}\n", "'other>=1 --hash=.*' is not `NAME==VERSION --hash=sha256:…`"),
        ("thing==2.0\n", "'thing==2.0' is not"),
        (f"thing==2.0 ; python_version < '3.13' \\\n  {HASH}\n", "thing is for some versions of Python only"),
    ],
)
def test_a_requirements_file_pins_everything_for_every_version(tmp_path, text, message):
    path = tmp_path / "requirements.txt"
    path.write_text(text)
    with pytest.raises(AirgapError, match=message):
        pypi.read(path)


def test_markers_that_are_the_same_here_and_there_are_left_to_pip(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text(f"Some_Thing==2.0 ; sys_platform == 'linux' \\\n  {HASH} \\\n  {HASH}\n")
    [pin] = pypi.read(path)
    assert (pin.name, pin.version, pin.text.count("--hash")) == ("some-thing", "2.0", 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("libc: glibc", "libc: uclibc", "packages: libc is 'uclibc': write glibc or musl"),
        ('"2.0"', '"3.0"', "images.yml says packages is thing 3.0, requirements.txt does not"),
        ("requirements.txt", "none.txt", "none.txt does not exist"),
    ],
)
def test_an_entry_that_is_not_what_it_says_is_refused(checkout, tmp_path, old, new, message):
    entry(checkout, tmp_path)
    path = checkout / "images.yml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(AirgapError, match=message):
        spec.load(path)


def test_other_pins_are_another_artefact(checkout, tmp_path):
    _artifact, store = entry(checkout, tmp_path)
    before = store.digests["packages"]
    (checkout / "requirements.txt").write_text(f"thing==2.0 {HASH[:-1]}1\n")
    after = cache.digests(spec.load(checkout / "images.yml"))
    assert after["packages"] != before and after["tool"] == store.digests["tool"]
