# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The modules for Grafana as Ansible runs them, against the stub of its API, with requests counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.grafana.datasources import api_sources
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.plugins.fake_grafana import LOGIN, TOKEN, FakeGrafana
from ansible_collections.orion.tracing.tests.unit.plugins.modules.as_process import run

TENANT = "team-of-the-shop"
PROMETHEUS = {"name": "Prometheus", "type": "prometheus", "uid": "prometheus", "url": "http://prometheus:9090"}
TEMPO = {
    "name": "Tempo",
    "type": "tempo",
    "uid": "tempo",
    "url": "http://tempo:3200",
    "jsonData": {"serviceMap": {"datasourceUid": "prometheus"}, "httpHeaderName1": "X-Scope-OrgID"},
    "secureJsonData": {"httpHeaderValue1": TENANT},
}
MODEL = {"uid": "overview", "title": "Overview", "schemaVersion": 39, "panels": [{"id": 1, "title": "Spans"}]}
RULE = {
    "uid": "no-spans",
    "title": "No spans",
    "condition": "A",
    "for": "300s",
    "data": [{"refId": "A", "datasourceUid": "prometheus", "model": {"expr": "up == 0"}}],
    "annotations": {"summary": "No spans arrive"},
}
GROUP = {"orgId": 1, "name": "tracing", "folder": "x", "interval": "1m", "rules": [RULE]}


@pytest.fixture
def grafana() -> Iterator[FakeGrafana]:
    fake = FakeGrafana()
    with fake.serving() as url:
        fake.url = url  # type: ignore[attr-defined]
        yield fake


def call(grafana: Any, module: str, **arguments: Any) -> dict[str, Any]:
    result = run(f"grafana_{module}", url=grafana.url, token=TOKEN, **arguments)
    assert TOKEN not in json.dumps(result) and TENANT not in json.dumps(result)
    return result


def test_data_sources_are_made_and_then_left_alone(grafana: Any) -> None:
    given = {"datasources": [PROMETHEUS, TEMPO]}
    checked = call(grafana, "datasource", **given, _ansible_check_mode=True, _ansible_diff=True)
    assert checked["changed"] and not grafana.writes and checked["api_calls"] == 3
    done = call(grafana, "datasource", **given, _ansible_diff=True)
    assert set(done) == set(checked) and done["steps"] == checked["steps"] and done["diff"] == checked["diff"]
    assert done["steps"] == ["create data source prometheus", "create data source tempo"]
    assert '"httpHeaderValue1": "set, not shown"' in done["diff"][1]["after"]
    assert grafana.secrets["tempo"] == {"httpHeaderValue1": TENANT}
    assert done["datasources"][1]["secureJsonData"] == {"httpHeaderValue1": "set, not shown"}
    grafana.asked.clear()
    grafana.connections = 0
    again = call(grafana, "datasource", **given)
    assert not again["changed"] and again["api_calls"] == 2 == len(grafana.asked)
    assert grafana.connections <= 2


def test_all_the_roles_data_sources_are_left_alone_in_a_second_run(grafana: Any) -> None:
    """What Grafana adds (id, version, readOnly, secureJsonFields, …) is no difference."""
    variables = role_defaults(
        "grafana",
        grafana_provisioning="api",
        grafana_url=grafana.url,
        grafana_prometheus_url="http://prometheus:9090",
        grafana_logs_type="victorialogs",
        grafana_logs_url="http://victorialogs:9428",
        grafana_tenants={"tempo": TENANT},
    )
    sources, _warnings = api_sources(variables)
    assert call(grafana, "datasource", datasources=sources)["changed"]
    assert not call(grafana, "datasource", datasources=sources)["changed"]
    assert grafana.sources["tempo"]["jsonData"]["tracesToLogsV2"]["query"].startswith('(trace_id:="${__span.traceId}"')


