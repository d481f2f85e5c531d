"""What a host writes when the database takes it, and when it does not."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError

from accounts.models import User
from accounts.tests.factories import NOW, make_account
from risk.ledger import host_ledger
from risk.ledger.entries import Change, Entry, Insert, entry_of, plain
from risk.ledger.host_ledger import HostLedger
from risk.ledger.journal import Journal
from risk.ledger.latch_journal import LatchJournal
from risk.models import Enforcement, Order, RuleBreach
from risk.orders.drafts import draft

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal" / "local.jsonl"


@pytest.fixture
def order(alice: User) -> Order:
    return draft(
        make_account(alice), "close", host="local", origin="rule", symbol="EURUSD",
        volume=Decimal("0.29"), position_ticket=7, state="sent",
        sent_at=NOW + timedelta(microseconds=1), now=NOW,
    )  # fmt: skip


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a switch for the database."""

    class Switch:
        is_away = False

    def apply(entries: Any, original: Any) -> None:
        if Switch.is_away:
            raise OperationalError("the database is away")
        original(entries)

    for name in ("_apply", "_apply_again"):
        original = getattr(host_ledger, name)
        monkeypatch.setattr(host_ledger, name, lambda e, original=original: apply(e, original))
    return Switch


def test_it_writes_rows_and_changes_in_order(path: Path, order: Order) -> None:
    ledger = HostLedger("local", path)
    change = Change(Order, order.pk, {"state": "filled", "fill_price": 1.1}, ("sent",))
    assert ledger.write(Insert(order), change)
    stored = Order.objects.get()
    assert (stored.state, stored.fill_price, stored.volume) == ("filled", 1.1, Decimal("0.29"))
    assert not path.exists()


def test_a_change_from_another_state_does_nothing(path: Path, order: Order) -> None:
    ledger = HostLedger("local", path)
    ledger.write(Insert(order), Change(Order, order.pk, {"state": "unknown"}, ("pending",)))
    assert Order.objects.get().state == "sent"


def test_it_writes_all_or_nothing(path: Path, order: Order) -> None:
    order.save(force_insert=True)
    other = draft(
        make_account(User.objects.get(), "Other"), "close", host="local", origin="rule", now=NOW
    )
    with pytest.raises(IntegrityError):
        HostLedger("local", path).write(Insert(other), Insert(order))
    assert Order.objects.count() == 1
    assert not path.exists()


def test_it_journals_while_the_database_is_away_and_catches_up(
    path: Path, order: Order, away: Any
) -> None:
    ledger = HostLedger("local", path)
    away.is_away = True
    assert not ledger.write(Insert(order))
    assert not ledger.write(Change(Order, order.pk, {"state": "filled"}, ("sent",)))
    assert ledger.is_behind
    assert not ledger.catch_up()
    assert not Order.objects.exists()
    away.is_away = False
    # The next write brings what waits before it, in order.
    assert ledger.write(Change(Order, order.pk, {"message": "Done."}))
    stored = Order.objects.get()
    assert (stored.state, stored.message) == ("filled", "Done.")
    assert stored.sent_at == order.sent_at
    assert stored.volume == order.volume
    assert (stored.tag, stored.account_id) == (order.tag, order.account_id)
    assert not path.exists()


def test_another_worker_imports_what_a_dead_one_left(path: Path, order: Order, away: Any) -> None:
    away.is_away = True
    HostLedger("local", path).write(Insert(order))
    away.is_away = False
    successor = HostLedger("local", path)
    assert successor.is_behind
    assert successor.catch_up()
    assert Order.objects.get().pk == order.pk


def test_importing_twice_changes_nothing(path: Path, order: Order, away: Any) -> None:
    ledger = HostLedger("local", path)
    away.is_away = True
    ledger.write(Insert(order), Change(Order, order.pk, {"state": "filled"}, ("sent",)))
    content = path.read_bytes()
    away.is_away = False
    ledger.catch_up()
    Order.objects.update(message="Seen.")
    path.write_bytes(content)  # as after a crash right before the journal was cleared
    assert HostLedger("local", path).catch_up()
    stored = Order.objects.get()
    assert (stored.state, stored.message) == ("filled", "Seen.")


def test_a_torn_line_is_left_out_and_the_next_one_is_whole(
    path: Path, order: Order, away: Any
) -> None:
    away.is_away = True
    ledger = HostLedger("local", path)
    ledger.write(Insert(order))
    path.write_bytes(path.read_bytes() + b'[{"insert":"risk.ord')
    ledger.write(Change(Order, order.pk, {"state": "filled"}))
    away.is_away = False
    assert HostLedger("local", path).catch_up()
    assert Order.objects.get().state == "filled"


def test_an_entry_that_the_database_refuses_blocks_no_other(
    path: Path, order: Order, alice: User
) -> None:
    journal = Journal(path)
    double = draft(make_account(alice, "Other"), "close", host="local", origin="rule", now=NOW)
    double.tag = order.tag
    lines: list[Entry] = [
        Insert(order),
        Insert(double),
        Change(Order, order.pk, {"state": "filled"}),
    ]
    journal.append([plain(entry) for entry in lines])
    journal.append([{"insert": "risk.gone", "fields": {}}])
    assert HostLedger("local", path).catch_up()
    assert Order.objects.get().state == "filled"


def test_the_journal_is_for_its_owner_alone(path: Path, order: Order) -> None:
    Journal(path).append([plain(Insert(order))])
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_every_value_comes_back_as_it_was(order: Order) -> None:
    order.send_by_at, order.stop_loss, order.enforcement_id = NOW, 1.0987654321, uuid4()
    entry = entry_of(json.loads(json.dumps(plain(Insert(order)))))
    assert isinstance(entry, Insert)
    for field in Order._meta.concrete_fields:
        assert getattr(entry.row, field.attname) == getattr(order, field.attname), field.name
    run = Change(Enforcement, uuid4(), {"options": {"tickets": [1]}, "next_attempt_at": NOW})
    back = entry_of(json.loads(json.dumps(plain(run))))
    assert isinstance(back, Change)
    assert (back.pk, back.fields, back.from_states) == (run.pk, run.fields, None)


def test_violations_wait_on_the_disk_each_once(tmp_path: Path) -> None:
    breach = RuleBreach(
        user_id=1, rule_id=uuid4(), account_id=uuid4(), rule_name="Daily loss", latched_at=NOW,
        rule_type="MAX_DAILY_LOSS", account_name="Bold", observed=5.0, limit=4.0, unit="USD",
    )  # fmt: skip
    journal = LatchJournal("local", tmp_path / "violations.jsonl")
    grown = Change(RuleBreach, breach.pk, {"violated_at": NOW, "observed": 6.0})
    journal.keep([Insert(breach)])
    journal.keep([Insert(breach), grown])
    journal.keep([Insert(breach), grown])
    assert len((tmp_path / "violations.jsonl").read_bytes().splitlines()) == 2
    successor = LatchJournal("local", tmp_path / "violations.jsonl")
    first, second = successor.restore()
    assert isinstance(first, Insert)
    assert isinstance(first.row, RuleBreach)
    assert (first.row.pk, first.row.latched_at, first.row.limit) == (breach.pk, NOW, 4.0)
    assert second == grown
    successor.clear()
    assert LatchJournal("local", tmp_path / "violations.jsonl").restore() == []
