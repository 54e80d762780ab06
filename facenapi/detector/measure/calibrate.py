"""Makes the table from distance to confidence of a pack from a labelled set of photos.

``facenapi models calibrate --pairs FILE --images DIR`` calls :func:`calibrate` and, with ``--write``,
:func:`store`.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.detector.measure.labelled import Progress, all_impostors, embed_files, pair_distances, read_pairs
from facenapi.detector.measure.rates import SCALE, distance_at, rate_below
from facenapi.detector.packs.calibration import Calibration
from facenapi.detector.pipeline import FaceDetector
from facenapi.errors import StartupError
from facenapi.process.durable import replace_synced

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.config.options import Config

# Where the confidence goes beyond the weakest preset: shares of impostors below these distances.
_TAIL = ((0.5, 0.40), (0.98, 0.05))
_FEWEST = 100


@dataclass(frozen=True, slots=True)
class Result:
    """A table and what it rests on.

    ``rates`` has for each point of the scale its confidence, distance, far, tar and ``pairs``: how many impostor
    pairs lie below; fewer than ten means that the distance is extrapolated.
    """

    table: list[list[float]]
    rates: list[dict[str, float]]
    genuine: NDArray[np.floating]
    impostors: NDArray[np.floating]
    missed: int


def calibrate(config: Config, images: Path, pairs: Path, progress: Progress, *, folders: bool = False) -> Result:
    """Embed the photos of a labelled set with the configured pack and return its calibration.

    Args:
        config: names the pack and the device.
        images: the folder that the paths in ``pairs`` are relative to.
        pairs: LFW's pairs.txt, or lines of path1,path2,same.
        progress: called with one line now and then.
        folders: each person has a folder of its own: take all pairs across folders as impostors.

    Raises:
        StartupError: the pack does not load, or the set is unreadable or too small.
    """
    try:
        listed = read_pairs(pairs)
    except (OSError, ValueError) as error:
        raise StartupError(f"the pairs cannot be read: {error}") from error
    names = dict.fromkeys(name for pair in listed for name in (pair.first, pair.second))
    if folders:
        found = (path for path in images.glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
        names |= dict.fromkeys(str(path.relative_to(images)) for path in sorted(found))
    try:
        vectors = asyncio.run(_embed(config, images, list(names), progress))
    except OSError as error:
        raise StartupError(f"a photo cannot be read: {error}") from error
    distances, same = pair_distances(listed, vectors)
    impostors = all_impostors(vectors) if folders else distances[~same]
    return make_table(distances[same], impostors, sum(vector is None for vector in vectors.values()))


def make_table(genuine: NDArray[np.floating], impostors: NDArray[np.floating], missed: int = 0) -> Result:
    """Return the calibration that the distances of genuine and impostor pairs lead to.

    Raises:
        StartupError: fewer than 100 impostor pairs, or no genuine one.
    """
    impostors = np.sort(impostors[impostors < 2.0])
    if len(impostors) < _FEWEST or not len(genuine):
        raise StartupError(f"{len(impostors)} impostor and {len(genuine)} genuine pairs are too few: "
                           f"at least {_FEWEST} and 1 are needed")  # fmt: skip
    points, rates = [], []
    for far, confidence in SCALE:
        distance, count = distance_at(impostors, far)
        points.append([distance, confidence])
        rates.append({"confidence": confidence, "distance": round(distance, 4), "far": far,
                      "tar": round(rate_below(genuine, distance), 4), "pairs": count})  # fmt: skip
    points += [[float(np.quantile(impostors, share)), confidence] for share, confidence in _TAIL]
    table = [[0.0, 1.0]]
    for distance, confidence in sorted(points):
        # Points that a small set puts in one place are left out: the table must rise strictly.
        if distance > table[-1][0] + 1e-4 and confidence < table[-1][1]:
            table.append([round(distance, 4), confidence])
    table.append([round(max(table[-1][0] * 1.3, 1.0), 4), 0.0])
    Calibration(table)
    return Result(table, rates, genuine, impostors, missed)


def store(folder: Path, result: Result, origin: str) -> None:
    """Write the table into the pack's manifest, all or nothing; networks and checksums stay as they are."""
    path = folder / "pack.json"
    manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
    manifest["embedder"]["calibration"] = {
        "distance_confidence": result.table, "rates": result.rates, "origin": origin}  # fmt: skip
    replace_synced(path, (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode())


def lines(result: Result) -> list[str]:
    """Return the table for people, with the number of pairs that each rate rests on."""
    pairs = f"{len(result.genuine)} genuine and {len(result.impostors)} impostor pairs"
    rows = [f"{'confidence':>10} {'distance':>9} {'FAR':>8} {'TAR':>7}  impostor pairs below"]
    for rate in result.rates:
        note = "" if rate["pairs"] >= 10 else "  (extrapolated)"
        rows.append(f"{rate['confidence']:10.4f} {rate['distance']:9.4f} {rate['far']:8.1e} {rate['tar']:7.3f}  "
                    f"{rate['pairs']}{note}")  # fmt: skip
    return [f"{pairs}; {result.missed} photos without a face", *rows]


def plot(result: Result, path: Path) -> None:
    """Draw score histograms, the ROC and FAR and FRR against confidence as one PNG.

    Raises:
        StartupError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - only drawing needs it
    except ImportError as error:
        raise StartupError("plots need matplotlib; run: pip install matplotlib") from error
    limits = np.linspace(0, max(result.impostors.max(), result.genuine.max()), 400)
    far = np.searchsorted(result.impostors, limits, side="right") / len(result.impostors)
    tar = np.searchsorted(np.sort(result.genuine), limits, side="right") / len(result.genuine)
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for distances, label in ((result.genuine, "same person"), (result.impostors, "strangers")):
        left.hist(distances, bins=60, density=True, alpha=0.6, label=label)
    left.set(xlabel="distance of unit vectors", ylabel="density")
    left.legend()
    middle.semilogx(np.maximum(far, 1e-7), tar)
    middle.set(xlabel="false accept rate", ylabel="true accept rate", xlim=(1e-6, 1))
    calibration = Calibration(result.table)
    confidences = [calibration.confidence(1 - limit * limit / 2) for limit in limits]
    right.semilogy(confidences, np.maximum(far, 1e-7), label="false accepts")
    right.semilogy(confidences, np.maximum(1 - tar, 1e-7), label="false rejects")
    right.set(xlabel="confidence", ylabel="rate", ylim=(1e-6, 1))
    right.legend()
    figure.savefig(path)


async def _embed(config: Config, images: Path, names: list[str], progress: Progress) -> dict[str, Any]:
    detector = FaceDetector(config)
    await detector.start()
    try:
        return await embed_files(detector, images, names, progress)
    finally:
        await detector.close()
