"""The two clients: all of the API, over httpx's blocking client and over its asynchronous one."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx

from .exchange import Page, Request, Tries
from .methods import Methods

T = TypeVar("T")

# As many connections as there are requests at a time: what is too much is for the server to say.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=20.0)


class _Settings:
    """Where the server is, who we are, and how persistent."""

    def __init__(self, url: str, token: str | None, timeout: float, retries: int, options: dict[str, Any]) -> None:
        token = os.environ.get("FACENAPI_TOKEN", "") if token is None else token
        if not (token and token.isascii() and token.isprintable()) or " " in token:
            raise ValueError("a token is needed: give it, or put it into the environment variable FACENAPI_TOKEN")
        self.retries = retries
        base = base_of(url)
        self.options: dict[str, Any] = {
            "base_url": base,
            # All requests go there: without TLS, reading all certificates of the system would be for nothing.
            "verify": base.startswith("https://"),
            "timeout": timeout,
            "limits": _LIMITS,
            **options,
            "headers": {
                "User-Agent": "facenapi-client",
                **options.get("headers", {}),
                "Authorization": f"Token {token}",
            },
        }


def base_of(url: str) -> str:
    """Return the address of the API of a server, whose own address may have a path.

    >>> base_of("localhost:8000"), base_of("https://example.com/faces/v1/")
    ('http://localhost:8000/v1', 'https://example.com/faces/v1')
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url} is not the address of a server, such as http://127.0.0.1:8000")
    _ = parts.port  # ValueError if it is none
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/v1')}/v1"


class Client(Methods):
    """The blocking client; any number of threads may use one.

    Args:
        url: the server's address.
        token: the token; None takes it from the environment variable FACENAPI_TOKEN.
        timeout: seconds to connect, and for each wait for more of the answer.
        retries: how often a request is tried again; ``exchange.py`` says which.
        options: further ones of httpx.Client: ``verify`` for an authority of your own, ``proxy``, ``headers``, …
    """

    def __init__(self, url: str = "http://127.0.0.1:8000", token: str | None = None, *, timeout: float = 60.0,
                 retries: int = 3, **options: Any) -> None:  # fmt: skip
        settings = _Settings(url, token, timeout, retries, options)
        self._retries = settings.retries
        self._http = httpx.Client(**settings.options)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def perform(self, request: Request[T]) -> T:
        """Send a request until it is settled."""
        arguments, tries = request.arguments(), Tries(request, self._retries)
        while True:
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = self._http.request(**arguments)
            except httpx.RequestError as error:
                outcome = error
            pause = tries.take(outcome)
            if pause is None:
                return tries.result
            time.sleep(pause)

    def iterate(self, request: Request[Page[T]]) -> Iterator[T]:
        """Yield the entries of all pages."""
        following: Request[Page[T]] | None = request
        while following is not None:
            page = self.perform(following)
            yield from page.items
            following = following.following(page)


class AsyncClient(Methods):
    """The asynchronous client, for asyncio and trio; arguments as in :class:`Client`."""

    def __init__(self, url: str = "http://127.0.0.1:8000", token: str | None = None, *, timeout: float = 60.0,
                 retries: int = 3, **options: Any) -> None:  # fmt: skip
        settings = _Settings(url, token, timeout, retries, options)
        self._retries = settings.retries
        self._http = httpx.AsyncClient(**settings.options)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def perform(self, request: Request[T]) -> T:
        """Send a request until it is settled; photos are read and encoded in a thread."""
        tries = Tries(request, self._retries)
        arguments = await anyio.to_thread.run_sync(request.arguments) if request.photos else request.arguments()
        while True:
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = await self._http.request(**arguments)
            except httpx.RequestError as error:
                outcome = error
            pause = tries.take(outcome)
            if pause is None:
                return tries.result
            await anyio.sleep(pause)

    async def iterate(self, request: Request[Page[T]]) -> AsyncIterator[T]:
        """Yield the entries of all pages."""
        following: Request[Page[T]] | None = request
        while following is not None:
            page = await self.perform(following)
            for item in page.items:
                yield item
            following = following.following(page)
