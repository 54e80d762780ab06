"""Tokens: functions of a connection."""

from __future__ import annotations

import sqlite3

from facenapi.storage.base import Token


def add_token(db: sqlite3.Connection, token: Token) -> None:
    """Store a token."""
    db.execute(
        "INSERT INTO tokens VALUES (?, ?, ?, ?, ?)",
        (token.key_hash, token.owner, token.label, token.created_ms, token.active),
    )


def tokens(db: sqlite3.Connection, key_hash: str | None = None) -> list[Token]:
    """Return the token with a hash, or all, oldest first."""
    found = db.execute(
        "SELECT key_hash, owner, label, created_ms, active FROM tokens "
        "WHERE ?1 IS NULL OR key_hash = ?1 ORDER BY created_ms, key_hash",
        (key_hash,),
    )
    return [Token(key, owner, label, created, bool(active)) for key, owner, label, created, active in found]


def owners(db: sqlite3.Connection) -> list[str]:
    """Return whoever has anything; with a face comes the gallery "default"."""
    found = " UNION ".join(f"SELECT owner FROM {table}" for table in ("tokens", "galleries", "persons", "cameras"))  # noqa: S608
    return [owner for (owner,) in db.execute(f"{found} ORDER BY owner")]


def set_token_active(db: sqlite3.Connection, key_hash: str, active: bool) -> bool:
    """Revoke or revive a token."""
    return db.execute("UPDATE tokens SET active = ? WHERE key_hash = ?", (active, key_hash)).rowcount == 1
