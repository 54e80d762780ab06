"""Starting on servers of all kinds: what is welcome, what is refused, and with which words."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from facenapi.config.options import Config
from facenapi.errors import StartupError, Unavailable
from facenapi.storage.mongo import MongoStore, driver
from tests.storage.conftest import FERRET, mongo_config
from tests.storage.mongo.support import LASTING, everything
from tests.storage.samples import add, new_face, read_feed
from tests.support.ferret import Ferret
from tests.support.wire import Fault, WireDouble

# A client that is closed while one of the driver's monitors is just connecting leaves that socket to the collector.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <socket\.socket:pytest.PytestUnraisableExceptionWarning"
)


# -- starting -------------------------------------------------------------------------------------


async def refused(config: Config) -> str:
    with pytest.raises(StartupError) as caught:
        await MongoStore(config).start()
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_no_server_stops_the_start_and_the_password_stays_secret(kind, double, caplog):
    caplog.set_level(logging.DEBUG)
    uri = "mongodb://admin:s3cret@127.0.0.1:1/?authSource=admin"
    message = await refused(Config(mongo_uri=uri, mongo_driver=kind, mongo_timeout=0.2))
    assert "mongo_uri" in message
    assert "s3cret" not in message + caplog.text


@pytest.mark.parametrize(
    "uri", ["mongodb://a:s3cret@", "http://s3cret", "mongodb://s3:cr:et@h/", "mongodb://h/?s3=&tls"]
)
async def test_a_uri_that_is_none_is_refused_without_repeating_it(kind, uri):
    assert "s3" not in await refused(Config(mongo_uri=uri, mongo_driver=kind))


async def test_a_standalone_server_is_written_by_its_journal_and_read_as_it_can(kind, caplog):
    with WireDouble(standalone=True) as double:
        store = MongoStore(mongo_config(double, mongo_driver=kind))
        await store.start()
        double.faults = [Fault("insert", "drop after"), Fault("findAndModify", "drop before")]
        [face] = await add(store, "a")
        assert await everything(store) == [face]
        assert (await read_feed(store))[0] == [face]
        assert await store.delete_face("ann", face.id) == face
        await store.close()
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1
    assert "standalone" in warned[0]


@pytest.mark.parametrize(
    "wish", ["readPreference=secondary", "readConcernLevel=available", "w=0", "w=1&journal=false"]
)
async def test_what_a_uri_says_weakens_no_read_and_no_write(kind, double, wish):
    """The double refuses weaker writes; it cannot tell a secondary, so what is asked of it is looked at."""
    uri = f"mongodb://127.0.0.1:{double.port}/?{wish}"
    store = MongoStore(Config(mongo_uri=uri, mongo_driver=kind))
    await store.start()
    [face] = await add(store, "a")
    assert await everything(store) == [face]
    await store.close()
    for command in double.seen:
        assert command.get("$readPreference", {"mode": "primary"})["mode"] in ("primary", "primaryPreferred"), command
        assert command.get("readConcern", {"level": "local"})["level"] in ("local", "majority"), command


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"mongo_db": "a.b"}, "mongo_db"),
        ({"mongo_db": ""}, "mongo_db"),
        ({"mongo_uri": "mongodb://127.0.0.1:1/?tls=true&tlsCAFile=/nonexistent"}, "certificate"),
        ({"mongo_uri": "mongodb://127.0.0.1:1/?tls=true&tlsCAFile=" + __file__}, "certificate"),
        ({"mongo_host": "::1,[::2],h:1,h", "mongo_port": 9}, "ServerSelection"),
    ],
)
async def test_options_that_cannot_be_used_are_named(kind, options, word):
    assert word in await refused(Config(mongo_driver=kind, mongo_timeout=0.2, **options))


def test_hosts_without_a_port_get_one():
    config = Config(mongo_host="::1,[::2]:7, h:1,[fe80::3],h", mongo_port=9)
    assert driver._uri_of(config) == "mongodb://[::1]:9,[::2]:7,h:1,[fe80::3]:9,h:9"


@pytest.mark.parametrize(
    "hello", [{"isWritablePrimary": False, "secondary": True}, {"isWritablePrimary": False, "setName": None}]
)
async def test_a_server_that_takes_no_writes_is_refused_with_advice(kind, double, hello):
    double.hello = hello
    uri = f"mongodb://127.0.0.1:{double.port}/?directConnection=true"
    message = await refused(Config(mongo_uri=uri, mongo_driver=kind, mongo_timeout=0.5))
    assert "directConnection" in message


@pytest.mark.parametrize(
    "made",
    [{"options": {"collation": {"locale": "en", "strength": 2}}}, {"type": "view"}, {"options": {"capped": True}}],
)
async def test_a_collection_that_does_not_keep_documents_as_they_are_is_refused(kind, double, made):
    double.commands.made["galleries"] = made
    assert "galleries" in await refused(mongo_config(double, mongo_driver=kind))


@pytest.mark.slow
async def test_making_an_index_may_take_longer_than_an_answer(kind, double):
    double.faults = [Fault("createIndexes", "slow", seconds=0.4)]
    store = MongoStore(mongo_config(double, mongo_driver=kind, mongo_timeout=0.2))
    await store.start()  # an answer may take three times the time-out
    await store.close()


async def test_a_database_of_a_newer_release_is_refused(store, double):
    await store.about.update_one({"_id": "schema"}, {"$set": {"version": 99}})
    assert "newer release" in await refused(mongo_config(double))


async def test_indexes_can_be_left_to_an_administrator(kind, double):
    config = mongo_config(double, mongo_driver=kind, mongo_create_indexes=False)
    assert "faces.members" in await refused(config)
    store = MongoStore(mongo_config(double))
    await store.start()
    await store.close()
    store = MongoStore(config)
    await store.start()
    await store.close()


async def test_an_index_that_is_in_the_way_is_named(store, double):
    indexes = double.commands.plans.indexes["facenapi", "faces"]
    indexes["feed"] = {"key": {"rev": -1}, "name": "feed"}
    assert "faces.feed" in await refused(mongo_config(double))


async def test_health_needs_a_write_that_a_majority_confirms(store, double):
    await store.ping()
    double.faults = [Fault("findAndModify", "unconfirmed", LASTING)]
    with pytest.raises(Unavailable, match="confirmed"):
        await store.ping()


@pytest.mark.slow
def test_motor_gets_a_thread_for_each_connection():
    code = (
        "from facenapi.config.options import Config; from facenapi.storage.mongo.driver import Driver; "
        "Driver(Config(mongo_pool_size=37, mongo_driver='motor')); "
        "import motor.frameworks.asyncio as m; print(m.max_workers)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "37\n"


# -- FerretDB -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(FERRET is None, reason="FerretDB is not built")
async def test_ferretdb_as_a_replica_set_is_written_by_its_majority(kind, tmp_path, caplog):
    with Ferret(tmp_path, replica_set="rs0") as server:
        uri = f"mongodb://127.0.0.1:{server.port}/?directConnection=true"
        store = MongoStore(Config(mongo_uri=uri, mongo_driver=kind))
        await store.start()
        assert store.driver.server.place == "replica set rs0"
        [face, other] = await add(store, "a", "b")
        assert (await read_feed(store))[0] == [face, other]
        assert await store.delete_face("ann", face.id) == face
        assert await everything(store) == [other]
        # More updates in one command than it has connections to its own database would never end.
        assert len(await store.add_faces([new_face(owner="bob", meta=str(i)) for i in range(120)])) == 120
        findings = await store.report()
        assert all(finding.well for finding in findings)
        await store.close()
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert [word in warned[0] for word in ("partial indexes", "$min", "indexes and of hints")] == [True] * 3
    assert len(warned) == 1
