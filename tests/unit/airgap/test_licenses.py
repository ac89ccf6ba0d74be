"""What may be taken from package registries: nothing under the AGPL, nothing that is source-available only."""

from __future__ import annotations

import re

import pytest

from airgap import cache, images, npm, pypi, spec
from airgap.errors import AirgapError

# SPDX identifiers of free licences that make no demand on whoever only uses the program over a network
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-3-Clause-Attribution",
    "BSD-4-Clause-UC",
    "BlueOak-1.0.0",
    "Classpath-exception-2.0",
    "EPL-1.0",
    "EPL-2.0",
    "GCC-exception-3.1",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-or-later",
    "ISC",
    "LGPL-2.0-or-later",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OLDAP-2.8",
    "PSF-2.0",
    "PostgreSQL",
    "Unicode-3.0",
    "X11",
    "Zlib",
    "bzip2-1.0.6",
}
ARTIFACTS = spec.load()


@pytest.mark.parametrize("name", ARTIFACTS)
def test_every_artefact_has_a_licence_of_the_list(name):
    found = spec.identifiers(spec.license_of(name, ARTIFACTS))
    assert found
    assert found <= ALLOWED


def test_nothing_under_the_agpl_is_built():
    table = images.load(ARTIFACTS)
    agpl = {image.name: image.origins for image in table.values() if "AGPL" in image.license}
    assert agpl == dict.fromkeys(["tempo", "tempo-3", "grafana"], ("pull", "archive"))
    for image in table.values():
        assert images.BUILD not in image.origins or spec.identifiers(image.license) <= ALLOWED, image.name


@pytest.mark.parametrize("go_mod", sorted((spec.HERE / "go").glob("*/go.mod")), ids=lambda path: path.parent.name)
def test_no_program_is_made_from_grafanas_agpl_modules(go_mod):
    assert not re.search(r"github\.com/grafana/(tempo|loki|grafana)[/ ]", go_mod.read_text())


def test_an_entry_says_its_licence_or_has_that_of_what_it_is_made_from(artifacts, checkout):
    assert spec.license_of("tool", artifacts) == "Apache-2.0"
    assert spec.license_of("alias", artifacts) == "Apache-2.0"
    assert spec.license_of("picture", artifacts) == "Apache-2.0"
    path = checkout / "images.yml"
    path.write_text(
        path.read_text().replace("license: Apache-2.0\n", "license: MIT AND (MIT OR GPL-2.0-only AND X11)\n")
    )
    assert spec.license_of("picture", spec.load(path)) == "(MIT OR GPL-2.0-only AND X11) AND MIT"
    path.write_text(path.read_text().replace("license: BSD-3-Clause, ", ""))
    with pytest.raises(AirgapError, match=r"go \(wheel\): missing license"):
        spec.load(path)


def test_a_licence_put_right_rebuilds_nothing(artifacts, checkout):
    path = checkout / "images.yml"
    path.write_text(path.read_text().replace("license: Apache-2.0", "license: MIT"))
    assert cache.digests(spec.load(path)) == cache.digests(artifacts)


NODE_PACKAGES = [name for name, artifact in ARTIFACTS.items() if artifact.kind == "npm"]


@pytest.mark.parametrize("name", NODE_PACKAGES)
def test_a_lock_files_packages_have_the_licences_that_their_entry_names(name):
    artifact = ARTIFACTS[name]
    packages = list(npm.licenses(artifact.folder / artifact.fields["folder"]))
    assert len(packages) > 5
    spec.check_licenses(artifact, packages)


def test_a_package_whose_licence_the_entry_does_not_name_is_refused():
    artifact = spec.Artifact("agent", "pypi", {"license": "MIT AND (Apache-2.0 OR BSD-3-Clause)"})
    spec.check_licenses(artifact, [("a 1", "MIT"), ("b 1", "BSD-3-Clause"), ("c 1", "Apache-2.0 OR MIT")])
    with pytest.raises(AirgapError, match="agent: license does not name all licences: d 1 is under AGPL-3.0-only;"):
        spec.check_licenses(artifact, [("a 1", "MIT"), ("d 1", "AGPL-3.0-only")])


@pytest.mark.parametrize(
    ("lines", "terms"),
    [
        (["License-Expression: Apache-2.0 OR BSD-2-Clause", "License: none of it"], "Apache-2.0 OR BSD-2-Clause"),
        (["Classifier: License :: OSI Approved :: BSD License", "Classifier: Topic :: X"], "BSD-3-Clause"),
        (["License: 3-Clause BSD License"], "BSD-3-Clause"),
        (["License: ask us"], "ask us"),
        ([], "none"),
    ],
)
def test_the_licence_of_a_wheel_is_read_from_its_metadata(tmp_path, lines, terms):
    folder = tmp_path / "deep" / "thing-1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("\n".join(["Name: thing", "Version: 1", *lines, "", "License: in the text"]))
    assert list(pypi.licenses(tmp_path)) == [("thing 1", terms)]
