"""The networks behind the ``Detector`` protocol: loading, threads, and one method per use."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.detector.base import Attributes, Detection, Quality
from facenapi.detector.describe.attributes import describe
from facenapi.detector.describe.quality import assess
from facenapi.detector.load import Loader
from facenapi.detector.packs.pack import load_pack
from facenapi.detector.run.device import Device, FellBackError, choose_device, cpu_instead, unusable
from facenapi.detector.run.engine import Engine
from facenapi.process.workers import Workers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.config.options import Config
    from facenapi.geometry import Box
    from facenapi.photos.photo import Photo


_STEP, _GPU_STEP = 4, 32  # faces: with their mirror images a batch that fills the processor


class FaceDetector:
    """Implements :class:`facenapi.detector.base.Detector` with the networks of a model pack."""

    def __init__(self, config: Config, observe: Callable[[str, int], None] | None = None) -> None:
        """Read the pack's manifest; the networks themselves are loaded by :meth:`start`.

        ``observe`` is told the network and the rows of every batch, from any thread.

        Raises:
            StartupError: no pack, or a damaged manifest.
        """
        self._config = config
        self._observe = observe
        self._pack = load_pack(config.pack_folder)
        self.embedding_name = self._pack.name_of(config.embedding_views)
        self.dimension = self._pack.embedder.dimension
        calibration = self._pack.embedder.calibrations[config.embedding_views]
        self.confidence, self.similarity = calibration.confidence, calibration.similarity
        threads = config.threads or len(os.sched_getaffinity(0))
        # Two doors: work that has begun never waits behind new photos, nor is it refused for their sake.
        self._detecting = Workers("detect", threads, threads + config.inference_queue)
        self._describing = Workers("describe", threads, threads + 2 * config.inference_queue)
        self._threads = threads
        self._engines: dict[str, Engine] = {}
        self._step = _STEP

    async def start(self) -> None:
        """Load and warm up the networks.

        Raises:
            StartupError: the runtime or a network is missing or damaged; says which command to run.
        """
        await self._detecting.run(self._load)

    async def close(self) -> None:
        """Finish what runs, drop what waits, free the networks."""
        await asyncio.to_thread(self._detecting.close)
        await asyncio.to_thread(self._describing.close)
        self._engines.clear()

    async def detect(self, photo: Photo) -> list[Detection]:
        """Return the faces, largest box first."""
        return (await self._detecting.run(self._finder.find, photo))[: self._config.max_faces]

    async def locate(self, photo: Photo, box: Box) -> Detection | None:
        """Return the face in a box that the caller drew and in which :meth:`detect` saw none; None for nothing."""
        return await self._describing.run(self._finder.locate, photo, box)

    async def embed(self, photo: Photo, faces: Sequence[Detection]) -> NDArray[np.float32]:
        """Return one unit vector per face, (N, dimension)."""
        if not faces:
            return np.empty((0, self.dimension), np.float32)
        return np.concatenate([
            await self._describing.run(self._embedder.vectors, photo, some) for some in self._steps(faces)
        ])  # fmt: skip

    async def attributes(self, photo: Photo, faces: Sequence[Detection], wanted: frozenset[str]) -> list[Attributes]:
        """Return what is wanted (of "age", "gender", "emotions") for each face."""
        steps = [
            await self._describing.run(describe, self._readers, photo, some, wanted) for some in self._steps(faces)
        ]
        return [told for step in steps for told in step]

    async def quality(self, photo: Photo, faces: Sequence[Detection]) -> list[Quality]:
        """Return how well each face can be recognised."""
        steps = [await self._describing.run(_assess, photo, some) for some in self._steps(faces)]
        return [quality for step in steps for quality in step]

    async def let_go(self) -> None:
        """Give memory back that was taken for more work than there is now."""
        for engine in self._engines.values():
            await asyncio.to_thread(engine.let_go)

    def _steps(self, faces: Sequence[Detection]) -> Iterator[Sequence[Detection]]:
        """Yield a few faces at a time: one request's many must not keep others from their turn.

        Whoever has more comes back at the end of the queue.
        """
        return (faces[at : at + self._step] for at in range(0, len(faces), self._step))

    def info(self) -> dict[str, Any]:
        """Return pack, embedding, provider and queue depths for health and metrics."""
        return {
            "pack": self._pack.name,
            "version": self._pack.version,
            "embedding": self.embedding_name,
            "provider": next((engine.provider for engine in self._engines.values()), None),
            "busy": {"detect": self._detecting.busy, "describe": self._describing.busy},
            "queues": {name: engine.depth for name, engine in self._engines.items()},
        }

    def _load(self) -> None:
        config = self._config
        device = choose_device(config.device, self._threads, config.gpu_memory << 20, config.engine_cache)
        try:
            self._load_on(device)
        except FellBackError as error:
            if config.device != "auto":
                raise
            self._load_on(cpu_instead(self._threads, error))

    def _load_on(self, device: Device) -> None:
        self._step = _GPU_STEP if device.on_gpu else _STEP
        loader = Loader(self._pack, self._config, device, self._observe)
        self._finder, self._embedder, self._readers = loader.finder(), loader.embedder(), loader.readers()
        self._engines = loader.engines
        try:
            for engine in self._engines.values():
                engine.warm_up()
        except Exception as error:  # whatever CUDA's libraries raise where they do not fit this GPU
            if not device.on_gpu:
                raise
            raise unusable(device, error) from error


def _assess(photo: Photo, faces: Sequence[Detection]) -> list[Quality]:
    return [assess(photo, face) for face in faces]
