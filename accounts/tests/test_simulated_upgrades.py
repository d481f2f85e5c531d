"""Upgrades: the books of earlier versions go on under this one."""

from pathlib import Path
from typing import Any

import msgpack
import pytest

from accounts.terminals.simulated.books import upgrades
from accounts.terminals.simulated.books.columns import (
    ACCOUNT_COLUMNS,
    ACCOUNT_DEFAULTS,
    ORDER_COLUMNS,
    ORDER_DEFAULTS,
)
from accounts.terminals.simulated.books.journal import Journal, JournalError
from accounts.terminals.simulated.books.tables import Table
from accounts.terminals.simulated.symbols.catalogue import CONTRACTS
from accounts.tests.first_version_books import write_books
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk


@pytest.fixture
def upgraded(tmp_path: Path) -> Desk:
    write_books(tmp_path)
    return Desk(home=tmp_path)


def _snapshot_of(home: Path) -> Any:
    return Journal(home / "journal").recover().snapshot


def test_it_takes_accounts_over_with_defaults_for_what_is_new(upgraded: Desk) -> None:
    account = upgraded.account(1002)
    assert (account["balance"], account["currency"], account["server"]) == (9_999.1, "EUR", SERVER)
    assert account["limit_orders"] == 0
    assert account["trade_expert"] is True
    assert account["fifo_close"] is False
    assert [entry["robot"] for entry in upgraded.server.accounts()] == [
        None, {"strategy": "grid"}, None,
    ]  # fmt: skip
    upgraded.server.call("authorise", 1001, PASSWORD, SERVER)


def test_it_takes_positions_over_with_their_margin(upgraded: Desk) -> None:
    # lots × 100,000 / leverage × the rate that the position was opened at
    assert upgraded.account(1001)["margin"] == pytest.approx(0.2 * 1_000 * 1.08782, abs=0.005)
    assert upgraded.account(1002)["margin"] == pytest.approx(0.3 * 1_000 * 0.91927, abs=0.005)
    assert upgraded.account(1003)["margin"] == pytest.approx(
        0.02 * 100_000 / 30 * 0.65222, abs=0.005
    )


def test_it_values_positions_at_the_prices_of_the_journal(upgraded: Desk) -> None:
    (euro,) = upgraded.positions(1001)
    assert (euro["volume"], euro["comment"], euro["price_current"]) == (0.2, "kept", 1.09)
    assert euro["profit"] == pytest.approx((1.09 - 1.08782) * 20_000, abs=0.005)
    (yen,) = upgraded.positions(1002)
    # A loss in yen is bought with euro at the worse price: EURUSD bid × USDJPY bid.
    assert yen["profit"] == pytest.approx(-0.011 * 30_000 / 151.42 / 1.09, abs=0.005)
    assert (yen["tp"], yen["symbol"]) == (120.0, "USDJPY")


def test_it_trades_on_with_symbols_that_the_old_books_did_not_know(upgraded: Desk) -> None:
    upgraded.server.call("authorise", 1001, PASSWORD, SERVER)
    before = [deal["ticket"] for deal in upgraded.deals(1001)]
    upgraded.buy(1001, 0.01, "XAUUSD")
    (gold,) = [row for row in upgraded.positions(1001) if row["symbol"] == "XAUUSD"]
    contract = next(contract for contract in CONTRACTS if contract.name == "XAUUSD")
    assert gold["price_current"] == contract.start_bid
    assert upgraded.deals(1001)[-1]["ticket"] > max(before)


def test_it_writes_the_books_in_todays_form(tmp_path: Path) -> None:
    write_books(tmp_path)
    first = Desk(home=tmp_path)
    fingerprint = first.server.fingerprint()
    assert msgpack.unpackb(_snapshot_of(tmp_path))["version"] == upgrades.VERSION
    first.server.close()
    assert Desk(home=tmp_path).server.fingerprint() == fingerprint


def test_it_gives_new_symbols_a_history(tmp_path: Path) -> None:
    write_books(tmp_path)
    desk = Desk(home=tmp_path, feed=True)
    desk.clock.now += 1.0
    desk.server.step()
    for symbol in ("EURUSD", "BTCUSD"):
        assert len(desk.server.call("rates", 1001, symbol, 1, None, None, 0, 100)) == 100


@pytest.mark.parametrize("version", [upgrades.VERSION + 1, 99, "two", None])
def test_it_refuses_books_of_a_version_that_it_does_not_know(tmp_path: Path, version: Any) -> None:
    journal = Journal(tmp_path / "journal")
    journal.rotate(msgpack.packb({"version": version, "books": b"later"}))
    with pytest.raises(JournalError, match=f"version {version}"):
        Desk(home=tmp_path)
    assert len(list((tmp_path / "journal").glob("*.snapshot"))) == 1
    assert b"later" in _snapshot_of(tmp_path)


def test_it_refuses_first_books_with_more_symbols_than_there_are(tmp_path: Path) -> None:
    quotes = [[1.0, 1.1]] * (len(CONTRACTS) + 1)
    books = msgpack.packb(({}, [], 1, 1, quotes))
    Journal(tmp_path / "journal").rotate(msgpack.packb((books, [], None)))
    with pytest.raises(JournalError, match="symbols"):
        Desk(home=tmp_path)


@pytest.mark.parametrize(
    ("columns", "defaults"),
    [(ACCOUNT_COLUMNS, ACCOUNT_DEFAULTS), (ORDER_COLUMNS, ORDER_DEFAULTS)],
)
def test_it_loads_tables_without_the_columns_that_have_a_default(
    columns: tuple[tuple[str, str], ...], defaults: dict[str, Any]
) -> None:
    full = Table(columns, defaults)
    blank = {name: "" if code == "O" else 1 for name, code in columns}
    for _ in range(3):
        full.append(blank)
    dumped = {name: column for name, column in full.dump().items() if name not in defaults}
    loaded = Table(columns, defaults)
    loaded.load(dumped)
    assert len(loaded) == 3
    assert loaded.row(2) == {**full.row(2), **defaults}
    del dumped["account" if "account" in dumped else "login"]
    with pytest.raises(ValueError, match="is missing"):
        loaded.load(dumped)


def test_it_refuses_columns_of_different_lengths() -> None:
    table = Table((("a", "<i4"), ("b", "<i4")))
    with pytest.raises(ValueError, match="1 of 2 rows"):
        table.load({"a": b"\1\0\0\0\2\0\0\0", "b": b"\1\0\0\0"})
