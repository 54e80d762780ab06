"""Recall and precision of the detector on a labelled set that you have, in WIDER FACE's text format.

    python scripts/eval_detection.py --images DIR --boxes FILE [--limit=N] [--quick] [--json]

FILE repeats: path, number of faces, then a line for each: x y width height [blur expression illumination invalid
occlusion pose]. Invalid faces, and those smaller than nnd_min_face_size, are neither asked for nor held against
the detector. A face is found when a box overlaps it by 0.5. --quick without a set makes one of the portraits and
of pictures without faces; --quick with a set takes 50 pictures.

Bounds with default options, on WIDER FACE's validation set: of faces at least 50 pixels high (about its easy
part) 0.78 found, of those at least 30 pixels high (its easy and medium parts) 0.71, precision at least 0.95.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from facenapi.config.options import Config
from facenapi.detector.pipeline import FaceDetector
from facenapi.geometry import Box
from facenapi.photos.photo import Photo
from tests.support import photos
from tests.support.live import PACK, report

BOUNDS = {"found of >= 50 px": 0.78, "found of >= 30 px": 0.71, "precision": 0.95}


def read_boxes(path: Path) -> dict[str, list[tuple[Box, bool]]]:
    """Return boxes and whether they count, by picture."""
    lines = iter(path.read_text("utf-8").splitlines())
    found: dict[str, list[tuple[Box, bool]]] = {}
    for name in lines:
        if not name.strip():
            continue
        count = int(next(lines))
        rows = [[float(value) for value in next(lines).split()] for _ in range(max(count, 1))]
        boxes = [(Box(x, y, x + w, y + h), rest[3:4] != [1.0] and w > 0 and h > 0)
                 for x, y, w, h, *rest in rows]  # fmt: skip
        found[name.strip()] = boxes[:count]
    return found


async def measure(config: Config, images: Path, boxes: dict[str, list[tuple[Box, bool]]]) -> dict[str, float]:
    """Return the figures of a set."""
    detector = FaceDetector(config)
    await detector.start()
    waiting, counts = iter(boxes.items()), dict.fromkeys(("right", "wrong"), 0)
    asked = {limit: [0, 0] for limit in (30, 50)}

    async def work() -> None:
        for name, truth in waiting:
            data = await asyncio.to_thread((images / name).read_bytes)
            photo = await asyncio.to_thread(Photo, data, name, 65535, config.detect_size)
            left = list(truth)
            for face in await detector.detect(photo):
                best = max(left, key=lambda entry: entry[0].overlap(face.box), default=None)
                if best is None or best[0].overlap(face.box) < 0.5:
                    counts["wrong"] += 1
                    continue
                left.remove(best)
                if best[1] and best[0].height >= config.nnd_min_face_size:
                    counts["right"] += 1
                for limit, tally in asked.items():
                    tally[0] += best[1] and best[0].height >= limit
            for limit, tally in asked.items():
                tally[1] += sum(counts_in and box.height >= limit for box, counts_in in truth)

    await asyncio.gather(*(work() for _ in range(8)))
    await detector.close()
    figures = {"pictures": len(boxes), **{f"faces of >= {limit} px": tally[1] for limit, tally in asked.items()}}
    figures |= {f"found of >= {limit} px": tally[0] / max(tally[1], 1) for limit, tally in asked.items()}
    return {**figures, "precision": counts["right"] / max(sum(counts.values()), 1)}


def small_set(folder: Path) -> dict[str, list[tuple[Box, bool]]]:
    """Write the portraits and pictures without faces."""
    (folder / "astronaut").write_bytes(photos.astronaut())
    (folder / "hopper").write_bytes(photos.grace_hopper())
    (folder / "two").write_bytes(photos.two_faces())
    (folder / "none").write_bytes(photos.no_face())
    first, second = Box(182, 64, 265, 171), Box(178, 110, 351, 330)
    shifted = Box(second.x1 + 512, second.y1, second.x2 + 512, second.y2)
    return {"astronaut": [(first, True)], "hopper": [(second, True)], "two": [(first, True), (shifted, True)],
            "none": []}  # fmt: skip


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--boxes", type=Path)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--model_pack", default=str(PACK))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    config = Config(model_pack=chosen.model_pack)
    if chosen.images and chosen.boxes:
        boxes = read_boxes(chosen.boxes)
        limit = 50 if chosen.quick else chosen.limit
        figures = asyncio.run(measure(config, chosen.images, dict(list(boxes.items())[:limit])))
    elif chosen.quick:
        with tempfile.TemporaryDirectory() as folder:
            figures = asyncio.run(measure(config, Path(folder), small_set(Path(folder))))
    else:
        parser.error("--images and --boxes, or --quick, are needed")
    missed = [name for name, bound in BOUNDS.items() if figures[name] < bound]
    rows = [(name, f"{value:.4f}" if isinstance(value, float) else str(value)) for name, value in figures.items()]
    verdict = f"BOUND MISSED: {', '.join(missed)}" if missed else "all bounds held"
    report(rows, f"detection: {verdict}", figures, chosen.json)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
