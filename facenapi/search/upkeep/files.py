"""Files that are known by size and checksum."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.process.durable import replace_synced
from facenapi.search.index.stored import DamagedError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

_CHUNK = 1 << 20


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object that carries its own checksum, for :func:`read_json`; after a crash it is there whole, or
    the one that was there before."""
    body = json.dumps(content, sort_keys=True)
    text = json.dumps({"crc32": zlib.crc32(body.encode()), "content": content}, sort_keys=True)
    replace_synced(path, text.encode())


def read_json(path: Path, layout: int) -> dict[str, Any]:
    """Return what :func:`write_json` wrote; raise DamagedError if it is not there whole, in this ``format``."""
    try:
        whole = json.loads(path.read_bytes())
        content, crc32 = whole["content"], whole["crc32"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedError(f"{path.name}: {error!r}") from error
    if not isinstance(content, dict) or zlib.crc32(json.dumps(content, sort_keys=True).encode()) != crc32:
        raise DamagedError(f"{path.name}: wrong checksum")
    if content.get("format") != layout:
        raise DamagedError(f"{path.name}: format {content.get('format')!r} instead of {layout}")
    return content


def fingerprint(path: Path) -> list[int]:
    """Return size in bytes and CRC-32 of a file."""
    crc32 = size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            crc32 = zlib.crc32(chunk, crc32)
            size += len(chunk)
    return [size, crc32]


def verify(path: Path, expected: list[int]) -> None:
    """Raise DamagedError unless the file has this fingerprint."""
    try:
        if path.stat().st_size == expected[0] and fingerprint(path) == list(expected):
            return
    except OSError as error:
        raise DamagedError(f"{path.name}: {error.strerror}") from error
    raise DamagedError(f"{path.name}: wrong size or checksum")


def read_array(path: Path, expected: list[int], dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return an array that a file holds without a header; raise DamagedError unless it has this fingerprint."""
    array = np.empty(shape, dtype)
    data, crc32, done = array.reshape(-1).view(np.uint8).data, 0, 0
    try:
        with path.open("rb", buffering=0) as file:
            while size := file.readinto(data[done : done + _CHUNK]):
                crc32 = zlib.crc32(data[done : done + size], crc32)
                done += size
            longer = file.read(1)
    except OSError as error:
        raise DamagedError(f"{path.name}: {error.strerror}") from error
    if longer or done < len(data) or [done, crc32] != expected:
        raise DamagedError(f"{path.name}: wrong size or checksum")
    return array
