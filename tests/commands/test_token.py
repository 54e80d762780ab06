"""Tokens of an installation that there is not, and words that are no tokens."""

from __future__ import annotations

import pytest

from facenapi.services.auth import create_token
from facenapi.storage.sqlite import SqliteStore


@pytest.mark.parametrize("words", [["list"], ["revoke", "abcdef"], ["--owner=ann"]], ids=" ".join)
def test_a_database_that_is_not_there_is_not_made(facenapi, tmp_path, words):
    said = facenapi("token", *words, f"--data_dir={tmp_path}/typo")
    assert said.status == 1
    assert said.err.endswith("typo/store/facenapi.sqlite: check --config and --data_dir\n")
    assert list(tmp_path.iterdir()) == []


def test_a_new_database_is_named(facenapi, tmp_path):
    said = facenapi("token", f"--data_dir={tmp_path}")
    assert said.status == 0
    assert f"Making the database {tmp_path}/store/facenapi.sqlite" in said.err
    assert "Making" not in facenapi("token", f"--data_dir={tmp_path}").err


def test_what_revoke_needs_is_said(facenapi, tmp_path):
    key = facenapi("token", f"--data_dir={tmp_path}").out.strip()
    assert "revoke needs the key" in facenapi("token", "revoke", f"--data_dir={tmp_path}").err
    assert "at least 6 digits" in facenapi("token", "revoke", "ab", f"--data_dir={tmp_path}").err
    assert facenapi("token", "revoke", key, f"--data_dir={tmp_path}").status == 0


def test_options_of_the_server_stand_anywhere(facenapi, tmp_path):
    key = facenapi("token", f"--data_dir={tmp_path}", "create").out.strip()
    said = facenapi("token", "--data_dir", str(tmp_path), "revoke", "--gae=False", key)
    assert (said.status, said.out[:8]) == (0, "Revoked ")


async def test_no_key_looks_like_an_option(tmp_path, monkeypatch):
    keys = iter(["-abc", "--x", "good"])
    monkeypatch.setattr("facenapi.services.auth.secrets.token_urlsafe", lambda _: next(keys))
    store = SqliteStore(tmp_path, "normal")
    await store.start()
    assert (await create_token(store))[0] == "good"
    await store.close()


@pytest.mark.parametrize(
    "words", [("revoke", "caf\udce9"), ("--label=caf\udce9",), ("--label=a\nb",), ("--label=\x1b[31m",)]
)
def test_what_is_no_text_for_a_line_is_refused(facenapi, tmp_path, words):
    assert facenapi("token", f"--data_dir={tmp_path}", "--label=田中\u3000می\u200cروم").status == 0
    said = facenapi("token", *words, f"--data_dir={tmp_path}")
    assert (said.status, "must be printable text" in said.err) == (2, True)
    assert facenapi("token", "list", f"--data_dir={tmp_path}").out.count("\n") == 2
