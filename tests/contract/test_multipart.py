"""Upload forms of clients in the field, byte for byte: what servers of ten years ago took."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from tests.contract.client import everything
from tests.support.effort import daily
from tests.support.server import RED, picture

ONE_STORE = True

PHOTO = picture(RED)
PACKED = gzip.compress(PHOTO)
FORM = b'Content-Disposition: form-data; name="photo"; filename="a.jpg"\r\n'


def part(head: bytes, data: bytes = PHOTO) -> bytes:
    return b"--b\r\n" + head + b"\r\n" + data + b"\r\n"


END = b"--b--\r\n"
CUT_OFF = "The multipart body is cut off: its last boundary is missing"
UNNAMED = "The Content-Type of the multipart body names no boundary"
UPLOADS = {
    "as it should be": part(FORM) + END,
    "CRLF before the first boundary": b"\r\n" + part(FORM) + END,
    "a preamble": b"This is a message of several parts.\r\n" + part(FORM) + END,
    "a preamble that talks of the boundary": b"see --b, --b-- and\r\n --b\r\n\r\n" + part(FORM) + END,
    "padding behind boundaries": part(FORM).replace(b"--b\r\n", b"--b \t \r\n") + b"--b-- \t\r\n",
    "nothing after the last boundary": part(FORM) + b"--b--",
    "an epilogue": part(FORM) + END + b"--b\r\nnobody reads this",
    "a folded head": part(b'Content-Disposition: form-data;\r\n name="photo";\r\n\tfilename="a.jpg"\r\n') + END,
    "a header that is none": part(b"no colon here\r\n" + FORM + b": nameless\r\nX Y\xff: z\r\n\x01: 1\r\n") + END,
    "any case": part(b'CONTENT-DISPOSITION:Form-Data;NAME=photo;FileName="a.jpg"\r\n') + END,
    "blanks": part(b'content-disposition : form-data ; name = "photo" ; filename = a.jpg \r\n') + END,
    "an unnamed part": part(b"Content-Type: text/plain\r\n", b"x") + part(b"", b"y") + part(FORM) + END,
    "another disposition": part(b'Content-Disposition: attachment; name="photo"\r\n', b"x") + part(FORM) + END,
    "a part without a head's end": b"--b\r\nContent-Type: text/plain\r\n" + part(FORM) + END,
    "a long head": part(FORM + b"X-Filler: " + b"x" * 60_000 + b"\r\n") + END,
    "an empty file, then a real one": part(FORM.replace(b"a.jpg", b""), b"") + part(FORM, b"") + part(FORM) + END,
    "a real file, then an empty one": part(FORM) + part(FORM, b"") + part(FORM.replace(b"a.jpg", b""), b"") + END,
    "two files: the last counts": part(FORM, b"no picture") + part(FORM) + END,
    "the boundary in the data": part(FORM, PHOTO + b"\r\n--bb\r\n--b x\r\n---b--\n--b--") + END,
    "a file's name in any bytes": part(FORM.replace(b"a.jpg", b"\xcf\xf0\xe8\xe2\xe5\xf2 \xff;\x80\x01.jpg")) + END,
    "a file's name with quotes": part(FORM.replace(b"a.jpg", b'a\\"; name=\\"x\\".jpg')) + END,
    "a path as a file's name": part(FORM.replace(b"a.jpg", b"C:\\photos\\")) + END,
    "a file's name twice": part(FORM[:-2] + b"; filename*=utf-8''%D0%9F.jpg\r\n") + END,
    "the field's name encoded": part(b"Content-Disposition: form-data; name*=utf-8''photo; filename=a\r\n") + END,
    "no blank": part(b'Content-Disposition:form-data;name="photo";filename="a.jpg"\r\nContent-Length:9\r\n') + END,
    "base64 is only said": part(FORM + b"Content-Transfer-Encoding: binary\r\nContent-Type: x\r\n") + END,
}  # fmt: skip


def upload(api, body, kind="multipart/form-data; boundary=b", path="/v1/detect", **headers):
    return api("POST", path, body=body, headers={"Content-Type": kind, **headers})


@pytest.mark.parametrize("name", UPLOADS)
def test_uploads_in_every_form(api, name):
    reply = upload(api, UPLOADS[name])
    assert (reply.status, len(reply.json.get("faces", ""))) == (200, 1), reply


@pytest.mark.parametrize(
    "kind",
    ["multipart/form-data;boundary=b", "Multipart/Form-Data; charset=utf-8; BOUNDARY=b",
     'multipart/form-data; boundary="b"', "multipart/form-data; boundary = b ; charset=x"],
)  # fmt: skip
def test_the_boundary_is_found_in_every_spelling(api, kind):
    assert upload(api, UPLOADS["as it should be"], kind).status == 200


def test_a_thousand_parts_and_not_one_more(api):
    filler = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    assert upload(api, filler * 999 + part(FORM) + END).status == 200
    reply = upload(api, filler * 1000 + part(FORM) + END)
    assert (reply.status, reply.json["reason"]) == (400, "The multipart body has more than 1000 parts")


def test_repeated_texts_beside_files(api):
    api.gallery("a", "b")
    fields = ((b"galleries", b"a"), (b"galleries", b""), (b"galleries", b"b"), (b"meta", b"said"), (b"meta", b""))
    texts = b"".join(part(b'Content-Disposition: form-data; name="%b"\r\n' % name, value) for name, value in fields)
    [face] = upload(api, texts + part(FORM) + END, path="/v1/face").json["results"]
    assert (face["galleries"], face["meta"]) == (["default", "a", "b"], "said")


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("multipart/form-data", part(FORM) + END, UNNAMED),
        ("multipart/form-data; boundary=", part(FORM) + END, UNNAMED),
        ("multipart/form-data; boundary=c", part(FORM) + END,
         "The multipart body does not have the boundary that its Content-Type names"),
        ("multipart/form-data; boundary=b", part(FORM), CUT_OFF),
        ("multipart/form-data; boundary=b", part(FORM)[:-40], CUT_OFF),
        ("multipart/form-data; boundary=b", part(FORM) + b"--b-", CUT_OFF),
    ],
)  # fmt: skip
def test_what_is_really_malformed_is_said(api, kind, body, reason):
    reply = upload(api, body, kind)
    expected = {"code": "BAD_PARAM", "param": "body", "value": None, "reason": reason}
    assert (reply.status, reply.json) == (400, expected)


# -- raw bodies and encodings ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", daily(["image/jpeg", None, "image/x-whatever; q=1", "application/octet-stream",
                                        "application/x-www-form-urlencoded"], 2))  # fmt: skip
@pytest.mark.parametrize("photo", [PHOTO, picture(RED, kind="JPEG"), picture(RED, kind="WEBP")])
def test_a_picture_as_the_body(api, kind, photo):
    [face] = upload(api, photo, kind, "/v1/face?meta=raw&galleries=default").json["results"]
    assert face["meta"] == "raw"
    assert upload(api, photo, kind).json["faces"]


def test_a_picture_as_the_body_is_nothing_to_a_method_with_two(api):
    assert api.refusal("POST", "/v1/verify", body=PHOTO, headers={"Content-Type": "image/png"})[2] == "photo1"
    sent = {"body": b"no picture at all", "headers": {"Content-Type": "image/png"}}
    assert api.refusal("POST", "/v1/detect", **sent) == (400, "BAD_IMAGE", "photo")


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("X-GZIP", lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:]) + b"\0\0"),
        ("deflate", zlib.compress),
        ("Deflate", raw_deflate),
        ("identity", bytes),
        ("", bytes),
    ],
)
def test_content_encodings_are_undone(api, encoding, pack):
    body = part(FORM) + END
    assert upload(api, pack(body), **{"Content-Encoding": encoding}).status == 200
    sent = {"Content-Type": "application/json", "Content-Encoding": encoding}
    assert api("POST", "/v1/galleries", body=pack(b'{"name": "g"}'), headers=sent).json == {"name": "g"}
    with api.connection() as connection:  # byte by byte
        head = api.head_of("POST", "/v1/detect", Content_Type="image/png", Content_Encoding=encoding,
                           Transfer_Encoding="chunked", Connection="close")  # fmt: skip
        connection.sendall(head + b"".join(b"1\r\n%c\r\n" % byte for byte in pack(PHOTO)) + b"0\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "compress", "zstd", "x" * 999])
def test_another_encoding_is_415(api, encoding):
    sent = {"body": PHOTO, "headers": {"Content-Type": "image/png", "Content-Encoding": encoding}}
    assert api.refusal("POST", "/v1/detect", **sent) == (415, "BAD_ENCODING", None)


@pytest.mark.parametrize("body", [PACKED[:-9], b"no gzip", PACKED[:60] + b"x" * 99, b"\x1f"])
def test_damaged_encodings_are_said(api, body):
    sent = {"body": body, "headers": {"Content-Type": "image/png", "Content-Encoding": "gzip"}}
    assert api.refusal("POST", "/v1/detect", **sent) == (400, "BAD_PARAM", "body")


def test_a_bomb_is_too_large(api):
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(10_000_000)) for _ in range(4)) + packer.flush()
    assert len(bomb) < 100_000
    sent = {"body": bomb, "headers": {"Content-Type": "image/png", "Content-Encoding": "gzip"}}
    assert api.refusal("POST", "/v1/detect", **sent) == (413, "TOO_LARGE", None)
    sent["headers"]["Content-Type"] = "application/json"
    assert api.refusal("POST", "/v1/galleries", **sent) == (413, "TOO_LARGE", None)


def test_a_large_text_is_not_parsed(api):
    form = {"body": b"meta=" + b"x" * 1_100_000, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
    assert api.refusal("POST", "/v1/face", **form) == (413, "TOO_LARGE", None)
    large = {"body": json.dumps({"x": "y" * 1_100_000}).encode(), "headers": {"Content-Type": "application/json"}}
    assert api.refusal("POST", "/v1/face", **large) == (413, "TOO_LARGE", None)
