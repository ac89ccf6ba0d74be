"""What may be taken from package registries: nothing under the AGPL, nothing that is source-available only."""

from __future__ import annotations

import re

import pytest

from airgap import cache, images, spec
from airgap.errors import AirgapError

# SPDX identifiers of free licences that make no demand on whoever only uses the program over a network
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-3-Clause-Attribution",
    "BSD-4-Clause-UC",
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
    "LGPL-3.0-or-later",
    "MIT",
    "MPL-2.0",
    "OLDAP-2.8",
    "PostgreSQL",
    "Unicode-3.0",
    "X11",
    "Zlib",
    "bzip2-1.0.6",
}
ARTIFACTS = spec.load()


def identifiers(expression: str) -> set[str]:
    return set(re.split(r" AND | OR | WITH |[()]", expression)) - {""}


@pytest.mark.parametrize("name", ARTIFACTS)
def test_every_artefact_has_a_licence_of_the_list(name):
    found = identifiers(spec.license_of(name, ARTIFACTS))
    assert found
    assert found <= ALLOWED


def test_nothing_under_the_agpl_is_built():
    table = images.load(ARTIFACTS)
    agpl = {image.name: image.origins for image in table.values() if "AGPL" in image.license}
    assert agpl == {"tempo": ("pull", "archive")}
    for image in table.values():
        assert images.BUILD not in image.origins or identifiers(image.license) <= ALLOWED, image.name


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
