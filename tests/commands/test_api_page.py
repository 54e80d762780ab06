"""facenapi api-page: fetched once, whole, and anew by a release that names another version."""

from dataclasses import replace
from pathlib import Path

import pytest

from facenapi.commands import api_page


@pytest.fixture
def fetched(monkeypatch):
    """Fetch nothing; what was asked for."""
    asked = []
    monkeypatch.setattr(api_page, "fetch", lambda package, *_: asked.append(package.version) or b"")
    monkeypatch.setattr(
        api_page, "read_tarball", lambda _, members: {name: f"{name} {asked[-1]}".encode() for name in members}
    )
    return asked


def test_it_is_fetched_once_and_anew_in_another_version(facenapi, tmp_path, fetched, monkeypatch):
    option, file = f"--data_dir={tmp_path}", tmp_path / "api-page" / "swagger-ui.css"
    for _ in range(2):
        assert facenapi("api-page", option).out == f"{tmp_path / 'api-page'}\n"
    before = api_page.SWAGGER_UI.version
    monkeypatch.setattr(api_page, "SWAGGER_UI", replace(api_page.SWAGGER_UI, version="99"))
    assert facenapi("api-page", option).status == 0
    assert fetched == [before, "99"]
    assert file.read_text().endswith(" 99")


@pytest.mark.usefixtures("fetched")
def test_what_was_cut_off_is_fetched_again(facenapi, tmp_path, monkeypatch):
    option, write = f"--data_dir={tmp_path}", Path.write_bytes

    def full(path, data):
        write(path, data[:3])
        if path.name == "NOTICE":
            raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert facenapi("api-page", option).status == 1
    assert facenapi("api-page", option).status == 0
    assert (tmp_path / "api-page" / "NOTICE").read_text().startswith("package/NOTICE ")
