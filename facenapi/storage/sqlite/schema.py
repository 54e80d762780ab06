"""The tables of the embedded store, how they came to be, and how a connection is opened.

``memberships`` has a row for each gallery of each face, "default" included, so every list
and every count works alike. Triggers keep what is derived (faces of a gallery and of a person, metas with their
count and first face) in the very statement that changes a face: no code can forget it, and it costs
the same with ten faces and with ten million.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from facenapi.errors import StartupError
from facenapi.storage.ids import highest_at
from facenapi.storage.sqlite import spans

SYNC_LEVELS = ("full", "normal")

_TABLES = """
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('rev', 0), ('probe', 0);

CREATE TABLE tokens (
    key_hash TEXT PRIMARY KEY, owner TEXT NOT NULL, label TEXT NOT NULL,
    created_ms INTEGER NOT NULL, active INTEGER NOT NULL);

CREATE TABLE galleries (
    id INTEGER PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL,
    faces INTEGER NOT NULL DEFAULT 0, UNIQUE (owner, name));

CREATE TABLE persons (
    owner TEXT NOT NULL, id INTEGER NOT NULL, faces INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (owner, id)) WITHOUT ROWID;

CREATE TABLE cameras (
    seq INTEGER PRIMARY KEY, owner TEXT NOT NULL, id TEXT NOT NULL, fields TEXT NOT NULL, UNIQUE (owner, id));

CREATE TABLE faces (
    id INTEGER PRIMARY KEY, rev INTEGER NOT NULL UNIQUE, owner TEXT NOT NULL,
    x1 INTEGER NOT NULL, y1 INTEGER NOT NULL, x2 INTEGER NOT NULL, y2 INTEGER NOT NULL,
    meta TEXT NOT NULL, galleries TEXT, photo TEXT NOT NULL, photo_hash TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL, person_id INTEGER, friend INTEGER, cam_id TEXT, cam_key TEXT,
    age REAL, gender TEXT, emotions TEXT, thumbnail TEXT, normalized TEXT,
    model TEXT NOT NULL, embedding BLOB NOT NULL);
CREATE INDEX faces_of_person ON faces (owner, person_id) WHERE person_id IS NOT NULL;
CREATE INDEX sightings ON faces (owner, person_id, cam_key, timestamp_ms)
    WHERE person_id IS NOT NULL AND cam_key IS NOT NULL;

CREATE TABLE tombstones (rev INTEGER PRIMARY KEY, id INTEGER NOT NULL, owner TEXT NOT NULL);

CREATE TABLE memberships (
    gallery INTEGER NOT NULL, face INTEGER NOT NULL, meta TEXT NOT NULL,
    PRIMARY KEY (gallery, face)) WITHOUT ROWID;
CREATE INDEX memberships_by_meta ON memberships (gallery, meta, face);

CREATE TABLE metas (
    gallery INTEGER NOT NULL, meta TEXT NOT NULL, faces INTEGER NOT NULL, first INTEGER NOT NULL,
    PRIMARY KEY (gallery, meta)) WITHOUT ROWID;
CREATE INDEX metas_by_first ON metas (gallery, first);
"""

_TRIGGERS = """
CREATE TRIGGER member_added AFTER INSERT ON memberships BEGIN
    UPDATE galleries SET faces = faces + 1 WHERE id = NEW.gallery;
    INSERT INTO metas VALUES (NEW.gallery, NEW.meta, 1, NEW.face)
        ON CONFLICT DO UPDATE SET faces = faces + 1, first = min(first, NEW.face);
END;
CREATE TRIGGER member_removed AFTER DELETE ON memberships BEGIN
    UPDATE galleries SET faces = faces - 1 WHERE id = OLD.gallery;
    DELETE FROM metas WHERE gallery = OLD.gallery AND meta = OLD.meta AND faces = 1;
    UPDATE metas SET faces = faces - 1, first = CASE first WHEN OLD.face THEN
            (SELECT min(face) FROM memberships WHERE gallery = OLD.gallery AND meta = OLD.meta)
            ELSE first END
        WHERE gallery = OLD.gallery AND meta = OLD.meta;
END;
CREATE TRIGGER person_seen AFTER INSERT ON faces WHEN NEW.person_id IS NOT NULL BEGIN
    UPDATE persons SET faces = faces + 1 WHERE owner = NEW.owner AND id = NEW.person_id;
END;
CREATE TRIGGER person_lost AFTER DELETE ON faces WHEN OLD.person_id IS NOT NULL BEGIN
    UPDATE persons SET faces = faces - 1 WHERE owner = OLD.owner AND id = OLD.person_id;
END;
CREATE TRIGGER person_changed AFTER UPDATE OF person_id ON faces
WHEN OLD.person_id IS NOT NEW.person_id BEGIN
    UPDATE persons SET faces = faces - 1 WHERE owner = OLD.owner AND id = OLD.person_id;
    UPDATE persons SET faces = faces + 1 WHERE owner = NEW.owner AND id = NEW.person_id;
