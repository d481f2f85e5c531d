"""Orders from their row to the broker and back: every state, and every fault on the way."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from accounts.sessions.lease import Standing
from accounts.terminals.link import LinkError
from accounts.terminals.simulated.constants import ORDER_STATE_REJECTED
from accounts.terminals.simulated.faults.specs import FaultKind, FaultSpec
from risk.core.gate.verdicts import Verdict
from risk.models import AccountLock, GateCheck, Order
from risk.orders.drafts import is_our_tag
from risk.services import orders as services
from risk.tests.order_stage import OrderStage, SetFence, order_stage

pytestmark = pytest.mark.django_db(transaction=True)
State = Order.State
ORDER_SEND = ("order_send",)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[OrderStage]:
    with order_stage(tmp_path) as stage:
        yield stage


def test_it_fills_a_market_order_with_its_tag(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    order = stage.buy(account, "0.29", stop_loss=1.09, take_profit=1.12)
    assert order.state == State.PENDING
    order = stage.ended(order)
    assert (order.state, order.message) == (State.FILLED, "Done.")
    assert order.filled_volume == Decimal("0.29")
    assert order.fill_price == pytest.approx(1.10002)
    (position,) = stage.terminal(account).positions()
    assert (position.magic, position.comment) == (order.tag, order.comment)
    assert (position.stop_loss, position.take_profit) == (1.09, 1.12)
    assert position.volume == Decimal("0.29")
    assert is_our_tag(order.tag)
    assert order.tag < 2**53
    assert order.comment == f"TG-{order.pk.hex[:8]}"
    assert order.sent_at is not None
    assert GateCheck.objects.filter(order_id=order.pk).count() == 1


def test_it_sends_nothing_that_the_gate_blocks(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    stage.gate.verdict = Verdict.BLOCK
    order = stage.ended(stage.buy(account))
    assert (order.state, order.refused_by) == (State.REJECTED, "gate")
    assert order.message == "The test says so."
    assert order.sent_at is None
    assert stage.held(account) == []
    assert GateCheck.objects.get().verdict == "block"


def test_it_sends_what_the_gate_leaves_of_an_order(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    stage.gate.verdict, stage.gate.volume = Verdict.REDUCE, Decimal("0.04")
    order = stage.ended(stage.buy(account, "0.10"))
    assert (order.state, order.volume, order.requested_volume) == (
        State.FILLED, Decimal("0.04"), Decimal("0.10"),
    )  # fmt: skip
    assert order.message == "Done. The test says so."
    assert stage.terminal(account).positions()[0].volume == Decimal("0.04")


def test_it_shows_the_gate_what_the_reading_does_not_show_yet(
    stage: OrderStage, alice: User
) -> None:
    account = stage.connect(alice)
    orders = {stage.buy(account).pk, stage.buy(account).pk}
    stage.run()
    first, second = [{order.pk for order in flight} for flight in stage.gate.in_flight]
    assert first == set()
    assert len(second) == 1
    assert second < orders


def test_it_places_changes_and_deletes_a_pending_order(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    order = stage.ended(stage.buy(account, type="limit", price=1.09, stop_loss=1.08))
    assert order.state == State.PLACED
    (row,) = stage.terminal(account).pending_orders()
    assert (row.ticket, row.magic, row.price_open) == (order.order_ticket, order.tag, 1.09)
    asked: dict[str, Any] = {"account": account, "user": alice, "ticket": row.ticket}
    changed = services.modify_order(**asked, price=1.085, now=stage.now)
    assert stage.ended(changed).state == State.FILLED
    (row,) = stage.terminal(account).pending_orders()
    assert (row.price_open, row.stop_loss) == (1.085, 1.08)
    cancelled = services.cancel_order(**asked, now=stage.now)
    assert stage.ended(cancelled).state == State.FILLED
    assert stage.waiting(account) == []
    again = services.cancel_order(**asked, now=stage.now)
    assert stage.ended(again).state == State.REJECTED


def test_it_moves_and_removes_stops(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    ticket = stage.position(account)
    asked: dict[str, Any] = {"account": account, "user": alice, "ticket": ticket}
    order = services.modify_position(**asked, stop_loss=1.09, take_profit=1.12, now=stage.now)
    assert stage.ended(order).state == State.FILLED
    order = services.modify_position(**asked, stop_loss=0.0, now=stage.now)
    assert stage.ended(order).state == State.FILLED
    (position,) = stage.terminal(account).positions()
    assert (position.stop_loss, position.take_profit) == (0.0, 1.12)


@pytest.mark.parametrize(
    ("asked", "closed", "left"),
    [
        (None, "0.10", []),
        ("0.04", "0.04", ["0.06"]),
        ("0.049", "0.04", ["0.06"]),
        ("0.095", "0.09", ["0.01"]),
        ("0.10", "0.10", []),
        ("5", "0.10", []),
    ],
)
def test_it_closes_a_position_or_whole_steps_of_it(
    stage: OrderStage, alice: User, asked: str | None, closed: str, left: list[str]
) -> None:
    account = stage.connect(alice)
    ticket = stage.position(account, 0.10)
    order = services.close_position(
        account=account, user=alice, ticket=ticket,
        volume=None if asked is None else Decimal(asked), now=stage.now,
    )  # fmt: skip
    order = stage.ended(order)
    assert (order.state, order.filled_volume) == (State.FILLED, Decimal(closed))
    volumes = [position.volume for position in stage.terminal(account).positions()]
    assert volumes == [Decimal(each) for each in left]


def test_it_refuses_to_close_less_than_the_smallest_volume(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    ticket = stage.position(account)
    order = services.close_position(
        account=account, user=alice, ticket=ticket, volume=Decimal("0.005"), now=stage.now
    )
    order = stage.ended(order)
    assert order.state == State.REJECTED
    assert "0.005 lots" in order.message
    assert len(stage.held(account)) == 1


def test_it_says_that_a_position_is_gone(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    order = services.close_position(account=account, user=alice, ticket=424242, now=stage.now)
    order = stage.ended(order)
    assert (order.state, order.message) == (
        State.REJECTED, "There is no such position any more.",
    )  # fmt: skip
    assert order.sent_at is None


def test_it_opens_nothing_on_a_locked_account_and_closes_all_the_same(
    stage: OrderStage, alice: User
) -> None:
    account = stage.connect(alice)
    ticket = stage.position(account)
    AccountLock.objects.create(
        user_id=alice.pk, account_id=account.pk, account_name=account.name, cause="panic",
        reason="Enough for today.", locked_at=stage.now,
    )  # fmt: skip
    order = stage.buy(account)
    close = services.close_position(account=account, user=alice, ticket=ticket, now=stage.now)
    order, close = stage.ended(order), stage.ended(close)
    assert (order.state, order.refused_by) == (State.REJECTED, "gate")
    assert "Enough for today." in order.message
    assert close.state == State.FILLED
    assert stage.held(account) == []


@pytest.mark.parametrize(
    ("standing", "opened", "closed"),
    [
        (Standing.HELD, State.FILLED, State.FILLED),
        (Standing.UNKNOWN, State.PENDING, State.FILLED),
        (Standing.LOST, State.PENDING, State.PENDING),
    ],
)
def test_it_asks_its_fence_before_each_order(
    stage: OrderStage, alice: User, standing: Standing, opened: str, closed: str
) -> None:
    stage.fence = SetFence()
    account = stage.connect(alice)
    ticket = stage.position(account)
    stage.fence.answer = standing
    order = stage.buy(account)
    close = services.close_position(account=account, user=alice, ticket=ticket, now=stage.now)
    assert (stage.ended(order).state, stage.ended(close).state) == (opened, closed)


def test_an_open_expires_when_no_reading_comes(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    stage.server.set_fault(account.login, FaultKind.CUT_FROM_BROKER)
    stage.run(1, seconds=3.0)
    order = stage.buy(account)
    assert stage.ended(order, 3).state == State.PENDING
    stage.run(1, seconds=10.0)
    order.refresh_from_db()
    assert order.state == State.EXPIRED
    assert "too late" in order.message
    assert stage.held(account) == []
    stage.run(10)
    assert stage.held(account) == []


def test_orders_of_a_host_that_nobody_watches_expire(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    stage.kill_worker()
    order = stage.buy(account)
    assert order.send_by_at is not None
    assert services.expire_orders(now=order.send_by_at + timedelta(seconds=4.9)) == 0
    assert services.expire_orders(now=order.send_by_at + timedelta(seconds=5)) == 1
    order.refresh_from_db()
    assert order.state == State.EXPIRED
    stage.run(10)
    assert stage.held(account) == []


@pytest.mark.parametrize(
    ("kind", "details", "state"),
    [
        (FaultKind.TIMEOUT_AFTER, {}, State.FILLED),
        (FaultKind.TIMEOUT_BEFORE, {}, State.NOT_EXECUTED),
        (FaultKind.LATE, {"delay_seconds": 2.0}, State.FILLED),
        (FaultKind.CRASH_TERMINAL, {"moment": "after"}, State.FILLED),
        (FaultKind.CRASH_TERMINAL, {"moment": "before"}, State.NOT_EXECUTED),
    ],
)
def test_it_finds_out_what_became_of_an_order_without_an_answer(
    stage: OrderStage, alice: User, kind: FaultKind, details: dict[str, Any], state: str
) -> None:
    account = stage.connect(alice)
    spec = FaultSpec(kind=kind, calls=ORDER_SEND, times=1, **details)
    stage.server.script_faults(account.login, [spec])
    order = stage.ended(stage.buy(account))
    if order.state != State.UNKNOWN:  # found in the same round already
        assert order.state == State.FILLED
    order = stage.ended(order, 60)
    assert order.state == state
    assert order.reconciled_at is not None
    expected = 1 if state == State.FILLED else 0
    assert len(stage.held(account)) == expected
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "details", "state"),
    [
        (FaultKind.LATE, {"delay_seconds": 2.0}, State.FILLED),
        (FaultKind.TIMEOUT_BEFORE, {}, State.NOT_EXECUTED),
    ],
)
def test_a_refused_attempt_does_not_speak_for_the_next(
    stage: OrderStage, alice: User, kind: FaultKind, details: dict[str, Any], state: str
) -> None:
    account = stage.connect(alice)
    order = stage.buy(account)
    late = FaultSpec(kind=FaultKind.LATE, calls=ORDER_SEND, times=1, delay_seconds=0.1)
    stage.server.script_faults(account.login, [late])
    with pytest.raises(LinkError):
        stage.server.call("order_send", account.login, attempt_of(order), account.server)
    stage.server.set_market_open("EURUSD", is_open=False)
    stage.clock[0] += 0.2
    stage.server.step()
    stage.server.set_market_open("EURUSD", None)
    (first,) = stage.terminal(account).history_orders(0, 2**31)
    assert (first.magic, first.state) == (order.tag, ORDER_STATE_REJECTED)
    spec = FaultSpec(kind=kind, calls=ORDER_SEND, times=1, **details)
    stage.server.script_faults(account.login, [spec])
    order = stage.ended(order, 60)
    assert order.state == state
    assert order.reconciled_at is not None
    assert len(stage.held(account)) == (1 if state == State.FILLED else 0)


def attempt_of(order: Order) -> dict[str, Any]:
    """Return an order's request as its sender has tried it before."""
    return {
        "action": 1,
        "symbol": order.symbol,
        "volume": float(order.requested_volume or 0),
        "type": 0,
        "type_filling": 1,
        "magic": order.tag,
    }


