"""Options from the environment, and from files that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from facenapi.config.environment import read_environment
from facenapi.config.options import TABLE
from facenapi.config.reader import ConfigError, load


def loaded(tmp_path, environment, *arguments):
    return load(arguments, tmp_path / "none.ini", environment)[0]


def mistakes(tmp_path, environment) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, environment)
    return raised.value.lines


def test_the_environment_stands_between_file_and_command_line(tmp_path):
    file = tmp_path / "a.ini"
    file.write_text("port = 1\nmax_size = 100\nthreads = 3\n")
    environment = {"FACENAPI_CONFIG": str(file), "FACENAPI_PORT": "2", "FACENAPI_MAX_SIZE": "200"}
    config = loaded(tmp_path, environment, "--port=3")
    assert (config.port, config.max_size, config.threads) == (3, 200, 3)
    assert config.sources == {"port": "command line", "max_size": "environment FACENAPI_MAX_SIZE",
                              "threads": f"{file}:3"}  # fmt: skip
    other = tmp_path / "b.ini"
    other.write_text("port = 9\n")
    assert loaded(tmp_path, {"FACENAPI_CONFIG": str(file)}, f"--config={other}").port == 9


def test_every_option_has_a_variable_and_a_file(tmp_path):
    whole = {f"FACENAPI_{name.upper()}": str(field.default) for name, field in TABLE.items()}
    assert loaded(tmp_path, whole).given == {name for name, field in TABLE.items() if str(field.default)}
    secret = tmp_path / "secret"
    secret.write_text("user:p#ss'word\n")
    config = loaded(tmp_path, {"FACENAPI_MILVUS_TOKEN_FILE": str(secret), "FACENAPI_TNTAPI_SERVERS_FILE": "/a.json"})
    assert (config.milvus_token, config.tntapi_servers_file) == ("user:p#ss'word", "/a.json")


def test_what_is_empty_or_of_others_is_left_alone(tmp_path):
    others = {"FACENAPI_PORT": "tcp://10.0.0.1:8000", "FACENAPI_SERVICE_HOST": "10.0.0.1",
              "FACENAPI_PORT_8000_TCP_ADDR": "10.0.0.1", "FACENAPI_TOKEN": "x", "FACENAPI_TEST_PACK": "/p",
              "FACENAPI_SHARD_1_SERVICE_HOST": "10.0.0.1", "FACENAPI_SHARD_1_SERVICE_PORT_HTTP": "33001",
              "FACENAPI_MONGO_PORT": "tcp://10.0.0.2:27017", "FACENAPI_MONGO_PORT_27017_TCP": "tcp://10.0.0.2:27017",
              "FACENAPI_HOST": "", "FACENAPIX": "1"}  # fmt: skip
    assert loaded(tmp_path, others).given == frozenset()


def test_no_variable_that_scripts_containers_and_guides_name_stops_a_command():
    root = Path(__file__).parents[2]
    places = [path for name in ("scripts", "conf", "docs", "Dockerfile", "compose.yaml", "README.rst")
              for path in ([root / name] if (root / name).is_file() else (root / name).rglob("*"))]  # fmt: skip
    names = {name for path in places if path.is_file() and path.suffix not in (".pyc", ".png", ".jpg", ".webp")
             for name in re.findall(r"\bFACENAPI_[A-Z0-9_]*[A-Z0-9]", path.read_text(encoding="utf-8"))}  # fmt: skip
    assert "FACENAPI_NMSLIB" in names
    known, others = [*TABLE, "config"], {name: "1" for name in names if not name.startswith("FACENAPI_OPTION")}
    assert not [line for line in read_environment(others, known)[1] if "no such option" in line]


def test_mistakes_name_the_variable_and_no_secret(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    assert mistakes(tmp_path, {"FACENAPI_HSOT": "x"}) == [
        "environment FACENAPI_HSOT: there is no such option (did you mean FACENAPI_HOST?)"]  # fmt: skip
    assert mistakes(tmp_path, {"FACENAPI_PORT": "x"}) == [
        "environment FACENAPI_PORT: port: must be a whole number from 0 to 65535, not x"]  # fmt: skip
    none = tmp_path / "none"
    assert mistakes(tmp_path, {"FACENAPI_MONGO_URI_FILE": str(none)}) == [
        f"environment FACENAPI_MONGO_URI_FILE: {none} cannot be read: No such file or directory"]  # fmt: skip
    both = {"FACENAPI_MONGO_URI": "a", "FACENAPI_MONGO_URI_FILE": str(secret)}
    assert mistakes(tmp_path, both) == [
        "environment FACENAPI_MONGO_URI_FILE: mongo_uri is set already by FACENAPI_MONGO_URI"]  # fmt: skip
    [line] = mistakes(tmp_path, {"FACENAPI_PORT_FILE": str(secret)})
    assert "hidden" not in line
