"""Tokens: who may ask, and on whose behalf."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import time
from typing import TYPE_CHECKING

from facenapi import clock
from facenapi.errors import AuthFailed, Overloaded
from facenapi.storage.base import Token

if TYPE_CHECKING:
    from facenapi.config.options import Config
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
    key = "-"
    while key.startswith("-"):  # a command line would take it for an option
        key = secrets.token_urlsafe(12 if short else 24)
    token = Token(hash_key(key), owner or secrets.token_hex(12), label, clock.now_ms())
    await store.add_token(token)
    return key, token


class Authenticator:
    """Finds the owner behind an Authorization header, and keeps each token, and whoever has none, to a rate."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        self._store = store
        self._buckets: dict[str, tuple[float, float]] = {}
        self._cache: dict[str, tuple[float, Token | None]] = {}

    async def token(self, header: str | None) -> Token:
        """Return the token that an Authorization header names; raise AuthFailed if it is none that is good."""
        if not header:
            raise AuthFailed("A token is needed: Authorization: Token KEY")
        scheme, *keys = header.split(maxsplit=1)
        if scheme.lower() != "token" or not keys:
            raise AuthFailed("The Authorization header must be: Token KEY")
        key_hash = hash_key(keys[0].strip())
        token = await self._find(key_hash)
        if token is None or not hmac.compare_digest(token.key_hash, key_hash) or not token.active:
            raise AuthFailed("The token is unknown or not active")
        return token

    def forget(self) -> None:
        """Look tokens up anew."""
        self._cache.clear()

    def take(self, token: Token) -> None:
        """Take one request out of the token's bucket. Raises Overloaded (429) if it is empty."""
        self._take(token.key_hash, "This token makes too many requests")

    def take_stranger(self, address: str) -> None:
        """Do the same for a request without a good token: who guesses tokens may do so at the rate of one."""
        self._take(f"from {address}", "Too many requests without a good token come from this address")

    def _take(self, name: str, reason: str) -> None:
        """Take one out of a bucket, which fills at ``rate_limit`` and holds two seconds' worth."""
        rate = self._config.rate_limit
        if not rate:
            return
        now, full = time.monotonic(), max(2 * rate, 1.0)
        level, since = self._buckets.get(name, (full, now))
        level = min(full, level + (now - since) * rate)
        if level < 1:
            raise Overloaded(reason, math.ceil((1 - level) / rate), status=429)
        if len(self._buckets) >= _CACHE_SIZE:
            self._buckets.clear()
        self._buckets[name] = (level - 1, now)

    async def _find(self, key_hash: str) -> Token | None:
        now = time.monotonic()
        expires, token = self._cache.get(key_hash, (0.0, None))
        if expires <= now:
            self._cache.pop(key_hash, None)
            token = await self._store.find_token(key_hash)
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            if token is not None:  # one that is unknown may be made at any moment, by another process too
                self._cache[key_hash] = (now + CACHE_SECONDS, token)
        return token