END;
"""

# What schema 4 takes back.
_REVISED_MEMBERSHIPS = """
ALTER TABLE memberships ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;
UPDATE memberships SET rev = (SELECT rev FROM faces WHERE id = face);
DROP INDEX memberships_by_meta;
CREATE INDEX memberships_by_meta ON memberships (gallery, meta, face, rev);
"""

# Lists read the faces themselves: a page costs what its faces cost, and no key needs a revision beside it.
_PLAIN_MEMBERSHIPS = """
DROP INDEX memberships_by_meta;
ALTER TABLE memberships DROP COLUMN rev;
CREATE INDEX memberships_by_meta ON memberships (gallery, meta, face);
"""

# Which store this is, the epochs of its life, and how far revisions had come at some times.
_LINEAGE = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO about VALUES ('id', lower(hex(randomblob(12))));
CREATE TABLE epochs (seq INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, rev INTEGER NOT NULL);
CREATE TABLE watermarks (rev INTEGER PRIMARY KEY, ms INTEGER NOT NULL);
INSERT INTO counters VALUES ('floor', 0);
"""

# Pages of events come from indexes alone, whatever is asked of them: for each set of filters an index leads to its
# events in the order of ids, and holds their times. Friends, others, and each class of late ones are walks of their
# own, which a list merges.
_EVENTS = """
DROP INDEX IF EXISTS events;
DROP INDEX IF EXISTS events_of_camera;
DROP INDEX IF EXISTS events_by_time;
DROP INDEX IF EXISTS events_of_friends;
DROP INDEX IF EXISTS events_of_camera_friends;
CREATE INDEX events ON faces (owner, late, friend, id, timestamp_ms) WHERE cam_key IS NOT NULL;
CREATE INDEX events_of_camera ON faces (owner, cam_key, late, friend, id, timestamp_ms) WHERE cam_key IS NOT NULL;
CREATE INDEX events_of_person ON faces (owner, person_id, late, friend, id, timestamp_ms)
    WHERE cam_key IS NOT NULL AND person_id IS NOT NULL;
CREATE INDEX events_of_both ON faces (owner, person_id, cam_key, late, friend, id, timestamp_ms)
    WHERE cam_key IS NOT NULL AND person_id IS NOT NULL;
CREATE INDEX events_by_time ON faces (owner, late, timestamp_ms, id, cam_key, person_id, friend)
    WHERE cam_key IS NOT NULL;
"""
# Spans as they were: of all events together.
_OLD_SPANS = "DROP TABLE IF EXISTS event_spans;" + "".join(
    f"DROP TRIGGER IF EXISTS event_added_{shift}; DROP TRIGGER IF EXISTS event_removed_{shift};"
    for shift in (40, 30, 20)
)

# Each script leads from the version of its place to the next; PRAGMA user_version says where a file is.
MIGRATIONS = (
    _TABLES + _TRIGGERS,
    _REVISED_MEMBERSHIPS,
    "",  # indexes of events that the last one makes anew, here and below
    _PLAIN_MEMBERSHIPS,
    _LINEAGE,
    "",
    "",
    _OLD_SPANS + spans.LATE + spans.TABLE + _EVENTS,
)


LOG_LIMIT = 1 << 26  # bytes


def connect(path: Path, sync: str, *, writes: bool = False) -> sqlite3.Connection:
    """Open a connection that may move between threads; transactions are up to the caller."""
    db = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=512)
    db.execute(f"PRAGMA synchronous = {sync}")
    db.execute("PRAGMA cache_size = -64000")
    db.execute("PRAGMA temp_store = MEMORY")
    # The write-ahead log: put into the file every 16 MiB, cut down after a long read has made it grow.
    db.execute("PRAGMA wal_autocheckpoint = 4000")
    db.execute(f"PRAGMA journal_size_limit = {LOG_LIMIT}")
    # Deleted embeddings are personal data: overwrite them in the file.
    db.execute("PRAGMA secure_delete = ON")
    if not writes:
        db.execute("PRAGMA query_only = ON")
    return db


def version_of(db: sqlite3.Connection) -> int:
    """Return the schema version of a file; 0 for one without tables."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def last_id(db: sqlite3.Connection) -> int:
    """Return the highest face id, those apart that were made while the clock was wrong by hours."""
    highest = min(highest_at(time.time()), 2**63 - 1)
    return int(db.execute("SELECT ifnull(max(id), 0) FROM faces WHERE id < ?", (highest,)).fetchone()[0])


def migrate(db: sqlite3.Connection) -> None:
    """Bring a file to the present schema, each step whole or not at all."""
    version = version_of(db)
    if version > len(MIGRATIONS):
        raise StartupError(
            f"The database has schema version {version}, this facenapi knows {len(MIGRATIONS)}: "
            "it was written by a newer release; install that one"
        )
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA temp_store = FILE")  # a new index of many faces is sorted there, not in memory
    for step in range(version, len(MIGRATIONS)):
        db.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[step]} PRAGMA user_version = {step + 1}; COMMIT;")
    db.execute("PRAGMA temp_store = MEMORY")
