# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.orion.tracing.plugins.filter.images import FilterModule
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.inventory import images
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding

DIGEST = "sha256:" + "0a" * 32
FINE = {"x_image_repository": "docker.io/grafana/tempo", "x_image_tag": "2.10.8", "x_image_digest": ""}


def values(**changes: Any) -> dict[str, str]:
    return images.image_values({**FINE, **changes}, "x")


def problem(**changes: Any) -> Finding:
    (only,) = images.problems({**FINE, **changes}, "x")
    with pytest.raises(InvalidInput) as caught:
        values(**changes)
    assert str(caught.value) == str(only)
    return only


@pytest.mark.parametrize(
    ("repository", "registry", "expected"),
    [
        ("docker.io/grafana/tempo", "", "docker.io/grafana/tempo"),
        ("docker.io/grafana/tempo", "mirror.example.com", "mirror.example.com/grafana/tempo"),
        ("docker.io/grafana/tempo", "mirror.example.com/a/b", "mirror.example.com/a/b/grafana/tempo"),
        ("grafana/tempo", "mirror:5000", "mirror:5000/grafana/tempo"),
        ("busybox", "localhost", "localhost/library/busybox"),
        ("busybox", "", "busybox"),
        ("localhost:5000/team/tempo", "mirror.example.com", "mirror.example.com/team/tempo"),
        ("quay.io/a/b__c/d-e.f", "10.0.0.1:5000/p", "10.0.0.1:5000/p/a/b__c/d-e.f"),
    ],
)
def test_a_mirror_takes_the_place_of_the_host(repository: str, registry: str, expected: str) -> None:
    assert values(x_image_repository=repository, tracing_image_registry=registry)["repository"] == expected


def test_tag_and_digest_are_kept_as_they_are() -> None:
    assert values(x_image_digest=DIGEST) == {
        "repository": "docker.io/grafana/tempo",
        "tag": "2.10.8",
        "digest": DIGEST,
    }
    assert values()["digest"] == ""
    assert values(x_image_tag=3)["tag"] == "3"
    assert images.image_values({name: FINE[name] for name in ("x_image_repository", "x_image_tag")}, "x") == values()


@pytest.mark.parametrize(
    ("changes", "variable", "words"),
    [
        ({"x_image_tag": f"2.10.8@{DIGEST}"}, "x_image_tag", f"Set x_image_tag: 2.10.8, and x_image_digest: {DIGEST}."),
        ({"x_image_tag": DIGEST}, "x_image_tag", f"x_image_digest: {DIGEST}."),
        ({"x_image_tag": "a" * 129}, "x_image_tag", "up to 128"),
        ({"x_image_tag": "-a"}, "x_image_tag", "which is not a tag"),
        ({"x_image_tag": ""}, "x_image_tag", "is empty"),
        ({"x_image_tag": 2.1}, "x_image_tag", 'x_image_tag: "2.1"'),
        ({"x_image_tag": True}, "x_image_tag", "is the boolean True, not text"),
        ({"x_image_digest": "0a" * 32}, "x_image_digest", "which is not a digest"),
        ({"x_image_digest": "sha256:" + "0A" * 32}, "x_image_digest", "lower"),
        ({"x_image_digest": "sha256:0a"}, "x_image_digest", "64 lower-case hexadecimal digits"),
        ({"x_image_repository": ""}, "x_image_repository", "is empty"),
        (
            {"x_image_repository": "https://docker.io/grafana/tempo"},
            "x_image_repository",
            "Write docker.io/grafana/tempo.",
        ),
        (
            {"x_image_repository": "grafana/tempo:1"},
            "x_image_repository",
            "Write grafana/tempo, and the tag in x_image_tag",
        ),
        ({"x_image_repository": f"h:5000/a@{DIGEST}"}, "x_image_repository", "Write h:5000/a, and"),
        ({"x_image_repository": "docker.io/Grafana/tempo"}, "x_image_repository", "lower"),
        ({"x_image_repository": "docker.io/grafana/tempo/"}, "x_image_repository", "which is not a repository"),
        (
            {"tracing_image_registry": "https://m.example.com/p/"},
            "tracing_image_registry",
            "scheme. Write m.example.com/p.",
        ),
        ({"tracing_image_registry": "m.example.com/"}, "tracing_image_registry", "a slash. Write m.example.com."),
        ({"tracing_image_registry": "mirror/proxy"}, "tracing_image_registry", "read mirror as a path on docker.io"),
        ({"tracing_image_registry": "m.example.com/a b"}, "tracing_image_registry", "which is not a registry"),
    ],
)
def test_each_fault_is_one_message(changes: dict[str, Any], variable: str, words: str) -> None:
    found = problem(**changes)
    assert found.variable == variable
    assert words in str(found)


def test_all_faults_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        values(x_image_tag="a b", x_image_digest="x", tracing_image_registry="a/")
    assert [
        name in str(caught.value) for name in ("x_image_tag: is", "x_image_digest: is", "tracing_image_registry: is")
    ]


def test_what_is_not_there_is_not_judged() -> None:
    assert list(images.problems({}, "x")) == []
    assert list(images.pull_secret_problems({}, "x")) == []


def test_pull_secrets_are_the_shared_and_the_own_ones() -> None:
    variables = {"tracing_image_pull_secrets": ["a", "b"], "x_image_pull_secrets": ["b", "c"]}
    assert images.pull_secrets(variables, "x") == ["a", "b", "c"]
    assert images.pull_secrets({}, "x") == []


@pytest.mark.parametrize("value", ["regcred", ["Upper"], [{"name": "regcred"}], ["a" * 254], [""]])
def test_pull_secrets_must_be_names(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"x_image_pull_secrets: is .* Write it as \[name\]"):
        images.pull_secrets({"x_image_pull_secrets": value}, "x")


def test_the_filters() -> None:
    filters = FilterModule().filters()
    assert filters["image_values"](FINE, "x") == values()
    assert filters["image_pull_secrets"]({"x_image_pull_secrets": ["a"]}, "x") == ["a"]
    with pytest.raises(AnsibleFilterError, match="x_image_tag"):
        filters["image_values"]({**FINE, "x_image_tag": ""}, "x")
    with pytest.raises(AnsibleFilterError, match="x_image_pull_secrets"):
        filters["image_pull_secrets"]({"x_image_pull_secrets": "a"}, "x")
