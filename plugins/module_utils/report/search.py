# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The option search: words that every store understands, as criteria. Pure."""

from __future__ import annotations

import json
import shlex

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.store.reader import Criteria

REMEDY = 'Write for example: service=orders name="POST /orders" error=true min=200ms http.route=/orders'


def is_traceql(search: str) -> bool:
    return search.lstrip().startswith(("{", "("))


def criteria(search: str, option: str) -> Criteria:
    """service=…, name=…, error=true, min=DURATION; any other key=value is an attribute. InvalidInput for the rest.

    option: what messages name, such as "option search".
    """
    try:
        words = shlex.split(search)
    except ValueError as error:
        raise InvalidInput(f"{option} is {search}", f"{error}".lower(), REMEDY) from error
    if not words:
        raise InvalidInput(f"{option} is empty", "it would match every trace", REMEDY)
    services: list[str] = []
    operation, minimum, failed = "", 0.0, False
    attributes: dict[str, str | int | float | bool] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise InvalidInput(f"{option} has the word {word!r}", "each word is key=value", REMEDY)
        if key == "service":
            services.append(value)
        elif key == "name":
            operation = value
        elif key == "min":
            minimum = _seconds(value, option)
        elif key == "error":
            if value not in ("true", "false"):
                raise InvalidInput(f"{option} has error={value}", "it is true or false", REMEDY)
            failed = value == "true"
        else:
            attributes[key] = _value(value)
    return Criteria(tuple(services), operation, attributes, minimum, failed)


def _seconds(value: str, option: str) -> float:
    try:
        return duration_seconds(value)
    except ValueError as error:
        raise InvalidInput(f"{option} has min={value}", str(error), REMEDY) from error


def _value(text: str) -> str | int | float | bool:
    """Booleans and numbers as such: TraceQL compares types too."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, bool | int | float) else text
