"""JSON out is strict and sorted, JSON in is strict."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facenapi.api import jsonio
from facenapi.errors import MalformedJson

TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(0, 1) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(VALUES)
def test_what_is_written_is_read_back_with_sorted_keys(value):
    text = jsonio.dumps(value)
    assert jsonio.loads(text) == json.loads(text) == value
    if isinstance(value, dict):
        assert list(json.loads(text)) == sorted(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_what_json_has_not_is_not_written(value):
    with pytest.raises((OverflowError, ValueError)):
        jsonio.dumps(value)


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", '{"a": 1,}', "'a'", '"\n"', "[" * 100_000, b"\xff", "1" * 5000]
)
def test_what_is_not_json_is_refused(text):
    with pytest.raises(MalformedJson):
        jsonio.loads(text)
