"""The errors of the contract as OpenAPI responses."""

from __future__ import annotations

from typing import Any

from facenapi.handlers.views import BOX_REF, TEXT, array, record

Json = dict[str, Any]

_VALUE: Json = {"description": "what was sent: as it was, or the beginning of it as text if it is long"}
_RETRY: Json = {"Retry-After": {"required": True, "description": "Seconds", "schema": {"type": "integer"}}}
_CHALLENGE: Json = {"WWW-Authenticate": {"required": True, "description": "The scheme", "schema": {"const": "Token"}}}


# What the codes mean, in the order of their statuses.
MEANINGS = {
    "BAD_PARAM": "A parameter is missing, malformed or out of range; param names it, value is what was sent",
    "MALFORMED_JSON": "The body should be JSON and is not",
    "BAD_IMAGE": "The photo is no picture that we take, or could not be fetched; the reason says which",
    "NO_FACES": "Nothing to enrol, verify or identify was found on the photo that param names",
    "TOO_MANY_FACES": "mf_selector is reject and there is more than one face; faces are their boxes. In v0: 400",
    "AUTH_FAILED": "There is no token, or it is unknown or not active",
    "NOT_FOUND": "There is no such face, gallery, person, camera or path",
    "METHOD_NOT_ALLOWED": "The path does not take this method; the header Allow names those that it takes",
    "TIMEOUT": "The head or the body of the request did not come in time",
    "TOO_LARGE": "The body (413) or the head (431) of the request is too large",
    "BAD_ENCODING": "The content encoding of the body is neither gzip nor deflate",
    "OVERLOADED": "Too many requests of a token, or of an address without one (429), or too much is in work (503); "
    "Retry-After says when to try",
    "INTERNAL_ERROR": "The server made a mistake; its log has the details",
    "SERVICE_UNAVAILABLE": "The database or a search shard is down",
}


def _error(code: str | int, **extra: Json) -> Json:
    word = code if isinstance(code, str) else "TOO_MANY_FACES"
    title = "".join(part.capitalize() for part in word.removesuffix("_ERROR").split("_")) + "Error"
    described = {"const": code, "description": MEANINGS[word]}
    return record({"code": described, "reason": TEXT, **extra}, title=title)


def _response(text: str, *errors: Json, headers: Json | None = None) -> Json:
    schema = errors[0] if len(errors) == 1 else {"oneOf": list(errors)}
    response: Json = {"description": text, "content": {"application/json": {"schema": schema}}}
    return response | ({"headers": headers} if headers else {})


def error_responses(version: int) -> dict[str, Json]:
    """Return the response of every status that is an error; the two versions differ in TOO_MANY_FACES."""
    return {
        "400": _response(
            "The request is wrong: a parameter, the JSON, the photo or the number of faces on it",
            _error("BAD_PARAM", param=TEXT, value=_VALUE),
            _error("MALFORMED_JSON"),
            _error("BAD_IMAGE", param=TEXT),
            _error("NO_FACES", param=TEXT),
            _error("TOO_MANY_FACES" if version else 400, faces=array(BOX_REF)),
        ),
        "401": _response("No token, or not a good one", _error("AUTH_FAILED"), headers=_CHALLENGE),
        "404": _response("There is no such thing", _error("NOT_FOUND")),
        "408": _response("The request did not come in time", _error("TIMEOUT")),
        "413": _response("The body is too large", _error("TOO_LARGE")),
        "415": _response("The content encoding of the body is not known", _error("BAD_ENCODING")),
        "431": _response("The head of the request is too long", _error("TOO_LARGE")),
        "429": _response("Too many requests", _error("OVERLOADED"), headers=_RETRY),
        "500": _response("The server made a mistake", _error("INTERNAL_ERROR")),
        "503": _response(
            "Too much work is waiting, or the database or a search shard is down",
            _error("OVERLOADED"),
            _error("SERVICE_UNAVAILABLE"),
            headers=_RETRY,
        ),
    }
