"""A check-up of the database: servers, indexes, and what the death of a server may have left."""

from __future__ import annotations

from facenapi.storage.base import DEFAULT_GALLERY, Finding
from facenapi.storage.mongo import indexes
from facenapi.storage.mongo.base import MongoBase, key
from facenapi.storage.mongo.documents import Document


async def report(store: MongoBase) -> list[Finding]:
    """Return all findings; walks the galleries' index."""
    server = store.driver.server
    faces = await store.faces.estimated_document_count()
    return [
        Finding(True, f"{server.version}, {server.place}, about {faces} faces and tombstones"),
        await _indexes(store),
        await _homeless(store),
    ]


async def _indexes(store: MongoBase) -> Finding:
    count, missing = indexes.COUNT, await indexes.missing(store.driver)
    if missing:
        return Finding(
            False,
            f"{len(missing)} of {count} indexes are missing: {', '.join(missing)}",
            "start the server with mongo_create_indexes on, or create them by hand",
        )
    return Finding(True, f"all {count} indexes are there")


async def _homeless(store: MongoBase) -> Finding:
    """Look for faces in galleries that are gone: a server died between storing a face and looking again."""
    every: list[Document] = [{"$match": {"owner": {"$gte": ""}}}, {"$group": {"_id": "$owner"}}]
    owners = [group["_id"] for group in await store.driver.aggregate(store.faces, every, hint="members")]
    found = []
    for owner in owners:
        stages: list[Document] = [
            {"$match": {"owner": owner}},
            {"$unwind": "$galleries"},
            {"$group": {"_id": "$galleries", "faces": {"$sum": 1}}},
        ]
        groups = await store.driver.aggregate(store.faces, stages, hint="members")
        found += [(owner, group["_id"]) for group in groups]
    named = {key(*place): place for place in found if place[1] != DEFAULT_GALLERY}
    cursor = store.galleries.find({"_id": {"$in": sorted(named)}}, {"_id": 1})
    there = {document["_id"] async for document in cursor}
    gone = sorted(f"{owner}/{name}" for place, (owner, name) in named.items() if place not in there)
    if gone:
        return Finding(
            False,
            f"faces are in galleries that do not exist: {', '.join(gone)}",
            "create these galleries again and delete them through the API",
        )
    return Finding(True, "every gallery of a face exists")
