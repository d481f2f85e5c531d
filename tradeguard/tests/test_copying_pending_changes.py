"""A provider's changed pending order, sent to all followers together by what readings show."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from copytrade.models import CopyOrder
from copytrade.replication import changing, waiting
from copytrade.replication.changing import NEWEST_SECONDS
from risk.gate.rounds import checks_in_rounds
from risk.models import GateCheck, Order, RiskRule
from risk.orders.drafts import new_tag
from tradeguard.tests.copying_pendings import (
    LIMIT,
    STOP_LIMIT,
    TOMORROW,
    changes,
    desk_of,
    move,
    placed,
    prices,
    recorded,
    waiting_at,
)
from tradeguard.tests.copying_stage import Desk
from tradeguard.tests.enforcement_stage import rule_on
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

KINDS = {"limit": (LIMIT, {}), "stop limit": (STOP_LIMIT, {"stoplimit": 1.11})}


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def desk(stage: Stage, alice: User) -> Desk:
    return desk_of(stage, alice)


@pytest.fixture
def parts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    return recorded(stage, monkeypatch)[0]


def test_moved_orders_leave_together(stage: Stage, desk: Desk, parts: list[int]) -> None:
    ticket = placed(stage, desk)
    for number, price in enumerate((1.08, 1.085), 1):
        move(stage, desk[0], ticket, price, sl=1.07)
        stage.run(2)
        assert parts == [4] * number
        assert prices(stage, desk) == [price] * 4
    stage.run(5)
    assert {one.stop_loss for one in waiting_at(stage, desk[1])} == {1.07}
    assert set(changes().values_list("state", "attempts", "message")) == {("filled", 1, "Done.")}
    assert set(changes().values_list("volume", "valid_until_at")) == {(1, None)}
    orders = list(changes())
    checks = checks_in_rounds(orders)
    assert set(checks) == {order.pk for order in orders}
    for order in orders:
        assert {check.verdict for check in checks[order.pk]} == {"allow"}
        copy = CopyOrder.objects.get(order_id=order.pk)
        assert (copy.state, copy.gated_at) == ("done", order.gated_at)


@pytest.mark.parametrize("back", [{"price": 1.09}, {"price": 1.08, "sl": 0.0}])
def test_an_order_that_is_moved_back_moves_its_copies_back(
    stage: Stage, desk: Desk, back: Any
) -> None:
    ticket = placed(stage, desk)
    for terms in ({"price": 1.08, "sl": 1.07}, back):
        move(stage, desk[0], ticket, **terms)
        stage.run(10)
    shown = [(one.price_open, one.stop_loss) for one in waiting_at(stage, desk[1])]
    assert shown == [(back["price"], 0.0)] * 4


@pytest.mark.parametrize("fewest", [4, waiting.FEWEST])
def test_of_many_changes_the_last_one_stays(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch, fewest: int
) -> None:
    monkeypatch.setattr(waiting, "FEWEST", fewest)
    ticket = placed(stage, desk)
    for price in (1.08, 1.085, 1.07, 1.09):
        move(stage, desk[0], ticket, price)
        stage.run(1)
    stage.run(15)
    assert prices(stage, desk) == [1.09] * 4
    assert set(changes().values_list("state", flat=True)) == {"filled"}
    assert changes().count() == 16


def test_a_stop_that_is_tightened_needs_no_gate(stage: Stage, desk: Desk, parts: list[int]) -> None:
    ticket = placed(stage, desk, sl=1.06)
    move(stage, desk[0], ticket, 1.09, sl=1.07)
    stage.run(5)
    assert parts == [4]
    assert [one.stop_loss for one in waiting_at(stage, desk[1])] == [1.07] * 4
    checks = GateCheck.objects.filter(order_id__in=changes().values("pk"))
    assert list(checks.values_list("check_name", "verdict")) == [("tighter_stop", "allow")] * 4


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("lifetime", [{}, TOMORROW])
@pytest.mark.parametrize("is_moved", [True, False])
def test_it_asks_for_what_a_lane_asks_for(
    alice: User, monkeypatch: pytest.MonkeyPatch, kind: str, lifetime: Any, is_moved: bool
) -> None:
    terms, limit = KINDS[kind]
    price, levels = terms["price"], {"sl": 1.05, **limit}
    told = []
    for newest in (NEWEST_SECONDS, -1.0):
        with staged() as stage, monkeypatch.context() as patch:
            desk = desk_of(stage, alice)
            ticket = placed(stage, desk, **terms, sl=1.05)
            for each, mine in zip(desk[1], waiting_at(stage, desk[1]), strict=True):
                if lifetime:
                    move(stage, each, mine.ticket, price, **levels, **lifetime)
            stage.run(10)
            parts, requests = recorded(stage, patch)
            patch.setattr(changing, "NEWEST_SECONDS", newest)
            changed = (
                {"price": round(price - 0.005, 5)} if is_moved else {"price": price, "sl": 1.06}
            )
            move(stage, desk[0], ticket, **{**levels, **changed})
            stage.run(10)
            assert parts == ([4] if newest > 0 else [])
            left = [
                (one.price_open, one.stop_limit_price, one.stop_loss, one.lifetime, one.expires_at)
                for one in waiting_at(stage, desk[1])
            ]
            shown = {**levels, "stoplimit": limit.get("stoplimit", 0.0), **changed}
            lasting = (2, TOMORROW["expiration"]) if lifetime else (0, 0)
            wanted = (shown["price"], shown["stoplimit"], shown["sl"], *lasting)
            assert left == [wanted] * 4
            own = {"magic", "comment", "order"}
            told.append([{k: v for k, v in each.items() if k not in own} for each in requests])
            fields = ("state", "message", "volume", "price", "stop_limit_price", "stop_loss",
                      "take_profit", "valid_until_at")  # fmt: skip
            told.append(list(changes().order_by("login").values_list(*fields)))
            stage.run(5)
            copies = CopyOrder.objects.filter(order_id__in=changes().values("pk"))
            assert set(copies.values_list("state", flat=True)) == {"done"}
        Order.objects.all().delete()
    requests, rows, of_lanes, rows_of_lanes = told
    assert len(requests) == 4
    assert requests == of_lanes
    assert rows == rows_of_lanes


def test_what_the_gate_does_not_let_pass_is_said_by_the_lanes(
    stage: Stage, desk: Desk, parts: list[int]
) -> None:
    provider, followers = desk
    ticket = placed(stage, desk, sl=1.08)
    block = {"action": RiskRule.Action.BLOCK, "name": "Stops"}
    rule_on(followers[0], RiskRule.Type.STOP_LOSS_REQUIRED, "5", **block)
    rule_on(
        followers[1],
        RiskRule.Type.STOP_LOSS_REQUIRED,
        "5",
        action=RiskRule.Action.ALERT,
        name="Alert",
    )
    stage.run(10)

    move(stage, provider, ticket, 1.085)
    stage.run(5)

    assert parts == [3]
    assert prices(stage, desk) == [1.09, 1.085, 1.085, 1.085]
    told = dict(changes().values_list("account_id", "message"))
    assert [told[each.pk].split(":")[0] for each in followers] == [
        "Stops", "Done. Alert", "Done.", "Done.",
    ]  # fmt: skip
    states = dict(changes().values_list("account_id", "state"))
    assert [states[each.pk] for each in followers] == ["rejected", *["filled"] * 3]


def test_an_older_change_is_never_sent_after_a_newer_one(
    stage: Stage, desk: Desk, parts: list[int]
) -> None:
    provider, followers = desk
    ticket = placed(stage, desk)
    first = followers[0]
    older = Order.objects.create(
        tag=new_tag(), user_id=first.user_id, account_id=first.pk, account_name=first.name,
        server=first.server, login=first.login, host="local", kind=Order.Kind.MODIFY_ORDER,
        origin=Order.Origin.TICKET, symbol="EURUSD", price=1.05, created_at=stage.now,
        order_ticket=waiting_at(stage, [first])[0].ticket,
        next_attempt_at=stage.now + timedelta(seconds=60),
    )  # fmt: skip
    move(stage, provider, ticket, 1.08)
    stage.run(20)
    assert parts == [3]
    assert prices(stage, desk) == [1.09, *[1.08] * 3]
    Order.objects.filter(pk=older.pk).update(next_attempt_at=stage.now)
    stage.run(5)
    assert prices(stage, desk) == [1.08] * 4
    assert set(changes().values_list("state", flat=True)) == {"filled"}


def test_an_expiry_that_was_just_set_stays(
    stage: Stage, desk: Desk, parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "FEWEST", 4)
    provider, followers = desk
    ticket = placed(stage, desk)
    for each, mine in zip(followers, waiting_at(stage, followers), strict=True):
        Order.objects.create(
            tag=new_tag(), user_id=each.user_id, account_id=each.pk, account_name=each.name,
            server=each.server, login=each.login, host="local", kind=Order.Kind.MODIFY_ORDER,
            origin=Order.Origin.TICKET, symbol="EURUSD", created_at=stage.now,
            order_ticket=mine.ticket, valid_until_at=stage.now + timedelta(days=1),
        )  # fmt: skip
    stage.run(2)
    set_expiries = [one.expires_at for one in waiting_at(stage, followers)]
    assert all(set_expiries)
    answered_at = changes().latest("answered_at").answered_at
    move(stage, provider, ticket, 1.08)
    stage.run(2)
    assert parts == []
    stage.run(8)
    assert prices(stage, desk) == [1.08] * 4
    assert [one.expires_at for one in waiting_at(stage, followers)] == set_expiries
    sent_at = changes().filter(origin=Order.Origin.COPY).earliest("sent_at").sent_at
    assert sent_at - answered_at > timedelta(seconds=1)


def test_they_wait_for_the_next_reading_and_leave_together(
    stage: Stage, desk: Desk, parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "FEWEST", 4)
    ticket = placed(stage, desk)
    for each, mine in zip(desk[1], waiting_at(stage, desk[1]), strict=True):
        move(stage, each, mine.ticket, 1.09, **TOMORROW)
    stage.run(10)
    monkeypatch.setattr(changing, "NEWEST_SECONDS", -1.0)
    move(stage, desk[0], ticket, 1.08)
    stage.run(2)
    assert set(changes().values_list("state", flat=True)) == {"pending"}
    # What was not sent is filled in when it is: by then it may be something else.
    assert set(changes().values_list("volume", "valid_until_at")) == {(None, None)}
    assert parts == []
    monkeypatch.setattr(changing, "NEWEST_SECONDS", NEWEST_SECONDS)
    assert stage.tick is not None
    assert stage.tick.acting is not None
    stage.tick.acting.copying._take_arrivals()
    assert parts == [4]
    (expiry,) = {one.expires_at for one in waiting_at(stage, desk[1])}
    assert expiry == TOMORROW["expiration"]
    stage.run(3)
    assert prices(stage, desk) == [1.08] * 4
    assert set(changes().values_list("state", "attempts", "volume")) == {("filled", 1, 1)}
    assert None not in changes().values_list("valid_until_at", flat=True)
