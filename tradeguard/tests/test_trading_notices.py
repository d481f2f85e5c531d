"""What happens at the broker and to orders: told once, and never what enforcement tells."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError

from accounts.models import ConnectedAccount, Deal, User
from accounts.tests.factories import make_user
from notifications.models import Notification
from risk.models import Enforcement, Order
from risk.services import orders as services
from risk.services.panic import close_all
from tradeguard.tests.enforcement_stage import crash_price, place, rule_on, trade, volumes
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def alice() -> User:
    return make_user()


@pytest.fixture
def account(stage: Stage, alice: User) -> ConnectedAccount:
    account = stage.open(alice, "Bold")
    stage.run(4)
    Notification.objects.all().delete()  # the broker's stop-out lies above the cut-off
    return account


def told(kind: str = "position_update") -> list[str]:
    rows = Notification.objects.filter(type=kind).order_by("created_at", "title")
    return [row.title for row in rows]


def by_hand(stage: Stage, account: ConnectedAccount, lots: float, **fields: Any) -> int:
    request = {
        "action": 1,
        "symbol": "EURUSD",
        "volume": abs(lots),
        "type": int(lots < 0),
        "type_filling": 1,
        **fields,
    }
    result = stage.server.call("trade_by_hand", account.login, request, 0)
    assert result[0] == 10009, result
    return int(result[2])


def price(stage: Stage, bid: float) -> None:
    stage.server.set_prices("EURUSD", bid, bid + 0.00002)
    stage.server.step()


def test_it_tells_of_positions_that_are_opened_reduced_and_closed_by_hand(
    stage: Stage, account: ConnectedAccount
) -> None:
    ticket = by_hand(stage, account, 0.3)
    stage.run()
    price(stage, 1.10102)
    by_hand(stage, account, -0.1, position=ticket)
    stage.run()
    by_hand(stage, account, -0.2, position=ticket)
    stage.run()
    assert told() == [
        "Bold: 0.3 lots of EURUSD bought at 1.10002 by hand",
        "Bold: 0.1 lots of EURUSD closed by hand at 1.10102, the rest stays open, +10.00 USD",
        "Bold: 0.2 lots of EURUSD closed by hand at 1.10102, +20.00 USD",
    ]
    assert set(Notification.objects.values_list("priority", flat=True)) == {"low"}


def test_prices_keep_their_zeros_when_nothing_is_open_any_more(
    stage: Stage, account: ConnectedAccount
) -> None:
    ticket = by_hand(stage, account, 0.1)
    stage.run()
    price(stage, 1.2)
    by_hand(stage, account, -0.1, position=ticket)
    stage.run()
    assert told()[-1] == "Bold: 0.1 lots of EURUSD closed by hand at 1.20000, +999.80 USD"


def test_it_tells_of_what_a_stop_loss_and_a_take_profit_closed(
    stage: Stage, account: ConnectedAccount
) -> None:
    trade(stage, account, 0.1, sl=1.09900)
    trade(stage, account, -0.2, tp=1.09800)
    stage.run()
    Notification.objects.all().delete()
    price(stage, 1.09790)
    stage.run(2)
    (title,) = told()
    assert title.startswith("Bold: 2 positions closed, +")
    update = Notification.objects.get(type="position_update")
    lines = sorted(update.body.splitlines())
    assert "closed by its stop loss at" in lines[0]
    assert "closed by its take profit at" in lines[1]
    assert update.priority == "medium"


def test_all_deals_of_an_account_in_one_tick_are_one_notice(
    stage: Stage, account: ConnectedAccount, alice: User
) -> None:
    other = stage.open(alice, "Calm")
    stage.run(4)
    for _ in range(12):
        trade(stage, account, 0.1)
    trade(stage, other, 0.1)
    stage.run()
    assert told() == [
        "Bold: 12 positions opened",
        "Calm: 0.1 lots of EURUSD bought at 1.10002 by a program",
    ]
    lines = Notification.objects.get(title__contains="12 pos").body.splitlines()
    assert len(lines) == 11
    assert lines[-1] == "And 2 more."


def test_the_past_of_an_account_is_no_news(stage: Stage, alice: User) -> None:
    account = stage.open(alice, "Bold")
    trade(stage, account, 0.1)
    stage.run(5)
    assert Deal.objects.filter(account=account, symbol="EURUSD").count() == 1
    assert told() == []
    trade(stage, account, 0.2)
    stage.run()
    assert told() == ["Bold: 0.2 lots of EURUSD bought at 1.10002 by a program"]


@pytest.mark.parametrize(("hours", "is_told"), [(23, True), (25, False)])
def test_it_tells_of_what_happened_while_nobody_watched_if_that_is_recent(
    stage: Stage, account: ConnectedAccount, hours: int, is_told: bool
) -> None:
    stage.kill_worker()
    trade(stage, account, 0.1)
    stage.clock[0] += hours * 3600
    stage.run(5)
    assert bool(told()) is is_told


def test_a_worker_that_takes_over_tells_nothing_twice(
    stage: Stage, account: ConnectedAccount
) -> None:
    trade(stage, account, 0.1)
    stage.run()
    for _ in range(2):
        stage.kill_worker()
        stage.run(5)
    assert len(told()) == 1


def test_deals_are_told_as_they_are_stored_or_not_at_all(
    stage: Stage, account: ConnectedAccount
) -> None:
    trade(stage, account, 0.1)
    with patch("risk.notices.deals.notify", side_effect=OperationalError("away")):
        stage.run(3)
        assert not Deal.objects.filter(symbol="EURUSD").exists()
    stage.kill_worker()  # before anything was written
    stage.run(5)
    assert Deal.objects.filter(symbol="EURUSD").count() == 1
    assert len(told()) == 1


def test_words_that_go_wrong_do_not_cost_the_deals(stage: Stage, account: ConnectedAccount) -> None:
    trade(stage, account, 0.1)
    with patch("risk.notices.deals.title_of", side_effect=ValueError("no words")):
        stage.run()
    assert Deal.objects.filter(symbol="EURUSD").count() == 1
    assert told() == []


# What TradeGuard does itself


def test_what_enforcement_closes_is_told_by_the_enforcement_alone(
    stage: Stage, account: ConnectedAccount
) -> None:
    rule_on(account, "MAX_DAILY_LOSS", "0.05")
    stage.run(2)
    for _ in range(10):
        trade(stage, account, 1.0)
    stage.run()
    Notification.objects.all().delete()
    crash_price(stage, 1.09400)
    stage.run(6)
    assert volumes(stage, account) == {}
    assert Deal.objects.filter(account=account, entry=1).count() == 10
    assert told() == []
    assert told("order_filled") == []
    # That it acts is said by the breach, in the same words and a moment before.
    assert told("risk_breach") == ["Bold: “Max daily loss” is violated"]
    assert told("enforcement") == ["Bold: everything is closed"]


def test_notices_that_go_wrong_keep_no_tick_from_acting(
    stage: Stage, account: ConnectedAccount
) -> None:
    rule_on(account, "MAX_DAILY_LOSS", "0.05")
    stage.run(2)
    for _ in range(10):
        trade(stage, account, 1.0)
    stage.run()
    with patch("risk.notices.watch.WarningWatch.note", side_effect=LookupError("no account")):
        crash_price(stage, 1.09400)
        stage.run(6)
    assert volumes(stage, account) == {}
    assert told("enforcement") == ["Bold: everything is closed"]


def test_a_stop_out_is_told_as_the_liquidation_that_it_is(stage: Stage, alice: User) -> None:
    account = stage.open(alice, "Bold", deposit=1_000.0, stop_out_level=30.0, leverage=500)
    stage.run(4)
    for _ in range(2):
        trade(stage, account, 1.0)
    stage.run()
    Notification.objects.all().delete()
    price(stage, 1.09400)
    stage.run(4)
    assert told() == []
    assert told("liquidation") == ["Bold was liquidated by its broker"]


def buy(stage: Stage, account: ConnectedAccount, **fields: Any) -> Order:
    account.connection.refresh_from_db()
    return services.place_order(
        account=account,
        user=account.user,
        origin=Order.Origin.TICKET,
        **{"symbol": "EURUSD", "direction": "buy", "volume": Decimal("0.10"), **fields},
        now=stage.now,
    )


def test_an_order_that_somebody_waits_for_is_told_on_its_page_alone(
    stage: Stage, account: ConnectedAccount
) -> None:
    order = buy(stage, account)
    stage.run(3)
    order.refresh_from_db()
    assert order.state == Order.State.FILLED
    assert not Notification.objects.exists()


def test_what_closes_the_position_of_an_order_is_told(
    stage: Stage, account: ConnectedAccount
) -> None:
    buy(stage, account, stop_loss=1.09900)
    stage.run(3)
    price(stage, 1.09890)
    stage.run(2)
    (title,) = told()
    assert title.startswith("Bold: 0.1 lots of EURUSD closed by its stop loss at ")


def test_a_pending_order_that_finds_its_price_is_told(
    stage: Stage, account: ConnectedAccount
) -> None:
    buy(stage, account, type="limit", price=1.09950)
    stage.run(3)
    assert not Notification.objects.exists()
    price(stage, 1.09940)
    stage.run(2)
    (title,) = told("order_filled")
    assert title.startswith("Bold: pending order filled, 0.1 EURUSD bought at 1.099")
    assert told() == []


def test_a_pending_order_placed_in_the_terminal_is_a_position_like_any_other(
    stage: Stage, account: ConnectedAccount
) -> None:
    place(stage, account, 0.1, 1.09950)
    stage.run(2)
    price(stage, 1.09940)
    stage.run(2)
    assert len(told()) == 1
    assert told("order_filled") == []


@pytest.mark.parametrize(("seconds", "is_told"), [(4.0, False), (6.0, True)])
def test_a_close_that_is_answered_late_is_told(
    stage: Stage, account: ConnectedAccount, seconds: float, is_told: bool
) -> None:
    ticket = trade(stage, account, 0.1)
    stage.run(2)
    Notification.objects.all().delete()
    order = services.close_position(
        account=account, user=account.user, ticket=ticket, now=stage.now
    )
    stage.run(1, seconds=seconds)
    order.refresh_from_db()
    assert order.state == Order.State.FILLED
    assert told("order_filled") == (["Bold: EURUSD close done"] if is_told else [])
    stage.kill_worker()
    stage.run(5)
    assert len(told("order_filled")) == is_told


def test_an_order_on_a_host_that_nobody_watches_is_told_as_too_late(
    stage: Stage, account: ConnectedAccount
) -> None:
    order = buy(stage, account)
    assert order.send_by_at is not None
    assert services.expire_orders(now=order.send_by_at + timedelta(seconds=5)) == 1
    assert services.expire_orders(now=order.send_by_at + timedelta(seconds=15)) == 0
    assert told("order_rejected") == ["Bold: EURUSD order came too late"]
    notice = Notification.objects.get()
    assert (notice.object_type, notice.object_id) == ("order", str(order.pk))
    assert "nobody watches the account" in notice.body


def test_a_worker_that_died_before_it_told_has_a_successor_that_does(
    stage: Stage, account: ConnectedAccount
) -> None:
    order = buy(stage, account)
    stage.kill_worker()
    Order.objects.filter(pk=order.pk).update(
        state=Order.State.NOT_EXECUTED, reconciled_at=stage.now, message="It never was."
    )
    stage.run(3)
    assert told("order_rejected") == ["Bold: EURUSD order was not carried out"]


# Enforcement that goes on and on


def test_a_locked_account_tells_at_most_once_a_minute(
    stage: Stage, account: ConnectedAccount
) -> None:
    close_all(
        accounts=[account], actor=account.user, reason="Enough for today.", lock=True, now=stage.now
    )
    stage.run(5)
    Notification.objects.all().delete()
    title = "Bold is locked: what was opened is closed again"
    for _ in range(2):
        trade(stage, account, 0.1)
        stage.run(5)
    assert Enforcement.objects.filter(cause="lock").count() == 2
    assert [one for one in told("enforcement") if one != title] == []
    assert told("enforcement") == [title]
    stage.run(1, seconds=60.0)
    trade(stage, account, 0.1)
    stage.run(5)
    assert told("enforcement") == [title, title]


def test_closing_everything_on_many_accounts_begins_once_for_its_reader(
    stage: Stage, alice: User
) -> None:
    accounts = [stage.open(alice, name) for name in ("Bold", "Calm", "Dear")]
    stage.run(4)
    for account in accounts:
        trade(stage, account, 0.1)
    stage.run()
    close_all(accounts=accounts, actor=alice, reason="News.", lock=False, now=stage.now)
    stage.run(5)
    begun = Notification.objects.filter(title="Close all has begun")
    assert begun.count() == 3
    assert begun.values("repeat_key").distinct().count() == 1
    done = Notification.objects.filter(title__endswith=": everything is closed")
    assert done.values("repeat_key").distinct().count() == 3