def test_a_changed_data_source_is_updated_by_its_uid_and_version(grafana: Any) -> None:
    call(grafana, "datasource", datasources=[PROMETHEUS, TEMPO])
    grafana.sources["tempo"] |= {"jsonData": {"nodeGraph": {"enabled": True}}, "isDefault": True, "version": 7}
    grafana.asked.clear()
    done = call(grafana, "datasource", datasources=[PROMETHEUS, TEMPO], _ansible_diff=True)
    assert done["steps"] == ["update data source tempo"] and done["api_calls"] == 3
    (put,) = grafana.writes
    assert put.path == "/api/datasources/uid/tempo" and put.document["version"] == 7
    assert grafana.sources["tempo"]["jsonData"] == TEMPO["jsonData"], "jsonData is exact"
    assert grafana.sources["tempo"]["isDefault"] is True, "what is not set stays"
    assert "nodeGraph" in done["diff"][0]["before"] and "nodeGraph" not in done["diff"][0]["after"]


def test_secrets_are_sent_when_one_is_missing_or_always(grafana: Any) -> None:
    call(grafana, "datasource", datasources=[TEMPO])
    rotated = {**TEMPO, "secureJsonData": {"httpHeaderValue1": "another-team"}}
    assert not call(grafana, "datasource", datasources=[rotated])["changed"]
    assert call(grafana, "datasource", datasources=[rotated], secrets="always")["changed"]
    assert grafana.secrets["tempo"] == {"httpHeaderValue1": "another-team"}
    other = {**TEMPO, "secureJsonData": {"basicAuthPassword": "something"}}
    assert call(grafana, "datasource", datasources=[other])["changed"]
    assert grafana.secrets["tempo"] == {"httpHeaderValue1": "", "basicAuthPassword": "something"}
    assert not call(grafana, "datasource", datasources=[other])["changed"]
    without = {key: value for key, value in TEMPO.items() if key != "secureJsonData"}
    assert not call(grafana, "datasource", datasources=[without])["changed"], "not set: not touched"


def test_data_sources_are_removed(grafana: Any) -> None:
    call(grafana, "datasource", datasources=[TEMPO])
    assert call(grafana, "datasource", datasources=[{"uid": "tempo"}, {"uid": "x"}], state="absent")["steps"] == [
        "delete data source tempo"
    ]
    assert not grafana.sources
    assert not call(grafana, "datasource", datasources=[{"uid": "tempo"}], state="absent")["changed"]


def test_everything_that_stands_in_the_way_is_said_before_anything_changes(grafana: Any) -> None:
    grafana.add_source(uid="P1809F7CD0C75ACF3", name="Tempo", type="tempo", url="http://old:3200")
    grafana.add_source(uid="prometheus", name="Prometheus", type="prometheus", url="http://p:9090", readOnly=True)
    failed = call(grafana, "datasource", datasources=[PROMETHEUS, TEMPO])
    assert "data source prometheus (Prometheus) is read-only: it was provisioned from a file" in failed["msg"]
    assert "datasources[1].name: is 'Tempo', which the data source with the uid P1809F7CD0C75ACF3" in failed["msg"]
    assert not grafana.writes
    failed = call(grafana, "datasource", datasources=[{"uid": "prometheus"}], state="absent")
    assert "is read-only" in failed["msg"] and not grafana.writes


def test_somebody_else_was_faster(grafana: Any) -> None:
    call(grafana, "datasource", datasources=[TEMPO])
    grafana.sources["tempo"]["url"] = "http://other:3200"
    grafana.trouble = lambda r: (
        (409, {"message": "Datasource has already been updated by someone else. Please reload and try again"})
        if r.method == "PUT"
        else None
    )
    failed = call(grafana, "datasource", datasources=[TEMPO])
    assert "answered 409: Datasource has already been updated by someone else" in failed["msg"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"uid": "a b", "name": "x", "type": "x"}, "datasources[0].uid: is 'a b', which cannot be a uid"),
        ({"uid": "a"}, "datasources[0].name: is missing"),
        ({"uid": "a", "name": "x", "type": "x", "json_data": {}}, "datasources[0].json_data: is not a key of a data"),
        ({"uid": "a", "name": "x", "type": "x", "jsonData": [1]}, "datasources[0].jsonData: is not a mapping"),
    ],
)
def test_bad_data_sources_are_refused_before_anything_is_sent(grafana: Any, given: Any, message: str) -> None:
    assert message in call(grafana, "datasource", datasources=[given])["msg"] and not grafana.asked


