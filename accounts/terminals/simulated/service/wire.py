"""Frames between the broker process and its clients: length-prefixed msgpack, no pickle.

A connection begins with a challenge in both directions; whoever does not know the key of the
broker's private file gets no further. Arrays travel as their raw bytes.
"""

import hashlib
import hmac
import secrets
import socket
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import msgpack
import numpy as np

from ...readings import (
    ACCOUNT_DTYPE,
    DEAL_DTYPE,
    ORDER_DTYPE,
    POSITION_DTYPE,
    PRICE_DTYPE,
    ReadingBatch,
)

_LENGTH = struct.Struct(">I")
_LARGEST_FRAME_BYTES = 256 * 1024 * 1024
# Room for a frame is made as it comes in, not for the length that somebody claims.
_ROOM_BYTES = 1024 * 1024
_NONCE_BYTES = 32
_ARRAY = 1
# Two programs that lay out readings differently must not talk: they would take them apart wrongly.
_DTYPES = (ACCOUNT_DTYPE, POSITION_DTYPE, ORDER_DTYPE, DEAL_DTYPE, PRICE_DTYPE)
_VERSION = 2  # calls may carry a number, and their answers come in any order then
LAYOUT = zlib.crc32(
    repr((_VERSION, ReadingBatch.__slots__, [dtype.descr for dtype in _DTYPES])).encode()
)


class WireError(ConnectionError):
    """The other side is gone, or does not speak this protocol, or does not know the key."""


def send(sock: socket.socket, value: Any) -> None:
    sock.sendall(frame(value))


def frame(value: Any) -> bytes:
    """Return a value as it crosses the wire, for whoever sends several at once."""
    payload = encode(value)
    return _LENGTH.pack(len(payload)) + payload


class Framer:
    """Frames one value after another, with what that takes made once; for one thread."""

    def __init__(self) -> None:
        self._packer = msgpack.Packer(default=_encoded)

    def frame(self, value: Any) -> bytes:
        payload = bytes(self._packer.pack(value))
        return _LENGTH.pack(len(payload)) + payload


class Unframer:
    """Takes in a stream of bytes as it comes in pieces, and gives out each whole value."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """Take in the next bytes; raises WireError for what is no frame."""
        self._pending += data
        while len(self._pending) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._pending)
            if length > _LARGEST_FRAME_BYTES:
                raise WireError(f"a frame of {length} bytes is too long")
            end = _LENGTH.size + length
            if len(self._pending) < end:
                return
            payload = self._pending[_LENGTH.size : end]
            del self._pending[:end]
            yield decode(payload)


def receive(sock: socket.socket) -> Any:
    """Return the next value; raises WireError at the end of the connection."""
    (length,) = _LENGTH.unpack(_exactly(sock, _LENGTH.size))
    if length > _LARGEST_FRAME_BYTES:
        raise WireError(f"a frame of {length} bytes is too long")
    return decode(_exactly(sock, length))


def encode(value: Any) -> bytes:
    return bytes(msgpack.packb(value, default=_encoded))


def decode(payload: bytes | bytearray) -> Any:
    """Return what was encoded, with tuples in the place of lists; raises WireError for others."""
    try:
        return msgpack.unpackb(payload, use_list=False, ext_hook=_decoded, strict_map_key=False)
    except (ValueError, TypeError, SyntaxError, msgpack.UnpackException) as error:
        raise WireError("a frame cannot be read") from error


def admit(sock: socket.socket, key: bytes) -> None:
    """Let a client prove that it knows the key, and prove it to the client."""
    challenge = secrets.token_bytes(_NONCE_BYTES)
    sock.sendall(challenge)
    answer = bytes(_exactly(sock, _NONCE_BYTES))
    counter_challenge = bytes(_exactly(sock, _NONCE_BYTES))
    if not hmac.compare_digest(answer, _proof(key, b"client", challenge)):
        raise WireError("a client does not know the key")
    sock.sendall(_proof(key, b"broker", counter_challenge))


def introduce(sock: socket.socket, key: bytes) -> None:
    """Prove to a broker that this client knows the key, and let the broker prove it."""
    challenge = bytes(_exactly(sock, _NONCE_BYTES))
    counter_challenge = secrets.token_bytes(_NONCE_BYTES)
    sock.sendall(_proof(key, b"client", challenge) + counter_challenge)
    proof = bytes(_exactly(sock, _NONCE_BYTES))
    if not hmac.compare_digest(proof, _proof(key, b"broker", counter_challenge)):
        raise WireError("this is not the broker")


def _proof(key: bytes, role: bytes, challenge: bytes) -> bytes:
    return hmac.digest(key, role + challenge, hashlib.sha256)


def _exactly(sock: socket.socket, size: int) -> bytearray:
    data = bytearray(min(size, _ROOM_BYTES))
    filled = 0
    while filled < size:
        if filled == len(data):
            data.extend(bytes(min(size - filled, filled)))
        with memoryview(data) as view:
            received = sock.recv_into(view[filled:])
        if not received:
            raise WireError("the connection was closed")
        filled += received
    return data


def _encoded(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        layout: Any = value.dtype.descr if value.dtype.names else value.dtype.str
        packed = msgpack.packb((layout, value.shape, np.ascontiguousarray(value).tobytes()))
        return msgpack.ExtType(_ARRAY, bytes(packed))
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot cross the wire")


def _decoded(code: int, data: bytes) -> Any:
    if code != _ARRAY:
        raise WireError(f"unknown extension {code}")
    layout, shape, raw = msgpack.unpackb(data, use_list=False)
    fields = layout if isinstance(layout, str) else [tuple(field) for field in layout]
    dtype = np.dtype(fields)
    if dtype.hasobject:
        raise WireError("an array of objects cannot cross the wire")
    return np.frombuffer(bytearray(raw), dtype=dtype).reshape(shape)
