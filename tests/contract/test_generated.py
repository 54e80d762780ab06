"""The strict OpenAPI document, and clients that generators make of it, against a live server."""

from __future__ import annotations

import importlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from facenapi import __version__
from facenapi.api import jsonio
from tests.support.fake_server import ForkedServer
from tests.support.pictures_server import serve_pictures
from tests.support.server import RED, picture


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ForkedServer(tmp_path_factory.mktemp("server"), "--fetch_allow_private=True") as server:
        assert server.call("POST", "/v1/galleries/staff")[0] == 201
        yield server


def strict(server, version="v1"):
    status, document = server.call("GET", f"/docs/{version}/openapi.json?strict=1")
    assert status == 200
    return document


def operations(document) -> Iterator[tuple[str, dict]]:
    for template, methods in document["paths"].items():
        for method, described in methods.items():
            yield f"{method} {template}", described


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_the_strict_document_has_one_type_for_each_parameter_and_names(server, version):
    document, exact = strict(server, version), server.call("GET", f"/docs/{version}/openapi.json")[1]
    assert document["paths"].keys() == exact["paths"].keys()
    names = []
    for name, described in operations(document):
        names.append(described["operationId"])
        assert described["tags"], name
        for parameter in described["parameters"]:
            assert isinstance(parameter["schema"].get("type", "$ref"), str), (name, parameter)
            assert "anyOf" not in parameter["schema"]
        for kind, content in described.get("requestBody", {"content": {}})["content"].items():
            assert kind in ("application/json", "multipart/form-data")
            for parameter, schema in content["schema"]["properties"].items():
                assert isinstance(schema.get("type"), str) or "$ref" in schema, (name, parameter)
                assert "anyOf" not in schema, (name, parameter)
        if "photo" in str(described.get("requestBody")):
            assert len(described["requestBody"]["content"]) == 2, name
        for status, response in described["responses"].items():
            for content in response.get("content", {}).values():
                schema = content["schema"]
                assert "$ref" in schema or schema["type"] == "array", (name, status)
    assert len(set(names)) == len(names)
    for code in ("BadParam", "BadImage", "NoFaces", "TooManyFaces", "AuthFailed", "NotFound", "Overloaded"):
        schema = document["components"]["schemas"][f"{code}Error"]
        assert schema["properties"]["code"]["description"]


def test_examples_of_requests_are_understood(server):
    photo = serve_pictures([picture(RED)])[0]
    for name, described in operations(strict(server)):
        example = described.get("requestBody", {"content": {}})["content"].get("application/json", {}).get("example")
        if example is None or "{" in name:
            continue
        body = {key: photo if key.startswith("photo") else value for key, value in example.items()}
        body |= {"galleries": ["staff"]} if "galleries" in body else {}
        body |= dict.fromkeys({"age", "gender", "emotions"} & body.keys(), False)
        method, path = name.split(" ")
        status, answer = server.call(method.upper(), f"/v1{path}", _json(body))
        assert status in (200, 201), (name, answer)


def _json(value) -> bytes:
    return jsonio.dumps(value).encode()


@pytest.mark.slow
def test_a_generated_python_client_detects_enrols_and_identifies(server, tmp_path, monkeypatch):
    document = tmp_path / "openapi.json"
    document.write_bytes(_json(strict(server)))
    folder = tmp_path / "generated_facenapi"
    command = [sys.executable, "-m", "openapi_python_client", "generate", f"--path={document}", "--meta=none",
               f"--output-path={folder}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unsupported" not in done.stdout.lower() + done.stderr.lower()
    monkeypatch.syspath_prepend(tmp_path)
    package = "generated_facenapi"
    client = importlib.import_module(f"{package}.client").AuthenticatedClient(
        base_url=f"{server.url}/v1", token=server.key, prefix="Token"
    )
    types, models = (importlib.import_module(f"{package}.{name}") for name in ("types", "models"))

    def call(name, body):
        module = next(
            importlib.import_module(f"{package}.api.{tag}.{name}") for tag in ("recognition", "faces")
            if (folder / "api" / tag / f"{name}.py").exists()
        )  # fmt: skip
        answer = module.sync(client=client, body=body)
        assert answer is not None
        return answer

    def file():
        return types.File(payload=io.BytesIO(picture(RED)), file_name="a.png", mime_type="image/png")

    found = call("post_detect", models.PostDetectFilesBody(photo=file()))
    [face] = found.faces
    assert (face.x1, face.y2, found.orientation) == (50, 80, 1)
    enrolled = call("post_faces", models.PostFacesFilesBody(photo=file(), meta="Sam", galleries=["staff"]))
    [stored] = enrolled.results
    assert (stored.meta, stored.galleries) == ("Sam", ["default", "staff"])
    url = serve_pictures([picture(RED)])[0]
    identified = call("post_identify", models.PostIdentifyJsonBody(photo=url, n=3, threshold=0.9))
    [[match]] = identified.results.additional_properties.values()
    assert (match.face.id, match.confidence) == (stored.id, 1)
    refused = importlib.import_module(f"{package}.api.recognition.post_detect").sync(
        client=client, body=models.PostDetectJsonBody(photo="x")
    )
    assert refused.code == "BAD_IMAGE"
    client.get_httpx_client().close()


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_the_page_has_all_that_a_reader_needs(server, version):
    status, page = server.call("GET", f"/docs/{version}")
    text = page.decode()
    assert status == 200
    for part in ("<h2>Recognition</h2>", "<h2>Cameras</h2>", f"Release {__version__}", "-F photo=@photo.jpg",
                 "-F photo1=@photo1.jpg", "overflow-x: auto", "openapi.json?strict=1",
                 'content="width=device-width'):  # fmt: skip
        assert part in text, part
    if version == "v1":  # which the client for Python speaks
        for photo in ("photo=&#x27;photo.jpg&#x27;", "photo=&#x27;http://static.example.com/sample.jpg&#x27;"):
            assert f"facenapi.detect({photo}" in text
    for code in ("BAD_PARAM", "TOO_MANY_FACES", "BAD_ENCODING", "TIMEOUT", "OVERLOADED", "SERVICE_UNAVAILABLE"):
        assert f"<tr><td><code>{code}</code>" in text
    anchors = set(re.findall(r'id="([^"]+)"', text))
    links = re.findall(r'href="#([^"]+)"', text)
    assert links
    assert set(links) <= anchors
    detect = text[text.index('<h3 id="post/detect">') :].split("<h3 id=")[1]
    assert "&quot;emotions&quot;" in detect  # which the example asks for
    assert "&quot;quality&quot;: 0" not in detect  # which it does not
