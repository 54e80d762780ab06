"""Tokens."""

from __future__ import annotations

from facenapi.storage.base import Token
from facenapi.storage.mongo.base import MongoBase
from facenapi.storage.mongo.documents import Document
from facenapi.storage.mongo.driver import int64, operation


class Tokens(MongoBase):
    """The part of the store that keeps tokens."""

    @operation
    async def add_token(self, token: Token) -> None:
        """Store a token."""
        document = {
            "owner": token.owner,
            "label": token.label,
            "created": int64(token.created_ms),
            "active": token.active,
        }
        await self.repeated(lambda: self.tokens.replace_one({"_id": token.key_hash}, document, upsert=True))

    @operation
    async def find_token(self, key_hash: str) -> Token | None:
        """Return the token with this hash."""
        document = await self.tokens.find_one({"_id": key_hash})
        return _token(document) if document else None

    @operation
    async def list_tokens(self) -> list[Token]:
        """Return all tokens, oldest first."""
        found = [_token(document) async for document in self.tokens.find({})]
        return sorted(found, key=lambda token: (token.created_ms, token.key_hash))

    @operation
    async def list_owners(self) -> list[str]:
        """Return whoever has anything here; with a face comes its meta."""
        places = (self.galleries, self.persons, self.cameras, self.metas)
        owners = {owner for place in places for owner in await place.distinct("owner", {})}
        return sorted(owners | {token.owner for token in await self.list_tokens()})

    @operation
    async def set_token_active(self, key_hash: str, active: bool) -> bool:
        """Revoke or revive a token."""
        result = await self.repeated(lambda: self.tokens.update_one({"_id": key_hash}, {"$set": {"active": active}}))
        return bool(result.matched_count)


def _token(document: Document) -> Token:
    return Token(document["_id"], document["owner"], document["label"], int(document["created"]), document["active"])
