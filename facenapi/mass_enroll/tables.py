"""CSV tables of photos: ours, whose first row names its columns, and the original's rows of meta and image."""

from __future__ import annotations

import csv
import difflib
import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path

from facenapi.client import Client
from facenapi.errors import StartupError
from facenapi.mass_enroll.metas import Row, clean

# What POST /face takes.
PARAMETERS = frozenset(inspect.signature(Client.add_face).parameters) - {"self"}


def check_names(names: Iterable[str], place: str) -> None:
    """Refuse names that are no parameters of POST /face, which the server would ignore; say which may be meant.

    Raises:
        StartupError: names ``place`` and the first of them.
    """
    for name in names:
        if name not in PARAMETERS:
            close = difflib.get_close_matches(name.lower(), PARAMETERS, n=1)
            hint = f" (did you mean {close[0]}?)" if close else f"; there are {', '.join(sorted(PARAMETERS))}"
            raise StartupError(f"{place}: {name}: there is no such parameter{hint}")


def read_table(path: Path, delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file whose first row names columns: ``photo`` and any parameters of POST /face.

    A photo is a URL or a path, which may be relative to the file. Cells without text are left out.

    Raises:
        StartupError: the file cannot be read, or has no such column, or one that nobody knows; says where.
    """
    rows = _rows(path, delimiter)
    columns = [name.strip() for name in next(rows, (0, []))[1]]
    if "photo" not in columns:
        raise StartupError(f"{path}: the first row must name the columns; one of them is photo")
    check_names(columns, str(path))
    if len(set(columns)) < len(columns):
        raise StartupError(f"{path}: a column is there twice")
    for line, row in rows:
        cells = {name: clean(cell) for name, cell in zip(columns, row, strict=False) if cell.strip()}
        if len(row) > len(columns) or "photo" not in cells:
            raise StartupError(f"{path}:{line}: no photo, or more cells than columns")
        yield cells | {"photo": _place(path, row[columns.index("photo")].strip())}


def read_metas(path: Path, delimiter: str = ",") -> list[Row]:
    """Return the rows of a CSV file of ``meta,image``, without names of columns.

    An image is relative to the folder of the table, or else to the current one.

    Raises:
        StartupError: the file cannot be read, or a row is not of this form; says where.
    """
    found: list[Row] = []
    for line, row in _rows(path, delimiter):
        if len(row) != 2 or not row[1].strip():
            raise StartupError(f"{path}:{line}: a row must be meta{delimiter}image")
        image = row[1].strip()
        found.append((clean(row[0]), (path.parent / image, Path(image))))
    return found


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each row that has any."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            yield from ((reader.line_num, row) for row in reader if row)
    except OSError as error:
        raise StartupError(f"{path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise StartupError(f"{path} cannot be read as CSV in UTF-8: {error}") from error


def _place(table: Path, photo: str) -> str:
    if photo.startswith(("http://", "https://")):
        return photo
    return str((table.parent / photo).resolve())
