"""What boxes, thresholds and lists may look like; and that the schemas say the same."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facenapi.api import kinds
from facenapi.api.request import Texts, Upload
from facenapi.api.values import MustError
from facenapi.errors import MalformedJson
from facenapi.geometry import Box
from facenapi.handlers.common import PHOTO

PIXELS = st.integers(-999_999, 999_999)
FRACTIONS = st.floats(-999_999, 999_999).map(lambda value: round(value, 3))
SPANS = st.lists(PIXELS | FRACTIONS, min_size=2, max_size=2, unique=True).map(sorted)
CORNERS = st.tuples(SPANS, SPANS).map(lambda spans: (spans[0][0], spans[1][0], spans[0][1], spans[1][1]))


def as_object(box):
    return dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))


@given(CORNERS)
def test_a_box_reads_the_same_in_every_form(box):
    expected = (Box(*box),)
    texts = [json.dumps(list(box)), json.dumps(as_object(box)), ",".join(map(repr, box))]
    for form in (
        list(box),
        as_object(box),
        [list(box)],
        [as_object(box)],
        as_object([repr(side) for side in box]),
        *texts,
    ):
        assert kinds.parse_boxes(form) == expected
    for text in texts:
        assert kinds.parse_boxes(Texts((text.encode(),))) == kinds.parse_boxes(Upload(text.encode())) == expected
    assert kinds.parse_boxes(Texts(tuple(repr(side).encode() for side in box))) == expected


@given(st.lists(CORNERS, min_size=1, max_size=5), st.data())
def test_lists_of_boxes_keep_their_order(boxes, data):
    mixed = [as_object(box) if data.draw(st.booleans()) else list(box) for box in boxes]
    assert kinds.parse_boxes(mixed) == kinds.parse_boxes(json.dumps(mixed)) == tuple(Box(*box) for box in boxes)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["x1", "y1", "x2", "y2"]), inner),
    max_leaves=8,
)


@given(ANYTHING)
def test_anything_is_read_or_refused_in_words(value):
    for kind in (kinds.BOXES, kinds.THRESHOLD, kinds.GALLERIES, kinds.GALLERY_EDIT, kinds.CAMERAS, kinds.ROI):
        try:
            kind.parse(value)
        except (MustError, MalformedJson) as error:
            refused = str(error)
        else:
            refused = ""
        assert refused.startswith(("must ", "The JSON cannot be read: ")) or not refused


@given(CORNERS)
def test_a_box_is_answered_in_whole_pixels(box):
    view = Box(*box).as_dict()
    assert sorted(view) == ["x1", "x2", "y1", "y2"]
    assert all(isinstance(side, int) for side in view.values())
    assert Box(*box).as_key() == json.dumps([view["x1"], view["y1"], view["x2"], view["y2"]])


def test_the_largest_box_may_be_sent_back_as_it_is_answered():
    [box] = kinds.parse_boxes([-999_999.9, -999_999.9, 999_999.9, 999_999.5])
    view = box.as_dict()
    assert kinds.parse_boxes(view) == (Box(**view),)


@given(CORNERS, CORNERS)
def test_overlap_is_symmetric_and_between_0_and_1(one, two):
    first, second = Box(*one), Box(*two)
    assert 0 <= first.overlap(second) == second.overlap(first) <= 1
    assert first.overlap(first) == pytest.approx(1)


def test_thresholds():
    named = {"strict": 0.7834, "Medium": 0.6616, "LOW": 0.5690, "none": None}
    for word, value in named.items():
        assert kinds.parse_threshold(word) == value
    for text in ("0", "1", "1.", ".5", "0.75", "+0.3", "1e-05", "5.0E-3", "000.1", "1e-999"):
        assert kinds.parse_threshold(text) == float(text)
    for wrong in ("", "1.1", "-0.1", "2e-0", "10e-1", "1e0", "nan", "inf", "1e5", True, [0.5], 1.01, -1, 10**400):
        with pytest.raises(MustError):
            kinds.parse_threshold(wrong)


@given(st.floats(0, 1))
def test_every_number_from_0_to_1_is_a_threshold_also_as_text(value):
    assert kinds.parse_threshold(value) == value
    assert kinds.parse_threshold(repr(value)) == value


@given(st.integers(-400, 400) | st.integers())
def test_the_schema_of_whole_numbers_is_what_is_read(value):
    kind = kinds.integer(-360, 360)
    [pattern] = [schema["pattern"] for schema in kind.texts]
    within = -360 <= value <= 360
    assert bool(re.fullmatch(pattern, str(value))) is within
    for raw in (value, str(value), Texts((str(value).encode(),))):
        if within:
            assert kind.parse(raw) == value
        else:
            with pytest.raises(MustError):
                kind.parse(raw)


def test_a_photo_is_a_file_or_a_url():
    parse = PHOTO.kind.parse
    assert parse(Upload(b"\xff\xd8")).data == b"\xff\xd8"
    assert parse(Texts((b"\xff\xd8",))).data == b"\xff\xd8"
    for raw in ("http://x/y", Texts((b" http://x/y ",)), Upload(b"http://x/y")):
        assert (parse(raw).data, parse(raw).url) == (None, "http://x/y")


@pytest.mark.parametrize(("raw", "name"), [(25, "25"), (25.0, "25"), ("25", "25"), (0, "0")])
def test_a_whole_number_is_the_name_of_a_camera(raw, name):
    assert kinds.CAMERA.parse(raw) == name


@pytest.mark.parametrize("raw", [True, 25.5, -1, -1.0, 1e300, float("inf"), float("nan")])
def test_other_numbers_are_no_names_of_cameras(raw):
    with pytest.raises(MustError):
        kinds.CAMERA.parse(raw)
