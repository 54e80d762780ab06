"""Stored faces whose vectors another model made than the server's: it does not find them."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facenapi.search.client import ShardClient
    from facenapi.storage.base import Store

log = logging.getLogger(__name__)

COMMAND = "facenapi regenerate"


class ForeignFaces:
    """Counts them, where the index knows of other models at all: everybody else pays nothing."""

    def __init__(self, store: Store, searcher: ShardClient, model: str) -> None:
        self._store, self._searcher, self._model = store, searcher, model
        self._missing = self._total = 0

    def view(self) -> dict[str, Any]:
        """Return what readiness says of them: how many of how many faces, of which models, and what helps."""
        if not self._missing:
            return {}
        found = {"faces": self._missing, "of": self._total, "models": self._others(), "command": COMMAND}
        return {"not_found": found}

    async def count(self) -> None:
        """Count them as soon as every shard has been loaded, and log it when there are any for the first time.

        Raises:
            Unavailable: the store is down.
        """
        if not all(shard.ready for shard in self._searcher.shards):
            return
        before, self._missing, self._total = self._missing, 0, 0
        if self._others():
            owners = await self._store.list_owners()
            self._total = sum([await self._store.count_faces(owner) for owner in owners])
            # A face that has moved keeps its old vector in the index for a while: only the own model's count.
            self._missing = max(0, self._total - self._models()[self._model])
        if self._missing and not before:
            log.warning(
                "%d of %d stored faces are not found: their vectors are of another model (%s) than the model pack's "
                "(%s). %s moves them, as the guide says; or serve with their pack (option model_pack)",
                self._missing,
                self._total,
                ", ".join(self._others()),
                self._model,
                COMMAND,
            )

    def _others(self) -> list[str]:
        return sorted(model for model, count in self._models().items() if count and model != self._model)

    def _models(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for shard in self._searcher.shards:
            models = shard.info().get("models")
            if isinstance(models, dict):
                counts.update({str(model): int(count) for model, count in models.items()})
        return counts
