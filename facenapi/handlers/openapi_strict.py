"""The OpenAPI document for generators of clients: one natural type for each parameter, every schema with a name.

The exact document (``openapi.py``) says all that the server takes; a generator makes unions of it that nobody wants
to use. This one says the best way to say each thing, so whoever follows it is always understood.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import Any

from facenapi.api.operation import Operation
from facenapi.api.params import Param
from facenapi.api.request import MAX_FIELDS
from facenapi.handlers.openapi import Json, Offered, Table, document, operations, whole
from facenapi.handlers.views import BOX_REF

_REQUEST_ID: Json = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "An id of yours, which comes back with the answer and stands in the server's log",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
}

_OTHER_FIELDS = 100  # of a form or query, beside a list that repeats its name


@functools.cache
def strict_document(version: str, table: Table, offered: Offered) -> Json:
    """Return the strict document of ``version`` ("v0" or "v1")."""
    paths: Json = copy.deepcopy(document(version, table, offered)["paths"])
    for template, method, declared in operations(version, table, offered):
        described = paths[template][method]
        if "requestBody" in described:
            described["requestBody"] = _request_body(declared)
        query = [param for param in described["parameters"] if param["in"] == "path"]
        if method not in ("post", "put"):
            query += [_query_parameter(param) for param in declared.params]
        described["parameters"] = [*query, _REQUEST_ID]
        _name_answer(described)
    attribute: Json = {"type": "boolean"} | ({} if offered.attributes else {"const": False})
    described = copy.deepcopy(whole(version, paths, {"Boxes": offered.boxes(BOX_REF), "Attribute": attribute}))
    named: Json = described["components"]["schemas"]
    described["paths"] = _hoisted(described["paths"], named)
    described["components"]["responses"] = _hoisted(described["components"]["responses"], named)
    return described


def _query_parameter(param: Param) -> Json:
    return {"name": param.name, "in": "query", "description": param.text, "schema": _schema(param, form=True)}


def _request_body(declared: Operation) -> Json:
    kinds = {"application/json": False} | ({"multipart/form-data": True} if declared.takes_photos else {})
    required = [param.name for param in declared.params if param.required]
    contents: Json = {}
    for kind, form in kinds.items():
        schema: Json = {"type": "object", "properties": _properties(declared.params, form=form)}
        example = {name: value for name, value in declared.example.items() if not form or name[:5] != "photo"}
        contents[kind] = {"schema": schema | ({"required": required} if required else {})}
        if example and not form:
            contents[kind]["example"] = example
    return {"required": bool(required), "content": contents}


def _properties(params: Sequence[Param], *, form: bool) -> Json:
    return {param.name: _schema(param, form=form) for param in params}


def _schema(param: Param, *, form: bool) -> Json:
    schema: Json = param.kind.natural_schema(form=form) | {"description": f"{param.text}. {param.kind.phrase}"}
    if form and "maxItems" in schema:
        schema["maxItems"] = min(schema["maxItems"], MAX_FIELDS - _OTHER_FIELDS)
    if param.default not in (None, "", ()):
        schema["default"] = param.default
    return schema


def _name_answer(described: Json) -> None:
    """Name the schema of an answer after its operation, unless it has a name or is a list."""
    for response in described["responses"].values():
        for content in response.get("content", {}).values():
            schema = content["schema"]
            if schema.get("type") == "object" and "title" not in schema:
                words = described["operationId"].split("_")
                content["schema"] = schema | {"title": "".join(word.capitalize() for word in words) + "Answer"}


def _hoisted(value: Any, named: Json) -> Any:
    """Return a part of the document with every schema that has a title moved to ``named``."""
    if isinstance(value, list):
        return [_hoisted(item, named) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _hoisted(item, named) for key, item in value.items()}
    title = found.get("title")
    if not isinstance(title, str) or "type" not in found:
        return found
    description = {key: found[key] for key in ("description",) if key in found}
    named[title] = {key: item for key, item in found.items() if key not in ("title", "default")}
    return {"$ref": f"#/components/schemas/{title}"} | description
