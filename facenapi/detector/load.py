"""From a pack to running networks, with a clear word where a file does not fit its manifest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from facenapi.detector.describe.attributes import READERS, AttributeReader
from facenapi.detector.describe.embedding import EmbeddingNet
from facenapi.detector.find.decoders import DECODERS
from facenapi.detector.find.faces import FaceNet
from facenapi.detector.find.finder import Finder, Limits
from facenapi.detector.find.onet import OutputNet
from facenapi.detector.find.singleshot import ALIGN, SingleShot
from facenapi.detector.run.device import Device, has_int8, wants_int8
from facenapi.detector.run.engine import Engine
from facenapi.errors import StartupError

if TYPE_CHECKING:
    from facenapi.config.options import Config
    from facenapi.detector.find.mtcnn import Mtcnn
    from facenapi.detector.packs.pack import AttributeNet, InputSpec, Pack

log = logging.getLogger(__name__)

# Larger batches gain nothing on a CPU, and the depthwise networks even lose (their caches overflow).
_CPU_BATCH = {"embedder": 8, "attributes": 4, "candidates": 64, "pictures": 1}
# A GPU is slow to begin and with shapes that it has not seen: large batches of few sizes, pictures of few sizes.
_GPU_BATCH = {"embedder": 64, "attributes": 64, "candidates": 256, "pictures": 4}
_GPU_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_GPU_SIDES = (512, 1024, 1536)
# Scores of MTCNN's networks, and the step between its sizes: other detectors' scores are of another kind.
_MTCNN_OPTIONS = {"nnd_p_net_thresh", "nnd_r_net_thresh", "nnd_o_net_thresh", "nnd_scale_factor"}


class Loader:
    """Makes an engine for each network of a pack; ``engines`` has them by file name without ending.

    ``observe`` is told that name and the rows of every batch.
    """

    def __init__(
        self, pack: Pack, config: Config, device: Device, observe: Callable[[str, int], None] | None = None
    ) -> None:
        self._pack, self._config, self._device, self._observe = pack, config, device, observe
        self.engines: dict[str, Engine] = {}
        precision = config.embedding_precision
        self._int8 = not device.on_gpu and wants_int8(precision)
        if self._int8 and not has_int8():
            log.warning(
                "embedding_precision is %s, but this processor has no VNNI: 8-bit networks saturate on it and give "
                "other vectors and boxes than elsewhere; auto and fp32 do not",
                precision,
            )

    def finder(self) -> Finder:
        """Return the detector with the sizes and second tries of the configuration."""
        config = self._config
        limits = Limits(config.nnd_min_face_size, config.nnd_max_face_size, config.detect_size, config.detect_rotated)
        spec = self._pack.detector
        last = spec.get("output") if spec.get("kind") == "mtcnn" else spec.get("points")
        onet = OutputNet(self._engine(str(last), "candidates")) if last else None
        return Finder(self._face_net(onet), limits, onet)

    def embedder(self) -> EmbeddingNet:
        """Return the embedding network or networks; 8-bit ones where those are wanted and there."""
        parts, numbers = [], 0
        for part in self._pack.embedder.parts:
            file = (part.file_int8 if self._int8 else None) or part.file
            engine = self._engine(file, "embedder", cpu_batch=part.cpu_batch)
            self._check_input(engine, part.file, part.input)
            numbers += self._width(engine, part.file)
            parts.append((part, engine))
        if numbers != self._pack.embedder.dimension:
            raise self._wrong(f"the embedder's networks give {numbers} numbers, not {self._pack.embedder.dimension}")
        if self._pack.embedder.provisional:
            log.warning("The confidences of the model pack %s are provisional: facenapi models calibrate measures "
                        "what they stand for", self._pack.name)  # fmt: skip
        return EmbeddingNet(parts, self._config.embedding_views)

    def readers(self) -> list[AttributeReader]:
        """Return the networks that describe faces."""
        return [self._reader(net) for net in self._pack.attributes]

    def _reader(self, net: AttributeNet) -> AttributeReader:
        if net.kind not in READERS:
            raise self._wrong(f"unknown kind of attribute network {net.kind!r}; known: {', '.join(READERS)}")
        engine = self._engine(net.file, "attributes")
        self._check_input(engine, net.file, net.input)
        expected = READERS[net.kind][1] or len(net.settings["labels"])
        found = self._width(engine, net.file)
        if found != expected:
            raise self._wrong(f"{net.file} gives {found} numbers for a face; its manifest entry needs {expected}")
        return AttributeReader(net, engine, self._config.attribute_views)

    def _face_net(self, onet: OutputNet | None) -> FaceNet:
        spec, kind = self._pack.detector, self._pack.detector.get("kind")
        try:
            if kind == "mtcnn":
                return self._mtcnn()
            if kind in DECODERS:
                return self._single_shot(onet)
        except KeyError as error:
            raise self._wrong(f"{error} is missing for a detector of kind {kind}") from error
        except ValueError as error:
            raise self._wrong(str(error)) from error
        raise self._wrong(f"unknown kind of detector {spec.get('kind')!r}; known: mtcnn, {', '.join(DECODERS)}")

    def _mtcnn(self) -> Mtcnn:
        # Brings scipy with it, which takes as long to load as all of the server: only where a pack needs it.
        from facenapi.detector.find.mtcnn import Mtcnn, Settings  # noqa: PLC0415

        spec, config = self._pack.detector, self._config
        settings = Settings(
            config.nnd_p_net_thresh, config.nnd_r_net_thresh, config.nnd_o_net_thresh, config.nnd_scale_factor
        )
        proposal = self._engine(spec["proposal"], "pictures", _GPU_SIDES)
        refine, output = (self._engine(spec[name], "candidates") for name in ("refine", "output"))
        if list(proposal.outputs) != ["cells"]:
            raise self._wrong(f"{spec['proposal']} is of another version; run: facenapi models build")
        return Mtcnn(proposal, refine, output, settings)

    def _single_shot(self, onet: OutputNet | None) -> SingleShot:
        spec, config = self._pack.detector, self._config
        ignored = sorted(_MTCNN_OPTIONS & config.given)
        if ignored:
            log.warning("%s set for MTCNN, and the detector is %s, whose threshold is in pack.json (%s): "
                        "facenapi models build --detector=mtcnn makes a pack that they steer",
                        ", ".join(ignored) + (" is" if len(ignored) == 1 else " are"), spec["kind"],
                        spec.get("threshold"))  # fmt: skip
        file, size = (spec.get("file_int8") if self._int8 else None) or spec["file"], int(spec["size"])
        sides = (-(-(config.detect_size if "smallest" in spec else size) // ALIGN) * ALIGN,)
        engine = self._engine(str(file), "pictures", sides, max_batch=1)
        return SingleShot(engine, spec, onet, longer_side=config.detect_size, rotated=config.detect_rotated)

    def _engine(
        self, file: str, use: str, sides: Sequence[int] = (), max_batch: int | None = None, cpu_batch: int = 0
    ) -> Engine:
        """Return an engine for one of the uses above; ``sides`` of pictures are kept to on a GPU only."""
        name, on_gpu = Path(file).stem, self._device.on_gpu
        if name in self.engines:
            return self.engines[name]
        engine = Engine(
            self._pack.read(file),
            self._device,
            max_batch=max_batch or (_GPU_BATCH[use] if on_gpu else cpu_batch or _CPU_BATCH[use]),
            lanes=1 if on_gpu else self._device.threads,
            sizes=_GPU_SIZES if on_gpu else (),
            sides=sides if on_gpu else (),
            observe=partial(self._observe, name) if self._observe else None,
        )
        self.engines[name] = engine
        return engine

    def _check_input(self, engine: Engine, file: str, spec: InputSpec) -> None:
        expected = [1 if spec.color == "grey" else 3, spec.size, spec.size]
        found = engine.input_shape[1:]
        if len(found) != 3 or any(isinstance(a, int) and a != b for a, b in zip(found, expected, strict=True)):
            raise self._wrong(f"{file} takes {found}; its manifest entry says {expected}")

    def _width(self, engine: Engine, file: str) -> int:
        """Return how many numbers all outputs together hold for one row."""
        widths = [shape[1] for shape in engine.outputs.values() if len(shape) == 2 and isinstance(shape[1], int)]
        if len(widths) != len(engine.outputs):
            raise self._wrong(f"the outputs of {file} are not rows of numbers: {list(engine.outputs.values())}")
        return sum(widths)

    def _wrong(self, message: str) -> StartupError:
        return StartupError(f"{self._pack.folder / 'pack.json'}: {message}")
