"""For schemathesis: what no schema can say, put right in the requests that should succeed.

A schema cannot say that a text is a picture, that x1 < x2, or which galleries and persons there are. Requests
that should be refused stay as they were made. Loaded by the environment variable SCHEMATHESIS_HOOKS.
"""

from __future__ import annotations

import itertools
import json
import os

import schemathesis
from hypothesis import strategies as st

from tests.support.pictures_server import serve_pictures
from tests.support.server import BLUE, RED, picture

GALLERY, PERSON = "kept", 1  # made by the test before
PICTURES = [picture(RED), picture(BLUE)]
URLS = serve_pictures(PICTURES)
BOX = [50, 20, 110, 80]
NUMBERS = itertools.count()

schemathesis.openapi.format("uri", st.sampled_from(URLS))
schemathesis.openapi.format("binary", st.sampled_from(PICTURES))


@schemathesis.hook
def before_call(context, case, kwargs):
    """Put right what the generator could not know."""
    path = case.path_parameters or {}
    if path.get("gallery") in (GALLERY, "default") and case.operation.label == "DELETE /galleries/{gallery}":
        path["gallery"] = "niceppl"  # the others need theirs
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.operation.label == "POST /person/id/{person_id}/merge":
        path["person_id"] = 999_999  # nobody can be merged with himself, or with nobody
    if case.operation.label == "POST /galleries/{gallery}":
        path["gallery"] = f"new-{os.getpid()}-{next(NUMBERS)}"
    if isinstance(case.body, dict):
        case.body = mended(case.body, json_body=case.media_type == "application/json")


def mended(body, json_body):
    """Return a body that says what can be done."""
    body = {name: value for name, value in body.items() if name not in ("x1", "y1", "x2", "y2")}
    for name in ("photo", "photo1", "photo2"):
        if name in body and body[name] not in (*URLS, *PICTURES):
            body[name] = URLS[0]
    for name in ("bbox", "bbox1", "bbox2"):
        if body.get(name):
            body[name] = ordered(body[name]) if json_body and not isinstance(body[name], str) else json.dumps(BOX)
    if body.get("person_id"):
        body["person_id"] = PERSON
    if "name" in body:
        body["name"] = f"named-{os.getpid()}-{next(NUMBERS)}"
    if body.get("galleries"):
        body["galleries"] = known(body["galleries"], json_body)
    return body


def ordered(value):
    """Return boxes with their corners in order, in the form they had."""
    if isinstance(value, dict):
        return dict(zip(("x1", "y1", "x2", "y2"), BOX, strict=True))
    if isinstance(value[0], dict | list):
        return [ordered(box) for box in value]
    return [str(number) if isinstance(given, str) else number for number, given in zip(BOX, value, strict=True)]


def known(value, json_body):
    """Return galleries that there are, in the form they had."""
    if isinstance(value, dict):
        return {verb: known(names, json_body) if names else names for verb, names in value.items()}
    if isinstance(value, str) and "{" in value:
        return json.dumps({"add": [GALLERY]})
    return GALLERY if isinstance(value, str) else [GALLERY for _ in value]
