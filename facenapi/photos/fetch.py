"""Fetching photos by URL: a coroutine, bounded in time and size, that cannot be turned inwards.

The guard sits in the resolver, so the address that was checked is the address that is connected to:
odd spellings of 127.0.0.1 and names that change their address between check and use come to nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders, HTTPInputError
from tornado.iostream import UnsatisfiableReadError
from tornado.netutil import Resolver
from tornado.simple_httpclient import HTTPTimeoutError, SimpleAsyncHTTPClient

from facenapi.config.lists import proxy_of
from facenapi.errors import BadImage, Overloaded, StartupError
from facenapi.photos.targets import Targets
from facenapi.photos.urls import check_url, uri_of

_CURL_TIMEOUT, _CURL_ABORTED, _CURL_TOO_LARGE = 28, 42, 100


class ForbiddenTargetError(Exception):
    """The name leads to nothing or inwards; which it is, is not told, nor what names there are in here."""


class GuardedResolver(Resolver):
    """The system's resolver, less every address that is not allowed."""

    def initialize(self, targets: Targets, threads: int) -> None:
        """``threads``: names looked up at a time; slow ones must not keep others from their turn."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolve")
        self._targets = targets

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        """Return the addresses; raise ForbiddenTargetError if there is none, or any of them is not allowed."""
        look_up = functools.partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        try:
            entries = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        except socket.gaierror:
            raise ForbiddenTargetError(host) from None
        found = [(int(kind), address) for kind, _, _, _, address in entries]
        if not all(self._targets.allows_address(str(address[0])) for _, address in found):
            raise ForbiddenTargetError(host)
        return found

    def close(self) -> None:
        """Give up what is being looked up."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Fetcher:
    """Fetches photos. At most ``max_clients`` at a time, each within ``timeout_s`` and ``max_bytes``."""

    def __init__(
        self, timeout_s: float, max_bytes: int, max_clients: int, *, targets: Targets, proxy: str = ""
    ) -> None:
        """``proxy``: http://host:port of an HTTP proxy; raises StartupError if it cannot be used."""
        self._targets = targets
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._max_clients = max_clients
        self._running = 0
        self._closed = False
        self._proxy = _proxy_options(proxy)
        self._client: AsyncHTTPClient
        self._resolver: GuardedResolver | None = None
        if proxy:
            self._client = _proxy_client(max_clients)
        else:
            self._resolver = GuardedResolver(targets=targets, threads=max_clients)
            self._client = SimpleAsyncHTTPClient(
                force_instance=True,
                resolver=self._resolver,
                max_clients=max_clients,
                max_body_size=1 << 40,  # _Seen keeps the limit: it can tell why it stopped
                max_header_size=65536,
            )

    async def fetch(self, url: str, param: str) -> bytes:
        """Return the bytes behind a URL.

        Raises:
            BadImage: the URL is refused or does not lead to a file that we take; the reason says which.
            Overloaded: too many fetches are running.
        """
        uri = uri_of(url, param)
        check_url(uri, param, self._targets)
        if self._running >= self._max_clients:
            raise Overloaded("Too many photos are being fetched")
        return await self._fetch(uri, param)

    async def _fetch(self, url: str, param: str) -> bytes:
        seen = _Seen(self._max_bytes, stop=not self._proxy)
        request = HTTPRequest(
            url,
            connect_timeout=self._timeout_s,
            request_timeout=self._timeout_s,
            follow_redirects=False,
            decompress_response=False,
            headers=HTTPHeaders({"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "facenapi"}),
            header_callback=seen.header,
            streaming_callback=seen.chunk,
            **self._proxy,
            prepare_curl_callback=functools.partial(self._limit_curl, seen),
        )
        try:
            response = await self._answer(request, seen)
            _raise_unless_answered(response)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's server provokes in two HTTP clients
            raise BadImage(param, self._reason(error, seen), "fetch") from None
        if seen.too_large:
            raise BadImage(param, f"The photo at the URL is larger than {self._max_bytes} bytes")
        if 300 <= response.code < 400:
            raise BadImage(param, "The URL redirects; redirects are not followed")
        if response.code != 200:
            raise BadImage(param, f"The URL answered with status {response.code}")
        if seen.encoding not in ("", "identity"):
            raise BadImage(param, "The URL answered with a content encoding, which was not asked for")
        return bytes(seen.body)

    async def _answer(self, request: HTTPRequest, seen: _Seen) -> HTTPResponse:
        """Return the answer. A fetch that nobody waits for any more counts until it has come to its end."""
        fetched = self._client.fetch(request, raise_error=False)
        self._running += 1
        fetched.add_done_callback(functools.partial(self._ended, seen))
        try:
            return await asyncio.shield(fetched)  # Tornado logs the fate of a cancelled one as an error
        except asyncio.CancelledError:
            seen.give_up()
            raise

    def _ended(self, seen: _Seen, fetched: asyncio.Future[HTTPResponse]) -> None:
        self._running -= 1
        seen.close()
        if not fetched.cancelled():
            fetched.exception()

    def _reason(self, error: Exception, seen: _Seen) -> str:
        """Say why a fetch failed."""
        if isinstance(error, ForbiddenTargetError):
            return "The URL leads to no address that is public"
        errno = getattr(error, "errno", None)
        if isinstance(error, HTTPTimeoutError) or errno == _CURL_TIMEOUT:
            return f"The URL did not answer within {self._timeout_s:g} seconds"
        if seen.too_large or errno == _CURL_ABORTED:
            return f"The photo at the URL is larger than {self._max_bytes} bytes"
        if isinstance(error, UnsatisfiableReadError) or errno == _CURL_TOO_LARGE:
            return "The URL answered with a head that is too long"
        if seen.began:
            return "The answer of the URL broke off, or is no proper HTTP"
        return "The photo at the URL is not reachable"

    def _limit_curl(self, seen: _Seen, curl: Any) -> None:
        """Let curl itself end a transfer that is too large, for it hands out what it has read only later.

        While nothing comes it asks nobody: one that is unwanted loses its connection.
        """
        curl.setopt(curl.NOPROGRESS, 0)
        curl.setopt(curl.XFERINFOFUNCTION, lambda _, read, *__: int(read > self._max_bytes or seen.unwanted))
        curl.setopt(curl.OPENSOCKETFUNCTION, seen.open_socket)
        curl.setopt(curl.FORBID_REUSE, 1)  # of a connection that another fetch has opened

    def close(self) -> None:
        """Close all connections; may be called twice, which curl's client does not bear."""
        if self._closed:
            return
        self._closed = True
        self._client.close()
        if self._resolver is not None:
            self._resolver.close()


def _raise_unless_answered(response: HTTPResponse) -> None:
    """Raise what a client has kept instead of an answer; a status that is an error is an answer."""
    if response.error is not None and (response.code == 599 or not isinstance(response.error, HTTPClientError)):
        raise response.error


def _proxy_options(proxy: str) -> dict[str, Any]:
    place = proxy_of(proxy)
    return {"proxy_host": place[0], "proxy_port": place[1]} if place else {}


def _proxy_client(max_clients: int) -> AsyncHTTPClient:
    try:
        from tornado.curl_httpclient import CurlAsyncHTTPClient  # noqa: PLC0415 - pycurl is an extra
    except ImportError:
        raise StartupError("fetch_proxy needs pycurl: pip install 'facenapi[proxy]'") from None
    return CurlAsyncHTTPClient(force_instance=True, max_clients=max_clients)


class _Seen:
    """What came in of a response: the client reports every broken limit as a closed connection."""

    def __init__(self, max_bytes: int, *, stop: bool) -> None:
        """``stop``: raise at the limit, which makes the simple client close the connection."""
        self.body = bytearray()
        self.encoding = ""
        self.began = False
        self.unwanted = False  # nobody waits for it any more
        self._stop = stop
        self._max_bytes = max_bytes
        self._announced = 0
        self._sockets: list[socket.socket] = []  # which curl has duplicates of

    def open_socket(self, _: int, address: tuple[int, int, int, Any]) -> socket.socket:
        """Return a socket for curl."""
        family, kind, protocol, _ = address
        self._sockets.append(socket.socket(family, kind, protocol))
        return self._sockets[-1]

    def give_up(self) -> None:
        """Nobody waits for it any more."""
        self.unwanted = True
        for one in self._sockets:
            with contextlib.suppress(OSError):  # it is not connected yet, or no more
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the sockets."""
        for one in self._sockets:
            one.close()

    @property
    def too_large(self) -> bool:
        return max(self._announced, len(self.body)) > self._max_bytes

    def header(self, line: str) -> None:
        self.began = True
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-encoding":
            self.encoding = value.strip().lower()
        match = re.fullmatch(r"content-length:\s*(\d{1,18})\s*", line, re.IGNORECASE)
        if match:
            self._announced = int(match[1])
            self._stop_if_too_large()

    def chunk(self, data: bytes) -> None:
        self.body += data
        self._stop_if_too_large()

    def _stop_if_too_large(self) -> None:
        if self._stop and (self.too_large or self.unwanted):
            raise HTTPInputError("the photo is too large, or of no use any more")
