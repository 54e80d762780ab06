"""scripts/serve in a checkout whose environment is make-believe but for the reader of options."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from facenapi.config.options import TABLE

ROOT = Path(__file__).resolve().parents[2]
PYTHON = """#!/bin/sh
case "$*" in
    "-m pip install"*)
        [ -p "{folder}/pip" ] || exit 0
        exec "{python}" -c 'import time
try: open("{folder}/pip", "w").close(); time.sleep(30)
except KeyboardInterrupt: raise SystemExit(print("cancelled") or 1)' ;;
    -c*) exec "{python}" "$@" ;;
esac
"""
FACENAPI = """#!/bin/sh
case $1 in
    token) echo KEY ;;
    serve) printf '%s\\n' "$@" >"{folder}/served"; [ ! -p "{folder}/told" ] || cat "{folder}/told" ;;
esac
"""
BUILD = """#!/bin/sh
case $1 in
    --install-only) exit 1 ;;
    *) read -r _ _ _ _ group session _ <"/proc/$$/stat"; echo "$$ $group $session" >"{folder}/told" ;;
esac
"""
SECRETS = [name for name in TABLE if any(part in name for part in ("secret", "token", "uri"))]


@pytest.fixture
def checkout(tmp_path):
    """Make a checkout; where it has a pipe ``pip``, the installation says so through it and waits for Ctrl-C."""
    for name in ("scripts", "docs", "facenapi", "var/models/default", "var/api-page", ".venv/bin"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("setup.cfg", "constraints.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    for name in ("serve", "setup.sh"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    programs = {".venv/bin/python": PYTHON, ".venv/bin/facenapi": FACENAPI, "scripts/build_nmslib": BUILD}
    for name, text in (programs | {"scripts/docs": "#!/bin/sh\nmkdir -p {folder}/var/guide\n"}).items():
        (tmp_path / name).write_text(text.format(folder=tmp_path, python=sys.executable))
        (tmp_path / name).chmod(0o755)
    return tmp_path


def start(checkout, *options, **environment):
    own = {name: value for name, value in os.environ.items() if not name.startswith("FACENAPI_")}
    return subprocess.Popen(
        ["env", "--default-signal=INT", checkout / "scripts/serve", *options],
        env=own | {"PYTHONPATH": str(ROOT), "FACENAPI_NMSLIB": "wheel"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def serve(checkout, *options):
    """Return what is printed and the options of the server."""
    with start(checkout, *options) as process:
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 0, said
    return said, (checkout / "served").read_text().splitlines()[1:]


@pytest.mark.parametrize("form", [["--{0}={1}"], ["--{0}", "{1}"]])
def test_no_secret_is_printed_in_one_word_or_two(checkout, form):
    assert {"mongo_uri", "shard_secret", "milvus_token"} <= set(SECRETS)
    named = [*SECRETS, "mongo-uri", "shard-secret"]
    pairs = [(name, f"mongodb://u:hush{i}@h/db" if "uri" in name else f"hush{i}") for i, name in enumerate(named)]
    pairs += [("ffupload_url", "http://u:hush@h/"), ("port", "8123"), ("mongo_db", "two words")]
    words = [word for name, value in pairs for word in (part.format(name, value) for part in form)]
    said, options = serve(checkout, *words, "--console")
    assert "hush" not in said
    assert "--mongo_uri=... " in said
    assert options[-len(pairs) - 1 :] == [*(f"--{name}={value}" for name, value in pairs), "--console"]


@pytest.mark.parametrize("words", [["--config={}"], ["--config", "{}"]])
def test_what_the_file_says_gets_no_default(checkout, words):
    (checkout / "own.ini").write_text("photo-storage = off\ndata_dir = /srv\n")
    said, options = serve(checkout, *(word.format(checkout / "own.ini") for word in words))
    assert not [option for option in options if option.startswith(("--photo_storage", "--data_dir"))]
    assert f"--config={checkout}/own.ini" in said
    assert "--gae=True" in options


def test_without_options(checkout):
    assert f"--data_dir={checkout}/var/data" in serve(checkout)[1]


def test_a_folder_that_is_no_environment_is_not_replaced_by_one(checkout):
    home = checkout / "home"
    (home / "letters").mkdir(parents=True)
    with start(checkout, FACENAPI_VENV=str(home)) as process:
        said = process.communicate(timeout=60)[0]
    assert (process.returncode, f"{home} is not empty and no virtual environment" in said) == (1, True), said
    assert (home / "letters").exists()


@pytest.mark.parametrize(("there", "fetched"), [(None, True), ("5.0", True), ("5.1", False)])
def test_the_api_page_is_fetched_where_it_is_not_that_of_this_release(checkout, there, fetched):
    (checkout / "facenapi/commands").mkdir()
    (checkout / "facenapi/commands/api_page.py").write_text('"""A page."""\nPACKAGE = ("swagger-ui", "5.1")\n')
    if there:
        (checkout / "var/api-page/version").write_text(there)
    assert ("fetching the interactive API page" in serve(checkout)[0]) == fetched


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_sets_nothing_up(checkout, word):
    before = sorted(checkout.rglob("*"))
    with start(checkout, word) as process:
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert "facenapi --help-options" in said
    assert "set -e" not in said
    assert sorted(checkout.rglob("*")) == before


def test_ctrl_c_in_the_set_up_is_no_failure(checkout):
    os.mkfifo(checkout / "pip")
    with start(checkout) as process:
        (checkout / "pip").read_text()
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert said.splitlines()[-1] == "-- interrupted; run it again to go on"
    assert "failed" not in said
    assert "cancelled" not in said
    (log,) = (checkout / "var/log").iterdir()
    assert log.read_text() == "cancelled\n"
    assert "pip-prints" not in log.name


def test_the_compilation_is_in_a_session_of_its_own(checkout):
    os.mkfifo(checkout / "told")
    with start(checkout, FACENAPI_NMSLIB="", CXX="true") as process:
        said = process.communicate(timeout=60)[0]
    assert "NMSLIB is compiled for this processor meanwhile" in said
    pid, group, session = said.splitlines()[-1].split()
    assert pid == group == session != str(process.pid)
