"""Job files and their journals."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys

import pytest

from facenapi.errors import StartupError
from facenapi.mass_enroll.jobfile import Job, Journal, journal_path, read_jobs, read_state, write_jobs
from tests.support.live import ROOT


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "staff.job"
    write_jobs(file, [{"photo": "/a.jpg", "meta": "Ä"}, {"photo": "http://h/b.jpg"}])
    return file


def test_jobs_come_back(path):
    first, second = read_jobs(path)
    assert first == Job(0, "/a.jpg", {"meta": "Ä"})
    assert not first.is_url
    assert second == Job(1, "http://h/b.jpg", {})
    assert second.is_url


def test_a_job_file_is_never_overwritten(path):
    with pytest.raises(FileExistsError):
        write_jobs(path, [])


def test_a_job_file_is_whole_or_absent_whatever_ends_its_writing(tmp_path):
    def jobs():
        yield {"photo": "/a.jpg"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_jobs(tmp_path / "staff.job", jobs())
    assert list(tmp_path.iterdir()) == []


def test_kill_9_leaves_no_half_of_a_job_file(tmp_path):
    code = f"""if True:
        import os, signal
        from pathlib import Path
        from facenapi.mass_enroll.jobfile import write_jobs
        def jobs():
            yield from ({{"photo": "/a.jpg"}} for _ in range(10000))
            os.kill(os.getpid(), signal.SIGKILL)
        write_jobs(Path({str(tmp_path)!r}) / "staff.job", jobs())
    """
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == -signal.SIGKILL
    assert not (tmp_path / "staff.job").exists()
    assert write_jobs(tmp_path / "staff.job", [{"photo": "/a.jpg"}]) == 1


def test_a_disk_without_hard_links_will_do(tmp_path, monkeypatch):
    def none(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.hardlink_to", none)
    file = tmp_path / "staff.job"
    write_jobs(file, [{"photo": "/a.jpg"}])
    with pytest.raises(FileExistsError):
        write_jobs(file, [])
    assert [job.photo for job in read_jobs(file)] == ["/a.jpg"]
    assert list(tmp_path.iterdir()) == [file]


def test_names_that_are_not_utf_8_come_back(tmp_path):
    file = tmp_path / "staff.job"
    name = os.fsdecode(b"/caf\xe9 \xc3\xa9.jpg")
    write_jobs(file, [{"photo": name}])
    [job] = read_jobs(file)
    assert os.fsencode(job.photo) == b"/caf\xe9 \xc3\xa9.jpg"
    json.loads(file.read_text(encoding="utf-8").splitlines()[1])
    with Journal(file) as journal:
        journal.failed(0, f"{name}: no such file")
    assert read_state(file).failed == {0: f"{name}: no such file"}


@pytest.mark.parametrize("content", ["", "{}", "[1]\n", '{"facenapi_mass_enroll": 2}\n', "photo\n"])
def test_other_files_are_refused(path, content):
    path.write_text(content)
    with pytest.raises(StartupError, match=r"staff\.job"):
        list(read_jobs(path))


def test_a_damaged_line_is_refused(path):
    path.write_text(path.read_text() + '{"meta": "x"}\n')
    with pytest.raises(StartupError, match="damaged"):
        list(read_jobs(path))


def test_the_last_line_about_a_job_counts(path):
    journal = Journal(path)
    journal.claim([0, 1, 2], 500)
    journal.enrolled(0, [1024])
    journal.failed(1, "NO_FACES: none")
    assert journal.state.in_doubt == {2: 500}
    journal.claim([1, 2], 900)
    journal.close()
    state = read_state(path)
    assert state.enrolled == {0}
    assert state.faces == {1024}
    assert state.failed == {}
    # The second job was settled when it was claimed again, the third was not.
    assert state.in_doubt == {1: 900, 2: 500}


def test_a_line_cut_short_is_forgotten(path):
    journal = Journal(path)
    journal.claim([0], 1)
    journal.enrolled(0, [7])
    journal.close()
    whole = journal_path(path).read_bytes()
    journal_path(path).write_bytes(whole[:-3])
    assert read_state(path).in_doubt == {0: 1}
    again = Journal(path)
    assert again.state.in_doubt == {0: 1}
    again.enrolled(0, [7])
    again.close()
    assert journal_path(path).read_bytes() == whole


def test_one_process_at_a_time(path):
    journal = Journal(path)
    with pytest.raises(StartupError, match="being run by another process"):
        Journal(path)
    journal.close()
    Journal(path).close()


def test_a_damaged_journal_is_refused(path):
    journal_path(path).write_text("nonsense\n")
    with pytest.raises(StartupError, match="damaged"):
        read_state(path)
    with pytest.raises(StartupError, match="damaged"):
        Journal(path)


def test_a_full_disk_leaves_no_half_line_for_the_next_to_stand_behind(path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path) as journal:
        journal.enrolled(0, [1])
        room = journal_path(path).stat().st_size + 10
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                journal.failed(1, "x" * 100)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        journal.enrolled(1, [2])
    assert read_state(path).enrolled == {0, 1}
