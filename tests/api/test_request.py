"""Parameters are read alike from wherever they come."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from facenapi.api.request import Texts, Upload, read_parameters
from facenapi.api.values import text_of
from facenapi.errors import BadParam, MalformedJson
from tests.support.server import multipart

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters='"\\[]'), min_size=1)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
FIELDS = st.dictionaries(NAMES, VALUES, max_size=8)


def read(kind, body=b"", query=""):
    return read_parameters(HTTPHeaders({"Content-Type": kind} if kind else {}), query, body)


@given(FIELDS)
def test_a_text_arrives_as_it_was_sent_in_every_way(fields):
    form = urlencode(fields)
    kind, parts = multipart(fields)
    for parameters in (
        read("application/json", json.dumps(fields).encode()),
        read("application/x-www-form-urlencoded", form.encode()),
        read(kind, parts),
        read("", query=form),
    ):
        assert {name: text_of(parameters.raw(name)) for name in fields} == fields


@given(NAMES, st.lists(VALUES, min_size=1, max_size=5))
def test_repeated_values_keep_their_order(name, values):
    expected = Texts(tuple(value.encode() for value in values))
    for key in (name, name + "[]"):
        form = urlencode([(key, value) for value in values])
        assert read("application/x-www-form-urlencoded", form.encode()).raw(name) == expected
        assert read("", query=form).raw(name) == expected
        assert read(*multipart([(key, value) for value in values])).raw(name) == expected


@given(st.sampled_from(["application/json", "", "text/plain", "application/x-www-form-urlencoded",
                        "multipart/form-data; boundary=b", "multipart/form-data", "x/y"]),
       st.binary(max_size=200), st.text(st.characters(max_codepoint=255), max_size=50))  # fmt: skip
def test_any_bytes_are_read_or_refused(kind, body, query):
    try:
        parameters = read(kind, body, query)
    except (BadParam, MalformedJson):
        return
    for name in (*parameters.body, *parameters.query):
        parameters.raw(name)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_json_is_read_or_refused(value):
    try:
        parameters = read("application/json", json.dumps(value).encode())
    except MalformedJson:
        assert not isinstance(value, dict) or "NaN" in json.dumps(value) or "Infinity" in json.dumps(value)
    else:
        expected = value if isinstance(value, dict) else {}
        assert parameters.body == expected


def test_the_body_wins_over_the_query_unless_it_is_empty():
    query = "a=1&b=2&c=3&d=4"
    parameters = read("application/json", b'{"a": "x", "b": "", "c": null, "d": []}', query)
    assert parameters.raw("a") == "x"
    assert [parameters.raw(name) for name in "bcd"] == [Texts((b"2",)), Texts((b"3",)), Texts((b"4",))]
    assert parameters.raw("e") is None
    assert read("", query="a=&a=").raw("a") is None


def test_a_file_part_is_bytes_and_an_empty_one_gives_way_to_a_text():
    kind, body = multipart([("photo", b"\xff\x00"), ("empty", b""), ("empty", "text")])
    parameters = read(kind, body)
    assert parameters.raw("photo") == Upload(b"\xff\x00")
    assert parameters.raw("empty") == Texts((b"text",))


@pytest.mark.parametrize("body", [b"[1]", b"5", b'"x"', b"true"])
def test_json_must_be_an_object_or_empty(body):
    with pytest.raises(MalformedJson):
        read("application/json", body)


def test_too_many_fields_are_refused():
    for kind, body, query in (
        ("application/x-www-form-urlencoded", b"a&" * 1001, ""),
        ("", b"", "a&" * 1001),
        (*multipart([("a", "x")] * 1001), ""),
    ):
        with pytest.raises(BadParam):
            read(kind, body, query)
