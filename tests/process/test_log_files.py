"""Log files lose no line: shared, rotated, moved, full, locked or gone."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import re
import resource
from threading import Thread

import pytest

from facenapi.config.options import Config
from facenapi.process.descriptors import open_now
from facenapi.process.logs import set_up_logging
from facenapi.process.private import open_log


@pytest.mark.parametrize("options", [
    {"log_file_max_size": 1024},
    {"log_rotate_mode": "time", "log_rotate_when": "S"},
])  # fmt: skip
def test_without_backups_the_log_file_does_not_grow_for_ever(tmp_path, options, monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    file = tmp_path / "log"
    set_up_logging(Config(log_file_prefix=str(file), log_file_num_backups=0, log_to_stderr=False, **options))
    [handler] = root.handlers
    for number in range(300):
        if number % 30 == 0:
            handler.rolloverAt = 0  # by time: it is time
        handler.emit(logging.makeLogRecord({"msg": f"line {number}", "levelname": "INFO"}))
    handler.close()
    assert [*tmp_path.iterdir()] == [file]
    assert file.stat().st_size < 2048
    assert file.read_text().endswith("line 299\n")


BY_SIZE = {"log_file_max_size": 2000, "log_file_num_backups": 500}
BY_TIME = {"log_rotate_mode": "time", "log_rotate_when": "S", "log_file_num_backups": 500}


@pytest.fixture
def file_log(tmp_path, monkeypatch):
    """Return what opens the log file of a configuration, as a process of its own does, and returns its handler."""
    root = logging.getLogger()

    def open_it(**options):
        monkeypatch.setattr(root, "handlers", [])
        set_up_logging(Config(log_file_prefix=str(tmp_path / "logs" / "log"), log_to_stderr=False, **options))
        return root.handlers[0]

    (tmp_path / "logs").mkdir()
    return open_it


def write(handler, text):
    handler.handle(logging.makeLogRecord({"msg": text, "levelname": "WARNING"}))


def lines(folder):
    return sorted(line.split()[-1] for path in folder.iterdir() for line in path.read_text().splitlines())


@pytest.mark.parametrize("options", [BY_SIZE, BY_TIME])
def test_servers_and_shards_with_one_log_file_lose_no_line_when_it_is_rotated(tmp_path, file_log, options):
    both = [file_log(**options), file_log(**options)]
    for number in range(200):
        if number == 100:  # by time: it is time for both
            for handler in both:
                handler.rolloverAt = 0
        for who, handler in enumerate(both):
            write(handler, f"{who}:{number}")
    for handler in both:
        handler.close()
    assert lines(tmp_path / "logs") == sorted(f"{who}:{number}" for who in (0, 1) for number in range(200))
    newest = (tmp_path / "logs" / "log").read_text()
    assert "0:199" in newest
    assert "1:199" in newest


def test_logrotate_may_move_the_log_file(tmp_path, file_log):
    handler, file = file_log(), tmp_path / "logs" / "log"
    write(handler, "before")
    file.rename(tmp_path / "logs" / "moved")
    write(handler, "after")
    handler.close()
    assert file.read_text().endswith("after\n")
    assert (file.stat().st_mode & 0o777, "before" in file.read_text()) == (0o640, False)


def refuse(*_):
    """Fail as in the folder /var/log for a user who has but one file in it."""
    raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize("options", [BY_SIZE, BY_TIME])
def test_a_log_file_whose_folder_refuses_to_have_it_rotated_goes_on(tmp_path, file_log, options, monkeypatch):
    handler = file_log(**options)
    monkeypatch.setattr(os, "rename", refuse)
    for number in range(200):
        handler.rolloverAt = 0
        write(handler, f"line {number}")
    handler.close()
    text = (tmp_path / "logs" / "log").read_text()
    assert [int(number) for number in re.findall(r"line (\d+)", text)] == list(range(200))
    assert text.count("cannot be rotated and goes on: Permission denied") == 1


def test_a_full_disk_is_told_in_a_line_not_in_a_page_for_each_line(tmp_path, file_log, capsys):
    (tmp_path / "logs" / "log").symlink_to("/dev/full")
    handler = file_log()
    for number in range(50):
        write(handler, f"line {number}")
    with contextlib.suppress(OSError):
        handler.close()
    said = capsys.readouterr().err
    assert (said.count("\n"), said.endswith("log cannot be written: No space left on device\n")) == (1, True)


@pytest.fixture
def full_disk(tmp_path):
    """Return what lets this process write no file beyond so many bytes, and ends that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size=resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_when_it_is_time_to_rotate_ends_no_log(tmp_path, file_log, full_disk, capsys):
    handler, folder = file_log(**BY_TIME), tmp_path / "logs"
    write(handler, "before")
    full_disk((folder / "log").stat().st_size)
    write(handler, "waiting")
    for number in range(5):
        handler.rolloverAt = 0
        write(handler, f"full {number}")
    full_disk()
    write(handler, "room")
    handler._no_rotation_before = 0.0  # an hour later
    write(handler, "later")
    handler.close()
    assert (folder / "log").read_text().endswith("later\n")
    assert "room" in lines(folder)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_log_file_that_is_removed_is_made_anew_though_it_could_not_be_rotated(tmp_path, file_log, monkeypatch):
    handler, file = file_log(**BY_TIME), tmp_path / "logs" / "log"
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        handler.rolloverAt = 0
        write(handler, "not rotated")
    file.unlink()
    write(handler, "anew")
    handler.close()
    assert file.read_text().endswith("anew\n")


