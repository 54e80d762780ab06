"""Accuracy of the embeddings on a labelled set that you have: LFW's layout and pairs.txt, or your own list.

    python scripts/eval_verification.py --images DIR --pairs FILE [--folders] [--model_pack=DIR] [--quick] [--json]

FILE is LFW's pairs.txt or lines of path1,path2,same. With --folders each person has a folder, and the false
accept rates are measured on all pairs across folders. --quick without a set makes one of the two portraits that
installed packages carry; --quick with a set takes 300 of its pairs, evenly.

Bounds, which are what the docs say of the default pack on LFW (view 2), less twice the standard error:
accuracy at least 0.989, TAR at least 0.98 at FAR 1e-3 (with --folders) and 0.92 at the default threshold, and the FAR
measured at low, medium, default and strict within a factor of 2 of 1e-1, 1e-3, 3.5e-5 and 1e-5, each where the
promise means at least 10 pairs of the set. A set without pairs of strangers, or of one person, is no measurement and
fails. A photo without a face counts as an error, and is named.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from facenapi.config.options import Config
from facenapi.detector.measure.labelled import all_impostors, embed_files, pair_distances, read_pairs
from facenapi.detector.measure.rates import ENOUGH, accuracy, distance_at, equal_error_rate, rate_below
from facenapi.detector.pipeline import FaceDetector
from tests.detector.test_robustness import FACES, altered
from tests.support.live import PACK, report

PRESETS = {"low": (0.5690, 1e-1), "medium": (0.6616, 1e-3), "default": (0.75, 3.5e-5), "strict": (0.7834, 1e-5)}
SHOWN = 10  # photos without a face that are named


def small_set(folder: Path) -> Path:
    """Write the altered portraits and their pairs."""
    for name in FACES:
        (folder / name).mkdir()
        for number, data in enumerate(altered(name).values()):
            (folder / name / f"{number}.jpg").write_bytes(data)
    names = [f"{name}/{number}.jpg" for name in FACES for number in range(10)]
    lines = [f"{a},{b},{int(a[0] == b[0])}" for i, a in enumerate(names) for b in names[:i]]
    (folder / "pairs.csv").write_text("\n".join(lines))
    return folder / "pairs.csv"


async def measure(config: Config, images: Path, pairs_file: Path, limit: int | None, folders: bool) -> dict:
    """Return the figures of a set."""
    pairs = read_pairs(pairs_file)
    pairs = pairs[:: max(1, len(pairs) // limit)] if limit else pairs
    names = [name for pair in pairs for name in (pair.first, pair.second)]
    if folders:
        names += [str(path.relative_to(images)) for path in sorted(images.glob("*/*.jpg"))]
    detector = FaceDetector(config)
    await detector.start()
    try:
        vectors = await embed_files(detector, images, names, lambda line: print(line, file=sys.stderr))
    finally:
        await detector.close()
    distances, same = pair_distances(pairs, vectors)
    impostors = np.sort(all_impostors(vectors) if folders else distances[~same])
    if not same.any() or not len(impostors):
        raise ValueError(
            f"{pairs_file}: {same.sum()} pairs of one person and {len(impostors)} of strangers say nothing"
        )
    without = sorted(name for name, vector in vectors.items() if vector is None)
    for name in without[:SHOWN]:
        print(f"no face: {name}", file=sys.stderr)
    figures = {
        "pairs": len(pairs),
        "impostor pairs": len(impostors),
        "photos": len(vectors),
        "photos without a face": len(without),
        "accuracy": accuracy(distances, same),
        "EER": equal_error_rate(distances[same], impostors),
    }
    for far in (1e-2, 1e-3, 1e-4, 1e-5):
        if far * len(impostors) >= ENOUGH:
            figures[f"TAR at FAR {far:.0e}"] = rate_below(distances[same], distance_at(impostors, far)[0])
    for name, (confidence, far) in PRESETS.items():
        limit_distance = float(np.sqrt(2 - 2 * detector.similarity(confidence)))
        figures[f"TAR at {name}"] = rate_below(distances[same], limit_distance)
        if far * len(impostors) >= ENOUGH:
            rate = rate_below(impostors, limit_distance)
            figures[f"FAR at {name}"] = rate
            figures[f"FAR at {name} / {far:.1e} promised"] = rate / far
    return figures


def broken(figures: dict) -> list[str]:
    """Return the bounds that are missed."""
    least = {"accuracy": 0.989, "TAR at FAR 1e-03": 0.98, "TAR at default": 0.92}
    missed = [name for name, bound in least.items() if figures.get(name, 1.0) < bound]
    return missed + [name for name, value in figures.items() if "promised" in name and not 0.5 <= value <= 2.0]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--folders", action="store_true")
    parser.add_argument("--model_pack", default=str(PACK))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    config = Config(model_pack=chosen.model_pack)
    if chosen.images and chosen.pairs:
        limit = 300 if chosen.quick else None
        try:
            figures = asyncio.run(measure(config, chosen.images, chosen.pairs, limit, chosen.folders))
        except (OSError, ValueError) as error:
            parser.error(str(error))
        missed = broken(figures)
    elif chosen.quick:
        with tempfile.TemporaryDirectory() as folder:
            figures = asyncio.run(measure(config, Path(folder), small_set(Path(folder)), None, folders=True))
        missed = ["EER"] if figures["EER"] > 0.01 else []  # two faces say nothing of rates
    else:
        parser.error("--images and --pairs, or --quick, are needed")
    rows = [(name, f"{value:.4g}" if isinstance(value, float) else str(value)) for name, value in figures.items()]
    verdict = f"BOUND MISSED: {', '.join(missed)}" if missed else "all bounds held"
    report(rows, f"verification: accuracy {figures['accuracy']:.4f}: {verdict}", figures, chosen.json)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
