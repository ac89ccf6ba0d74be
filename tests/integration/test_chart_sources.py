# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Charts from a repository, a registry and a URL, with the helm of either major; and values files as helm merges them.

The repository is an HTTP server on the loopback interface, the registry is distribution's (ORION_REGISTRY). No cluster
is needed.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import openpgp
import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    InvalidInput,
    NotFound,
    PermissionDenied,
    ToolError,
    Unreachable,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.process import Interrupt
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts
from ansible_collections.orion.tracing.plugins.module_utils.helm import source, values_files
from ansible_collections.orion.tracing.plugins.module_utils.helm.cli import Answer, Helm, run_process
from ansible_collections.orion.tracing.plugins.module_utils.helm.source import Source
from ansible_collections.orion.tracing.tests.ports import free_ports
from chart_servers import PASSWORD, USER, Registry, Server, run, serve_registry, serve_repository
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

VERSIONS = ("1.0.0", "1.1.0", "1.2.0-rc.1", "1.3.0+build.5")


class Recorder:
    """Runs helm, and remembers what anybody could see of it."""

    def __init__(self) -> None:
        self.argv: list[list[str]] = []

    def __call__(
        self,
        argv: list[str],
        env: Mapping[str, str],
        stdin: str,
        seconds: float,
        interrupt: Interrupt | None = None,
    ) -> Answer:
        self.argv.append(argv)
        return run_process(argv, env, stdin, seconds, interrupt)


@dataclass(frozen=True)
class Packages:
    """Packaged charts named demo, signed ones of the versions 1.0.0 and 1.1.0 (by different keys)."""

    folder: Path
    keyring: Path
    other_keyring: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    folder = tmp_path_factory.mktemp("packages")
    chart = folder / "demo"
    (chart / "templates").mkdir(parents=True)
    (chart / "values.yaml").write_text("default: {kept: 1, removed: 2}\nlist: [a, b]\n")
    (chart / "templates" / "values.yaml").write_text("{{ .Values | toJson }}\n")
    keys = {name: openpgp.make(f"{name} <{name}@example.com>") for name in ("release", "stranger")}
    for name, key in keys.items():
        (folder / f"{name}.secret").write_bytes(key.secret)
        (folder / f"{name}.public").write_bytes(key.public)
    for version in VERSIONS:
        (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: demo\nversion: {version}\n")
        signer = {"1.0.0": "release", "1.1.0": "stranger"}.get(version)
        sign = ["--sign", "--key", signer, "--keyring", folder / f"{signer}.secret"] if signer else []
        run(os.environ["ORION_HELM"], "package", chart, "--destination", folder / "charts", *sign)
    certificate, key_file = make_certificate(folder)
    return Packages(folder / "charts", folder / "release.public", folder / "stranger.public", certificate, key_file)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "charts")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "tls.crt", folder / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.fixture
def serve(tmp_path: Path, packages: Packages) -> Iterator:
    """Start a repository of the packaged charts; index_url: what its index puts before the files' names."""
    with ExitStack() as running:

        def start(login: bool = False, tls: bool = False, index_url: str = "") -> Server:
            folder = Path(tempfile.mkdtemp(prefix="repository", dir=tmp_path)) / "charts"
            shutil.copytree(packages.folder, folder)
            run(os.environ["ORION_HELM"], "repo", "index", folder, *(["--url", index_url] if index_url else []))
            certificate = (packages.certificate, packages.key) if tls else None
            return running.enter_context(serve_repository(folder, login, certificate))

        yield start


def registry_of(kind: str, folder: Path, packages: Packages) -> Iterator[Registry]:
    """A registry with the packaged charts under charts/."""
    certificate = (packages.certificate, packages.key) if kind == "tls" else None
    with serve_registry(folder, kind == "login", certificate) as registry:
        env = {**os.environ, "HELM_REGISTRY_CONFIG": str(folder / "registry.json")}
        flags = ["--ca-file", str(packages.certificate)] if kind == "tls" else ["--plain-http"]
        if kind == "login":
            flags += ["--username", USER, "--password", PASSWORD]
        for package in sorted(packages.folder.glob("*.tgz")):
            run(os.environ["ORION_HELM"], "push", package, f"oci://{registry.host}/charts", *flags, env=env)
        yield registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, packages: Packages) -> Iterator[Registry]:
    yield from registry_of("open", tmp_path_factory.mktemp("registry"), packages)


@pytest.fixture(scope="module")
def login_registry(tmp_path_factory: pytest.TempPathFactory, packages: Packages) -> Iterator[Registry]:
    yield from registry_of("login", tmp_path_factory.mktemp("registry"), packages)


