"""Which photos to enrol, out of folders as they really are."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from facenapi.errors import StartupError

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif", ".avif"})
# What storage systems and desktops keep beside the photos: thumbnails, what was deleted, resource forks.
_NOT_OURS = frozenset({"@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "__MACOSX"})


def find_photos(places: Iterable[str | Path], warn: Callable[[str], None]) -> Iterator[Path]:
    """Yield files as they are given, all photos below folders, by name, and what patterns match; each once.

    Of folders and patterns only regular files with a suffix of a photo count, and nothing hidden. A pattern is
    ``*.jpg`` or ``**/*.jpeg``, where ``**`` is any folders. ``warn`` is told what could not be looked at.

    Raises:
        StartupError: there is no such file, or a pattern matches nothing.
    """
    seen = set()
    for place in places:
        for photo in _below(str(place), warn):
            if (whole := photo.resolve()) not in seen:
                seen.add(whole)
                yield photo


def _below(place: str, warn: Callable[[str], None]) -> Iterator[Path]:
    path = Path(place)
    if path.is_dir():
        yield from _walk(path, warn)
    elif path.is_file():
        yield path
    elif path.exists():
        raise StartupError(f"{place}: is neither a file nor a folder")
    elif glob.has_magic(place):
        matches = glob.glob(place, recursive=True)  # noqa: PTH207 - a pattern may be absolute
        found = [match for match in map(Path, sorted(matches)) if _may_be_meant(match, place)]
        if not found:
            raise StartupError(f"{place}: no photo matches")
        yield from found
    else:
        raise StartupError(f"{place}: there is no such file")


def _walk(folder: Path, warn: Callable[[str], None]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        warn(f"{error.filename}: {error.strerror}; left out")

    for here, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if name not in _NOT_OURS and not name.startswith("."))
        yield from (path for name in sorted(names) if _is_photo(path := Path(here, name)))


def _may_be_meant(match: Path, pattern: str) -> bool:
    """Whether a match is a photo in no folder that is not ours, unless the pattern itself names that folder."""
    return _is_photo(match) and not _NOT_OURS.intersection(match.parts).difference(Path(pattern).parts)


def _is_photo(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() in SUFFIXES and path.is_file()


def read_file(path: Path) -> bytes:
    """Return what a file holds; raise OSError if it is none. A FIFO would wait for a writer for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(None, "is no regular file")
        return file.read()
