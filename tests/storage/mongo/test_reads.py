"""Reading from MongoDB: what is tried again, which indexes lead, how documents are made."""

from __future__ import annotations

import asyncio
import random
import uuid

import pytest
from bson.int64 import Int64

from facenapi.config.options import Config
from facenapi.errors import Overloaded, Unavailable
from facenapi.storage.base import FaceChange, FaceFilter, Page, Token
from facenapi.storage.ids import make_id
from facenapi.storage.mongo import MongoStore, lists
from facenapi.storage.mongo.indexes import INDEXES
from facenapi.storage.mongo.lateness import BOUNDS_MS, lateness, window
from tests.storage.conftest import REAL_URI, mongo_config
from tests.storage.mongo.support import everything, seen
from tests.storage.samples import NOON, add, ids, new_face
from tests.support.effort import LONG, daily
from tests.support.skewed import OWNER, World, fill
from tests.support.wire import Fault

# A client that is closed while one of the driver's monitors is just connecting leaves that socket to the collector.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <socket\.socket:pytest.PytestUnraisableExceptionWarning"
)


# -- reading --------------------------------------------------------------------------------------


async def test_a_cursor_that_is_lost_in_the_middle_is_reported_not_the_end(store, double):
    await store.add_faces([new_face() for _ in range(300)])
    double.faults = [
        Fault(
            "getMore",
            "refuse",
            answer={"ok": 0.0, "code": 43, "codeName": "CursorNotFound", "errmsg": "cursor id 5 not found"},
        )
    ]
    with pytest.raises(Unavailable):
        await store.changes_since(0)
    assert len((await store.changes_since(0)).faces) == 300


@pytest.mark.parametrize("fault", ["drop before", "not primary"])
async def test_a_read_is_tried_again(store, double, fault):
    [face] = await add(store, "a")
    double.faults = [Fault("find", fault)]
    assert await everything(store) == [face]


@pytest.mark.slow
async def test_a_slow_answer_keeps_nobody_else_waiting(store, double):
    double.faults = [Fault("find", "slow", seconds=0.5, collection="tokens")]
    slow = asyncio.ensure_future(store.find_token("h"))
    await asyncio.sleep(0.05)
    await asyncio.gather(*(store.count_faces("ann") for _ in range(5)))
    assert not slow.done()
    assert await slow is None


