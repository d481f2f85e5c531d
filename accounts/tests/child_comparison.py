"""A child's reading held against the batch read of the simulated broker, row for row."""

from accounts.terminals.child.frames import Reading
from accounts.terminals.readings import ReadingBatch, Rows

# The batch knows the newest tick of all symbols; a terminal is asked for those that it trades.
_NOT_COMPARED = frozenset({"account", "server", "currency", "symbol", "tick_msc"})


def assert_equal_to_batch(reading: Reading, batch: ReadingBatch, place: int = 0) -> None:
    row = batch.accounts[place]
    _assert_equal_rows(reading.account, batch.accounts[place : place + 1])
    if row["server"] < 0:
        assert (reading.account["server"][0], reading.server) == (-1, "")
    else:
        assert reading.server == batch.servers[row["server"]]
        assert reading.currency == batch.currencies[row["currency"]]
    for mine, theirs in (
        (reading.positions, batch.positions),
        (reading.orders, batch.orders),
        (reading.deals, batch.deals),
    ):
        rows = theirs[theirs["account"] == place]
        _assert_equal_rows(mine, rows)
        assert _named(mine, reading.symbols) == _named(rows, batch.symbols)
    _assert_equal_prices(reading, batch, int(row["server"]))


def _assert_equal_rows(mine: Rows, theirs: Rows) -> None:
    assert len(mine) == len(theirs)
    for name in set(mine.dtype.names or ()) - _NOT_COMPARED:
        assert mine[name].tolist() == theirs[name].tolist(), name


def _assert_equal_prices(reading: Reading, batch: ReadingBatch, server: int) -> None:
    known = {
        batch.symbols[row["symbol"]]: row for row in batch.prices[batch.prices["server"] == server]
    }
    traded = {*_named(reading.positions, reading.symbols), *_named(reading.orders, reading.symbols)}
    assert set(_named(reading.prices, reading.symbols)) == traded
    for row in reading.prices:
        price = known[reading.symbols[row["symbol"]]]
        for name in ("bid", "ask", "time_msc"):
            assert row[name] == price[name], name


def _named(rows: Rows, symbols: tuple[str, ...]) -> list[str]:
    return [symbols[number] if number >= 0 else "" for number in rows["symbol"].tolist()]
