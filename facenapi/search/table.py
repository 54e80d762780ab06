"""The table of cells: which search shard holds which of the 1024 cells.

The file is JSON as the original server had it: a list with one row of 1024 addresses,
``[["host:port", …]]``; the address at place 17 holds the faces of cell 17.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from facenapi.errors import StartupError
from facenapi.storage.base import CELL_COUNT

if TYPE_CHECKING:
    from pathlib import Path

_ADDRESS = re.compile(r"(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})", re.ASCII)


def read_table(path: Path) -> dict[str, frozenset[int]]:
    """Return the cells of each address, in the order of their first cells; raise StartupError with advice."""
    try:
        rows = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StartupError(f"{path}: cannot be read as a table of search shards: {error}") from error
    if not (isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], list) and len(rows[0]) == CELL_COUNT):
        raise StartupError(f'{path}: must be [["host:port", …]], one row of addresses for {CELL_COUNT} cells')
    cells: dict[str, set[int]] = {}
    for cell, address in enumerate(rows[0]):
        if not isinstance(address, str):
            raise StartupError(f"{path}: cell {cell} must be a text, not {address!r}")
        split_address(address, f"{path}: cell {cell}")
        cells.setdefault(address, set()).add(cell)
    return {address: frozenset(numbers) for address, numbers in cells.items()}


def split_address(address: str, where: str) -> tuple[str, int]:
    """Return host and port of ``host:port``; raise StartupError that begins with ``where``."""
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise StartupError(f"{where}: {address!r} is not host:port")
    return match["host"].strip("[]"), int(match["port"])
