"""JSON as the contract wants it, in both directions."""

from __future__ import annotations

import json
from typing import Any

import ujson

from facenapi.errors import MalformedJson


def dumps(value: Any) -> str:
    """Return strict JSON with sorted keys. NaN and infinity raise: they must not have come this far."""
    return ujson.dumps(value, sort_keys=True, ensure_ascii=False, escape_forward_slashes=False, allow_nan=False)


def loads(text: bytes | str) -> Any:
    """Return the value of a JSON text.

    The standard library's parser is used because it is the stricter one: ujson takes NaN and control
    characters. Raises MalformedJson.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "not valid JSON"
        raise MalformedJson(f"The JSON cannot be read: {reason}") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
