"""All methods of the API, written once for both clients.

A function here makes a :class:`Request`; ``call`` and ``pages`` turn it into a method that sends it: one that
blocks in a :class:`Blocking` client, one to be awaited (or iterated by ``async for``) in an :class:`Awaiting` one.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MethodType
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from .exchange import Json, Page, Request, page_of, segment
from .photos import Photo
from .results import (
    Box,
    Camera,
    Detection,
    Face,
    Identification,
    Meta,
    Offer,
    Person,
    PersonSummary,
    Sighting,
    Verification,
)

P = ParamSpec("P")
T = TypeVar("T")

# A box, or several: as objects or as (x1, y1, x2, y2).
Boxes = Box | Sequence[float] | Sequence[Box] | Sequence[Sequence[float]]
Threshold = float | Literal["strict", "medium", "low", "none"]
Selector = Literal["reject", "biggest", "all"]
# With a zone, or text: any ISO 8601, which is UTC if it names no zone.
Time = datetime | str


class Blocking(Protocol):
    """What blocks until the answer is there."""

    def perform(self, request: Request[T]) -> T:
        """Send it; return what it asks for."""

    def iterate(self, request: Request[Page[T]]) -> Iterator[T]:
        """Yield the entries of its pages, each asked for when it is needed."""


class Awaiting(Protocol):
    """What is awaited."""

    async def perform(self, request: Request[T]) -> T:
        """Send it; return what it asks for."""

    def iterate(self, request: Request[Page[T]]) -> AsyncIterator[T]:
        """Yield the entries of its pages, each asked for when it is needed."""


class _Call(Generic[P, T]):
    """A method that sends one request."""

    def __init__(self, build: Callable[Concatenate[Any, P], Request[T]]) -> None:
        @functools.wraps(build)
        def method(client: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
            return client.perform(build(client, *args, **kwargs))

        self._method = method

    @overload
    def __get__(self, client: None, owner: Any = None) -> Callable[Concatenate[Any, P], Request[T]]: ...
    @overload
    def __get__(self, client: Blocking, owner: Any = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Awaiting, owner: Any = None) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: Any = None) -> Any:
        return self._method if client is None else MethodType(self._method, client)


class _Pages(Generic[P, T]):
    """A method that yields the entries of a list, page by page."""

    def __init__(self, build: Callable[Concatenate[Any, P], Request[Page[T]]]) -> None:
        @functools.wraps(build)
        def method(client: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
            return client.iterate(build(client, *args, **kwargs))

        self._method = method

    @overload
    def __get__(self, client: None, owner: Any = None) -> Callable[Concatenate[Any, P], Request[Page[T]]]: ...
    @overload
    def __get__(self, client: Blocking, owner: Any = None) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: Awaiting, owner: Any = None) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, client: Any, owner: Any = None) -> Any:
        return self._method if client is None else MethodType(self._method, client)


class Methods:
    """The API. What is None is left to the server: its defaults are in its documentation, at /docs/v1.

    All raise ApiError with the server's refusal, NoAnswer if there is none; those with photos OSError, TypeError
    and ValueError too.
    """

    @_Call
    def detect(
        self,
        photo: Photo,
        *,
        gender: bool = False,
        age: bool = False,
        emotions: bool = False,
        quality: bool = False,
        bbox: Boxes | None = None,
    ) -> Request[Detection]:
        """Find the faces on a photo; tell what is asked for of each."""
        wanted: Json = _attributes(gender=gender, age=age, emotions=emotions, quality=quality)
        return Request("POST", "/detect", wanted | {"bbox": bbox}, {"photo": photo})

    @_Call
    def verify(
        self,
        photo1: Photo,
        photo2: Photo,
        *,
        bbox1: Boxes | None = None,
        bbox2: Boxes | None = None,
        threshold: Threshold | None = None,
        mf_selector: Selector | None = None,
    ) -> Request[Verification]:
        """Compare the faces of two photos."""
        fields = {"bbox1": bbox1, "bbox2": bbox2, "threshold": threshold, "mf_selector": mf_selector}
        return Request("POST", "/verify", fields, {"photo1": photo1, "photo2": photo2})

    @_Call
    def identify(
        self,
        photo: Photo,
        *,
        gallery: str | None = None,
        n: int | None = None,
        threshold: Threshold | None = None,
        bbox: Boxes | None = None,
        mf_selector: Selector | None = None,
        strict: bool | None = None,
    ) -> Request[Identification]:
        """Find the ``n`` stored faces (1 unless said) that are most similar to each face on a photo."""
        fields = {"n": n, "threshold": threshold, "bbox": bbox, "mf_selector": mf_selector, "strict": strict}
        path = f"/faces/gallery/{segment(gallery)}/identify" if gallery else "/identify"
        return Request("POST", path, fields, {"photo": photo}, _identification)

    # -- faces ----------------------------------------------------------------------------------
    @_Call
    def add_face(
        self,
        photo: Photo,
        *,
        meta: str | None = None,
        galleries: Sequence[str] | None = None,
        bbox: Boxes | None = None,
        mf_selector: Selector | None = None,
        cam_id: str | None = None,
        person_id: int | None = None,
        timestamp: Time | None = None,
        gender: bool = False,
        age: bool = False,
        emotions: bool = False,
        quality: bool = False,
    ) -> Request[list[Face]]:
        """Store the biggest face of a photo, or with ``mf_selector="all"`` each; return what was stored."""
        fields = _attributes(gender=gender, age=age, emotions=emotions, quality=quality) | {
            "meta": meta,
            "galleries": _list(galleries),
            "bbox": bbox,
            "mf_selector": mf_selector,
            "cam_id": cam_id,
            "person_id": person_id,
            "timestamp": _time(timestamp),
        }
        return Request("POST", "/faces", fields, {"photo": photo}, _results, repeatable=False)

    @_Call
    def face(self, face_id: int) -> Request[Face]:
        """Return a stored face."""
        return Request("GET", f"/faces/id/{face_id:d}")

    @_Call
    def edit_face(
        self,
        face_id: int,
        *,
        meta: str | None = None,
        person_id: int | None = None,
        add_galleries: Sequence[str] | None = None,
        del_galleries: Sequence[str] | None = None,
        set_galleries: Sequence[str] | None = None,
    ) -> Request[Face]:
        """Change what is given and return the face; of the three ways to change galleries one at a time."""
        edits = {"add": add_galleries, "del": del_galleries, "set": set_galleries}
        given = {verb: list(names) for verb, names in edits.items() if names is not None}
        return Request(
            "PUT", f"/faces/id/{face_id:d}", {"meta": meta, "person_id": person_id, "galleries": given or None}
        )

    @_Call
    def delete_face(self, face_id: int) -> Request[None]:
        """Delete a face; no later search finds it."""
        return Request("DELETE", f"/faces/id/{face_id:d}")

    @_Pages
    def faces(
        self,
        *,
        gallery: str | None = None,
        meta: str | None = None,
        max_id: int | None = None,
        min_id: int | None = None,
        page_size: int | None = None,
    ) -> Request[Page[Face]]:
        """Yield faces, newest first: all, those of a gallery, those with exactly this meta.

        ``max_id``: only older ones than that face; ``min_id``: begin with the page that lies just before that face.
        """
        return _page(_faces(gallery, meta), page_size, max_id, min_id)

    @_Call
    def delete_faces(self, *, meta: str, gallery: str | None = None) -> Request[None]:
        """Delete all faces with exactly this meta, those of a gallery only if one is named."""
        return Request("DELETE", _faces(gallery, meta))

    @_Pages
    def metas(
        self,
        *,
        gallery: str | None = None,
        max_id: int | None = None,
        min_id: int | None = None,
        page_size: int | None = None,
    ) -> Request[Page[Meta]]:
        """Yield the metas in use, each with its first face and the count of its faces."""
        return _page(f"/meta/gallery/{segment(gallery)}" if gallery else "/meta", page_size, max_id, min_id)

    # -- galleries ------------------------------------------------------------------------------
    @_Call
    def galleries(self) -> Request[list[str]]:
        """Return the names of the galleries."""
        return Request("GET", "/galleries", read=_results)

    @_Call
    def add_gallery(self, name: str) -> Request[None]:
        """Make a gallery. BadParam if there is one of this name."""
        return Request("POST", "/galleries", {"name": name}, read=_nothing, repeatable=False)

    @_Call
    def delete_gallery(self, name: str) -> Request[None]:
        """Delete a gallery and every face in it."""
        return Request("DELETE", f"/galleries/{segment(name)}")

    # -- persons and history --------------------------------------------------------------------
    @_Pages
    def persons(
        self, *, max_id: int | None = None, min_id: int | None = None, page_size: int | None = None
    ) -> Request[Page[PersonSummary]]:
        """Yield the persons, newest first."""
        return _page("/persons", page_size, max_id, min_id)

    @_Call
    def person(self, person_id: int) -> Request[Person]:
        """Return a person with one of the faces and their count."""
        return Request("GET", f"/person/id/{person_id:d}")

    @_Pages
    def person_faces(
        self,
        person_id: int,
        *,
        max_id: int | None = None,
        min_id: int | None = None,
        page_size: int | None = None,
    ) -> Request[Page[Face]]:
        """Yield the faces of a person, newest first."""
        return _page(f"/person/id/{person_id:d}/faces", page_size, max_id, min_id)

    @_Call
    def merge_persons(self, person_id: int, other: int) -> Request[Person]:
        """Give all faces of another person to this one, which is returned; the other is gone then."""
        # Done twice it does no harm, but the second time there is no such person any more.
        return Request("POST", f"/person/id/{person_id:d}/merge", {"other": other}, repeatable=False)

    @_Pages
    def person_history(
        self,
        person_id: int,
        *,
        cam_ids: Sequence[str] | None = None,
        start: Time | None = None,
        end: Time | None = None,
        max_id: int | None = None,
        page_size: int | None = None,
    ) -> Request[Page[Sighting]]:
        """Yield where and when a person was seen, newest first; ``start`` and ``end`` are inclusive."""
        within = {"cam_ids": _list(cam_ids), "start": _time(start), "end": _time(end)}
        fields = within | {"limit": page_size, "max_id": max_id}
        return Request("GET", f"/person/history/id/{person_id:d}", fields, read=page_of)

    @_Pages
    def history(
        self,
        *,
        person_id: int | None = None,
        cam_ids: Sequence[str] | None = None,
        start: Time | None = None,
        end: Time | None = None,
        friend: bool | None = None,
        max_id: int | None = None,
        page_size: int | None = None,
    ) -> Request[Page[Face]]:
        """Yield what the cameras saw, newest first; ``start`` and ``end`` are inclusive."""
        within = {"cam_ids": _list(cam_ids), "start": _time(start), "end": _time(end)}
        fields = within | {"person_id": person_id, "friend": friend, "limit": page_size, "max_id": max_id}
        return Request("POST", "/history/search", fields, read=page_of)

    # -- cameras --------------------------------------------------------------------------------
    @_Call
    def add_camera(
        self,
        *,
        meta: str | None = None,
        url: str | None = None,
        detector: str | None = None,
        rot: Sequence[int] | None = None,
        roi: Sequence[int] | None = None,
        enabled: bool | None = None,
    ) -> Request[Camera]:
        """Add a camera. ``rot`` and ``roi``, regions of tracking and of interest: [width, height, x, y]."""
        fields = {"meta": meta, "url": url, "detector": detector, "enabled": enabled}
        return Request("POST", "/camera", fields | {"rot": _list(rot), "roi": _list(roi)}, repeatable=False)

    @_Call
    def cameras(self, *, detector: str | None = None) -> Request[list[Camera]]:
        """Return all cameras, or those of a video detector."""
        return Request("GET", "/camera", {"detector": detector})

    @_Call
    def camera(self, cam_id: str) -> Request[Camera]:
        """Return a camera."""
        return Request("GET", f"/camera/{segment(cam_id)}")

    @_Call
    def edit_camera(
        self,
        cam_id: str,
        *,
        meta: str | None = None,
        url: str | None = None,
        detector: str | None = None,
        rot: Sequence[int] | None = None,
        roi: Sequence[int] | None = None,
        enabled: bool | None = None,
    ) -> Request[Camera]:
        """Change what is given (``""`` and ``[]`` empty a field) and return the camera."""
        fields = {"meta": meta, "url": url, "detector": detector, "enabled": enabled}
        return Request("PUT", f"/camera/{segment(cam_id)}", fields | {"rot": _list(rot), "roi": _list(roi)})

    @_Call
    def delete_camera(self, cam_id: str) -> Request[None]:
        """Delete a camera; its history stays."""
        return Request("DELETE", f"/camera/{segment(cam_id)}")

    # -- the server -----------------------------------------------------------------------------
    @_Call
    def server(self) -> Request[Offer]:
        """Return what the server offers, its limits, and what thresholds mean there."""
        return Request("GET", "/server")

    @_Call
    def openapi(self) -> Request[Json]:
        """Return the server's description of all this."""
        return Request("GET", "/docs/v1/openapi.json")


