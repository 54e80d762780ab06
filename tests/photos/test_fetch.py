"""Fetching photos: what comes back, what is refused, in real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket

import pytest
from tornado.testing import bind_unused_port

from facenapi.config.lists import hosts_of, networks_of, ports_of
from facenapi.errors import BadImage, Overloaded
from facenapi.photos.fetch import Fetcher
from facenapi.photos.targets import Targets, is_public
from facenapi.photos.urls import check_url
from tests.support.rawserver import RawServer

LIMIT = 1000
BROKEN = "The answer of the URL broke off, or is no proper HTTP"


def make_fetcher(**changes):
    targets = changes.pop("targets", Targets(private=changes.pop("allow_private", True)))
    return Fetcher(**{"timeout_s": 1.0, "max_bytes": LIMIT, "max_clients": 4, "targets": targets} | changes)


def ok(body: bytes, *extra: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *extra, b"", body])


async def outcome(payload, **changes):
    pause = changes.pop("pause", 0.0)
    server = RawServer(payload, pause)
    fetcher = make_fetcher(**changes)
    try:
        return await fetcher.fetch(server.url, "photo")
    except BadImage as error:
        return error.reason
    finally:
        fetcher.close()
        server.stop()


async def test_it_returns_the_bytes_up_to_the_limit():
    assert await outcome(ok(b"x" * LIMIT)) == b"x" * LIMIT


async def test_one_byte_more_is_refused_announced_or_not():
    assert await outcome(ok(b"x" * (LIMIT + 1))) == "The photo at the URL is larger than 1000 bytes"
    assert await outcome(ok(b"x" * 50000)) == "The photo at the URL is larger than 1000 bytes"
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"c8\r\n%b\r\n" % (b"y" * 200) * 500
    assert await outcome(endless) == "The photo at the URL is larger than 1000 bytes"


async def test_status_redirect_and_silence_are_told_apart():
    assert await outcome(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno") == "The URL answered with status 404"
    assert await outcome(b"HTTP/1.1 204 No\r\n\r\n") == "The URL answered with status 204"
    redirect = b"HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    assert await outcome(redirect) == "The URL redirects; redirects are not followed"
    assert await outcome(b"") == "The photo at the URL is not reachable"
    assert await outcome(b"SSH-2.0-hello\r\n\r\n") == "The photo at the URL is not reachable"
    slow = await outcome(ok(b"z" * 900), pause=0.2, timeout_s=0.3)
    assert slow == "The URL did not answer within 0.3 seconds"


@pytest.mark.parametrize(("payload", "reason"), [
    (b"HTTP/1.1 200 OK\r\n" + b"X-A: %b\r\n" % (b"a" * 190) * 500, "The URL answered with a head that is too long"),
    (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000, "The URL answered with a head that is too long"),
    (ok(b"x" * 90, b"Content-Encoding: gzip"), "The URL answered with a content encoding, which was not asked for"),
    (ok(b"x" * 90, b"content-encoding:br"), "The URL answered with a content encoding, which was not asked for"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nshort", BROKEN),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort", BROKEN),
    (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nshort", BROKEN),
    (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nshort", BROKEN),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nshort", BROKEN),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", BROKEN),
])  # fmt: skip
async def test_what_a_strangers_server_may_do_is_told_in_a_sentence(payload, reason):
    assert await outcome(payload) == reason


async def test_bytes_beyond_the_announced_length_are_not_the_photo():
    assert await outcome(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nphoto and more") == b"photo"


async def test_an_answer_without_end_is_ended():
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 900
    assert await outcome(endless, pause=0.1, timeout_s=0.3) == "The URL did not answer within 0.3 seconds"
    drip = b"HTTP/1.1 200 OK\r\n" + b"X-Header: of many\r\n" * 500
    assert await outcome(drip, pause=0.1, timeout_s=0.3) == "The URL did not answer within 0.3 seconds"


async def test_an_iri_is_fetched_as_its_uri():
    asked = []

    class Noting(RawServer):
        async def handle_stream(self, stream, address):
            asked.append(await stream.read_until(b"\r\n"))
            await super().handle_stream(stream, address)

    server, fetcher = Noting(ok(b"here")), make_fetcher()
    url = server.url.replace("photo.jpg", "фото/a%20b.jpg?лицо=да&x=é")
    assert await fetcher.fetch(url, "photo") == b"here"
    assert asked == [
        b"GET /%D1%84%D0%BE%D1%82%D0%BE/a%20b.jpg?%D0%BB%D0%B8%D1%86%D0%BE=%D0%B4%D0%B0&x=%C3%A9 HTTP/1.1\r\n"
    ]
    fetcher.close()
    server.stop()


async def test_a_closed_port_is_not_reachable():
    sock, port = bind_unused_port(address="127.0.0.1")
    sock.close()
    fetcher = make_fetcher()
    with pytest.raises(BadImage, match=r"not reachable"):
        await fetcher.fetch(f"http://127.0.0.1:{port}/", "photo")
    fetcher.close()


async def test_more_fetches_than_allowed_are_refused_at_once():
    server = RawServer(ok(b"a" * 900), 0.05)
    fetcher = make_fetcher(max_clients=2)
    results = await asyncio.gather(*(fetcher.fetch(server.url, "photo") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == 3
    assert results.count(b"a" * 900) == 2
    fetcher.close()
    server.stop()


async def test_a_fetch_that_is_given_up_counts_until_its_end_and_leaves_no_trace(caplog):
    server = RawServer(ok(b"a" * 900)[:-1], 0.1)  # the answer breaks off
    fetcher = make_fetcher(max_clients=1, timeout_s=10.0)
    given_up = asyncio.ensure_future(fetcher.fetch(server.url, "photo"))
    await asyncio.sleep(0.05)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    seen = []
    while not seen or isinstance(seen[-1], Overloaded):
        seen += await asyncio.gather(fetcher.fetch(server.url, "photo"), return_exceptions=True)
        await asyncio.sleep(0.01)
    assert isinstance(seen[0], Overloaded)
    assert seen[-1].reason == BROKEN
    fetcher.close()
    server.stop()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


# Spellings of loopback, private, link-local, multicast, mapped and translated targets.
FORBIDDEN = [
    "127.0.0.1", "localhost", "2130706433", "0x7f.1", "0x7f000001", "127.1", "0", "0.0.0.0", "0177.0.0.1",
    "017700000001", "127.0.0.1.", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]", "①②⑦.0.0.1", "127。0。0。1", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254",
    "192.168.0.1", "100.64.0.1", "169.254.169.254", "169.254.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "[fe80::1]", "[fc00::1]", "[fd12::1]", "[fec0::1]", "[ff02::1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]",
    "[2002:7f00:1::]", "[2001:db8::1]", "[2001::1]", "[5f00::1]", "[3fff::1]", "[100::1]", "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]", "3232235521", "0xa9fea9fe", "2852039166", "192.168.1", "[::ffff:0:127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[::ffff:224.0.0.1]", "[::ffff:100.64.0.1]", "[4000::1]",
    "[fd00:ec2::254]", "[2001:0:7f00:1::]", "[fe80::1%25lo]", "LOCALHOST", "localhost.", "0300.0250.0.1", "127.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", FORBIDDEN)
async def test_no_spelling_of_an_inner_address_is_fetched(host, monkeypatch):
    connected = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: connected.append(address))
    fetcher = make_fetcher(allow_private=False)
    for url in (f"http://{host}/", f"http://{host}:9/x.jpg"):
        # Some resolvers know no "localhost.", and "127.0.0.1." is no name to them.
        with pytest.raises(BadImage, match=r"is public|no URL|no host|characters|not reachable"):
            await fetcher.fetch(url, "photo")
    assert connected == []
    fetcher.close()


async def test_the_guard_stops_a_server_that_is_really_there():
    server = RawServer(ok(b"secret"))
    fetcher = make_fetcher(allow_private=False)
    with pytest.raises(BadImage, match="no address that is public"):
        await fetcher.fetch(server.url, "photo")
    with pytest.raises(BadImage, match="no address that is public"):
        await fetcher.fetch(server.url.replace("127.0.0.1", "localhost"), "photo")
    fetcher.close()
    server.stop()


async def test_nobody_learns_what_names_there_are_inside(monkeypatch):
    """Where a name leads inwards and where it leads nowhere, a client is told the same."""
    fetcher = make_fetcher(allow_private=False)
    said = set()
    for inside in (True, False):
        if inside:
            lookups(monkeypatch, ["10.1.2.3"])
        else:

            def unknown(*_):
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

            monkeypatch.setattr("facenapi.photos.fetch.socket.getaddrinfo", unknown)
        with pytest.raises(BadImage) as caught:
            await fetcher.fetch("http://database.internal/", "photo")
        said.add((caught.value.reason, caught.value.rule))
    assert len(said) == 1
    fetcher.close()


def lookups(monkeypatch, *answers):
    """Let every name lead to these addresses, another list each time; return the names that were looked up."""
    asked, turns = [], iter(answers)

    def look_up(host, port, family, kind):
        asked.append(host)
        return [(socket.AF_INET, kind, 6, "", (address, port)) for address in next(turns)]

    monkeypatch.setattr("facenapi.photos.fetch.socket.getaddrinfo", look_up)
    return asked


async def test_a_name_is_looked_up_once_and_all_that_it_says_must_be_public(monkeypatch):
    """A name that is public when it is checked and leads inwards when it is connected to."""
    server = RawServer(ok(b"secret"))
    port = server.url.split(":")[2]
    fetcher = make_fetcher(allow_private=False, timeout_s=0.3)
    # 203.0.113.0/24 is for documentation: nobody answers there, and here it counts as public.
    monkeypatch.setattr("facenapi.photos.targets.is_public", lambda address: address.startswith("203.0.113."))
    asked = lookups(monkeypatch, ["203.0.113.7"], ["127.0.0.1"])
    with pytest.raises(BadImage, match=r"not reachable|did not answer"):
        await fetcher.fetch(f"http://rebinding.example:{port}", "photo")
    assert asked == ["rebinding.example"]
    for addresses in (["203.0.113.7", "127.0.0.1"], ["127.0.0.1", "203.0.113.7"]):
        lookups(monkeypatch, addresses)
        with pytest.raises(BadImage, match="no address that is public"):
            await fetcher.fetch(f"http://mixed.example:{port}", "photo")
    fetcher.close()
    server.stop()


@pytest.mark.parametrize("url", [
    "", "ftp://example.com/a", "file:///etc/passwd", "gopher://x/", "javascript:1", "//example.com/a", "http://",
    "http:///a", "http://user@example.com/", "http://u:p@example.com/", "http://example.com:0/",
    "http://example.com:99999/", "http://exa mple.com/", "http://example.com/\r\nHost: x", "http://example.com/\t",
    "http://[::1/", "http://example.com\\@127.0.0.1/", "http://example.com/" + "a" * 2048, "data:image/png;base64,A",
])  # fmt: skip
def test_what_is_no_plain_url_is_refused_before_anything_is_resolved(url):
    with pytest.raises(BadImage, match="must be a file or an http"):
        check_url(url, "photo", Targets())


async def test_hosts_ports_and_networks_can_be_limited():
    server = RawServer(ok(b"near"))
    port = int(server.url.split(":")[2].split("/")[0])

    async def outcome(**allowed):
        fetcher = make_fetcher(targets=Targets(**allowed))
        try:
            return await fetcher.fetch(server.url, "photo")
        except BadImage as error:
            return error.reason
        finally:
            fetcher.close()

    near = networks_of("10.0.0.0/8,127.0.0.0/8")
    assert await outcome(networks=near, ports=frozenset({port}), hosts=hosts_of("127.0.0.1")) == b"near"
    assert await outcome(networks=networks_of("10.0.0.0/8,::1")) == "The URL leads to no address that is public"
    assert await outcome(private=True, ports=ports_of("80,443")) == "Photos are not fetched from the port of this URL"
    assert await outcome(private=True, hosts=hosts_of("*.0.0.2,localhost")) == (
        "Photos are not fetched from the host of this URL")  # fmt: skip
    server.stop()
    for url in ("http://a.example/", "https://a.example/", "HTTPS://A.example.:443/x"):
        check_url(url, "photo", Targets(ports_of("80, 443"), hosts_of("A.example")))
    with pytest.raises(BadImage, match="the port"):
        check_url("https://a.example/", "photo", Targets(ports_of("80")))


def test_a_mapped_address_is_the_one_that_it_wraps():
    targets = Targets(networks=networks_of("10.0.0.0/8"))
    assert targets.allows_address("::ffff:10.1.2.3")
    assert not targets.allows_address("::10.1.2.3")


def test_public_addresses_are_public():
    assert all(map(is_public, ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8"]))
