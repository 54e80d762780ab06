"""A check-up of the database: servers, indexes, and what the death of a server may have left."""

from __future__ import annotations

from facenapi.storage.base import DEFAULT_GALLERY, Finding
from facenapi.storage.mongo.base import INDEXES, MongoBase, key
from facenapi.storage.mongo.documents import Document


async def report(store: MongoBase) -> list[Finding]:
    """Return all findings; walks the galleries' index."""
    hello = await store.driver.command("hello")
    build = await store.driver.command("buildInfo")
    place = f"replica set {hello['setName']}" if "setName" in hello else "sharded cluster"
    faces = await store.faces.estimated_document_count()
    return [
        Finding(True, f"MongoDB {build['version']}, {place}, about {faces} faces and tombstones"),
        await _indexes(store),
        await _homeless(store),
    ]


async def _indexes(store: MongoBase) -> Finding:
    count = sum(map(len, INDEXES.values()))
    missing = await store.missing_indexes()
    if missing:
        return Finding(
            False,
            f"{len(missing)} of {count} indexes are missing: {', '.join(missing)}",
            "start the server with mongo_create_indexes on, or create them by hand",
        )
    return Finding(True, f"all {count} indexes are there")


async def _homeless(store: MongoBase) -> Finding:
    """Look for faces in galleries that are gone: a server died between storing a face and looking again."""
    stages: list[Document] = [
        {"$match": {"owner": {"$gte": ""}}},
        {"$unwind": "$galleries"},
        {"$group": {"_id": {"owner": "$owner", "gallery": "$galleries"}, "faces": {"$sum": 1}}},
    ]
    found = {
        (entry["_id"]["owner"], entry["_id"]["gallery"])
        for entry in await store.driver.aggregate(store.faces, stages, hint="members")
    }
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