@pytest.fixture(scope="module")
def tls_registry(tmp_path_factory: pytest.TempPathFactory, packages: Packages) -> Iterator[Registry]:
    yield from registry_of("tls", tmp_path_factory.mktemp("registry"), packages)


@pytest.fixture(params=["ORION_HELM3", "ORION_HELM"], ids=["helm3", "helm4"])
def helm(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helm:
    """A helm with a home, and the module with a cache, of their own."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "XDG_", "GNUPG"))}
    return Helm(os.environ[request.param], {**env, "HOME": str(home)}, Recorder())


def seen(helm: Helm) -> list[str]:
    """The subcommands that ran."""
    return [argv[1] for argv in helm._run.argv]


def leftovers(tmp_path: Path) -> list[Path]:
    """Files of the cache and of helm's own folders in which a secret lies, and unfinished downloads."""
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    secrets = [PASSWORD.encode(), base64.b64encode(f"{USER}:{PASSWORD}".encode())]
    found = [path for path in files if any(secret in path.read_bytes() for secret in secrets)]
    return found + list((tmp_path / "home").rglob(".pull-*"))


def of_repository(shop: Server, version: str = "1.0.0", **options) -> Source:
    return Source(chart_ref="demo", chart_repo_url=shop.url, chart_version=version, **options)


def of_registry(registry: Registry, version: str = "1.0.0", **options) -> Source:
    return Source(chart_ref=f"oci://{registry.host}/charts/demo", chart_version=version, plain_http=True, **options)


def pull(wanted: Source, helm: Helm) -> Path:
    source.check(wanted)
    return source.pull(wanted, helm)


def version_of(path: Path) -> str:
    return charts.load(str(path)).metadata["version"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_of_a_repository_is_downloaded_once(helm: Helm, serve, version: str) -> None:
    shop = serve()
    wanted = of_repository(shop, version)
    assert source.cached(wanted) is None
    path = pull(wanted, helm)
    assert version_of(path) == version
    assert helm.processes == 1
    asked = list(shop.paths)
    assert asked == ["/index.yaml", f"/demo-{version}.tgz"]
    assert source.cached(wanted) == path
    assert (helm.processes, shop.paths) == (1, asked)
    assert path.read_bytes() == (shop.folder / f"demo-{version}.tgz").read_bytes()


def test_a_damaged_file_is_downloaded_again(helm: Helm, serve) -> None:
    wanted = of_repository(serve())
    path = pull(wanted, helm)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert source.cached(wanted) is None
    assert not path.exists()
    assert pull(wanted, helm).read_bytes() == whole
    assert source.cached(wanted) == path


def test_a_chart_with_another_digest_is_refused_and_not_kept(helm: Helm, serve, tmp_path: Path) -> None:
    shop = serve()
    right, wrong = source.digest_of(shop.folder / "demo-1.0.0.tgz"), "sha256:" + "0" * 64
    with pytest.raises(InvalidInput, match=f"(?s){right}.*{wrong}"):
        pull(of_repository(shop, chart_digest=wrong), helm)
    assert not list((tmp_path / "home").rglob("*.tgz"))
    path = pull(of_repository(shop, chart_digest=right), helm)
    assert source.cached(of_repository(shop, chart_digest=right)) == path
    assert source.cached(of_repository(shop, chart_digest=wrong)) is None
    assert path.exists()


def test_a_version_that_was_replaced_is_noticed_by_its_digest(helm: Helm, serve) -> None:
    shop = serve()
    old, package = of_repository(shop), shop.folder / "demo-1.0.0.tgz"
    first = pull(old, helm)
    assert source.cached(of_repository(shop, chart_digest=source.digest_of(first))) == first
    chart = charts.load(str(package))
    package.write_bytes(charts.archive(chart, {"templates/added.yaml": b"# another chart of the same version"}))
    changed = of_repository(shop, chart_digest=source.digest_of(package))
    assert source.cached(changed) is None
    assert pull(changed, helm) != first
    with pytest.raises(InvalidInput, match="chart_digest is"):
        pull(of_repository(shop, chart_digest=source.digest_of(first)), helm)


def test_a_chart_that_is_not_the_one_in_the_index_is_refused(helm: Helm, serve) -> None:
    shop = serve()
    shutil.copy(shop.folder / "demo-1.1.0.tgz", shop.folder / "demo-1.0.0.tgz")
    with pytest.raises(InvalidInput, match="version in its Chart.yaml is 1.1.0, and 1.0.0 was asked for"):
        pull(of_repository(shop), helm)


def test_a_repository_with_a_password(helm: Helm, serve, tmp_path: Path) -> None:
    shop = serve(login=True)
    path = pull(of_repository(shop, repo_username=USER, repo_password=PASSWORD), helm)
    assert version_of(path) == "1.0.0"
    assert seen(helm) == ["repo", "pull"]
    assert PASSWORD not in str(helm._run.argv)
    assert leftovers(tmp_path) == []
    assert {authorization for _path, authorization in shop.requests} == {shop.login}


def test_a_password_stays_with_the_host_of_its_repository(helm: Helm, serve) -> None:
    files = serve()
    shop = serve(login=True, index_url=files.url)
    pull(of_repository(shop, repo_username=USER, repo_password=PASSWORD), helm)
    assert files.requests == [("/demo-1.0.0.tgz", "")]


@pytest.mark.parametrize(
    ("options", "status"), [({}, "401"), ({"repo_username": USER, "repo_password": "wrong horse"}, "403")]
)
def test_a_repository_that_refuses(helm: Helm, serve, options: dict, status: str) -> None:
    with pytest.raises(PermissionDenied, match=f"(?s)demo 1.0.0 of http.*{status}.*repo_password") as caught:
        pull(of_repository(serve(login=True), **options), helm)
    assert "wrong horse" not in f"{caught.value} {caught.value.details} {helm._run.argv}"


@pytest.mark.parametrize("login", [False, True])
@pytest.mark.parametrize(("name", "version"), [("demo", "9.0.0"), ("demo", "1.0.403"), ("keyring", "1.0.0")])
def test_what_a_repository_does_not_have(helm: Helm, serve, login: bool, name: str, version: str) -> None:
    shop = serve(login=login)
    wanted = Source(
        chart_ref=name,
        chart_repo_url=shop.url,
        chart_version=version,
        **({"repo_username": USER, "repo_password": PASSWORD} if login else {}),
    )
    with pytest.raises(NotFound, match=f"(?s){name} {version} of {shop.url} does not exist.*not found"):
        pull(wanted, helm)


def test_a_repository_that_does_not_answer(helm: Helm, serve) -> None:
    url = f"http://127.0.0.1:{free_ports()[0]}"
    with pytest.raises(Unreachable, match=f"(?s){url}.*connection refused.*HTTPS_PROXY"):
        pull(Source(chart_ref="demo", chart_repo_url=url, chart_version="1.0.0"), helm)
    with pytest.raises(NotFound, match="404"):
        pull(Source(chart_ref="demo", chart_repo_url=serve().url + "/below", chart_version="1.0.0"), helm)


@pytest.mark.parametrize("login", [False, True])
def test_a_repository_with_a_certificate_of_its_own(helm: Helm, serve, packages: Packages, login: bool) -> None:
    shop = serve(tls=True, login=login)
    options = {"repo_username": USER, "repo_password": PASSWORD} if login else {}
    with pytest.raises(Unreachable, match="(?s)x509.*repo_ca_file"):
        pull(of_repository(shop, **options), helm)
    checked = of_repository(shop, repo_ca_file=str(packages.certificate), **options)
    unchecked = of_repository(shop, insecure_skip_tls_verify=True, **options)
    assert version_of(pull(unchecked, helm)) == "1.0.0"
    assert source.cached(checked) is None, "a chart from an unchecked host serves only who asks for one"
    assert version_of(pull(checked, helm)) == "1.0.0"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_of_a_registry_is_downloaded_once(helm: Helm, registry: Registry, version: str) -> None:
    wanted = of_registry(registry, version)
    assert source.cached(wanted) is None
    path = pull(wanted, helm)
    assert (version_of(path), helm.processes) == (version, 1)
    assert source.cached(wanted) == path
    for tag in sorted({version, version.replace("+", "_")}):
        tagged = Source(chart_ref=f"{wanted.chart_ref}:{tag}", plain_http=True)
        source.check(tagged)
        assert source.cached(tagged) == path
        path.unlink()
        assert pull(tagged, helm) == path


def test_the_digest_of_a_registry_s_layer_is_that_of_the_chart(helm: Helm, registry: Registry) -> None:
    digest, manifest = registry.manifest("charts/demo", "1.0.0")
    layers = {layer["mediaType"]: layer["digest"] for layer in manifest["layers"]}
    layer = layers["application/vnd.cncf.helm.chart.content.v1.tar+gzip"]
    path = pull(of_registry(registry, chart_digest=layer), helm)
    for reference in (f"@{digest}", f":1.0.0@{digest}"):
        wanted = Source(chart_ref=f"oci://{registry.host}/charts/demo{reference}", chart_digest=layer, plain_http=True)
        assert pull(wanted, helm).name == path.name
        assert source.cached(wanted)
    with pytest.raises(InvalidInput, match="has the digest"):
        pull(of_registry(registry, chart_digest=digest), helm)


def test_a_manifest_s_digest_and_the_version_have_to_go_together(helm: Helm, registry: Registry) -> None:
    digest, _manifest = registry.manifest("charts/demo", "1.0.0")
    wanted = Source(chart_ref=f"oci://{registry.host}/charts/demo:1.1.0@{digest}", plain_http=True)
    with pytest.raises(ToolError, match="digest mismatch"):
        pull(wanted, helm)


def test_a_registry_with_a_password(helm: Helm, login_registry: Registry, tmp_path: Path) -> None:
    path = pull(of_registry(login_registry, repo_username=USER, repo_password=PASSWORD), helm)
    assert version_of(path) == "1.0.0"
    assert seen(helm) == ["pull"]
    assert PASSWORD not in str(helm._run.argv)
    assert leftovers(tmp_path) == []


def test_a_login_of_the_user_holds_where_no_password_is_given(
    helm: Helm, login_registry: Registry, tmp_path: Path
) -> None:
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    config = tmp_path / "home" / ".config" / "helm" / "registry"
    config.mkdir(parents=True)
    (config / "config.json").write_text(json.dumps({"auths": {login_registry.host: {"auth": login}}}))
    assert version_of(pull(of_registry(login_registry), helm)) == "1.0.0"


@pytest.mark.parametrize("options", [{}, {"repo_username": USER, "repo_password": "wrong horse"}])
def test_a_registry_that_refuses(helm: Helm, login_registry: Registry, options: dict) -> None:
    with pytest.raises(PermissionDenied, match="(?s)may not be downloaded.*repo_username"):
        pull(of_registry(login_registry, **options), helm)


@pytest.mark.parametrize(("name", "version"), [("demo", "9.0.0"), ("nothing", "1.0.0")])
def test_what_a_registry_does_not_have(helm: Helm, registry: Registry, name: str, version: str) -> None:
    wanted = Source(chart_ref=f"oci://{registry.host}/charts/{name}", chart_version=version, plain_http=True)
    with pytest.raises(NotFound, match=f"{name}:{version}: not found"):
        pull(wanted, helm)


def test_a_registry_that_does_not_answer(helm: Helm) -> None:
    with pytest.raises(Unreachable, match="connection refused"):
        pull(of_registry(Registry(f"127.0.0.1:{free_ports()[0]}")), helm)


def test_a_registry_with_a_certificate_of_its_own(helm: Helm, tls_registry: Registry, packages: Packages) -> None:
    reference = f"oci://{tls_registry.host}/charts/demo:1.0.0"
    with pytest.raises(Unreachable, match="x509"):
        pull(Source(chart_ref=reference), helm)
    assert pull(Source(chart_ref=reference, repo_ca_file=str(packages.certificate)), helm)
    assert pull(Source(chart_ref=reference, insecure_skip_tls_verify=True), helm)


@pytest.mark.parametrize("kind", ["repository", "registry", "url"])
def test_signatures(helm: Helm, serve, registry: Registry, packages: Packages, kind: str) -> None:
    shop = serve()

    def signed(version: str, keyring: Path) -> Source:
        options = {"verify": True, "keyring": str(keyring)}
        if kind == "url":
            return Source(chart_ref=f"{shop.url}/demo-{version}.tgz", chart_version=version, **options)
        return (
            of_registry(registry, version, **options) if kind == "registry" else of_repository(shop, version, **options)
        )

    good = signed("1.0.0", packages.keyring)
    path = pull(good, helm)
    assert (version_of(path), helm.processes) == ("1.0.0", 1)
    assert source.cached(good) == path
    with pytest.raises(ToolError, match="1.0.0.* is not verified.*unknown entity"):
        pull(signed("1.0.0", packages.other_keyring), helm)
    with pytest.raises(ToolError, match="1.1.0.* is not verified.*unknown entity"):
        pull(signed("1.1.0", packages.keyring), helm)
    with pytest.raises(ToolError, match="1.2.0-rc.1.* is not verified.*failed to fetch provenance"):
        pull(signed("1.2.0-rc.1", packages.keyring), helm)


def test_a_chart_that_was_changed_after_it_was_signed(helm: Helm, serve, packages: Packages) -> None:
    shop = serve()
    package = shop.folder / "demo-1.0.0.tgz"
    package.write_bytes(charts.archive(charts.load(str(package)), {"templates/added.yaml": b"# not by the publisher"}))
    with pytest.raises(ToolError, match="is not verified.*sha256 sum does not match"):
        pull(of_repository(shop, verify=True, keyring=str(packages.keyring)), helm)


def test_a_chart_that_was_downloaded_unverified_is_not_taken_for_a_verified_one(
    helm: Helm, serve, packages: Packages
) -> None:
    shop = serve()
    pull(of_repository(shop), helm)
    assert source.cached(of_repository(shop, verify=True, keyring=str(packages.keyring))) is None
    assert pull(of_repository(shop, verify=True, keyring=str(packages.keyring)), helm)
    assert source.cached(of_repository(shop, verify=True, keyring=str(packages.other_keyring))) is None


def test_the_url_of_a_package(helm: Helm, serve) -> None:
    shop = serve()
    url = f"{shop.url}/demo-1.0.0.tgz"
    for wanted in (
        Source(chart_ref=url, chart_version="1.0.0"),
        Source(chart_ref=url, chart_digest=source.digest_of(shop.folder / "demo-1.0.0.tgz")),
    ):
        path = pull(wanted, helm)
        assert (version_of(path), source.cached(wanted)) == ("1.0.0", path)
    with pytest.raises(InvalidInput, match="1.1.0 was asked for"):
        pull(Source(chart_ref=url, chart_version="1.1.0"), helm)
    with pytest.raises(NotFound, match="404"):
        pull(Source(chart_ref=f"{shop.url}/nothing-1.0.0.tgz", chart_version="1.0.0"), helm)


def test_repositories_of_the_user_do_not_mix_in(helm: Helm, serve, tmp_path: Path) -> None:
    shop = serve()
    config = tmp_path / "home" / ".config" / "helm"
    config.mkdir(parents=True)
    (config / "repositories.yaml").write_text("this: [is, not, a, list of repositories\n")
    assert version_of(pull(of_repository(shop), helm)) == "1.0.0"


FIRST = """\
scalars: {integer: 1, big: 9007199254740991, octal: 0o17, old_octal: 017, float: 1e3, text: "1", yes: no, empty: ""}
"dotted.key/with~signs": {"inner.key": kept}
default: {removed: null}
replaced: [1, 2, 3]
tree: {a: {b: {c: first, d: first}}, scalar: 1, map: {x: 1}}
1: a number as a key
true: a boolean as a key
1.10: a float as a key
2.0: another
operator: =
date: 2024-01-31
sexagesimal: 12:30:45
anchors: &anchor {shared: 1}
merged:
  <<: *anchor
  own: 2
text: |
  two
  lines
"""
SECOND = """\
replaced: [9]
tree: {a: {b: {d: second, e: second}}, scalar: {now: a map}, map: now a scalar}
nothing:
"""
THIRD = """\
tree: {a: {b: {c: null}}}
"""


def test_values_files_are_merged_as_helm_does(helm: Helm, packages: Packages, tmp_path: Path) -> None:
    files = []
    for number, text in enumerate((FIRST, SECOND, "", "# a comment alone\n", THIRD)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        files.append(str(path))
    chart = packages.folder / "demo-1.0.0.tgz"
    by_helm = run(helm.binary, "template", "r", chart, *[word for file in files for word in ("--values", file)])
    merged = tmp_path / "merged.json"
    merged.write_text(json.dumps(values_files.merge(files, {})))
    by_module = run(helm.binary, "template", "r", chart, "--values", merged)
    assert by_module == by_helm
    rendered = json.loads(by_helm.splitlines()[-1])
    assert rendered["tree"] == {
        "a": {"b": {"c": None, "d": "second", "e": "second"}},  # no default to remove
        "scalar": {"now": "a map"},
        "map": "now a scalar",
    }
    assert rendered["default"] == {"kept": 1}
    assert rendered["dotted.key/with~signs"] == {"inner.key": "kept"}


def test_several_documents_in_a_values_file_are_merged_as_helm_4_does(packages: Packages, tmp_path: Path) -> None:
    path, merged = tmp_path / "values.yaml", tmp_path / "merged.json"
    path.write_text("a: {b: 1, c: 1}\n---\na: {c: 2}\n---\n")
    merged.write_text(json.dumps(values_files.merge([str(path)], {})))
    chart = packages.folder / "demo-1.0.0.tgz"
    helm = os.environ["ORION_HELM"]
    assert run(helm, "template", "r", chart, "--values", path) == run(helm, "template", "r", chart, "--values", merged)
