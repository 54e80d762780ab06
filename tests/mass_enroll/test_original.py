"""The original's documented command lines, word for word, beside a server that misbehaves on demand."""

import json
import re
import time

import pytest

from facenapi import cli
from facenapi.mass_enroll import runner
from facenapi.mass_enroll.jobfile import read_jobs, read_state
from tests.mass_enroll.stub import Stub


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(runner, "SETTLE_S", 0.01)
    monkeypatch.setattr(runner, "_FIRST_PAUSE_S", 0.01)
    stub = Stub()
    yield stub
    stub.shutdown()
    stub.server_close()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with the photos of the original's examples in it."""
    for name in ("photo1.jpg", "photo2.jpg", "subdir/photo1.jpg", "subdir/photo2.png", "subdir/photo3.jpeg",
                 "dir1/photo1.jpg", "dir1/photo2.jpg", "dir2/photo1.jpeg"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    for number in (1, 2, 3):
        (tmp_path / "subdir" / f"photo{number}.txt").write_text(f"Person {number}\n")
    (tmp_path / "meta.csv").write_text(
        '"Phillip J. Fry","dir1/photo1.jpg"\n"Phillip J. Fry","dir1/photo2.jpg"\n"Turanga Leela","dir2/photo1.jpeg"\n'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["findface-mass-enroll", *words])
    return cli.mass_enroll_main()


def prepared(here, name="ffmassenroll.job"):
    """Return the metas by the photos' paths."""
    return {job.photo.removeprefix(f"{here}/"): job.fields.get("meta") for job in read_jobs(here / name)}


@pytest.mark.parametrize(
    ("words", "metas"),
    [
        (["--meta-const=Phillip J. Fry", "*.jpg"], {"photo1.jpg": "Phillip J. Fry", "photo2.jpg": "Phillip J. Fry"}),
        (
            ["--meta-companion=txt", "subdir/*.jpg", "subdir/*.png", "subdir/*.jpeg"],
            {"subdir/photo1.jpg": "Person 1", "subdir/photo2.png": "Person 2", "subdir/photo3.jpeg": "Person 3"},
        ),
        (
            ["--meta-csv=meta.csv", "dir*/**/*.jpg", "**/*.jpeg"],
            {
                "dir1/photo1.jpg": "Phillip J. Fry",
                "dir1/photo2.jpg": "Phillip J. Fry",
                "dir2/photo1.jpeg": "Turanga Leela",
                "subdir/photo3.jpeg": None,
            },
        ),
        (["--meta-csv", "meta.csv"], {"dir1/photo1.jpg": "Phillip J. Fry", "dir1/photo2.jpg": "Phillip J. Fry",
                                      "dir2/photo1.jpeg": "Turanga Leela"}),
        (["--meta-csv=meta.csv", "--skip", "."], {"dir1/photo1.jpg": "Phillip J. Fry",
                                                  "dir1/photo2.jpg": "Phillip J. Fry",
                                                  "dir2/photo1.jpeg": "Turanga Leela"}),
        (["--meta-filename", "photo1.jpg"], {"photo1.jpg": "photo1"}),
    ],
)  # fmt: skip
def test_prepare(here, monkeypatch, words, metas):
    assert call(monkeypatch, "prepare", *words) == 0
    assert prepared(here) == metas


def test_prepare_splits_and_names_the_file_before_the_command(here, monkeypatch):
    assert call(monkeypatch, "--job", "some.job", "prepare", "--split", "2", f"{here}/*") == 0
    assert sorted({**prepared(here, "some.job.1"), **prepared(here, "some.job.2")}) == ["photo1.jpg", "photo2.jpg"]
    with pytest.raises(SystemExit, match="2"):
        call(monkeypatch, "--job", "some.job", "prepare", "--job=other.job", "*.jpg")


def test_a_table_that_does_not_fit_is_said(here, monkeypatch, capsys):
    (here / "meta.csv").write_text("Fry,dir1/photo1.jpg\nBender,dir9/photo1.jpg\n")
    assert call(monkeypatch, "prepare", "--meta-csv=meta.csv", "dir1/*.jpg") == 0
    assert "meta.csv: 1 of its images are not among the photos, dir9/photo1.jpg for one" in capsys.readouterr().err
    (here / "meta.csv").write_text("Bender,dir9/photo1.jpg\n")
    assert call(monkeypatch, "--job=b.job", "prepare", "--meta-csv=meta.csv", "dir1/*.jpg") == 1
    assert "none of its images is among the photos" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--meta-file", "dir1"], ["--csv=photos.csv"], ["--meta-regex=(x?)", "dir1"]])
def test_photos_that_are_all_skipped_are_not_called_missing(here, monkeypatch, capsys, words):
    (here / "photos.csv").write_text("photo,meta\ndir1/photo1.jpg,\ndir1/photo2.jpg,\n")
    assert call(monkeypatch, "prepare", "--skip", *words) == 1
    assert "none of the photos has a meta: --skip leaves all of them out (2)" in capsys.readouterr().err
    (here / "photos.csv").write_text("photo,meta\ndir1/photo1.jpg,\ndir1/photo2.jpg,Leela\n")
    assert call(monkeypatch, "prepare", "--skip", "--csv=photos.csv") == 0
    assert prepared(here) == {"dir1/photo2.jpg": "Leela"}


def test_run_and_print(here, monkeypatch, server, capsys):
    words = ["run", "--token", "secret", "--api", f"{server.url}/", "--gender", "--age", "--emotions",
             "--mf-selector=all", "--gallery", "staff", "--parallel", "1", "--stats-interval", "1"]  # fmt: skip
    server.galleries.append("staff")
    assert call(monkeypatch, "prepare", "--meta-const=x", "*.jpg", "subdir/*.jpg") == 0
    server.script = ["ok", "400", "lost"]
    fields = []
    keep = server.keep

    def recorded(sent, photo):
        fields.append(sent)
        return keep(sent, photo)

    server.keep = recorded
    capsys.readouterr()
    assert call(monkeypatch, *words) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-3] == "3 photos: 2 enrolled with 2 faces, 1 failed, 0 to do"
    assert said[-1] == "Why photos failed: facenapi mass-enroll print ffmassenroll.job --failed"
    assert fields == [{"meta": "x", "galleries": "staff", "gender": "1", "age": "1", "emotions": "1",
                       "mf_selector": "all"}] * 2  # fmt: skip
    assert call(monkeypatch, "print", "--failed") == 0
    [entry] = json.loads(capsys.readouterr().out)
    assert entry == {"photo": f"{here}/photo2.jpg", "meta": "x", "state": "failed", "error": "SOME_CODE: said so"}
    assert call(monkeypatch, *words, "--failed") == 0
    assert len(server.faces) == 3
    assert call(monkeypatch, "print") == 0
    assert [entry["state"] for entry in json.loads(capsys.readouterr().out)] == ["enrolled"] * 3


