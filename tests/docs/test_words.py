"""What README and guide name exists: commands with their options, options, files, pages and anchors."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from facenapi import cli
from facenapi.config.reader import joined, load
from tests.docs.blocks import ROOT, TEXTS, commands, every_block

# Hosts that a text may lead to. There is no network in a test: whether they answer is for people to see.
HOSTS = {"semver.org", "127.0.0.1", "static.example.com", "example.com", "facenapi", "host"}

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


def test_files_of_the_checkout_are_there():
    named = [
        (text, words.split()[0])
        for text, words in inline()
        if re.match(r"(scripts|conf|tests|docs|client|facenapi)/[\w./@-]+( |$)", words)
    ]
    assert len(named) > 40
    for text, name in named:
        assert (ROOT / name).exists(), f"{text} names {name}"


class _Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.links += [given[name] for name in ("href", "src") if given.get(name)]
        if given.get("id"):
            self.anchors.add(given["id"])


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_its_links_lead_somewhere(tmp_path):
    """Pages, pictures, styles and anchors; what is of another host is on the list of such hosts."""
    site = tmp_path / "site"
    build = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "-q", ROOT / "docs", site]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(build, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    pages = {path.resolve(): _Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    assert len(pages) > 25
    followed = 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https"):
                assert parts.hostname in HOSTS | SPHINX, f"{path.name}: {link}"
            elif parts.scheme not in ("data", "mailto"):
                aim = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                assert aim.is_file(), f"{path.name}: {link}"
                if parts.fragment and aim in pages:
                    assert unquote(parts.fragment) in pages[aim].anchors, f"{path.name}: {link}"
                followed += 1
    assert followed > 500


# What the theme names at the foot of each page.
SPHINX = {"www.sphinx-doc.org", "pradyunsg.me", "github.com"}


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
