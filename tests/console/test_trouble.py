"""What a person sees when something goes wrong: words, what to do next, and that it goes on by itself."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.console.browser import ROOT, Visitor
from tests.support import photos
from tests.support.live import PACK, Server, form

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_a_bad_image_and_one_without_a_face(browser, server):
    with Visitor(browser, server.url, server.key, expected=(400,)) as visitor:
        page = visitor.open("detect")
        visitor.give(b"this is no photo")
        visitor.sees("This is not a photo that the server can read.")
        visitor.sees("The server says:")
        page.get_by_role("button", name="Another photo").click()
        visitor.give(photos.no_face(), "coffee.png")
        visitor.sees("There is no face on this photo.")
        page = visitor.open("search")
        visitor.give(photos.no_face(), "coffee.png")
        visitor.sees("There is no face on this photo.")
        page = visitor.open("compare")
        visitor.give(photos.astronaut(), "one.png")
        visitor.give(photos.no_face(), "coffee.png")
        visitor.sees("Second photo: There is no face on this photo.")


def test_a_token_that_is_revoked_ends_the_session(browser, server):
    key = server.new_key()
    with Visitor(browser, server.url, expected=(401,)) as visitor:
        page = visitor.open()
        page.get_by_label("Token").fill(key)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Detect").wait_for()
        revoke = [sys.executable, "-m", "facenapi", "token", "revoke", key, *server.options]
        subprocess.run(revoke, check=True, capture_output=True, cwd=ROOT)
        page.wait_for_timeout(1200)  # a second is what a token may be known for
        page.get_by_role("link", name="Faces").click()
        visitor.sees("The token is not valid any more.")
        assert page.evaluate("sessionStorage.length") == 0


def test_overload_is_said_with_what_to_do(browser, tmp_path):
    with (
        Server(tmp_path, "--max_requests=1") as server,
        Visitor(browser, server.url, server.key, expected=(503,)) as visitor,
    ):
        page = visitor.open("detect")
        page.get_by_role("button", name="Choose a photo").wait_for()
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as held:  # a request that takes its time
            key = f"Authorization: Token {server.key}"
            held.sendall(f"POST /v1/detect HTTP/1.1\r\nHost: x\r\n{key}\r\nContent-Length: 9\r\n\r\n".encode())
            page.wait_for_timeout(300)
            visitor.give(photos.astronaut(), "one.png")
            visitor.sees("The server has too much to do at the moment.")
        page.wait_for_timeout(300)
        page.get_by_role("button", name="Try again").click()
        visitor.sees("One face")


def test_a_server_that_went_away_and_came_back(browser, tmp_path):
    port = free_port()
    with Server(tmp_path, f"--port={port}") as server:
        server.url = f"http://127.0.0.1:{port}"
        with Visitor(browser, server.url, server.key, offline=True, expected=(503,)) as visitor:
            page = visitor.open("faces")
            visitor.sees("No faces yet")
            server.kill()
            page.get_by_label("Gallery").evaluate("(one) => one.dispatchEvent(new Event('change'))")
            page.get_by_role("button", name="Filter").click()
            page.get_by_role("link", name="Galleries").click()
            visitor.sees("The server does not answer. The page goes on by itself when it is back.")
            server.start()
            page.locator(".bar.shown").wait_for(state="hidden")
            visitor.sees("No galleries yet")  # without a click


def test_a_dead_shard_is_said_beside_what_the_others_found(browser, tmp_path):
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    table = tmp_path / "tntapi.json"
    table.write_text(json.dumps([[addresses[cell % 2] for cell in range(1024)]]))
    shards = []
    with Server(tmp_path / "data", f"--tntapi_servers_file={table}", "--fetch_allow_private=True") as server:
        try:
            for address in addresses:
                command = [sys.executable, "-m", "facenapi", "shard", f"--data_dir={server.folder}",
                           f"--model_pack={PACK}", f"--tntapi_servers_file={table}",
                           f"--shard_address={address}"]  # fmt: skip
                shards.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT))
            wait_for_shards(server, 2)
            for _ in range(6):  # some in each shard
                face = form({"photo": photos.astronaut(), "meta": "Sam Berry"})
                status, answer = server.call("POST", "/v1/face", *face)
                assert status == 200, answer
            with Visitor(browser, server.url, server.key, expected=(503,)) as visitor:
                page = visitor.open("search")
                visitor.give(photos.astronaut(), "one.png")
                visitor.sees("2 of 2 search shards answered")
                visitor.sees("There are no pictures, because this server keeps no photos.")
                shards[1].kill()
                shards[1].wait()
                page.get_by_role("button", name="Search", exact=True).click()
                visitor.sees("1 of 2 search shards answered")
                page = visitor.open("status")
                visitor.sees("search shards: 1 of 2")
                shards[0].kill()
                shards[0].wait()
                visitor.open("search")
                visitor.give(photos.astronaut(), "one.png")
                visitor.sees("A part of the server is down: the database or the search.")
        finally:
            for shard in shards:
                shard.kill()
                shard.wait()


def wait_for_shards(server, count: int) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(server.url + "/health") as reply:
                if json.loads(reply.read())["search"]["live"] == count:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    pytest.fail("the shards do not serve")
