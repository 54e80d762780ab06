"""Getting photos: uploaded or fetched, checked and decoded, all within limits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from facenapi.errors import BadImage
from facenapi.fetch import Fetcher
from facenapi.photo import Photo
from facenapi.stages import stage
from facenapi.workers import Workers

if TYPE_CHECKING:
    from facenapi.kinds import PhotoSource
    from facenapi.options import Config


class PhotoLoader:
    """Turns what the client sent into a :class:`Photo`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._fetcher = Fetcher(
            config.fetch_timeout,
            config.max_photo_bytes,
            config.fetch_max_clients,
            allow_private=config.fetch_allow_private,
            proxy=config.fetch_proxy,
        )
        self._workers = Workers("decode", config.threads or os.cpu_count() or 1, config.max_decode_jobs)

    async def load(self, source: PhotoSource) -> Photo:
        """Return the photo.

        Raises:
            BadImage: it cannot be had, or is not a picture that we take.
            Overloaded: too many are being fetched or decoded.
        """
        data = source.data
        if data is None:
            with stage("fetch"):
                data = await self._fetcher.fetch(source.url, source.param)
        limit = self._config.max_photo_bytes
        if len(data) > limit:
            raise BadImage(source.param, f"The photo is larger than {limit} bytes")
        with stage("decode"):
            return await self._workers.run(Photo, data, source.param, self._config.max_size, self._config.detect_size)

    @property
    def busy(self) -> int:
        """How many photos wait for decoding or are in it."""
        return self._workers.busy

    def close(self) -> None:
        """Stop fetching and decoding."""
        self._fetcher.close()
        self._workers.close()
