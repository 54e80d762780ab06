"""Which store this is, and whether what was read of a store still holds for this one.

A store has an id for life and begins a new *epoch* whenever a server opens it, and when it is restored or
imported into. An epoch begins after a revision, so the list of epochs says which revisions were given out in which
of them. Who has read the feed up to a revision in an epoch has read of this very store if the epoch is on the list
and the next one did not begin before that revision. A backup that is put back, by a command or by hand, fails that:
its next server begins an epoch below what the reader knows, or the reader's epoch is not on the list at all. Kafka's
leader epoch (KIP-101) is the same idea.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

EPOCHS_KEPT = 40  # who has slept through so many starts reads everything anew
NOTE_MS = 86_400_000  # between notes of how far revisions have come


def new_name() -> str:
    """Return a name that no other store or epoch has."""
    return secrets.token_hex(12)


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """A store and its present epoch.

    >>> StoreIdentity.parse(str(StoreIdentity("a", "b")))
    StoreIdentity(id='a', epoch='b')
    """

    id: str
    epoch: str

    def __str__(self) -> str:
        return f"{self.id}/{self.epoch}"

    @classmethod
    def parse(cls, text: str) -> StoreIdentity:
        """Return the identity of a text; one that no store has for any other text."""
        name, _, epoch = text.partition("/")
        return cls(name, epoch)


@dataclass(frozen=True, slots=True)
class Lineage:
    """All that a store tells of itself.

    ``epochs``: name of each and the revision after which it began, the present one last. ``last``: the latest
    revision. ``floor``: deletions up to this revision may have been forgotten.
    """

    id: str
    epochs: tuple[tuple[str, int], ...]
    last: int
    floor: int = 0

    @property
    def identity(self) -> StoreIdentity:
        """The store and its present epoch."""
        return StoreIdentity(self.id, self.epochs[-1][0] if self.epochs else "")

    def holds(self, identity: StoreIdentity, rev: int, newest: int = 0) -> bool:
        """Whether what was read in that epoch up to ``rev``, and heard up to ``newest``, is true of this store.

        >>> lineage = Lineage("s", (("a", 0), ("b", 10)), 12)
        >>> [lineage.holds(StoreIdentity("s", "a"), rev) for rev in (3, 10, 11)]
        [True, True, False]
        >>> lineage.holds(StoreIdentity("s", "b"), 5, 13), lineage.holds(StoreIdentity("t", "b"), 5)
        (False, False)
        """
        ends = [begun for _, begun in self.epochs[1:]] + [self.last]
        for (name, _), end in zip(self.epochs, ends, strict=False):
            if name == identity.epoch:
                return self.id == identity.id and max(rev, newest) <= end
        return False
