"""Paging on the wire: ``limit``, ``max_id``, ``min_id``, and links to the neighbours of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from facenapi.api import jsonio
from facenapi.api.params import LARGEST_ID, Param, integer
from facenapi.api.request import Texts, Upload
from facenapi.handlers.base import ApiHandler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from facenapi.handlers.views import Json
    from facenapi.services.paging import Window

DEFAULT_LIMIT = 100
MOST = 1000

LIMIT = Param("limit", integer(1, MOST), "Entries per page", default=DEFAULT_LIMIT)
MAX_ID = Param("max_id", integer(0, LARGEST_ID), "Only entries with a smaller id")
MIN_ID = Param("min_id", integer(0, LARGEST_ID), "Only entries with a larger id: the page before")
PAGING = (LIMIT, MAX_ID, MIN_ID)
_BOUNDS = ("max_id", "min_id")


class PageHandler(ApiHandler):
    """Answers pages of lists that know their neighbours on both sides."""

    def answer_page(self, views: Iterable[Json], page: Window[Any]) -> None:
        """Finish with the results of a page and with links to its neighbours."""
        self.answer(
            {
                "next_page": link(self, max_id=page.next_max_id),
                "prev_page": link(self, min_id=page.prev_min_id),
                "results": list(views),
            }
        )


def link(handler: ApiHandler, **bound: int | None) -> str | None:
    """Return path and query of a neighbouring page, None if there is none.

    It is the request's own path and query with the bound replaced. A parameter of the method that came in a body
    moves into the query, so that it survives; what else is in the body nobody has looked at, and it stays there.
    """
    [(name, value)] = bound.items()
    parameters = handler.parameters
    if value is None or handler.declared is None:
        return None
    known = {param.name: param.kind for param in handler.declared.params}
    pairs: list[tuple[str, bytes]] = []
    for key in dict.fromkeys((*parameters.query, *(key for key in known if key in parameters.body))):
        raw = parameters.raw(key, json=known[key].json) if key in known else parameters.query[key]
        if key not in _BOUNDS and raw is not None:
            pairs += [(key, item) for item in _texts(raw)]
    query = urlencode([*pairs, (name, str(min(value, LARGEST_ID)))], quote_via=quote, safe=":,")
    return f"{handler.exchange.seen.prefix}{handler.request.path}?{query}"


def _texts(raw: Any) -> tuple[bytes, ...]:
    """Return a value, which has been read before, as a query holds it."""
    if isinstance(raw, Texts):
        return raw.values
    if isinstance(raw, Upload):
        return (raw.data,)
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)  # a JSON 1.0 is read as 1, its text would not be
    return ((raw if isinstance(raw, str) else jsonio.dumps(raw)).encode(),)
