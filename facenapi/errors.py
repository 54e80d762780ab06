"""Every error a client can meet, as one family of exceptions.

An error has an HTTP status, a code in capitals for programs, a reason in a sentence for people, and
extra members for the answer's JSON. Any layer may raise one; ``handlers/base.py`` alone turns it into
an answer. Whatever is not an :class:`ApiError` reaches the client as a bare ``INTERNAL_ERROR``.
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An error with a place in the contract's table."""

    status = 500
    code = "INTERNAL_ERROR"

    def __init__(self, reason: str, **extra: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.extra = extra

    def body(self, version: int) -> dict[str, Any]:
        """Return the JSON answer for API ``version`` 0 or 1."""
        del version  # the two differ in one error only
        return {"code": self.code, "reason": self.reason, **self.extra}

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to this error."""
        return {}


class AuthFailed(ApiError):
    """No token, a wrong scheme, an unknown or an inactive token."""

    status = 401
    code = "AUTH_FAILED"

    def headers(self) -> dict[str, str]:
        """Return the challenge that RFC 9110 asks of a 401."""
        return {"WWW-Authenticate": "Token"}


class BadParam(ApiError):
    """A missing, malformed or out-of-range parameter."""

    status = 400
    code = "BAD_PARAM"

    def __init__(self, param: str, value: Any, reason: str) -> None:
        super().__init__(reason, param=param, value=value)


class MalformedJson(ApiError):
    """The body claims to be JSON and is not."""

    status = 400
    code = "MALFORMED_JSON"


class BadImage(ApiError):
    """The photo cannot be had or is not a picture that we take. ``rule``: a word for logs, never in an answer."""

    status = 400
    code = "BAD_IMAGE"

    def __init__(self, param: str, reason: str, rule: str = "") -> None:
        super().__init__(reason, param=param)
        self.rule = rule


class NoFaces(ApiError):
    """Nothing to verify, identify or enrol on the photo."""

    status = 400
    code = "NO_FACES"

    def __init__(self, param: str, reason: str = "No faces were found on the photo") -> None:
        super().__init__(reason, param=param)


class TooManyFaces(ApiError):
    """More than one face although ``mf_selector`` is ``reject``."""

    status = 400
    code = "TOO_MANY_FACES"

    def __init__(self, faces: list[dict[str, int]]) -> None:
        super().__init__(f"Too many faces: {len(faces)}", faces=faces)

    def body(self, version: int) -> dict[str, Any]:
        """Return the answer; version 0 has the status in the place of the code."""
        return {**super().body(version), "code": self.code if version else self.status}


class NotFound(ApiError):
    """No such face, gallery, person, camera or path for this owner."""

    status = 404
    code = "NOT_FOUND"


class MethodNotAllowed(ApiError):
    """The path exists, with other methods."""

    status = 405
    code = "METHOD_NOT_ALLOWED"

    def __init__(self, method: str, allowed: list[str]) -> None:
        super().__init__(f"{method} is not allowed here")
        self.allowed = allowed

    def headers(self) -> dict[str, str]:
        """Return the methods that are allowed."""
        return {"Allow": ", ".join(self.allowed)}


class TooLate(ApiError):
    """The head or the body did not come in time."""

    status = 408
    code = "TIMEOUT"


class TooLarge(ApiError):
    """The body is above the configured limit."""

    status = 413
    code = "TOO_LARGE"


class BadEncoding(ApiError):
    """The body has a content encoding that is not known."""

    status = 415
    code = "BAD_ENCODING"

    def headers(self) -> dict[str, str]:
        """Return the encodings that are known."""
        return {"Accept-Encoding": "gzip, deflate"}


class HeadTooLong(TooLarge):
    """The head of the request is above the limit."""

    status = 431


class Overloaded(ApiError):
    """A bounded queue is full (503), or this token's rate is used up (429)."""

    status = 503
    code = "OVERLOADED"

    def __init__(self, reason: str, retry_after_s: int = 1, status: int = 503) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_s = retry_after_s

    def headers(self) -> dict[str, str]:
        """Return the seconds after which a new try makes sense."""
        return {"Retry-After": str(self.retry_after_s)}


class Unavailable(ApiError):
    """The database or a search shard is down.

    ``detail``: where, and what it said. For the log and for the operator's health check, never in an answer.
    """

    status = 503
    code = "SERVICE_UNAVAILABLE"

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail

    def __str__(self) -> str:
        """Return all of it."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason

    def headers(self) -> dict[str, str]:
        """Return a short pause: most outages of a dependency are a restart."""
        return {"Retry-After": "2"}


class StartupError(Exception):
    """The server cannot start; the message is one line that says why and what to do."""
