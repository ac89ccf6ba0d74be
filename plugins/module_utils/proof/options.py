# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The options that say where the pods of the pipeline and the store are; documented in the fragment
orion.tracing.pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube
from ansible_collections.orion.tracing.plugins.module_utils.proof.pipeline import Pipeline, Selectors
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import StoreReader
from ansible_collections.orion.tracing.plugins.module_utils.store.readers import READERS, reader_of

DEFAULTS = Selectors()
NONE = "none"
PIPELINE_OPTIONS: dict[str, dict[str, Any]] = {
    "namespace": {"type": "str", "default": "tracing"},
    "gateway_selector": {"type": "str", "default": DEFAULTS.gateway},
    "sampler_selector": {"type": "str", "default": DEFAULTS.sampler},
    "distributor_selector": {"type": "str", "default": DEFAULTS.distributor},
    "ingester_selector": {"type": "str", "default": DEFAULTS.ingester},
    "tempo_release": {"type": "str", "default": ""},
    "store_reader": {"type": "str", "choices": [*READERS, NONE], "default": "tempo"},
    "store_namespace": {"type": "str"},
    "store_service": {"type": "str"},
    "store_port": {"type": "int"},
    "progress_file": {"type": "path"},
}


def connect(kube: Kube, params: Mapping[str, Any]) -> tuple[Pipeline, StoreReader | None]:
    """The pipeline and the store that the options name; None where none is read back from."""
    parts = ("gateway", "sampler", "distributor", "ingester")
    selectors = Selectors(**{part: params[f"{part}_selector"] for part in parts})
    if params["tempo_release"]:
        selectors = selectors.of_tempo(params["tempo_release"])
    namespace = params["namespace"]
    where = {name: params[f"store_{name}"] for name in ("namespace", "service", "port")}
    if params["store_reader"] == "jaeger":
        selectors = replace(selectors, distributor="", ingester="")
    if params["store_reader"] == NONE:
        return Pipeline(kube, namespace, selectors), None
    reader = reader_of(kube, params["store_reader"], **where | {"namespace": where["namespace"] or namespace})
    return Pipeline(kube, namespace, selectors), reader


def seconds(params: Mapping[str, Any], option: str) -> float:
    """An option that is a Go duration."""
    try:
        return duration_seconds(params[option].strip())
    except ValueError as error:
        raise InvalidInput(f"option {option} is wrong", str(error)) from error
