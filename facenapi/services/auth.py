"""Tokens: who may ask, and on whose behalf."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import secrets
import time
from typing import TYPE_CHECKING

from facenapi import clock
from facenapi.errors import AuthFailed, Overloaded
from facenapi.storage.base import Token
from facenapi.storage.open import database_file

if TYPE_CHECKING:
    from facenapi.config.options import Config
    from facenapi.storage.base import Store

CACHE_SECONDS = 1.0  # a revoked token works for at most this much longer, with the embedded store
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


class Buckets:
    """One bucket for each name: it fills at a rate and holds two seconds' worth."""

    def __init__(self) -> None:
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, name: str, rate: float) -> float:
        """Take one out of a bucket; return how many seconds are missing to one, 0 if it was there."""
        now, full = time.monotonic(), max(2 * rate, 1.0)
        level, since = self._levels.get(name, (full, now))
        level = min(full, level + (now - since) * rate)
        if level < 1:
            return (1 - level) / rate
        if len(self._levels) >= _CACHE_SIZE:
            since_full = now - full / rate  # who took nothing since then has a full bucket, as if unknown
            self._levels = {known: held for known, held in self._levels.items() if held[1] > since_full}
        if len(self._levels) >= _CACHE_SIZE:
            self._levels.clear()
        self._levels[name] = (level - 1, now)
        return 0.0


def network_of(address: str) -> str:
    """Return whose an address is: the network of 64 bits that one subscriber has in IPv6, itself in IPv4.

    >>> network_of("2001:db8::7:1"), network_of("192.0.2.1"), network_of("::ffff:192.0.2.1"), network_of("unknown")
    ('2001:db8::/64', '192.0.2.1', '192.0.2.1', 'unknown')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    found = getattr(found, "ipv4_mapped", None) or found
    return str(ipaddress.ip_network((int(found), 64), strict=False)) if found.version == 6 else str(found)


class Authenticator:
    """Finds the owner behind an Authorization header, and keeps each token, and whoever has none, to a rate."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        self._store = store
        # Several servers with one database agree at once.
        self._cached_s = CACHE_SECONDS if database_file(config) else 0.0
        self._buckets, self._strangers = Buckets(), Buckets()  # apart: strangers are as many as they like
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
        self._take(self._buckets, token.key_hash, "This token makes too many requests")

    def take_stranger(self, address: str) -> None:
        """Do the same for a request without a good token, from its address.

        It tells busy strangers to come less often. It does not make guessing harder, which 24 random bytes do: a
        good token is looked up and taken from any address, for others may be behind the same one.
        """
        self._take(self._strangers, network_of(address), "Too many requests without a good token from this address")

    def _take(self, buckets: Buckets, name: str, reason: str) -> None:
        rate = self._config.rate_limit
        missing_s = buckets.take(name, rate) if rate else 0.0
        if missing_s:
            raise Overloaded(reason, math.ceil(missing_s), status=429)

    async def _find(self, key_hash: str) -> Token | None:
        now = time.monotonic()
        expires, token = self._cache.get(key_hash, (0.0, None))
        if expires <= now:
            self._cache.pop(key_hash, None)
            token = await self._store.find_token(key_hash)
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            # One that is unknown may be made at any moment, by another process too.
            if token is not None and self._cached_s:
                self._cache[key_hash] = (now + self._cached_s, token)
        return token
