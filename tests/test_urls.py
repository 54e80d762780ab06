"""The routing table against the contract: every row has a route, every method is behind a token or says not."""

from __future__ import annotations

import re

import pytest

from facenapi.api.operation import operation_of
from facenapi.handlers.base import METHODS, ApiHandler
from facenapi.handlers.docs import NoDocsHandler
from facenapi.handlers.openapi import path_schema
from facenapi.urls import API, CONSOLE, DOCS, GUIDE, SERVICE, UPLOADS, routes

# The endpoint table of the contract, with something in the place of each variable.
CONTRACT = """
POST /detect
POST /verify
POST /identify
POST /faces/gallery/G/identify
POST /face
GET PUT DELETE /face/id/7
GET DELETE /face/meta/M
GET DELETE /face/gallery/G/meta/M
GET DELETE /faces/gallery/G/meta/M
GET /faces
GET /faces/gallery/G
GET /meta
GET /meta/gallery/G
GET POST /galleries
POST DELETE /galleries/G
GET /persons
GET /person/id/7
GET /person/id/7/faces
POST /person/id/7/merge
GET /person/history/id/7
GET POST /history/search
GET POST /camera
GET PUT DELETE /camera/x
GET /server
GET /docs
GET /docs/v0
GET /docs/v1
GET /docs/v1/overview.html
GET /docs/v1/openapi.json
"""
ROWS = [
    (method, path) for *methods, path in map(str.split, CONTRACT.strip().split("\n")) for method in methods
]  # fmt: skip
PUBLIC = {"/docs/guide", "/docs/guide/{file}", "/docs/{documented}/try", "/docs/{documented}/try/{file}",
          "", "/console/{digest}/{file}", "/docs", "/docs/{documented}", "/docs/{documented}/openapi.json",
          "/docs/{documented}/overview.html", "/health", "/health/ready", "/health/live", "/metrics"}  # fmt: skip


def handler_of(path):
    """Return the handler class of a path, as Tornado would find it."""
    return next(route.handler_class for route in routes(None) if route.regex.match(path))


@pytest.mark.parametrize(("method", "path"), ROWS)
def test_every_row_of_the_contract_has_a_route(method, path):
    for base in ("", "/v0", "/v1"):
        for slash in ("", "/"):
            declared = operation_of(getattr(handler_of(base + path + slash), method.lower()))
            assert declared is not None
            if method == "GET":
                assert operation_of(handler_of(base + path + slash).head) is declared


def test_every_method_is_declared_and_public_only_where_it_should_be():
    public = set()
    for path, handler in (*API, *DOCS, *GUIDE, *CONSOLE, *UPLOADS, *SERVICE):
        assert issubclass(handler, ApiHandler)
        methods = [
            name for name in METHODS if getattr(handler, name.lower()) is not getattr(ApiHandler, name.lower())
        ]
        assert methods, path
        for name in methods:
            declared = operation_of(getattr(handler, name.lower()))
            assert declared is not None, f"{name} {path} is neither authenticated nor marked public"
            if declared.public:
                public.add(path)
    assert public == PUBLIC


def test_nothing_is_routed_past_the_tables():
    known = {handler for _, handler in (*API, *DOCS, *GUIDE, *CONSOLE, *UPLOADS, *SERVICE)} | {NoDocsHandler}
    *routed, last = routes(None)
    assert {route.handler_class for route in routed} == known
    assert last.regex.match("/anything")
    assert not [name for name in METHODS if operation_of(getattr(last.handler_class, name.lower()))]


def test_a_handler_answers_head_wherever_it_answers_get():
    class Getter(ApiHandler):
        async def get(self):
            """Answer."""

    class Poster(ApiHandler):
        async def post(self):
            """Answer."""

    assert Getter.head is Getter.get
    assert Poster.head is ApiHandler.head


def test_every_variable_of_a_path_is_documented():
    for path, _ in API:
        for name in re.findall(r"\{(\w+)\}", path):
            assert path_schema(name)["examples"]
