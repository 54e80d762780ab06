"""What all handlers share: auth and limits before the body, parameters, JSON answers, JSON errors."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from tornado.web import HTTPError, RequestHandler, stream_request_body

from facenapi.api import jsonio
from facenapi.api.operation import operation_of
from facenapi.api.request import Parameters, read_parameters
from facenapi.errors import ApiError, BadParam, MethodNotAllowed, NotFound, TooLarge
from facenapi.process import stages
from facenapi.process.listener import LINGER_FACTOR

if TYPE_CHECKING:
    from facenapi.handlers.server import Server

log = logging.getLogger(__name__)

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
_REFUSED = ("OPTIONS", "PATCH")  # methods that are answered 405, after their body
TEXT_LIMIT = 1 << 20  # bytes of a JSON or urlencoded body


@stream_request_body
class ApiHandler(RequestHandler):
    """The base of every handler.

    Methods are declared with :func:`facenapi.api.operation.operation`. ``self.owner`` is the owner of the
    token, ``self.version`` the API version of the path.
    """

    SUPPORTED_METHODS = (*METHODS, *_REFUSED)
    allowed: ClassVar[list[str]] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Answer HEAD wherever GET is answered."""
        super().__init_subclass__(**kwargs)
        if "get" in cls.__dict__:
            cls.head = cls.get
        cls.allowed = [name for name in METHODS if operation_of(getattr(cls, name.lower(), None))]

    def initialize(self, app: Server) -> None:
        """Take the object that owns all services."""
        self.app = app
        self.owner = ""
        self.stages: dict[str, float] = {}
        asked = self.request.headers.get("X-Request-Id", "")
        self.request_id = asked if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", asked) else secrets.token_hex(8)
        self.version = 0
        self._chunks: list[bytes] = []
        self._received = 0
        self._limit = 0  # bytes of a body that are kept
        self._refusal: ApiError | None = None
        self._early = False
        self._counted = False
        self._running = False
        self._gone = False
        self._work: asyncio.Future[None] | None = None

    def set_default_headers(self) -> None:
        """Say JSON, and nothing of what software this is."""
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.clear_header("Server")

    # -- before the body ------------------------------------------------------------------------
    async def prepare(self) -> None:
        """Authenticate and check limits. Runs before the body is read.

        A refusal waits until the body has been read and thrown away: a client that is answered while it
        still writes sees a broken pipe instead of the answer. Only a client that asked first
        (``Expect: 100-continue``) and one with far too much to say are answered at once.
        """
        self.stages = stages.begin()
        self.version = int(self.path_kwargs.pop("version", None) or 0)
        try:
            await self._admit()
        except ApiError as error:
            self._refuse(error)
            if self._body_must_not_come():
                self._early = True
                raise

    async def _admit(self) -> None:
        declared = operation_of(getattr(self, (self.request.method or "").lower(), None))
        connection: Any = self.request.connection
        connection.set_max_body_size(self.app.config.max_body_size * LINGER_FACTOR)
        if declared is not None and declared.public:
            return  # a full server still tells how it is
        # In this order: who has no token takes up neither a place nor memory.
        self.owner = await self.app.auth.owner(self.request.headers.get("Authorization"))
        self._counted = True
        self.app.requests.enter()
        if declared is not None and declared.takes_photos:
            self.app.photos.check_room()
        self._limit = self._body_limit() if declared is not None else 0
        if self._limit and self._announced_length() > self._limit:
            raise self._too_large()

    def _refuse(self, error: ApiError) -> None:
        """Note the answer that waits for the end of the body, and make room at once."""
        self._refusal = error
        self._chunks.clear()
        self._leave()

    def _body_limit(self) -> int:
        """Return how large a body may be. Only multipart bodies hold photos; parsing text blocks the loop."""
        most = self.app.config.max_body_size
        kind = self.request.headers.get("Content-Type", "").lower()
        return most if kind.startswith("multipart/") else min(most, TEXT_LIMIT)

    def _announced_length(self) -> int:
        announced = self.request.headers.get("Content-Length", "")
        return int(announced) if re.fullmatch(r"[0-9]{1,18}", announced) else 0

    def _body_must_not_come(self) -> bool:
        asked = self.request.headers.get("Expect", "").lower() == "100-continue"
        return asked or self._announced_length() > self.app.config.max_body_size * LINGER_FACTOR

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is larger than {self._limit} bytes")

    def data_received(self, chunk: bytes) -> None:
        """Collect the body, up to the limit; throw away what nobody will read."""
        if self._refusal is not None or not self._limit:
            return
        self._chunks.append(chunk)
        self._received += len(chunk)
        if self._received > self._limit:
            self._refuse(self._too_large())

    # -- the request ----------------------------------------------------------------------------
    @cached_property
    def parameters(self) -> Parameters:
        """The parameters of body and query. Raises BadParam, MalformedJson, and what :meth:`prepare` put off."""
        if self._refusal is not None:
            raise self._refusal
        return read_parameters(self.request.headers, self.request.query, b"".join(self._chunks))

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
                self._leave()

    def on_connection_close(self) -> None:
        """Cancel what is no longer of use to anybody."""
        super().on_connection_close()
        self._gone = True
        self._chunks.clear()
        if self._work is not None:
            self._work.cancel()
        if not self._running:
            self._leave()

    def _leave(self) -> None:
        if self._counted:
            self._counted = False
            self.app.requests.leave()

    # -- the answer -----------------------------------------------------------------------------
    def answer(self, value: Any, status: int = 200) -> None:
        """Finish with a JSON body."""
        self.answer_text(jsonio.dumps(value), status)

    def answer_text(self, text: str | bytes, status: int = 200) -> None:
        """Finish with a body that is JSON already."""
        self.set_status(status)
        self.finish(text)

    def answer_nothing(self) -> None:
        """Finish with 204 and no body."""
        self.clear_header("Content-Type")
        self.set_status(204)
        self.finish()

    def finish(self, chunk: Any = None) -> Any:
        """End the answer; while the server drains, or with a body unread, the connection ends with it."""
        self.set_header("X-Request-Id", self.request_id)
        if self.app.draining or self._early:
            self.set_header("Connection", "close")
        if self.request.headers.get("X-Timing"):
            timings = [f"{name};dur={1000 * spent:.1f}" for name, spent in self.stages.items()]
            timings.append(f"total;dur={1000 * self.request.request_time():.1f}")
            self.set_header("Server-Timing", ", ".join(timings))
        written = super().finish(chunk)
        written.add_done_callback(lambda _: self._leave())  # a drain waits for the last byte
        return written

    def compute_etag(self) -> None:
        """Return no ETag: hashing every answer costs more than it saves."""

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:  # noqa: ARG002
        """Log what nobody expected, with its trace; the errors of clients are in the access log."""
        if not isinstance(value, ApiError | HTTPError):
            log.error("id=%s unexpected error in %s", self.request_id, type(self).__name__, exc_info=value)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an error in the contract's form."""
        _, error, _ = kwargs.get("exc_info", (None, None, None))
        if not isinstance(error, ApiError):
            error = self._api_error(status_code)
        for name, value in error.headers().items():
            self.set_header(name, value)
        self.answer(error.body(self.version), error.status)

    def _api_error(self, status_code: int) -> ApiError:
        """Return what an error of Tornado's own is in the contract."""
        if self._refusal is not None:
            return self._refusal
        if status_code == 405:
            return MethodNotAllowed(self.request.method or "", self.allowed)
        if 400 <= status_code < 500:
            return BadParam("path", None, "The request cannot be read")
        return ApiError("The server made a mistake; its log has the details")


class NotFoundHandler(ApiHandler):
    """Every path that is nowhere in the table."""

    def _api_error(self, status_code: int) -> ApiError:
        """Return the one answer to every method."""
        del status_code
        return self._refusal or NotFound("There is nothing at this path")
