# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/awx.yml as a user runs it, with the real awx.awx, against the stub of a controller."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ansible_collections
import pytest
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible
from ansible_collections.orion.tracing.tests.awx.conftest import GIVEN, ROOT
from ansible_collections.orion.tracing.tests.awx.stub_controller import LOGIN, TOKEN, Request, StubController

CREDENTIALS = {
    "Production cluster": "OpenShift or Kubernetes API Bearer Token",
    "Production bucket": "Amazon Web Services",
}
PLAYBOOKS = tuple(f"playbooks/{path.name}" for path in (ROOT / "playbooks").glob("*.yml"))
# What AWX gives a job of its own accord. Source: https://github.com/ansible/awx, awx_meta_vars in awx/main/models.
OF_A_JOB = {
    "awx_job_id": 1,
    "awx_parent_job_schedule_id": 2,
    "awx_project_revision": "e21dd0a",
    "awx_user_name": "admin",
    "awx_inventory_name": "Tracing",
    "awx_execution_node": "awx",
}
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("awx")


@pytest.fixture(scope="module")
def run(folder: Path, collections: Path) -> Run:
    """The playbook against a controller; more: options, environ: of the environment."""

    def start(url: str, *more: str, token: str = TOKEN, given: Any = None, **environ: str) -> Any:
        ours = Path(next(iter(ansible_collections.__path__))).parent
        environ = {"ANSIBLE_COLLECTIONS_PATH": f"{ours}:{collections}", "no_proxy": "127.0.0.1", **environ}
        environ["ANSIBLE_PIPELINING"] = "true"  # a quarter less time
        variables = json.dumps({**GIVEN, "awx_credentials": list(CREDENTIALS), **(given or {})})
        argv = [str(ROOT / "playbooks/awx.yml"), "-e", variables, *more]
        done = run_ansible(
            folder, "ansible-playbook", *argv, CONTROLLER_HOST=url, CONTROLLER_OAUTH_TOKEN=token, **environ
        )
        assert not token or token not in done.stdout + done.stderr
        return done

    return start


def changed(done: subprocess.CompletedProcess[str]) -> int:
    assert done.returncode == 0, done.stdout + done.stderr
    return int(re.search(r"changed=(\d+)", done.stdout)[1])  # type: ignore[index]


def a_controller() -> StubController:
    stub = StubController(PLAYBOOKS)
    for name, kind in CREDENTIALS.items():
        stub.add_credential(name, kind)
    return stub


@pytest.fixture(scope="module")
def made(run: Run) -> Iterator[tuple[StubController, str, subprocess.CompletedProcess[str]]]:
    """A controller after the first run, its URL, and that run."""
    stub = a_controller()
    with stub.serving() as url:
        yield stub, url, run(url)


Made = tuple[StubController, str, subprocess.CompletedProcess[str]]


def test_the_first_run_makes_everything(made: Made) -> None:
    stub, _url, done = made
    assert changed(done) > 0 and "WARNING" not in done.stdout.replace("No inventory was parsed", "")
    templates = {one["name"]: one for one in stub.objects["job_templates"].values()}
    assert set(templates) == {
        f"Tracing {name}" for name in ("plan", "site", "verify", "simulate", "report", "drift", "status")
    }
    plan = templates["Tracing plan"]
    assert (plan["job_type"], plan["diff_mode"], plan["playbook"]) == ("check", True, "playbooks/site.yml")
    credentials = {stub.named("credentials", name)["id"] for name in CREDENTIALS}
    for one in templates.values():
        assert set(stub.attached["job_templates", one["id"], "credentials"]) == credentials
    surveys = {stub.objects[kind][number]["name"]: spec for (kind, number), spec in stub.surveys.items()}
    for name in ("site", "plan"):
        assert surveys[f"Tracing {name}"] == json.loads((ROOT / "awx/surveys/platform.json").read_text())
    assert stub.named("projects", "Tracing")["scm_url"] == GIVEN["awx_scm_url"]
    assert {one["name"] for one in stub.objects["schedules"].values()} == {"Tracing drift", "Tracing status"}
    injectors = stub.named("credential_types", "Tracing Grafana")["injectors"]
    assert injectors["env"] == {"GRAFANA_TOKEN": "{{ token }}"}


def test_the_workflow_waits_for_an_approval_between_plan_and_site(made: Made) -> None:
    stub, *_rest = made
    nodes = {one["id"]: one for one in stub.objects["workflow_job_template_nodes"].values()}
    after = {
        nodes[number]["identifier"]: [nodes[other]["identifier"] for other in others]
        for (kind, number, name), others in stub.attached.items()
        if kind == "workflow_job_template_nodes" and name == "success_nodes"
    }
    assert after == {"plan": ["approval"], "approval": ["site"], "site": ["verify"], "verify": ["report"], "report": []}
    (approval,) = stub.objects["workflow_approval_templates"].values()
    assert stub.named("workflow_job_template_nodes", "approval")["unified_job_template"] == approval["id"]
    assert approval["timeout"] == 86400


