"""Violations and orders through the whole tick, also while the database is away."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError

from accounts.tests.factories import make_user
from notifications.models import Notification
from risk.ledger.host_ledger import journal_path
from risk.models import Order, RuleBreach
from risk.services.orders import place_order
from tradeguard.tests.stage import Stage, daily_loss, staged

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def _refuse(*_arguments: Any, **_named: Any) -> Any:
    raise OperationalError("the database is away")


def test_a_violation_outlives_a_worker_that_could_not_write_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    rule = daily_loss(alice)
    stage.run(3)
    stage.buy(account, 10.0)
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    with monkeypatch.context() as patch:
        patch.setattr("risk.latching.LatchLedger.write", _refuse)
        stage.run(2)
        assert journal_path("local.violations").exists()
        stage.kill_worker()
    assert not RuleBreach.objects.exists()
    # The price is back by then: only the journal still knows.
    stage.server.set_prices("EURUSD", 1.10000, 1.10002)
    stage.run(4)
    breach = RuleBreach.objects.get()
    assert breach.cleared_at is None
    rule.refresh_from_db()
    assert rule.breach_count == 1
    assert Notification.objects.filter(type="risk_breach").count() == 1
    assert not journal_path("local.violations").exists()


def test_a_violation_that_waited_in_memory_is_told_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice)
    stage.run(3)
    stage.buy(account, 10.0)
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    with monkeypatch.context() as patch:
        patch.setattr("risk.latching.LatchLedger.write", _refuse)
        stage.run(2)
    stage.run(2)
    assert RuleBreach.objects.count() == 1
    assert Notification.objects.filter(type="risk_breach").count() == 1
    assert not journal_path("local.violations").exists()


def test_reaching_the_limit_outlives_a_worker_that_could_not_write_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    rule = daily_loss(alice, action="CLOSE_ALL", act_at_fraction=Decimal("0.9"))
    stage.run(3)
    stage.buy(account, 10.0)
    stage.server.set_prices("EURUSD", 1.09540, 1.09542)
    stage.run(2)
    assert RuleBreach.objects.get().violated_at is None
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    with monkeypatch.context() as patch:
        patch.setattr("risk.latching.LatchLedger.write", _refuse)
        stage.run(2)
        stage.kill_worker()
    stage.server.set_prices("EURUSD", 1.10000, 1.10002)
    stage.run(4)
    breach = RuleBreach.objects.get()
    assert breach.violated_at is not None
    assert breach.observed == pytest.approx(89_980.0)
    rule.refresh_from_db()
    assert rule.breach_count == 1


def test_a_violation_that_was_written_and_is_over_is_not_written_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker dies after writing a violation and before it has forgotten it on the disk."""
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice)
    stage.run(3)
    stage.buy(account, 10.0)
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    with monkeypatch.context() as patch:
        patch.setattr("risk.latching.LatchLedger.write", _refuse)
        stage.run(2)
    with monkeypatch.context() as patch:
        patch.setattr("risk.ledger.latch_journal.LatchJournal.clear", lambda _journal: None)
        stage.run(2)
    stage.kill_worker()
    stage.server.set_prices("EURUSD", 1.10000, 1.10002)
    RuleBreach.objects.update(cleared_at=stage.now, cleared_reason="Somebody cleared it.")
    assert journal_path("local.violations").exists()
    stage.run(4)
    assert RuleBreach.objects.get().cleared_reason == "Somebody cleared it."
    assert not journal_path("local.violations").exists()


def test_an_order_is_carried_out_by_the_next_tick(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    stage.run(3)
    account.refresh_from_db()
    order = place_order(
        account=account, user=alice, origin=Order.Origin.TICKET, symbol="EURUSD", direction="buy",
        volume=Decimal("0.10"), now=stage.now,
    )  # fmt: skip
    stage.run()
    order.refresh_from_db()
    assert order.state == Order.State.FILLED, order.message
    assert len(stage.server.call("positions", account.login, None, None, None)) == 1


def test_a_tick_that_only_watches_sends_nothing(stage: Stage) -> None:
    alice = make_user()
    stage.is_acting = False
    account = stage.open(alice, "Bold")
    stage.run(3)
    account.refresh_from_db()
    order = place_order(
        account=account, user=alice, origin=Order.Origin.TICKET, symbol="EURUSD", direction="buy",
        volume=Decimal("0.10"), now=stage.now,
    )  # fmt: skip
    stage.run(5)
    order.refresh_from_db()
    assert order.state == Order.State.PENDING
    assert stage.server.call("positions", account.login, None, None, None) == []
