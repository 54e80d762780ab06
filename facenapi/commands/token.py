"""Tokens: make, list and revoke them, also while the server runs.

facenapi token                    a new token, and with it a new owner; the key is shown this once
facenapi token --owner=OWNER      another token for an owner
facenapi token list               all, by the first digits of their hash
facenapi token revoke KEY|HASH    from now on it is refused
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import unicodedata
from collections.abc import Sequence

from facenapi import clock
from facenapi.commands.common import parse, parser
from facenapi.errors import StartupError
from facenapi.services.auth import create_token, hash_key
from facenapi.storage.base import Store
from facenapi.storage.open import database_file, open_store


def main(arguments: Sequence[str]) -> int:
    """Print a new key, or the list of tokens, or revoke one."""
    own = parser("token", __doc__)
    own.add_argument("action", nargs="?", choices=("create", "list", "revoke"), default="create")
    own.add_argument("key", nargs="?", type=_text, help="with revoke: the key, or the first digits of its hash")
    own.add_argument("--short", action="store_true", help="a key of 16 letters instead of 32")
    own.add_argument("--first", action="store_true", help="with create: only if there is no token yet")
    own.add_argument("--owner", default="", help="another key for an owner that exists")
    own.add_argument("--label", type=_text, default="", help="a note for the list")
    chosen, config = parse(own, arguments)
    if chosen.action == "revoke" and not chosen.key:
        own.error("revoke needs the key, or the first digits of its hash")
    database = database_file(config)
    if database is not None and not database.exists():
        if chosen.action != "create" or chosen.owner:
            raise StartupError(f"there is no database {database}: check --config and --data_dir")
        print(f"Making the database {database}", file=sys.stderr)
    return asyncio.run(_run(chosen, open_store(config, shared=True)))


def _text(words: str) -> str:
    """Return what can be stored and shown in a line: also what only joins letters, or a space that is wide."""
    if any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in words):
        raise argparse.ArgumentTypeError(f"must be printable text: {words!a}")
    return words


async def _run(chosen: argparse.Namespace, store: Store) -> int:
    await store.start()
    try:
        if chosen.action == "create" and chosen.first and await store.list_tokens():
            return 0
        if chosen.action == "create":
            return await _create(chosen, store)
        if chosen.action == "list":
            await _list(store)
            return 0
        return await _revoke(store, chosen.key or "")
    finally:
        await store.close()


async def _create(chosen: argparse.Namespace, store: Store) -> int:
    # After an import an owner may have faces and no token yet.
    if chosen.owner and chosen.owner not in await store.list_owners():
        print(f"facenapi token: there is no owner {chosen.owner}; facenapi token list shows them", file=sys.stderr)
        return 1
    key, token = await create_token(store, chosen.owner, chosen.label, chosen.short)
    print(f"A token for {'' if chosen.owner else 'the new '}owner {token.owner}:", file=sys.stderr)
    print(key)
    return 0


async def _list(store: Store) -> None:
    print(f"{'hash':12}  {'owner':24}  {'state':7}  {'created':19}  label")
    for token in await store.list_tokens():
        state = "active" if token.active else "revoked"
        created = clock.to_text(token.created_ms)[:19]
        print(f"{token.key_hash[:12]}  {token.owner:24}  {state:7}  {created}  {token.label}")


async def _revoke(store: Store, key: str) -> int:
    tokens = await store.list_tokens()
    found = [token for token in tokens if token.key_hash == hash_key(key)]
    if not found and len(key) >= 6:
        found = [token for token in tokens if token.key_hash.startswith(key.lower())]
    if len(found) != 1:
        short = "; of a hash, at least 6 digits are needed" if len(key) < 6 else ""
        reason = "several tokens begin so" if found else f"there is no such token{short}"
        print(f"facenapi token: {reason}", file=sys.stderr)
        return 1
    await store.set_token_active(found[0].key_hash, active=False)
    print(f"Revoked {found[0].key_hash[:12]}")
    return 0
