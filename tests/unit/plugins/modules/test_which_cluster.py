# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every module goes to the cluster of its options, whatever the environment says, with two servers that keep count."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube
from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

ROOT = Path(__file__).parents[4]
TOKEN = "token-of-the-environment"
OPTIONS: dict[str, dict[str, Any]] = {
    "helm_release": {"name": "r", "namespace": "ns"},
    "helm_release_info": {},
    "instrumentation_info": {},
    "instrumentation_workloads": {"workloads": []},
    "local_credentials": {
        "name": "s",
        "namespace": "ns",
        "copy_to": [],
        "subject_alt_names": ["localhost"],
    },
    "local_secret": {"name": "s", "namespace": "ns", "keys": ["password"]},
    "otlp_replay": {"path": str(ROOT / "tests/unit/fixtures/probe.jsonl"), "timeout": "1s", "decision_wait": "1s"},
    "preflight": {"binary_path": "/nowhere/helm"},
    "sampler_drain": {"replicas": 1},
    "sampling_simulation": {"config": {"policies": [{"name": "all", "type": "always_sample"}]}, "store": {}},
    "split_trace_probe": {
        "tail_sampling": {"policies": [{"name": "slow", "type": "latency", "latency": {"threshold_ms": 1000}}]},
        "moved_percent": 50,
    },
    "tempo_upgrade": {"namespace": "tracing", "variables": {"tempo_profile": "kafka", "tempo_image_tag": "3.0.3"}},
    "trace_probe": {
        "timeout": "1s",
        "tail_sampling": {"decision_wait": "1s", "policies": [{"name": "all", "type": "always_sample"}]},
    },
    "trace_report": {
        "trace_ids": ["4bf92f3577b34da6a3ce929d0e0e4736"],
        "report_path": "trace-report.html",
        "report_template": str(ROOT / "roles/verify/files/report.html"),
    },
}


class Server(FakeKube):
    """An API server that knows its version and refuses the rest. url: where it is served."""

    def __init__(self, url: str = "") -> None:
        super().__init__()
        self.url = url
        self.refuse("^(?!GET /(version|readyz)$)", 403, "no")

    @property
    def tokens(self) -> list[str]:
        return [request.headers.get("authorization", "") for request in self.asked]


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    decoy, chosen = Server(), Server()
    with decoy.serving() as decoy.url, chosen.serving() as chosen.url:
        yield decoy, chosen


def kubeconfig(url: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "of-the-file"}}],
    }


def arguments(module: str, chart: Path, tmp_path: Path) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if module == "helm_release":
        extra = {"chart_ref": str(chart), "binary_path": str(tmp_path / "helm")}
    if module == "local_credentials":
        extra = {"files_dir": str(tmp_path / "files")}
    if module == "split_trace_probe":
        extra = {"state_path": str(tmp_path)}
    if module == "preflight":
        extra = {"variables": {"tracing_namespace": "tracing"}}
    return OPTIONS[module] | extra


