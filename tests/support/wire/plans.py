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
        self.sorted: list[tuple[str, Command]] = []  # by no index: all that the filter finds is read, and sorted

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


def _comes_sorted(keys: list[str], query: Command, order: list[str]) -> bool:
    """Whether walking an index yields a query's documents in order: behind what is one value, the order's keys."""
    while keys and keys[0] != order[0] and keys[0] in query and _is_points(query[keys[0]]):
        keys = keys[1:]
    return keys[: len(order)] == order


def _is_points(value: Any) -> bool:
    return not isinstance(value, dict) or set(value) <= {"$in", "$eq"}
