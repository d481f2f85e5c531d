"""The frames between a terminal host and the child process beside each of its terminals.

They go over the child's standard input and output. A frame is a header (kind, request id, length of
the payload) and the payload. Up come HELLO first, then a READING whenever something changed and a
SAME otherwise, and an ANSWER or FAILED for each request; BYE is the last one. Down go a REQUEST
for each call, the CURSOR whenever deals were stored, and STOP. Numpy arrays travel as their raw
bytes, everything else as msgpack; nothing is pickled.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

import msgpack
import numpy as np

from accounts.terminals.readings import (
    ACCOUNT_DTYPE,
    DEAL_DTYPE,
    ORDER_DTYPE,
    POSITION_DTYPE,
    PRICE_DTYPE,
    Rows,
)

HEADER: Final = struct.Struct("<BII")
LARGEST_PAYLOAD_BYTES: Final = 256 * 1024 * 1024
NO_REQUEST: Final = 0

_TAKEN_AT: Final = struct.Struct("<d")
_COUNTS: Final = struct.Struct("<IIII")
_CURSOR: Final = struct.Struct("<q")
_TABLES: Final = (POSITION_DTYPE, ORDER_DTYPE, DEAL_DTYPE, PRICE_DTYPE)
_ARRAY: Final = 1
_VERSION: Final = 1
# Two programs that lay out readings differently must not talk: they would take them apart wrongly.
LAYOUT: Final = zlib.crc32(
    repr((_VERSION, [dtype.descr for dtype in (ACCOUNT_DTYPE, *_TABLES)])).encode()
)


class Kind(IntEnum):
    # Up, from the child.
    HELLO = 1
    READING = 2
    SAME = 3
    ANSWER = 4
    FAILED = 5
    BYE = 6
    # Down, from the terminal host.
    REQUEST = 16
    CURSOR = 17
    STOP = 18


class Farewell(IntEnum):
    """Why a child leaves, in its BYE."""

    STOPPED = 0  # as it was asked to: STOP, or the end of its input
    NO_PACKAGE = 1  # MetaTrader5 is missing or cannot be imported
    GARBAGE = 2  # what came down was no frame
    CRASHED = 3  # a defect of the child itself
    LOCKED = 4  # another child still holds the terminal


class FrameError(ValueError):
    """What came is no frame of this protocol: the sender is not to be listened to any more."""


class Frame(NamedTuple):
    kind: Kind
    request_id: int
    payload: bytes


class FrameReader:
    """Cuts a stream of bytes, as it comes in pieces, into frames."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take in the next bytes and yield each frame that is complete; raises FrameError."""
        self._pending += data
        while len(self._pending) >= HEADER.size:
            number, request_id, length = HEADER.unpack_from(self._pending)
            kind = _kind(number)
            if length > LARGEST_PAYLOAD_BYTES:
                raise FrameError(f"a frame of {length} bytes is too long")
            end = HEADER.size + length
            if len(self._pending) < end:
                return
            payload = bytes(memoryview(self._pending)[HEADER.size : end])
            del self._pending[:end]
            yield Frame(kind, request_id, payload)


def frame(kind: Kind, payload: bytes = b"", request_id: int = NO_REQUEST) -> bytes:
    return HEADER.pack(kind, request_id, len(payload)) + payload


@dataclass(frozen=True, slots=True)
class Hello:
    """Who a child is. A host refuses one whose ``layout`` is not its own `LAYOUT`.

    ``package`` is the version of MetaTrader5, empty when it could not be imported: a BYE follows.
    """

    layout: int
    pid: int
    package: str
    python: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one terminal said at one moment: one row of accounts and what belongs to it.

    The rows' ``account``, ``server`` and ``currency`` are 0, the place of the one entry, and their
    ``symbol`` is a place in ``symbols``. ``deals`` are all that are newer than the cursor, oldest
    first, in every reading until a later CURSOR. ``prices`` are of the symbols that are traded. A
    row whose outcome is not ANSWERED stands alone. ``taken_at`` is a UTC epoch in seconds.
    """

    taken_at: float
    account: Rows
    positions: Rows
    orders: Rows
    deals: Rows
    prices: Rows
    symbols: tuple[str, ...]
    server: str
    currency: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that came to nothing: MetaTrader's ``last_error()``, or why it was refused."""

    code: int
    text: str
    may_have_executed: bool


@dataclass(frozen=True, slots=True)
class Bye:
    farewell: Farewell
    sentence: str


@dataclass(frozen=True, slots=True)
class Request:
    """A call for the child to make; after ``send_by``, a UTC epoch in seconds, it is refused.

    Zero is no deadline.
    """

    method: str
    arguments: tuple[Any, ...]
    send_by: float = 0.0


def hello_payload(hello: Hello) -> bytes:
    return pack((hello.layout, hello.pid, hello.package, hello.python))


def hello_of(payload: bytes) -> Hello:
    layout, pid, package, python = _fields(payload, int, int, str, str)
    return Hello(layout, pid, package, python)


