"""What is said of moved stops by the host's readings, beside what a lane's gate says of them."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from copytrade.replication.changing import NEWEST_SECONDS, complete, position_of
from copytrade.replication.markets import Markets
from copytrade.replication.waiting import waits_for_reading
from risk.core.gate.verdicts import VERDICTS
from risk.gate import decide_change
from risk.gate.intents import SETTLING_SECONDS
from risk.models import AccountLock, Order, RiskRule
from risk.orders.terminal import Position
from tradeguard.tests.copying_changes import change_of, gate_of, prove_left_to_lane, scene_of
from tradeguard.tests.copying_stage import view_of
from tradeguard.tests.enforcement_stage import rule_on, terminal_of, trade
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

RULES = [
    (RiskRule.Type.STOP_LOSS_REQUIRED, "5", RiskRule.Action.BLOCK, {}),
    (RiskRule.Type.STOP_LOSS_REQUIRED, "5", RiskRule.Action.ALERT, {}),
    (RiskRule.Type.MAX_DAILY_LOSS, "1500", RiskRule.Action.BLOCK, {"amount_kind": "money"}),
    (RiskRule.Type.RISK_PER_TRADE, "0.02", RiskRule.Action.BLOCK, {}),
]
FORMER = (0.0, 1.07, 1.09)
WANTED = (None, 0.0, 1.06, 1.08, 1.095)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def account(stage: Stage, alice: User) -> ConnectedAccount:
    return stage.open(alice, "Follower")


@pytest.mark.parametrize("lots", [1.0, -1.0])
@pytest.mark.parametrize("is_locked", [False, True])
@pytest.mark.parametrize("rule", [None, *RULES])
def test_it_lets_pass_what_a_lane_would_let_pass(
    stage: Stage, account: ConnectedAccount, rule: Any, is_locked: bool, lots: float
) -> None:
    if rule is not None:
        kind, limit, action, parameters = rule
        rule_on(account, kind, limit, action=action, parameters=parameters)
    stage.run(8)
    trade(stage, account, lots)
    stage.run(8)
    (position,) = terminal_of(stage, account).positions()
    locks = [AccountLock(account_id=account.pk, reason="Locked.")] if is_locked else []
    markets, passed = Markets(stage.server), set()
    for former in FORMER:
        level = former and round(2.2 - former, 5) if lots < 0 else former
        request = {"action": 6, "symbol": "EURUSD", "position": position.ticket, "sl": level}
        stage.server.call("order_send", account.login, {**request, "tp": 0.0})
        stage.run(2)
        (position,) = terminal_of(stage, account).positions()
        scene = scene_of(stage, locked=locks)
        for wanted in WANTED:
            stop = round(2.2 - wanted, 5) if wanted and lots < 0 else wanted
            copy = change_of(stage, account, position, stop_loss=stop)
            assert copy.order is not None
            decided = gate_of(scene, markets).decide([copy], scene.now).get(copy.order.pk)
            complete([copy], scene)
            assert copy.order.stop_loss == (position.stop_loss if stop is None else stop)
            told = decide_change(
                scene.view, copy.order, position, in_flight=(), now=scene.now,
                terms=partial(markets.terms, scene.kind_of(account.pk, account.server, "USD")),
                locks={lock.account_id: lock for lock in locks},
            )  # fmt: skip
            assert copy.is_claimed is told.is_allowed is (decided is not None)
            if decided is not None:
                assert (decided.verdict, decided.checks) == (told.verdict, told.checks)
            passed.add(told.verdict)
    expected = {"allow", "block"} if is_locked or rule is not None else {"allow"}
    if rule is not None and rule[2] == RiskRule.Action.ALERT and not is_locked:
        expected = {"allow", "warn"}
    assert passed == {one for one in VERDICTS if one.value in expected}


@pytest.fixture
def held(stage: Stage, account: ConnectedAccount) -> Position:
    stage.run(5)
    trade(stage, account, 1.0, sl=1.07, tp=1.13)
    stage.run(8)
    (position,) = terminal_of(stage, account).positions()
    return position


@pytest.mark.parametrize(("late", "is_new"), [(-0.01, True), (0.0, True), (0.01, False)])
def test_it_believes_readings_that_are_new(
    stage: Stage, account: ConnectedAccount, held: Position, late: float, is_new: bool
) -> None:
    copy = change_of(stage, account, held)
    assert copy.order is not None
    scene = scene_of(stage, age=NEWEST_SECONDS + late)
    assert (position_of(copy.order, scene) is not None) is is_new
    assert waits_for_reading(copy, scene) is not is_new


def test_it_waits_for_no_reading_of_who_is_away(
    stage: Stage, account: ConnectedAccount, held: Position
) -> None:
    copy = change_of(stage, account, held)
    assert copy.order is not None
    scene = scene_of(stage, age=2.1)
    assert position_of(copy.order, scene) is None
    assert not waits_for_reading(copy, scene)


@pytest.mark.parametrize("levels", [{}, {"stop_loss": None}, {"take_profit": None}])
@pytest.mark.parametrize("shift", [-0.01, 0.0, 0.01])
def test_it_believes_readings_that_are_younger_than_the_last_change(
    stage: Stage, account: ConnectedAccount, held: Position, levels: Any, shift: float
) -> None:
    copy = change_of(stage, account, held, **levels)
    assert copy.order is not None
    settling = timedelta(seconds=SETTLING_SECONDS if levels else 0.0)
    last = change_of(stage, account, held).order
    assert last is not None
    read_at = view_of(stage).poll.now
    last.state, last.answered_at = Order.State.FILLED, read_at - settling
    last.answered_at -= timedelta(seconds=shift)
    scene = scene_of(stage, last)
    is_shown = shift > 0
    assert (position_of(copy.order, scene) is not None) is is_shown
    assert waits_for_reading(copy, scene) is not is_shown
    last.state, last.answered_at = Order.State.SENT, None
    assert not waits_for_reading(copy, scene_of(stage, last))


@pytest.mark.parametrize(
    "other", [{"symbol": "GBPUSD"}, {"direction": "sell"}, {"position_ticket": 1}]
)
def test_it_leaves_what_is_not_as_it_was_planned_to_the_lane(
    stage: Stage, account: ConnectedAccount, held: Position, other: Any
) -> None:
    copy = change_of(stage, account, held, **other)
    assert copy.order is not None
    scene = scene_of(stage)
    assert position_of(copy.order, scene) is None
    prove_left_to_lane(stage, copy, scene)


def test_a_close_waits_for_a_reading_that_shows_its_position(
    stage: Stage, account: ConnectedAccount, held: Position
) -> None:
    fields = {"kind": Order.Kind.CLOSE, "direction": "sell", "volume": held.volume}
    copy = change_of(stage, account, held, **fields)
    assert not waits_for_reading(copy, scene_of(stage))
    last = change_of(stage, account, held).order
    assert last is not None
    last.state, last.answered_at = Order.State.FILLED, view_of(stage).poll.now
    assert waits_for_reading(copy, scene_of(stage, last))
    copy.is_for_lane = True
    assert not waits_for_reading(copy, scene_of(stage, last))
