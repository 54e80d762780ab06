"""Running commands as a user does, and reading what they say."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from facenapi import cli

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Said:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def facenapi(capsys):
    """Run ``facenapi`` in this process, for commands that have no loop of their own or a short one."""

    def run(*arguments):
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            status = stop.code
        return Said(status, *capsys.readouterr())

    return run


def launch(*arguments, **options):
    """Start ``facenapi`` as a process."""
    command = [sys.executable, "-m", "facenapi", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, **options)
