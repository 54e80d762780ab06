"""MongoDB's wire protocol: OP_MSG, and the OP_QUERY with which drivers say hello."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import Any

import bson

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
CHECKSUM, MORE_TO_COME = 1, 2
HEADER = struct.Struct("<iiii")


@dataclass(slots=True)
class Message:
    """A command as it came: ``legacy`` is OP_QUERY, ``silent`` asks for no reply."""

    request_id: int
    command: dict[str, Any]
    legacy: bool = False
    silent: bool = False


async def read(reader: asyncio.StreamReader) -> Message:
    """Read a message. Raises asyncio.IncompleteReadError at the end, ValueError for what is no command."""
    length, request_id, _, code = HEADER.unpack(await reader.readexactly(16))
    payload = await reader.readexactly(length - 16)
    if code == OP_QUERY:
        end = payload.index(b"\0", 4)
        return Message(request_id, bson.decode(payload[end + 9 :]), legacy=True)
    if code != OP_MSG:
        raise ValueError(f"op code {code}")
    (flags,) = struct.unpack_from("<I", payload)
    if flags & ~(MORE_TO_COME | 1 << 16):
        raise ValueError(f"flags {flags:#x}")
    return Message(request_id, _sections(payload[4:]), silent=bool(flags & MORE_TO_COME))


def _sections(payload: bytes) -> dict[str, Any]:
    command: dict[str, Any] = {}
    while payload:
        kind, payload = payload[0], payload[1:]
        (size,) = struct.unpack_from("<i", payload)
        section, payload = payload[:size], payload[size:]
        if kind == 0:
            command = {**bson.decode(section), **command}
        else:
            end = section.index(b"\0", 4)
            command[section[4:end].decode()] = bson.decode_all(section[end + 1 :])
    return command


def reply(message: Message, answer: dict[str, Any]) -> bytes:
    """Return the bytes of an answer."""
    body = bson.encode(answer)
    body = (struct.pack("<iqii", 8, 0, 0, 1) if message.legacy else struct.pack("<IB", 0, 0)) + body
    code = OP_REPLY if message.legacy else OP_MSG
    return HEADER.pack(16 + len(body), 0, message.request_id, code) + body
