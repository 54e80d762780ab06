"""The store on MongoDB: a replica set or a sharded cluster.

No operation needs a transaction: everything that must be consistent lies in one document, and what spans
documents is either derived and proved against the faces when it is read (metas), or checked before and
after the write (galleries). So no hot document makes writers wait for each other, and a server that dies
between two steps leaves nothing that a client can see.
"""

from facenapi.storage.mongo.store import MongoStore

__all__ = ["MongoStore"]
