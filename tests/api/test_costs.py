"""What a few megabytes may cost is bounded: each of these held the event loop for seconds, some of them for hours."""

from __future__ import annotations

import gzip

import pytest

from facenapi.api import kinds
from facenapi.api.encodings import Decoder
from facenapi.api.multipart import MultipartError, parts_of
from facenapi.api.params import TIME
from facenapi.api.request import TEXT_LIMIT, Parameters, Texts
from facenapi.api.values import MOST_ITEMS, MustError, complex_of
from facenapi.errors import BadParam


@pytest.mark.parametrize("text", ["1T11 ", "11:11:60", "T24-", "1T11.1", "2016-", "+0", "\N{MINUS SIGN}", " "])
def test_a_time_is_short(text):
    with pytest.raises(MustError, match="must be a time"):
        TIME.parse(text * 200_000 + "\nZ")


def test_a_list_is_taken_apart_only_as_far_as_it_may_go():
    assert len(complex_of(Texts((b"," * 1_000_000,)))) == MOST_ITEMS + 1


@pytest.mark.parametrize("kind", [kinds.GALLERIES, kinds.BOXES, kinds.GALLERY_EDIT])
@pytest.mark.parametrize(
    "values", [(b"[" + b"[]," * TEXT_LIMIT + b"[]]",), (b"[" + b"[]," * 700 + b"[]]",) * 999], ids=["one", "many"]
)
def test_parts_of_a_form_hold_no_more_text_than_a_body_of_text(kind, values):
    with pytest.raises(MustError, match=f"at most {TEXT_LIMIT} bytes"):
        kind.parse(Texts(values))


def test_what_is_long_is_something():
    blank = Texts((b"[" + b" " * TEXT_LIMIT + b"]",))
    assert Parameters({"galleries": blank}).raw("galleries", json=True) is blank


def form(parts: list[bytes]) -> list[object]:
    return list(parts_of("multipart/form-data; boundary=x", b"".join(b"--x\r\n%s\r\n" % p for p in parts) + b"--x--"))


@pytest.mark.parametrize("alike", [b"--xZ", b"\n--x ", b"\r\n--xZ"])
def test_what_is_like_a_boundary_may_not_come_too_often(alike):
    assert len(form([b'Content-Disposition: form-data; name="a"\r\n\r\n' + alike * 4000])) == 1
    with pytest.raises(MultipartError, match="again and again"):
        form([b'Content-Disposition: form-data; name="a"\r\n\r\n' + alike * 6000])


@pytest.mark.parametrize("filler", [b';a="', b";a", b"\r\n ", b"; filename*=''%41"])
def test_heads_of_parts_are_short_all_together(filler):
    head = b'Content-Disposition: form-data; name="a"' + filler * (60_000 // len(filler)) + b"\r\n\r\nx"
    assert [(part.name, part.data) for part in form([head])] == [(b"a", b"x")]
    with pytest.raises(MultipartError, match="heads"):
        form([head] * 10)


def test_members_of_gzip_are_few():
    decoder = Decoder("gzip")
    assert b"".join(decoder.pieces(gzip.compress(b"a") * 500)) == b"a" * 500
    with pytest.raises(BadParam, match="members"):
        list(decoder.pieces(gzip.compress(b"") * 501))
