"""Making one batch of what many terminals said, each with numbers for names of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accounts.terminals.child.frames import reading_of
from accounts.terminals.readings import (
    ACCOUNT_DTYPE,
    DEAL_DTYPE,
    ORDER_DTYPE,
    POSITION_DTYPE,
    PRICE_DTYPE,
    ReadingBatch,
    Rows,
)


class Numbers:
    """Numbers names in the order in which they appear; the numbers never change."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.names: tuple[str, ...] = ()

    def of(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._numbers)
            self.names = (*self.names, name)
        return number


class Names:
    """The tables of names that all readings of a host share."""

    def __init__(self) -> None:
        self.symbols, self.servers, self.currencies = Numbers(), Numbers(), Numbers()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A reading in the host's numbers; ``payload`` is what it was made of."""

    payload: bytes
    account: Rows
    positions: Rows
    orders: Rows
    deals: Rows
    prices: Rows


@dataclass(frozen=True, slots=True)
class Part:
    """What one account of a batch says: a reading, or why there is none."""

    outcome: int
    error_code: int = 0
    decoded: Decoded | None = None
    age_seconds: float = 0.0
    look: int = 0
    cursor: int = 0


def decoded(payload: bytes, names: Names) -> Decoded:
    """Take a READING apart and bring it to the host's numbers; raises FrameError."""
    reading = reading_of(payload)
    account = reading.account.copy()
    server = names.servers.of(reading.server) if reading.server else -1
    account["server"] = server
    account["currency"] = names.currencies.of(reading.currency) if reading.currency else -1
    codes = np.array([*(names.symbols.of(name) for name in reading.symbols), -1], dtype=np.int32)
    tables = [
        _renumbered(rows, codes)
        for rows in (reading.positions, reading.orders, reading.deals, reading.prices)
    ]
    tables[3]["server"] = server
    return Decoded(payload, account, *tables)


def assembled(parts: Sequence[Part], names: Names, taken_at: float) -> ReadingBatch:
    """Return the batch of these accounts, in their order."""
    accounts = np.zeros(len(parts), dtype=ACCOUNT_DTYPE)
    accounts["server"] = accounts["currency"] = -1
    said = [(place, part, part.decoded) for place, part in enumerate(parts) if part.decoded]
    if said:
        places = np.array([place for place, _, _ in said])
        accounts[places] = np.concatenate([each.account for _, _, each in said])
        accounts["age_seconds"][places] = [part.age_seconds for _, part, _ in said]
        accounts["look"][places] = [part.look for _, part, _ in said]
    for place, part in enumerate(parts):
        if part.decoded is None:
            accounts["outcome"][place] = part.outcome
            accounts["error_code"][place] = part.error_code
    deals = [(place, each.deals[each.deals["ticket"] > part.cursor]) for place, part, each in said]
    return ReadingBatch(
        taken_at=taken_at,
        accounts=accounts,
        positions=_stacked([(place, each.positions) for place, _, each in said], POSITION_DTYPE),
        orders=_stacked([(place, each.orders) for place, _, each in said], ORDER_DTYPE),
        deals=_stacked(deals, DEAL_DTYPE),
        prices=_newest([each.prices for _, _, each in said]),
        symbols=names.symbols.names,
        servers=names.servers.names,
        currencies=names.currencies.names,
    )


def _renumbered(rows: Rows, codes: npt.NDArray[np.int32]) -> Rows:
    rows = rows.copy()
    if len(rows):
        index = rows["symbol"]
        is_known = (index >= 0) & (index < len(codes) - 1)
        rows["symbol"] = codes[np.where(is_known, index, -1)]
    return rows


def _stacked(parts: Sequence[tuple[int, Rows]], dtype: np.dtype[np.void]) -> Rows:
    """Put the rows of all accounts under each other, with their places in ``account``."""
    filled = [(place, rows) for place, rows in parts if len(rows)]
    if not filled:
        return np.zeros(0, dtype=dtype)
    # Plain memory is joined five times as fast as records are.
    memory = np.dtype((np.void, dtype.itemsize))
    joined: Rows = np.concatenate([rows.view(memory) for _, rows in filled]).view(dtype)
    joined["account"] = np.repeat([place for place, _ in filled], [len(rows) for _, rows in filled])
    return joined


def _newest(parts: Sequence[Rows]) -> Rows:
    """Return the newest price of each symbol of each server that any terminal knows."""
    filled = [rows for rows in parts if len(rows)]
    if not filled:
        return np.zeros(0, dtype=PRICE_DTYPE)
    prices = np.concatenate(filled)
    prices = prices[np.lexsort((prices["time_msc"], prices["symbol"], prices["server"]))]
    is_last = np.ones(len(prices), dtype=bool)
    is_last[:-1] = (prices["server"][1:] != prices["server"][:-1]) | (
        prices["symbol"][1:] != prices["symbol"][:-1]
    )
    newest: Rows = prices[is_last]
    return newest
