"""What all commands have in common: help, errors in one line, exit statuses."""

import configparser
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from facenapi import __version__, cli
from facenapi.config.text import sample_file
from tests.commands.conftest import ROOT

WITH_CONFIGURATION = sorted(set(cli.COMMANDS) - {"mass-enroll"})
# What a command needs beside options of the server.
WORDS = {name: ["x"] for name in ("export", "import", "backup", "restore")}
WORDS |= {"expire": ["--days=1"], "models": ["list"]}


@pytest.mark.parametrize("command", sorted(set(cli.COMMANDS) - {"serve"}))
def test_every_command_explains_itself(facenapi, command):
    said = facenapi(command, "--help")
    assert said.status == 0
    assert said.out.startswith(f"usage: facenapi {command} ")
    assert "Exit status: 0 done; 1 it failed" in said.out
    assert f"\n  {command} " in facenapi("--help").out


@pytest.mark.parametrize("command", WITH_CONFIGURATION)
def test_a_wrong_configuration_is_78_and_names_the_mistake(facenapi, command, tmp_path):
    file = tmp_path / "facenapi.ini"
    file.write_text("prot = 1\n")
    said = facenapi(command, *WORDS.get(command, []), f"--config={file}")
    assert (said.status, said.out) == (78, "")
    assert said.err == f"{file}:1: prot: there is no such option (did you mean port?)\n"


@pytest.mark.parametrize("words", [("backup", "/srv/my", "copy"), ("check", "store", "-x"), ("shard", "x")])
def test_a_word_too_many_is_wrong_usage(facenapi, words, tmp_path):
    said = facenapi(*words, f"--data_dir={tmp_path}")
    assert (said.status, said.out) == (2, "")
    assert f"facenapi {words[0]}: error: unrecognized arguments: {words[-1]}\n" in said.err


def test_a_second_signal_ends_at_once_whatever_a_thread_is_at():
    code = (
        "import asyncio, signal, time\n"
        "from facenapi.commands.common import on_signal\n"
        "async def main():\n"
        "    stop = asyncio.Event()\n"
        "    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, on_signal, stop)\n"
        "    hung = asyncio.create_task(asyncio.to_thread(time.sleep, 60))\n"
        "    print('up', flush=True)\n"
        "    await stop.wait()\n"
        "    print('stopping', flush=True)\n"
        "    await hung\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        for word in ("up", "stopping"):
            assert process.stdout.readline() == word + "\n"
            process.terminate()
        assert process.wait(20) == 1


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "2>&-", "<&- 2>&-"])
def test_streams_that_are_closed_lead_nowhere(tmp_path, closed):
    code = (
        "import os, sys\n"
        "from facenapi import cli\n"
        "cli.main(['--version']); cli.main(['nothing'])\n"
        "places = [os.readlink(f'/proc/self/fd/{number}') for number in range(3)]\n"
        f"open({str(tmp_path / 'places')!r}, 'w').write(' '.join(places))\n"
    )
    shell = f'exec "$0" -c "$1" {closed}'
    done = subprocess.run(["sh", "-c", shell, sys.executable, code], cwd=ROOT, check=False, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL)  # fmt: skip
    assert done.returncode == 0
    assert (tmp_path / "places").read_text() == "/dev/null /dev/null /dev/null"


def test_a_command_behind_its_options_is_told_where_it_belongs(facenapi, tmp_path):
    said = facenapi("--data_dir", tmp_path, "token", "list")
    assert (said.status, said.err) == (2, "facenapi: the command comes first: facenapi token --option=value ...\n")
    said = facenapi("--mongo_db", "token", f"--config={tmp_path}/none")  # a value
    assert said.status == 78


def test_an_unknown_command_is_2(facenapi):
    said = facenapi("enrol")
    assert said.status == 2
    assert said.err.startswith("facenapi: there is no command enrol\n")


def test_help_that_needs_no_command(facenapi):
    assert facenapi("--version").out == f"facenapi {__version__}\n"
    assert facenapi("--help").out.startswith("Usage: facenapi")
    assert facenapi("serve", "--help").out == facenapi("-h").out == facenapi("--help").out
    assert "--port=8000" in facenapi("--help-options").out
    assert facenapi("--sample-config").out == sample_file()


def test_a_terminal_that_lacks_letters_gets_escapes():
    said = subprocess.run([sys.executable, "-m", "facenapi", "--help-options"], capture_output=True, check=True,
                          cwd=ROOT, env=os.environ | {"PYTHONIOENCODING": "latin-1"})  # fmt: skip
    assert b"\\u2026" in said.stdout


def test_the_names_of_the_original_lead_to_functions():
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).resolve().parents[2] / "setup.cfg")
    scripts = dict(
        line.split(" = ") for line in setup["options.entry_points"]["console_scripts"].strip().splitlines()
    )
    assert set(scripts) == {
        "facenapi", "findface-facenapi", "findface-facenapi.token", "findface-mass-enroll", "findface-regenerate"
    }  # fmt: skip
    for target in scripts.values():
        module, function = target.split(":")
        assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize(
    ("function", "command"),
    [("token_main", "token"), ("mass_enroll_main", "mass-enroll"), ("regenerate_main", "regenerate")],
)
def test_they_pass_their_arguments_on(function, command, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["findface", "--help"])
    with pytest.raises(SystemExit, match="0"):
        getattr(cli, function)()
    assert capsys.readouterr().out.startswith(f"usage: facenapi {command} ")


def test_ctrl_c_is_130(facenapi, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("facenapi.commands.check.main", interrupted)
    assert facenapi("check").status == 130


def test_a_reader_who_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m facenapi --help-options | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode in (0, 141), done.stderr) == (True, "")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["expire", "--days=x"], "a number from 0 to 1000000: 'x'"),
        (["expire", "--days=nan"], "a number from 0 to 1000000: 'nan'"),
        (["mass-enroll", "run", "job", "--timeout=-1"], "a number from 0 to 1000000: '-1'"),
        (["mass-enroll", "run", "job", "--parallel=1.5"], "a whole number from 1 to 1000000: '1.5'"),
        (["regenerate", "--parallel=0"], "a whole number from 1 to 1000: '0'"),
    ],
)
def test_numbers_that_are_none_are_refused_in_words(facenapi, words, what):
    said = facenapi(*words)
    assert said.status == 2
    assert f"must be {what}" in said.err
