"""Which store the configuration means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from facenapi.storage.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from facenapi.options import Config
    from facenapi.storage.base import Store


def open_store(config: Config, *, shared: bool = False) -> Store:
    """Return the store, not started yet. ``shared``: for a command that may run beside a server."""
    folder = Path(config.data_dir) / "store"
    return SqliteStore(folder, shared=shared and (folder / "facenapi.sqlite").exists())
