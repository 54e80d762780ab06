"""Which store the configuration means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from facenapi.storage.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from facenapi.options import Config
    from facenapi.storage.base import Store


def open_store(config: Config, *, shared: bool = False) -> Store:
    """Return the store, not started yet: MongoDB if any mongo_ option was given, else the embedded one.

    ``shared``: for a command that may run beside a server.
    """
    if any(name.startswith("mongo_") for name in config.given):
        # Imported here so that an embedded server neither waits for the drivers nor needs their memory.
        from facenapi.storage.mongo.store import MongoStore  # noqa: PLC0415

        return MongoStore(config)
    folder = Path(config.data_dir) / "store"
    return SqliteStore(folder, config.store_sync, shared=shared and (folder / "facenapi.sqlite").exists())
