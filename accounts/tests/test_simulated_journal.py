"""The journal: what was accepted is there after a crash, whatever the moment."""

from pathlib import Path

import numpy as np
import pytest

from accounts.terminals.simulated import engine
from accounts.terminals.simulated.books import TICKETS_SKIPPED_AFTER_CRASH
from accounts.terminals.simulated.journal import Journal, JournalError
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

ROBOTS = [{"strategy": name} for name in ("grid", "scalper", "reckless")]


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


def test_it_acknowledges_nothing_that_the_disk_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(home=tmp_path)
    desk.open_account(1001)

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("accounts.terminals.simulated.journal.os.fsync", full_disk)
        with pytest.raises(JournalError):
            desk.buy(1001, 0.01)
    with pytest.raises(JournalError):
        desk.buy(1001, 0.01)


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


def test_it_writes_the_same_books_for_the_same_seed_commands_and_clock() -> None:
    fingerprints = set()
    for seed in (7, 7, 8):
        desk = Desk(feed=True, seed=seed, speed=60.0)
        for number, robot in enumerate(ROBOTS):
            desk.open_account(1001 + number, robot=robot)
        for _ in range(240):
            desk.clock.now += 0.5
            desk.server.step()
        assert len(desk.deals(1001)) > 2
        fingerprints.add((seed, desk.server.fingerprint()))
    assert len(fingerprints) == 2
    assert len({fingerprint for _, fingerprint in fingerprints}) == 2
