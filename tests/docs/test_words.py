"""What README and guide name exists: commands with their options, files, and hosts that a text may lead to."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import re
import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from facenapi import cli
from facenapi.config.reader import joined, load
from tests.docs.blocks import HOSTS, ROOT, TEXTS, commands, every_block

SAMPLE = ROOT / "conf" / "findface-facenapi.ini"


class Parsed(BaseException):
    """A command line was understood."""


def inline() -> Iterator[tuple[str, str]]:
    """Yield what stands between double backquotes, with its text."""
    for path in TEXTS:
        if path.name != "CHANGELOG.rst":  # it tells of what is no more
            for words in re.findall(r"``([^`]+)``", path.read_text("utf-8")):
                yield path.relative_to(ROOT).as_posix(), " ".join(words.split())


def command_lines() -> list[tuple[str, str]]:
    """Return every command line of ours, out of blocks and sentences."""
    lines = [(one.text, line) for one in every_block() for line in commands(one.code.replace("\\\n", " "))]
    called = re.compile(r"^(?:\.venv/bin/|/opt/facenapi/bin/)?(facenapi|findface-mass-enroll) (\S.*)$")
    found = [(text, match) for text, line in [*lines, *inline()] if (match := called.match(line))]
    return [
        (text, re.sub(r" \[[^]]*\]", "", match[2]) if match[1] == "facenapi" else f"mass-enroll {match[2]}")
        for text, match in found
    ]


@pytest.mark.parametrize(("text", "line"), sorted(set(command_lines())))
def test_a_command_line_is_one_of_ours(text, line, monkeypatch):
    original = argparse.ArgumentParser.parse_known_args

    def parsed(self, args=None, namespace=None):
        _, rest = original(self, args, namespace)
        options = [one for one in joined(rest) if not one.startswith("--config=")]
        load(options, SAMPLE, {})  # what is left is for the server
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", parsed)
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            status = cli.main(shlex.split(line.replace("=NAME", "=dlib")))
        except (Parsed, SystemExit) as end:
            status = end.code if isinstance(end, SystemExit) else 0
    mentioned = "the following arguments are required" in said.getvalue() and "-" not in line.split(" ", 1)[-1]
    assert status == 0 or mentioned, f"{text}: facenapi {line}: {said.getvalue()}"


def test_the_reference_is_made_of_the_tables(monkeypatch):
    """Here, and not only when the site is built: whoever changes a table sees it at once."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    reference = importlib.import_module("reference")
    for name in ("options", "commands", "metrics", "errors", "methods"):
        assert len(list(getattr(reference, name)())) > 10, name


def test_files_of_the_checkout_are_there():
    named = [
        (text, words.split()[0])
        for text, words in inline()
        if re.match(r"(scripts|conf|tests|docs|client|facenapi)/[\w./@-]+( |$)", words)
    ]
    assert len(named) > 40
    for text, name in named:
        assert (ROOT / name).exists(), f"{text} names {name}"


def test_links_of_the_texts_lead_somewhere():
    """Those of reStructuredText to files, as README has them, and all addresses."""
    for path in TEXTS:
        text = path.read_text("utf-8")
        for aim in re.findall(r"`[^`]*<([^>`]+)>`_", text):
            if not urlsplit(aim).scheme:
                assert (path.parent / aim).exists(), f"{path.name}: {aim}"
        for address in re.findall(r"https?://[^\s`<>)\"'…]+", text):
            host = urlsplit(address).hostname
            assert host in HOSTS, f"{path.name}: {address}"
