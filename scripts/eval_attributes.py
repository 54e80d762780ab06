"""Accuracy of gender, age and emotions on a labelled set that you have.

    python scripts/eval_attributes.py --images DIR --labels CSV [--limit=N] [--quick] [--json]

CSV has the columns path, age, gender, emotion; any but the path may be empty. An age may be a range, 20-29: its
middle counts. A photo without a face counts for nothing but the number of misses. --quick without a set takes the
two portraits that installed packages carry; --quick with a set takes its first 100 photos.

Bounds, where the set has at least 1,000 labels of the kind: gender at least 0.85 and mean age error at most 6.5
years (FairFace), emotion at least 0.62 (FER2013, enlarged three times).
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from facenapi.config.options import Config
from facenapi.detector.measure.labelled import nearest_to_middle
from facenapi.detector.pipeline import FaceDetector
from facenapi.photos.photo import Photo
from tests.support import photos
from tests.support.live import PACK, report

EVERYTHING = frozenset({"age", "gender", "emotions"})
ENOUGH = 1000


def middle(text: str) -> float:
    """Return an age, or the middle of a range."""
    ages = [float(part) for part in text.split("-")]
    return sum(ages) / len(ages)


async def measure(config: Config, images: Path, labels: list[dict[str, str]]) -> dict[str, float]:
    """Return the figures of a set."""
    detector = FaceDetector(config)
    await detector.start()
    genders, ages, emotions, missed, waiting = [], [], [], 0, iter(labels)

    async def work() -> None:
        nonlocal missed
        for label in waiting:
            data = await asyncio.to_thread((images / label["path"]).read_bytes)
            photo = await asyncio.to_thread(Photo, data, label["path"], 65535, config.detect_size)
            face = nearest_to_middle(await detector.detect(photo), photo)
            if face is None:
                missed += 1
                continue
            (told,) = await detector.attributes(photo, [face], EVERYTHING)
            if label.get("gender"):
                genders.append(told.gender == label["gender"].lower())
            if label.get("age"):
                ages.append(abs(told.age - middle(label["age"])))
            if label.get("emotion"):
                emotions.append(told.emotions[0] == label["emotion"].lower())

    await asyncio.gather(*(work() for _ in range(8)))
    await detector.close()
    figures: dict[str, float] = {"photos": len(labels), "photos without a face": missed}
    for name, values in (("gender", genders), ("age error", ages), ("emotion", emotions)):
        figures[f"{name} labels"] = len(values)
        if values:
            figures[name] = sum(values) / len(values)
    return figures


def broken(figures: dict[str, float]) -> list[str]:
    """Return the bounds that are missed."""
    limits = (("gender", lambda v: v >= 0.85), ("age error", lambda v: v <= 6.5), ("emotion", lambda v: v >= 0.62))
    return [name for name, holds in limits if figures[f"{name} labels"] >= ENOUGH and not holds(figures[name])]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--model_pack", default=str(PACK))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    config = Config(model_pack=chosen.model_pack)
    if chosen.images and chosen.labels:
        with chosen.labels.open(encoding="utf-8", newline="") as file:
            labels = list(csv.DictReader(file))[: 100 if chosen.quick else chosen.limit]
        figures = asyncio.run(measure(config, chosen.images, labels))
    elif chosen.quick:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a").write_bytes(photos.astronaut())
            (Path(folder) / "g").write_bytes(photos.grace_hopper())
            labels = [{"path": "a", "gender": "female", "age": "35", "emotion": "happy"},
                      {"path": "g", "gender": "female", "age": "70-79", "emotion": "neutral"}]  # fmt: skip
            figures = asyncio.run(measure(config, Path(folder), labels))
    else:
        parser.error("--images and --labels, or --quick, are needed")
    missed = broken(figures)
    rows = [(name, f"{value:.4f}" if isinstance(value, float) else str(value)) for name, value in figures.items()]
    verdict = f"BOUND MISSED: {', '.join(missed)}" if missed else "all bounds held"
    report(rows, f"attributes: {verdict}", figures, chosen.json)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
