"""``facenapi models``: list, build and verify model packs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from facenapi.config import load
from facenapi.errors import StartupError


def main(arguments: Sequence[str]) -> int:
    """Build or verify the pack of the configuration (option model_pack)."""
    parser = argparse.ArgumentParser("facenapi models", description=__doc__)
    parser.add_argument("action", choices=("list", "build", "verify"))
    parser.add_argument("--cache", default="", help="with build: folder for downloads; default: beside the pack")
    chosen, rest = parser.parse_known_args(arguments)
    config, _ = load(rest)
    folder = config.pack_folder
    if chosen.action == "build":
        return _build(folder, Path(chosen.cache) if chosen.cache else folder.parent / "downloads")
    if chosen.action == "verify":
        return _verify(folder)
    return _list(folder)


def _build(folder: Path, cache: Path) -> int:
    try:
        import onnx  # noqa: F401, PLC0415 - the server itself never needs it
    except ImportError:
        raise StartupError("Building models needs the package onnx: pip install 'facenapi[models]'") from None
    from facenapi.detector.build import build_pack  # noqa: PLC0415

    build_pack(folder, cache, lambda line: print(line, file=sys.stderr, flush=True))
    print(folder)
    return 0


def _verify(folder: Path) -> int:
    from facenapi.detector.verify import verify_pack  # noqa: PLC0415

    problems = verify_pack(folder)
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{folder}: files and outputs are as they should be")
    return 1 if problems else 0


def _list(folder: Path) -> int:
    from facenapi.detector.pack import load_pack  # noqa: PLC0415

    for pack in sorted(path.parent for path in folder.parent.glob("*/pack.json")):
        mark = "*" if pack == folder else " "
        print(f"{mark} {pack}  {load_pack(pack).embedding_name}")
    return 0