def test_it_needs_two_absences_five_seconds_apart(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    stage.server.set_fault(account.login, FaultKind.TIMEOUT_BEFORE, once=True)
    order = stage.ended(stage.buy(account), 2)
    first = order.absent_at
    assert (order.state, order.absences) == (State.UNKNOWN, 1)
    assert first is not None
    while stage.now + timedelta(seconds=0.2) < first + timedelta(seconds=5):
        order = stage.ended(order)
        assert order.state == State.UNKNOWN
    order = stage.ended(order, 2)
    assert (order.state, order.absences) == (State.NOT_EXECUTED, 2)


def test_a_terminal_that_is_cut_off_proves_no_absence(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    stage.server.set_fault(account.login, FaultKind.TIMEOUT_AFTER, once=True)
    order = stage.buy(account)
    stage.run()
    # The deal is not in what a terminal knows that was cut off before it.
    Order.objects.filter(pk=order.pk).update(state=State.UNKNOWN, next_attempt_at=None)
    stage.server.set_fault(account.login, FaultKind.CUT_FROM_BROKER)
    order = stage.ended(order, 60)
    assert (order.state, order.absences) == (State.UNKNOWN, 0)
    stage.server.clear_faults()
    assert stage.ended(order, 20).state == State.FILLED


@pytest.mark.parametrize("kind", [FaultKind.NONE, FaultKind.EMPTY, FaultKind.WRONG_ACCOUNT])
def test_a_doubtful_answer_proves_no_absence(
    stage: OrderStage, alice: User, kind: FaultKind
) -> None:
    account, other = stage.connect(alice), stage.open_account(alice, "Other")
    stage.position(account)
    stage.server.set_fault(account.login, FaultKind.TIMEOUT_AFTER, once=True)
    order = stage.buy(account)
    stage.run()
    Order.objects.filter(pk=order.pk).update(state=State.UNKNOWN, next_attempt_at=None)
    peer: dict[str, Any] = {"peer": other.login} if kind is FaultKind.WRONG_ACCOUNT else {}
    stage.server.set_fault(account.login, kind, **peer)
    order = stage.ended(order, 60)
    assert order.state in (State.UNKNOWN, State.FILLED)  # EMPTY leaves the history
    stage.server.clear_faults()
    assert stage.ended(order, 20).state == State.FILLED


def test_an_open_is_never_sent_to_another_account(stage: OrderStage, alice: User) -> None:
    account, other = stage.connect(alice), stage.open_account(alice, "Other")
    stage.run(3)
    fault = FaultSpec(
        kind=FaultKind.WRONG_ACCOUNT, peer=other.login, calls=("account_info", "order_send")
    )
    order = stage.buy(account)
    # From between the reading and the order on.
    stage.checkpoint_once("gated", lambda: stage.server.script_faults(account.login, [fault]))
    order = stage.ended(order)
    assert order.state == State.PENDING
    assert stage.held(other) == []
    assert stage.held(account) == []


def test_a_rejected_order_stays_rejected(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    stage.server.set_fault(account.login, FaultKind.REJECT, once=True)
    order = stage.ended(stage.buy(account))
    assert (order.state, order.refused_by, order.retcode) == (State.REJECTED, "broker", 10006)
    assert order.message == "The broker rejected the order."
    stage.run(20)
    assert stage.held(account) == []


def test_an_open_takes_one_requote_within_its_deviation(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    requote = FaultSpec(kind=FaultKind.REQUOTE, times=1)
    stage.server.script_faults(account.login, [requote])
    assert stage.ended(stage.buy(account)).state == State.FILLED
    stage.server.script_faults(account.login, [FaultSpec(kind=FaultKind.REQUOTE, times=2)])
    order = stage.ended(stage.buy(account))
    assert (order.state, order.retcode) == (State.REJECTED, 10004)
    assert "Nothing was opened" in order.message
    assert len(stage.held(account)) == 1


def test_a_close_takes_several_requotes(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    ticket = stage.position(account)
    stage.server.script_faults(account.login, [FaultSpec(kind=FaultKind.REQUOTE, times=3)])
    order = services.close_position(account=account, user=alice, ticket=ticket, now=stage.now)
    assert stage.ended(order).state == State.FILLED
    assert stage.held(account) == []


def test_it_tells_of_a_part_that_was_filled(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    ticket = stage.position(account, 0.10)
    spec = FaultSpec(kind=FaultKind.PARTIAL_FILL, times=1, fraction=0.5)
    stage.server.script_faults(account.login, [spec])
    order = services.close_position(account=account, user=alice, ticket=ticket, now=stage.now)
    order = stage.ended(order)
    assert (order.state, order.filled_volume) == (State.PARTIAL, Decimal("0.05"))
    assert stage.terminal(account).positions()[0].volume == Decimal("0.05")


@pytest.mark.parametrize(
    ("switch", "retcode", "sentence"),
    [
        ("set_algo_trading", 10027, "Algo trading is switched off in the terminal."),
        ("set_expert_trading", 10026, "The broker's server does not take orders of programs."),
        ("set_python_api", None, "The terminal does not take orders of programs"),
    ],
)
def test_it_says_that_programs_may_not_trade(
    stage: OrderStage, alice: User, switch: str, retcode: int | None, sentence: str
) -> None:
    account = stage.connect(alice)
    order = stage.buy(account)
    getattr(stage.server, switch)(account.login, False)
    order = stage.ended(order)
    assert (order.state, order.retcode) == (State.REJECTED, retcode)
    assert order.message.startswith(sentence)
    assert stage.held(account) == []


def test_it_says_that_the_market_is_closed(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    ticket = stage.position(account)
    stage.server.set_market_open("EURUSD", False)
    order = services.close_position(account=account, user=alice, ticket=ticket, now=stage.now)
    order = stage.ended(order)
    assert (order.state, order.message) == (State.REJECTED, "The market is closed.")


def test_a_line_that_is_gone_before_the_order_lets_it_wait(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    order = stage.buy(account)
    gone = FaultSpec(kind=FaultKind.DISCONNECT_TERMINAL, calls=ORDER_SEND, times=1)
    stage.server.script_faults(account.login, [gone])
    order = stage.ended(order)
    assert (order.state, order.sent_at) == (State.PENDING, None)
    order = stage.ended(order, 8)
    assert (order.state, order.attempts) == (State.FILLED, 2)
    assert len(stage.held(account)) == 1
    assert GateCheck.objects.filter(order_id=order.pk).count() == 1


def test_what_is_unknown_about_a_position_comes_first(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    ticket = stage.position(account)
    asked: dict[str, Any] = {"account": account, "user": alice, "ticket": ticket}
    stage.server.set_fault(account.login, FaultKind.TIMEOUT_BEFORE, once=True)
    close = services.close_position(**asked, now=stage.now)
    later = stage.now + timedelta(milliseconds=1)
    moved = services.modify_position(**asked, stop_loss=1.09, now=later)
    close, moved = stage.ended(close, 2), stage.ended(moved)
    assert (close.state, moved.state) == (State.UNKNOWN, State.PENDING)
    stage.run(30)
    close.refresh_from_db()
    moved.refresh_from_db()
    assert (close.state, moved.state) == (State.NOT_EXECUTED, State.FILLED)


@pytest.mark.parametrize("terms", [{}, {"margin_mode": 0}])
def test_orders_on_hedging_and_netting_accounts(
    stage: OrderStage, alice: User, terms: dict[str, Any]
) -> None:
    account = stage.connect(alice, **terms)
    orders = [stage.buy(account), stage.buy(account)]
    stage.run()
    for order in orders:
        order.refresh_from_db()
        assert order.state == State.FILLED
    count = 1 if terms else 2
    assert len(stage.held(account)) == count


def test_a_changed_login_gets_no_order_of_the_one_before(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    order = stage.buy(account)
    Order.objects.filter(pk=order.pk).update(login=account.login + 1)
    order = stage.ended(order)
    assert (order.state, order.message) == (
        State.REJECTED, "The account has another login by now.",
    )  # fmt: skip


def test_an_exchange_takes_the_order_in_and_fills_it_a_moment_later(
    stage: OrderStage, alice: User
) -> None:
    account = stage.connect(alice)
    stage.server.set_market_open("MSFT", True)
    stage.server.set_prices("MSFT", 500.0, 500.02)
    order = stage.ended(stage.buy(account, "1", symbol="MSFT"))
    assert (order.state, order.retcode) == (State.UNKNOWN, 10008)
    order = stage.ended(order, 10)
    assert (order.state, order.filled_volume) == (State.FILLED, Decimal(1))
    assert len(stage.held(account)) == 1


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_neither_proves_an_absence_nor_hides_it(
    stage: OrderStage, alice: User, hours: int
) -> None:
    account = stage.connect(alice)
    stage.server.add_fault(account.login, kind=FaultKind.TIMEOUT_BEFORE, times=1)
    order = stage.ended(stage.buy(account))
    stage.run(1)
    order.refresh_from_db()
    assert (order.state, order.absences) == (Order.State.UNKNOWN, 1)
    assert stage.desk is not None
    doubts = stage.desk._lanes[account.pk].doubts
    doubts.settle(stage.now + timedelta(hours=hours))
    order.refresh_from_db()
    assert (order.state, order.absences) == (Order.State.UNKNOWN, 1)
    stage.clock[0] += 5.0
    doubts.settle(stage.now + timedelta(hours=hours, seconds=5))
    stage.run(1)
    doubts.settle(stage.now + timedelta(hours=hours, seconds=6))
    order.refresh_from_db()
    assert order.state == Order.State.NOT_EXECUTED
