"""Strangers behind a reverse proxy that listens on IPv4 and IPv6 at once: the former come mapped."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tornado.httputil import HTTPHeaders

from facenapi.config.lists import networks_of
from facenapi.process.proxies import seen
from tests.contract.conftest import serving


class DualStackServer(ThreadingHTTPServer):
    """One socket for both."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


@contextmanager
def proxy(behind: int):
    """A reverse proxy that notes whom it serves behind whatever was noted before; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hops = [*self.headers.get_all("X-Forwarded-For", []), self.client_address[0]]
            connection = http.client.HTTPConnection("127.0.0.1", behind, timeout=30)
            sent = {name: value for name, value in self.headers.items() if name in ("Authorization", "Host")}
            connection.request("GET", self.path, headers=sent | {"X-Forwarded-For": ", ".join(hops)})
            reply = connection.getresponse()
            data = reply.read()
            connection.close()
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = DualStackServer(("::", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def status(port: int, source: str, key: str | None = None, forwarded: str | None = None) -> int:
    """Ask from an address of this machine, maybe with hops that were made up."""
    to = "::1" if ":" in source else "127.0.0.1"
    connection = http.client.HTTPConnection(to, port, timeout=30, source_address=(source, 0))
    headers = {"Authorization": f"Token {key}" if key else None, "X-Forwarded-For": forwarded}
    connection.request("GET", "/v1/galleries", headers={name: text for name, text in headers.items() if text})
    found = connection.getresponse().status
    connection.close()
    return found


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_each_stranger_has_a_bucket_whatever_hops_he_makes_up(tmp_path):
    options = ("--rate_limit=0.001", "--trusted_proxies=127.0.0.1,::1")
    with serving("sqlite", tmp_path, *options) as server, proxy(int(server.url.rpartition(":")[2])) as port:
        made_up = ["::ffff:127.0.0.9", "1.2.3.4, ::ffff:5.6.7.8", "::ffff:7f00:3, 127.0.0.1", "unknown, 2001:db8::1"]
        assert status(port, "127.0.0.2") == 401
        assert [status(port, "127.0.0.2", "guessed", hops) for hops in made_up] == [429] * 4
        assert [status(port, "127.0.0.3", None, hops) for hops in made_up] == [401, 429, 429, 429]
        assert [status(port, address, server.new_key()) for address in ("127.0.0.2", "127.0.0.3", "::1")] == [200] * 3
        # A second proxy, which is trusted, too: what it says of its own client counts, and nothing before that.
        with proxy(port) as outer:
            assert status(outer, "127.0.0.2") == 429
            assert [status(outer, "127.0.0.4", None, hops) for hops in made_up] == [401, 429, 429, 429]


@pytest.mark.parametrize("trusted", ["10.0.0.0/8", "::ffff:10.0.0.0/104"])
@pytest.mark.parametrize(
    ("peer", "hops", "address"),
    [
        ("::ffff:10.0.0.1", "::ffff:9.8.7.6", "9.8.7.6"),
        ("10.0.0.1", "6.6.6.6, ::FFFF:9.8.7.6, ::ffff:a00:7, [::ffff:10.0.0.8]:443", "9.8.7.6"),
        ("::ffff:10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("::ffff:10.0.0.1", "", "10.0.0.1"),
        ("::ffff:9.8.7.6", "1.2.3.4", "9.8.7.6"),
        ("fe80::1%eth0", "1.2.3.4", "fe80::1%eth0"),
        ("::ffff:10.0.0.1", "2001:db8::1, fe80::7%lan, 10.0.0.2", "fe80::7%lan"),
    ],
)
def test_an_address_is_the_same_however_it_is_written(trusted, peer, hops, address):
    found = seen(peer, HTTPHeaders({"Host": "x", "X-Forwarded-For": hops}), networks_of(trusted), "")
    assert found.address == address
