"""facenapi export, import and expire, beside a running server."""

import re

import pytest

from tests.support.fake_server import ForkedServer
from tests.support.live import form
from tests.support.server import BLUE, GREEN, RED, picture

pytestmark = pytest.mark.slow

CAMERA = "3f0b4c8e-8d0a-4b52-9c53-3d6c7f9a1b2e"


@pytest.fixture
def server(tmp_path):
    with ForkedServer(tmp_path / "data") as running:
        assert running.call("POST", "/v1/galleries/staff")[0] == 201
        for color, more in ((RED, {"meta": "red", "galleries": "staff"}), (GREEN, {"cam_id": CAMERA}), (BLUE, {})):
            status, answer = running.call("POST", "/v1/face", *form({"photo": picture(color), **more}))
            assert status == 200, answer
        yield running


def faces(server):
    return server.call("GET", "/v1/faces")[1]["results"]


def test_a_running_server_is_exported_and_another_takes_it_in(server, facenapi, tmp_path):
    file, data = tmp_path / "faces.ndjson", f"--data_dir={server.folder}"
    said = facenapi("export", file, data)
    assert (said.status, said.out) == (0, f"{file}: 3 faces of {server.folder}/store/facenapi.sqlite\n")
    assert facenapi("export", file, data).err == f"facenapi: {file} exists already\n"
    owner = facenapi("token", "list", data).out.splitlines()[1].split()[1]
    with ForkedServer(tmp_path / "other") as other:
        other_data = f"--data_dir={other.folder}"
        for count in (3, 0):
            said = facenapi("import", file, other_data)
            assert said.out == f"{file}: {count} new faces in {other.folder}/store/facenapi.sqlite\n"
        other.key = facenapi("token", f"--owner={owner}", other_data).out.strip()
        assert faces(other) == faces(server)
        assert other.call("GET", "/v1/galleries")[1] == {"results": ["default", "staff"]}


def test_an_import_may_be_the_beginning(server, facenapi, tmp_path):
    file, fresh = tmp_path / "faces.ndjson", f"--data_dir={tmp_path / 'fresh'}"
    facenapi("export", file, f"--data_dir={server.folder}")
    said = facenapi("import", file, fresh)
    assert said.out == f"{file}: 3 new faces in {tmp_path}/fresh/store/facenapi.sqlite\n"
    advice = re.search(r"facenapi (token) (--owner=\S+) makes one", said.err)
    again = tmp_path / "again.ndjson"
    assert facenapi("export", again, fresh).out.startswith(f"{again}: 3 faces of ")  # with or without a token
    assert facenapi(*advice.groups(), fresh).status == 0
    assert "3 faces of 1 owners" in facenapi("check", "store", fresh).out
    assert (
        "token --owner=me makes one" in facenapi("import", file, f"--data_dir={tmp_path / 'other'}", "--owner=me").err
    )


def test_mistakes_are_one_line(server, facenapi, tmp_path):
    data, file = f"--data_dir={server.folder}", tmp_path / "faces.ndjson"
    assert "there is no owner nobody" in facenapi("export", file, data, "--owner=nobody").err
    assert "there is no database" in facenapi("export", file, f"--data_dir={tmp_path}/none").err
    assert "No such file" in facenapi("import", tmp_path / "nothing", data).err
    assert facenapi("import", tmp_path / "nothing", f"--data_dir={tmp_path / 'none'}").status == 1
    assert not (tmp_path / "none").exists()
    file.write_text("nonsense\n")
    assert facenapi("import", file, data).err == f"facenapi: {file}: line 1 is damaged\n"


def test_old_history_goes_with_its_photos_and_the_rest_stays(facenapi, tmp_path):
    keep = "--photo_storage=files"
    with ForkedServer(tmp_path / "data", keep) as server:
        for color, more in ((RED, {"meta": "red"}), (GREEN, {"cam_id": CAMERA})):
            assert server.call("POST", "/v1/face", *form({"photo": picture(color), **more}))[0] == 200
        data = f"--data_dir={server.folder}"
        assert facenapi("expire", "--days=1", data, keep).out == "0 faces deleted\n"
        assert len(kept_photos(server)) == 6
        assert facenapi("expire", "--days=0", data, keep).out == "1 faces deleted\n"
        assert [face["meta"] for face in faces(server)] == ["red"]
        assert len(kept_photos(server)) == 3
        assert facenapi("expire", "--days=-1", data).status == 2
        # The server alone may have the option.
        assert server.call("POST", "/v1/face", *form({"photo": picture(GREEN), "cam_id": CAMERA}))[0] == 200
        assert facenapi("expire", "--days=0", data).out == "1 faces deleted\n"
        assert len(kept_photos(server)) == 3


def test_old_history_stays_while_its_photos_are_out_of_reach(facenapi, tmp_path):
    with ForkedServer(tmp_path / "data") as server:
        assert server.call("POST", "/v1/face", *form({"photo": picture(GREEN), "cam_id": CAMERA}))[0] == 200
        (server.folder / "webdav" / "owner").mkdir(parents=True)
        said = facenapi("expire", "--days=0", f"--data_dir={server.folder}")
        assert (said.status, "--photo_storage=webdav --ffupload_url=URL" in said.err) == (1, True)
        assert len(faces(server)) == 1


def kept_photos(server):
    return [path for path in (server.folder / "photos").rglob("*") if path.suffix]
