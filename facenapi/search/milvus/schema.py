"""What is stored in Milvus: collections, rows and indexes, and the filters that find rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from pymilvus import CollectionSchema, DataType, MilvusClient
from pymilvus.milvus_client import IndexParams

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

PREFIX = "facenapi_"
STATE = f"{PREFIX}source"
VECTOR = "embedding"
METRIC = "IP"  # of unit vectors: their cosine
CONSISTENCY = "Strong"
MOST_TAGS = 4096  # an array holds no more
_LONGEST = 65_535  # bytes: no text is longer


@dataclass(frozen=True, slots=True)
class Row:
    """A face. ``embedding``: unit vector (dim,)."""

    id: int
    owner: str
    rev: int
    tags: Iterable[str]
    embedding: NDArray[np.float32]

    def fields(self) -> dict[str, Any]:
        """Return what is written."""
        return {
            "id": self.id,
            "owner": _quoted(self.owner),
            "rev": self.rev,
            "tags": [_quoted(tag) for tag in self.tags],
            VECTOR: self.embedding,
        }


@dataclass(frozen=True, slots=True)
class State:
    """How far the collections are complete. ``made``: when they were begun, in nanoseconds.

    ``source``: the store that they were read of, and its epoch.
    """

    made: int
    rev: int
    source: str = ""

    def fields(self) -> dict[str, Any]:
        """Return what is written, with a vector because each row must have one."""
        return {"made": self.made, "rev": self.rev, "source": self.source, VECTOR: [1.0, 0.0]}


def collection_of(model: str) -> str:
    """Return the name of a model's collection; what a name may be made of is not for models to know."""
    return f"{PREFIX}faces_{hashlib.sha256(model.encode()).hexdigest()[:24]}"


def face_schema(model: str, dim: int) -> CollectionSchema:
    """Return the fields of a model's collection. Owners share it, each in one of its partitions."""
    fields = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False, description=model)
    fields.add_field("id", DataType.INT64, is_primary=True)
    fields.add_field("owner", DataType.VARCHAR, max_length=_LONGEST, is_partition_key=True)
    fields.add_field("rev", DataType.INT64)
    fields.add_field(
        "tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=MOST_TAGS, max_length=_LONGEST
    )
    fields.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dim)
    return fields


def state_schema() -> CollectionSchema:
    """Return the fields of the collection of states."""
    fields = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    fields.add_field("made", DataType.INT64, is_primary=True)
    fields.add_field("rev", DataType.INT64)
    fields.add_field("source", DataType.VARCHAR, max_length=_LONGEST)
    fields.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=2)
    return fields


def vector_index() -> IndexParams:
    """Return the graph over the vectors."""
    return MilvusClient.prepare_index_params(
        VECTOR, index_type="HNSW", metric_type=METRIC, params={"M": 24, "efConstruction": 200}
    )


def filter_indexes() -> list[IndexParams]:
    """Return what makes filters quick; all works without."""
    return [MilvusClient.prepare_index_params(name, index_type="INVERTED") for name in ("owner", "tags")]


def of_owner(owner: str, tag: str | None) -> str:
    """Return the filter of an owner's faces, with a tag.

    >>> of_owner('o"r', "person:")
    'owner == "o%22r" and array_contains(tags, "person:")'
    """
    of_this = f'owner == "{_quoted(owner)}"'
    return of_this if tag is None else f'{of_this} and array_contains(tags, "{_quoted(tag)}")'


def one_of(ids: Sequence[int]) -> str:
    """Return the filter of some faces.

    >>> one_of([1, 2])
    'id in [1, 2]'
    """
    return f"id in [{', '.join(map(str, ids))}]"


def _quoted(text: str) -> str:
    return quote(text, safe=":")  # nothing that means anything in a filter, or needs more than ASCII


def unquoted(text: str) -> str:
    """Return an owner as it was before it was written."""
    return unquote(text)
