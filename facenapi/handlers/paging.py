"""Paging on the wire: ``limit``, ``max_id``, ``min_id``, and links to the neighbours of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from facenapi import jsonio
from facenapi.params import LARGEST_ID, Param, integer
from facenapi.request import Parameters, Texts

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

DEFAULT_LIMIT = 100
MOST = 1000

LIMIT = Param("limit", integer(1, MOST), "Entries per page", default=DEFAULT_LIMIT)
MAX_ID = Param("max_id", integer(0, LARGEST_ID), "Only entries with a smaller id")
MIN_ID = Param("min_id", integer(0, LARGEST_ID), "Only entries with a larger id: the page before")
PAGING = (LIMIT, MAX_ID, MIN_ID)


def link(request: HTTPServerRequest, parameters: Parameters, **bound: int | None) -> str | None:
    """Return path and query of a neighbouring page, None if there is none.

    It is the request's own path and query with the bound replaced. What came in a body moves into the
    query, so that a filter survives.
    """
    [(name, value)] = bound.items()
    if value is None:
        return None
    pairs: list[tuple[str, str]] = []
    for key, raw in {**parameters.query, **parameters.body}.items():
        if key in ("max_id", "min_id") or parameters.raw(key) is None:
            continue
        if isinstance(raw, Texts):
            pairs += [(key, item.decode(errors="replace")) for item in raw.values]
        elif isinstance(raw, str):
            pairs.append((key, raw))
        else:
            pairs.append((key, jsonio.dumps(raw)))
    query = urlencode([*pairs, (name, str(value))], quote_via=quote, safe=':,[]"{}')
    return f"{request.path}?{query}"
