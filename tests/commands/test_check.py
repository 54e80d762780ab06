"""facenapi check: one line per part, and a status that scripts can use."""

import json
import socket
import threading
from pathlib import Path

import pytest

from tests.search.lite import MilvusLite
from tests.support.fake_server import ForkedServer
from tests.support.live import form
from tests.support.server import GREEN, RED, picture


@pytest.fixture
def data(tmp_path):
    return f"--data_dir={tmp_path}"


def lines(said):
    return {line[8:].split(":")[0]: line for line in said.out.splitlines()}


def test_a_fresh_installation_lacks_models_only(facenapi, data):
    said = facenapi("check", data, "--port=0")
    assert said.status == 1
    found = lines(said)
    assert [name for name, line in found.items() if line.startswith("FAILED")] == ["models"]
    assert "facenapi models build" in found["models"]
    assert "does not exist yet" in found["store"]


def test_the_default_pack_is_well(facenapi, data, model_pack):
    said = facenapi("check", "models", data, f"--model_pack={model_pack}")
    assert said.status == 0
    assert list(lines(said)) == ["models"]
    assert "networks run on c" in said.out


def test_faces_of_another_model_are_counted(facenapi, tmp_path, model_pack):
    with ForkedServer(tmp_path / "data") as server:
        for color in (RED, GREEN):
            assert server.call("POST", "/v1/face", *form({"photo": picture(color)}))[0] == 200
        said = facenapi("check", "vectors", f"--data_dir={server.folder}", f"--model_pack={model_pack}")
    assert said.status == 1
    assert "2 of 2 stored faces are not found" in said.out
    assert "(fake)" in said.out
    assert said.out.endswith("; facenapi regenerate moves them\n")


@pytest.mark.slow
def test_a_gpu_that_is_asked_for_and_not_there_is_said(facenapi, data, model_pack, monkeypatch):
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    said = facenapi("check", "models", data, f"--model_pack={model_pack}", "--device=cuda")
    assert said.status == 1
    assert "device is cuda, but this build of ONNX Runtime has no CUDA" in said.out


def test_a_file_alone(facenapi, tmp_path):
    file = tmp_path / "facenapi.ini"
    file.write_text("port = 8123\n")
    said = facenapi("check", "configuration", f"--config={file}")
    assert said.status == 0
    assert said.out == f"ok      configuration: 1 options set: port ({file}:1)\n"
    file.write_text("prot = 8123\nmax_size = many\n")
    said = facenapi("check", "configuration", f"--config={file}")
    assert said.status == 78
    assert said.err.splitlines() == [
        f"{file}:1: prot: there is no such option (did you mean port?)",
        f"{file}:2: max_size: must be a whole number from 16 to 65535, not many",
    ]


def test_options_may_be_two_words_beside_parts(facenapi, tmp_path):
    file = tmp_path / "facenapi.ini"
    file.write_text("port = 8123\n")
    said = facenapi("check", "--config", str(file), "configuration", "data_dir", "--gae", "--data_dir", str(tmp_path))
    assert said.status == 0
    assert said.out.splitlines()[0] == (
        f"ok      configuration: 3 options set: data_dir (command line), gae (command line), port ({file}:1)"
    )
    assert list(lines(said)) == ["configuration", "data_dir"]


def test_a_wrong_part_is_wrong_usage(facenapi, data):
    said = facenapi("check", "everything", data)
    assert said.status == 2
    assert "there is no part everything" in said.err


def test_a_missing_data_dir(facenapi, tmp_path):
    said = facenapi("check", "data_dir", f"--data_dir={tmp_path}/none")
    assert said.status == 1
    assert "there is no folder" in said.out


def test_a_taken_port(facenapi, data):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        other.close()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        # Bound but deaf: nobody answers there.
        said = facenapi("check", "port", data, f"--port={port}")
    assert said.status == 1
    assert "taken by another program" in said.out


