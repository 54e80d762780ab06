"""Tokens: who may ask, and on whose behalf."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING

from facenapi import clock
from facenapi.errors import AuthFailed
from facenapi.storage.base import Token

if TYPE_CHECKING:
    from facenapi.storage.base import Store

CACHE_SECONDS = 1.0  # a revoked token works for at most this much longer
_CACHE_SIZE = 10_000


def hash_key(key: str) -> str:
    """Return what is stored of a key: its SHA-256 in hex. Keys are random, so no salt is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


async def create_token(store: Store, owner: str = "", label: str = "", short: bool = False) -> tuple[str, Token]:
    """Store a new token and return its key, which is shown this once, and its record.

    Without ``owner`` the token is a new owner. ``short``: 16 letters instead of 32.
    """
    key = secrets.token_urlsafe(12 if short else 24)
    token = Token(hash_key(key), owner or secrets.token_hex(12), label, clock.now_ms())
    await store.add_token(token)
    return key, token


class Authenticator:
    """Finds the owner behind an Authorization header."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: dict[str, tuple[float, Token | None]] = {}

    async def owner(self, header: str | None) -> str:
        """Return the owner.

        Raises:
            AuthFailed: no header, another scheme, an unknown or an inactive token.
        """
        if not header:
            raise AuthFailed("A token is needed: Authorization: Token KEY")
        scheme, _, key = header.strip().partition(" ")
        if scheme.lower() != "token" or not key.strip():
            raise AuthFailed("The Authorization header must be: Token KEY")
        key_hash = hash_key(key.strip())
        token = await self._find(key_hash)
        if token is None or not hmac.compare_digest(token.key_hash, key_hash) or not token.active:
            raise AuthFailed("The token is unknown or not active")
        return token.owner

    async def _find(self, key_hash: str) -> Token | None:
        now = time.monotonic()
        expires, token = self._cache.get(key_hash, (0.0, None))
        if expires <= now:
            token = await self._store.find_token(key_hash)
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            self._cache[key_hash] = (now + CACHE_SECONDS, token)
        return token
