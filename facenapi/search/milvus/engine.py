"""The one place that knows pymilvus: collections, rows and filters in Milvus, and what its errors mean.

Each embedding model has a collection of its own, with a row for each face: id, owner, revision, tags and
vector. One more, with a single row, remembers how far all of them are complete.

Everything here blocks and belongs in a thread. Reads are of strong consistency: they see every write that
has returned, from whichever server. All errors become :class:`facenapi.errors.Unavailable`; the log says
why, never with the token.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import grpc
import numpy as np
from pymilvus import MilvusClient, MilvusException
from pymilvus.exceptions import ConnectionConfigException, ErrorCode

from facenapi.errors import StartupError, Unavailable
from facenapi.search.milvus import schema
from facenapi.search.milvus.schema import Row, State
from facenapi.search.shard import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pymilvus import CollectionSchema

log = logging.getLogger(__name__)

MOST_HITS = 16_384  # of one search: Milvus has no more
BATCH = 1000  # ids of a filter, rows of a write
SCAN_ROWS = 5000
EF = 256  # candidates that a search of the graph keeps, or as many as it is asked for
WRITE_S = 30.0  # who waits for a write gives up earlier; it goes on
SETUP_S = 120.0  # to make or to load a collection


class Engine:
    """A connection to Milvus. Any number of threads may read, one may write."""

    def __init__(self, uri: str, token: str = "", database: str = "", *, timeout_s: float = 5.0) -> None:
        """``token``: ``user:password`` or a key; ``timeout_s``: of connecting, and of a read."""
        self._uri, self._token, self._database = uri, token, database
        self._timeout_s = timeout_s
        self._reading = {"timeout": timeout_s, "consistency_level": schema.CONSISTENCY}
        self._client: MilvusClient | None = None
        self._dims: dict[str, int] = {}
        self._failing = False
        for name in ("pymilvus", "pymilvus.milvus_client"):  # it writes each error to stderr, with a traceback
            logging.getLogger(name).setLevel(logging.CRITICAL)

    # -- life -----------------------------------------------------------------------------------
    def connect(self) -> None:
        """Connect, anew if it is already, and get all collections ready.

        Raises Unavailable, or StartupError if the URI is none.
        """
        self.close()
        with self._translating():
            try:
                self._client = MilvusClient(
                    self._uri,
                    token=self._token,
                    db_name=self._database,
                    timeout=self._timeout_s,
                    dedicated=True,  # a shared one is never closed
                )
            except (ConnectionConfigException, ValueError):
                # The message may quote the URI, and that can hold a password.
                raise StartupError("milvus_uri is not valid: it is http://HOST:PORT or https://HOST:PORT") from None
        with self._calling() as client:
            for name in client.list_collections(timeout=self._timeout_s):
                if name.startswith(schema.PREFIX):
                    self._open(client, name)

    def close(self) -> None:
        """Disconnect; calls on their way fail. May be called twice."""
        client, self._client = self._client, None
        self._dims = {}
        if client is not None:
            client.close()

    @contextmanager
    def _calling(self) -> Iterator[MilvusClient]:
        client = self._client
        if client is None:
            raise Unavailable("The search engine is not connected")
        with self._translating():
            yield client

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (MilvusException, grpc.RpcError) as error:
            if not self._failing:  # one that is down is asked every second
                log.warning("Milvus: %s", self._say(error))
            self._failing = True
            raise Unavailable("The search engine has failed or cannot be reached") from None
        self._failing = False

    def _say(self, error: Exception) -> str:
        said = f"{error.code()}: {error.details()}" if isinstance(error, grpc.RpcError) else str(error)
        for secret in (self._token, self._token.partition(":")[2], urlsplit(self._uri).password):
            said = said.replace(secret, "…") if secret else said
        return said

    # -- collections ----------------------------------------------------------------------------
    @property
    def collections(self) -> list[str]:
        """The names of the collections of faces that are known."""
        return [name for name in list(self._dims) if name != schema.STATE]

    def find(self, model: str) -> int | None:
        """Return the length of a model's vectors, None if there are no such vectors."""
        name = schema.collection_of(model)
        if name not in self._dims:  # another server may have made it
            with self._calling() as client:
                if client.has_collection(name, timeout=self._timeout_s):
                    self._open(client, name)
        return self._dims.get(name)

    def make(self, model: str, dim: int) -> int:
        """Make the collection of a model; return its vectors' length, should another server have been quicker."""
        name = schema.collection_of(model)
        with self._calling() as client:
            self._create(client, name, schema.face_schema(model, dim))
        return self._dims[name]

    def _create(self, client: MilvusClient, name: str, fields: CollectionSchema) -> None:
        try:
            client.create_collection(name, schema=fields, consistency_level=schema.CONSISTENCY, timeout=SETUP_S)
        except MilvusException:
            if not client.has_collection(name, timeout=self._timeout_s):
                raise
        self._open(client, name)

    def _open(self, client: MilvusClient, name: str) -> None:
        """Index and load a collection, which may have been left half made."""
        if not client.list_indexes(name, field_name=schema.VECTOR):
            client.create_index(name, schema.vector_index(), timeout=SETUP_S)
            for index in schema.filter_indexes() if name != schema.STATE else ():
                try:
                    client.create_index(name, index, timeout=SETUP_S)
                except MilvusException as error:  # Milvus Lite has none for tags: it filters without
                    log.info("Milvus filters without an index: %s", self._say(error))
        client.load_collection(name, timeout=SETUP_S)
        fields = client.describe_collection(name, timeout=self._timeout_s)["fields"]
        self._dims[name] = next(int(field["params"]["dim"]) for field in fields if field["name"] == schema.VECTOR)

    def drop(self) -> None:
        """Delete all collections of faces."""
        for name in self.collections:
            with self._calling() as client:
                client.drop_collection(name, timeout=SETUP_S)
            self._dims.pop(name, None)

    # -- state ----------------------------------------------------------------------------------
    def state(self) -> State | None:
        """Return what :meth:`save` saved last, on whichever server; None if nothing or all is gone."""
        with self._calling() as client:
            try:
                rows = client.query(
                    schema.STATE,
                    filter="made > 0",
                    output_fields=["made", "rev", "source"],
                    limit=BATCH,
                    **self._reading,
                )
            except MilvusException as error:
                if error.code != ErrorCode.COLLECTION_NOT_FOUND:
                    raise
                return None
        states = (State(row["made"], row["rev"], row["source"]) for row in rows)
        return max(states, key=lambda state: state.made, default=None)  # an earlier one is of who has not seen this

    def save(self, state: State) -> None:
        """Remember how far the collections are complete."""
        with self._calling() as client:
            if schema.STATE not in self._dims:
                self._create(client, schema.STATE, schema.state_schema())
            client.upsert(schema.STATE, [state.fields()], timeout=WRITE_S)

    # -- rows -----------------------------------------------------------------------------------
    def search(self, model: str, owner: str, probe: NDArray[np.float32], k: int, tag: str | None) -> list[Hit]:
        """Return about the ``k`` most similar faces of an owner, with the tag, best first."""
        with self._calling() as client:
            (found,) = client.search(
                schema.collection_of(model),
                data=[probe],
                anns_field=schema.VECTOR,
                filter=schema.of_owner(owner, tag),
                limit=k,
                search_params={"metric_type": schema.METRIC, "params": {"ef": max(EF, k)}},
                **self._reading,
            )
        hits = [Hit(int(hit["id"]), float(hit["distance"])) for hit in found]
        return sorted(hits, key=lambda hit: (-hit.similarity, hit.id))

    def revisions(self, name: str, ids: Sequence[int]) -> dict[int, tuple[str, int]]:
        """Return owner and revision of those of at most ``BATCH`` faces that a collection has."""
        with self._calling() as client:
            rows = client.query(
                name, filter=schema.one_of(ids), output_fields=["id", "owner", "rev"], **self._reading
            )
        return {row["id"]: (schema.unquoted(row["owner"]), row["rev"]) for row in rows}

    def vectors(self, name: str, ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Return the vectors of those of at most ``BATCH`` faces that a collection has."""
        with self._calling() as client:
            rows = client.query(name, filter=schema.one_of(ids), output_fields=["id", schema.VECTOR], **self._reading)
        return {row["id"]: np.asarray(row[schema.VECTOR], np.float32) for row in rows}

    def write(self, name: str, rows: Sequence[Row]) -> None:
        """Write at most ``BATCH`` rows; those that are there already are replaced."""
        with self._calling() as client:
            client.upsert(name, [row.fields() for row in rows], timeout=WRITE_S)

    def delete(self, name: str, ids: Sequence[int]) -> None:
        """Delete at most ``BATCH`` faces."""
        with self._calling() as client:
            client.delete(name, ids=list(ids), timeout=WRITE_S)

    def delete_older(self, name: str, ids: Sequence[int], rev: int) -> None:
        """Delete those of at most ``BATCH`` faces that are of no newer revision than this."""
        with self._calling() as client:
            client.delete(name, filter=f"{schema.one_of(ids)} and rev <= {rev}", timeout=WRITE_S)

    def scan(self, name: str) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield ids and revisions of all faces of a collection, some at a time."""
        with self._calling() as client:
            pages = client.query_iterator(
                name, batch_size=SCAN_ROWS, filter="", output_fields=["id", "rev"], **self._reading
            )
            try:
                while rows := pages.next():
                    yield (
                        np.array([row["id"] for row in rows], np.int64),
                        np.array([row["rev"] for row in rows], np.int64),
                    )
            finally:
                pages.close()

    def any_newer(self, rev: int) -> int:
        """Return the revision of some face that is newer than ``rev``, 0 if none is."""
        with self._calling() as client:
            for name in self.collections:
                rows = client.query(name, filter=f"rev > {rev}", output_fields=["rev"], limit=1, **self._reading)
                if rows:
                    return int(rows[0]["rev"])
        return 0

    def count(self) -> int:
        """Return how many vectors there are."""
        with self._calling() as client:
            return sum(
                client.query(name, filter="", output_fields=["count(*)"], **self._reading)[0]["count(*)"]
                for name in self.collections
            )
