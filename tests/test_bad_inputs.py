"""Bad requests: the contract's exact answer each time, and the database as it was."""

from __future__ import annotations

import asyncio
import io
import zlib

import numpy as np
from PIL import Image

from facenapi.storage.base import FaceFilter, Page
from tests.support.photos import encode
from tests.support.rawserver import RawServer
from tests.support.server import RED, multipart, picture, serving

GOOD = picture(RED)


def bomb():
    """A PNG of 14000x14000 pixels in 24 KB."""
    out = io.BytesIO()
    Image.new("1", (14000, 14000)).save(out, "PNG", optimize=True)
    return out.getvalue()


def bad_param(param, value, reason):
    return 400, {"code": "BAD_PARAM", "param": param, "value": value, "reason": reason}


def bad_image(reason, param="photo"):
    return 400, {"code": "BAD_IMAGE", "param": param, "reason": reason}


def no_faces(param):
    return 400, {"code": "NO_FACES", "param": param, "reason": "No faces were found on the photo"}


def auth_failed(reason):
    return 401, {"code": "AUTH_FAILED", "reason": reason}


UNKNOWN = "The token is unknown or not active"
SCHEME = "The Authorization header must be: Token KEY"
THRESHOLDS = "threshold must be strict, medium, low, none or a number from 0 to 1"
NO_PICTURE = "The photo is not a JPEG, PNG, WebP, HEIC or AVIF picture"
NAMES = "galleries must be a list of gallery names (letters, digits, _ and -, at most 48)"
BOX = 'bbox must be {"x1", "y1", "x2", "y2"}, [x1, y1, x2, y2] or a list of these'
CORNERS = "bbox must have x1 < x2 and y1 < y2"
NOT_A_URL = "The photo must be a file or an http(s) URL: "
JSON = {"Content-Type": "application/json"}

