"""The journal: what was accepted is there after a crash, whatever the moment."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accounts.terminals.link import LinkError
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated import engine
from accounts.terminals.simulated.books.books import TICKETS_SKIPPED_AFTER_CRASH
from accounts.terminals.simulated.books.journal import Journal, JournalError
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.service.client import RemoteBroker
from accounts.terminals.simulated.service.process import ADDRESS_FILE, BrokerService
from accounts.tests.books_audit import audit, books_of
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk


def _traded(home: Path | None) -> Desk:
    desk = Desk(home=home)
    desk.open_account(1001, investor_password="look")
    desk.open_account(1002, currency="EUR", commission_per_lot=3.0)
    desk.server.set_prices("EURUSD", 1.1, 1.1002)
    ticket = desk.buy(1001, 0.5, sl=1.05, comment="kept")
    desk.sell(1001, 0.2, position=ticket)
    desk.sell(1002, 0.3, "USDJPY", tp=120.0)
    desk.server.credit(1002, 100.0)
    desk.server.set_robot(1002, {"strategy": "holder"})
    return desk


def _journal_file(home: Path) -> Path:
    (journal,) = (home / "journal").glob("*.journal")
    return journal


def test_it_finds_everything_after_a_crash(tmp_path: Path) -> None:
    before = _traded(tmp_path)
    accounts = [before.account(login) for login in (1001, 1002)]
    positions = [before.positions(login) for login in (1001, 1002)]
    deals = [before.deals(login) for login in (1001, 1002)]

    after = Desk(home=tmp_path)

    assert [after.account(login) for login in (1001, 1002)] == accounts
    assert [after.positions(login) for login in (1001, 1002)] == positions
    assert [after.deals(login) for login in (1001, 1002)] == deals
    assert after.server.accounts() == before.server.accounts()
    after.server.call("authorise", 1001, PASSWORD, SERVER)
    closing = after.sell(1001, 0.3, position=positions[0][0]["ticket"])
    assert closing > deals[0][-1]["order"] + TICKETS_SKIPPED_AFTER_CRASH
    assert after.positions(1001) == []


def test_it_has_the_same_books_after_an_orderly_end(tmp_path: Path) -> None:
    before = _traded(tmp_path)
    before.server.close()
    fingerprint = before.server.fingerprint()
    assert Desk(home=tmp_path).server.fingerprint() == fingerprint


def test_it_keeps_every_acknowledged_command_wherever_the_file_ends(tmp_path: Path) -> None:
    desk = Desk(home=tmp_path)
    desk.open_account(1001)
    journal = _journal_file(tmp_path)
    ends = [(journal.stat().st_size, 0)]
    for number in range(1, 6):
        desk.buy(1001, 0.01)
        ends.append((journal.stat().st_size, number))
    raw = journal.read_bytes()

    for cut in range(ends[0][0], len(raw) + 1, 7):
        journal.write_bytes(raw[:cut])
        acknowledged = max(number for end, number in ends if end <= cut)
        recovery = Journal(tmp_path / "journal").recover()
        orders = sum(record[0] == "H" for batch in recovery.batches for record in batch)
        positions = sum(record[0] == "P" for batch in recovery.batches for record in batch)
        assert orders == positions == acknowledged


def test_it_drops_a_tail_of_zeros_and_damage(tmp_path: Path) -> None:
    desk = Desk(home=tmp_path)
    desk.open_account(1001)
    desk.buy(1001, 0.01)
    journal = _journal_file(tmp_path)
    whole = journal.read_bytes()

    for tail in (b"\0" * 64, b"\x05\0\0\0\1\2\3\4hello", b"\xff" * 3):
        journal.write_bytes(whole + tail)
        assert len(Journal(tmp_path / "journal").recover().batches) == 2


def test_it_refuses_a_damaged_snapshot(tmp_path: Path) -> None:
    _traded(tmp_path).server.close()
    (snapshot,) = (tmp_path / "journal").glob("*.snapshot")
    raw = bytearray(snapshot.read_bytes())
    raw[len(raw) // 2] ^= 1
    snapshot.write_bytes(raw)
    with pytest.raises(JournalError, match="damaged"):
        Desk(home=tmp_path)


def test_it_keeps_no_password(tmp_path: Path) -> None:
    _traded(tmp_path).server.close()
    for path in (tmp_path / "journal").iterdir():
        assert PASSWORD.encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


def test_it_replaces_the_journal_by_a_snapshot_in_any_number_of_runs(tmp_path: Path) -> None:
    fingerprint = ""
    for _ in range(3):
        desk = Desk(home=tmp_path)
        assert fingerprint in ("", desk.server.fingerprint())
        desk.open_account(1001)
        desk.buy(1001, 0.01)
        desk.server.close()
        fingerprint = desk.server.fingerprint()
    assert len(list((tmp_path / "journal").iterdir())) == 2


def test_it_journals_requests_with_numbers_of_numpy(tmp_path: Path) -> None:
    desk = Desk(home=tmp_path)
    desk.open_account(1001)
    desk.buy(1001, np.float64(0.1), magic=np.int64(7), sl=np.float64(1.0))
    assert Desk(home=tmp_path).positions(1001) == desk.positions(1001)


def test_it_starts_a_new_journal_when_this_one_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ROTATE_AT_BYTES", 4_000)
    desk = Desk(home=tmp_path)
    desk.open_account(1001)
    first = _journal_file(tmp_path)
    for _ in range(30):
        desk.buy(1001, 0.01)
    assert _journal_file(tmp_path) != first
    assert _journal_file(tmp_path).stat().st_size < 8_000
    assert Desk(home=tmp_path).positions(1001) == desk.positions(1001)


def _fill_disk(monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    def full_disk(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"accounts.terminals.simulated.books.journal.os.{refused}", full_disk)


@pytest.mark.parametrize("refused", ["fsync", "write"])
def test_it_acknowledges_nothing_that_the_disk_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    desk = Desk(home=tmp_path)
    desk.open_account(1001)
    first = desk.buy(1001, 0.01)

    with monkeypatch.context() as broken:
        _fill_disk(broken, refused)
        with pytest.raises(JournalError):
            desk.buy(1001, 0.01)
    # The disk works again, but memory holds an order that nobody was told of.
    with pytest.raises(JournalError):
        desk.buy(1001, 0.01)
    with pytest.raises(JournalError):
        desk.positions(1001)
    with pytest.raises(JournalError):
        desk.server.step()
    desk.server.close()
    tickets = [row["ticket"] for row in Desk(home=tmp_path).positions(1001)]
    assert tickets[0] == first
    assert len(tickets) == (1 if refused == "write" else 2)


@pytest.mark.parametrize("refused", ["fsync", "open", "fdopen"])
def test_it_stops_when_there_is_no_room_for_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    monkeypatch.setattr(engine, "ROTATE_AT_BYTES", 2_000)
    desk = Desk(home=tmp_path)
    desk.open_account(1001)
    accepted = [desk.buy(1001, 0.01)]

    def buy_on() -> None:
        while len(accepted) < 20:
            accepted.append(desk.buy(1001, 0.01))

    with monkeypatch.context() as broken:
        _fill_disk(broken, refused)
        with pytest.raises(JournalError):
            buy_on()
    with pytest.raises(JournalError):
        desk.account(1001)
    desk.server.close()
    kept = [row["ticket"] for row in Desk(home=tmp_path).positions(1001)]
    assert kept[: len(accepted)] == accepted
    assert len(kept) <= len(accepted) + 1


def test_it_ends_its_process_when_the_disk_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Desk(home=tmp_path).server
    service = BrokerService(server, tmp_path)
    service.start()
    broker = RemoteBroker(tmp_path / ADDRESS_FILE)
    broker.create_account(1001, PASSWORD, SERVER, "Account", deposit=500.0)
    with monkeypatch.context() as broken:
        _fill_disk(broken, "fsync")
        with pytest.raises(LinkError) as lost:
            broker.deposit(1001, 10.0)
        service.wait()
        service.stop()
    assert lost.value.code == -10002
    assert service.failed
    broker.close()


def test_it_syncs_the_batches_of_many_callers(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.rotate(b"snapshot")
    numbers = [journal.append([("D", number)]) for number in range(50)]

    journal.flush(numbers[-1])
    journal.flush(numbers[0])

    batches = Journal(tmp_path).recover().batches
    assert [batch[0] for batch in batches] == [("D", number) for number in range(50)]


def test_it_goes_on_with_prices_and_bars_after_a_restart(tmp_path: Path) -> None:
    before = Desk(home=tmp_path, feed=True, speed=60.0)
    before.open_account(1001)
    for _ in range(400):
        before.clock.now += 0.5
        before.server.step()
    tick = before.server.call("symbol_tick", 1001, "EURUSD")
    bars = before.server.call("rates", 1001, "EURUSD", 1, None, None, 0, 10_000)

    after = Desk(home=tmp_path, feed=True, speed=60.0)
    after.clock.now = before.clock.now
    after.server.step()

    resumed = after.server.call("symbol_tick", 1001, "EURUSD")
    assert resumed[1] == pytest.approx(tick[1], rel=2e-3)
    kept = after.server.call("rates", 1001, "EURUSD", 1, None, None, 0, 10_000)
    assert set(bars["time"][:-1].tolist()) <= set(kept["time"].tolist())


def _of_every_kind(home: Path | None) -> Desk:
    """Leave a record of every kind: what waits, what is delayed, what was set by hand."""
    desk = _traded(home)
    server = desk.server
    server.create_server("Southwind", prefix="m", suffix=".r")
    server.create_account(
        1003, PASSWORD, "Southwind", "Net", deposit=50_000.0,
        margin_mode=mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING,
    )  # fmt: skip
    waiting = {
        "action": mt5.TRADE_ACTION_PENDING, "symbol": "EURUSD", "volume": 0.1,
        "type": mt5.ORDER_TYPE_BUY_LIMIT, "type_filling": mt5.ORDER_FILLING_RETURN,
    }  # fmt: skip
    first = desk.send(1001, **waiting, price=1.05)[2]
    gone = desk.send(1001, **waiting, price=1.04)[2]
    desk.send(1001, **waiting, price=1.03)
    desk.send(1001, action=mt5.TRADE_ACTION_MODIFY, order=first, price=1.06, symbol="EURUSD")
    desk.send(1001, action=mt5.TRADE_ACTION_REMOVE, order=gone)
    desk.market(1003, mt5.ORDER_TYPE_BUY, 0.2, "mEURUSD.r")
    desk.market(1003, mt5.ORDER_TYPE_SELL, 0.5, "mEURUSD.r")
    server.add_fault(1001, FaultKind.LATE, times=1, delay_seconds=30.0)
    with pytest.raises(LinkError):
        desk.buy(1001, 0.07, comment="late")
    server.set_market_open("GBPUSD", False)
    server.set_quotes("USDCHF", False)
    server.set_trade_mode("AUDUSD", mt5.SYMBOL_TRADE_MODE_CLOSEONLY)
    desk.clock.now += 86_400.0 - 5.0  # over the rollover; the late order is due since then
    server.set_prices("USDJPY", 150.0, 150.02)
    return desk


def _refusals(desk: Desk) -> list[int]:
    desk.server.call("authorise", 1001, PASSWORD, SERVER)
    symbols = ("GBPUSD", "USDCHF", "AUDUSD")
    return [desk.market(1001, mt5.ORDER_TYPE_BUY, 0.01, symbol)[0] for symbol in symbols]


@pytest.mark.parametrize("ending", ["crash", "clean", "snapshot in the middle"])
def test_it_brings_every_kind_of_record_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    if ending == "snapshot in the middle":
        monkeypatch.setattr(engine, "ROTATE_AT_BYTES", 1_500)
    before = _of_every_kind(tmp_path)
    assert len(before.server.call("orders", 1001, None, None, None)) == 3
    if ending == "clean":
        before.server.close()
    kept = books_of(before.server).dump()

    after = Desk(home=tmp_path, clock=before.clock)
    books = books_of(after.server)
    if ending != "clean":
        books.next_order -= TICKETS_SKIPPED_AFTER_CRASH
        books.next_deal -= TICKETS_SKIPPED_AFTER_CRASH
    assert books.dump() == kept
    audit(books)

    assert _refusals(after) == [
        mt5.TRADE_RETCODE_MARKET_CLOSED, mt5.TRADE_RETCODE_PRICE_OFF, mt5.TRADE_RETCODE_CLOSE_ONLY,
    ]  # fmt: skip
    assert after.positions(1003)[0]["symbol"] == "mEURUSD.r"
    after.server.step()
    (late,) = [row for row in after.positions(1001) if row["comment"] == "late"]
    assert late["volume"] == 0.07
    audit(books)
    rolled_over = books.rolled_over_day
    again = Desk(home=tmp_path, clock=before.clock)
    again.server.step()
    assert books_of(again.server).rolled_over_day == rolled_over
    assert [row["swap"] for row in again.positions(1001)] == [
        row["swap"] for row in after.positions(1001)
    ]


def test_it_reads_the_snapshot_when_its_journal_is_missing(tmp_path: Path) -> None:
    before = _traded(tmp_path)
    before.server.close()
    fingerprint = before.server.fingerprint()
    _journal_file(tmp_path).unlink()
    books = books_of(Desk(home=tmp_path).server)
    # Without the journal nobody knows that the end was orderly.
    books.next_order -= TICKETS_SKIPPED_AFTER_CRASH
    books.next_deal -= TICKETS_SKIPPED_AFTER_CRASH
    assert books.fingerprint() == fingerprint


def test_it_drops_a_last_command_with_any_bit_flipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(home=tmp_path)
    desk.open_account(1001)
    journal = _journal_file(tmp_path)
    size = journal.stat().st_size
    desk.buy(1001, 0.01)
    raw = journal.read_bytes()
    for place in range(size * 8, len(raw) * 8, 61):
        damaged = bytearray(raw)
        damaged[place // 8] ^= 1 << place % 8
        journal.write_bytes(damaged)
        assert len(Journal(tmp_path / "journal").recover().batches) == 1
    assert "unfinished command" in caplog.text


def test_it_leaves_a_journal_alone_that_is_damaged_before_its_end(tmp_path: Path) -> None:
    desk = Desk(home=tmp_path)
    desk.open_account(1001)
    journal = _journal_file(tmp_path)
    size = journal.stat().st_size
    desk.buy(1001, 0.01, comment="answered")
    end = journal.stat().st_size
    desk.buy(1001, 0.01)
    raw = journal.read_bytes()
    # Zeros in its place, a torn rest and all: what comes behind was answered.
    damages = [raw[:size] + bytes(end - size) + raw[end:], raw[: end - 1] + raw[end:] + b"\0\0\0"]
    for place in range(size * 8, end * 8, 97):
        flipped = bytearray(raw)
        flipped[place // 8] ^= 1 << place % 8
        damages.append(bytes(flipped))
    for damaged in damages:
        journal.write_bytes(damaged)
        with pytest.raises(JournalError, match=f"damaged at byte {size}"):
            Desk(home=tmp_path)
        assert journal.read_bytes() == damaged


def test_it_sees_an_orderly_end_behind_damage(tmp_path: Path) -> None:
    _traded(tmp_path)
    journal = Journal(tmp_path / "journal")
    journal.recover()
    journal.rotate(b"snapshot")
    journal.flush(journal.append([("D", {"comment": "x" * 40})] * 20))
    journal.close()
    raw = bytearray(_journal_file(tmp_path).read_bytes())
    raw[12] ^= 1
    _journal_file(tmp_path).write_bytes(raw)
    with pytest.raises(JournalError, match="damaged at byte 0"):
        Journal(tmp_path / "journal").recover()
