"""Files are private, who may not do something is told in a line, a full disk is called that."""

import asyncio
import errno
import json
import logging
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from facenapi.config.options import Config
from facenapi.process import private
from facenapi.process.logs import set_up_logging
from facenapi.process.private import room_fault
from tests.commands.conftest import ROOT
from tests.support.server import serving

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


def run_as(user: int, *commands, **options):
    """Run commands as a user who need not be able to read the program: that is loaded before. How each ended."""
    code = (
        "import os, sys, json, pkgutil, importlib, facenapi.commands, facenapi.cli as cli\n"
        "for found in pkgutil.iter_modules(facenapi.commands.__path__):\n"
        "    importlib.import_module('facenapi.commands.' + found.name)\n"
        "import facenapi.storage.sqlite.store, facenapi.detector.packs.pack\n"
        f"os.setgroups([]); os.setgid({user}); os.setuid({user})\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    if not (child := os.fork()):\n"
        "        status = cli.main(command)\n"
        "        sys.stdout.flush(); os._exit(status)\n"
        "    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        "    print(chr(0), status, chr(0), sep='', end='', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([[*map(str, command)] for command in commands])],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, check=True, timeout=200, **options,
    )  # fmt: skip
    parts = done.stdout.split(chr(0))[:-1]
    return [(int(status), said.strip()) for said, status in zip(parts[::2], parts[1::2], strict=True)]


