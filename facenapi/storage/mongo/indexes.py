"""Which indexes there are, and how they are made at the start."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo import IndexModel
from pymongo.errors import OperationFailure

from facenapi.errors import StartupError

if TYPE_CHECKING:
    from facenapi.storage.mongo.driver import Driver

logger = logging.getLogger(__name__)

_SEEN, _KNOWN = {"cam_key": {"$exists": True}}, {"person_id": {"$exists": True}}
# Events come in the order of their ids where each of these has one value, or few; their times are in the index.
_IN_ORDER = {"late": 1, "friend": 1, "_id": 1, "timestamp": 1}
# By collection and name: keys, and for partial indexes which documents. Every filter of the API has one.
INDEXES: dict[str, dict[str, tuple[dict[str, int], dict[str, Any] | None]]] = {
    "faces": {
        "members": ({"owner": 1, "galleries": 1, "_id": 1}, None),
        "metas": ({"owner": 1, "galleries": 1, "meta": 1, "_id": 1}, None),
        "persons": ({"owner": 1, "person_id": 1, "_id": 1}, _KNOWN),
        "sightings": ({"owner": 1, "person_id": 1, "cam_key": 1, "timestamp": 1}, _SEEN),
        "history": ({"owner": 1, "event": 1, **_IN_ORDER}, {"event": True}),
        "history_of_camera": ({"owner": 1, "cam_key": 1, **_IN_ORDER}, _SEEN),
        "history_of_person": ({"owner": 1, "person_id": 1, "event": 1, **_IN_ORDER}, {"event": True, **_KNOWN}),
        "history_of_both": ({"owner": 1, "person_id": 1, "cam_key": 1, **_IN_ORDER}, {**_SEEN, **_KNOWN}),
        "history_by_time": ({"owner": 1, "event": 1, "late": 1, "timestamp": 1, "_id": 1}, {"event": True}),
        "feed": ({"rev": 1, "cell": 1}, None),
        "tombstones": ({"gone": 1, "rev": 1}, {"gone": True}),
    },
    "metas": {"by_first": ({"owner": 1, "gallery": 1, "first": 1}, None)},
    "galleries": {"names": ({"owner": 1, "name": 1}, None)},
    "persons": {"numbers": ({"owner": 1, "number": 1}, None)},
    "cameras": {"order": ({"owner": 1, "seq": 1}, None)},
}
COUNT = sum(map(len, INDEXES.values()))
BUILD_S = 24 * 3600.0  # among millions of faces the first building of an index takes minutes


async def missing(driver: Driver) -> list[str]:
    """Return the indexes that are not there as they should be, as collection.name."""
    names = []
    for collection, indexes in INDEXES.items():
        found = await driver.indexes(collection)
        names += [f"{collection}.{name}" for name, (keys, _) in indexes.items() if found.get(name) != [*keys.items()]]
    return names


async def make(driver: Driver) -> None:
    """Make the indexes that are missing, those of a collection in one pass; raise StartupError if others forbid."""
    for collection, indexes in INDEXES.items():
        found = await driver.indexes(collection)
        models = [
            IndexModel([*keys.items()], name=name, **_options(driver, partial))
            for name, (keys, partial) in indexes.items()
            if found.get(name) != [*keys.items()]
        ]
        if not models:
            continue
        logger.info("MongoDB makes %d indexes of %s; the start waits for them", len(models), collection)
        try:
            with pymongo.timeout(BUILD_S):  # in place of that for ordinary operations
                await driver.collection(collection).create_indexes(models)
        except OperationFailure as error:
            if error.code not in (85, 86):  # IndexOptionsConflict, IndexKeySpecsConflict
                raise
            names = ", ".join(f"{collection}.{model.document['name']}" for model in models)
            raise StartupError(
                f"MongoDB has another index in the place of one of {names}: drop it, or make it as "
                f"docs/howto/mongodb.rst says; MongoDB: {str((error.details or {}).get('errmsg', ''))[:200]}"
            ) from None


def _options(driver: Driver, partial: dict[str, Any] | None) -> dict[str, Any]:
    return {} if partial is None or driver.server.ferret else {"partialFilterExpression": partial}
