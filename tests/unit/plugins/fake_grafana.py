# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Grafana's HTTP API in memory: data sources, folders, dashboards, groups of alert rules, health.

It is a stub: Grafana's image cannot be had where these tests run. It answers as the documentation and the sources of
Grafana 11 to 13 say, and test_fake_grafana.py compares it with the pairs of requests and answers there:
  - https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/ (api-legacy/data_source,
    dashboard, folder, api-legacy/alerting_provisioning)
  - pkg/api/datasources.go, pkg/api/folder.go, pkg/api/apierrors, pkg/services/dashboards/errors.go and
    pkg/services/ngalert/api/api_provisioning.go of https://github.com/grafana/grafana
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ansible_collections.orion.tracing.tests.unit.plugins.http_server import Handler, serving

TOKEN = "glsa_HOruNAb7SOiCdshU9algkrq7FDsNSLAa_55e2f8be"
LOGIN = "<!DOCTYPE html>\n<html><head><title>Grafana</title></head><body>Log in</body></html>"
# What Grafana keeps to itself, or adds.
OWN = {"id", "orgId", "version", "typeLogoUrl", "readOnly", "secureJsonFields", "apiVersion"}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    document: Any


Answer = tuple[int, Any]


@dataclass
class FakeGrafana:
    """trouble: what every request gets instead of an answer. healths: by uid, (status, document). slow: released when
    an answer may be sent. migrates: whether dashboards are returned in a newer schema, as Grafana 12 and 13 do."""

    version: str = "13.2.0"
    prefix: str = ""
    migrates: bool = False
    trouble: Callable[[Request], Any] | None = None
    healths: dict[str, Answer] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    connections: int = 0
    ids: int = 0
    slow: threading.Event = field(default_factory=threading.Event)

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.asked if request.method != "GET"]

    def paths(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.asked]

    @contextmanager
    def serving(self) -> Iterator[str]:
        fake = self

        class Api(Handler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                fake.connections += 1
                super().setup()

            def handle(self) -> None:
                # A client that does not wait for a slow answer goes away.
                with contextlib.suppress(ConnectionError):
                    super().handle()

            def handle_any(self) -> None:
                url = urlsplit(self.path)
                body = self.body()
                request = Request(
                    self.command,
                    url.path,
                    {key: values[0] for key, values in parse_qs(url.query).items()},
                    {key.lower(): value for key, value in self.headers.items()},
                    json.loads(body) if body else None,
                )
                fake.asked.append(request)
                status, document, headers = fake.answer(request)
                if isinstance(document, str):
                    self.answer(status, document.encode(), {"Content-Type": "text/html; charset=UTF-8", **headers})
                else:
                    sent = b"" if document is None else json.dumps(document).encode()
                    self.answer(status, sent, {"Content-Type": "application/json", **headers})

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

        with serving(Api) as url:
            try:
                yield url + self.prefix
            finally:
                self.slow.set()

    def answer(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        if self.trouble:
            found = self.trouble(request)
            if found is not None:
                return found if len(found) == 3 else (*found, {})
        if not request.path.startswith(f"{self.prefix}/api/"):
            return 404, LOGIN, {}
        status, document = self._route(
            request, [unquote(part) for part in request.path.split("/api/", 1)[1].split("/")]
        )
        return status, document, {}

    def _route(self, request: Request, path: list[str]) -> Answer:
        if path == ["health"]:
            return 200, {"database": "ok", "version": self.version, "commit": "abc"}
        accepted = {f"Bearer {TOKEN}", "Basic " + base64.b64encode(b"admin:a-password").decode()}
        if request.headers.get("authorization") not in accepted:
            return 401, {"message": "Invalid API key", "messageId": "api-key.invalid", "statusCode": 401, "traceID": ""}
        match path[0]:
            case "datasources":
                return self._datasources(request, path[1:])
            case "folders":
                return self._folders(request, path[1:])
            case "dashboards":
                return self._dashboards(request, path[1:])
            case "v1" if path[1] == "provisioning" and path[2] == "folder" and path[4] == "rule-groups":
                return self._groups(request, path[3], path[5])
        return 404, {"message": "Not found", "traceID": ""}

    def _next(self) -> int:
        self.ids += 1
        return self.ids

    # Data sources

    def add_source(self, **source: Any) -> None:
        """As if somebody else had made it."""
        self.sources[source["uid"]] = {
            "id": self._next(),
            "orgId": 1,
            "typeLogoUrl": "",
            "access": "proxy",
            "user": "",
            "database": "",
            "basicAuth": False,
            "basicAuthUser": "",
            "withCredentials": False,
            "isDefault": False,
            "jsonData": {},
            "version": 1,
            "readOnly": False,
            **source,
        }

    def _shown(self, uid: str) -> dict[str, Any]:
        fields = {key: True for key, value in self.secrets.get(uid, {}).items() if value}
        return {**copy.deepcopy(self.sources[uid]), "secureJsonFields": fields, "apiVersion": ""}

    def _datasources(self, request: Request, path: list[str]) -> Answer:
        if not path and request.method == "GET":
            left_out = ("secureJsonFields", "version", "withCredentials", "basicAuthUser", "apiVersion")
            shown = [self._shown(uid) for uid in self.sources]
            return 200, [{k: v for k, v in one.items() if k not in left_out} for one in shown]
        if not path and request.method == "POST":
            return self._new_source(request.document)
        if path[0] != "uid":
            # By numeric id and by name: off since 13.0, deprecated before.
            return 404, {"message": "Not found"}
        uid = path[1]
        if path[2:] == ["health"]:
            return self._health(uid)
        if uid not in self.sources:
            return 404, {"message": "Data source not found"}
        if request.method == "GET":
            return 200, self._shown(uid)
        if self.sources[uid]["readOnly"]:
            what = "update" if request.method == "PUT" else "delete"
            return 403, {"message": f"Cannot {what} read-only data source"}
        if request.method == "DELETE":
            del self.sources[uid]
            self.secrets.pop(uid, None)
            return 200, {"message": "Data source deleted", "id": 1}
        return self._changed_source(uid, request.document)

    def _new_source(self, document: Any) -> Answer:
        if problem := _invalid(document):
            return problem
        if document["name"] in {one["name"] for one in self.sources.values()}:
            return 409, {"message": "data source with the same name already exists"}
        if document.get("uid") in self.sources:
            return 409, {"message": "data source with the same uid already exists"}
        uid = document.get("uid") or f"P{self._next():016X}"
        self.add_source(**{**document, "uid": uid, "secureJsonData": None})
        return 200, self._written(uid, document, "Datasource added")

    def _changed_source(self, uid: str, document: Any) -> Answer:
        if problem := _invalid(document):
            return problem
        if document.get("uid") not in (None, "", uid):
            return 400, {"message": "uid in the body does not match the uid in the path"}
        if any(one["name"] == document["name"] for other, one in self.sources.items() if other != uid):
            return 409, {"message": "Failed to update datasource: data source with the same name already exists"}
        if document.get("version") and document["version"] < self.sources[uid]["version"]:
            message = "Datasource has already been updated by someone else. Please reload and try again"
            return 409, {"message": message}
        kept = {key: self.sources[uid][key] for key in ("id", "orgId", "version")}
        # A PUT replaces all fields.
        self.add_source(**{**document, "uid": uid, "secureJsonData": None, **kept})
        self.sources[uid]["version"] += 1
        return 200, self._written(uid, document, "Datasource updated")

    def _written(self, uid: str, document: Any, message: str) -> dict[str, Any]:
        self.sources[uid].pop("secureJsonData")
        self.sources[uid]["jsonData"] = self.sources[uid]["jsonData"] or {}
        # Secrets that are not sent are kept.
        self.secrets.setdefault(uid, {}).update(document.get("secureJsonData") or {})
        one = self._shown(uid)
        return {"datasource": one, "id": one["id"], "message": message, "name": one["name"]}

    def _health(self, uid: str) -> Answer:
        if uid in self.healths:
            return self.healths[uid]
        if uid not in self.sources:
            return 404, {"message": "Data source not found"}
        return 200, {"status": "OK", "message": "Data source is working"}

    # Folders

    def _folders(self, request: Request, path: list[str]) -> Answer:
        document = request.document
        if not path:
            if request.method == "GET":
                return 200, [{k: one[k] for k in ("id", "uid", "title")} for one in self.folders.values()]
            if not str(document.get("title") or "").strip():
                return 400, {"message": "folder title cannot be empty"}
            if document.get("uid") in self.folders:
                return 409, {"message": "a folder with the same uid already exists"}
            if document.get("parentUid") and document["parentUid"] not in self.folders:
                return 404, {"message": "folder not found", "status": "not-found"}
            self.add_folder(**document)
            return 200, self.folders[document["uid"]]
        uid = path[0]
        if uid not in self.folders:
            return 404, {"message": "folder not found", "status": "not-found"}
        folder = self.folders[uid]
        if request.method == "DELETE":
            if request.query.get("forceDeleteRules") != "true" and any(there == uid for there, _name in self.groups):
                return 400, {"message": "folder contains alert rules", "messageId": "folder.contains-alert-rules"}
            del self.folders[uid]
            # "along with all dashboards (and their alerts) stored in the folder"
            self.dashboards = {key: one for key, one in self.dashboards.items() if one["meta"]["folderUid"] != uid}
            self.groups = {key: one for key, one in self.groups.items() if key[0] != uid}
            return 200, {"message": "Folder deleted", "id": folder["id"]}
        if path[1:] == ["move"]:
            folder["parentUid"] = document.get("parentUid") or ""
        elif request.method == "PUT":
            if not document.get("overwrite") and document.get("version") != folder["version"]:
                message = "the folder has been changed by someone else"
                return 412, {"message": message, "status": "version-mismatch"}
            folder |= {"title": document["title"], "version": folder["version"] + 1}
        return 200, folder

    def add_folder(self, uid: str, title: str, **more: Any) -> None:
        own = {"id": self._next(), "url": f"/dashboards/f/{uid}/x", "hasAcl": False, "canSave": True, "version": 1}
        self.folders[uid] = {**own, "uid": uid, "title": title, **more}

    # Dashboards

    def _dashboards(self, request: Request, path: list[str]) -> Answer:
        if path == ["db"]:
            return self._save(request.document)
        uid = path[1]
        if uid not in self.dashboards:
            return 404, {"message": "Dashboard not found", "status": "not-found"}
        found = self.dashboards[uid]
        if request.method == "GET":
            shown = copy.deepcopy(found)
            if self.migrates:
                shown["dashboard"] |= {"schemaVersion": 42, "annotations": {"list": [{"builtIn": 1}]}}
                for panel in shown["dashboard"].get("panels", []):
                    panel["pluginVersion"] = "13.2.0"
            return 200, shown
        if found["meta"].get("provisioned"):
            return 400, {"message": "provisioned dashboard cannot be deleted"}
        del self.dashboards[uid]
        title = found["dashboard"]["title"]
        return 200, {"title": title, "message": f"Dashboard {title} deleted", "id": found["dashboard"]["id"]}

    def _save(self, body: Any) -> Answer:
        model, folder = dict(body["dashboard"]), body.get("folderUid") or ""
        if not model.get("title"):
            return 400, {"message": "Dashboard title cannot be empty", "status": "empty-name"}
        if len(model.get("uid") or "") > 40:
            return 400, {"message": "uid too long, max 40 characters"}
        if folder and folder not in self.folders:
            return 400, {"message": "folder not found"}
        found = self.dashboards.get(model["uid"])
        if found and found["meta"].get("provisioned"):
            return 400, {"message": "Cannot save provisioned dashboard"}
        if found and not body.get("overwrite") and model.get("version") != found["dashboard"]["version"]:
            message = "The dashboard has been changed by someone else"
            return 412, {"message": message, "status": "version-mismatch"}
        self.add_dashboard({**model, "version": (found["dashboard"]["version"] if found else 0)}, folder)
        saved = self.dashboards[model["uid"]]["dashboard"]
        url = f"/d/{saved['uid']}/x"
        return 200, {k: saved[k] for k in ("id", "uid", "version")} | {"url": url, "status": "success", "slug": "x"}

    def add_dashboard(self, model: dict[str, Any], folder: str = "", **meta: Any) -> None:
        saved = {**model, "id": self._next(), "version": model.get("version", 0) + 1}
        title = self.folders.get(folder, {}).get("title", "Dashboards")
        self.dashboards[model["uid"]] = {
            "dashboard": saved,
            "meta": {"folderUid": folder, "folderTitle": title, "provisioned": False, **meta},
        }

    # Alert rules

    def _groups(self, request: Request, folder: str, name: str) -> Answer:
        key = (folder, name)
        if request.method == "GET":
            if key not in self.groups:
                return 404, {"message": "rule group not found"}
            return 200, copy.deepcopy(self.groups[key])
        if request.method == "DELETE":
            return (204, None) if self.groups.pop(key, None) else (404, {"message": "rule group not found"})
        document = request.document
        if folder not in self.folders:
            return 400, {"message": "folder does not exist"}
        if document["interval"] % 10:
            return 400, {"message": "invalid alert rule: interval (1s) should be non-zero and divided exactly by 10s"}
        provenance = "" if "x-disable-provenance" in request.headers else "api"
        rules = [
            {
                **rule,
                "id": self._next(),
                "orgID": 1,
                "updated": "2026-11-29T10:00:00Z",
                "provenance": provenance,
                # As Go writes durations.
                "for": {"300s": "5m"}.get(rule["for"], rule["for"]),
                "isPaused": rule.get("isPaused", False),
                "data": [
                    {**one, "model": {"intervalMs": 1000, "maxDataPoints": 43200, **one["model"]}}
                    for one in rule["data"]
                ],
            }
            for rule in document["rules"]
        ]
        self.groups[key] = {**document, "rules": rules}
        return 200, document


def _invalid(document: Any) -> Answer | None:
    if not isinstance(document, dict) or not all(document.get(key) for key in ("name", "type", "access")):
        return 400, {"message": "bad request data"}
    if document.get("url") and not str(document["url"]).startswith(("http://", "https://")):
        return 400, {"message": "Validation error, invalid URL"}
    return None
