"""The child's side of the decode pool: ``python -m facenapi.photos.child FD``.

It does one photo at a time, as its parent asks over a socket, and may be killed in the middle of any. Files come, and
pixels go, in memory that the parent made and shares: nothing is left behind. It takes no more memory than the
largest photo can need, and ends with its parent, in the middle of a native call, too.

A request is a JSON object of ``op`` and what belongs to it, with two descriptors: the file, and where pixels go,
as a PPM file from the beginning, whose last width x height x 3 bytes they are.

* ``open`` (``key``, ``max_size``, ``side``) → ``width``, ``height``, ``orientation``; ``shape``, the width and
  height of the reduced picture; ``kept``: whether all pixels are at hand
* ``part`` (``key``, ``max_size``, ``region``) → ``region``: that one if the photo is still at hand, else all of it
  Both have the ``size`` of the file, 0 if it was not sent again, because the child has the photo at hand, and a
  ``budget`` of processor seconds; the system ends a child that uses it up.
* ``forget``, without descriptors: no answer; lets go of the photo that is at hand

What is wrong with a photo is answered with ``reason`` and ``rule``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from PIL import Image, JpegImagePlugin, PngImagePlugin, PpmImagePlugin, WebPImagePlugin

from facenapi.photos.formats.plain import Refused
from facenapi.photos.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLUGINS = (JpegImagePlugin, PngImagePlugin, PpmImagePlugin, WebPImagePlugin)  # known, so that Pillow loads no others
_OWN_MEMORY = 512 << 20  # bytes of address space without any photo
_FOR_A_PIXEL = 24  # bytes: a WebP is four copies of four bytes while it is decoded
MESSAGE = 4096  # bytes of a request or an answer


class Child:
    """Answers requests; keeps the last photo, decoded, until another one comes."""

    def __init__(self) -> None:
        self._key: int | None = None
        self._picture: Picture | None = None

    def answer(self, request: Mapping[str, Any], file: int, pixels: int) -> dict[str, Any]:
        """Do what is asked and return the answer."""
        try:
            if request["op"] == "open":
                return self._open(request, file, pixels)
            return self._part(request, file, pixels)
        except Refused as error:
            self.forget()
            return {"reason": error.reason, "rule": error.rule}

    def forget(self) -> None:
        """Let go of the photo."""
        self._picture = self._key = None

    def _open(self, request: Mapping[str, Any], file: int, pixels: int) -> dict[str, Any]:
        picture = self._take(request, file)
        reduced = picture.reduced(request["side"])
        _write(reduced, pixels)
        return {
            "width": picture.width,
            "height": picture.height,
            "orientation": picture.orientation,
            "shape": reduced.size,
            "kept": picture.is_full,
        }

    def _part(self, request: Mapping[str, Any], file: int, pixels: int) -> dict[str, Any]:
        # Somebody else's photo came between: lest that happens for each face of a crowd, hand out everything.
        again = self._picture is None or self._key != request["key"]
        picture = self._take(request, file) if again else self._picture
        assert picture is not None
        region = (0, 0, picture.width, picture.height) if again else tuple(request["region"])
        _write(picture.part(region), pixels)
        return {"region": region, "kept": True}

    def _take(self, request: Mapping[str, Any], file: int) -> Picture:
        if request["size"] is None:
            raise RuntimeError("the photo is not at hand")  # and the parent believes so: it will try another child
        self.forget()
        _limit_memory(request["max_size"])
        self._picture = Picture(os.pread(file, request["size"], 0), request["max_size"])
        self._key = request["key"]
        return self._picture


def _write(image: Image.Image, pixels: int) -> None:
    with open(pixels, "wb", closefd=False) as out:
        image.save(out, "PPM")


def _serve(control: socket.socket, child: Child) -> None:
    control.send(b'{"ready": true}')
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MESSAGE, 2)
        if not message:
            return
        request = json.loads(message)
        if request["op"] == "forget":
            child.forget()
            continue
        # The signal's default action ends the process, in the middle of a native call, too.
        signal.setitimer(signal.ITIMER_PROF, request["budget"])
        try:
            answer = child.answer(request, *descriptors)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            for descriptor in descriptors:
                os.close(descriptor)
        control.send(json.dumps(answer).encode())


def _end_with_parent() -> None:
    """Ask for a signal when the other end of standard input is closed, which nobody but the parent holds."""
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    signal.signal(signal.SIGIO, signal.SIG_DFL)  # which ends the process, whatever it is doing


def _limit_memory(max_size: int) -> None:
    """Allow what the largest photo can need; what needs more fails here, before the machine runs short."""
    most = _OWN_MEMORY + _FOR_A_PIXEL * max_size**2
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main() -> None:
    """Serve the parent until it closes the socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the parent says when to end
    _end_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash would write somebody's photo to the disk
    Image.MAX_IMAGE_PIXELS = None  # sizes are checked before
    with contextlib.suppress(ConnectionError):
        _serve(control, Child())


if __name__ == "__main__":
    main()
