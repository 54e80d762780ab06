"""After a change of models: old vectors stay while they are searched, and go when they are not."""

import tracemalloc

import numpy as np

from facenapi.search.index.index import Index
from facenapi.search.shard import Query
from facenapi.search.upkeep.reconciliation import RETIRE_S, Reconciliation
from tests.search.support import FeedStore, faces_like

VECTORS = faces_like(40)


async def reconciliation_of(store):
    reconciliation = Reconciliation(store.rev)
    reconciliation.count(await store.changes_since(0))
    return reconciliation


def found(index, model):
    return {hit.id for hit in index.search([Query("o", model, VECTORS[0], 99)])[0]}


async def test_vectors_of_an_old_model_go_when_nobody_searches_them():
    store, index = FeedStore(), Index(10)
    for number in range(4):
        index.take(store.put(number, VECTORS[number], model="old"))
    for number in range(3):
        index.take(store.put(number, VECTORS[-number], model="new"))
    assert found(index, "old") == {0, 1, 2, 3}
    assert found(index, "new") == {0, 1, 2}
    assert (await reconciliation_of(store)).remove_strangers(index) == 0
    assert found(index, "old") == {0, 1, 2, 3}  # some server has the old model still
    index.collections["o", "new"].searched_at += RETIRE_S + 1
    assert (await reconciliation_of(store)).remove_strangers(index) == 0
    assert found(index, "old") == {3}  # whose photo was not to be had
    assert found(index, "new") == {0, 1, 2}
    store.put(3, VECTORS[3], model="new")
    index.take(store.put(5, np.zeros(32), model="new"))  # cannot be searched for, but is known
    index.collections["o", "new"].searched_at += RETIRE_S + 1
    assert (await reconciliation_of(store)).remove_strangers(index) == 0
    assert set(index.collections) == {("o", "new")}


async def test_a_silent_owner_keeps_everything():
    store, index = FeedStore(), Index(10)
    index.take(store.put(1, VECTORS[0], model="old"))
    index.take(store.put(1, VECTORS[1], model="new"))
    for collection in index.collections.values():
        collection.searched_at -= 100 * RETIRE_S
    (await reconciliation_of(store)).remove_strangers(index)
    assert {model: len(found(index, model)) for model in ("old", "new")} == {"old": 1, "new": 1}


async def test_the_newest_revision_counts_whatever_the_order_of_pages():
    store, index = FeedStore(), Index(10)
    for number in range(4):
        index.take(store.put(number, VECTORS[number]))
    reconciliation, pages = Reconciliation(store.rev + 4), [await store.changes_since(0)]
    for number in (2, 0):
        index.take(store.put(number, VECTORS[number], ("g",)))
    pages.append(await store.changes_since(4))
    for page in reversed(pages):
        reconciliation.count(page)
    assert reconciliation.remove_strangers(index) == 0
    assert Reconciliation(store.rev).remove_strangers(index) == 4


async def test_millions_of_faces_are_no_objects():
    store = FeedStore()
    for number in range(2000):
        store.put(1_000_000 + number, VECTORS[number % 40])
    page, reconciliation = await store.changes_since(0, 5000), Reconciliation(store.rev)
    assert len(page.faces) == 2000
    reconciliation.count(page)  # Python keeps tuples to be used again
    tracemalloc.start()
    reconciliation.count(page)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 24 * len(page.faces)