def test_dead_shards_are_named(facenapi, data, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        dead = f"127.0.0.1:{other.getsockname()[1]}"
    table = tmp_path / "tntapi.json"
    table.write_text(json.dumps([[dead] * 1024]))
    said = facenapi("check", "index", data, f"--tntapi_servers_file={table}")
    assert said.status == 1
    assert f"1 of 1 shards do not serve: {dead}" in said.out


@pytest.mark.slow
def test_milvus_is_asked(facenapi, data, tmp_path):
    lite = MilvusLite(tmp_path)
    uri = f"--milvus_uri=http://127.0.0.1:{lite.port}"
    said = facenapi("check", "index", data, uri)
    assert (said.status, said.out) == (0, "ok      index: Milvus has 0 vectors\n")
    lite.stop()
    said = facenapi("check", "index", data, uri, "--milvus_token=root:hunter2")
    assert said.status == 1
    assert "FAILED  index: The search engine has failed or cannot be reached" in said.out
    assert "hunter2" not in said.out + said.err


@pytest.mark.slow
def test_beside_a_running_server(facenapi, data, tmp_path):
    with ForkedServer(tmp_path) as server:
        port = server.url.rsplit(":", 1)[1]
        said = facenapi("check", "store", "port", "data_dir", data, f"--port={port}")
    assert said.status == 0, said.out
    found = lines(said)
    assert "0 faces of 1 owners, 1 active tokens" in found["store"]
    assert "a facenapi server has" in found["port"]


def test_servers_that_stand_for_one_another_are_compared(facenapi, data, tmp_path):
    with ForkedServer(tmp_path / "1") as one, ForkedServer(tmp_path / "2") as two:
        said = facenapi("check", "configuration", data, f"--servers={one.url},{two.url}/")
        assert (said.status, said.out.splitlines()[-1]) == (0, "ok      servers: 2 servers agree")
    said = facenapi("check", "configuration", data, f"--servers={one.url}")
    assert said.status == 1
    assert f"FAILED  servers: {one.url} " in said.out


def test_an_address_of_a_server_without_http_is_wrong_usage(facenapi, data):
    said = facenapi("check", "configuration", data, "--servers=http://127.0.0.1:1, 127.0.0.1:8001")
    assert (said.status, said.out) == (2, "")
    assert "--servers: 127.0.0.1:8001 is not http://HOST:PORT" in said.err


def test_servers_that_differ_are_named(facenapi, data, monkeypatch):
    alike = {"detector": {}, "search": {}}
    versions = {
        f"http://{name}:1/health": {"version": version, **alike} for name, version in (("a", "1"), ("b", "2"))
    }
    monkeypatch.setattr("facenapi.commands.check._get", lambda url: versions.get(url, {}))
    said = facenapi("check", "configuration", data, "--servers=http://a:1,http://b:1")
    assert said.status == 1
    assert 'servers: they differ in version: http://a:1: "1"; http://b:1: "2"' in said.out
    said = facenapi("check", "configuration", data, "--servers=http://c:1")
    assert "servers: http://c:1 tells strangers nothing" in said.out


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        OK + b"Content-Length: 500\r\n\r\ncut off",
        b"HTTP/1.1 200 " + b"O" * 70_000 + b"\r\n\r\n",
        OK + b"A: b\r\n" * 300 + b"\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Content-Length: 9999\r\n\r\n" + b"[" * 9999,
        OK + b"Content-Length: 42\r\n\r\n" + b'{"faces": "many", "version": 1, "search": 1}'[:42],
        OK + b'Content-Length: 44\r\n\r\n{"faces": "many", "version": 1, "detector":1}',
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
    ],
)
def test_whoever_is_asked_may_say_anything(facenapi, data, tmp_path, answer):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        place = f"127.0.0.1:{stranger.getsockname()[1]}"

        def talk():
            for _ in range(3):
                connection, _ = stranger.accept()
                with connection:
                    connection.recv(9999)
                    connection.sendall(answer)

        talking = threading.Thread(target=talk)
        talking.start()
        table = tmp_path / "tntapi.json"
        table.write_text(json.dumps([[place] * 1024]))
        said = [
            facenapi("check", "index", data, f"--tntapi_servers_file={table}"),
            facenapi("check", "configuration", f"--servers=http://{place}", data),
            facenapi("check", "port", f"--port={place.partition(':')[2]}", "--host=127.0.0.1", data),
        ]
        talking.join(20)
    assert [check.status for check in said[:2]] == [1, 1]
    assert [(check.err, check.out.count("FAILED")) for check in said[:2]] == [("", 1), ("", 1)]
    assert (said[2].err, said[2].out.count("\n")) == ("", 1)


def test_options_that_do_not_go_together_and_a_log_that_cannot_be_written(facenapi, data, tmp_path):
    said = facenapi("check", "configuration", data, "--photo_storage=webdav")
    assert said.out == "FAILED  configuration: photo_storage=webdav needs ffupload_url, http://host/folder/\n"
    said = facenapi("check", "configuration", data, f"--log_file_prefix={tmp_path}/none/log")
    assert said.out.startswith(f"FAILED  configuration: log_file_prefix: {tmp_path}/none is not there")
    assert facenapi("check", "configuration", data, f"--log_file_prefix={tmp_path}/log").status == 0


def test_a_log_that_can_be_written_but_not_rotated(facenapi, data, tmp_path, monkeypatch):
    (tmp_path / "log").touch()
    monkeypatch.setattr("os.access", lambda path, _: Path(path).is_file())  # as to a user who has but the file
    said = facenapi("check", "configuration", data, f"--log_file_prefix={tmp_path}/log")
    assert said.out == (
        f"FAILED  configuration: log_file_prefix: this user may not write {tmp_path}, so the file cannot be rotated\n"
    )


def test_a_configuration_that_sets_nothing_must_be_readable_as_well(facenapi, data, tmp_path, monkeypatch):
    file = tmp_path / "facenapi.ini"
    file.write_text("#port = 8000\n")
    monkeypatch.setattr("os.access", lambda path, _: str(path) != str(file))
    said = facenapi("check", "configuration", data, f"--config={file}")
    assert said.out.startswith(f"FAILED  configuration: {file} cannot be read by ")