# name: method and path, what to send, the exact answer
CASES = {
    "no token": ("POST /v1/face", {"parts": {"photo": GOOD}, "key": ""},
                 auth_failed("A token is needed: Authorization: Token KEY")),
    "wrong scheme": ("POST /v1/face", {"parts": {"photo": GOOD}, "headers": {"Authorization": "Bearer x"}},
                     auth_failed(SCHEME)),
    "no key": ("GET /v1/faces", {"headers": {"Authorization": "Token"}}, auth_failed(SCHEME)),
    "unknown token": ("POST /v1/face", {"parts": {"photo": GOOD}, "key": "nobody"}, auth_failed(UNKNOWN)),
    "empty body": ("POST /v1/face", {}, bad_param("photo", None, "photo is required")),
    "empty JSON": ("POST /v1/face", {"json_body": {}}, bad_param("photo", None, "photo is required")),
    "photo null": ("POST /v1/face", {"json_body": {"photo": None}}, bad_param("photo", None, "photo is required")),
    "photo a number": ("POST /v1/face", {"json_body": {"photo": 5}}, bad_param("photo", 5, "photo must be text")),
    "second photo missing": ("POST /v1/verify", {"parts": {"photo1": GOOD}},
                             bad_param("photo2", None, "photo2 is required")),
    "empty file": ("POST /v1/face", {"parts": {"photo": b""}},
                   bad_param("photo", None, "photo is required: the file that was sent is empty")),
    "no file chosen": ("POST /v1/face", {"parts": {"photo": ""}}, bad_param("photo", None, "photo is required")),
    "name of a file": ("POST /v1/face", {"parts": {"photo": "sam smith.JPG"}},
                       bad_image("The photo is the name of a file instead of the file "
                                 "(curl sends the file by -F photo=@FILE)")),
    "text as photo": ("POST /v1/face", {"parts": {"photo": b"hello"}}, bad_image(NO_PICTURE)),
    "truncated JPEG": ("POST /v1/face", {"parts": {"photo": picture(RED, size=(400, 400), kind="JPEG")[:3000]}},
                       bad_image("The photo is truncated or damaged")),
    "bomb": ("POST /v1/detect", {"parts": {"photo": bomb()}}, bad_image("The photo has too many pixels")),
    "too large": ("POST /v1/detect", {"parts": {"photo": encode(np.zeros((10, 7000, 3), np.uint8))}},
                  bad_image("The photo is 7000x10 pixels; the longest side may be 6000")),
    "GIF": ("POST /v1/detect", {"parts": {"photo": encode(np.zeros((64, 64, 3), np.uint8), "GIF")}},
            bad_image(NO_PICTURE)),
    "11 MB": ("POST /v1/detect", {"parts": {"photo": b"\xff\xd8" + bytes(11 << 20)}},
              bad_image("The photo is larger than 10485760 bytes")),
    "no face": ("POST /v1/face", {"parts": {"photo": picture()}},
no_faces("photo")),
    "no face to verify": ("POST /v1/verify", {"parts": {"photo1": GOOD, "photo2": picture()}}, no_faces("photo2")),
    "loopback URL": ("POST /v1/face", {"json_body": {"photo": "http://127.0.0.1/x.jpg"}},
                     bad_image("The URL leads to no address that is public")),
    "file URL": ("POST /v1/face", {"json_body": {"photo": "file:///etc/passwd"}},
                 bad_image(NOT_A_URL + "it does not begin with http:// or https://")),
    "no URL": ("POST /v1/face", {"json_body": {"photo": "sample.jpg"}},
               bad_image(NOT_A_URL + "it does not begin with http:// or https://")),
    "bad threshold": ("POST /v1/identify", {"parts": {"photo": GOOD, "threshold": "high"}},
                      bad_param("threshold", "high", THRESHOLDS)),
    "threshold 1.1": ("POST /v1/identify", {"parts": {"photo": GOOD, "threshold": "1.1"}},
                      bad_param("threshold", "1.1", THRESHOLDS)),
    "bad selector": ("POST /v1/face", {"parts": {"photo": GOOD, "mf_selector": "largest"}},
                     bad_param("mf_selector", "largest", "mf_selector must be one of reject, biggest, all")),
    "unknown gallery": ("POST /v1/face", {"parts": {"photo": GOOD, "galleries": "nowhere"}},
                        bad_param("galleries", "nowhere", "There is no gallery nowhere")),
    "bad gallery name": ("POST /v1/face", {"parts": {"photo": GOOD, "galleries": "a b"}},
                         bad_param("galleries", "a b", NAMES)),
    "bad box": ("POST /v1/face", {"parts": {"photo": GOOD, "bbox": "[1,2,3]"}}, bad_param("bbox", "[1,2,3]", BOX)),
    "box inside out": ("POST /v1/face", {"parts": {"photo": GOOD, "bbox": "[9,9,1,1]"}},
                       bad_param("bbox", "[9,9,1,1]", CORNERS)),
    "three corners": ("POST /v1/identify", {"parts": {"photo": GOOD, "x1": 1, "y1": 1, "x2": 9}},
                      bad_param("y2", None, "y2 is required with the other three corners")),
    "n below 0": ("POST /v1/identify", {"parts": {"photo": GOOD, "n": -1}},
                  bad_param("n", "-1", "n must be a whole number from 0 to 9007199254740991")),
    "bad boolean": ("POST /v1/detect", {"parts": {"photo": GOOD, "age": "maybe"}},
                    bad_param("age", "maybe", "age must be a boolean: 1, yes, true, on or 0, no, false, off")),
    "bad time": ("POST /v1/face", {"parts": {"photo": GOOD, "timestamp": "yesterday"}},
                 bad_param("timestamp", "yesterday",
                           "timestamp must be a time in ISO 8601, such as 2016-06-13T11:06:42.075000")),
    "bad camera": ("POST /v1/face", {"parts": {"photo": GOOD, "cam_id": "7/8"}},
                   bad_param("cam_id", "7/8", "cam_id must be 1 to 64 letters, digits, _, ., : or -")),
    "no person": ("POST /v1/face", {"parts": {"photo": GOOD, "person_id": 0}},
                  bad_param("person_id", "0", "person_id must be a whole number from 1 to 4503599627370495")),
    "unknown face": ("GET /v1/face/id/7", {}, (404, {"code": "NOT_FOUND", "reason": "There is no face 7"})),
    "unknown gallery to search": ("POST /v1/faces/gallery/nowhere/identify", {"parts": {"photo": GOOD}},
                                  (404, {"code": "NOT_FOUND", "reason": "There is no gallery nowhere"})),
    "gallery that exists": ("POST /v1/galleries/there", {},
                            bad_param("name", "there", "There is a gallery there already")),
    "default deleted": ("DELETE /v1/galleries/default", {},
                        bad_param("name", "default", "The gallery default cannot be deleted")),
    "unknown path": ("GET /v1/nothing", {}, (404, {"code": "NOT_FOUND", "reason": "There is nothing at this path"})),
    "wrong method": ("DELETE /v1/detect", {},
                     (405, {"code": "METHOD_NOT_ALLOWED", "reason": "DELETE is not allowed here"})),
    "array as body": ("POST /v1/face", {"json_body": [1]},
                      (400, {"code": "MALFORMED_JSON", "reason": "The JSON body must be an object"})),
}  # fmt: skip


