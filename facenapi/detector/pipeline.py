"""The networks behind the ``Detector`` protocol: loading, threads, and one method per use."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.detector.attributes import READERS, AttributeReader, describe
from facenapi.detector.base import Attributes, Detection
from facenapi.detector.embedding import EmbeddingNet
from facenapi.detector.engine import Device, Engine, choose_device, wants_int8
from facenapi.detector.finder import Finder, Limits
from facenapi.detector.mtcnn import Mtcnn, Settings
from facenapi.detector.pack import Pack, load_pack
from facenapi.errors import StartupError
from facenapi.workers import Workers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.geometry import Box
    from facenapi.options import Config
    from facenapi.photo import Photo

log = logging.getLogger(__name__)

# Larger batches gain nothing on a CPU, and the depthwise networks even lose (their caches overflow).
_CPU_BATCH = {"embedder": 8, "attributes": 4, "candidates": 64}
_GPU_BATCH = {"embedder": 64, "attributes": 64, "candidates": 256}
_GPU_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class FaceDetector:
    """Implements :class:`facenapi.detector.base.Detector` with the networks of a model pack."""

    def __init__(self, config: Config) -> None:
        """Read the pack's manifest; the networks themselves are loaded by :meth:`start`.

        Raises:
            StartupError: no pack, or a damaged manifest.
        """
        self._config = config
        self._pack = load_pack(config.pack_folder)
        self.embedding_name = self._pack.embedder.name + ("" if config.embedding_views == 2 else "-1view")
        self.dimension = self._pack.embedder.dimension
        self.confidence = self._pack.embedder.calibration.confidence
        self.similarity = self._pack.embedder.calibration.similarity
        threads = config.threads or len(os.sched_getaffinity(0))
        # Two doors: work that has begun never waits behind new photos, nor is it refused for their sake.
        self._detecting = Workers("detect", threads, threads + config.inference_queue)
        self._describing = Workers("describe", threads, threads + 2 * config.inference_queue)
        self._threads = threads
        self._engines: dict[str, Engine] = {}

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
        return await self._detecting.run(self._finder.find, photo)

    async def locate(self, photo: Photo, box: Box) -> Detection:
        """Return the face inside a box that the caller drew and in which :meth:`detect` saw none."""
        return await self._describing.run(self._finder.locate, photo, box)

    async def embed(self, photo: Photo, faces: Sequence[Detection]) -> NDArray[np.float32]:
        """Return one unit vector per face, (N, dimension)."""
        if not faces:
            return np.empty((0, self.dimension), np.float32)
        return await self._describing.run(self._embedder.vectors, photo, faces)

    async def attributes(self, photo: Photo, faces: Sequence[Detection], wanted: frozenset[str]) -> list[Attributes]:
        """Return what is wanted (of "age", "gender", "emotions") for each face."""
        return await self._describing.run(describe, self._readers, photo, faces, wanted)

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
        config, pack = self._config, self._pack
        device = choose_device(config.device, self._threads, config.gpu_memory << 20)
        self._finder = self._load_finder(pack, device)
        int8 = device.kind == "cpu" and wants_int8(config.embedding_precision)
        parts = [
            (part, self._engine(pack, (part.file_int8 if int8 else None) or part.file, device, "embedder"))
            for part in pack.embedder.parts
        ]
        self._embedder = EmbeddingNet(parts, config.embedding_views)
        self._readers = []
        for net in pack.attributes:
            if net.kind not in READERS:
                raise StartupError(f"{pack.folder / 'pack.json'}: unknown kind of attribute network {net.kind!r}")
            engine = self._engine(pack, net.file, device, "attributes")
            self._readers.append(AttributeReader(net, engine, config.attribute_views))
        for name, engine in self._engines.items():
            engine.warm_up()
            log.debug("%s is ready on %s", name, engine.provider)

    def _load_finder(self, pack: Pack, device: Device) -> Finder:
        config, spec = self._config, pack.detector
        if spec.get("kind") != "mtcnn":
            raise StartupError(f"{pack.folder / 'pack.json'}: unknown kind of detector {spec.get('kind')!r}")
        nets = [self._engine(pack, spec[name], device, "candidates") for name in ("proposal", "refine", "output")]
        settings = Settings(
            config.nnd_p_net_thresh, config.nnd_r_net_thresh, config.nnd_o_net_thresh, config.nnd_scale_factor
        )
        limits = Limits(config.nnd_min_face_size, config.nnd_max_face_size, config.detect_size, config.detect_rotated)
        return Finder(Mtcnn(nets[0], nets[1], nets[2], settings), limits)

    def _engine(self, pack: Pack, file: str, device: Device, use: str) -> Engine:
        on_gpu = device.kind == "cuda"
        engine = Engine(
            pack.read(file),
            device,
            max_batch=(_GPU_BATCH if on_gpu else _CPU_BATCH)[use],
            lanes=1 if on_gpu else self._threads,
            sizes=_GPU_SIZES if on_gpu else (),
        )
        self._engines[Path(file).stem] = engine
        return engine
