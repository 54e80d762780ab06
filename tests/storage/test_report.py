"""The check-up finds what is wrong and says what to do."""

from __future__ import annotations

import pytest

from facenapi.storage.sqlite import SqliteStore
from tests.storage.samples import add


async def test_a_sound_store_is_well(store):
    await store.add_gallery("ann", "staff")
    await add(store, "a", "b", galleries=("staff",), person_id=await store.new_person("ann"))
    findings = await store.report()
    assert all(finding.well and finding.text and not finding.advice for finding in findings), findings
    assert len(findings) >= 3


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        ("DROP INDEX events", "events"),
        ("DROP TRIGGER member_added", "member_added"),
        ("UPDATE galleries SET faces = 7", "faces in galleries: 1 wrong"),
        ("UPDATE metas SET first = first + 1", "metas: 2 wrong"),
        ("INSERT INTO metas VALUES (1, 'ghost', 1, 5)", "metas without faces: 1 wrong"),
        ("UPDATE persons SET faces = 9", "faces of persons: 1 wrong"),
        ("DELETE FROM memberships", "faces without gallery: 2 wrong"),
        ("DELETE FROM faces", "members without faces: 2 wrong"),
    ],
)
async def test_the_embedded_store_finds_damage(tmp_path, damage, text):
    store = SqliteStore(tmp_path)
    await store.start()
    await add(store, "a", "b", person_id=await store.new_person("ann"))
    await store._write(lambda db: db.execute(damage))
    findings = [finding for finding in await store.report() if not finding.well]
    assert text in " ".join(finding.text for finding in findings)
    assert all("backup" in finding.advice for finding in findings)
    await store.close()


@pytest.mark.parametrize("store", ["motor-double", "pymongo-double"], indirect=True)
async def test_mongodb_misses_indexes_and_galleries(store, double):
    await store.add_gallery("ann", "staff")
    await add(store, "a", galleries=("staff",))
    await store.galleries.delete_many({})
    del double.commands.plans.indexes["facenapi", "faces"]["feed"]
    bad = [finding for finding in await store.report() if not finding.well]
    assert [finding.text.split(": ")[1] for finding in bad] == ["faces.feed", "ann/staff"]
    assert all(finding.advice for finding in bad)
