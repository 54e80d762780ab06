"""Where each millisecond of detection, embedding and attributes goes, on one thread.

    python scripts/profile_detect.py [--photo FILE]... [--rounds=7] [--quick] [--json]

CPU time of the stages (the least over the rounds), for the two portraits that installed packages carry and for
photos made of them at 2 and 12 megapixels, or for your own photos.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from facenapi.config.options import Config
from facenapi.detector.describe import attributes, crops, embedding
from facenapi.detector.find import mtcnn, onet, singleshot
from facenapi.detector.pipeline import FaceDetector
from facenapi.photos.photo import Photo
from tests.support import photos
from tests.support.live import PACK, report

EVERYTHING = frozenset({"age", "gender", "emotions"})


class Clock:
    """Sums the CPU time spent in functions that it wraps."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def wrap(self, owner, name: str, stage: str) -> None:
        """Count calls of ``owner.name`` as ``stage``."""
        inner = getattr(owner, name)

        def timed(*arguments, **options):
            start = time.process_time()
            try:
                return inner(*arguments, **options)
            finally:
                self.spent[stage] = self.spent.get(stage, 0.0) + time.process_time() - start

        setattr(owner, name, timed)


def watch(clock: Clock, detector: FaceDetector) -> None:
    """Wrap the stages of a loaded detector."""
    for name, engine in detector._engines.items():
        clock.wrap(engine, "run", f"net {name}")
    clock.wrap(mtcnn, "area_resize", "resize levels")
    clock.wrap(mtcnn, "suppress", "suppress overlaps")
    clock.wrap(mtcnn, "patches", "cut candidates")
    clock.wrap(mtcnn, "pack_pixels", "pack pixels")
    clock.wrap(singleshot.SingleShot, "_canvas", "canvas")
    clock.wrap(singleshot, "greedy", "suppress overlaps")
    for module in (onet, singleshot):
        clock.wrap(module, "pack_pixels", "pack pixels")
    for module in (embedding, attributes):
        clock.wrap(module, "cut", "align")
        clock.wrap(module, "rows", "network rows")
    clock.wrap(crops, "warp", "  of it warp")


def stages(clock: Clock, detector: FaceDetector, data: bytes) -> dict[str, float]:
    """Return milliseconds by stage of one photo."""
    clock.spent = {}
    times = [time.process_time()]
    photo = Photo(data, "photo", 20000, detector._config.detect_size)
    times.append(time.process_time())
    faces = detector._finder.find(photo)
    times.append(time.process_time())
    if faces:
        detector._embedder.vectors(photo, faces)
    times.append(time.process_time())
    attributes.describe(detector._readers, photo, faces, EVERYTHING)
    times.append(time.process_time())
    spent = [end - start for start, end in itertools.pairwise(times)]
    whole = dict(zip(("DECODE", "DETECT", "EMBED", "ATTRIBUTES"), spent, strict=True))
    return {name: value * 1000 for name, value in {**whole, **clock.spent, "faces": len(faces) / 1000}.items()}


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", action="append", default=[], type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="2 rounds")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    pictures = {path.name: path.read_bytes() for path in chosen.photo} or {
        "astronaut": photos.astronaut(),
        "grace hopper": photos.grace_hopper(),
        "2 Mpx": photos.large(1632, 1224),
        "12 Mpx": photos.large(4000, 3000),
    }
    detector = FaceDetector(Config(model_pack=str(PACK), device="cpu", threads=1))
    detector._load()
    clock = Clock()
    watch(clock, detector)
    results = {}
    for name, data in pictures.items():
        rounds = [stages(clock, detector, data) for _ in range(2 if chosen.quick else chosen.rounds)]
        results[name] = {stage: min(one.get(stage, 0.0) for one in rounds) for stage in rounds[0]}
    names = list(dict.fromkeys(stage for times in results.values() for stage in times))
    rows = [("ms", "".join(f"{name:>14}" for name in results))]
    rows += [(stage, "".join(f"{times.get(stage, 0.0):14.1f}" for times in results.values())) for stage in names]
    total = sum(results[next(iter(results))][stage] for stage in ("DECODE", "DETECT", "EMBED", "ATTRIBUTES"))
    report(rows, f"detector: {total:.0f} ms on one core for {next(iter(results))}", results, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
