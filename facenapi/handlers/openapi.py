"""The OpenAPI 3.1 document of a version, made from the same declarations that the handlers work by.

What it says of parameters is what the server does: numbers also as text, booleans also as words, lists also
as comma text, an empty value is an absent one, unknown parameters are ignored.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from facenapi import __version__
from facenapi.api.kinds import BOX, GALLERY_PATTERN
from facenapi.api.operation import Operation, operation_of
from facenapi.api.params import ATTRIBUTE, ATTRIBUTE_SCHEMAS, Param
from facenapi.api.patterns import NOTHING, text_schema
from facenapi.handlers import views
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.refusals import error_responses

Json = dict[str, Any]
Table = tuple[tuple[str, type[ApiHandler]], ...]

VERSIONS = ("v0", "v1")
# What counts as absent, besides the lack of it: in a JSON body, in a form or query.
_ABSENT: list[Json] = [{"type": "null"}, {"const": ""}, {"type": "array", "maxItems": 0}]
INTRODUCTION = """\
Parameters may come in a JSON body, a form, a multipart form or the query, also mixed; the body wins over the
query. Numbers and booleans may be written as text, lists as JSON text, as a,b or by repeating the name. An empty
value counts as absent, an unknown parameter is ignored. A box needs x1 < x2 and y1 < y2."""

_TAGS = {
    **dict.fromkeys(("detect", "verify", "identify"), "recognition"),
    **dict.fromkeys(("face", "faces"), "faces"),
    **dict.fromkeys(("person", "persons"), "persons"),
    "meta": "metas",
    "galleries": "galleries",
    "history": "history",
    "camera": "cameras",
    "server": "server",
}
_PATH: dict[str, tuple[str, Json]] = {
    "face_id": ("The face", {"type": "integer", "minimum": 0, "examples": [3754490218243079]}),
    "person_id": ("The person", {"type": "integer", "minimum": 0, "examples": [2001]}),
    "cam_id": ("The camera", {"type": "string", "minLength": 1, "examples": ["1234567812345678123456781234abcd"]}),
    "gallery": ("The gallery", {"type": "string", "pattern": f"^{GALLERY_PATTERN}$", "examples": ["niceppl"]}),
    "meta": ("The meta, percent-encoded", {"type": "string", "minLength": 1, "examples": ["Sam Berry"]}),
}


@dataclass(frozen=True, slots=True)
class Offered:
    """What a server's options have to do with its documents.

    ``max_boxes``: how many a request may name on a photo. ``attributes``: whether age and so on may be asked for.
    """

    max_boxes: int = 100
    attributes: bool = True

    def boxes(self, box: Json) -> Json:
        """Return the schema of a list of boxes, each with the schema ``box``."""
        return {"type": "array", "items": box, "minItems": 1, "maxItems": self.max_boxes}

    def example(self, declared: Operation) -> Json:
        """Return the parameters of an operation's example, less those that are not offered."""
        refused = {param.name for param in declared.params if param.kind is ATTRIBUTE and not self.attributes}
        return {name: value for name, value in declared.example.items() if name not in refused}


@functools.cache
def document(version: str, table: Table, offered: Offered) -> Json:
    """Return the document of ``version`` ("v0" or "v1")."""
    number = VERSIONS.index(version)
    paths: Json = {}
    for template, method, declared in operations(version, table, offered):
        paths.setdefault(template, {})[method] = _operation(template, method, declared, number)
    return whole(
        version, paths, {"Boxes": offered.boxes(BOX), "Attribute": {"anyOf": ATTRIBUTE_SCHEMAS[offered.attributes]}}
    )


def whole(version: str, paths: Json, taken: Json) -> Json:
    """Return a document of these paths; ``taken``: the schemas of what depends on the server's options."""
    number = VERSIONS.index(version)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"facenapi {version}", "version": __version__, "description": INTRODUCTION},
        "servers": [{"url": f"/{version}"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {"Face": views.FACE, "Box": views.BOX, **taken},
            "responses": error_responses(number),
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "Authorization: Token KEY",
                }
            },
        },
    }


