"""The files of conf/ say what the code does."""

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from facenapi.config.options import Config
from facenapi.config.reader import load
from facenapi.config.text import sample_file
from facenapi.search.table import read_table
from facenapi.urls import SERVICE
from tests.commands.conftest import launch
from tests.support.fake_server import ForkedServer
from tests.support.live import form
from tests.support.server import RED, picture

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
# Only a server with real networks has queues and batches of networks; tests/test_end_to_end.py sees them there.
WITH_NETWORKS = {"facenapi_inference_queue", "facenapi_batch_rows_sum", "facenapi_batch_rows_count"}


def test_the_sample_configuration_is_that_of_the_options():
    hint = "run: python -m facenapi --sample-config > conf/findface-facenapi.ini"
    assert (CONF / "findface-facenapi.ini").read_text() == sample_file(), hint


def test_the_sample_configuration_loads_and_changes_nothing():
    config, warnings = load([f"--config={CONF / 'findface-facenapi.ini'}"])
    assert config == Config()
    assert warnings == []


def test_the_sample_table_has_two_shards_with_half_of_the_cells_each():
    cells = read_table(CONF / "tntapi.json")
    assert {address: len(held) for address, held in cells.items()} == {
        "127.0.0.1:33001": 512,
        "127.0.0.1:33002": 512,
    }


def exposed(text):
    """Return the names of a Prometheus text as a query writes them."""
    return set(re.findall(r"^([a-z_]+)(?=[ {])", text, re.MULTILINE))


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    """Return what an API server and a shard really expose."""
    folder = tmp_path_factory.mktemp("metrics")
    table = folder / "tntapi.json"
    with ForkedServer(folder / "data") as server:
        assert server.call("POST", "/v1/face", *form({"photo": picture(RED)}))[0] == 200
        api = server.call("GET", "/metrics")[1].decode()
        address = f"127.0.0.1:{free_port()}"
        table.write_text(json.dumps([[address] * 1024]))
        shard = launch("shard", f"--data_dir={server.folder}", f"--tntapi_servers_file={table}",
                       f"--shard_address={address}")  # fmt: skip
        while "serves the search shard" not in shard.stderr.readline():
            assert shard.poll() is None
        server.url = f"http://{address}"
        of_shard = server.call("GET", "/metrics")[1].decode()
        shard.terminate()
        shard.communicate(timeout=30)
    return exposed(api) | WITH_NETWORKS, exposed(of_shard)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def expressions():
    dashboard = json.loads((CONF / "grafana" / "findface-facenapi.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = (CONF / "prometheus" / "findface-facenapi.rules.yml").read_text()
    found += re.findall(r"expr: (?:\|\n)?((?:.(?!\bfor:))+?)\n +for:", rules, re.DOTALL)
    return found


@pytest.mark.slow
def test_dashboard_and_alerts_ask_for_what_is_exposed(metrics):
    api, shard = metrics
    asked = expressions()
    assert len(asked) >= 25
    for expression in asked:
        names = set(re.findall(r"\b((?:facenapi|process)_[a-z_]+)", expression))
        assert names or "up{" in expression
        known = shard if 'job="facenapi-shard"' in expression else api
        assert names <= known, expression


def test_stages_and_handlers_in_queries_exist():
    code = "".join(path.read_text() for path in (ROOT / "facenapi").rglob("*.py"))
    for expression in expressions():
        for handler in re.findall(r'handler="(\w+)"', expression):
            assert f"class {handler}(" in code


def test_every_alert_says_what_is_wrong_and_what_to_do():
    rules = (CONF / "prometheus" / "findface-facenapi.rules.yml").read_text().split("- alert: ")[1:]
    assert len(rules) >= 8
    for rule in rules:
        for part in ("expr:", "for:", "severity:", "summary:", "action:"):
            assert part in rule, rule


def test_panels_do_not_overlap():
    taken = set()
    for panel in json.loads((CONF / "grafana" / "findface-facenapi.json").read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_nginx_agrees_with_the_options():
    text = (CONF / "nginx" / "findface-facenapi.conf").read_text()
    assert text.count("{") == text.count("}")
    size = re.search(r"client_max_body_size (\d+)m;", text)[1]
    assert int(size) << 20 == Config().max_body_size
    # nginx must be the first to close an idle connection, else a request may meet one that is closing.
    assert int(re.search(r"keepalive_timeout (\d+)s;", text)[1]) < Config().idle_timeout
    for header in ("For", "Proto", "Host", "Prefix"):
        assert f"proxy_set_header X-Forwarded-{header} " in text
    # Figures ask for no token; the console asks for the health, and of a server that went away whether it lives.
    kept = re.compile(re.search(r"location ~ (\S+) \{\s+return 404;", text)[1])
    assert {path for path, _ in SERVICE if kept.search(path)} == {"/metrics"}
    assert "non_idempotent" not in text.split("location ~ ^/(v[01]/)?(detect|verify|identify")[0]


def test_nginx_takes_its_file(tmp_path):
    """With nginx itself, which scripts/test fetches where there is apt; its syntax is checked roughly in any case."""
    places = ("nginx", "/usr/sbin/nginx", ROOT / "var" / "tools" / "nginx" / "usr" / "sbin" / "nginx")
    nginx = next(filter(None, map(shutil.which, places)), None)
    statements = re.sub(r"#.*", "", (CONF / "nginx" / "findface-facenapi.conf").read_text())
    for statement in re.split(r"[;{}]", statements.replace("v[01]", "v")):
        assert not statement.strip() or re.match(r"[a-z_]+(\s+\S+)*$", statement.strip()), statement
    if nginx is None:
        pytest.skip("nginx is not installed")
    whole = tmp_path / "nginx.conf"
    folders = "".join(
        f"{kind}_temp_path {tmp_path}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {folders}include {CONF}/nginx/findface-facenapi.conf; }}\n"
    )
    checked = subprocess.run([nginx, "-t", "-c", whole, "-p", tmp_path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr
