# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""collector/names.py has the names that the collector accepts."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.collector.names import (
    DETECTORS,
    RESERVED_DIMENSIONS,
    detector_settings,
)
from ansible_collections.orion.tracing.tests.ports import free_ports
from real import DidNotStart, Running, validate_file

# These ask the cluster or the machine's provider when they are made, and there is neither.
NEED_THEIR_CLOUD = frozenset({"akamai", "eks", "kubeadm", "openshift", "scaleway"})


def _with(processors: dict, connectors: dict) -> dict:
    [port] = free_ports()
    pipelines: dict = {
        "traces": {"receivers": ["otlp"], "processors": list(processors), "exporters": ["debug", *connectors]}
    }
    if connectors:
        pipelines["metrics"] = {"receivers": list(connectors), "exporters": ["debug"]}
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "processors": processors,
        "connectors": connectors,
        "exporters": {"debug": {}},
        "service": {"telemetry": {"metrics": {"level": "none"}}, "pipelines": pipelines},
    }


def _detection(*names: str) -> dict:
    settings = {"detectors": list(names), "timeout": "1ms", "override": False, **detector_settings(names)}
    return _with({"resource_detection": settings}, {})


def _dimensions(*names: str) -> dict:
    return _with({}, {"span_metrics": {"dimensions": [{"name": name} for name in names]}})


def test_the_attributes_that_are_switched_off_are_attributes_of_the_detectors(otelcol: str, tmp_path: Path) -> None:
    # Detectors are made too, so only one is listed that needs nothing.
    known = detector_settings(list(DETECTORS))
    settings = {"detectors": ["env"], **known}
    assert validate_file(otelcol, tmp_path, _with({"resource_detection": settings}, {})) == ""
    for one in known.values():
        one["resource_attributes"]["no.such"] = {"enabled": False}
    refused = validate_file(otelcol, tmp_path, _with({"resource_detection": settings}, {}))
    assert all(f"'{name}.resource_attributes' has invalid keys: no.such" in refused for name in known)


def test_every_detector_is_one_of_the_collector(otelcol: str, tmp_path: Path) -> None:
    with Running(otelcol, tmp_path, _detection(*(name for name in DETECTORS if name not in NEED_THEIR_CLOUD))) as one:
        one.stop()
    for number, name in enumerate(sorted(NEED_THEIR_CLOUD)):
        with pytest.raises(DidNotStart) as caught, Running(otelcol, tmp_path / str(number), _detection(name)):
            pass
        assert "invalid detector key" not in str(caught.value)


@pytest.mark.parametrize("name", ["esk", "k8snode", "k8s_api"])
def test_a_detector_that_is_refused_stops_the_collector(otelcol: str, tmp_path: Path, name: str) -> None:
    with pytest.raises(DidNotStart), Running(otelcol, tmp_path, _detection("env", name)):
        pass


def test_reserved_and_repeated_dimensions_are_refused(otelcol: str, tmp_path: Path) -> None:
    assert validate_file(otelcol, tmp_path, _dimensions("service.namespace", "http.route")) == ""
    for names in (*((name,) for name in RESERVED_DIMENSIONS), ("a", "b", "a"), ("",)):
        assert "dimension" in validate_file(otelcol, tmp_path, _dimensions(*names)), names
