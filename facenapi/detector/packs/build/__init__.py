"""Makes model packs from exactly pinned packages; needs the ``models`` extra, not a compiler.

The server itself never imports this package: it reads the finished folder.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from facenapi.detector.packs.build.detectors import DEFAULT_DETECTOR, DETECTORS
from facenapi.detector.packs.build.embedders import DEFAULT_EMBEDDER, EMBEDDERS
from facenapi.detector.packs.build.manifest import Choice, digest, make_manifest
from facenapi.errors import StartupError
from facenapi.process.durable import sync, write_synced

Progress = Callable[[str], None]


def build_pack(
    target: Path,
    cache: Path,
    progress: Progress,
    *,
    embedder: str = DEFAULT_EMBEDDER,
    detector: str = DEFAULT_DETECTOR,
) -> None:
    """Build the model pack into the folder ``target``, replacing what is there.

    Args:
        target: the pack's folder; appears complete or not at all.
        cache: folder for downloads, so that a second build needs no network.
        progress: called with one line for each step.
        embedder: which embedding network; a key of :data:`facenapi.detector.packs.build.embedders.EMBEDDERS`.
        detector: which detector; a key of :data:`facenapi.detector.packs.build.detectors.DETECTORS`.

    Raises:
        StartupError: a step failed; one line says which and why. Running it again is safe.
    """
    for what, wanted, known in (("embedder", embedder, EMBEDDERS), ("detector", detector, DETECTORS)):
        if wanted not in known:
            raise StartupError(f"there is no {what} {wanted!r}; known: {', '.join(known)}")
    try:
        from facenapi.detector.packs.build import networks  # noqa: PLC0415 - onnx is an extra
    except ImportError as error:
        raise StartupError(f"building networks needs {error.name}: pip install 'facenapi[models]'") from error
    _check_place(target)
    choice = Choice(embedder, detector)
    files = networks.convert(choice, cache, progress)
    manifest = make_manifest(choice, {name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    files["pack.json"] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
    publish(files, target)
    progress(f"The model pack is in {target}")


def choose(folder: Path, embedder: str | None, detector: str | None) -> tuple[str, str]:
    """Return the embedder and the detector to build into a folder: without a word those of the pack that is there.

    Raises:
        StartupError: that would replace a pack by another one, or undo what somebody changed in it.
    """
    path = folder / "pack.json"
    if not path.exists():
        return embedder or DEFAULT_EMBEDDER, detector or DEFAULT_DETECTOR
    advice = "--force replaces it; --model_pack=DIR builds another pack beside it"
    try:
        manifest = json.loads(path.read_text("utf-8"))
        name, kind, built = manifest["embedder"]["name"], manifest["detector"]["kind"], manifest.get("built")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StartupError(f"{path} cannot be read ({error}): {advice}") from error
    there = next((key for key, variant in EMBEDDERS.items() if variant.embedder["name"] == name), None)
    if there is None or embedder not in (None, there):
        raise StartupError(f"{folder} holds a pack with the embedder {there or name}, in whose vectors faces may be "
                           f"stored: {advice}")  # fmt: skip
    if kind not in DETECTORS or detector not in (None, kind):
        raise StartupError(f"{folder} holds a pack with the detector {kind}: {advice}")
    if built != digest(manifest):
        since = "was changed since it was built" if built else "was built by an older version, or changed since"
        raise StartupError(f"{path} {since}: {advice}")
    return there, kind


def publish(files: dict[str, bytes], target: Path) -> None:
    """Write a pack's files beside ``target``, make them durable, then put the folder in its place.

    Where ``target`` is a link, it stays one, and the folder that it leads to is replaced.

    Raises:
        StartupError: it holds something else, the disk is full or refuses; ``target`` is as it was.
    """
    _check_place(target)
    try:
        _write_and_swap(files, target.resolve())
    except OSError as error:
        raise StartupError(f"{target} cannot be written: {error.strerror}") from error


def _check_place(target: Path) -> None:
    """Raise StartupError for a folder that is no pack: a home, say, or the folder that packs are in would be gone."""
    try:
        if target.is_dir() and not (target / "pack.json").exists() and any(target.iterdir()):
            raise StartupError(
                f"{target} is not empty and no model pack: name a new folder, {target / 'new'} say, or remove it"
            )
    except OSError as error:
        raise StartupError(f"{target} cannot be read: {error.strerror}") from error


def _write_and_swap(files: dict[str, bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name, data in files.items():
            write_synced(fresh / name, data)
        fresh.chmod(0o755)
        sync(fresh)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
            target.replace(old)
            fresh.replace(target)
            shutil.rmtree(old)
        else:
            fresh.replace(target)
        sync(target.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
