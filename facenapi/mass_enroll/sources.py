"""Which photos to enrol, and where the meta of each comes from."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from facenapi.errors import StartupError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})

# Returns the meta of a photo, None if there is none for it.
MetaRule = Callable[[Path], str | None]


def find_photos(places: Iterable[Path]) -> Iterator[Path]:
    """Yield files as they are given, and all JPEG, PNG and WebP files below folders, by name.

    Raises:
        StartupError: there is no such file.
    """
    for place in places:
        if place.is_dir():
            for folder, folders, names in os.walk(place):
                folders.sort()
                yield from (Path(folder, name) for name in sorted(names) if Path(name).suffix.lower() in SUFFIXES)
        elif place.is_file():
            yield place
        else:
            raise StartupError(f"{place}: there is no such file")


def constant(text: str) -> MetaRule:
    """The same meta for all."""
    return lambda _: text


def companion(suffix: str) -> MetaRule:
    """The first line of the text file beside the photo: of sam.jpg and ``.txt`` that of sam.txt."""

    def rule(photo: Path) -> str | None:
        try:
            content = photo.with_suffix(suffix).read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StartupError(f"{photo.with_suffix(suffix)} cannot be read as UTF-8 text") from error
        return content.strip().split("\n")[0].strip()

    return rule


def file_name(pattern: str) -> MetaRule:
    """What a regular expression finds in the name without suffix: its group ``meta``, else its first, else all.

    Raises:
        StartupError: it is no regular expression.

    >>> file_name(r"(?P<meta>[^_]+)_[0-9]+")(Path("x/Sam Berry_007.jpg"))
    'Sam Berry'
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise StartupError(f"{pattern} is no regular expression: {error}") from error

    def rule(photo: Path) -> str | None:
        match = compiled.search(photo.stem)
        if match is None:
            return None
        if "meta" in compiled.groupindex:
            return match["meta"]
        return match[1] if compiled.groups else match[0]

    return rule


def read_table(path: Path, delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file whose first row names columns: ``photo`` and any parameters of POST /face.

    A photo is a URL or a path, which may be relative to the file. Empty cells are left out.

    Raises:
        StartupError: the file cannot be read, or has no such column; says where.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            if "photo" not in (reader.fieldnames or ()):
                raise StartupError(f"{path}: the first row must name the columns; one of them is photo")
            for row in reader:
                if None in row or not row["photo"]:
                    raise StartupError(f"{path}:{reader.line_num}: no photo, or more cells than columns")
                yield {**{name: cell for name, cell in row.items() if cell}, "photo": _place(path, row["photo"])}
    except OSError as error:
        raise StartupError(f"{path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise StartupError(f"{path} cannot be read as CSV in UTF-8: {error}") from error


def _place(table: Path, photo: str) -> str:
    if photo.startswith(("http://", "https://")):
        return photo
    return str((table.parent / photo).resolve())
