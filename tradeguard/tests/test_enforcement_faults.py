"""Faults while everything is being closed: it ends flat, and nothing is closed twice."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError

from accounts.models import ConnectedAccount
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.factories import make_user
from notifications.models import Notification
from risk.ledger import host_ledger
from risk.models import AccountLock, Enforcement, Order
from tradeguard.tests.enforcement_stage import (
    MARGIN_MODES,
    crash_price,
    deals,
    nothing_closed_twice,
    pass_time,
    pendings,
    place,
    rule_on,
    trade,
    volumes,
    watched,
)
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db(transaction=True)

SEND = ("order_send",)
FAULTS: dict[str, dict[str, Any]] = {
    "timeout before": {"kind": FaultKind.TIMEOUT_BEFORE, "times": 2, "calls": SEND},
    "timeout after": {"kind": FaultKind.TIMEOUT_AFTER, "times": 2, "calls": SEND},
    "timeout after the first": {"kind": FaultKind.TIMEOUT_AFTER, "times": 1, "skip": 1},
    "late": {"kind": FaultKind.LATE, "times": 2, "delay_seconds": 3.0},
    "much too late": {"kind": FaultKind.LATE, "times": 1, "skip": 1, "delay_seconds": 4.9},
    "requotes": {"kind": FaultKind.REQUOTE, "times": 9},
    "rejects": {"kind": FaultKind.REJECT, "times": 3},
    "partial fills": {"kind": FaultKind.PARTIAL_FILL, "times": 4, "fraction": 0.3},
    "no terminal": {"kind": FaultKind.DISCONNECT_TERMINAL, "times": 3, "calls": SEND},
    "none": {"kind": FaultKind.NONE, "skip": 5, "seconds": 2.0},
    "empty": {"kind": FaultKind.EMPTY, "skip": 3, "seconds": 2.0},
    "cut off": {"kind": FaultKind.CUT_FROM_BROKER, "skip": 5, "seconds": 3.0},
    "terminal dies before": {"kind": FaultKind.CRASH_TERMINAL, "times": 1, "calls": SEND},
    "terminal dies after": {
        "kind": FaultKind.CRASH_TERMINAL, "times": 1, "calls": SEND, "moment": "after",
    },
}  # fmt: skip


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def violated_with(stage: Stage, mode: str) -> ConnectedAccount:
    """Return an account in breach of its daily loss, with positions on both sides and an order."""
    account = watched(stage, make_user(), margin_mode=MARGIN_MODES[mode])
    stage.server.set_prices("GBPUSD", 1.30000, 1.30002)
    stage.run(3)
    for lots in (4.0, 6.0, 0.5):
        trade(stage, account, lots)
    trade(stage, account, 0.3, "GBPUSD")
    if mode == "hedging":
        trade(stage, account, -0.4)
    place(stage, account, 1.0, 1.05)
    stage.run(2)
    rule_on(account, "MAX_DAILY_LOSS", "0.05")
    stage.run(2, seconds=1.1)  # rules are looked for once a second
    crash_price(stage)
    return account


def broken_reader(*_: object, **__: object) -> None:
    raise OperationalError("the database is locked")


def is_over() -> bool:
    return Enforcement.objects.filter(stage="done").exists()


def run_until_flat(stage: Stage, *, ticks: int = 400) -> None:
    for _ in range(ticks):
        pass_time(stage)
        if is_over():
            return
    raise AssertionError(f"not over: {Enforcement.objects.values()}")


def assert_flat(stage: Stage, account: ConnectedAccount) -> None:
    stage.server.clear_faults()
    pass_time(stage, 8, seconds=1.5)  # whatever is late arrives
    assert volumes(stage, account) == {}
    assert pendings(stage, account) == []
    assert set(nothing_closed_twice(stage, account).values()) == {Decimal(0)}
    assert AccountLock.objects.standing().count() == 1
    assert Enforcement.objects.exclude(cause="lock").count() == 1
    assert not Order.objects.unfinished().exists()


@pytest.mark.parametrize("mode", MARGIN_MODES)
@pytest.mark.parametrize("fault", FAULTS)
def test_it_ends_flat_whatever_happens_on_the_way(stage: Stage, mode: str, fault: str) -> None:
    account = violated_with(stage, mode)
    stage.server.add_fault(account.login, **FAULTS[fault])
    run_until_flat(stage)
    assert_flat(stage, account)


@pytest.mark.parametrize("mode", MARGIN_MODES)
def test_it_waits_for_a_closed_market_and_closes_the_others_meanwhile(
    stage: Stage, mode: str
) -> None:
    account = violated_with(stage, mode)
    stage.server.set_market_open("GBPUSD", False)
    stage.run(5)
    run = Enforcement.objects.get()
    assert run.stage == "waiting"
    assert "The market is closed: GBPUSD" in run.message
    assert len(volumes(stage, account)) == 1
    stage.run(40, seconds=3.0)
    assert Notification.objects.filter(title__contains="held up").count() == 1
    tries = Order.objects.filter(symbol="GBPUSD").count()
    assert 4 <= tries <= 10
    stage.server.set_market_open("GBPUSD", True)
    stage.run(8, seconds=8.0)
    assert is_over()
    assert_flat(stage, account)


def test_it_goes_on_without_a_database_and_writes_it_down_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = violated_with(stage, "hedging")
    real = host_ledger._apply, host_ledger._apply_again
    monkeypatch.setattr(host_ledger, "_apply", broken_reader)
    monkeypatch.setattr(host_ledger, "_apply_again", broken_reader)
    stage.run(5)
    assert volumes(stage, account) == {}
    assert not Enforcement.objects.exists()
    monkeypatch.setattr(host_ledger, "_apply", real[0])
    monkeypatch.setattr(host_ledger, "_apply_again", real[1])
    stage.run(20)
    assert is_over()
    assert_flat(stage, account)
    assert Order.objects.filter(state="filled").count() >= 4


def test_it_takes_up_what_a_dead_worker_left(stage: Stage) -> None:
    account = violated_with(stage, "hedging")
    stage.server.set_market_open("EURUSD", False)
    stage.run(3)
    assert Enforcement.objects.get().finished_at is None
    stage.kill_worker()
    stage.server.set_market_open("EURUSD", True)
    stage.run(60)
    assert is_over()
    assert Enforcement.objects.count() == 1
    assert_flat(stage, account)


def test_it_closes_by_only_where_the_broker_offers_it(stage: Stage) -> None:
    account = violated_with(stage, "hedging")
    run_until_flat(stage)
    kinds = set(Order.objects.values_list("kind", flat=True))
    assert "close_by" in kinds
    assert any(deal.entry == 3 for deal in deals(stage, account))
    assert_flat(stage, account)


def test_it_closes_nothing_that_is_no_violation_any_more_when_the_market_opens(
    stage: Stage,
) -> None:
    account = watched(stage, make_user())
    rule_on(account, "MAX_POSITION_SIZE", "1.00", action="REDUCE_SIZE", parameters={})
    stage.run(3)
    first = trade(stage, account, 0.70)
    stage.run(3)
    second = trade(stage, account, 0.50)
    stage.server.set_market_open("EURUSD", False)
    stage.run(60)
    assert Enforcement.objects.get().stage == "waiting"
    stage.server.set_market_open("EURUSD", True)
    trade(stage, account, -0.70, position=first)
    pass_time(stage, 30, seconds=3.0)
    assert volumes(stage, account) == {second: Decimal("0.50")}
    run = Enforcement.objects.get()
    assert (run.stage, run.positions_closed) == ("done", 0)
    assert run.message.startswith("It is called for no more")
