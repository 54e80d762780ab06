"""Each photo is enrolled exactly once, whatever the server does."""

import json
import signal
import threading
import time
from collections import Counter

import pytest

from facenapi import cli
from facenapi.mass_enroll import runner
from facenapi.mass_enroll.jobfile import Journal, journal_path, read_state, write_jobs
from tests.commands.conftest import launch
from tests.mass_enroll.stub import Stub
from tests.support.effort import daily
from tests.support.pictures_server import serve_pictures


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("FACENAPI_TOKEN", "secret")
    monkeypatch.setattr(runner, "SETTLE_S", 0.01)
    monkeypatch.setattr(runner, "_FIRST_PAUSE_S", 0.01)
    stub = Stub()
    yield stub
    stub.shutdown()
    stub.server_close()


@pytest.fixture
def photos(tmp_path):
    """Ten photos; two of them are the same file under two names."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(10):
        (folder / f"p{number}.jpg").write_bytes(b"photo %d" % min(number, 8))
    return folder


def call(*words):
    return cli.main([*map(str, words)])


def prepared(tmp_path, photos, *options):
    job = tmp_path / "staff.job"
    assert call("mass-enroll", "prepare", "--job", job, photos, *options) == 0
    return job


def run(server, job, *options):
    return call("mass-enroll", "run", job, f"--url={server.url}", *options)


def enrolled(server):
    return Counter((face["meta"], face["photo_hash"]) for face in server.faces)


def test_all_are_enrolled_and_a_second_run_does_nothing(tmp_path, server, photos, capsys):
    job = prepared(tmp_path, photos, "--meta-name")
    assert run(server, job) == 0
    assert len(server.faces) == 10
    assert {face["meta"] for face in server.faces} == {f"p{number}" for number in range(10)}
    assert run(server, job) == 0
    assert server.posts == 10
    assert call("mass-enroll", "print", job) == 0
    assert capsys.readouterr().out.endswith("10 photos: 10 enrolled with 10 faces, 0 failed, 0 to do\n")


@pytest.mark.parametrize("meta", daily([["--meta=staff"], ["--meta-name"], []]), ids=["constant", "name", "none"])
@pytest.mark.parametrize("word", ["lost", "cut", "late", "500", "503", "429"])
def test_an_unknown_outcome_is_looked_up(tmp_path, server, photos, word, meta):
    job = prepared(tmp_path, photos, *meta)
    server.script = ["ok", word, "ok", word, word, "ok"]
    assert run(server, job, "--parallel=3") == 0
    assert len(server.faces) == 10
    # The same bytes under two names are two jobs, with the same meta too.
    assert max(enrolled(server).values()) == (1 if meta == ["--meta-name"] else 2)


def test_refused_photos_fail_and_only_they_are_tried_again(tmp_path, server, photos, capsys):
    job = prepared(tmp_path, photos)
    (photos / "p3.jpg").rename(photos / "away")
    server.script = ["400", "400"]
    assert run(server, job, "--parallel=1") == 1
    assert len(server.faces) == 7
    assert call("mass-enroll", "print", job, "--failed") == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"failed    {photos}/p0.jpg: SOME_CODE: said so" in lines
    assert f"failed    {photos}/p3.jpg: {photos}/p3.jpg: No such file or directory" in lines
    posts = server.posts
    assert run(server, job) == 1
    assert server.posts == posts
    (photos / "away").rename(photos / "p3.jpg")
    assert run(server, job, "--failed") == 0
    assert server.posts == posts + 3
    assert len(server.faces) == 10


@pytest.mark.parametrize("word", daily(["500", "cut"]))
def test_a_photo_that_always_breaks_the_server_fails_alone(tmp_path, server, photos, word):
    job = prepared(tmp_path, photos)
    server.script = ["ok", word, word, word]
    assert run(server, job, "--parallel=1") == 1
    assert len(server.faces) == 9
    assert len(read_state(job).failed) == 1


def test_a_dead_server_ends_the_run_and_the_next_goes_on(tmp_path, server, photos, capsys):
    job = prepared(tmp_path, photos)
    server.script = ["ok", "late", *["503"] * 200]
    assert run(server, job, "--patience=0.2", "--parallel=2") == 1
    assert "run it again to go on" in capsys.readouterr().err
    server.script = []
    assert run(server, job) == 0
    assert len(server.faces) == 10


def test_a_server_that_is_away_for_a_while_is_waited_for(tmp_path, server, photos, monkeypatch):
    monkeypatch.setattr(runner, "_LONGEST_PAUSE_S", 0.02)
    job = prepared(tmp_path, photos)
    again = []

    def restart():
        while server.posts < 3:
            time.sleep(0.001)
        server.shutdown()
        server.server_close()
        time.sleep(0.5)
        stub = Stub(server.server_port)
        stub.faces = server.faces
        again.append(stub)

    server.keep_alive = False
    outage = threading.Thread(target=restart)
    outage.start()
    try:
        assert run(server, job, "--parallel=2") == 0
    finally:
        outage.join()
        again[0].shutdown()
        again[0].server_close()
    assert len(server.faces) == 10


def test_what_was_in_doubt_at_a_kill_is_looked_up(tmp_path, server, photos):
    job = prepared(tmp_path, photos, "--meta=x")
    journal = Journal(job)
    journal.claim(list(range(6)), 0)
    journal.enrolled(0, [server.keep({"meta": "x"}, b"photo 0")["id"]])
    journal.close()
    server.keep({"meta": "x"}, b"photo 1")
    server.keep({"meta": "x", "galleries": "other"}, b"photo 2")  # somebody else's
    server.keep({"meta": "y"}, b"photo 3")  # somebody else's
    with journal_path(job).open("ab") as file:
        file.write(b'{"job": 4, "fac')
    assert run(server, job) == 0
    assert server.posts == 8
    assert Counter(enrolled(server).values()) == {1: 8, 2: 2}


def test_a_wrong_token_ends_the_run(tmp_path, server, photos, capsys, monkeypatch):
    job = prepared(tmp_path, photos)
    assert run(server, job, "--token=wrong") == 1
    assert "AUTH_FAILED: who?" in capsys.readouterr().err
    monkeypatch.delenv("FACENAPI_TOKEN")
    assert run(server, job) == 1
    assert "FACENAPI_TOKEN" in capsys.readouterr().err


def test_no_server(tmp_path, server, photos, capsys):
    job = prepared(tmp_path, photos)
    assert call("mass-enroll", "run", job, "--url=http://127.0.0.1:9") == 1
    assert capsys.readouterr().err.startswith("facenapi: http://127.0.0.1:9 does not answer")


def test_galleries_are_made_on_request(tmp_path, server, photos, capsys):
    job = prepared(tmp_path, photos, "--galleries=staff,vip", "--set=age=1")
    assert run(server, job) == 1
    assert "there is no gallery staff" in capsys.readouterr().err
    server.script = ["lost"]
    assert run(server, job, "--create-galleries") == 0
    assert server.galleries == ["default", "staff", "vip"]
    assert len(server.faces) == 10


def test_urls_are_sent_as_such(tmp_path, server):
    table = tmp_path / "list.csv"
    table.write_text("photo;meta\nhttp://photos/a.jpg;A\nhttp://photos/b.jpg;B\n")
    job = tmp_path / "staff.job"
    assert call("mass-enroll", "prepare", "-j", job, f"--csv={table}", "--delimiter=;") == 0
    server.script = ["lost", "lost"]
    assert run(server, job, "--parallel=1") == 0
    assert [face["photo"] for face in server.faces] == ["http://photos/a.jpg", "http://photos/b.jpg"]


def test_urls_are_known_by_the_photos_hash_where_the_server_keeps_photos(tmp_path, server, monkeypatch):
    keep, urls = server.keep, serve_pictures([b"one", b"two"])

    def kept(fields, _):
        number = urls.index(fields["photo"])
        face = keep(fields | {"photo": f"http://server/uploads/{number}.jpg"}, [b"one", b"two"][number])
        return face | {"thumbnail": face.setdefault("thumbnail", "http://server/uploads/t.jpg")}

    server.keep = kept
    table = tmp_path / "list.csv"
    table.write_text("\n".join(["photo", *urls]))
    assert call("mass-enroll", "prepare", "-j", tmp_path / "staff.job", f"--csv={table}") == 0
    server.script = ["lost", "cut"]
    assert run(server, tmp_path / "staff.job", "--parallel=1") == 0
    assert [face["photo"] for face in server.faces] == [f"http://server/uploads/{number}.jpg" for number in (0, 1)]


def test_parts_hold_all_photos_once(tmp_path, server, photos):
    job = prepared(tmp_path, photos, "--meta-name", "--split=3")
    parts = [job.with_name(f"staff.job.{number}") for number in (1, 2, 3)]
    assert not job.exists()
    for part in parts:
        assert run(server, part) == 0
    assert sorted(face["meta"] for face in server.faces) == [f"p{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "prepare needs photos"),
        (["{photos}", "--csv=x"], "prepare needs photos, or --csv"),
        (["{photos}", "--set=age"], "NAME=VALUE"),
        (
            ["{photos}", "--set=Gallery=x"],
            "--set=Gallery=x: Gallery: there is no such parameter (did you mean galleries?)",
        ),
        (["{photos}", "--meta-csv={photos}/p1.jpg"], "a row must be meta,image"),
        (["{photos}/*.png"], "no photo matches"),
        (["{photos}", "--meta-regex=[0-5]$"], "4 photos have no meta"),
        (["{photos}/none"], "there is no such file"),
        (["{photos}/empty"], "there are no photos"),
    ],
)
def test_what_cannot_be_prepared_is_said(tmp_path, photos, capsys, options, complaint):
    (photos / "empty").mkdir()
    words = [option.format(photos=photos) for option in options]
    assert call("mass-enroll", "prepare", f"--job={tmp_path}/j", *words) == 1
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "j").exists()


def test_photos_without_meta_are_skipped_on_request(tmp_path, photos):
    job = prepared(tmp_path, photos, "--meta-regex=[0-5]$", "--skip")
    assert [json.loads(line)["meta"] for line in job.read_text().splitlines()[1:]] == list("012345")


def test_metas_come_from_files_beside_the_photos(tmp_path, photos):
    for number in range(10):
        (photos / f"p{number}.name").write_text(f"Person {number}\nborn long ago\n")
    job = prepared(tmp_path, photos, "--meta-file", "--meta-suffix=.name")
    metas = [json.loads(line)["meta"] for line in job.read_text().splitlines()[1:]]
    assert metas == [f"Person {number}" for number in range(10)]


def test_a_job_file_with_a_journal_is_kept(tmp_path, photos, capsys):
    job = prepared(tmp_path, photos)
    assert call("mass-enroll", "prepare", "--job", job, photos) == 1
    assert "exists already" in capsys.readouterr().err


@pytest.mark.slow
def test_a_reader_that_has_enough_ends_the_list_quietly(tmp_path):
    job = tmp_path / "long.job"
    write_jobs(job, [{"photo": f"/photos/{number:0100}.jpg"} for number in range(5000)])
    process = launch("mass-enroll", "print", job, "--all")
    assert process.stdout.readline().startswith("open")
    process.stdout.close()
    assert process.wait(30) == -signal.SIGPIPE
    assert process.stderr.read() == ""
    process.stderr.close()


def test_nothing_and_wrong_numbers_are_wrong_usage(tmp_path):
    with pytest.raises(SystemExit, match="2"):
        call("mass-enroll")
    with pytest.raises(SystemExit, match="2"):
        call("mass-enroll", "run", tmp_path / "x", "--parallel=0")
