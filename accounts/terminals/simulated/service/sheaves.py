"""Orders that hardly differ, laid out for the wire together: framed once, and numbers put in.

Every number is as wide as any of its kind, whatever its value: so all frames are of one length.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgpack
import numpy as np
import numpy.typing as npt

from accounts.terminals.alike import ORDER_SEND, AlikeOrders, Answered
from accounts.terminals.codes import INVALID_PARAMS
from accounts.terminals.link import LinkError

from .wire import encode

_Bytes = npt.NDArray[np.uint8]
_INTEGER, _DOUBLE = b"\xd3", b"\xcb"  # of eight bytes each, in msgpack
_WIDTH: Final = 8
_LENGTH = struct.Struct(">I")
# What leaves in one piece counts as sent, all of it, when the line breaks meanwhile.
PIECE: Final = 250


@dataclass(slots=True)
class Sheaf:
    """Orders that leave in one piece; `first` is the number of their first call."""

    answered: Answered
    payload: bytes
    first: int
    place: int  # of the first of them among all that were submitted together
    count: int
    deadline: float  # monotonic seconds
    has_left: bool = False
    is_over: bool = False

    def numbers(self) -> range:
        return range(self.first, self.first + self.count)

    def place_of(self, number: int) -> int:
        return self.place + number - self.first


def sheaves(
    terminal: str, orders: AlikeOrders, answered: Answered, first: int, deadline: float
) -> Iterator[Sheaf]:
    """Lay calls out that are numbered from `first` on.

    Raises LinkError, before the first, for what cannot be written.
    """
    if not len(orders):
        return
    try:
        frames = _frames(terminal, orders, first)
    except (ValueError, TypeError, OverflowError) as error:
        raise LinkError(INVALID_PARAMS, str(error)) from error
    for place in range(0, len(orders), PIECE):
        some = frames[place : place + PIECE]
        yield Sheaf(answered, some.tobytes(), first + place, place, len(some), deadline)


def _frames(terminal: str, orders: AlikeOrders, first: int) -> _Bytes:
    """Return a row of bytes for each order: terminal, method, its three arguments, and number."""
    columns = {"volume": _doubles(orders.volumes), "magic": _integers(orders.magics)}
    if orders.positions is not None:
        columns["position"] = _integers(orders.positions)
    shared = {name: value for name, value in orders.request.items() if name not in columns}
    count = len(orders)
    parts: list[bytes | _Bytes] = [
        b"\x94" + encode(terminal) + encode(ORDER_SEND) + b"\x93",
        _integers(orders.logins),
        msgpack.Packer().pack_map_header(len(shared) + len(columns))
        + b"".join(encode(name) + encode(value) for name, value in shared.items()),
    ]
    for name, column in columns.items():
        parts += [encode(name), column]
    parts += [encode(orders.server), _integers(np.arange(first, first + count))]
    length = sum(len(part) if isinstance(part, bytes) else part.shape[1] for part in parts)
    rows = [np.frombuffer(_LENGTH.pack(length), np.uint8)]
    rows += [np.frombuffer(part, np.uint8) if isinstance(part, bytes) else part for part in parts]
    wide = [row if row.ndim == 2 else np.broadcast_to(row, (count, len(row))) for row in rows]
    return np.concatenate(wide, axis=1)


def _integers(column: Any) -> _Bytes:
    values = np.asarray(column)
    if values.dtype.kind not in "iu":
        raise TypeError(f"{values.dtype} is no column of whole numbers")
    if values.dtype.kind == "u" and values.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{values.max()} is too large")
    return _written(_INTEGER, values.astype(">i8"))


def _doubles(column: Any) -> _Bytes:
    return _written(_DOUBLE, np.asarray(column, dtype=np.float64).astype(">f8"))


def _written(kind: bytes, values: npt.NDArray[Any]) -> _Bytes:
    written = np.empty((len(values), 1 + _WIDTH), np.uint8)
    written[:, 0] = kind[0]
    written[:, 1:] = values.reshape(-1, 1).view(np.uint8)
    return written
