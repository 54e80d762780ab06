"""The store's identity, its epochs, and deletions that nobody needs any more: functions of a connection."""

from __future__ import annotations

import sqlite3

from facenapi.storage.lineage import EPOCHS_KEPT, NOTE_MS, Lineage, StoreIdentity, new_name


def lineage(db: sqlite3.Connection) -> Lineage:
    """Read what the store tells of itself."""
    counters = dict(db.execute("SELECT name, value FROM counters WHERE name IN ('rev', 'floor')"))
    epochs = db.execute("SELECT name, rev FROM epochs ORDER BY seq").fetchall()
    (store,) = db.execute("SELECT value FROM about WHERE name = 'id'").fetchone()
    return Lineage(store, tuple(epochs), counters["rev"], counters["floor"])


def begin_epoch(db: sqlite3.Connection) -> StoreIdentity:
    """Begin a new epoch after the latest revision."""
    db.execute(
        "INSERT INTO epochs (name, rev) SELECT ?, value FROM counters WHERE name = 'rev'",
        (new_name(),),
    )
    db.execute("DELETE FROM epochs WHERE seq <= (SELECT max(seq) FROM epochs) - ?", (EPOCHS_KEPT,))
    return lineage(db).identity


def forget_tombstones(db: sqlite3.Connection, now_ms: int, before_ms: int, limit: int) -> int:
    """Remove tombstones from before a time, up to ``limit``; note how far revisions have come by now."""
    db.execute(
        "INSERT OR IGNORE INTO watermarks SELECT value, ?1 FROM counters WHERE name = 'rev' "
        "AND NOT EXISTS (SELECT 1 FROM watermarks WHERE abs(ms - ?1) < ?2)",
        (now_ms, NOTE_MS),
    )
    (floor,) = db.execute("SELECT ifnull(max(rev), 0) FROM watermarks WHERE ms < ?", (before_ms,)).fetchone()
    db.execute("DELETE FROM watermarks WHERE rev < ?", (floor,))
    db.execute("UPDATE counters SET value = max(value, ?) WHERE name = 'floor'", (floor,))
    return db.execute(
        "DELETE FROM tombstones WHERE rev IN (SELECT rev FROM tombstones WHERE rev <= ? ORDER BY rev LIMIT ?)",
        (floor, limit),
    ).rowcount
