# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""YAML as Helm reads it, and one way to compare JSON-like values.

Helm parses YAML with sigs.k8s.io/yaml: no timestamps, no sexagesimal numbers, exponents without a dot are floats, y and
n are booleans. PyYAML's SafeLoader reads those differently, which would show differences that are none.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

# libyaml parses a rendered chart ten times faster; PyYAML can be built without it.
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMP: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_REPLACED = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_INT = re.compile(r"^[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


class _Loader(_BASE):
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to declare them
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
        for first, resolvers in _BASE.yaml_implicit_resolvers.items()
    }


def _integer(loader: Any, node: Any) -> int:
    text = node.value.replace("_", "")
    digits = text.lstrip("+-")
    number = int(digits, 8 if re.match(r"0[0-7]", digits) else 0)
    return -number if text.startswith("-") else number


def _boolean(loader: Any, node: Any) -> bool:
    return node.value.lower() in ("y", "yes", "true", "on")


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^[yYnN]$"), list("yYnN"))
_Loader.add_constructor("tag:yaml.org,2002:bool", _boolean)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


class _Dumper(_DUMP):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def load(text: str | bytes) -> Any:
    """The value of a YAML document, as Helm would read it. yaml.YAMLError where it is none."""
    return yaml.load(text, Loader=_Loader)


def load_all(text: str) -> list[Any]:
    """The values of all documents of a YAML stream."""
    return list(yaml.load_all(text, Loader=_Loader))


def dump(value: Any) -> str:
    """Block style, keys sorted, strings of several lines as literal blocks: made to be read in a diff."""
    return str(
        yaml.dump(value, Dumper=_Dumper, default_flow_style=False, sort_keys=True, width=4096, allow_unicode=True)
    )


def canonical(value: Any) -> str:
    """One text per value: keys sorted, 1.0 is 1 (JSON numbers have passed through Go's float64), true is not 1."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) or key is None else str(key)
