"""What goes over the wire and what its answer means, without sending anything: the transports do that.

What is tried again: what was surely not done (no connection, OVERLOADED, too many requests), and, if doing it
twice does no harm, what nobody knows about (the connection broke, no answer in time, 408, 502, 503, 504). Adding
a face twice would make two. The server's Retry-After counts; beyond it the pauses double, and are drawn by lot
so that many clients do not come back together.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from .errors import CODES, ApiError, FacenapiError, NoAnswer, Overloaded
from .photos import Photo, content

T = TypeVar("T")
Json = dict[str, Any]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0
_MOST_PATIENCE_S = 60.0  # a server that wants more than this is left to the caller
_PASSING = frozenset({408, 502, 503, 504})
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def body_of(body: Any, headers: Mapping[str, str]) -> Any:
    """The usual reader: the answer's JSON as it is."""
    del headers
    return body


def segment(text: str) -> str:
    """Return a piece of a path; one of dots alone would be resolved away on the way if it were not encoded.

    >>> segment("a/b"), segment("..")
    ('a%2Fb', '%2E%2E')
    """
    return quote(text, safe="") if text.strip(".") else "%2E" * len(text)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list, and the ``max_id`` of the next one if there is any."""

    items: list[T]
    next_max_id: str | None


def page_of(body: Any, headers: Mapping[str, str]) -> Page[Any]:
    """Read a page. Only the bound is taken from its link, whose path may be that of a proxy."""
    del headers
    link = body.get("next_page")
    return Page(body["results"], parse_qs(urlsplit(link).query)["max_id"][0] if link else None)


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """One call of the API. ``repeatable``: whether doing it twice does no harm. Fields that are None are absent."""

    method: str
    path: str
    fields: Json = field(default_factory=dict)
    photos: dict[str, Photo] = field(default_factory=dict)
    read: Callable[[Any, Mapping[str, str]], T] = body_of
    repeatable: bool = True

    def arguments(self) -> Json:
        """Return the arguments of httpx's request(). Reads and encodes the photos: this may take a moment.

        Raises OSError, TypeError, ValueError for a photo that is none.
        """
        fields = {name: value for name, value in self.fields.items() if value is not None}
        sources = {name: content(photo) for name, photo in self.photos.items()}
        files = {name: ("photo", data) for name, data in sources.items() if isinstance(data, bytes)}
        fields |= {name: url for name, url in sources.items() if isinstance(url, str)}
        call: Json = {"method": self.method, "url": self.path}
        if self.method in ("GET", "DELETE"):
            return call | {"params": _texts(fields)}
        return call | ({"data": _texts(fields), "files": files} if files else {"json": fields})

    def following(self, page: Page[Any]) -> Request[T] | None:
        """Return the request for the page after this one."""
        if page.next_max_id is None:
            return None
        return replace(self, fields=self.fields | {"max_id": page.next_max_id, "min_id": None})


def _texts(fields: Json) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}


class Tries(Generic[T]):
    """A request on its way through as many tries as it needs. After each, :meth:`take` is told how it went."""

    result: T

    def __init__(self, request: Request[T], retries: int) -> None:
        self._request, self._left, self._pause_s = request, retries, _FIRST_PAUSE_S
        self._doubtful = False

    def take(self, outcome: httpx.Response | httpx.RequestError) -> float | None:
        """Return the seconds until the next try; None if :attr:`result` is there.

        Raises ApiError or NoAnswer if that was the last word.
        """
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            self.result = self._request.read(_decoded(outcome), outcome.headers)
            return None
        error = _refusal(outcome) if isinstance(outcome, httpx.Response) else _silence(outcome)
        if self._doubtful and self._request.method == "DELETE" and getattr(error, "status", 0) == 404:
            self.result = self._request.read(None, {})  # it was done by the try of which nothing was heard
            return None
        undone = isinstance(error, Overloaded) or getattr(error, "status", 0) == 429 or _unsent(error)
        passing = isinstance(error, NoAnswer) or getattr(error, "status", 0) in _PASSING
        wait = getattr(error, "retry_after", None) or 0.0
        if not (undone or (passing and self._request.repeatable)) or not self._left or wait > _MOST_PATIENCE_S:
            raise error from (outcome if isinstance(outcome, Exception) else None)
        self._left -= 1
        self._doubtful |= not undone
        pause = max(wait, self._pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return pause


def _unsent(error: FacenapiError) -> bool:
    return isinstance(error, NoAnswer) and not error.sent


def _silence(error: httpx.RequestError) -> NoAnswer:
    request = error.request
    what = str(error) or type(error).__name__
    return NoAnswer(f"{request.url.scheme}://{request.url.netloc.decode()} does not answer: {what}",
                    sent=not isinstance(error, _NOT_SENT))  # fmt: skip


def _refusal(response: httpx.Response) -> ApiError:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):  # a proxy's, say
        body = {"reason": response.reason_phrase or "no reason given"}
    wait = response.headers.get("Retry-After", "")
    return CODES.get(str(body.get("code")), ApiError)(
        response.status_code,
        body,
        retry_after=float(wait) if wait.isdecimal() else None,
        request_id=response.headers.get("X-Request-Id", ""),
    )


def _decoded(response: httpx.Response) -> Any:
    if response.status_code == 204:
        return None
    try:
        return response.json()
    except ValueError as error:
        raise FacenapiError(f"{response.url.host} does not answer as a facenapi server does") from error
