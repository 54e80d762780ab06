"""Tokens and strangers are kept to a rate, each apart from the others."""

import pytest

from facenapi.config.options import Config
from facenapi.errors import AuthFailed, Overloaded
from facenapi.services.auth import Authenticator, hash_key
from facenapi.storage.base import Token

KNOWN = Token("0" * 64, "ann", "", 0)
KNOWN_KEY = Token(hash_key("key"), "ann", "", 0)


def refusal(take, whom):
    """Take one; return the status of the refusal, if any."""
    try:
        take(whom)
    except Overloaded as refused:
        return refused.status
    return None


def spent(auth):
    """Take until the token's bucket is empty."""
    assert 429 in [refusal(auth.take, KNOWN) for _ in range(10)]


def test_strangers_from_everywhere_fill_no_bucket_of_a_token():
    auth = Authenticator(Config(rate_limit=1), None)
    spent(auth)
    for number in range(10_001):
        auth.take_stranger(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    spent(auth)


def test_the_addresses_of_one_subscriber_are_one_stranger():
    auth = Authenticator(Config(rate_limit=1), None)
    assert 429 in [refusal(auth.take_stranger, f"2001:db8::{number:x}:1") for number in range(10)]
    auth.take_stranger("2001:db8:0:1::1")


def test_buckets_of_who_has_rested_make_room(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("facenapi.services.auth.time.monotonic", lambda: now[0])
    monkeypatch.setattr("facenapi.services.auth._CACHE_SIZE", 3)
    auth = Authenticator(Config(rate_limit=1), None)
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        auth.take_stranger(address)
    now[0] += 3
    for _ in range(2):
        auth.take_stranger("192.0.2.3")
    auth.take_stranger("192.0.2.4")  # there is no room, and the first two have rested
    with pytest.raises(Overloaded):
        auth.take_stranger("192.0.2.3")


class Tokens:
    """A store that knows a token, until it is revoked."""

    token = KNOWN_KEY

    async def find_token(self, key_hash):
        return self.token if self.token and self.token.key_hash == key_hash else None


@pytest.mark.parametrize("given", [(), ("mongo_host",)], ids=["embedded", "mongo"])
async def test_servers_with_one_database_agree_on_a_revoked_token_at_once(given):
    store = Tokens()
    auth = Authenticator(Config(given=frozenset(given)), store)
    assert (await auth.token("Token key")).owner == "ann"
    store.token = None
    if not given:
        assert (await auth.token("Token key")).owner == "ann"
        auth.forget()
    with pytest.raises(AuthFailed):
        await auth.token("Token key")