def test_a_log_whose_folder_is_gone_says_so_once_and_comes_back_with_it(tmp_path, file_log):
    handler, folder = file_log(), tmp_path / "logs"
    folder.rename(tmp_path / "elsewhere")
    for number in range(3):
        write(handler, f"gone {number}")
    assert (tmp_path / "elsewhere" / "log").read_text().count("cannot be opened; the one before goes on") == 1
    folder.mkdir()
    handler._no_look_before = 0.0  # a minute later
    write(handler, "back")
    handler.close()
    assert (folder / "log").read_text().endswith("back\n")


def test_a_complaint_that_nobody_reads_is_no_error(tmp_path, file_log, monkeypatch):
    handler = file_log()
    handler.stream.close()
    handler.stream = open("/dev/full", "w", encoding="utf-8")  # noqa: PTH123, SIM115
    read, written = os.pipe()
    os.close(read)
    with open(written, "w", buffering=1, encoding="utf-8") as nobody:  # noqa: PTH123
        monkeypatch.setattr("sys.stderr", nobody)
        monkeypatch.setattr(handler, "_gone", lambda: False)
        handler.stream.write("pending")
        write(handler, "lost")
        with contextlib.suppress(OSError):
            handler.close()
        with contextlib.suppress(OSError):
            nobody.close()


@pytest.mark.parametrize("call", ["fcntl.flock", "os.dup"])
def test_a_lock_or_a_descriptor_that_is_refused_costs_no_line(tmp_path, file_log, monkeypatch, call):
    handler = file_log(**BY_SIZE)
    monkeypatch.setattr(call, refuse)
    before = open_now()
    for number in range(200):
        handler._no_rotation_before = 0.0
        write(handler, f"line {number}")
    assert open_now() == before
    handler.close()
    text = (tmp_path / "logs" / "log").read_text()
    assert [int(number) for number in re.findall(r"line (\d+)", text)] == list(range(200))


def test_a_name_that_is_no_text_is_written_as_it_can_be(tmp_path, file_log, capsys):
    handler = file_log()
    write(handler, os.fsdecode(b"/srv/caf\xe9"))
    handler.close()
    assert (tmp_path / "logs" / "log").read_text().endswith("/srv/caf\\udce9\n")
    assert capsys.readouterr().err == ""


def test_a_clock_that_is_set_back_costs_no_log(tmp_path, file_log):
    handler = file_log(log_rotate_mode="time", log_rotate_when="D")
    for number in range(3):
        write(handler, f"line {number}")
        handler.rolloverAt = 86400  # the same day each time
    handler.close()
    assert lines(tmp_path / "logs") == ["0", "1", "2"]


def test_of_logs_with_one_time_the_newest_are_kept(tmp_path, file_log):
    handler = file_log(log_rotate_mode="time", log_rotate_when="D", log_file_num_backups=3)
    (tmp_path / "logs" / "log.old").write_text("another")
    for number in range(13):
        write(handler, f"line {number:02}")
        handler.rolloverAt = 86400  # the same day each time
    handler.close()
    assert lines(tmp_path / "logs") == ["09", "10", "11", "12", "another"]


def test_a_log_that_another_process_holds_locked_keeps_nobody_waiting(tmp_path, file_log):
    handler, file = file_log(**BY_SIZE), tmp_path / "logs" / "log"
    writing = Thread(target=lambda: [write(handler, f"line {number}") for number in range(100)])
    with file.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writing.start()
        writing.join(10)
        waits = writing.is_alive()
    writing.join()
    assert not waits
    assert [*file.parent.iterdir()] == [file]
    write(handler, "line 100")
    handler.close()
    assert file.read_text().endswith("line 100\n")
    assert file.read_text().count("\n") == 1
    assert len(lines(file.parent)) == 101


def test_a_line_longer_than_a_whole_log_leaves_no_empty_one(tmp_path, file_log):
    handler = file_log(**BY_SIZE)
    for number in range(2):
        write(handler, "x" * 3000 + f" {number}")
    handler.close()
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["log", "log.1"]
    assert lines(tmp_path / "logs") == ["0", "1"]


@pytest.mark.parametrize("options", [BY_SIZE, BY_TIME])
def test_a_log_may_be_a_pipe(tmp_path, file_log, options):
    """Such as /dev/stdout; Python 3.13's own handler loses each line."""
    os.mkfifo(tmp_path / "logs" / "log")
    reader = os.open(tmp_path / "logs" / "log", os.O_RDONLY | os.O_NONBLOCK)
    handler = file_log(**options)
    handler.rolloverAt = 0
    write(handler, "line")
    handler.close()
    assert os.read(reader, 9999).endswith(b"line\n")
    os.close(reader)


def test_a_log_that_is_a_device_keeps_its_rights(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    os.close(open_log(str(pipe), os.O_RDWR))
    assert pipe.stat().st_mode & 0o777 == 0o600
