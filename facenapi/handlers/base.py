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

from facenapi import jsonio, stages
from facenapi.errors import ApiError, BadParam, MethodNotAllowed, NotFound, TooLarge
from facenapi.operation import operation_of
from facenapi.request import Parameters, read_parameters

if TYPE_CHECKING:
    from facenapi.app import Application

log = logging.getLogger(__name__)

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
_REFUSED = ("OPTIONS", "PATCH")  # methods that are answered 405, after their body
# A body somewhat too large is read and thrown away, so that the client gets to read the answer.
LINGER_FACTOR = 8


@stream_request_body
class ApiHandler(RequestHandler):
    """The base of every handler.

    Methods are declared with :func:`facenapi.operation.operation`. ``self.owner`` is the owner of the
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

    def initialize(self, app: Application) -> None:
        """Take the object that owns all services."""
        self.app = app
        self.owner = ""
        self.stages: dict[str, float] = {}
        asked = self.request.headers.get("X-Request-Id", "")
        self.request_id = asked if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", asked) else secrets.token_hex(8)
        self.version = 0
        self._chunks: list[bytes] = []
        self._received = 0
        self._refusal: ApiError | None = None
        self._early = False
        self._counted = False
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
            if self._body_must_not_come():
                self._early = True
                raise
            self._refusal = error

    async def _admit(self) -> None:
        declared = operation_of(getattr(self, (self.request.method or "").lower(), None))
        if declared is not None and declared.public:
            return  # a full server still tells how it is
        self._counted = True
        self.app.requests.enter()
        limit = self.app.config.max_body_size
        connection: Any = self.request.connection
        connection.set_max_body_size(limit * LINGER_FACTOR)
        if self._announced_length() > limit:
            raise self._too_large()
        if declared is not None:
            self.owner = await self.app.auth.owner(self.request.headers.get("Authorization"))

    def _announced_length(self) -> int:
        announced = self.request.headers.get("Content-Length", "")
        return int(announced) if announced.isdigit() else 0

    def _body_must_not_come(self) -> bool:
        asked = self.request.headers.get("Expect", "").lower() == "100-continue"
        return asked or self._announced_length() > self.app.config.max_body_size * LINGER_FACTOR

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is larger than {self.app.config.max_body_size} bytes")

    def data_received(self, chunk: bytes) -> None:
        """Collect the body, up to the limit."""
        if self._refusal is None:
            self._chunks.append(chunk)
            self._received += len(chunk)
            if self._received > self.app.config.max_body_size:
                self._refusal = self._too_large()
        else:
            self._chunks.clear()

    # -- the request ----------------------------------------------------------------------------
    @cached_property
    def parameters(self) -> Parameters:
        """The parameters of body and query. Raises BadParam, MalformedJson, and what :meth:`prepare` put off."""
        if self._refusal is not None:
            raise self._refusal
        return read_parameters(self.request.headers, self.request.query, b"".join(self._chunks))

    async def run(self, work: Coroutine[Any, Any, None], interruptible: bool) -> None:
        """Do the work of a method; a client that hangs up ends it if it is interruptible."""
        if not interruptible:
            await work
            return
        self._work = asyncio.ensure_future(work)
        try:
            await self._work
        except asyncio.CancelledError:
            if not self._work.cancelled():
                raise
            log.debug("the client hung up: %s", self.request.path)

    def on_connection_close(self) -> None:
        """Cancel what is no longer of use to anybody."""
        if self._work is not None:
            self._work.cancel()
        self._leave()

    def on_finish(self) -> None:
        """Make room for another request."""
        self._leave()

    def _leave(self) -> None:
        if self._counted:
            self._counted = False
            self.app.requests.leave()

    # -- the answer -----------------------------------------------------------------------------
    def answer(self, value: Any, status: int = 200) -> None:
        """Finish with a JSON body."""
        self.set_status(status)
        self.finish(jsonio.dumps(value))

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
        return super().finish(chunk)

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
        return NotFound("There is nothing at this path")