def test_the_second_run_changes_nothing(made: Made, run: Run) -> None:
    stub, url, _done = made
    before = len(stub.writes)
    assert changed(run(url)) == 0
    assert stub.writes[before:] == []


def test_what_differs_is_changed_and_check_mode_only_says_so(made: Made, run: Run) -> None:
    stub, url, _done = made
    site = stub.named("job_templates", "Tracing site")
    survey = stub.surveys["job_templates", site["id"]]
    survey["spec"] = survey["spec"][1:]
    stub.named("job_templates", "Tracing drift")["playbook"] = "playbooks/verify.yml"
    before = len(stub.writes)
    assert changed(run(url, "--check")) > 0
    assert stub.writes[before:] == []
    assert changed(run(url)) > 0
    assert {request.path for request in stub.writes[before:]} == {
        f"/api/v2/job_templates/{site['id']}/survey_spec/",
        f"/api/v2/job_templates/{stub.named('job_templates', 'Tracing drift')['id']}/",
    }
    assert stub.surveys["job_templates", site["id"]] == json.loads((ROOT / "awx/surveys/platform.json").read_text())


def html(request: Request) -> Any:
    return 200, LOGIN


def html_after_ping(request: Request) -> Any:
    return None if request.path.endswith("/ping/") else (200, LOGIN)


def forbidden(request: Request) -> Any:
    return (403, {"detail": "You do not have permission."}) if request.path.endswith("/me/") else None


@pytest.mark.parametrize(
    ("settings", "options", "messages"),
    [
        (
            {},
            {"token": "expired-token"},
            ["refuses controller_oauthtoken (401)", "Make a new one with the scope write"],
        ),
        ({"trouble": forbidden}, {}, ["read its own user (403)", "CONTROLLER_OAUTH_TOKEN"]),
        (
            {"trouble": html},
            {},
            ["is not an AWX controller", "answers 200 with text/html", "Give the URL of AWX itself"],
        ),
        ({"trouble": html_after_ping}, {}, ["answers 200 with text/html", "controller_oauthtoken", "Give the URL"]),
        ({"prefix": "/api/controller/"}, {}, ["is not an AWX controller", "CONTROLLER_OPTIONAL_API_URLPATTERN_PREFIX"]),
        (
            {"scope": "read"},
            {},
            [
                "Credential types: the controller",
                "(HTTP 403)",
                "The user admin of controller_oauthtoken",
                "scope write",
            ],
        ),
        (
            {},
            {"given": {"awx_credentials": ["Production cluster", "Nobody's"]}},
            ["awx_credentials names Nobody's, which the user admin", "Create them there"],
        ),
    ],
    ids=["401", "403", "html", "html-after-ping", "other-prefix", "read-only-token", "no-credential"],
)
def test_a_controller_that_refuses_ends_in_one_message(
    settings: dict[str, Any], options: dict[str, Any], messages: list[str], run: Run
) -> None:
    stub = a_controller()
    for name, value in settings.items():
        setattr(stub, name, value)
    before = json.dumps(stub.objects)
    with stub.serving() as url:
        done = run(url, **options)
    text = in_one_line(done)
    assert done.returncode == 2
    for message in messages:
        assert message in text, text
    assert json.dumps(stub.objects) == before
    assert "Traceback" not in text


def test_nobody_answers(run: Run) -> None:
    with a_controller().serving() as url:
        pass
    text = in_one_line(run(url))
    assert f"controller_host {url} does not answer:" in text and "Nothing was changed." in text


def test_variables_are_checked_before_anything_is_asked(run: Run) -> None:
    stub = a_controller()
    with stub.serving() as url:
        done = run(
            url, token="", given={"awx_scm_url": "", "awx_organisation": "x", "awx_credentials": "one", **OF_A_JOB}
        )
    text = in_one_line(done)
    for part in (
        "controller_oauthtoken is not set",
        "awx_scm_url is not set",
        "awx_organisation is not a variable of playbooks/awx.yml",
        "awx_credentials is not a list",
    ):
        assert part in text, text
    assert stub.asked == [] and not any(name in text for name in OF_A_JOB)


def test_without_the_collection_the_message_has_the_command(folder: Path) -> None:
    argv = ["orion.tracing.awx", "-e", json.dumps(GIVEN)]
    done = run_ansible(folder, "ansible-playbook", *argv, CONTROLLER_HOST="awx.example.com", CONTROLLER_OAUTH_TOKEN="a")
    assert "ansible-galaxy collection install awx.awx:24.6.1" in in_one_line(done)


def test_check_mode_on_an_empty_controller_says_what_it_cannot_show(run: Run) -> None:
    stub = a_controller()
    with stub.serving() as url:
        done = run(url, "--check")
    assert changed(done) == 0 and stub.writes == []
    assert "The organization Tracing does not exist" in in_one_line(done)
