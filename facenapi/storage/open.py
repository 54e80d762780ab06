"""Which store the configuration means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from facenapi.storage.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from facenapi.config.options import Config
    from facenapi.storage.base import Store


def database_file(config: Config) -> Path | None:
    """Return the file of the embedded store; None when the configuration chooses MongoDB by any mongo_ option."""
    if any(name.startswith("mongo_") for name in config.given):
        return None
    return Path(config.data_dir) / "store" / "facenapi.sqlite"


def place_of(config: Config) -> str:
    """Return where the store is, for people; without the credentials that a URI may hold."""
    return str(database_file(config) or f"the MongoDB database {config.mongo_db}")


def open_store(config: Config, *, shared: bool = False) -> Store:
    """Return the store, not started yet: MongoDB if any mongo_ option was given, else the embedded one.

    ``shared``: for a command that may run beside a server.
    """
    file = database_file(config)
    if file is None:
        # Imported here so that an embedded server neither waits for the drivers nor needs their memory.
        from facenapi.storage.mongo.store import MongoStore  # noqa: PLC0415

        return MongoStore(config)
    return SqliteStore(file.parent, config.store_sync, shared=shared and file.exists())
