"""What is said of changed pending orders by readings, beside what a lane and its gate say."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import product
from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated import constants as mt5
from copytrade.replication.changing import NEWEST_SECONDS, complete, pending_of
from copytrade.replication.likeness import like
from copytrade.replication.markets import Markets
from copytrade.replication.scene import Scene
from copytrade.replication.waiting import waits_for_reading
from risk.core.gate.verdicts import GateDecision, Verdict
from risk.gate import decide_change
from risk.gate.changes import without
from risk.gate.intents import SETTLING_SECONDS
from risk.models import AccountLock, Order, RiskRule
from risk.orders.completion import complete as complete_by_lane
from risk.orders.requests import trade_request
from risk.orders.terminal import PendingOrder
from tradeguard.tests.copying_changes import gate_of, move_of, prove_left_to_lane, scene_of
from tradeguard.tests.copying_stage import view_of
from tradeguard.tests.enforcement_stage import rule_on, terminal_of, trade
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

Action, Type = RiskRule.Action, RiskRule.Type
RULES = [
    (Type.STOP_LOSS_REQUIRED, "5", Action.BLOCK, {}),
    (Type.STOP_LOSS_REQUIRED, "5", Action.ALERT, {}),
    (Type.MAX_DAILY_LOSS, "1500", Action.BLOCK, {"amount_kind": "money"}),
    (Type.RISK_PER_TRADE, "0.02", Action.BLOCK, {}),
    (Type.RISK_PER_TRADE, "0.02", Action.REDUCE_SIZE, {}),
    (Type.POSITION_LIMIT, "1", Action.BLOCK, {}),
]
TOMORROW = 1_795_089_600
EXPIRING = {"type_time": mt5.ORDER_TIME_SPECIFIED, "expiration": TOMORROW}
# What waits, and the other prices that it is moved to.
PENDINGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": mt5.ORDER_TYPE_BUY_LIMIT, "price": 1.09, "sl": 1.08}, {"price": 1.085}),
    ({"type": mt5.ORDER_TYPE_SELL_STOP, "price": 1.09, **EXPIRING}, {"price": 1.085}),
    (
        {"type": mt5.ORDER_TYPE_BUY_STOP_LIMIT, "price": 1.12, "stoplimit": 1.11, **EXPIRING},
        {"stop_limit_price": 1.105},
    ),
    (
        {"type": mt5.ORDER_TYPE_BUY_LIMIT, "price": 1.09, "type_time": mt5.ORDER_TIME_DAY},
        {"price": None, "stop_loss": None, "take_profit": None},
    ),
]
UNMOVED: dict[str, Any] = {}
LOSSES = (None, 0.0, 1.0, 1.07, 1.084)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def account(stage: Stage, alice: User) -> ConnectedAccount:
    return stage.open(alice, "Follower")


def placed(stage: Stage, account: ConnectedAccount, **terms: Any) -> PendingOrder:
    request = {
        "action": mt5.TRADE_ACTION_PENDING, "symbol": "EURUSD", "volume": 1.0,
        "type_filling": mt5.ORDER_FILLING_RETURN, **terms,
    }  # fmt: skip
    result = stage.server.call("order_send", account.login, request)
    assert result[0] == mt5.TRADE_RETCODE_DONE, result
    stage.run(8)
    found = terminal_of(stage, account).pending_orders()
    return next(one for one in found if one.ticket == result[2])


@pytest.fixture
def pending(stage: Stage, account: ConnectedAccount) -> PendingOrder:
    stage.run(5)
    limit = {"type": mt5.ORDER_TYPE_BUY_LIMIT, "price": 1.09}
    return placed(stage, account, **limit, sl=1.08, **EXPIRING)


def said_by_lane(
    scene: Scene, order: Order, before: PendingOrder, markets: Markets, locks: Any
) -> GateDecision:
    kind = scene.kind_of(order.account_id, order.server, "USD")
    return decide_change(
        scene.view, order, before, in_flight=(), now=scene.now, locks=locks,
        terms=partial(markets.terms, kind),
        commissions=lambda pk, symbol: markets.commission(kind, pk, symbol, scene.now),
    )  # fmt: skip


@pytest.mark.parametrize("is_locked", [False, True])
@pytest.mark.parametrize("rule", [None, *RULES])
def test_it_sends_what_a_lane_would_send(
    stage: Stage, account: ConnectedAccount, rule: Any, is_locked: bool
) -> None:
    stage.run(5)
    trade(stage, account, 0.5, sl=1.09)
    waiting = [(placed(stage, account, **terms), other) for terms, other in PENDINGS]
    if rule is not None:
        kind, limit, action, parameters = rule
        rule_on(account, kind, limit, action=action, parameters=parameters)
    stage.run(8)
    locks = [AccountLock(account_id=account.pk, reason="Locked.")] if is_locked else []
    scene, markets, said = scene_of(stage, locked=locks), Markets(stage.server), set()
    for (before, other), loss in product(waiting, LOSSES):
        for moved in (UNMOVED, other):
            copy = move_of(stage, account, before, **{"stop_loss": loss, **moved})
            order = copy.order
            assert order is not None
            by_lane = like(order)
            decided = gate_of(scene, markets).decide([copy], scene.now).get(order.pk)
            unsent = (order.price, order.stop_loss, order.volume, order.valid_until_at)
            assert unsent == (by_lane.price, by_lane.stop_loss, None, None)

            zone = copy.follower.account.broker_zone
            complete_by_lane(by_lane, terminal_of(stage, account), zone, scene.now)
            told = said_by_lane(
                scene, by_lane, before, markets, {each.account_id: each for each in locks}
            )
            assert copy.is_claimed is (told.verdict in (Verdict.ALLOW, Verdict.WARN))
            assert copy.is_claimed is (decided is not None)
            if decided is not None:
                assert (decided.verdict, decided.checks) == (told.verdict, told.checks)
            said.add(told.verdict)

            complete([copy], scene)
            kind = scene.kind_of(account.pk, account.server, "USD")
            terms = markets.terms(kind, account.login, "EURUSD")
            request = trade_request(order, terms, zone)
            assert request == trade_request(by_lane, terms, zone)
            assert order.volume == Decimal(1)
            assert request.get("expiration") == (before.expires_at or None)
            assert (order.price, order.stop_loss) == (by_lane.price, by_lane.stop_loss)
    is_alert = rule is not None and rule[2] == Action.ALERT
    stopped = {Verdict.BLOCK} if is_locked or (rule is not None and not is_alert) else set()
    warned = {Verdict.WARN} if is_alert and not is_locked else set()
    assert said >= {Verdict.ALLOW} | stopped | warned


@pytest.mark.parametrize(("late", "is_new"), [(-0.01, True), (0.0, True), (0.01, False)])
def test_it_believes_readings_that_are_new(
    stage: Stage, account: ConnectedAccount, pending: PendingOrder, late: float, is_new: bool
) -> None:
    copy = move_of(stage, account, pending, price=1.085)
    assert copy.order is not None
    scene = scene_of(stage, age=NEWEST_SECONDS + late)
    assert (pending_of(copy.order, scene) is not None) is is_new
    assert waits_for_reading(copy, scene) is not is_new
    complete([copy], scene)
    assert (copy.order.valid_until_at is not None) is is_new


def test_it_waits_for_no_reading_of_who_is_away(
    stage: Stage, account: ConnectedAccount, pending: PendingOrder
) -> None:
    copy = move_of(stage, account, pending)
    assert copy.order is not None
    scene = scene_of(stage, age=2.1)
    assert pending_of(copy.order, scene) is None
    assert not waits_for_reading(copy, scene)


@pytest.mark.parametrize("left", ["nothing", "stop_loss", "take_profit", "price", "expiry"])
@pytest.mark.parametrize("shift", [-0.01, 0.0, 0.01])
def test_it_believes_readings_that_are_younger_than_the_last_change(
    stage: Stage, account: ConnectedAccount, pending: PendingOrder, left: str, shift: float
) -> None:
    levels = {left: None} if left in ("stop_loss", "take_profit", "price") else {}
    copy = move_of(stage, account, pending, **levels)
    last = move_of(stage, account, pending).order
    assert copy.order is not None
    assert last is not None
    read_at = view_of(stage).poll.now
    settling = timedelta(seconds=0.0 if left == "nothing" else SETTLING_SECONDS)
    last.state, last.answered_at = Order.State.FILLED, read_at - settling
    last.answered_at -= timedelta(seconds=shift)
    last.valid_until_at = read_at if left == "expiry" else None
    scene = scene_of(stage, last)
    is_shown = shift > 0
    assert (pending_of(copy.order, scene) is not None) is is_shown
    assert waits_for_reading(copy, scene) is not is_shown
    last.state, last.answered_at = Order.State.SENT, None
    assert not waits_for_reading(copy, scene_of(stage, last))


@pytest.mark.parametrize(
    "other",
    [
        {"symbol": "GBPUSD"},
        {"direction": "sell"},
        {"type": "stop"},
        {"order_ticket": 1},
        {"order_ticket": None},
    ],
)
def test_it_leaves_what_is_not_as_it_was_planned_to_the_lane(
    stage: Stage, account: ConnectedAccount, pending: PendingOrder, other: Any
) -> None:
    copy = move_of(stage, account, pending, **other)
    assert copy.order is not None
    scene = scene_of(stage)
    assert pending_of(copy.order, scene) is None
    prove_left_to_lane(stage, copy, scene)


def test_it_leaves_an_expiry_that_is_no_date_to_the_lane(
    stage: Stage, account: ConnectedAccount
) -> None:
    stage.run(5)
    limit = {"type": mt5.ORDER_TYPE_BUY_LIMIT, "price": 1.09}
    pending = placed(stage, account, **limit, **{**EXPIRING, "expiration": 2**62})
    copy = move_of(stage, account, pending, price=1.08)
    assert copy.order is not None
    scene = scene_of(stage)
    assert pending_of(copy.order, scene) is None
    assert gate_of(scene, Markets(stage.server)).decide([copy], scene.now) == {}
    complete([copy], scene)
    assert copy.order.valid_until_at is None


def test_it_looks_at_the_orders_of_one_account(
    stage: Stage, account: ConnectedAccount, pending: PendingOrder, alice: User
) -> None:
    other = stage.open(alice, "Other")
    stage.run(8)
    move = move_of(stage, other, pending, price=1.085)
    assert move.order is not None
    scene = scene_of(stage)
    assert pending_of(move.order, scene) is None
    mine, theirs = scene.places_of([account.pk, other.pk])
    assert without(scene.book, {mine: pending.ticket}).orders.tolist() == []
    assert len(without(scene.book, {theirs: pending.ticket}).orders) == 1
