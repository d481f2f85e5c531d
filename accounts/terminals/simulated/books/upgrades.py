"""Books that an earlier version wrote, brought into today's form.

A snapshot says its version; the journal behind it is of the same one, for a start begins with a
snapshot of everything. Version 1 had no number: a plain list, eight forex symbols, positions that
kept the rate from the margin's currency to the account's instead of the margin of a lot.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgpack
import numpy as np

from ..symbols.catalogue import CONTRACTS
from .books import NEW_POSITION, PRICES, Books, Record
from .columns import POSITION_DEFAULTS
from .journal import JournalError

VERSION = 2
_FIRST_SYMBOLS_LOT_UNITS = 100_000.0  # of all eight symbols of version 1


def packed(books: bytes, history: Any, market: Any, opening: Any) -> bytes:
    """Return a snapshot of today's version."""
    image = {"version": VERSION, "books": books, "history": history, "market": market,
             "opening": opening}  # fmt: skip
    return bytes(msgpack.packb(image))


def unpacked(snapshot: bytes) -> tuple[dict[str, Any], int]:
    """Return a snapshot's parts in today's form, and the version that it was written by.

    Raises JournalError for one that this version cannot read.
    """
    image = msgpack.unpackb(snapshot)
    version = image.get("version") if isinstance(image, Mapping) else 1
    if version == 1:
        books, history, _ = image
        # The walk of version 1 was one for all symbols: today's begin anew from the last prices.
        return {"books": _books_of_1(books), "history": history, "market": None}, 1
    if version != VERSION:
        raise JournalError(
            f"The books were written by version {version}, this broker reads up to {VERSION}."
        )
    return dict(image), VERSION


def upgraded(records: Iterable[Record], version: int, books: Books) -> Iterator[Record]:
    """Yield a command's records in today's form; ``books`` hold what was written before each."""
    for record in records:
        if version == 1 and record[0] == NEW_POSITION:
            leverage = int(books.accounts["leverage"][record[1]["account"]])
            yield NEW_POSITION, _position_of_1(record[1], leverage)
        elif version == 1 and record[0] == PRICES:
            yield PRICES, record[1], None
        else:
            yield record


def _books_of_1(dumped: bytes) -> bytes:
    parts = msgpack.unpackb(dumped)
    if len(parts) != 5:
        raise JournalError("The books were written by an unfinished version of this broker.")
    tables, servers, next_order, next_deal, quotes = parts
    if len(quotes) > len(CONTRACTS):
        raise JournalError("The books know symbols that this broker does not trade.")
    positions = tables["positions"]
    leverage = np.frombuffer(tables["accounts"]["leverage"], dtype="<i4")
    account = np.frombuffer(positions["account"], dtype="<i4")
    rate = np.frombuffer(positions.pop("margin_rate"), dtype="<f8")
    for name in POSITION_DEFAULTS:
        positions.pop(name)  # numbered by fewer currencies; they are derived anew
    positions["margin_per_lot"] = (_margin_per_lot(leverage[account]) * rate).tobytes()
    today = {
        "tables": tables, "servers": servers, "naming": [("", "")] * len(servers),
        "next_order": next_order, "next_deal": next_deal, "quotes": quotes, "rolled_over_day": 0,
    }  # fmt: skip
    return bytes(msgpack.packb(today))


def _position_of_1(values: Mapping[str, Any], leverage: int) -> dict[str, Any]:
    today = dict(values)
    today["margin_per_lot"] = _margin_per_lot(leverage) * today.pop("margin_rate")
    return today


def _margin_per_lot(leverage: Any) -> Any:
    """Return a lot's margin in its base currency, as version 1 charged it."""
    return _FIRST_SYMBOLS_LOT_UNITS / leverage