def reading_body(
    account: bytes, tables: Sequence[bytes], symbols: Sequence[str], server: str, currency: str
) -> bytes:
    """Return a READING without its time, to compare with the one before.

    ``tables`` are the raw rows of positions, orders, deals and prices.
    """
    counts = (len(raw) // dtype.itemsize for raw, dtype in zip(tables, _TABLES, strict=True))
    names = pack((list(symbols), server, currency))
    return b"".join((_COUNTS.pack(*counts), account, *tables, names))


def reading_payload(taken_at: float, body: bytes) -> bytes:
    return _TAKEN_AT.pack(taken_at) + body


def reading_of(payload: bytes) -> Reading:
    """Take a READING apart; the arrays are read-only views. Raises FrameError."""
    try:
        (taken_at,) = _TAKEN_AT.unpack_from(payload)
        counts = _COUNTS.unpack_from(payload, _TAKEN_AT.size)
        parts, offset = [], _TAKEN_AT.size + _COUNTS.size
        for dtype, count in zip((ACCOUNT_DTYPE, *_TABLES), (1, *counts), strict=True):
            parts.append(np.frombuffer(payload, dtype=dtype, count=count, offset=offset))
            offset += count * dtype.itemsize
    except (struct.error, ValueError) as error:
        raise FrameError("a reading is cut short") from error
    symbols, server, currency = _fields(payload[offset:], tuple, str, str)
    account, positions, orders, deals, prices = parts
    return Reading(taken_at, account, positions, orders, deals, prices, symbols, server, currency)


def same_payload(taken_at: float) -> bytes:
    return _TAKEN_AT.pack(taken_at)


def same_of(payload: bytes) -> float:
    """Return when the last reading was found unchanged; raises FrameError."""
    return float(_only(_TAKEN_AT, payload))


def failure_payload(failure: Failure) -> bytes:
    return pack((failure.code, failure.text, failure.may_have_executed))


def failure_of(payload: bytes) -> Failure:
    code, text, may_have_executed = _fields(payload, int, str, bool)
    return Failure(code, text, may_have_executed)


def bye_payload(bye: Bye) -> bytes:
    return pack((int(bye.farewell), bye.sentence))


def bye_of(payload: bytes) -> Bye:
    number, sentence = _fields(payload, int, str)
    try:
        return Bye(Farewell(number), sentence)
    except ValueError as error:
        raise FrameError(f"no farewell has the number {number}") from error


def request_payload(request: Request) -> bytes:
    return pack((request.method, list(request.arguments), request.send_by))


def request_of(payload: bytes) -> Request:
    method, arguments, send_by = _fields(payload, str, tuple, float)
    return Request(method, arguments, send_by)


def cursor_payload(newest_stored_deal: int) -> bytes:
    return _CURSOR.pack(newest_stored_deal)


def cursor_of(payload: bytes) -> int:
    return int(_only(_CURSOR, payload))


def pack(value: Any) -> bytes:
    """Return plain values and numpy arrays as bytes; raises TypeError for anything else."""
    return bytes(msgpack.packb(value, default=_encoded))


def unpack(payload: bytes) -> Any:
    """Return what was packed, with tuples in the place of lists; raises FrameError."""
    try:
        return msgpack.unpackb(payload, use_list=False, ext_hook=_decoded, strict_map_key=False)
    except (ValueError, TypeError, SyntaxError, msgpack.UnpackException) as error:
        raise FrameError("a payload cannot be read") from error


def _kind(number: int) -> Kind:
    try:
        return Kind(number)
    except ValueError as error:
        raise FrameError(f"no frame has the kind {number}") from error


def _fields(payload: bytes, *kinds: type) -> tuple[Any, ...]:
    values = unpack(payload)
    if not isinstance(values, tuple) or len(values) != len(kinds):
        raise FrameError("a payload has another number of fields")
    if not all(isinstance(value, kind) for value, kind in zip(values, kinds, strict=True)):
        raise FrameError("a payload has fields of other kinds")
    return values


def _only(layout: struct.Struct, payload: bytes) -> Any:
    if len(payload) != layout.size:
        raise FrameError("a payload has another length")
    return layout.unpack(payload)[0]


def _encoded(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        layout: Any = value.dtype.descr if value.dtype.names else value.dtype.str
        raw = np.ascontiguousarray(value).tobytes()
        return msgpack.ExtType(_ARRAY, bytes(msgpack.packb((layout, value.shape, raw))))
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot cross the pipe")


def _decoded(code: int, data: bytes) -> Any:
    if code != _ARRAY:
        raise FrameError(f"unknown extension {code}")
    layout, shape, raw = msgpack.unpackb(data, use_list=False)
    fields = layout if isinstance(layout, str) else [tuple(field) for field in layout]
    dtype = np.dtype(fields)
    if dtype.hasobject:
        raise FrameError("an array of objects cannot cross the pipe")
    return np.frombuffer(bytearray(raw), dtype=dtype).reshape(shape)