def test_failed_includes_the_failed(here, monkeypatch, server):
    """It leaves out none of those that are still to be done."""
    assert call(monkeypatch, "prepare", "*.jpg", "subdir/*.jpg") == 0
    words = ["run", "--token=secret", f"--api={server.url}", "--parallel=1", "--patience=0"]
    server.script = ["400", "503"]
    assert call(monkeypatch, *words) == 1
    assert len(read_state(here / "ffmassenroll.job").failed) == 1
    assert call(monkeypatch, *words, "--failed") == 0
    assert len(server.faces) == 3


def test_another_gallery_does_not_enrol_twice_what_was_in_doubt(here, monkeypatch, server):
    server.galleries += ["a", "b"]
    assert call(monkeypatch, "prepare", "*.jpg") == 0
    words = ["run", "--token=secret", f"--api={server.url}", "--parallel=1"]
    server.script = ["late"]
    assert call(monkeypatch, *words, "--gallery=a", "--patience=0") == 1
    assert call(monkeypatch, *words, "--gallery=b") == 0
    assert [face["galleries"] for face in server.faces] == [["default", "a"], ["default", "b"]]


@pytest.mark.slow
def test_figures_are_said_at_intervals(here, monkeypatch, server, capsys):
    post = Stub.keep

    def slow(self, *words):
        time.sleep(0.7)
        return post(self, *words)

    monkeypatch.setattr(Stub, "keep", slow)
    assert call(monkeypatch, "prepare", "*.jpg") == 0
    assert (
        call(monkeypatch, "run", "--token=secret", f"--api={server.url}", "--parallel=1", "--stats-interval=1") == 0
    )
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("[")]
    assert lines
    assert all(re.fullmatch(r"\[\d/2\] \d enrolled, 0 failed; \d+\.\d\d photos/s", line) for line in lines)


@pytest.mark.parametrize("option", ["--timeout=nan", "--patience=inf", "--timeout=-1", "--patience=soon"])
def test_what_is_no_time_is_wrong_usage(monkeypatch, capsys, option):
    with pytest.raises(SystemExit) as ended:
        call(monkeypatch, "run", "--token=secret", option)
    assert ended.value.code == 2
    assert f"argument {option.partition('=')[0]}: " in capsys.readouterr().err


def test_all_of_a_name_is_the_meta_even_more_than_one_line(here, monkeypatch):
    (here / "two\nlines.jpg").write_bytes(b"photo")
    assert call(monkeypatch, "prepare", "--meta-name", "two*.jpg") == 0
    assert prepared(here) == {"two\nlines.jpg": "two\nlines"}
