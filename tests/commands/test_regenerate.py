"""facenapi regenerate with real networks: another pack, beside a running server."""

import json
import shutil

import pytest

from tests.support.live import Server, form

pytestmark = pytest.mark.slow


@pytest.fixture
def new_pack(tmp_path, model_pack):
    """The default pack under another name of its embedding."""
    folder = tmp_path / "new"
    shutil.copytree(model_pack, folder)
    manifest = json.loads((folder / "pack.json").read_text())
    manifest["embedder"]["name"] += "-again"
    (folder / "pack.json").write_text(json.dumps(manifest))
    return folder, manifest["embedder"]["name"]


def test_all_faces_move_from_a_folder_of_photos(facenapi, tmp_path, new_pack, astronaut, grace_hopper):
    pack, name = new_pack
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.png").write_bytes(astronaut)
    (folder / "deep" / "g.jpg").write_bytes(grace_hopper)
    options = [f"--data_dir={tmp_path / 'data'}", f"--model_pack={pack}"]
    with Server(tmp_path / "data") as server:
        for meta, photo in (("Eileen", astronaut), ("Grace", grace_hopper)):
            assert server.call("POST", "/v1/face", *form({"photo": photo, "meta": meta}))[0] == 200
        said = facenapi("regenerate", "--count", *options)
        assert said.out.endswith(f"2 of 2 faces are to be moved to {name}\n")
        said = facenapi("regenerate", *options)
        assert said.status == 1
        assert "0 faces moved" in said.out
        assert said.err.count("The photo was uploaded and not kept") == 2
        said = facenapi("regenerate", f"--photos={folder}", *options)
        assert (said.status, said.out) == (0, f"2 faces moved to {name}, 0 could not be, 0 were there already\n")
        said = facenapi("regenerate", *options)
        assert (said.status, said.out) == (0, f"0 faces moved to {name}, 0 could not be, 2 were there already\n")
        server.stop()
        server.options.append(f"--model_pack={pack}")
        server.start()
        status, answer = server.call("POST", "/v1/identify", *form({"photo": grace_hopper, "n": 5}))
        assert status == 200
        [[match]] = answer["results"].values()
        assert (match["confidence"], match["face"]["meta"]) == (1, "Grace")


def test_wrong_usage(facenapi, tmp_path):
    assert facenapi("regenerate", "--parallel=0", f"--data_dir={tmp_path}").status == 2
    said = facenapi("regenerate", "--count", f"--data_dir={tmp_path}")
    assert (said.status, "there is no model pack" in said.err) == (1, True)
