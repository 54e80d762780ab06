"""Examples for the page of the documentation: requests for curl, and what they are answered."""

from __future__ import annotations

import json
import shlex
from collections.abc import Set
from typing import Any
from urllib.parse import quote

from facenapi.api.operation import Operation
from facenapi.handlers import views
from facenapi.handlers.openapi import path_schema

Json = dict[str, Any]

_ON_REQUEST = frozenset({*views.ATTRIBUTES, *views.QUALITY, "limit"})  # or on occasion
_PLAIN: Json = {"integer": 1, "boolean": True, "string": "text"}


def path_value(name: str) -> str:
    """Return what stands for a piece of a path in examples."""
    return quote(str(path_schema(name)["examples"][0]))


def curl(method: str, url: str, declared: Operation) -> str:
    """Return a request in JSON, for a shell."""
    lines = [f"curl -X {method.upper()} -H 'Authorization: Token KEY'"]
    if declared.example:
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(declared.example))}"]
    return " \\\n    ".join([*lines, shlex.quote(url)])


def _files(declared: Operation) -> list[str]:
    return [param.name for param in declared.params if param.kind.photo]


def _fields(declared: Operation) -> dict[str, str]:
    """Return the other parameters of the example as texts of a form."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in declared.example.items()
        if name not in _files(declared)
    }


def curl_files(method: str, url: str, declared: Operation) -> str:
    """Return a request with files, for a shell."""
    lines = [f"curl -X {method.upper()} -H 'Authorization: Token KEY'"]
    lines += [f"-F {name}=@{name}.jpg" for name in _files(declared)]
    lines += [f"-F {shlex.quote(f'{name}={value}')}" for name, value in _fields(declared).items()]
    return " \\\n    ".join([*lines, shlex.quote(url)])


def sample(schema: Json, asked: Set[str] = frozenset()) -> Any:
    """Return a value that a schema of an answer allows: its example, or the plainest.

    ``asked``: what was asked for, of what is answered only then.
    """
    if "$ref" in schema:
        return sample({"Face": views.FACE, "Box": views.BOX}[schema["$ref"].rpartition("/")[2]])
    if "examples" in schema:
        return schema["examples"][0]
    if "oneOf" in schema:
        return sample(schema["oneOf"][0], asked)
    if schema["type"] == "array":
        return [sample(schema["items"], asked)]
    if schema["type"] != "object":
        return _PLAIN[schema["type"]]
    named = schema.get("properties") or {sample(schema["propertyNames"]): schema["additionalProperties"]}
    left_out = _ON_REQUEST - asked - set(schema.get("required", ()))
    return {name: sample(inner, asked) for name, inner in named.items() if name not in left_out}
