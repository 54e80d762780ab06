"""A check-up of the file: is it whole, is the schema as this release makes it, are the derived figures right."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from facenapi.storage.base import Finding
from facenapi.storage.sqlite import schema
from facenapi.storage.sqlite.folder import check

_RESTORE = "stop the server and restore the file from a backup, or export each owner and import into a new folder"

# Each yields a row for every figure that is not what the faces say.
_DERIVED = {
    "faces in galleries": "SELECT 1 FROM galleries g WHERE faces != (SELECT count(*) FROM memberships "
    "WHERE gallery = g.id)",
    "metas": "SELECT gallery, meta, count(*), min(face) FROM memberships GROUP BY gallery, meta "
    "EXCEPT SELECT gallery, meta, faces, first FROM metas",
    "metas without faces": "SELECT gallery, meta FROM metas EXCEPT SELECT gallery, meta FROM memberships",
    "faces of persons": "SELECT 1 FROM persons p WHERE faces != (SELECT count(*) FROM faces "
    "WHERE owner = p.owner AND person_id = p.id)",
    "members without faces": "SELECT face FROM memberships EXCEPT SELECT id FROM faces",
    "spans of events": "SELECT owner, late, id >> 20, count(*) FROM faces WHERE cam_key IS NOT NULL "
    "GROUP BY 1, 2, 3 EXCEPT SELECT owner, late, span, events FROM event_spans WHERE shift = 20",
    "faces without gallery": "SELECT id FROM faces EXCEPT SELECT face FROM memberships",
}


def report(db: sqlite3.Connection, path: Path) -> list[Finding]:
    """Return all findings; reads the whole file."""
    sizes = [part.stat().st_size for part in (path, path.with_name(path.name + "-wal")) if part.exists()]
    faces = db.execute("SELECT count(*) FROM faces").fetchone()[0]
    stones = db.execute("SELECT count(*) FROM tombstones").fetchone()[0]
    return [
        Finding(
            True,
            f"embedded store {path}: {sum(sizes) / 2**20:.1f} MiB, SQLite {sqlite3.sqlite_version}, "
            f"{faces} faces, {stones} tombstones",
        ),
        _schema(db),
        _file(db),
        *(_derived(db, name, query) for name, query in _DERIVED.items()),
    ]


def _schema(db: sqlite3.Connection) -> Finding:
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    try:
        schema.migrate(fresh)
        wanted, found = _objects(fresh), _objects(db)
    finally:
        fresh.close()
    wrong = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
    text = f"schema version {schema.version_of(db)}, {len(found)} tables, indexes and triggers"
    if wrong:
        return Finding(False, f"{text}; not as they should be: {', '.join(wrong)}", _RESTORE)
    return Finding(True, text)


def _objects(db: sqlite3.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"))


def _file(db: sqlite3.Connection) -> Finding:
    try:
        check(db)
    except sqlite3.DatabaseError as error:
        return Finding(False, str(error), _RESTORE)
    return Finding(True, "the file is whole")


def _derived(db: sqlite3.Connection, name: str, query: str) -> Finding:
    wrong = db.execute(f"SELECT count(*) FROM ({query})").fetchone()[0]  # noqa: S608  (constants)
    if wrong:
        return Finding(False, f"{name}: {wrong} wrong", _RESTORE)
    return Finding(True, f"{name}: as the faces say")