async def test_operations_are_bounded(store, double):
    store.max_in_flight = 2
    double.faults = [Fault("find", "slow", 2, seconds=0.2)]
    waiting = [asyncio.ensure_future(store.find_token("h")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await store.list_tokens()
    await asyncio.gather(*waiting)
    assert await store.list_tokens() == []


async def test_the_feed_is_read_from_what_a_majority_has(store, double):
    await store.changes_since(0)
    assert [find["readConcern"]["level"] for find in seen(double, "find", "faces")] == ["majority"]


# -- indexes and documents ------------------------------------------------------------------------


async def test_every_query_names_its_index(store, double):
    await store.add_gallery("ann", "staff")
    person = await store.new_person("ann")
    await add(store, "a", "b", galleries=("staff",), person_id=person, cam_id="c")
    for where in (
        FaceFilter(),
        FaceFilter(gallery="staff"),
        FaceFilter(meta="a"),
        FaceFilter(person_id=person),
        FaceFilter(events=True),
        FaceFilter(events=True, friend=True),
        FaceFilter(cam_ids=("c",)),
        FaceFilter(cam_ids=("c",), person_id=person),
        FaceFilter(events=True, person_id=person),
        FaceFilter(events=True, start_ms=0),
        FaceFilter(gallery="staff", meta="a"),
    ):
        await store.list_faces("ann", where, Page())
    await store.list_metas("ann", "staff", Page())
    await store.count_faces("ann", "staff")
    await store.list_persons("ann", Page())
    await store.list_cameras("ann")
    await store.list_galleries("ann")
    await store.sighting_days("ann", person, "c", 0, 1)
    await store.delete_faces("ann", FaceFilter(meta="a"))
    await store.changes_since(0)
    await store.forget_tombstones(2, 1)
    assert double.commands.plans.unhinted == []
    # Events of a short time are few: they alone are sorted, all others come in order.
    assert {name for name, _ in double.commands.plans.sorted} == {"history_by_time"}
    used = {command["hint"] for command in double.seen if "hint" in command}
    assert used == {name for indexes in INDEXES.values() for name in indexes}


async def test_of_very_many_cameras_only_the_page_is_read(store, double):
    count = lists.AT_ONCE * lists.CAMERAS_AT_ONCE + 1
    for number in range(3):
        await store.add_faces([new_face(cam_id=f"c{camera}") for camera in range(number, count)])
    where = FaceFilter(cam_ids=tuple(f"c{camera}" for camera in range(count)))
    everything = sorted(face.id for face in await store.list_faces("ann", FaceFilter(), Page(1000)))
    double.seen.clear()
    page = await store.list_faces("ann", where, Page(7))
    assert [face.id for face in page] == everything[:-8:-1]
    walks = [command for command in double.seen if command.get("hint") == "history_of_camera"]
    assert len(walks) == lists.AT_ONCE + 1
    assert all(command["projection"] == {"_id": 1} for command in walks)
    page = await store.list_faces("ann", where, Page(7, min_id=everything[0]))
    assert [face.id for face in page] == everything[7:0:-1]


@pytest.mark.slow
@pytest.mark.gen_test(timeout=600 if LONG else 60)
async def test_any_filters_are_led_to_their_page(store, double):
    """Every combination: by an index that yields the order, past no more keys of it than twice what is found."""
    world = World(150, pace=0.02)
    await fill(store, world)
    plans = double.commands.plans
    plans.walked = []
    filters = random.Random(3).sample([*world.history().values()], 500 if LONG else 20)
    for where in (FaceFilter(events=True, end_ms=world.time_at(0.5)), *world.lists().values(), *filters):
        for page in (Page(10), Page(10, max_id=world.id_at(0.5))):
            await store.list_faces(OWNER, where, page)
    await store.list_persons(OWNER, Page(10))
    assert plans.unhinted == []
    assert {name for name, _ in plans.sorted} <= {"history_by_time"}
    assert [walk for walk in plans.walked if walk[0] > 2 * walk[1]["limit"] + lists.FEW] == []
    assert len(plans.walked) > 100


async def test_events_of_an_earlier_release_are_found_and_get_a_class(store, kind, double):
    [first, *_] = await add(store, "a", "b", "c", cam_id="c")
    await store.faces.update_many({}, {"$unset": {"late": ""}})
    await store.about.update_one({"_id": "schema"}, {"$unset": {"classes": ""}})
    [later] = await add(store, "d", cam_id="c")
    for where in (FaceFilter(events=True), FaceFilter(cam_ids=("c",)), FaceFilter(events=True, end_ms=NOON)):
        assert ids(await store.list_faces("ann", where, Page()))[::3] == ids([later, first])
    await store.add_token(Token("h", "ann", "", 1))
    other = MongoStore(mongo_config(double, mongo_driver=kind))
    await other.start()
    await asyncio.wait([loop.task for loop in other.loops])
    assert await store.faces.count_documents({"late": None}) == 0
    assert await store.faces.count_documents({"late": lateness(first.id, first.timestamp_ms)}) == 4
    assert len(await store.list_faces("ann", FaceFilter(events=True, end_ms=NOON), Page())) == 4
    await other.close()


@pytest.mark.parametrize("delay_s", [0, 1, -1, 19, -21, 200, 7000, -7000, 80_000, 10**6, -(10**6), 10**9, -(10**8)])
def test_the_window_of_a_class_has_its_events(delay_s):
    time_ms = 1_700_000_000_123
    face_id = make_id(time_ms / 1000 + delay_s, 1023)
    late = lateness(face_id, time_ms)
    for start, end in ((time_ms, None), (None, time_ms), (time_ms, time_ms), (time_ms - 1, time_ms + 1)):
        low, high = window(late, start, end)
        assert low < face_id < high
    if abs(late) < len(BOUNDS_MS):
        assert high - low < 2 * BOUNDS_MS[abs(late)] * 2.5 * 1024 + 2**20


async def test_numbers_that_can_grow_are_64_bits_wide(store, double):
    person = await store.new_person("ann")
    await add(store, "a", person_id=person)
    [insert] = seen(double, "insert", "faces")
    [document] = insert["documents"]
    assert {name for name, value in document.items() if isinstance(value, Int64)} == {
        "_id",
        "rev",
        "changed",
        "timestamp",
        "person_id",
    }


async def test_other_clients_get_in_between(store, double):
    """A second server on the same database sees what the first one does, and neither undoes the other."""
    other = MongoStore(mongo_config(double))
    await other.start()
    names = [f"g{i}" for i in range(6)]
    for name in names:
        await store.add_gallery("ann", name)
    [face] = await add(store, "a")
    await asyncio.gather(
        *(
            (store, other)[i % 2].update_face("ann", face.id, FaceChange(add_galleries=(name,)))
            for i, name in enumerate(names)
        )
    )
    assert (await other.get_faces("ann", [face.id]))[face.id].galleries == ("default", *names)
    deleted = await asyncio.gather(*((store, other)[i % 2].delete_face("ann", face.id) for i in range(4)))
    assert sum(found is not None for found in deleted) == 1
    await other.close()


# -- plans ----------------------------------------------------------------------------------------

FILTERS = {
    "members": FaceFilter(gallery="staff"),
    "metas": FaceFilter(meta="a"),
    "persons": FaceFilter(person_id=1),
    "history": FaceFilter(events=True),
    "history_of_camera": FaceFilter(cam_ids=("c", "d")),
    "history_of_person": FaceFilter(events=True, person_id=1, friend=True),
    "history_of_both": FaceFilter(cam_ids=("c",), person_id=1),
    "history_by_time": FaceFilter(events=True, start_ms=0),
}


@pytest.mark.parametrize("index", daily(FILTERS, 3))
async def test_each_filter_has_its_index(store, double, index):
    await add(store, "a", cam_id="c")
    await store.list_faces("ann", FILTERS[index], Page())
    assert seen(double, "find", "faces")[-1]["hint"] == index


if REAL_URI:

    def stages(plan):
        """Yield a plan and all plans below it."""
        yield plan
        for child in [plan.get("inputStage"), *plan.get("inputStages", []), plan.get("queryPlan")]:
            if child:
                yield from stages(child)

    @pytest.mark.parametrize("index", FILTERS)
    async def test_a_real_server_walks_the_index_in_order(index):
        store = MongoStore(Config(mongo_uri=REAL_URI, mongo_db=f"facenapi_test_{uuid.uuid4().hex[:12]}"))
        await store.start()
        await add(store, "a", person_id=await store.new_person("ann"), cam_id="c", friend=True)
        [(query, hint)] = await store._queries("ann", FILTERS[index], Page(10))
        assert hint == index
        plan = await store.faces.find(query, hint=index).sort("_id", -1).limit(10).explain()
        found = list(stages(plan["queryPlanner"]["winningPlan"]))
        assert {stage.get("indexName") for stage in found} - {None} == {index}
        # Events of a short time are few: they alone are sorted, all others come in order.
        assert ("SORT" in {stage.get("stage") for stage in found}) == (index == "history_by_time")
        await store.driver.drop()
        await store.close()
