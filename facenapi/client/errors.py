"""What can go wrong: the server's refusals, and the lack of an answer."""

from __future__ import annotations

from typing import Any


class FacenapiError(Exception):
    """Whatever this client raises of its own accord."""


class NoAnswer(FacenapiError):
    """There was no answer: the server is away, the connection broke, or it took too long.

    ``sent`` tells whether the request may have reached the server; if so, nobody knows whether it was done.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class ApiError(FacenapiError):
    """The server refused.

    Attributes:
        status: the HTTP status.
        code: what it is, in capitals, such as ``BAD_PARAM``; ``HTTP_502`` if something else than the server answered.
        reason: a sentence for people.
        param: the name of the parameter that is wrong, where there is one.
        value: what that parameter was, as the server understood it.
        faces: the boxes of the faces, if there were too many.
        retry_after: seconds after which another try makes sense; None if the server does not say.
        request_id: what the server's log has about this request is found by it.
        body: the whole answer.
    """

    def __init__(self, status: int, body: dict[str, Any], *, retry_after: float | None, request_id: str) -> None:
        self.status, self.body, self.retry_after, self.request_id = status, body, retry_after, request_id
        self.code = str(body.get("code", f"HTTP_{status}"))
        self.reason = str(body.get("reason", "no reason given"))
        self.param: str | None = body.get("param")
        self.value: Any = body.get("value")
        self.faces: list[dict[str, int]] = body.get("faces", [])
        super().__init__(f"{self.code}: {self.reason}" + (f" ({self.param})" if self.param else ""))


class AuthFailed(ApiError):
    """The token is unknown or inactive."""


class BadParam(ApiError):
    """A parameter is missing, malformed or out of range; ``param`` and ``value`` say which."""


class BadImage(ApiError):
    """The photo is no picture that the server takes, or its URL could not be fetched."""


class NoFaces(ApiError):
    """There is no face on the photo."""


class TooManyFaces(ApiError):
    """There is more than one face, and ``mf_selector`` is ``reject``; ``faces`` has their boxes."""


class NotFound(ApiError):
    """There is no such face, gallery, person or camera."""


class Overloaded(ApiError):
    """The server has too much to do, or this token asks too often. Nothing was done."""


class Unavailable(ApiError):
    """The database or a search shard is down. A face that was to be added may have been."""


CODES: dict[str, type[ApiError]] = {
    "AUTH_FAILED": AuthFailed,
    "BAD_PARAM": BadParam,
    "BAD_IMAGE": BadImage,
    "NO_FACES": NoFaces,
    "TOO_MANY_FACES": TooManyFaces,
    "NOT_FOUND": NotFound,
    "OVERLOADED": Overloaded,
    "SERVICE_UNAVAILABLE": Unavailable,
}
