"""A MongoDB double: the wire protocol over a real socket in front of mongomock, strict and able to fail."""

from tests.support.wire.server import Fault, WireDouble

__all__ = ["Fault", "WireDouble"]