def _faces(gallery: str | None, meta: str | None) -> str:
    within = f"/gallery/{segment(gallery)}" if gallery else ""
    return f"/faces{within}" + ("" if meta is None else f"/meta/{segment(meta)}")


def _page(path: str, page_size: int | None, max_id: int | None, min_id: int | None) -> Request[Page[Any]]:
    return Request("GET", path, {"limit": page_size, "max_id": max_id, "min_id": min_id}, read=page_of)


def _attributes(**asked: bool) -> Json:
    return {name: True for name, value in asked.items() if value}


def _list(items: Sequence[T] | None) -> list[T] | None:
    if isinstance(items, str):
        raise TypeError(f"a list is needed, not the text {items!r}")
    return None if items is None else list(items)


def _time(moment: Time | None) -> str | None:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("a time needs a zone, such as datetime.now(UTC)")
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    return moment


def _results(body: Any, headers: Mapping[str, str]) -> Any:
    del headers
    return body["results"]


def _nothing(body: Any, headers: Mapping[str, str]) -> None:
    del body, headers


def _identification(body: Any, headers: Mapping[str, str]) -> Identification:
    live, _, total = headers.get("X-Live-Servers", "1/1").partition("/")
    return {
        "results": [{"box": _box(key), "matches": matches} for key, matches in body["results"].items()],
        "live_servers": int(live),
        "servers": int(total),
    }


def _box(key: str) -> Box:
    """Read a key of identify's answer.

    >>> _box("[236, 345, 311, 419]")
    {'x1': 236, 'y1': 345, 'x2': 311, 'y2': 419}
    """
    x1, y1, x2, y2 = map(int, key.strip("[]").split(","))
    return {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