def test_a_folder_is_made_renamed_moved_and_removed(grafana: Any) -> None:
    given = {"uid": "tracing", "title": "Tracing"}
    checked = call(grafana, "folder", **given, _ansible_check_mode=True)
    done = call(grafana, "folder", **given)
    assert checked["steps"] == done["steps"] == ["create folder tracing"] and done["api_calls"] == 2
    again = call(grafana, "folder", **given)
    assert not again["changed"] and again["api_calls"] == 1 and again["folder"] == given
    grafana.add_folder("platform", "Platform")
    moved = call(grafana, "folder", uid="tracing", title="Distributed tracing", parent_uid="platform")
    assert moved["steps"] == ["rename folder tracing", "move folder tracing"]
    assert grafana.folders["tracing"]["parentUid"] == "platform"
    assert not call(grafana, "folder", uid="tracing", title="Distributed tracing")["changed"]
    grafana.groups["tracing", "a"] = {"rules": [RULE]}
    assert "folder contains alert rules" in call(grafana, "folder", uid="tracing", state="absent")["msg"]
    assert call(grafana, "folder", uid="tracing", state="absent", force=True)["changed"]
    assert not call(grafana, "folder", uid="tracing", state="absent")["changed"]


def test_a_folder_that_somebody_changes_meanwhile(grafana: Any) -> None:
    grafana.add_folder("tracing", "Tracing")
    answer = {"message": "the folder has been changed by someone else", "status": "version-mismatch"}
    grafana.trouble = lambda r: (412, answer) if r.method == "PUT" else None
    failed = call(grafana, "folder", uid="tracing", title="Other")
    assert "answered 412: the folder has been changed by someone else. Run again" in failed["msg"]


@pytest.mark.parametrize("migrates", [False, True])
def test_dashboards_are_made_and_then_left_alone(grafana: Any, tmp_path: Path, migrates: bool) -> None:
    grafana.migrates = migrates
    grafana.add_folder("tracing", "Tracing")
    file = tmp_path / "overview.json"
    file.write_text(json.dumps({**MODEL, "id": 17, "version": 4}))
    given = {"paths": [str(file)], "folder_uid": "tracing"}
    checked = call(grafana, "dashboard", **given, _ansible_check_mode=True, _ansible_diff=True)
    assert checked["changed"] and not grafana.writes and checked["api_calls"] == 2
    done = call(grafana, "dashboard", **given, _ansible_diff=True)
    assert done["steps"] == checked["steps"] == ["create dashboard overview"] and done["diff"] == checked["diff"]
    assert done["api_calls"] == 3 and done["dashboards"][0]["url"] == "/d/overview/x"
    again = call(grafana, "dashboard", **given)
    assert not again["changed"] and again["api_calls"] == 1
    grafana.dashboards["overview"]["dashboard"]["panels"].append({"id": 2})
    updated = call(grafana, "dashboard", **given)
    assert updated["steps"] == ["update dashboard overview"] and grafana.writes[-1].document["overwrite"] is False
    assert call(grafana, "dashboard", dashboards=[MODEL])["steps"] == ["update dashboard overview"], "another folder"
    assert call(grafana, "dashboard", uids=["overview", "x"], state="absent")["steps"] == ["delete dashboard overview"]


