"""Examples for the page of the documentation: the same requests by the Python client."""

from __future__ import annotations

import re
from typing import Any

from facenapi.api.operation import Operation
from facenapi.handlers.openapi import path_schema

# What the client calls each method; tests/docs runs every example.
_CALLS = {
    "post /detect": "detect",
    "post /verify": "verify",
    "post /identify": "identify",
    "post /faces/gallery/{gallery}/identify": "identify",
    "get /faces": "faces",
    "get /faces/meta/{meta}": "faces",
    "get /faces/gallery/{gallery}": "faces",
    "get /faces/gallery/{gallery}/meta/{meta}": "faces",
    "post /faces": "add_face",
    "post /faces/gallery/{gallery}": "add_face",
    "get /faces/id/{face_id}": "face",
    "put /faces/id/{face_id}": "edit_face",
    "delete /faces/id/{face_id}": "delete_face",
    "delete /faces/meta/{meta}": "delete_faces",
    "delete /faces/gallery/{gallery}/meta/{meta}": "delete_faces",
    "get /meta": "metas",
    "get /meta/gallery/{gallery}": "metas",
    "get /galleries": "galleries",
    "post /galleries": "add_gallery",
    "post /galleries/{gallery}": "add_gallery",
    "delete /galleries/{gallery}": "delete_gallery",
    "get /persons": "persons",
    "get /person/id/{person_id}": "person",
    "get /person/id/{person_id}/faces": "person_faces",
    "post /person/id/{person_id}/merge": "merge_persons",
    "get /person/history/id/{person_id}": "person_history",
    "get /history/search": "history",
    "post /history/search": "history",
    "get /camera": "cameras",
    "post /camera": "add_camera",
    "get /camera/{cam_id}": "camera",
    "put /camera/{cam_id}": "edit_camera",
    "delete /camera/{cam_id}": "delete_camera",
    "get /server": "server",
}


def client(method: str, path: str, declared: Operation, base: str, *, files: bool = True) -> str:
    """Return a request by the client for Python, with photos from files or by URL."""
    name = _CALLS[f"{method} {path}"]
    given = ", ".join(f"{key}={value!r}" for key, value in _arguments(name, path, declared, files=files).items())
    call = f"facenapi.{name}({given})"
    paged = "next_page" in (declared.answer or {}).get("properties", {})
    shown = (
        f"for entry in {call}:\n        print(entry)"
        if paged
        else call
        if declared.answer is None
        else f"print({call})"
    )
    return f'from facenapi_client import Client\n\nwith Client("{base}", token="KEY") as facenapi:\n    {shown}'


def _arguments(name: str, path: str, declared: Operation, *, files: bool) -> dict[str, Any]:
    photos = {param.name: f"{param.name}.jpg" for param in declared.params if param.kind.photo and files}
    pieces = {piece: path_schema(piece)["examples"][0] for piece in re.findall(r"\{(\w+)\}", path)}
    given = photos | pieces | {key: value for key, value in declared.example.items() if key not in photos}
    if name in ("add_gallery", "delete_gallery"):
        return {"name": given.get("name") or given["gallery"]}
    if "galleries" in given:  # one of them may be in the path, too
        given.pop("gallery", None)
    if name == "edit_face":
        given |= {f"{verb}_galleries": names for verb, names in given.pop("galleries").items()}
    if "limit" in given:
        given["page_size"] = given.pop("limit")
    return given
