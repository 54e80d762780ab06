"""What all handlers share: auth and limits before the body, parameters, JSON answers, JSON errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from tornado.web import HTTPError

from facenapi.api import jsonio
from facenapi.api.operation import operation_of
from facenapi.errors import ApiError, BadParam, MethodNotAllowed, NotFound
from facenapi.handlers import cors
from facenapi.handlers.intake import OTHER, Intake
from facenapi.handlers.views import Json, face_view

if TYPE_CHECKING:
    from facenapi.handlers.server import Server
    from facenapi.storage.base import Face

log = logging.getLogger(__name__)

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
_REFUSED = ("OPTIONS", "PATCH", OTHER)  # methods that are answered 405, after their body
_MANY_ROWS = 500  # of an answer that is made beside the event loop
_LARGE = 1 << 16  # bytes of an answer that needs room


class ApiHandler(Intake):
    """The base of every handler.

    Methods are declared with :func:`facenapi.api.operation.operation`. ``self.owner`` is the owner of the
    token, ``self.version`` the API version of the path.
    """

    SUPPORTED_METHODS = (*METHODS, *_REFUSED)
    allowed: ClassVar[list[str]] = []
    reading: ClassVar[tuple[str, ...]] = ("GET", "HEAD")  # methods that change nothing
    probe: ClassVar[bool] = False  # asked again and again by machines: not worth a line in the log

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Answer HEAD wherever GET is answered."""
        super().__init_subclass__(**kwargs)
        if "get" in cls.__dict__:
            cls.head = cls.get
        cls.allowed = [name for name in METHODS if operation_of(getattr(cls, name.lower(), None))]

    def initialize(self, app: Server) -> None:
        """Take the object that owns all services."""
        super().initialize(app)
        self._running = False
        self._gone = False
        self._work: asyncio.Future[None] | None = None

    def set_default_headers(self) -> None:
        """Say JSON, and nothing of what software this is."""
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.clear_header("Server")

    def _nothing_here(self, *_: str, **__: str) -> None:
        raise self._api_error(405)

    patch = other = _nothing_here

    # -- the request ----------------------------------------------------------------------------
    async def run(self, work: Coroutine[Any, Any, None], interruptible: bool) -> None:
        """Do the work of a method; a client that hangs up ends it if it is interruptible.

        The request counts as long as there is work for it, client or no client.
        """
        self._running = True
        self._work = asyncio.ensure_future(work) if interruptible else None
        try:
            await (self._work or work)
        except asyncio.CancelledError:
            if self._work is None or not self._work.cancelled():
                raise
            log.debug("the client hung up: %s", self.request.path)
        finally:
            self._running = False
            if self._gone:
                self.place.leave()

    def on_connection_close(self) -> None:
        """Cancel what is no longer of use to anybody."""
        super().on_connection_close()
        self._gone = True
        self._forget_deadline()
        if self._work is not None:
            self._work.cancel()
        if not self._running:
            self.place.leave()

    def face_view(self, face: Face) -> Json:
        """Return the contract's Face object, as this client may use it."""
        return face_view(face, self.exchange.seen.base)

    # -- the answer -----------------------------------------------------------------------------
    def answer(self, value: Any, status: int = 200) -> None:
        """Finish with a JSON body."""
        self.answer_whole(jsonio.dumps(value), status)

    def answer_whole(self, body: str | bytes, status: int = 200) -> None:
        """Finish with a body as it is. Raises Overloaded if too much waits for clients to read."""
        if len(body) > _LARGE:  # a change that is done is never answered as if it were not
            self.place.hold_answer(len(body), needed=self.method not in self.reading)
        self.set_status(status)
        self.finish(body)

    async def answer_made(self, make: Callable[[], Any], rows: int) -> None:
        """Finish with the JSON of what ``make`` returns; many rows of it are made beside the event loop."""
        if rows < _MANY_ROWS:
            self.answer(make())
        else:
            self.answer_whole(await asyncio.to_thread(lambda: jsonio.dumps(make())))

    def say_live(self, live: int, total: int) -> None:
        """Tell how many search shards took part, and how many there are."""
        self.set_header("X-Live-Servers", f"{live}/{total}")

    def answer_nothing(self) -> None:
        """Finish with 204 and no body."""
        self.clear_header("Content-Type")
        self.set_status(204)
        self.finish()

    def finish(self, chunk: Any = None) -> Any:
        """End the answer; while the server drains, or with a body unread, the connection ends with it."""
        self._forget_deadline()
        self.set_header("X-Request-Id", self.request_id)
        for name, value in cors.answer_headers(self.app.config, self.request.headers).items():
            others = self._headers.get_list(name) if name == "Vary" else []  # what else the answer depends on
            self.set_header(name, ", ".join(dict.fromkeys([*others, value])))
        ends = self.app.draining or not self.exchange.complete
        if ends:
            self.set_header("Connection", "close")
        if self.request.headers.get("X-Timing"):
            timings = [f"{name};dur={1000 * spent:.1f}" for name, spent in self.stages.items()]
            timings.append(f"total;dur={1000 * self.request.request_time():.1f}")
            self.set_header("Server-Timing", ", ".join(timings))
        connection: Any = self.request.connection
        written = super().finish(chunk)
        written.add_done_callback(lambda _: self._written(connection if ends else None))
        return written

    def _written(self, connection: Any) -> None:
        """Make room after the last byte, for which a drain waits, and close what was said to be closed."""
        self.place.leave()
        if connection is not None:
            connection.close()

    async def options(self, **_: str) -> None:
        """Answer a browser that asks whether a page may send a request; for anybody else there is no such method."""
        if self._refusal is not None:
            raise self._refusal
        allowed = cors.preflight_headers(self.app.config, self.request.headers, self.allowed)
        if not allowed:
            raise self._api_error(405)
        for name, value in allowed.items():
            self.set_header(name, value)
        self.answer_nothing()

    def compute_etag(self) -> None:
        """Return no ETag: hashing every answer costs more than it saves."""

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:  # noqa: ARG002
        """Log what nobody expected, with its trace; the errors of clients are in the access log."""
        if not isinstance(value, ApiError | HTTPError):
            log.error("id=%s unexpected error in %s", self.request_id, type(self).__name__, exc_info=value)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an error in the contract's form."""
        _, error, _ = kwargs.get("exc_info", (None, None, None))
        _forget_frames(error)
        if not isinstance(error, ApiError):
            error = self._api_error(status_code)
        self.refused = error
        for name, value in error.headers().items():
            self.set_header(name, value)
        self.answer(error.body(self.version), error.status)

    def _api_error(self, status_code: int) -> ApiError:
        """Return what an error of Tornado's own is in the contract."""
        if self._refusal is not None:
            return self._refusal
        if status_code == 405:
            return MethodNotAllowed(self.method, self.allowed)
        if 400 <= status_code < 500:
            return BadParam("path", None, "The request cannot be read")
        return ApiError("The server made a mistake; its log has the details")


def _forget_frames(error: BaseException | None) -> None:
    """Part an error from where it was raised: in circles with it, photos would stay until Python looks for such."""
    found, parted = [error], set[int]()
    while found:
        one = found.pop()
        if one is not None and id(one) not in parted:  # one that was raised again may be its own context
            parted.add(id(one))
            one.__traceback__ = None
            found += one.__cause__, one.__context__


class NotFoundHandler(ApiHandler):
    """Every path that is nowhere in the table."""

    def _api_error(self, status_code: int) -> ApiError:
        """Return the one answer to every method."""
        del status_code
        return self._refusal or NotFound("There is nothing at this path")
