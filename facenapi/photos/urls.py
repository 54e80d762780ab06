"""URLs of photos: which are taken, and as what they are sent."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

from facenapi.errors import BadImage
from facenapi.photos.targets import Targets

MAX_URL_LENGTH = 2048


def uri_of(url: str, param: str) -> str:
    """Return a URL as it is sent: an IRI's host by IDNA, the rest of it percent-encoded UTF-8. Raises BadImage.

    >>> uri_of("http://пример.рф/фото.jpg?лицо=1", "photo")
    'http://xn--e1afmkfd.xn--p1ai/%D1%84%D0%BE%D1%82%D0%BE.jpg?%D0%BB%D0%B8%D1%86%D0%BE=1'
    """
    if url.isascii():
        return url
    if reason := _fault(url):
        raise BadImage(param, f"The photo must be a file or an http(s) URL: {reason}")
    parts = urlsplit(url)
    try:
        host = (parts.hostname or "").encode("idna").decode()
    except UnicodeError:
        raise BadImage(param, "The photo must be a file or an http(s) URL: it names no host") from None
    place = host if parts.port is None else f"{host}:{parts.port}"
    rest = (quote(part, safe="/%:@!$&'()*+,;=?~[]") for part in (parts.path, parts.query))
    return urlunsplit((parts.scheme, place, *rest, ""))


def check_url(url: str, param: str, targets: Targets) -> None:
    """Refuse what is no plain http(s) URL, or not an allowed one, before anything is resolved. Raises BadImage."""
    reason = _fault(url)
    if reason:
        raise BadImage(param, f"The photo must be a file or an http(s) URL: {reason}")
    parts = urlsplit(url)
    if not targets.allows_host(parts.hostname or ""):
        raise BadImage(param, "Photos are not fetched from the host of this URL")
    if not targets.allows_port(parts.port or (443 if parts.scheme.lower() == "https" else 80)):
        raise BadImage(param, "Photos are not fetched from the port of this URL")


def _fault(url: str) -> str:
    if len(url) > MAX_URL_LENGTH:
        return f"the URL is longer than {MAX_URL_LENGTH} characters"
    if not url.isprintable() or " " in url or "\\" in url:
        return "it holds characters that no URL has"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it is no URL"
    if parts.scheme.lower() not in ("http", "https"):
        return "it does not begin with http:// or https://"
    if parts.username is not None or parts.password is not None:
        return "it holds a user name"
    if not parts.hostname or port == 0:
        return "it names no host"
    return ""
