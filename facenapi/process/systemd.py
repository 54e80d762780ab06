"""Telling systemd how the service is doing (sd_notify, Type=notify)."""

from __future__ import annotations

import os
import socket
import time


def send(message: str) -> None:
    """Send a message to the service manager; do nothing without one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address[0] == "@":  # the abstract namespace
        address = "\0" + address[1:]
    # Never wait: a manager that does not read must not stop the event loop.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
        try:
            sock.sendto(message.encode(), address)
        except OSError:
            return  # a manager that went away or is busy must not take the service along


def ready() -> None:
    """Requests are being served."""
    send("READY=1\nSTATUS=Serving")


def reloading() -> None:
    """The configuration is being read again; systemd wants to know when that began."""
    send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog() -> None:
    """The event loop turns."""
    send("WATCHDOG=1")


def status(text: str) -> None:
    """Say what the service is busy with."""
    send(f"STATUS={text}")


def stopping() -> None:
    """No new requests are taken."""
    send("STOPPING=1\nSTATUS=Finishing requests")
