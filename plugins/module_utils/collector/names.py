# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Names that components of the collectors accept: detectors of resource_detection and dimensions of span_metrics. Pure.

Sources: processor/resourcedetectionprocessor (factory.go, config.go and the detectors' metadata.yaml) and
connector/spanmetricsconnector (config.go) v0.158.0 of opentelemetry-collector-contrib. tests/parity/test_names.py
compares them with the collector.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, Place, error

# Attributes that describe the machine of whoever asks: a gateway must not stamp its own on spans of other nodes.
_ID, _NAME, _TYPE, _ZONE, _IMAGE = "host.id", "host.name", "host.type", "cloud.availability_zone", "host.image.id"
_IMAGE_NAME = "host.image.name"
# Detector → those of its attributes that describe the gateway's own machine or process.
DETECTORS: dict[str, tuple[str, ...]] = {
    "akamai": (_ID, _IMAGE, _IMAGE_NAME, _NAME, _TYPE),
    "aks": (),
    "alibaba_ecs": (_ID, _IMAGE, _NAME, _TYPE, _ZONE),
    "azure": ("azure.vm.name", "azure.vm.scaleset.name", "azure.vm.size", _ID, _NAME, _ZONE),
    "consul": (_ID, _NAME),
    "digitalocean": (_ID, _NAME),
    "docker": ("container.image.name", "container.name", _NAME, "os.type"),
    "dynatrace": (),
    "ec2": (_ID, _IMAGE, _NAME, _TYPE, _ZONE),
    "ecs": (
        "aws.ecs.task.arn", "aws.ecs.task.family", "aws.ecs.task.id", "aws.ecs.task.revision", "aws.log.group.arns",
        "aws.log.group.names", "aws.log.stream.arns", "aws.log.stream.names", _ZONE,
    ),
    "eks": (_ID, _IMAGE, _NAME, _TYPE, _ZONE),
    "elastic_beanstalk": ("service.instance.id", "service.version"),
    "env": (),
    "gcp": (
        "faas.instance", "faas.name", "faas.version", "gcp.cloud_run.job.execution", "gcp.cloud_run.job.task_index",
        "gcp.gce.instance.hostname", "gcp.gce.instance.name", "gcp.gce.instance_group_manager.name",
        "gcp.gce.instance_group_manager.region", "gcp.gce.instance_group_manager.zone", _ID, _NAME, _TYPE, _ZONE,
    ),
    "heroku": (
        "heroku.dyno.id", "heroku.release.commit", "heroku.release.creation_timestamp", "service.instance.id",
        "service.name", "service.version",
    ),
    "hetzner": (_ID, _NAME, _ZONE),
    "ibmcloud_classic": ("cloud.resource_id", _ID, _NAME, _ZONE),
    "ibmcloud_vpc": ("cloud.resource_id", _ID, _IMAGE, _IMAGE_NAME, _NAME, _TYPE, _ZONE),
    "kubeadm": (),
    "lambda": (
        "aws.log.group.names", "aws.log.stream.names", "faas.instance", "faas.max_memory", "faas.name", "faas.version",
    ),
    "nova": (_ID, _NAME, _TYPE, _ZONE),
    "openshift": (),
    "oraclecloud": ("cloud.resource_id", _ID, _NAME, _TYPE, _ZONE),
    "scaleway": (_ID, _IMAGE, _IMAGE_NAME, _NAME, _TYPE, _ZONE),
    "system": (
        "host.arch", "host.cpu.cache.l2.size", "host.cpu.family", "host.cpu.model.id", "host.cpu.model.name",
        "host.cpu.stepping", "host.cpu.vendor.id", _ID, "host.interface", "host.ip", "host.mac", _NAME, "os.build.id",
        "os.description", "os.name", "os.type", "os.version",
    ),
    "tencent_cvm": (_ID, _IMAGE, _NAME, _TYPE, _ZONE),
    "upcloud": (_ID, _NAME),
    "vultr": (_ID, _NAME),
}  # fmt: skip
# Detectors that need the name of their node, which the chart's pods do not have.
_NODE = ("k8snode", "k8s_api")
# Where a detector's settings have another name than the detector.
_SETTINGS = {"elastic_beanstalk": "elasticbeanstalk"}

# Labels that every span metric has.
RESERVED_DIMENSIONS = ("service.name", "span.name", "span.kind", "status.code", "collector.instance.id")

_REFUSES = "the collectors refuse to start"


def detector_findings(detectors: Sequence[str], place: Place) -> Iterator[Finding]:
    for index, name in enumerate(detectors):
        if name in _NODE:
            yield error(
                place.item(index),
                f"'{name}' needs the environment variable K8S_NODE_NAME, which the gateways do not have",
                "Remove it: the gateways set k8s.node.name of each pod without it.",
                _REFUSES,
            )
        elif name not in DETECTORS:
            near = difflib.get_close_matches(name, DETECTORS, 1)
            yield error(
                place.item(index),
                f"'{name}' is not a detector of resource_detection",
                f"Did you mean {near[0]}?" if near else f"Use one of {', '.join(DETECTORS)}.",
                _REFUSES,
            )


def detector_settings(detectors: Sequence[str]) -> dict[str, Any]:
    """Settings of the detectors that switch off what describes the gateway itself."""
    return {
        _SETTINGS.get(name, name): {"resource_attributes": {key: {"enabled": False} for key in DETECTORS[name]}}
        for name in detectors
        if DETECTORS.get(name)
    }


def dimension_findings(dimensions: Sequence[str], place: Place) -> Iterator[Finding]:
    for index, name in enumerate(dimensions):
        if name in RESERVED_DIMENSIONS:
            what, remedy = f"'{name}' is a label of every span metric already", "Remove it."
        elif name in dimensions[:index]:
            what, remedy = f"'{name}' is listed twice", "List each attribute once."
        elif not name.strip():
            what, remedy = "a dimension is empty", "Give the name of an attribute."
        else:
            continue
        yield error(place.item(index), what, remedy, "the samplers refuse to start")