async def contents(client):
    """Everything that the store holds of the owner, and the revision it has come to."""
    store = client.app.store
    [token] = await store.list_tokens()
    changes = await store.changes_since(0)
    return (
        await store.list_faces(token.owner, FaceFilter(), Page(1000)),
        await store.list_galleries(token.owner),
        await store.list_persons(token.owner, Page(1000)),
        await store.list_cameras(token.owner),
        (changes.faces, changes.tombstones, changes.next_rev),
    )


async def test_every_bad_request_has_its_answer_and_changes_nothing(tmp_path):
    async with serving(tmp_path) as client:
        await client("POST", "/v1/galleries/there")
        await client.enrol(meta="before", galleries="there")
        before = await contents(client)
        wrong = {}
        for name, (request, sent, expected) in CASES.items():
            method, path = request.split(" ")
            reply = await client(method, path, **sent)
            if (reply.status, reply.json) != expected:
                wrong[name] = (reply.status, reply.json)
        assert wrong == {}
        assert await contents(client) == before


BROKEN = (b"{", b'{"photo": "x",}', b'{"n": NaN}', b"{'n': 1}", b'{"n": 1} x', b"[" * 9999, b'{"a": "\x01"}',
          b"\xff{", b'{"n": 1' + b"0" * 5000 + b"}")  # fmt: skip


async def test_broken_json_is_malformed_json(tmp_path):
    async with serving(tmp_path) as client:
        for body in BROKEN:
            reply = await client("POST", "/v1/face", body=body, headers=JSON)
            said = (reply.status, reply.json["code"], sorted(reply.json))
            assert said == (400, "MALFORMED_JSON", ["code", "reason"]), body


async def test_urls_that_cannot_be_fetched_say_why(tmp_path):
    async def outcome(client, payload, pause=0.0):
        server = RawServer(payload, pause)
        reply = await client("POST", "/v0/face", json_body={"photo": server.url})
        server.stop()
        return reply.status, reply.json.get("code"), reply.json.get("reason")

    async with serving(tmp_path, fetch_allow_private=True, fetch_timeout=0.4, max_photo_bytes=5000) as client:
        before = await contents(client)
        ok = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
        assert await outcome(client, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n") == (
            400, "BAD_IMAGE", "The URL answered with status 404")  # fmt: skip
        assert await outcome(client, b"HTTP/1.1 302 Go\r\nLocation: /\r\nContent-Length: 0\r\n\r\n") == (
            400, "BAD_IMAGE", "The URL redirects; redirects are not followed")  # fmt: skip
        assert await outcome(client, ok % (4000, b"x" * 4000), pause=0.1) == (
            400, "BAD_IMAGE", "The URL did not answer within 0.4 seconds")  # fmt: skip
        assert await outcome(client, ok % (6000, b"x" * 6000)) == (
            400, "BAD_IMAGE", "The photo at the URL is larger than 5000 bytes")  # fmt: skip
        assert await outcome(client, ok % (5, b"hello")) == (400, "BAD_IMAGE", NO_PICTURE)
        assert await contents(client) == before
        server = RawServer(ok % (len(GOOD), GOOD))
        reply = await client("POST", "/v0/face", json_body={"photo": server.url})
        server.stop()
        assert reply.json["results"][0]["photo"] == server.url


async def raw(client, data: bytes) -> bytes:
    """Send bytes as they are and return all that comes back until the server closes."""
    host, port = client.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


async def test_a_body_above_the_limit_is_413_read_or_not(tmp_path):
    async with serving(tmp_path, max_body_size=20000) as client:
        kind, body = multipart({"photo": bytes(50000)})
        reply = await client("POST", "/v1/face", body=body, headers={"Content-Type": kind})
        assert (reply.status, reply.json["code"]) == (413, "TOO_LARGE")
        head = f"POST /v1/face HTTP/1.1\r\nHost: x\r\nAuthorization: Token {client.key}\r\n"
        asked = await raw(client, (head + "Expect: 100-continue\r\nContent-Length: 50000\r\n\r\n").encode())
        assert asked.startswith(b"HTTP/1.1 413 ")
        assert b"100 (Continue)" not in asked
        huge = await raw(client, (head + "Content-Length: 999999999\r\n\r\n").encode())
        assert huge.startswith(b"HTTP/1.1 413 ")
        assert b'"code":"TOO_LARGE"' in huge


async def test_a_refused_client_that_still_writes_reads_its_answer(tmp_path):
    async with serving(tmp_path) as client:
        reply = await client("POST", "/v1/face", parts={"photo": zlib.compress(bytes(9)) * 100000}, key="wrong")
        assert (reply.status, reply.json["code"]) == (401, "AUTH_FAILED")
