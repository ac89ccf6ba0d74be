# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""YAML as Helm reads it, and one way to compare JSON-like values.

Helm parses YAML with sigs.k8s.io/yaml: no timestamps, no sexagesimal numbers, exponents without a dot are floats, y and
n are booleans. PyYAML's SafeLoader reads those differently, which would show differences that are none.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput

EXACT = 2**53  # up to which every integer is a 64-bit float
REPLACED = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
INT = re.compile(r"^[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$")
FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


@cache
def _loader() -> Any:
    # Imported here because Ansible imports every module without third-party packages to check it; the kubernetes
    # client brings PyYAML along. libyaml is ten times faster on a rendered chart; PyYAML can be built without it.
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):
        yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to declare them
            first: [(tag, pattern) for tag, pattern in resolvers if tag not in REPLACED]
            for first, resolvers in base.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
            # As text at once: to Python, 1, 1.0 and true are one key.
            self.flatten_mapping(node)
            for key, _value in node.value:
                if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:null":
                    raise yaml.constructor.ConstructorError(None, None, "unsupported map key", key.start_mark)
            keys = [_key(self.construct_object(key, deep=True)) for key, _value in node.value]
            values = [self.construct_object(value, deep=deep) for _key, value in node.value]
            return dict(zip(keys, values, strict=True))

    Loader.add_constructor("tag:yaml.org,2002:value", base.construct_yaml_str)  # a lone =
    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^[yYnN]$"), list("yYnN"))
    Loader.add_constructor("tag:yaml.org,2002:bool", _boolean)
    Loader.add_implicit_resolver("tag:yaml.org,2002:int", INT, list("-+0123456789"))
    Loader.add_constructor("tag:yaml.org,2002:int", _integer)
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789."))
    return Loader


@cache
def _dumper() -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    Dumper.add_representer(str, _text)
    return Dumper


def _boolean(loader: Any, node: Any) -> bool:
    return node.value.lower() in ("y", "yes", "true", "on")


def _integer(loader: Any, node: Any) -> int:
    text = node.value.replace("_", "")
    digits = text.lstrip("+-")
    number = int(digits, 8 if re.match(r"0[0-7]", digits) else 0)
    return -number if text.startswith("-") else number


def _text(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


def load(text: str | bytes) -> Any:
    """The value of the first YAML document, as Helm would read it. ValueError where it is none."""
    return next(iter(load_all(text)), None)


def load_all(text: str | bytes) -> list[Any]:
    """The values of all documents of a YAML stream. ValueError where it is none."""
    import yaml

    try:
        return list(yaml.load_all(text, Loader=_loader()))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def dump(value: Any) -> str:
    """Block style, keys sorted, strings of several lines as literal blocks: made to be read in a diff."""
    import yaml

    return str(
        yaml.dump(value, Dumper=_dumper(), default_flow_style=False, sort_keys=True, width=4096, allow_unicode=True)
    )


def canonical(value: Any) -> str:
    """One text per value: keys sorted, 1.0 is 1 (JSON numbers have passed through Go's float64), true is not 1."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), default=str)


def to_helm(values: Any) -> str:
    """Values as JSON that helm's YAML parser reads: it refuses the surrogate pairs by which JSON may escape characters
    beyond U+FFFF, and control characters that are not escaped. InvalidInput for text that is not Unicode."""
    text = json.dumps(values, ensure_ascii=False)
    return re.sub(r"[^\x00-\x7e\U00010000-\U0010ffff]", lambda found: _escaped(found[0]), text)


def _escaped(char: str) -> str:
    if "\ud800" <= char <= "\udfff":
        raise InvalidInput("values hold text that is not Unicode", "a half of a surrogate pair", "Correct the text.")
    return f"\\u{ord(char):04x}"


def as_float64(value: Any) -> Any:
    """Values as Helm keeps them: it reads every number as a 64-bit float, which rounds integers beyond 2^53.

    Source: sigs.k8s.io/yaml, by which helm.sh/helm/v4 pkg/cli/values/options.go reads values (the same in v3)."""
    if isinstance(value, dict):
        return {key: as_float64(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_float64(item) for item in value]
    return _rounded(value) if _is_large(value) else value


def rounded_numbers(values: Any, path: str = "") -> list[str]:
    """The paths (a.b[0]) of the integers that Helm rounds."""
    if isinstance(values, dict):
        parts = [(f"{path}.{key}" if path else str(key), item) for key, item in values.items()]
    elif isinstance(values, list | tuple):
        parts = [(f"{path}[{number}]", item) for number, item in enumerate(values)]
    else:
        return [path] if _is_large(values) and _rounded(values) != values else []
    return [found for name, item in parts for found in rounded_numbers(item, name)]


def _is_large(value: Any) -> bool:
    return isinstance(value, int) and abs(value) > EXACT


def _rounded(value: int) -> int:
    try:
        return int(float(value))
    except OverflowError:
        return value  # Helm refuses it


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _key(key: Any) -> str:
    """A key as sigs.k8s.io/yaml makes text of it: a float in its shortest form."""
    if isinstance(key, bool) or key is None:
        return str(key).lower()
    if isinstance(key, float):
        short = f"{key:g}"
        return short if float(short) == key else repr(key)
    return str(key)
