"""Check an installation: configuration, store, model pack, the faces' vectors, search index, port.

It is safe at any time, also while the server runs. One line per part, "ok" or "FAILED" with the reason;
without names of parts all are checked. "facenapi check configuration --config=FILE" checks a file alone.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from facenapi.commands.common import own_name, parse, parser
from facenapi.config.options import Config
from facenapi.detector.measure.verify import verify_pack
from facenapi.detector.packs.pack import load_pack
from facenapi.detector.run.device import choose_device
from facenapi.errors import ApiError, StartupError
from facenapi.process.calls import CALL_ERRORS
from facenapi.search.open import open_milvus
from facenapi.search.remote.peers import authorization, secret_of
from facenapi.search.table import read_table
from facenapi.services.foreign import COMMAND
from facenapi.services.regenerate import count_models
from facenapi.services.sweep import open_files
from facenapi.storage.open import database_file, open_store

_TIMEOUT_S = 5.0
_MOST_BYTES = 1 << 20  # of an answer
_LITTLE_DISK = 1 << 30


class ProblemError(Exception):
    """What is wrong with a part, in one line."""


def main(arguments: Sequence[str]) -> int:
    """Check what is asked for; 1 if anything is wrong, 78 if it is the configuration."""
    own = parser("check", __doc__)
    own.add_argument(
        "--servers",
        default="",
        metavar="URLS",
        help="addresses of all API servers of this installation, http://HOST:PORT,…: whether they agree",
    )
    own.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    chosen, config = parse(own, arguments)
    unknown = sorted(set(chosen.parts) - set(PARTS))
    if unknown:
        own.error(f"there is no part {unknown[0]}; parts are {', '.join(PARTS)}")
    failed = False
    asked = {name: check for name, check in PARTS.items() if not chosen.parts or name in chosen.parts}
    urls = [url.strip().rstrip("/") for url in chosen.servers.split(",") if url.strip()]
    wrong = [url for url in urls if not url.startswith(("http://", "https://"))]
    if wrong:
        own.error(f"--servers: {wrong[0]} is not http://HOST:PORT")
    if urls:
        asked["servers"] = lambda _: _agreement(urls)
    for name, check in asked.items():
        try:
            print(f"ok      {name}: {check(config)}", flush=True)
        except (ProblemError, StartupError, ApiError, OSError) as error:
            failed = True
            print(f"FAILED  {name}: {error}", flush=True)
    return 1 if failed else 0


def _configuration(config: Config) -> str:
    # What is wrong with single options was raised when they were loaded.
    open_files(config)
    if config.file and not os.access(config.file, os.R_OK):  # root has read it, and is the server's user now
        raise ProblemError(
            f"{config.file} cannot be read by {own_name()}: chgrp it to a group of that user, chmod 640"
        )
    log = Path(config.log_file_prefix).absolute()
    place = log if log.exists() else log.parent
    if config.log_file_prefix and not os.access(place, os.W_OK):
        raise ProblemError(f"log_file_prefix: {place} is not there, or this user may not write it")
    if config.log_file_prefix and log.is_file() and not os.access(log.parent, os.W_OK):
        raise ProblemError(f"log_file_prefix: this user may not write {log.parent}, so the file cannot be rotated")
    names = [f"{name} ({config.sources.get(name, 'set')})" for name in sorted(config.given)]
    return f"{len(names)} options set: {', '.join(names) or 'all have their defaults'}"


def _data_dir(config: Config) -> str:
    folder = Path(config.data_dir)
    if not folder.is_dir():
        raise ProblemError(f"there is no folder {folder}: make it, owned by the user that the server runs as")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ProblemError(f"{folder} cannot be written by this user; run the check as the user of the server")
    free = shutil.disk_usage(folder).free
    if free < _LITTLE_DISK:
        raise ProblemError(f"{folder} has only {free >> 20} MiB left on its disk")
    return f"{folder}, {free >> 30} GiB free"


def _store(config: Config) -> str:
    database = database_file(config)
    if database is not None and not database.exists():
        return f"{database} does not exist yet; the server makes it when it starts"
    return asyncio.run(_open_and_ask(config))


async def _open_and_ask(config: Config) -> str:
    store = open_store(config, shared=True)
    await store.start()
    try:
        await store.ping()
        for finding in await store.report():
            if not finding.well:
                raise ProblemError(": ".join(filter(None, (finding.text, finding.advice))))
        tokens = await store.list_tokens()
        owners = await store.list_owners()
        faces = sum([await store.count_faces(owner) for owner in owners])
    finally:
        await store.close()
    active = sum(token.active for token in tokens)
    hint = "" if active else "; facenapi token makes the first token"
    return f"{faces} faces of {len(owners)} owners, {active} active tokens{hint}"


def _models(config: Config) -> str:
    problems = verify_pack(config.pack_folder)
    if problems:
        raise ProblemError("; ".join(problems))
    device = choose_device(config.device, 1)
    return f"{config.pack_folder}: files and outputs are as they should be; networks run on {device.kind}"


def _vectors(config: Config) -> str:
    database = database_file(config)
    if database is not None and not database.exists():
        return "no faces yet"
    counts, name = asyncio.run(_count_models(config)), load_pack(config.pack_folder).name_of(config.embedding_views)
    others = sorted(model for model in counts if model != name)
    if others:
        raise ProblemError(
            f"{counts.total() - counts[name]} of {counts.total()} stored faces are not found: their vectors are of "
            f"another model ({', '.join(others)}) than the model pack's ({name}); {COMMAND} moves them"
        )
    return f"{counts.total()} faces, all of {name}"


async def _count_models(config: Config) -> Counter[str]:
    store, counts = open_store(config, shared=True), Counter[str]()
    await store.start()
    try:
        for owner in await store.list_owners():
            counts += await count_models(store, owner)
    finally:
        await store.close()
    return counts


def _index(config: Config) -> str:
    if config.milvus_uri:
        return _milvus(config)
    if not config.tntapi_servers_file:
        return f"embedded, snapshots in {Path(config.data_dir) / 'index'}"
    dead, faces = [], 0
    table = read_table(Path(config.tntapi_servers_file))
    for address in table:
        try:
            faces += _faces_of(address, config)
        except ProblemError as error:
            dead.append(f"{address} ({error})")
    if dead:
        raise ProblemError(f"{len(dead)} of {len(table)} shards do not serve: {', '.join(dead)}")
    return f"{len(table)} shards serve {faces} faces"


def _faces_of(address: str, config: Config) -> int:
    count = _get(f"http://{address}/health", authorization(secret_of(config))).get("faces", 0)
    if not isinstance(count, int):
        raise ProblemError("answers something else than a shard does")
    return count


def _milvus(config: Config) -> str:
    engine = open_milvus(config)
    try:
        engine.connect()
        return f"Milvus has {engine.count()} vectors"
    finally:
        engine.close()


def _agreement(urls: Sequence[str]) -> str:
    """Say that servers which stand for one another are alike: release, networks, shards, what they keep."""
    said: dict[str, dict[str, list[str]]] = {}
    for url in urls:
        try:
            health = _get(f"{url}/health")
        except ProblemError as error:
            raise ProblemError(f"{url} {error}") from error
        if "version" not in health:
            raise ProblemError(f"{url} tells strangers nothing: run the check on its machine")
        detector, search = health.get("detector"), health.get("search")
        if not (isinstance(detector, dict) and isinstance(search, dict)):
            raise ProblemError(f"{url} answers something else than a server does")
        found = {
            "version": health.get("version"),
            "model pack": (detector.get("pack"), detector.get("version"), detector.get("embedding")),
            "number of shards": search.get("total"),
            "store": health.get("store"),
        }
        for name, value in found.items():
            said.setdefault(name, {}).setdefault(json.dumps(value), []).append(url)
    for name, values in said.items():
        if len(values) > 1:
            each = "; ".join(f"{', '.join(where)}: {value}" for value, where in values.items())
            raise ProblemError(f"they differ in {name}: {each}")
    return f"{len(urls)} servers agree"


def _get(url: str, headers: Mapping[str, str] = {}) -> dict[str, Any]:
    """Return the JSON object that a part of the installation answers; raise ProblemError."""
    try:
        # Without the proxies of the environment: all parts are near.
        asked = Request(url, headers=dict(headers))  # noqa: S310 - all are http://
        with build_opener(ProxyHandler({})).open(asked, timeout=_TIMEOUT_S) as reply:
            answer = json.loads(reply.read(_MOST_BYTES))
    except HTTPError as error:
        raise ProblemError(f"answers {error.code}") from error
    except OSError as error:
        raise ProblemError(str(getattr(error, "reason", error))) from error
    except CALL_ERRORS as error:
        raise ProblemError("answers something else than JSON by HTTP") from error
    return answer if isinstance(answer, dict) else {}


def _port(config: Config) -> str:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((config.host, config.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return _holder(config)
            raise ProblemError(f"cannot listen on {config.host}:{config.port}: {error.strerror}") from error
    return f"{config.host}:{config.port} is free"


def _holder(config: Config) -> str:
    """Say that our own server has the port; raise ProblemError if another has."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104
    place = f"[{host}]:{config.port}" if ":" in host else f"{host}:{config.port}"
    try:
        _get(f"http://{place}/health/live")
    except ProblemError:
        raise ProblemError(f"{config.host}:{config.port} is taken by another program") from None
    return f"a facenapi server has {config.host}:{config.port}"


PARTS: dict[str, Callable[[Config], str]] = {
    "configuration": _configuration,
    "data_dir": _data_dir,
    "store": _store,
    "models": _models,
    "vectors": _vectors,
    "index": _index,
    "port": _port,
}
