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
            services[service] = services.get(service, {}) | more
    return services


def loaded(words, tmp_path):
    """Return the configuration of a command line; the file of the image is the sample."""
    program, *options = words
    assert program in cli.COMMANDS
    known = {"--config=/etc/findface-facenapi.ini": f"--config={ROOT / 'conf/findface-facenapi.ini'}",
             "--tntapi_servers_file=/etc/findface-tntapi.json":
                 f"--tntapi_servers_file={ROOT / 'conf/tntapi.compose.json'}"}  # fmt: skip
    config, warnings = load([known.get(option, option) for option in options])
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
    python = next(rest for name, rest in instructions() if name == "ARG" and rest.startswith("PYTHON")).split("=")[1]
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


def test_the_command_is_one_of_ours(tmp_path):
    assert json.loads(last("ENTRYPOINT")) == ["facenapi"]
    config = loaded(json.loads(last("CMD")), tmp_path)
    assert str(config.pack_folder) == "/opt/facenapi/models/default"
    assert last("EXPOSE") == str(config.port)
    built = next(rest for name, rest in instructions() if "models build" in rest)
    assert f"--model_pack={config.model_pack}" in built


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
    done = subprocess.run([sys.executable, code, text], env={"FACENAPI_HEALTH": address}, check=False,
                          capture_output=True)  # fmt: skip
    thread.join()
    server.server_close()
    assert done.returncode == expected
    default = next(rest for name, rest in instructions() if rest.startswith("FACENAPI_HEALTH"))
    assert default == f"FACENAPI_HEALTH=http://127.0.0.1:{Config().port}/health/live"


@pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose.gpu.yaml")], ids=["cpu", "gpu"])
def test_the_composed_services_fit_together(files, tmp_path):
    services = composed(*files)
    table = read_table(ROOT / "conf" / "tntapi.compose.json")
    assert {address: len(cells) for address, cells in table.items()} == {"shard1:33001": 512, "shard2:33001": 512}
    for name, service in services.items():
        if name == "mongo":
            continue
        config = loaded(service["command"], tmp_path)
        assert database_file(config) is None
        assert config.mongo_uri == f"mongodb://mongo:27017/?replicaSet={services['mongo']['command'][1]}"
        assert service["depends_on"]["mongo"]["condition"] == "service_healthy"
        assert service["volumes"][0] == f"{name}:{Config().data_dir}"
        assert service["volumes"][1] == "./conf/tntapi.compose.json:/etc/findface-tntapi.json:ro"
        assert service["read_only"] is True
        assert "FACENAPI_SHARD_SECRET" in service["environment"]
        seconds = int(service["stop_grace_period"].removesuffix("s"))
        assert seconds > Config().shutdown_timeout
        if name.startswith("shard"):
            assert service["command"][0] == "shard"
            assert config.shard_address == f"{name}:33001"
            assert service["environment"]["FACENAPI_HEALTH"] == f"http://{config.shard_address}/health"
    assert set(table) == {f"{name}:33001" for name in services if name.startswith("shard")}
    assert loaded(services["api"]["command"], tmp_path).device == ("cuda" if len(files) == 2 else "auto")
    volumes = yaml.safe_load((ROOT / "compose.yaml").read_text())["volumes"]
    assert set(volumes) == set(services)
