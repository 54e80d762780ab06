"""Getting photos: uploaded or fetched, checked and decoded, all within limits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from facenapi.config.lists import hosts_of, networks_of, ports_of
from facenapi.errors import BadImage, Overloaded
from facenapi.photos.fetch import Fetcher
from facenapi.photos.formats.known import pixels_of
from facenapi.photos.photo import Photo
from facenapi.photos.pool import DecodePool
from facenapi.photos.targets import Targets
from facenapi.process.places import Places
from facenapi.process.stages import stage
from facenapi.process.workers import Workers

if TYPE_CHECKING:
    from facenapi.api.kinds import PhotoSource
    from facenapi.config.options import Config


_LARGE = 4_000_000  # pixels


class PhotoLoader:
    """Turns what the client sent into a :class:`Photo`. ``busy``: how many are open or wait for it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._fetcher = Fetcher(
            config.fetch_timeout,
            config.max_photo_bytes,
            config.fetch_max_clients,
            targets=Targets(
                ports_of(config.fetch_ports),
                hosts_of(config.fetch_hosts),
                networks_of(config.fetch_networks),
                config.fetch_allow_private,
            ),
            proxy=config.fetch_proxy,
        )
        threads = config.threads or os.cpu_count() or 1
        # Pixels are what costs memory: only so many photos are open at a time, the others wait as files.
        most = config.open_photos or 2 * threads + 2
        self._open = Places(most)
        self._heavy = Places(threads)
        self._pool = DecodePool(threads, config.decode_timeout)
        self._workers = Workers("decode", most + 1, config.max_decode_jobs)  # which wait for a child of the pool
        self.busy = 0

    async def start(self) -> None:
        """Start decoding, so that the first photo does not wait for it."""
        await self._workers.run(self._pool.start)

    @property
    def deaths(self) -> int:
        """How many decoders had to be replaced."""
        return self._pool.deaths

    def check_room(self) -> None:
        """Raise Overloaded if too many photos wait already: better asked before one more is received."""
        if self.busy >= self._config.max_decode_jobs:
            raise Overloaded("Too many photos are waiting")

    @asynccontextmanager
    async def open(self, source: PhotoSource, owner: str, *, many: bool = False) -> AsyncIterator[Photo]:
        """Decode the photo, within the share of its owner, for as long as the context lasts.

        ``many``: its faces may be many. Such photos, and large ones, get as many places as there are processors; a
        small one is never behind more of them.

        Raises:
            BadImage: it cannot be had, or is not a picture that we take.
            Overloaded: too many are being fetched, or wait for their turn.
        """
        data = source.data
        if data is None:
            with stage("fetch"):
                data = await self._fetcher.fetch(source.url, source.param)
        limit = self._config.max_photo_bytes
        if len(data) > limit:
            raise BadImage(source.param, f"The photo is larger than {limit} bytes")
        self.check_room()
        self.busy += 1
        try:
            async with AsyncExitStack() as stack:
                with stage("queue"):
                    if many or pixels_of(data) > _LARGE:
                        await stack.enter_async_context(self._heavy.held_async(owner))
                    await stack.enter_async_context(self._open.held_async(owner))
                with stage("decode"):
                    photo = await self._decode(data, source.param, owner)
                stack.callback(photo.close)
                yield photo
        finally:
            self.busy -= 1

    async def _decode(self, data: bytes, param: str, owner: str) -> Photo:
        """Return the photo. A client that hangs up keeps its place until the work that it made has ended."""
        decode = partial(self._pool.decode, owner)
        max_size, side = self._config.max_size, self._config.detect_size
        work = asyncio.ensure_future(self._workers.run(Photo, data, param, max_size, side, decode))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work})
            if work.exception() is None:
                work.result().close()
            raise

    def let_go(self) -> None:
        """Give memory back that was taken for more photos than there are now; blocks for milliseconds."""
        self._pool.let_go()

    def close(self) -> None:
        """Stop fetching and decoding, whatever is being decoded."""
        self._fetcher.close()
        self._heavy.close()
        self._open.close()
        self._pool.close()
        self._workers.close()
