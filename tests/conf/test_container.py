"""The container's description, without building it: its files, users, commands and options exist."""

import configparser
import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from facenapi import cli
from facenapi.config.options import Config
from facenapi.config.reader import load
from facenapi.search.table import read_table
from facenapi.storage.open import database_file
from tests.test_layers import MODULES, graph

ROOT = Path(__file__).resolve().parents[2]


def instructions():
    """Return the Dockerfile as (word, rest), continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def last(word):
    return [rest for name, rest in instructions() if name == word][-1]


def composed(*names):
    """Return the services as `docker compose -f …` merges them, as far as these files need it."""
    services = {}
    for name in names:
        for service, more in yaml.safe_load((ROOT / name).read_text())["services"].items():
            before = services.get(service, {})
            variables = before.get("environment", {}) | more.get("environment", {})
            services[service] = before | more | {"environment": variables}
    return services


def variables_of_the_image():
    """Return what ENV sets."""
    return dict(word.split("=", 1) for name, rest in instructions() if name == "ENV" for word in rest.split())


def loaded(words, variables=None):
    """Return the configuration of a command in a container; the file of the image is the sample."""
    program, *options = words
    assert program in cli.COMMANDS
    files = {"/etc/findface-tntapi.json": str(ROOT / "conf" / "tntapi.compose.json")}
    environment = {
        name: files.get(text, text) for name, text in (variables_of_the_image() | (variables or {})).items()
    }
    config, warnings = load(options, ROOT / "conf" / "findface-facenapi.ini", environment)
    assert warnings == []
    return config


def test_what_is_copied_exists_and_is_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sources = [word for name, rest in instructions() if name == "COPY" and "--from" not in rest
               for word in rest.split()[:-1]]  # fmt: skip
    assert len(sources) >= 7
    for source in sources:
        assert (ROOT / source).exists()
        assert {f"!{source}", f"!{source.split('/')[0]}"} & set(ignored)


def test_what_setup_needs_is_in_the_build():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    build = " ".join(rest for name, rest in instructions() if name == "COPY")
    for name in (setup["metadata"]["long_description"].removeprefix("file: "), setup["metadata"]["license_files"]):
        assert name in build
    default = next(rest for name, rest in instructions() if name == "ARG" and rest.startswith("EXTRA")).split("=")[1]
    gpu = composed("compose.gpu.yaml")["api"]["build"]["args"]["EXTRA"]
    assert {default, gpu, "models"} <= set(setup["options.extras_require"])
    needed = setup["options"]["python_requires"].removeprefix(">=").split(".")
    base = next(rest for name, rest in instructions() if name == "ARG" and rest.startswith("BASE"))
    python = re.fullmatch(r"BASE=python:([0-9.]+)-\S+@sha256:[0-9a-f]{64}", base)[1]
    assert [int(part) for part in python.split(".")] >= [int(part) for part in needed]


def test_it_does_not_run_as_root_and_owns_its_data():
    user = last("USER")
    assert user == "facenapi"
    made = " ".join(rest for name, rest in instructions() if name == "RUN")
    assert re.search(rf"useradd .*--uid 990 .*{user}", made)
    assert f"install -d -o {user} -g {user} -m 750 {Config().data_dir}" in made
    assert last("VOLUME") == Config().data_dir
    names = [name for name, _ in instructions()]
    assert names.index("USER") > max(number for number, name in enumerate(names) if name == "RUN")


def test_the_command_is_one_of_ours_and_every_other_means_the_same_installation():
    assert json.loads(last("ENTRYPOINT")) == ["facenapi"]
    assert json.loads(last("CMD")) == ["serve"]
    config = loaded(["serve"])
    assert config == loaded(["token"])
    assert (config.host, config.data_dir, str(config.port)) == ("0.0.0.0", last("VOLUME"), last("EXPOSE"))
    moved = dict(rest.split()[-2:] for name, rest in instructions() if name == "COPY" and "=networks" in rest)
    built = next(rest for name, rest in instructions() if "run models build" in rest)
    for place, option in ((config.pack_folder, "model_pack"), (config.api_page_folder, "api_page")):
        origin = next(source + str(place).removeprefix(there) for source, there in moved.items()
                      if str(place).startswith(there))  # fmt: skip
        assert f"--{option}={origin} " in built


@pytest.mark.slow
def test_a_change_of_the_program_leaves_libraries_and_networks_alone():
    """What comes before the program is copied is enough to build the networks: the import graph says so."""
    stages = {}
    for name, rest in instructions():
        if name == "FROM":
            stage = stages.setdefault(rest.split(" AS ")[-1], [])
        elif name == "COPY" and stages and "--from" not in rest:
            stage += [word for word in rest.split()[:-1] if word.startswith("facenapi")]
    assert stages["libraries"] == []
    assert stages["program"] == ["facenapi"]
    copied = tuple(word.removeprefix("facenapi/") for word in stages["networks"])
    needed, waiting = set(), ["commands.models", "commands.api_page"]
    while waiting:
        module = waiting.pop()
        if module not in needed:
            needed.add(module)
            waiting += graph()[module]
    paths = {MODULES[module].relative_to(ROOT / "facenapi").as_posix() for module in needed}
    assert {path for path in paths if not path.startswith(copied)} == set()


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
def test_the_health_check_works(status, expected):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            """Be quiet."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    _, code, text = json.loads(last("HEALTHCHECK").split("CMD ", 1)[1])
    address = f"http://127.0.0.1:{server.server_port}/health/live"
    environment = {"FACENAPI_HEALTH": address, "http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    done = subprocess.run([sys.executable, code, text], env=environment, check=False, capture_output=True)
    thread.join()
    server.server_close()
    assert done.returncode == expected
    default = next(rest for name, rest in instructions() if rest.startswith("FACENAPI_HEALTH"))
    assert default == f"FACENAPI_HEALTH=http://127.0.0.1:{Config().port}/health/live"


@pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose.gpu.yaml")], ids=["cpu", "gpu"])
def test_the_composed_services_fit_together(files):
    services = composed(*files)
    table = read_table(ROOT / "conf" / "tntapi.compose.json")
    assert {address: len(cells) for address, cells in table.items()} == {"shard1:33001": 512, "shard2:33001": 512}
    for name, service in services.items():
        if name == "mongo":
            continue
        config = loaded(service.get("command", ["serve"]), service["environment"])
        assert database_file(config) is None
        assert config.mongo_uri == f"mongodb://mongo:27017/?replicaSet={services['mongo']['command'][1]}"
        assert service["depends_on"]["mongo"]["condition"] == "service_healthy"
        assert service["volumes"] == [f"{name}:{Config().data_dir}"]
        assert service["configs"] == [{"source": "tntapi", "target": "/etc/findface-tntapi.json"}]
        assert config.tntapi_servers_file.endswith("conf/tntapi.compose.json")
        assert service["read_only"] is True
        assert "FACENAPI_SHARD_SECRET" in service["environment"]
        seconds = int(service["stop_grace_period"].removesuffix("s"))
        assert seconds > Config().shutdown_timeout
        if name.startswith("shard"):
            assert service["command"][0] == "shard"
            assert config.shard_address == f"{name}:33001"
            assert service["environment"]["FACENAPI_HEALTH"] == f"http://{config.shard_address}/health"
    assert set(table) == {f"{name}:33001" for name in services if name.startswith("shard")}
    assert loaded(["serve"], services["api"]["environment"]).device == ("cuda" if len(files) == 2 else "auto")
    whole = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert set(whole["volumes"]) == set(services)
    assert whole["configs"] == {"tntapi": {"file": "./conf/tntapi.compose.json"}}