@pytest.fixture
def shared():
    """A folder that every user can get to."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


async def test_everything_in_the_data_folder_is_for_its_user_alone(tmp_path):
    before = os.umask(0o022)
    try:
        private.keep_private()
        async with serving(tmp_path / "data", photo_storage="files") as client:
            await client.enrol()
        made = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    finally:
        os.umask(before)
    assert len(made) > 8
    assert [path for path in made if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("mode", ["size", "time"])
def test_logs_are_for_the_group_too(tmp_path, mode):
    before, root = os.umask(0o077), logging.getLogger()
    handlers = list(root.handlers)
    try:
        set_up_logging(Config(log_file_prefix=str(tmp_path / "log"), log_to_stderr=False, log_rotate_mode=mode))
        logging.getLogger("x").error("a line")
    finally:
        os.umask(before)
        for handler in set(root.handlers) - set(handlers):
            handler.close()
            root.removeHandler(handler)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o640
    assert "a line" in (tmp_path / "log").read_text()


@pytest.mark.slow
@as_root
@pytest.mark.parametrize("mode", [0o700, 0o755], ids=["closed", "readable"])
async def test_who_may_not_is_told_in_a_line(shared, mode):
    async with serving(shared / "data"):
        pass
    (shared / "log").mkdir(mode=0o700)
    for path in (shared / "data", *(shared / "data").rglob("*")):
        path.chmod(mode if path.is_dir() else mode & 0o644)
    data = f"--data_dir={shared / 'data'}"
    commands = [
        ["token", "list", data],
        ["token", data],
        ["check", "store", data],
        ["check", "data_dir", data],
        ["expire", "--days=1", data],
        ["export", "/out.ndjson", data],
        ["import", "/root/in.ndjson", data],
        ["serve", "--port=0", "--logging=error", data],
        ["serve", f"--log_file_prefix={shared / 'log' / 'x'}", data],
        ["shard", "--tntapi_servers_file=/root/table.json", "--logging=error", data],
        ["backup", str(shared / "copy"), data],
        ["restore", "/root/copy", data, "--replace"],
        ["models", "list", data],
        ["models", "verify", data],
        ["regenerate", "--count", data],
    ]
    for command, (status, said) in zip(commands, run_as(NOBODY, *commands), strict=True):
        assert (status, said.count("\n")) in ((1, 0), (0, 0))[: 1 + (command[0] == "models")], (command, said)


@pytest.mark.slow
@as_root
def test_root_leaves_nothing_that_the_server_cannot_read(shared):
    data = shared / "data"
    data.mkdir(mode=0o700)
    os.chown(data, NOBODY, NOBODY)
    assert run_as(0, ["token", f"--data_dir={data}"])[0][0] == 0
    assert {path.stat().st_uid for path in data.rglob("*")} == {NOBODY}
    [(status, said)] = run_as(NOBODY, ["token", "list", f"--data_dir={data}"])
    assert (status, said.count(" active ")) == (0, 1)


@pytest.mark.slow
@as_root
def test_of_packs_root_gives_away_what_is_in_the_data_folder_and_nothing_else(shared):
    data, home = shared / "data", shared / "home" / "somebody"
    (home / "pack").mkdir(parents=True)
    (home / "letter").touch()
    data.mkdir(mode=0o700)
    for path in (data, home, *home.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "PIP_INDEX_URL"), "http://127.0.0.1:1")
    commands = (
        ["models", "list", f"--model_pack={home / 'pack'}"],
        ["models", "build", f"--data_dir={data}"],
        ["models", "build", f"--data_dir={data}", f"--model_pack={data / 'pack'}"],
    )
    ended = run_as(0, *commands, env=os.environ | nowhere | {"no_proxy": "", "NO_PROXY": "", "PIP_RETRIES": "0"})
    assert [status for status, _ in ended] == [0, 1, 1], ended
    assert {path.name for path in data.iterdir()} == {"models", "downloads"}
    for folder in (data, home):
        assert {path.stat().st_uid for path in (folder, *folder.rglob("*"))} == {NOBODY}


@pytest.mark.slow
@as_root
def test_a_configuration_that_only_root_can_read_is_found(shared):
    data, file = shared / "data", shared / "facenapi.ini"
    data.mkdir(mode=0o700)
    os.chown(data, NOBODY, NOBODY)
    file.write_text(f"data_dir = {data}\n")
    file.chmod(0o600)
    command = ["check", "configuration", f"--config={file}"]
    [(status, said)] = run_as(0, command)
    assert (status, f"{file} cannot be read by nobody: chgrp" in said) == (1, True), said
    os.chown(file, 0, NOBODY)
    file.chmod(0o640)
    [(status, said)] = run_as(0, command)
    assert (status, said.startswith("ok ")) == (0, True), said


@pytest.mark.slow
@as_root
def test_root_is_told_who_cannot_read_what_is_to_be_brought_in(shared):
    data, copy, file = shared / "data", shared / "copy", shared / "all.ndjson"
    data.mkdir(mode=0o700)
    os.chown(data, NOBODY, NOBODY)
    option = f"--data_dir={data}"
    made = run_as(0, ["token", option], ["backup", copy, option, "-q"], ["export", file, option, "-q"])
    assert [status for status, _ in made] == [0, 0, 0], made
    back = (["restore", copy, option, "--replace"], ["import", file, option, "-q"])
    for status, said in run_as(0, *back):
        assert (status, said.count("\n"), "cannot be read by nobody" in said) == (1, 0, True), said
    for path in (copy, *copy.iterdir(), file):
        os.chown(path, NOBODY, NOBODY)
    assert [status for status, _ in run_as(0, *back)] == [0, 0]


def test_what_a_disk_lacks_is_called_that(tmp_path, monkeypatch):
    full = SimpleNamespace(f_files=9, f_ffree=5, f_favail=5, f_bavail=0, f_bfree=0)
    assert room_fault(tmp_path) == ""
    assert room_fault(tmp_path, OSError(errno.ENOSPC, "")) == "the disk is full"
    assert "quota" in room_fault(tmp_path, OSError(errno.EDQUOT, ""))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    assert room_fault(tmp_path) == "the disk is full"
    full.f_ffree = full.f_favail = 0
    assert "inode" in room_fault(tmp_path)


@pytest.mark.slow
@as_root
@pytest.mark.parametrize(
    ("options", "said"),
    [("size=64k", "the disk is full"), ("nr_inodes=3", "no inode left")],
)
def test_a_full_disk_is_not_called_damaged(tmp_path, options, said):
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        [(status, told)] = run_as(0, ["token", f"--data_dir={place}"])
    finally:
        subprocess.run(["umount", place], check=True)
    assert (status, said in told, "damaged" in told) == (1, True, False), told


@as_root
@pytest.mark.slow
@pytest.mark.parametrize(("options", "said"), [("size=64k", "the disk is full"), ("nr_inodes=4", "no inode left")])
async def test_neither_is_one_for_a_copy_and_nothing_is_left_of_that(tmp_path, options, said):
    data, place = tmp_path / "data", tmp_path / "disk"
    async with serving(data) as client:
        for _ in range(20):
            await client.enrol(meta="x" * 4000)
    assert await asyncio.to_thread(run_as, 0, ["backup", tmp_path / "copy", f"--data_dir={data}", "-q"])
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        commands = (
            ["backup", place / "copy", f"--data_dir={data}", "-q"],
            ["restore", tmp_path / "copy", f"--data_dir={place}"],
        )
        for command in commands:
            [(status, told)] = await asyncio.to_thread(run_as, 0, command)
            assert (status, said in told, "damaged" in told, told.count("\n")) == (1, True, False, 0), told
            assert [path for path in place.rglob("*.sqlite*") if path.is_file()] == []
            for folder in place.iterdir():
                shutil.rmtree(folder)
    finally:
        subprocess.run(["umount", place], check=True)