def environment(decoy: Server, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "decoy").write_text(json.dumps(kubeconfig(decoy.url)))
    return {
        "K8S_AUTH_HOST": decoy.url,
        "K8S_AUTH_API_KEY": TOKEN,
        "K8S_AUTH_KUBECONFIG": str(tmp_path / "decoy"),
        "K8S_AUTH_CONTEXT": "one",
        "KUBECONFIG": str(tmp_path / "decoy"),
        "HELM_KUBEAPISERVER": decoy.url,
        # Nothing listens there, and nothing that is on this machine goes there.
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    folder = tmp_path / "chart"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 0.1.0\n")
    # Stands for helm and says which cluster it would go to.
    (tmp_path / "helm").write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\nexit 1\n")
    (tmp_path / "helm").chmod(0o755)
    return folder


def with_a_cluster() -> set[str]:
    found = set()
    for path in (ROOT / "plugins/modules").glob("*.py"):
        if "TracingModule(" in (text := path.read_text()) or "HelmModule(" in text:
            documentation = yaml.safe_load(text.partition('DOCUMENTATION = r"""')[2].partition('"""')[0])
            if "orion.tracing.kube" in documentation.get("extends_documentation_fragment", []):
                found.add(path.stem)
    return found


def test_these_are_all_modules_with_a_cluster() -> None:
    assert set(OPTIONS) == with_a_cluster()


@pytest.mark.parametrize("module", OPTIONS)
@pytest.mark.parametrize("source", ["file", "dictionary", "text", "host"])
def test_options_win_as_a_whole(
    module: str, source: str, servers: tuple[Server, Server], chart: Path, tmp_path: Path
) -> None:
    decoy, chosen = servers
    document = kubeconfig(chosen.url)
    (tmp_path / "chosen").write_text(json.dumps(document))
    options: dict[str, Any] = {
        "file": {"kubeconfig": str(tmp_path / "chosen")},
        "dictionary": {"kubeconfig": document},
        "text": {"kubeconfig": yaml.safe_dump(document)},
        "host": {"host": chosen.url},
    }[source]
    result = run(module, environment(decoy, tmp_path), **options, **arguments(module, chart, tmp_path))
    assert decoy.asked == []
    assert set(chosen.tokens) == {"" if source == "host" else "Bearer of-the-file"}
    assert "K8S_AUTH" not in json.dumps({**result, "invocation": None})
    assert "of-the-file" not in json.dumps(result)


@pytest.mark.parametrize("module", OPTIONS)
def test_a_kubeconfig_that_cannot_be_read_is_not_quoted(module: str, chart: Path, tmp_path: Path) -> None:
    text = "users:\n  - user: {token: of-the-file\n"
    result = run(module, {}, kubeconfig=text, **arguments(module, chart, tmp_path))
    assert "kubeconfig is neither a path nor a kubeconfig: it is not YAML in line 3" in result["msg"]
    assert "of-the-file" not in json.dumps(result)
    vaulted = tmp_path / "vaulted"
    vaulted.write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    result = run(module, {}, kubeconfig=str(vaulted), **arguments(module, chart, tmp_path))
    assert f"kubeconfig {vaulted} is encrypted with ansible-vault" in result["msg"]


def test_names_in_a_kubeconfig_do_not_hide_the_same_words_in_results(servers: tuple[Server, Server]) -> None:
    """k3s calls its user, its context and its cluster default."""
    document = kubeconfig(servers[0].url)
    document["users"] = [{"name": "no", "user": {"token": "of-the-file"}}]
    document["contexts"][0]["context"]["user"] = "no"
    result = run("helm_release_info", {}, kubeconfig=document)
    assert "answered 403: no." in result["msg"]


@pytest.mark.parametrize(
    ("script", "words"),
    [("", "No such file or directory"), ("#!/bin/sh\necho expired >&2\nexit 3\n", "process returned 3. expired")],
)
def test_an_exec_plugin_without_credentials_is_named(
    script: str, words: str, servers: tuple[Server, Server], tmp_path: Path
) -> None:
    server, plugin = servers[0], tmp_path / "get-token"
    if script:
        plugin.write_text(script)
        plugin.chmod(0o755)
    document = kubeconfig(server.url)
    execute = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    document["users"] = [{"name": "u", "user": {"exec": execute}}]
    (tmp_path / "config").write_text(json.dumps(document))
    for options in ({"kubeconfig": document}, {"kubeconfig": str(tmp_path / "config")}):
        result = run("helm_release_info", {}, **options)
        assert f"the exec plugin {plugin} of the kubeconfig gave no credentials" in result["msg"]
        assert words in result["msg"]
    assert server.asked == []


@pytest.mark.parametrize("module", OPTIONS)
def test_what_the_environment_chose_is_named(
    module: str, servers: tuple[Server, Server], chart: Path, tmp_path: Path
) -> None:
    decoy = servers[0]
    result = run(module, environment(decoy, tmp_path), **arguments(module, chart, tmp_path))
    assert set(decoy.tokens) == {f"Bearer {TOKEN}"}
    assert result["failed"] is True
    said = f"K8S_AUTH_HOST={decoy.url} and K8S_AUTH_API_KEY."
    lines = result["msg"].splitlines()
    assert said in (lines[0] if module == "preflight" else result["msg"])
    assert TOKEN not in json.dumps(result)


@pytest.mark.parametrize("module", OPTIONS)
def test_silence_names_host_and_variables(module: str, chart: Path, tmp_path: Path) -> None:
    """The one who answers nothing is the dead server of the environment."""
    environ = {"K8S_AUTH_HOST": "http://no-such-host.invalid:1", "K8S_AUTH_API_KEY": TOKEN}
    result = run(module, environ, **arguments(module, chart, tmp_path))
    assert "http://no-such-host.invalid:1" in result["msg"]
    assert "K8S_AUTH_HOST=http://no-such-host.invalid:1 and K8S_AUTH_API_KEY." in result["msg"]
    assert TOKEN not in json.dumps(result)


def test_a_missing_context_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(json.dumps(kubeconfig("http://127.0.0.1:9")))
    environ = {"K8S_AUTH_CONTEXT": "prod", "KUBECONFIG": str(tmp_path / "config")}
    result = run("helm_release_info", environ)
    assert f"The environment chose it: K8S_AUTH_CONTEXT=prod and KUBECONFIG={tmp_path}/config." in result["msg"]


def test_helm_itself_is_led_to_the_cluster_of_the_options(tmp_path: Path, chart: Path) -> None:
    """With a server that lets the module get as far as helm."""

    with FakeKube({"kind": "Namespace", "metadata": {"name": "ns"}}).serving() as url:
        (tmp_path / "chosen").write_text(json.dumps(kubeconfig(url)))
        decoy = Server("http://decoy.invalid")
        options = {"kubeconfig": str(tmp_path / "chosen")} | arguments("helm_release", chart, tmp_path)
        run("helm_release", environment(decoy, tmp_path), **options)
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines())
    assert seen["KUBECONFIG"] == str(tmp_path / "chosen")
    assert not [name for name in seen if name.startswith(("HELM_KUBE", "K8S_AUTH"))]
    assert decoy.url not in seen.values()


def test_an_s3_store_on_this_machine_without_proxy_and_with_the_keys_of_the_task_alone() -> None:
    asked: list[tuple[str, str | None]] = []

    class Store(Handler):
        def do_HEAD(self) -> None:
            asked.append((self.headers["Authorization"], self.headers.get("x-amz-security-token")))
            self.answer(404, b"")

    environ = {
        "http_proxy": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "AKIAOTHER",
        "AWS_SECRET_ACCESS_KEY": TOKEN,
        "AWS_SESSION_TOKEN": TOKEN,
    }
    with serving(Store) as url:
        given = run("s3_bucket_info", environ, name="traces", endpoint_url=url, access_key="AKIAMINE", secret_key="s")
        assert not given.get("failed"), given["msg"]
        assert not run("s3_bucket_info", environ, name="traces", endpoint_url=url).get("failed")
    assert ["AKIAMINE" in asked[0][0], asked[0][1]] == [True, None]
    assert ["AKIAOTHER" in asked[-1][0], asked[-1][1]] == [True, TOKEN]