def test_a_dashboard_whose_uid_is_taken(grafana: Any) -> None:
    grafana.add_folder("tracing", "Tracing")
    grafana.add_folder("other", "Other team")
    grafana.add_dashboard({"uid": "overview", "title": "Sales"}, "other")
    failed = call(grafana, "dashboard", dashboards=[MODEL], folder_uid="tracing")
    assert (
        "dashboards[0]: has the uid overview, which the dashboard 'Sales' in the folder 'Other team' has"
        in failed["msg"]
    )
    assert not grafana.writes
    assert call(grafana, "dashboard", dashboards=[MODEL], folder_uid="tracing", overwrite=True)["changed"]


def test_a_dashboard_from_a_file_is_read_only(grafana: Any) -> None:
    grafana.add_dashboard(MODEL, provisioned=True, provisionedExternalId="overview.json")
    for arguments in ({"dashboards": [{**MODEL, "tags": ["x"]}]}, {"uids": ["overview"], "state": "absent"}):
        assert "dashboard overview is read-only" in call(grafana, "dashboard", **arguments)["msg"]
    assert not grafana.writes


def test_a_dashboard_that_somebody_changes_meanwhile(grafana: Any) -> None:
    grafana.add_dashboard({**MODEL, "panels": []})
    answer = {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
    grafana.trouble = lambda r: (412, answer) if r.method == "POST" else None
    failed = call(grafana, "dashboard", dashboards=[MODEL])
    assert "answered 412: The dashboard has been changed by someone else" in failed["msg"]
    assert failed["reason"] == "version-mismatch"


def test_what_is_no_dashboard_is_said_all_at_once(grafana: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"uid": "a",\n "title": }')
    shared = {"title": "S", "uid": "s", "__inputs": [{"name": "DS_PROMETHEUS"}]}
    newer = {"apiVersion": "dashboard.grafana.app/v2", "spec": {}}
    models = [MODEL, {**MODEL, "title": "Other"}, {"title": "No uid"}, {"uid": "t"}, [], shared, newer]
    failed = call(grafana, "dashboard", paths=[str(broken)], dashboards=models)
    for message in (
        f"{broken}: is not JSON: Expecting value: line 2 column 11 (char 23)",
        "dashboards[1]: has the uid 'overview', as has dashboards[0]",
        "dashboards[2]: has the uid None",
        "dashboards[3]: has no title",
        "dashboards[4]: is not a dashboard",
        "dashboards[5]: was exported for sharing and needs values for DS_PROMETHEUS",
        "dashboards[6]: is not in the classic model",
    ):
        assert message in failed["msg"]
    assert not grafana.asked
    assert "cannot be read" in call(grafana, "dashboard", paths=[str(tmp_path / "none.json")])["msg"]


def test_inputs_of_a_shared_dashboard_are_filled_in(grafana: Any) -> None:
    panel = {"id": 1, "datasource": {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}, "title": "${service}"}
    shared = {**MODEL, "__inputs": [{"name": "DS_PROMETHEUS"}], "__requires": [], "panels": [panel]}
    call(grafana, "dashboard", dashboards=[shared], inputs={"DS_PROMETHEUS": "prometheus"})
    saved = grafana.dashboards["overview"]["dashboard"]
    assert "__inputs" not in saved and saved["panels"][0]["datasource"]["uid"] == "prometheus"
    assert saved["panels"][0]["title"] == "${service}"


def test_a_folder_that_is_not_there(grafana: Any) -> None:
    for module, arguments in (("dashboard", {"dashboards": [MODEL]}), ("alert_rules", {"groups": [GROUP]})):
        failed = call(grafana, module, folder_uid="tracing", **arguments)
        assert "folder_uid: is tracing, which is not a folder" in failed["msg"] and not grafana.writes
        checked = call(grafana, module, folder_uid="tracing", **arguments, _ansible_check_mode=True)
        assert checked["changed"] and "is not a folder" in str(checked["warnings"])


def test_alert_rules_are_made_and_then_left_alone(grafana: Any) -> None:
    grafana.add_folder("tracing", "Tracing")
    given = {"folder_uid": "tracing", "groups": [GROUP]}
    checked = call(grafana, "alert_rules", **given, _ansible_check_mode=True, _ansible_diff=True)
    done = call(grafana, "alert_rules", **given, _ansible_diff=True)
    assert done["steps"] == checked["steps"] == ["create rules tracing"] and done["diff"] == checked["diff"]
    assert done["api_calls"] == 3
    saved = grafana.groups["tracing", "tracing"]
    assert saved["interval"] == 60 and saved["rules"][0]["folderUID"] == "tracing"
    assert saved["rules"][0]["provenance"] == "api"
    again = call(grafana, "alert_rules", **given)
    assert not again["changed"] and again["api_calls"] == 1
    assert call(grafana, "alert_rules", **given, editable=True)["changed"]
    assert saved is not grafana.groups["tracing", "tracing"]
    assert grafana.groups["tracing", "tracing"]["rules"][0]["provenance"] == ""
    for change in ({"for": "10m"}, {"labels": {"severity": "page"}}, {"title": "x"}, {"isPaused": True}):
        group = {**GROUP, "rules": [{**RULE, **change}]}
        assert call(grafana, "alert_rules", folder_uid="tracing", groups=[group], editable=True)["changed"], change
    gone = call(grafana, "alert_rules", folder_uid="tracing", groups=[{"name": "tracing"}], state="absent")
    assert gone["steps"] == ["delete rules tracing"] and not grafana.groups


def test_alert_rules_from_a_file_are_read_only(grafana: Any) -> None:
    grafana.groups["tracing", "tracing"] = {
        "title": "tracing",
        "interval": 60,
        "rules": [{**RULE, "provenance": "file"}],
    }
    failed = call(grafana, "alert_rules", folder_uid="tracing", groups=[GROUP])
    assert "rule no-spans is read-only" in failed["msg"] and not grafana.writes


def test_bad_alert_rules_are_refused_all_at_once(grafana: Any) -> None:
    rules = [{"title": "x"}, RULE, RULE, {**RULE, "uid": "b", "condition": "Z", "for": "soon", "expr": "up"}]
    failed = call(grafana, "alert_rules", folder_uid="f", groups=[{"name": "a", "interval": "15s", "rules": rules}, {}])
    for message in (
        "groups[0].interval: is '15s', which Grafana does not take",
        "groups[0].rules[0].uid: is None, which cannot be a uid",
        "groups[0].rules[0].data: is not a list of queries",
        "groups[0].rules[2].uid: is no-spans, as is that of groups[0].rules[1]",
        "groups[0].rules[3].condition: is 'Z', which is not the refId of a query",
        "groups[0].rules[3].for: is 'soon', not a duration",
        "groups[0].rules[3].expr: is not a key of a rule",
        "groups[1]: is not a group of rules",
    ):
        assert message in failed["msg"]
    assert not grafana.asked


def test_info_shows_the_health_of_each_data_source(grafana: Any) -> None:
    for uid in ("tempo", "prometheus", "plugin", "old"):
        grafana.add_source(uid=uid, name=uid.capitalize(), type=uid, url=f"http://{uid}", readOnly=uid == "tempo")
    grafana.healths["tempo"] = (400, {"status": "ERROR", "message": "rpc error: code = Unimplemented"})
    grafana.healths["plugin"] = (404, {"message": "Plugin health check is not implemented"})
    found = call(grafana, "info", uids=["tempo", "prometheus", "plugin", "loki"])
    assert found["version"] == "13.2.0" and not found["changed"] and found["api_calls"] == 5
    health = {one["uid"]: (one["health"], one["read_only"]) for one in found["datasources"]}
    assert health == {"tempo": ("ERROR", True), "prometheus": ("OK", False), "plugin": ("UNKNOWN", False)}
    assert found["unhealthy"] == [
        "loki: there is no such data source",
        "tempo: rpc error: code = Unimplemented",
    ]
    assert len(call(grafana, "info", health=False)["datasources"]) == 4
    assert not grafana.writes


TROUBLES = [
    ((401, {"message": "Invalid API key"}), "answered 401: Invalid API key. Check the option token"),
    ((401, LOGIN), "answered 401: an HTML page. Check the option token"),
    (
        (
            403,
            {"message": "You'll need additional permissions to perform this action. Permissions needed: folders:read"},
        ),
        "Give the service account the permission folders:read, or the role Admin.",
    ),
    ((403, {"message": "Permission denied"}), "Give the service account the role Admin"),
    ((404, LOGIN), "answered 404 with an HTML page instead of JSON: this is not Grafana's API"),
    ((200, LOGIN), "answered 200 with an HTML page instead of JSON: this is not Grafana's API, or a proxy"),
    ((200, "pong"), "answered 200 with 'pong' instead of JSON. Check the option url"),
    ((500, {"message": "Failed to query folder"}), "answered 500: Failed to query folder. Look at Grafana's log."),
    ((502, "<html><h1>Bad Gateway</h1>"), "answered 502: an HTML page. Look at Grafana's log."),
    ((302, "", {"Location": "/login"}), "redirects to the login page http://127.0.0.1"),
    ((302, "", {"Location": "https://sso.example.com/oauth?x=1"}), "login page https://sso.example.com/oauth:"),
    ((301, "", {"Location": "/grafana/api/folders/tracing"}), "/grafana: redirects are not followed"),
]


@pytest.mark.parametrize(("answer", "message"), TROUBLES)
def test_one_clear_message_for_each_trouble(grafana: Any, answer: tuple[Any, ...], message: str) -> None:
    grafana.trouble = lambda _request: answer
    failed = call(grafana, "folder", uid="tracing", title="Tracing")
    assert failed["failed"] and message in failed["msg"], failed["msg"]
    assert failed["msg"].count("\n") == 0 and len(grafana.asked) == 1


def test_a_slow_grafana(grafana: Any) -> None:
    def slow(_request: Any) -> None:
        grafana.slow.wait(20)

    grafana.trouble = slow
    failed = call(grafana, "folder", uid="tracing", title="Tracing", timeout=1)
    assert f"no answer from Grafana at {grafana.url} within 1 s" in failed["msg"]
    assert "raise the option timeout" in failed["msg"]


def test_credentials_and_addresses(grafana: Any) -> None:
    given = {"uid": "tracing", "title": "Tracing"}
    environ = {"GRAFANA_URL": grafana.url, "GRAFANA_TOKEN": TOKEN}
    assert run("grafana_folder", environ, **given)["changed"]
    basic = {"username": "admin", "password": "a-password"}
    assert not run("grafana_folder", url=grafana.url + "/", **basic, **given)["changed"]
    for arguments, message in (
        ({}, "Grafana's URL is missing. Set the option url, or the environment variable GRAFANA_URL."),
        ({"url": "grafana:3000", "token": TOKEN}, "option url is 'grafana:3000', not a URL"),
        ({"url": "http://a:b@grafana", "token": TOKEN}, "option url has credentials in it"),
        ({"url": "http://grafana/?orgId=1", "token": TOKEN}, "with more than a path"),
        ({"url": "http://grafana"}, "there are no credentials for Grafana. Set the option token"),
        ({"url": "http://127.0.0.1:1", "token": TOKEN}, "no answer from Grafana at http://127.0.0.1:1"),
        ({"url": "https://g", "token": TOKEN, "ca_cert": "/nonexistent"}, "option ca_cert /nonexistent cannot be read"),
    ):
        assert message in run("grafana_folder", **arguments, **given)["msg"]


def test_a_grafana_below_a_path() -> None:
    grafana = FakeGrafana(prefix="/monitoring")
    with grafana.serving() as url:
        assert run("grafana_folder", url=url, token=TOKEN, uid="tracing", title="Tracing")["changed"]
        wrong = url.removesuffix("/monitoring")
        failed = run("grafana_folder", url=wrong, token=TOKEN, uid="tracing", title="Tracing")
    assert "instead of JSON" in failed["msg"] and "root_url" in failed["msg"]
