# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options that say where the pods of the pipeline are; documented in the fragment orion.tracing.pipeline."""

from __future__ import annotations

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.kube import Kube
from ansible_collections.orion.tracing.plugins.module_utils.pipeline import Pipeline, Selectors
from ansible_collections.orion.tracing.plugins.module_utils.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.tempo import Tempo

DEFAULTS = Selectors()
PIPELINE_OPTIONS: dict[str, dict[str, Any]] = {
    "namespace": {"type": "str", "default": "tracing"},
    "gateway_selector": {"type": "str", "default": DEFAULTS.gateway},
    "sampler_selector": {"type": "str", "default": DEFAULTS.sampler},
    "distributor_selector": {"type": "str", "default": DEFAULTS.distributor},
    "ingester_selector": {"type": "str", "default": DEFAULTS.ingester},
    "query_frontend_service": {"type": "str", "default": "tempo-query-frontend"},
    "query_frontend_port": {"type": "int", "default": 3200},
    "decision_wait": {"type": "str", "default": "10s"},
    "progress_file": {"type": "path"},
}


def connect(kube: Kube, params: dict[str, Any]) -> tuple[Pipeline, Tempo]:
    """The pipeline and Tempo's query API that the options name."""
    parts = ("gateway", "sampler", "distributor", "ingester")
    selectors = Selectors(**{part: params[f"{part}_selector"] for part in parts})
    namespace = params["namespace"]
    return (
        Pipeline(kube, namespace, selectors),
        Tempo(kube, namespace, params["query_frontend_service"], params["query_frontend_port"]),
    )


def seconds(params: dict[str, Any], option: str) -> float:
    """An option that is a Go duration."""
    try:
        return duration_seconds(params[option].strip())
    except ValueError as error:
        raise InvalidInput(f"option {option} is wrong", str(error)) from error
