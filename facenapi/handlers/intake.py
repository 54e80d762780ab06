"""What happens before a method runs: who asks, is there room, and the body, within limits of size and time."""

from __future__ import annotations

import asyncio
import re
import secrets
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tornado.web import RequestHandler, stream_request_body

from facenapi.api.encodings import Decoder, decoder_for
from facenapi.api.operation import Operation, operation_of
from facenapi.api.request import TEXT_LIMIT, Parameters, may_be_photo, read_parameters
from facenapi.errors import ApiError, AuthFailed, Overloaded, TooLarge, TooLate
from facenapi.process import stages
from facenapi.process.listener import LINGER_FACTOR, Exchange

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from facenapi.handlers.server import Server
    from facenapi.process.admission import Place

_SMALL = 1 << 16  # bytes of a body whose end is worth waiting for with a refusal, so that the connection stays
_GRACE_S = 1.0  # that a server that is full waits for it
OTHER = "OTHER"  # stands for the methods that we have never heard of


@stream_request_body
class Intake(RequestHandler):
    """Takes a request in.

    A refusal waits until the body has been read and thrown away: a client that is answered while it still writes may
    see a broken pipe instead of the answer. Only a client that asked first (``Expect: 100-continue``), one with far
    too much to say and one that finds the server full are answered at once; the connection ends with that.
    """

    def initialize(self, app: Server) -> None:
        """Take the object that owns all services."""
        self.app = app
        self.owner = ""
        self.stages: dict[str, float] = {}
        asked = self.request.headers.get("X-Request-Id", "")
        self.request_id = asked if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", asked) else secrets.token_hex(8)
        connection: Any = self.request.connection
        self.exchange: Exchange = connection.exchange
        self.method = self.request.method or ""
        if self.method not in self.SUPPORTED_METHODS:
            self.request.method = OTHER  # so that Tornado lets it pass: to the same checks, and the same refusal
        self.version = 0
        self.refused: ApiError | None = None  # what the answer says, for the log
        self.place: Place = app.requests.outside("")
        self._body = bytearray()
        self._limit = 0  # bytes of a body that are kept
        self._decoder: Decoder | None = None
        self._refusal: ApiError | None = None
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def declared(self) -> Operation | None:
        """What is declared for the method, None where it is not allowed."""
        known = self.method in self.SUPPORTED_METHODS
        return operation_of(getattr(self, self.method.lower(), None)) if known else None

    @property
    def needs_token(self) -> bool:
        """Whether the request is somebody's."""
        return self.declared is None or not self.declared.public

    # -- before the body ------------------------------------------------------------------------
    async def prepare(self) -> None:
        """Authenticate and check limits. Runs before the body is read."""
        self.stages = stages.begin()
        self.version = int(self.path_kwargs.pop("version", None) or 0)
        connection: Any = self.request.connection
        connection.set_max_body_size(self.app.config.max_body_size * LINGER_FACTOR)
        try:
            await self._admit()
        except ApiError as error:
            self._refuse(error)
            if self._body_must_not_come(error):
                connection.set_max_body_size(1 << 62)  # it is thrown away; Tornado must not add a refusal of its own
                raise
        self._set_deadline(_GRACE_S if isinstance(self._refusal, Overloaded) else self.app.config.body_timeout)

    async def _admit(self) -> None:
        declared = self.declared
        if self.method == "OPTIONS" or not self.needs_token:
            return  # a full server still tells how it is
        # In this order: who has no token takes up neither a place nor memory.
        try:
            token = await self.app.auth.token(self.request.headers.get("Authorization"))
        except AuthFailed:
            self.app.auth.take_stranger(self.exchange.seen.address)
            raise
        self.owner = token.owner
        self.app.auth.take(token)
        self.place = self.app.requests.enter(self.owner)
        if declared is None:
            return
        if declared.takes_photos:
            self.app.photos.check_room()
        self._limit = self._body_limit(declared)
        self._decoder = decoder_for(self.request.headers.get("Content-Encoding", ""))
        if self._announced_length() > self._limit:
            raise self._too_large()

    def _refuse(self, error: ApiError) -> None:
        """Note the answer that waits for the end of the body, and make room at once."""
        self._refusal = error
        self._body = bytearray()
        self.place.leave()

    def _body_limit(self, declared: Operation) -> int:
        """Return how large a body may be."""
        most = self.app.config.max_body_size
        kind = self.request.headers.get("Content-Type", "")
        large = may_be_photo(kind) if declared.takes_photos else kind.lower().startswith("multipart/")
        return most if large else min(most, TEXT_LIMIT)

    def _announced_length(self) -> int:
        announced = self.request.headers.get("Content-Length", "")
        return int(announced) if re.fullmatch(r"[0-9]{1,18}", announced) else 0

    def _body_must_not_come(self, error: ApiError) -> bool:
        asked = self.request.headers.get("Expect", "").lower() == "100-continue"
        most = _SMALL if isinstance(error, Overloaded) else self.app.config.max_body_size * LINGER_FACTOR
        return asked or self._announced_length() > most

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is larger than {self._limit} bytes")

    # -- the body ---------------------------------------------------------------------------------
    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Collect the body, up to the limit; throw away what nobody will read."""
        if self._refusal is None and self._limit:
            if self._decoder is not None:
                return self._decode(self._decoder, chunk)
            self._keep(chunk)
        return None

    async def _decode(self, decoder: Decoder, chunk: bytes) -> None:
        try:
            for piece in decoder.pieces(chunk):
                self._keep(piece)
                if self._refusal is not None:
                    return
                await asyncio.sleep(0)  # a small chunk may hold a great deal
        except ApiError as error:
            self._refuse(error)

    def _keep(self, piece: bytes) -> None:
        try:
            if len(self._body) + len(piece) > self._limit:
                raise self._too_large()
            self.place.hold_body(len(piece))
            self._body += piece
        except ApiError as error:
            self._refuse(error)
            if isinstance(error, Overloaded):
                self._set_deadline(_GRACE_S)

    def _set_deadline(self, seconds: float) -> None:
        self._forget_deadline()
        headers = self.request.headers
        if not self.exchange.complete and ("Content-Length" in headers or "Transfer-Encoding" in headers):
            self._deadline = asyncio.get_running_loop().call_later(seconds, self._late)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        """Answer a client that has not sent its body, or not to its end."""
        if self._finished or self.exchange.complete:
            return
        if self._refusal is None:
            self._refuse(TooLate(f"The body did not come within {self.app.config.body_timeout:g} seconds"))
        self.send_error(500)  # which is what write_error makes the refusal of

    @cached_property
    def parameters(self) -> Parameters:
        """The parameters of body and query. Raises BadParam, MalformedJson, and what was put off until now."""
        self._forget_deadline()
        if self._refusal is not None:
            raise self._refusal
        if self._decoder is not None:
            self._decoder.finish()
        body, self._body = self._body, bytearray()
        return read_parameters(self.request.headers, self.request.query, body)
