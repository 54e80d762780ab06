"""The embedded store: one SQLite file, no server to install."""

from facenapi.storage.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
