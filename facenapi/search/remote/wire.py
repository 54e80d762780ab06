"""What shards and their clients send each other over HTTP, as bytes.

A probe travels as raw little-endian float32, a list of changes as one line of JSON followed by the
embeddings, hits as int64 ids followed by float32 similarities. Whatever comes from the other side may
be garbage: every function that reads raises ValueError unless all of it makes sense.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.search.shard import Change, Delete, Hit, Upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

_HIT_BYTES = 12


def pack_changes(changes: Sequence[Change]) -> bytes:
    """Return changes as bytes for :func:`unpack_changes`."""
    heads: list[list[Any]] = []
    embeddings = []
    for change in changes:
        if isinstance(change, Delete):
            heads.append([change.owner, change.id, change.rev])
        else:
            heads.append(
                [change.owner, change.id, change.rev, change.model, sorted(change.tags), len(change.embedding)]
            )
            embeddings.append(change.embedding)
    return b"\n".join([json.dumps(heads).encode(), b"".join(embeddings)])


def unpack_changes(data: bytes) -> list[Change]:
    """Return what :func:`pack_changes` packed."""
    line, _, rest = data.partition(b"\n")
    changes: list[Change] = []
    place = 0
    try:
        for head in json.loads(line):
            owner, face_id, rev = head[:3]
            if not (isinstance(owner, str) and _is_number(face_id) and _is_number(rev)):
                raise ValueError("A change has an owner, an id and a revision")
            if len(head) == 3:
                changes.append(Delete(owner, face_id, rev))
                continue
            model, tags, size = head[3:]
            if size < 0 or size > len(rest) - place or not all(isinstance(text, str) for text in [model, *tags]):
                raise ValueError("An added face has a model, tags and an embedding")
            changes.append(Upsert(owner, model, face_id, rev, frozenset(tags), rest[place : place + size]))
            place += size
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError("These are no changes") from error
    if place < len(rest):
        raise ValueError("There are bytes that belong to no change")
    return changes


def _is_number(value: Any) -> bool:
    """Whether it can be an id or a revision: an int64 from 0 on."""
    return type(value) is int and 0 <= value < 1 << 63


def pack_hits(hits: Sequence[Hit]) -> bytes:
    """Return hits as bytes for :func:`unpack_hits`."""
    ids = np.array([hit.id for hit in hits], "<i8").tobytes()
    body = ids + np.array([hit.similarity for hit in hits], "<f4").tobytes()
    return zlib.crc32(body).to_bytes(4, "little") + body


def unpack_hits(data: bytes, n: int) -> list[Hit]:
    """Return what :func:`pack_hits` packed: at most ``n`` different faces, best first."""
    count, odd = divmod(len(data) - 4, _HIT_BYTES)
    if odd or not 0 <= count <= n or zlib.crc32(data[4:]).to_bytes(4, "little") != data[:4]:
        raise ValueError("This is no list of hits")
    ids = np.frombuffer(data, "<i8", count, 4)
    sims = np.frombuffer(data, "<f4", count, 4 + 8 * count)
    if not (np.abs(sims) < 1.01).all() or (np.diff(sims) > 0).any() or len(np.unique(ids)) < count:
        raise ValueError("These hits cannot be")
    return [Hit(face_id, sim) for face_id, sim in zip(ids.tolist(), sims.tolist(), strict=True)]
