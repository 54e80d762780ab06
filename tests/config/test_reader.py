"""Configuration files and command lines: what loads, what is refused, and in which words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import facenapi
from facenapi.config.options import TABLE
from facenapi.config.reader import ConfigError, load


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


def test_an_option_and_its_value_may_be_two_words(tmp_path):
    path = tmp_path / "facenapi.ini"
    path.write_text("port = 1\n")
    config, warnings = load(["--config", str(path), "--port", "2", "--gae", "--person-identify", "False",
                             "--threads=3", "--decoder=pil", "--mongo_host", ""])  # fmt: skip
    assert config.given == {"port", "gae", "person_identify", "threads", "mongo_host"}
    assert (config.port, config.gae, config.person_identify, config.threads) == (2, True, False, 3)
    assert len(warnings) == 1
    assert refused(tmp_path, "", "--port", "-1", "--gae", "perhaps", "--prot", "8000", "--device") == [
        "command line: perhaps: options are written --name=value",
        "command line: 8000: options are written --name=value",
        "command line: --device: a value is missing: --device=value",
        "command line: port: must be a whole number from 0 to 65535, not -1",
        "command line: prot: there is no such option (did you mean port?)",
    ]
    with pytest.raises(ConfigError, match="command line: --config: a value is missing"):
        load(["--config"])


def test_all_mistakes_are_reported_at_once(tmp_path):
    assert refused(tmp_path, "prot = 1\nport = x\nport = 70000\nhello\n", "--device=tpu", "stray") == [
        "facenapi.ini:3: port: is set already in line 2",
        "facenapi.ini:4: hello: lines are written name = value",
        "command line: stray: options are written --name=value",
        "facenapi.ini:1: prot: there is no such option (did you mean port?)",
        "facenapi.ini:2: port: must be a whole number from 0 to 65535, not x",
        "facenapi.ini:3: port: must be a whole number from 0 to 65535, not 70000",
        "command line: device: must be one of auto, cpu, cuda, tensorrt, not tpu",
    ]


def test_hints_lead_to_what_there_is(tmp_path):
    assert refused(tmp_path, "config = other.ini\nPORT = 1\n", "--confg=x") == [
        "facenapi.ini:1: config: there is no such option (did you mean --config=PATH on the command line?)",
        "facenapi.ini:2: PORT: there is no such option (did you mean port?)",
        "command line: confg: there is no such option (did you mean config?)",
    ]


def test_quotation_marks_come_in_pairs_and_places_have_names(tmp_path):
    assert refused(tmp_path, "data_dir = '/srv/faces  # note\nmongo_db = \"x'\nhost =\n", "--data_dir=") == [
        "facenapi.ini:1: data_dir: the quotation mark at the beginning of the value has none at the end",
        "facenapi.ini:2: mongo_db: the quotation mark at the beginning of the value has none at the end",
        "facenapi.ini:3: host: must be an address or the name of a host",
        "command line: data_dir: must be the path of a folder",
    ]
    config, _ = read(tmp_path, "data_dir = it's\nmilvus_token = '#\"'\n")
    assert (config.data_dir, config.milvus_token) == ("it's", '#"')


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


# 30 broken files and what is said of each.
BROKEN = {
    "prot = 8000": "1: prot: there is no such option (did you mean port?)",
    "Port = 8000": "1: Port: there is no such option (did you mean port?)",
    "mongodb_host = x": "1: mongodb_host: there is no such option (did you mean mongo_host?)",
    "zzz = 1": "1: zzz: there is no such option",
    "port = x": "1: port: must be a whole number from 0 to 65535, not x",
    "port = 70000": "1: port: must be a whole number from 0 to 65535, not 70000",
    "port = -1": "1: port: must be a whole number from 0 to 65535, not -1",
    "port = 80.5": "1: port: must be a whole number from 0 to 65535, not 80.5",
    "port = True": "1: port: must be a whole number from 0 to 65535, not True",
    "port =": "1: port: must be a whole number from 0 to 65535",
    "port = '8000": "1: port: must be a whole number from 0 to 65535, not '8000",
    "port = 8000 8001": "1: port: must be a whole number from 0 to 65535, not 8000 8001",
    "port": "1: port: lines are written name = value",
    "= 8000": "1: =: lines are written name = value",
    "8000 = port": "1: 8000: lines are written name = value",
    "[facenapi\nport = 1": "1: [facenapi: lines are written name = value",
    "shard_secret hunter2": "1: shard_secret: lines are written name = value",
    "-shard_secret=hunter2": "1: -shard_secret: lines are written name = value",
    "'shard_secret': hunter2": "1: 'shard_secret': lines are written name = value",
    "import os": "1: import: lines are written name = value",
    "port = 1\nport = 2": "2: port: is set already in line 1",
    "host = a..b": "1: host: must be an address or the name of a host, not a..b",
    "log_file_num_backups = 1000000000": "1: log_file_num_backups: must be a whole number from 0 to 100000, not "
    "1000000000",
    "gae = maybe": "1: gae: must be True or False, not maybe",
    "gae = 2": "1: gae: must be True or False, not 2",
    "gae =": "1: gae: must be True or False",
    "device = tpu": "1: device: must be one of auto, cpu, cuda, tensorrt, not tpu",
    "logging = loud": "1: logging: must be one of debug, info, warning, error, none, not loud",
    "nnd_o_net_thresh = 2": "1: nnd_o_net_thresh: must be a number from 0 to 1, not 2",
    "nnd_o_net_thresh = nan": "1: nnd_o_net_thresh: must be a number from 0 to 1, not nan",
    "nnd_scale_factor = 1": "1: nnd_scale_factor: must be a number from 0.3 to 0.95, not 1",
    "friend_interval = (3600*24*": "1: friend_interval: must be a whole number from 1 to 10000000000, not (3600*24*",
    "friend_interval = 3600**9": "1: friend_interval: must be a whole number from 1 to 10000000000, not 3600**9",
    "fetch_ports = 80;443": "1: fetch_ports: must be ports, such as 80,443, not 80;443",
    "fetch_ports = 80,70000": "1: fetch_ports: must be ports, such as 80,443, not 80,70000",
    "fetch_hosts = http://a.example": "1: fetch_hosts: must be host names, such as photos.example.com,*.example.org, "
                                      "not http://a.example",
    "fetch_networks = 10.0.0.1/8": "1: fetch_networks: must be networks, such as 10.1.0.0/16,192.168.7.9, "
                                   "not 10.0.0.1/8",
    "person_identify_threshold = high": "1: person_identify_threshold: must be a number from 0 to 1, not high",
    "id_generator = uuid": "1: id_generator: must be one of tntime, not uuid",
    "max_size = __import__('os').getpid()": "1: max_size: must be a whole number from 16 to 65535, not "
                                            "__import__('os').getpid()",
}  # fmt: skip


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_is_refused_with_one_line(tmp_path, content):
    assert refused(tmp_path, content + "\n") == [f"facenapi.ini:{BROKEN[content]}"]


def test_every_option_is_read_somewhere():
    """An option with a single value is read when it is checked; of all others some code makes use."""
    package = Path(facenapi.__file__).parent
    code = "".join(path.read_text() for path in package.rglob("*.py"))
    several = [name for name, field in TABLE.items() if len(field.metadata["choices"] or "12") > 1]
    assert [name for name in several if not re.search(rf"\.{name}\b", code)] == []
