"""Configuration files and command lines: what loads, what is refused, and in which words."""

from __future__ import annotations

import pytest

from facenapi.config import ConfigError, load


def read(tmp_path, content, *arguments):
    path = tmp_path / "facenapi.ini"
    path.write_text(content, encoding="utf-8")
    return load([f"--config={path}", *arguments])


def refused(tmp_path, content, *arguments):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content, *arguments)
    return [line.replace(str(tmp_path) + "/", "") for line in caught.value.lines]


def test_defaults_without_a_file(tmp_path):
    config, warnings = load([], default_path=tmp_path / "none.ini")
    assert (config.port, config.max_size, config.tntapi_ignore_search_errors, warnings) == (8000, 6000, False, [])


def test_a_file_of_the_original_loads_unchanged(tmp_path):
    config, warnings = read(
        tmp_path,
        """
# findface-facenapi
max_size = 4000
nnd_min_face_size=30
nnd_o_net_thresh = .9
tntapi_ignore_search_errors = True
person_identify = False
friend_interval = (3600*24*7)
fetch_proxy = 'http://10.0.0.1:3128'  # the office
decoder = 'pil'
logging = "warning"
""",
    )
    assert config.max_size == 4000
    assert config.nnd_o_net_thresh == 0.9
    assert config.tntapi_ignore_search_errors is True
    assert config.friend_interval == 604800
    assert config.fetch_proxy == "http://10.0.0.1:3128"
    assert config.logging == "warning"
    assert [w.split(": ", 1)[1] for w in warnings] == ["decoder has no effect here: there is one decoder"]


def test_sections_comments_and_plain_text_values(tmp_path):
    config, _ = read(tmp_path, "\ufeff[facenapi]\n; note\ndata_dir = /srv/a b#c ; here\nport: 81\n[more]\ngae = on\n")
    assert (config.data_dir, config.port, config.gae) == ("/srv/a b#c", 81, True)


def test_the_command_line_wins_and_given_tells_what_was_set(tmp_path):
    config, _ = read(tmp_path, "port = 1\nmax_size = 100\n", "--port=2", "--gae")
    assert (config.port, config.max_size, config.gae) == (2, 100, True)
    assert config.given == {"port", "max_size", "gae"}


def test_all_mistakes_are_reported_at_once(tmp_path):
    assert refused(tmp_path, "prot = 1\nport = x\nport = 70000\nhello\n", "--device=tpu", "stray") == [
        "facenapi.ini:3: port: is set already in line 2",
        "facenapi.ini:4: hello: lines are written name = value",
        "command line: stray: options are written --name=value",
        "facenapi.ini:1: prot: there is no such option (did you mean port?)",
        "facenapi.ini:2: port: must be a whole number from 0 to 65535, not x",
        "facenapi.ini:3: port: must be a whole number from 0 to 65535, not 70000",
        "command line: device: must be one of auto, cpu, cuda, not tpu",
    ]


@pytest.mark.parametrize(
    "value",
    [
        "__import__('os').system('true')",
        "open('x')",
        "2**999999",
        "[1]",
        "'a' * 9",
        "8000 if 1 else 2",
        "1e999",
        "True",
        "8000.5",
        "",
        "-1",
        "nan",
        "0x" + "f" * 40,
        "(" * 300 + "1" + ")" * 300,
        "1/0",
    ],
)
def test_nothing_in_a_file_is_executed_and_nonsense_is_refused(tmp_path, value):
    [line] = refused(tmp_path, f"port = {value}\n")
    assert line.startswith("facenapi.ini:1: port: must be a whole number from 0 to 65535")


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load([f"--config={tmp_path}/none.ini"])
    (tmp_path / "latin.ini").write_bytes(b"fetch_proxy = \xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load([f"--config={tmp_path}/latin.ini"])
