# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stub of Grafana answers as Grafana's documentation and sources say: their pairs of requests and answers.

Of an answer, what is documented is compared; ids and dates are of that example.
"""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.grafana.client import Grafana
from ansible_collections.orion.tracing.plugins.module_utils.grafana.compare import within
from ansible_collections.orion.tracing.tests.unit.plugins.fake_grafana import TOKEN, FakeGrafana

DOCS = "docs/sources/developer-resources/api-reference/http-api"
GRAPHITE = {"name": "test_datasource", "type": "graphite", "url": "http://mydatasource.com", "access": "proxy"}
BASIC = {**GRAPHITE, "basicAuth": True, "basicAuthUser": "basicuser"}
SECRET = {"secureJsonData": {"basicAuthPassword": "basicpassword"}}
FOLDER = {"uid": "nErXDvCkzz", "title": "Department ABC"}
BOARD = {"id": None, "uid": "cIBgcSjkk", "title": "Production Overview", "tags": ["templated"], "schemaVersion": 16}
RULES = {"title": "eval_group_1", "folderUid": "nErXDvCkzz", "interval": 60, "rules": []}

# (where from, what was there before, method, path, body, status, what the answer has)
PAIRS: list[Any] = [
    (f"{DOCS}/api-legacy/data_source.md, create", [], "POST", "api/datasources", {**GRAPHITE, "uid": "a"}, 200, {
        "message": "Datasource added", "name": "test_datasource", "datasource": {
            **GRAPHITE, "user": "", "database": "", "basicAuth": False, "basicAuthUser": "", "withCredentials": False,
            "isDefault": False, "jsonData": {}, "secureJsonFields": {}, "version": 1, "readOnly": False}}),
    (f"{DOCS}/api-legacy/data_source.md, create with basic auth", [], "POST", "api/datasources",
     {**BASIC, **SECRET, "uid": "a"}, 200, {
         "message": "Datasource added", "datasource": {**BASIC, "secureJsonFields": {"basicAuthPassword": True}}}),
    (f"{DOCS}/api-legacy/data_source.md, update", [("source", {**GRAPHITE, "uid": "uid"})], "PUT",
     "api/datasources/uid/uid", {**BASIC, **SECRET, "uid": "uid", "jsonData": None}, 200, {
         "message": "Datasource updated", "name": "test_datasource", "datasource": {
             **BASIC, "uid": "uid", "jsonData": {}, "secureJsonFields": {"basicAuthPassword": True}}}),
    (f"{DOCS}/api-legacy/data_source.md, get", [("source", {**GRAPHITE, "uid": "kLtEtcRGk"})], "GET",
     "api/datasources/uid/kLtEtcRGk", None, 200,
     {**GRAPHITE, "uid": "kLtEtcRGk", "orgId": 1, "typeLogoUrl": "", "secureJsonFields": {}, "readOnly": False}),
    (f"{DOCS}/api-legacy/data_source.md, get all", [("source", {**GRAPHITE, "uid": "a"})], "GET", "api/datasources",
     None, 200, [{**GRAPHITE, "uid": "a", "isDefault": False, "readOnly": False}]),
    (f"{DOCS}/api-legacy/data_source.md, delete", [("source", {**GRAPHITE, "uid": "a"})], "DELETE",
     "api/datasources/uid/a", None, 200, {"message": "Data source deleted"}),
    ("pkg/api/datasources.go, GetDataSourceByUID", [], "GET", "api/datasources/uid/a", None, 404,
     {"message": "Data source not found"}),
    ("pkg/services/datasources/errors.go, ErrDataSourceNameExists", [("source", {**GRAPHITE, "uid": "a"})], "POST",
     "api/datasources", {**GRAPHITE, "uid": "b"}, 409, {"message": "data source with the same name already exists"}),
    ("pkg/services/datasources/errors.go, ErrDataSourceUidExists", [("source", {**GRAPHITE, "uid": "a"})], "POST",
     "api/datasources", {**GRAPHITE, "name": "x", "uid": "a"}, 409,
     {"message": "data source with the same uid already exists"}),
    ("pkg/api/datasources.go, validateURL", [], "POST", "api/datasources", {**GRAPHITE, "url": "mydatasource.com"}, 400,
     {"message": "Validation error, invalid URL"}),
    ("pkg/api/datasources.go, updateDataSourceByID", [("source", {**GRAPHITE, "uid": "a", "readOnly": True})], "PUT",
     "api/datasources/uid/a", {**GRAPHITE, "uid": "a"}, 403, {"message": "Cannot update read-only data source"}),
    ("pkg/api/datasources.go, updateDataSourceByID", [("source", {**GRAPHITE, "uid": "a", "version": 5})], "PUT",
     "api/datasources/uid/a", {**GRAPHITE, "uid": "a", "version": 4}, 409,
     {"message": "Datasource has already been updated by someone else. Please reload and try again"}),
    ("pkg/api/datasources.go, DeleteDataSourceByUID", [("source", {**GRAPHITE, "uid": "a", "readOnly": True})],
     "DELETE", "api/datasources/uid/a", None, 403, {"message": "Cannot delete read-only data source"}),
    (f"{DOCS}/folder.md, create", [], "POST", "api/folders", FOLDER, 200,
     {**FOLDER, "hasAcl": False, "canSave": True, "version": 1}),
    (f"{DOCS}/folder.md, create: 409", [("folder", FOLDER)], "POST", "api/folders", FOLDER, 409,
     {"message": "a folder with the same uid already exists"}),
    (f"{DOCS}/folder.md, get: 404", [], "GET", "api/folders/nErXDvCkzz", None, 404, {"status": "not-found"}),
    (f"{DOCS}/folder.md, update", [("folder", FOLDER)], "PUT", "api/folders/nErXDvCkzz",
     {"title": "Department DEF", "version": 1}, 200, {"uid": "nErXDvCkzz", "title": "Department DEF"}),
    (f"{DOCS}/folder.md, update: 412", [("folder", FOLDER)], "PUT", "api/folders/nErXDvCkzz",
     {"title": "Department DEF", "version": 3}, 412, {"status": "version-mismatch"}),
    (f"{DOCS}/folder.md, move", [("folder", FOLDER), ("folder", {"uid": "f0", "title": "f0"})], "POST",
     "api/folders/nErXDvCkzz/move", {"parentUid": "f0"}, 200, {**FOLDER, "parentUid": "f0"}),
    (f"{DOCS}/folder.md, delete", [("folder", FOLDER)], "DELETE", "api/folders/nErXDvCkzz", None, 200,
     {"message": "Folder deleted"}),
    (f"{DOCS}/dashboard.md, create", [("folder", FOLDER)], "POST", "api/dashboards/db",
     {"dashboard": BOARD, "folderUid": "nErXDvCkzz", "overwrite": False}, 200,
     {"uid": "cIBgcSjkk", "status": "success", "version": 1}),
    (f"{DOCS}/dashboard.md, get", [("board", {**BOARD, "id": 1})], "GET", "api/dashboards/uid/cIBgcSjkk", None, 200,
     {"dashboard": {"uid": "cIBgcSjkk", "title": "Production Overview"}, "meta": {"folderUid": ""}}),
    (f"{DOCS}/dashboard.md, get: 404", [], "GET", "api/dashboards/uid/x", None, 404, {"status": "not-found"}),
    (f"{DOCS}/dashboard.md, create: 412", [("board", BOARD)], "POST", "api/dashboards/db",
     {"dashboard": {**BOARD, "version": 7}, "overwrite": False}, 412,
     {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}),
    (f"{DOCS}/dashboard.md, delete", [("board", BOARD)], "DELETE", "api/dashboards/uid/cIBgcSjkk", None, 200,
     {"title": "Production Overview", "message": "Dashboard Production Overview deleted"}),
    ("pkg/services/dashboards/errors.go, ErrDashboardUidTooLong", [], "POST", "api/dashboards/db",
     {"dashboard": {**BOARD, "uid": "a" * 41}}, 400, {"message": "uid too long, max 40 characters"}),
    ("pkg/services/dashboards/errors.go, ErrDashboardCannotSaveProvisionedDashboard",
     [("board", BOARD, {"provisioned": True})], "POST", "api/dashboards/db", {"dashboard": BOARD}, 400,
     {"message": "Cannot save provisioned dashboard"}),
    ("pkg/services/ngalert/api/api_provisioning.go, RoutePutAlertRuleGroup", [("folder", FOLDER)], "PUT",
     "api/v1/provisioning/folder/nErXDvCkzz/rule-groups/eval_group_1", RULES, 200, RULES),
    ("pkg/services/ngalert/api/api_provisioning.go, RouteGetAlertRuleGroup", [], "GET",
     "api/v1/provisioning/folder/nErXDvCkzz/rule-groups/eval_group_1", None, 404, {}),
    (f"{DOCS}/api-legacy/data_source.md, health", [("source", {**GRAPHITE, "uid": "a"})], "GET",
     "api/datasources/uid/a/health", None, 200, {"status": "OK"}),
]  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].rpartition("/")[2].replace(" ", "_"))
def test_documented_answers(pair: Any) -> None:
    _source, before, method, path, body, status, expected = pair
    fake = FakeGrafana()
    for kind, one, *meta in before:
        if kind == "source":
            fake.add_source(**one)
        elif kind == "folder":
            fake.add_folder(**one)
        else:
            fake.add_dashboard(one, **(meta[0] if meta else {}))
    with fake.serving() as url:
        grafana = Grafana.connect({"url": url, "token": TOKEN})
        answered, document = grafana.exchange(method, path, body)
        grafana.close()
    assert answered == status, document
    assert within(expected, document, additions=True), document
    assert "basicpassword" not in str(document)


def test_numeric_ids_are_off_since_13() -> None:
    fake = FakeGrafana()
    fake.add_source(**GRAPHITE, uid="a")
    with fake.serving() as url:
        grafana = Grafana.connect({"url": url, "token": TOKEN})
        assert grafana.exchange("PUT", "api/datasources/1", GRAPHITE)[0] == 404
        grafana.close()


@pytest.mark.parametrize(
    ("wanted", "found", "additions", "same"),
    [
        ({"a": 1}, {"a": 1, "b": None, "c": {}, "d": False, "e": ""}, False, True),
        ({"a": 1}, {"a": 1, "b": 2}, False, False),
        ({"a": 1}, {"a": 1, "b": 2}, True, True),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}, {}]}, True, False),
        ({"a": {}}, {}, False, True),
        ({"a": False}, {}, False, True),
        ({"a": True}, {"a": 1}, False, False),
        ({"a": "1"}, {"a": 1}, False, False),
        (None, {}, False, True),
    ],
)
def test_what_counts_as_the_same(wanted: Any, found: Any, additions: bool, same: bool) -> None:
    assert within(wanted, found, additions) is same
