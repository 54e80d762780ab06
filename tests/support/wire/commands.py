"""The commands of the double, on mongomock. What a real server would refuse is refused here too, and so is
everything that the double does not know: a test must not pass because something was ignored."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import bson
import mongomock
from bson.int64 import Int64
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from tests.support.wire.plans import Command, Plans, Refused

Answer = dict[str, Any]

COMMON = {"$db", "lsid", "$clusterTime", "$readPreference", "readConcern", "txnNumber", "comment", "maxTimeMS"}
WRITES = {"writeConcern", "ordered", "bypassDocumentValidation"}
FIELDS: dict[str, set[str]] = {
    "hello": {"helloOk", "topologyVersion", "maxAwaitTimeMS", "client", "compression", "speculativeAuthenticate"},
    "ping": set(),
    "buildInfo": set(),
    "count": {"query"},
    "endSessions": set(),
    "insert": {"documents", *WRITES},
    "update": {"updates", *WRITES},
    "delete": {"deletes", *WRITES},
    "findAndModify": {"query", "update", "new", "upsert", "remove", "fields", *WRITES},
    "find": {"filter", "projection", "sort", "limit", "batchSize", "singleBatch", "hint"},
    "getMore": {"collection", "batchSize"},
    "killCursors": {"cursors"},
    "aggregate": {"pipeline", "cursor", "hint"},
    "distinct": {"key", "query"},
    "createIndexes": {"indexes", "writeConcern"},
    "listIndexes": {"cursor"},
    "listCollections": {"filter", "cursor", "nameOnly", "authorizedCollections"},
}
LARGEST = 16 * 2**20
MODIFYING = {"insert", "update", "delete", "findAndModify"}


class Commands:
    """A database server: state and commands."""

    def __init__(self, *, standalone: bool = False) -> None:
        self._standalone = standalone
        self._client = mongomock.MongoClient()
        self._cursors: dict[int, list[Any]] = {}
        self._numbers = itertools.count(1000)
        self._retryable: dict[tuple[bytes, int], Answer] = {}
        self.plans = Plans()
        self.made: dict[str, Command] = {}  # what an administrator made, by collection

    def run(self, command: Command) -> Answer:
        """Run a command; raises :class:`Refused`."""
        name = next(iter(command))
        if name not in FIELDS:
            raise Refused(59, "CommandNotFound", f"no such command: '{name}'")
        _only(command, {name, *COMMON, *FIELDS[name]}, name)
        if self._standalone and command.get("readConcern", {}).get("level") == "majority":
            raise Refused(123, "NotAReplicaSet", "node needs to be a replica set member to use read concern")
        if name in MODIFYING:
            return self._once(name, command)
        method: Callable[[Command], Answer] = getattr(self, f"_{name}")
        return method(command)

    def _once(self, name: str, command: Command) -> Answer:
        """Run a write, unless it is the second try of one that has been done."""
        concern = command.get("writeConcern", {})
        if self._standalone:
            if concern != {"w": 1, "j": True}:
                raise Refused(100, "UnsatisfiableWriteConcern", f"the double: not journalled: {concern}")
            if "txnNumber" in command:
                raise Refused(20, "IllegalOperation", "Transaction numbers are only allowed on a replica set member")
        elif concern.get("w") != "majority" or not concern.get("wtimeout"):
            raise Refused(100, "UnsatisfiableWriteConcern", f"the double: not majority with timeout: {concern}")
        if command.get("readConcern"):
            raise Refused(72, "InvalidOptions", "a write has no read concern")
        transaction = (command["lsid"]["id"], command.get("txnNumber"))
        if transaction[1] is not None and transaction in self._retryable:
            return self._retryable[transaction]
        method: Callable[[Command], Answer] = getattr(self, f"_{name}")
        answer = method(command)
        if transaction[1] is not None:
            self._retryable[transaction] = answer
        return answer

    def _collection(self, command: Command) -> Any:
        return self._client[command["$db"]][next(iter(command.values()))]

    # -- life -----------------------------------------------------------------------------------
    def _ping(self, command: Command) -> Answer:
        return {"ok": 1.0}

    _endSessions = _ping  # noqa: N815  (the command's name)

    def _buildInfo(self, command: Command) -> Answer:  # noqa: N802  (the command's name)
        return {"ok": 1.0, "version": "double"}

    def _count(self, command: Command) -> Answer:
        return {"ok": 1.0, "n": self._collection(command).estimated_document_count()}

    # -- writes ---------------------------------------------------------------------------------
    def _insert(self, command: Command) -> Answer:
        return self._each(command, "documents", lambda collection, document: collection.insert_one(document) and 1)

    def _each(self, command: Command, field: str, write: Callable[[Any, Any], int]) -> Answer:
        """Run the parts of a write; a duplicate key is the error of its part."""
        collection, count, errors = self._collection(command), 0, []
        for index, part in enumerate(command[field]):
            try:
                count += write(collection, part)
            except DuplicateKeyError as error:
                errors.append(
                    {
                        "index": index,
                        "code": 11000,
                        "errmsg": f"E11000 duplicate key error: {error}",
                        "keyPattern": {"_id": 1},
                        "keyValue": {"_id": part.get("_id")},
                    }
                )
                if command.get("ordered", True):
                    break
        return {"ok": 1.0, "n": count, **({"writeErrors": errors} if errors else {})}

    def _update(self, command: Command) -> Answer:
        modified, upserted = 0, []

        def write(collection: Any, part: Command) -> int:
            nonlocal modified
            self.plans.lead(command, part["q"])
            if len(bson.encode(part["u"])) > LARGEST:
                raise Refused(10334, "BSONObjectTooLarge", "the document is larger than 16 MB")
            _only(part, {"q", "u", "multi", "upsert"}, "update")
            operators = [name for name in part["u"] if name.startswith("$")]
            if not operators:
                method = collection.replace_one
            else:
                _known_operators(part["u"])
                method = collection.update_many if part.get("multi") else collection.update_one
            if part.get("multi") and "txnNumber" in command:
                raise Refused(72, "InvalidOptions", "a multi-update is not retryable")
            result = method(part["q"], part["u"], upsert=part.get("upsert", False))
            modified += result.modified_count
            if result.upserted_id is not None:
                upserted.append({"index": command["updates"].index(part), "_id": result.upserted_id})
                return 1
            return int(result.matched_count)

        answer = self._each(command, "updates", write)
        return answer | {"nModified": modified} | ({"upserted": upserted} if upserted else {})

    def _delete(self, command: Command) -> Answer:
        def write(collection: Any, part: Command) -> int:
            _only(part, {"q", "limit"}, "delete")
            self.plans.lead(command, part["q"])
            method = collection.delete_one if part["limit"] else collection.delete_many
            return int(method(part["q"]).deleted_count)

        return self._each(command, "deletes", write)

    def _findAndModify(self, command: Command) -> Answer:  # noqa: N802  (the command's name)
        collection, query = self._collection(command), command["query"]
        if command.get("remove"):
            return {"ok": 1.0, "value": collection.find_one_and_delete(query)}
        _known_operators(command["update"])
        when = ReturnDocument.AFTER if command.get("new") else ReturnDocument.BEFORE
        try:
            found = collection.find_one_and_update(
                query,
                command["update"],
                command.get("fields"),
                upsert=command.get("upsert", False),
                return_document=when,
            )
        except DuplicateKeyError as error:
            raise Refused(11000, "DuplicateKey", f"E11000 duplicate key error: {error}") from error
        return {"ok": 1.0, "value": found}

    # -- reads ----------------------------------------------------------------------------------
    def _find(self, command: Command) -> Answer:
        self.plans.read(command, command["filter"])
        cursor = self._collection(command).find(command["filter"], command.get("projection"))
        if command.get("sort"):
            cursor = cursor.sort(list(command["sort"].items()))
        found = list(cursor.limit(command.get("limit", 0)))
        if command.get("hint") and command.get("limit"):
            self.plans.walk(command, found, self._collection(command))
        return self._first_batch(command, found, command.get("batchSize", 101), command.get("singleBatch", False))

    def _aggregate(self, command: Command) -> Answer:
        self.plans.read(command, command["pipeline"][0]["$match"])
        self.plans.count(command, self._collection(command))
        return self._first_batch(
            command,
            list(self._collection(command).aggregate(command["pipeline"])),
            command["cursor"].get("batchSize", 101),
        )

    def _distinct(self, command: Command) -> Answer:
        self.plans.skip(command, command["query"], command["key"])
        return {"ok": 1.0, "values": self._collection(command).distinct(command["key"], command["query"])}

    def _first_batch(self, command: Command, found: list[Any], size: int, single: bool = False) -> Answer:
        number = 0
        if len(found) > size and not single:
            number = next(self._numbers)
            self._cursors[number] = found[size:]
        name = f"{command['$db']}.{next(iter(command.values()))}"
        return {"ok": 1.0, "cursor": {"id": Int64(number), "ns": name, "firstBatch": found[:size]}}

    def _getMore(self, command: Command) -> Answer:  # noqa: N802  (the command's name)
        number = command["getMore"]
        if number not in self._cursors:
            raise Refused(43, "CursorNotFound", f"cursor id {number} not found")
        left, size = self._cursors.pop(number), command.get("batchSize", 1000)
        if len(left) > size:
            self._cursors[number] = left[size:]
        cursor = {
            "id": Int64(number if len(left) > size else 0),
            "nextBatch": left[:size],
            "ns": f"{command['$db']}.{command['collection']}",
        }
        return {"ok": 1.0, "cursor": cursor}

    def _killCursors(self, command: Command) -> Answer:  # noqa: N802  (the command's name)
        for number in command["cursors"]:
            self._cursors.pop(number, None)
        return {
            "ok": 1.0,
            "cursorsKilled": command["cursors"],
            "cursorsNotFound": [],
            "cursorsAlive": [],
            "cursorsUnknown": [],
        }

    def _listCollections(self, command: Command) -> Answer:  # noqa: N802  (the command's name)
        names = sorted(set(self._client[command["$db"]].list_collection_names()) | set(self.made))
        found = [{"name": name, "type": "collection", "options": {}, **self.made.get(name, {})} for name in names]
        wanted = command["filter"]["name"]["$in"]
        answer = self._first_batch(command, [entry for entry in found if entry["name"] in wanted], 101)
        answer["cursor"]["ns"] = f"{command['$db']}.$cmd.listCollections"
        return answer

    # -- indexes --------------------------------------------------------------------------------
    def _createIndexes(self, command: Command) -> Answer:  # noqa: N802  (the command's name)
        known = self.plans.indexes.setdefault((command["$db"], command["createIndexes"]), {})
        for index in command["indexes"]:
            _only(index, {"key", "name", "partialFilterExpression"}, "index")
            other = known.get(index["name"])
            if other is not None and other != index:
                raise Refused(86, "IndexKeySpecsConflict", f"an index named {index['name']} exists")
            known[index["name"]] = index
        return {"ok": 1.0, "numIndexesBefore": 0, "numIndexesAfter": len(known)}

    def _listIndexes(self, command: Command) -> Answer:  # noqa: N802  (the command's name)
        place = (command["$db"], command["listIndexes"])
        if place not in self.plans.indexes:
            raise Refused(26, "NamespaceNotFound", f"ns does not exist: {'.'.join(place)}")
        return self._first_batch(command, [{"v": 2, **index} for index in self.plans.indexes[place].values()], 101)


def _only(command: Command, known: set[str], name: str) -> None:
    unknown = set(command) - known
    if unknown:
        raise Refused(40415, "UnknownField", f"the double does not know of {name}: {sorted(unknown)}")


def _known_operators(update: Command) -> None:
    _only(update, {"$set", "$unset", "$inc", "$min", "$max", "$setOnInsert", "$push", "$pop"}, "update")
