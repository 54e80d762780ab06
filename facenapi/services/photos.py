"""Getting photos: uploaded or fetched, checked and decoded, all within limits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from facenapi.config.lists import hosts_of, networks_of, ports_of
from facenapi.errors import BadImage, Overloaded
from facenapi.photos.fetch import Fetcher
from facenapi.photos.photo import Photo
from facenapi.photos.targets import Targets
from facenapi.process.stages import stage
from facenapi.process.workers import Workers

if TYPE_CHECKING:
    from facenapi.api.kinds import PhotoSource
    from facenapi.config.options import Config


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
        self._workers = Workers("decode", threads, config.max_decode_jobs)
        # Pixels are what costs memory: only so many photos are open at a time, the others wait as files.
        self._slots = asyncio.Semaphore(config.open_photos or 2 * threads + 2)
        self.busy = 0

    def check_room(self) -> None:
        """Raise Overloaded if too many photos wait already: better asked before one more is received."""
        if self.busy >= self._config.max_decode_jobs:
            raise Overloaded("Too many photos are waiting")

    @asynccontextmanager
    async def open(self, source: PhotoSource) -> AsyncIterator[Photo]:
        """Decode the photo for as long as the context lasts.

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
            with stage("queue"):
                await self._slots.acquire()
            try:
                with stage("decode"):
                    photo = await self._workers.run(
                        Photo, data, source.param, self._config.max_size, self._config.detect_size
                    )
                yield photo
            finally:
                self._slots.release()
        finally:
            self.busy -= 1

    def close(self) -> None:
        """Stop fetching and decoding."""
        self._fetcher.close()
        self._workers.close()
