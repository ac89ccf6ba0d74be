# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A chart, and the release records that Helm 3.22.0 and Helm 4.3.1 made of it on Kubernetes 1.34.4.

fixtures/helm3.json and helm4.json are the Secrets as the API server returned them after
`helm upgrade --install mini chart -n hfix --set password=user-password,replicas=2`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.helm import chart as charts
from ansible_collections.orion.tracing.plugins.module_utils.helm.chart import Chart

CHART = {
    ".helmignore": """\
# not part of the chart
*.bak
/docs/
""",
    "Chart.yaml": """\
apiVersion: v2
name: mini
description: >-
  A chart that holds what Helm and PyYAML
  read differently
version: 0.1.0
appVersion: 1.0
annotations:
  example.com/checked: true
unknownField: dropped by Helm
""",
    "README.md": """\
A chart for tests
""",
    "docs/notes.md": """\
ignored
""",
    "templates/cm.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-cm
data:
  message: {{ .Values.message | quote }}
  kube: {{ .Capabilities.KubeVersion.Version }}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}-s
stringData:
  password: {{ .Values.password | quote }}
""",
    "templates/hook.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-hook
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
data:
  a: b
""",
    "values.schema.json": """\
{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"replicas":{"type":"integer"},"message":{"type":"string","pattern":"^h"}}}
""",
    "values.yaml": """\
replicas: 1
message: hello
password: default-password
# what YAML libraries disagree on
large: 10000000
exponent: 1e3
date: 2020-01-01
time: 12:30
octal: 0755
nothing: null
yes: y
""",
}
CHART["ignored.bak"] = "matched by .helmignore"
VALUES = {"password": "user-password", "replicas": 2}


@pytest.fixture
def chart_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "chart"
    for name, text in CHART.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def chart(chart_folder: Path) -> Chart:
    return charts.load(str(chart_folder))


@pytest.fixture
def values() -> dict:
    """The values that the recorded releases were installed with."""
    return dict(VALUES)


@pytest.fixture(params=["helm3", "helm4"])
def record(request: pytest.FixtureRequest) -> dict:
    """A real release Secret, once of each major version."""
    return json.loads((Path(__file__).parent / "fixtures" / f"{request.param}.json").read_text())