def operations(version: str, table: Table, offered: Offered) -> Iterator[tuple[str, str, Operation]]:
    """Yield path, method and declaration of everything, with examples that ask for what is offered only.

    v0 has the singular where both exist, v1 the plural.
    """
    word = ("face", "faces")[VERSIONS.index(version)]
    for template, handler in table:
        for method in ("get", "post", "put", "delete"):
            declared = operation_of(getattr(handler, method, None))
            if declared is not None:
                yield template.replace("FACE", word), method, replace(declared, example=offered.example(declared))


def _operation(template: str, method: str, declared: Operation, version: int) -> Json:
    parameters = [_path_parameter(name) for name in re.findall(r"\{(\w+)\}", template)]
    described: Json = {
        "operationId": f"{method}_{re.sub(r'[^a-z]+', '_', template).strip('_')}",
        "tags": [tag_of(template)],
        "summary": declared.summary,
        "parameters": parameters,
        "responses": {str(declared.status): _answer(declared), **_errors(declared, version)},
    }
    if declared.public:
        described["security"] = []
    if method in ("post", "put"):
        if declared.params:
            described["requestBody"] = _request_body(declared.params)
    else:
        parameters += [_query_parameter(param) for param in declared.params]
    return described


def tag_of(template: str) -> str:
    """Return the group that a path belongs to.

    >>> [tag_of(path) for path in ("/faces/gallery/{gallery}/identify", "/meta", "/person/id/{person_id}")]
    ['recognition', 'metas', 'persons']
    """
    first, *_, last = template.split("/")[1:] * 2
    return _TAGS.get(last, "") or _TAGS[first]


def path_schema(name: str) -> Json:
    """Return the schema of a piece of a path."""
    return _PATH[name][1]


def _path_parameter(name: str) -> Json:
    text, schema = _PATH[name]
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _query_parameter(param: Param) -> Json:
    return {
        "name": param.name,
        "in": "query",
        "description": param.text,
        "schema": _schema(param, form=True),
        "allowEmptyValue": not param.required,
    }


def _request_body(params: Sequence[Param]) -> Json:
    required = [param.name for param in params if param.required]
    body: Json = {"type": "object", "properties": {param.name: _schema(param) for param in params}}
    form: Json = {"type": "object", "properties": {param.name: _schema(param, form=True) for param in params}}
    if required:
        body["required"] = form["required"] = required
    else:
        body = {"anyOf": [body, *_ABSENT]}
    schemas = {"application/json": body, "application/x-www-form-urlencoded": form, "multipart/form-data": form}
    return {"required": bool(required), "content": {name: {"schema": schema} for name, schema in schemas.items()}}


def _schema(param: Param, *, form: bool = False) -> Json:
    alternatives = param.kind.schemas(form=form)
    if not param.required:
        alternatives += _ABSENT[1:2] if form else _ABSENT
        alternatives += [text_schema(NOTHING)] if param.kind.json else []
    schema: Json = {"description": f"{param.text}. {param.kind.phrase}", "anyOf": alternatives}
    if param.default not in (None, "", ()):
        schema["default"] = param.default
    return schema


def _answer(declared: Operation) -> Json:
    answer: Json = {"description": "Done" if declared.answer is None else "The answer"}
    if declared.answer is not None:
        answer["content"] = {"application/json": {"schema": declared.answer}}
    if declared.headers:
        answer["headers"] = {
            name: {"required": True, "description": text, "schema": {"type": "string"}}
            for name, text in declared.headers.items()
        }
    return answer


def _errors(declared: Operation, version: int) -> Json:
    left_out = ({"401"} if declared.public else set()) | (set() if "NOT_FOUND" in declared.errors else {"404"})
    return {
        status: {"$ref": f"#/components/responses/{status}"}
        for status in error_responses(version)
        if status not in left_out
    }
