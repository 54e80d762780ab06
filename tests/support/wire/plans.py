"""Which index leads the double's queries, as a real server would have to find them."""

from __future__ import annotations

from typing import Any

Command = dict[str, Any]


class Refused(Exception):
    """An answer with ok 0."""

    def __init__(self, code: int, name: str, message: str, *labels: str) -> None:
        super().__init__(message)
        self.answer = {"ok": 0.0, "code": code, "codeName": name, "errmsg": message}
        if labels:
            self.answer["errorLabels"] = list(labels)


class Plans:
    """The indexes, and what was asked for that none of them serves."""

    def __init__(self) -> None:
        self.indexes: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self.unhinted: list[Command] = []
        # How many keys of an index were looked at, for what; only if a test sets a list here, for it takes long.
        self.walked: list[tuple[int, Command]] | None = None
        self.counted: list[int] | None = None  # the same of each group that was made
        self.sorted: list[tuple[str, Command]] = []  # by no index: all that the filter finds is read, and sorted

    def walk(self, command: Command, found: list[Any], collection: Any) -> None:
        """Count the keys of an index that were looked at for what a query has found."""
        if self.walked is None:
            return
        index = self.indexes[command["$db"], next(iter(command.values()))][command["hint"]]
        led = _led(list(index["key"]), command["filter"])
        order = next(iter(command.get("sort") or {"_id": 1}))
        keys = [document[order] for document in collection.find(led, {order: 1})]
        if command.get("sort") and len(found) == command["limit"] and command not in [c for _, c in self.sorted]:
            end, descending = found[-1][order], next(iter(command["sort"].values())) < 0
            keys = [key for key in keys if (key >= end if descending else key <= end)]
        self.walked.append((len(keys), command))

    def count(self, command: Command, collection: Any) -> None:
        """Count the keys of an index that an aggregation looks at."""
        if self.counted is not None:
            index = self.indexes[command["$db"], next(iter(command.values()))][command["hint"]]
            led = _led(list(index["key"]), command["pipeline"][0]["$match"])
            self.counted.append(collection.count_documents(led))

    def skip(self, command: Command, query: Command, key: str) -> None:
        """Check that an index leads from one value of a key to the next."""
        place = (command["$db"], next(iter(command.values())))
        found = [
            list(index["key"])
            for index in self.indexes.get(place, {}).values()
            if set(index.get("partialFilterExpression", ())) <= set(query)
        ]
        if not any(set(keys[: len(query)]) == set(query) and keys[len(query)] == key for keys in found):
            self.unhinted.append(command)

    def lead(self, command: Command, query: Command) -> None:
        """Note a write that no index leads to its documents: it would read the whole collection."""
        place = (command["$db"], next(iter(command.values())))
        if not any(next(iter(index["key"])) in query for index in self.indexes.get(place, {}).values()):
            self.read({name: value for name, value in command.items() if name != "hint"}, query)

    def read(self, command: Command, query: Command) -> None:
        """Check that a query names an index it can use; one by _id and one for everything need none."""
        place = (command["$db"], next(iter(command.values())))
        name = command.get("hint")
        if name is None:
            if query and "_id" not in query:
                self.unhinted.append(command)
            return
        index = self.indexes.get(place, {}).get(name)
        if index is None:
            raise Refused(2, "BadValue", f"hint {name} does not correspond to an existing index")
        if next(iter(index["key"])) not in query:
            raise Refused(2, "BadValue", f"the double: the query does not begin where index {name} does")
        if "partialFilterExpression" in index and {"$in": []} in query.values():
            raise Refused(291, "NoQueryExecutionPlans", "No query solutions: nothing can be in an empty list")
        if command.get("sort") and not _comes_sorted(list(index["key"]), query, list(command["sort"])):
            self.sorted.append((name, command))
        for field, value in index.get("partialFilterExpression", {}).items():
            if field not in query or (value is True and query[field] is not True):
                raise Refused(2, "BadValue", f"the double: partial index {name} does not cover the query")


def _led(keys: list[str], query: Command) -> Command:
    """Return the part of a query that bounds a walk of an index: single values, then one range."""
    led: Command = {}
    for key in keys:
        if key not in query:
            break
        led[key] = query[key]
        if not _is_points(query[key]):
            break
    return led


def _comes_sorted(keys: list[str], query: Command, order: list[str]) -> bool:
    """Whether walking an index yields a query's documents in order: behind what is one value, the order's keys."""
    while keys and keys[0] != order[0] and keys[0] in query and _is_points(query[keys[0]]):
        keys = keys[1:]
    return keys[: len(order)] == order


def _is_points(value: Any) -> bool:
    return not isinstance(value, dict) or set(value) <= {"$in", "$eq"}
