"""A provider trades at random, everything goes wrong, and in the end each follower is right.

COPY_RUNS makes so many runs, drawn anew each time; without it the same six are made.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated.faults.specs import FaultKind
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from risk.models import Order
from risk.orders.terminal import AccountTerminal, PendingOrder, Position
from tradeguard.tests.copying_model import NONE, STEP, Books, Rule, shares
from tradeguard.tests.copying_stage import follows
from tradeguard.tests.enforcement_stage import (
    MARGIN_MODES,
    deals,
    pass_time,
    pendings,
    terminal_of,
    trade,
)
from tradeguard.tests.stage import Stage, staged

RUNS = int(os.environ.get("COPY_RUNS", "0"))
ONCE = (
    FaultKind.TIMEOUT_BEFORE,
    FaultKind.TIMEOUT_AFTER,
    FaultKind.LATE,
    FaultKind.REQUOTE,
    FaultKind.REJECT,
    FaultKind.PARTIAL_FILL,
)
LASTING = (
    FaultKind.NONE,
    FaultKind.EMPTY,
    FaultKind.CUT_FROM_BROKER,
    FaultKind.DISCONNECT_TERMINAL,
    FaultKind.REJECT,
)
READING = (FaultKind.NONE, FaultKind.EMPTY, FaultKind.CUT_FROM_BROKER)
RULES = (
    Rule(has_pendings=True),
    Rule(multiplier=Decimal("0.3")),
    Rule(is_reverse=True),
    Rule(multiplier=Decimal("0.5"), most_lots=Decimal("0.40"), is_netting=True),
    Rule(fixed_lots=Decimal("0.05")),
)
T = TypeVar("T")
QUIET_TICKS = 600
MIDDLE = Decimal("1.10000")
PIP = Decimal("0.0001")
# type of the order by whether it buys and whether it waits for a better price
PENDING_TYPES = {(True, True): 2, (False, True): 3, (True, False): 4, (False, False): 5}

numbers = st.integers(0, len(RULES) - 1)
which = st.integers(0, 9)


class Copying(RuleBasedStateMachine):
    """One provider and followers that each copy it in another way."""

    user: User
    redis: Redis

    @initialize(is_netting=st.booleans())
    def begin(self, is_netting: bool) -> None:
        self.cleanup = ExitStack()
        # Each run begins with the database as it was before the first one.
        begun = transaction.atomic()
        begun.__enter__()
        self.cleanup.callback(_roll_back, begun)
        self.redis.flushdb()
        self.stage: Stage = self.cleanup.enter_context(staged())
        self.provider = self._opened("Provider", is_netting)
        self.followers: list[ConnectedAccount] = []
        for number, each in enumerate(RULES):
            follower = self._opened(f"Follower {number}", each.is_netting)
            follows(self.provider, follower, **each.terms)
            self.followers.append(follower)
        self.touched: set[tuple[object, int]] = set()
        self.is_calm = True
        self.darkness: FaultKind | None = None
        self.middle = MIDDLE
        pass_time(self.stage, 3)

    def _opened(self, name: str, is_netting: bool) -> ConnectedAccount:
        mode = MARGIN_MODES["netting" if is_netting else "hedging"]
        return self.stage.open(self.user, name, margin_mode=mode)

    @contextmanager
    def light(self) -> Iterator[AccountTerminal]:
        """Show the provider as its broker knows it, whatever others see of it."""
        if self.darkness is not None:
            self.stage.server.clear_fault(self.provider.login)
        yield terminal_of(self.stage, self.provider)
        if self.darkness is not None:
            self.stage.server.set_fault(self.provider.login, self.darkness)

    def held(self) -> dict[int, Position]:
        with self.light() as terminal:
            return {each.ticket: each for each in terminal.positions()}

    def waiting(self) -> dict[int, PendingOrder]:
        with self.light() as terminal:
            return {each.ticket: each for each in terminal.pending_orders()}

    def known(self) -> set[int]:
        """Return what is open and what waits, as deals name it."""
        return {each.identifier for each in self.held().values()} | set(self.waiting())

    @rule(lots=st.integers(1, 100), is_buy=st.booleans())
    def open(self, lots: int, is_buy: bool) -> None:
        """Open, on netting also add, close or turn round."""
        with self.light():
            trade(self.stage, self.provider, lots / 100 * (1 if is_buy else -1))

    @precondition(lambda self: self.held())
    @rule(which=which, part=st.sampled_from(["0.25", "0.5", "0.9", "1"]))
    def close(self, which: int, part: str) -> None:
        one = _chosen(self.held(), which)
        with self.light():
            _close(self.stage, self.provider, one, Decimal(part))

    @precondition(lambda self: self.held())
    @rule(which=which, pips=st.integers(200, 300))
    def move_stops(self, which: int, pips: int) -> None:
        one = _chosen(self.held(), which)
        away = PIP * pips * (1 if one.is_buy else -1)
        self._send(
            action=6, symbol="EURUSD", position=one.ticket,
            sl=float(self.middle - away), tp=float(self.middle + away),
        )  # fmt: skip

    @rule(pips=st.integers(5, 12), is_buy=st.booleans(), is_limit=st.booleans())
    def place(self, pips: int, is_buy: bool, is_limit: bool) -> None:
        self._send(
            action=5, symbol="EURUSD", volume=0.2, type=PENDING_TYPES[is_buy, is_limit],
            price=float(self._away(pips, is_below=is_buy is is_limit)), type_filling=2,
        )  # fmt: skip

    @precondition(lambda self: self.waiting())
    @rule(which=which, pips=st.integers(5, 12), is_cancelled=st.booleans())
    def change_pending(self, which: int, pips: int, is_cancelled: bool) -> None:
        order = _chosen(self.waiting(), which)
        if is_cancelled:
            self._send(action=8, order=order.ticket)
            return
        price = self._away(pips, is_below=order.price_open < float(self.middle))
        self._send(action=7, order=order.ticket, price=float(price))

    @rule(pips=st.integers(-15, 15))
    def move_price(self, pips: int) -> None:
        self.middle = MIDDLE + PIP * pips
        self.stage.server.set_prices(
            "EURUSD", float(self.middle), float(self.middle + Decimal("0.00002"))
        )
        self.stage.server.step()

    @rule(number=numbers, which=which, part=st.sampled_from(["0.5", "1"]))
    def interfere(self, number: int, which: int, part: str) -> None:
        """Let a follower close by hand, unless its broker would have it otherwise just now."""
        if RULES[number].is_netting:
            return
        follower = self.followers[number]
        self.heal()
        held = {each.ticket: each for each in terminal_of(self.stage, follower).positions()}
        if held:
            one = _chosen(held, which)
            self.touched.add((follower.pk, self._books(number).origin_of(one.ticket)[0]))
            _close(self.stage, follower, one, Decimal(part))

    @rule(number=numbers, kind=st.sampled_from(ONCE))
    def go_wrong_once(self, number: int, kind: FaultKind) -> None:
        self.is_calm = False
        self.stage.server.set_fault(self.followers[number].login, kind, once=True)

    @rule(number=numbers, kind=st.sampled_from(LASTING))
    def go_wrong(self, number: int, kind: FaultKind) -> None:
        self.is_calm = False
        self.stage.server.set_fault(self.followers[number].login, kind)

    @rule(kind=st.sampled_from(READING))
    def go_dark(self, kind: FaultKind) -> None:
        """Let nobody know of the provider any more."""
        self.is_calm, self.darkness = False, kind
        self.stage.server.set_fault(self.provider.login, kind)

    @rule()
    def heal(self) -> None:
        self.darkness = None
        self.stage.server.clear_faults()

    @rule()
    def die(self) -> None:
        self.is_calm = False
        self.stage.kill_worker()

    @rule()
    def forget(self) -> None:
        self.redis.flushdb()

    @rule(ticks=st.integers(1, 12))
    def wait(self, ticks: int) -> None:
        pass_time(self.stage, ticks)

    def teardown(self) -> None:
        if not hasattr(self, "cleanup"):
            return
        with self.cleanup:
            if hasattr(self, "middle"):
                self.come_to_rest()
                self.check()

    def come_to_rest(self) -> None:
        self.heal()
        for _ in range(QUIET_TICKS // 20):
            pass_time(self.stage, 20)
            if not _is_under_way():
                break
        # What followers did by themselves is seen a little later.
        pass_time(self.stage, 30)

    def check(self) -> None:
        assert not list(CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED).values())
        assert not list(Order.objects.unfinished())
        assert not CopyEvent.objects.filter(planned_at=None).exists()
        mute = CopyOrder.objects.exclude(state=CopyOrder.State.DONE).filter(sentence="")
        assert not list(mute.values())
        assert not CopyPosition.objects.filter(
            state__in=(CopyPosition.State.OPENING, CopyPosition.State.CLOSING)
        ).exists()
        copies = CopyEvent.objects.count() * len(RULES)
        assert (
            CopyOrder.objects.filter(event_id__in=CopyEvent.objects.values("pk")).count() == copies
        )
        for number in range(len(RULES)):
            self.check_no_order_twice(number)
            self.check_pendings(number)
            if RULES[number].is_netting:
                self.check_netted(number)
            else:
                self.check_held(number)

    def check_no_order_twice(self, number: int) -> None:
        books = self._books(number)
        orders = defaultdict(set)
        for deal in books.mine:
            if deal.magic:
                orders[deal.magic].add(deal.order)
        assert all(len(each) == 1 for each in orders.values()), orders
        for order in Order.objects.filter(account_id=books.follower.pk, kind=Order.Kind.OPEN):
            assert books.filled(order.tag) <= (order.volume or NONE), order

    def check_pendings(self, number: int) -> None:
        """Nothing waits at a follower that is not waiting, or open, at its provider."""
        theirs = self.known()
        follower = self.followers[number]
        waiting = set(pendings(self.stage, follower))
        placed = Order.objects.filter(account_id=follower.pk, order_ticket__in=waiting)
        for order in placed.filter(kind=Order.Kind.PLACE):
            copy = CopyOrder.objects.get(order_id=order.pk)
            event = CopyEvent.objects.get(pk=copy.event_id)
            mine = {event.order_ticket, self._position_from(event.order_ticket)}
            assert mine & theirs, (number, copy.sentence)
        if RULES[number].has_pendings and self.is_calm:
            assert len(waiting) == len(self.waiting())

    def check_held(self, number: int) -> None:
        """Compare a follower's positions, by what they are copies of, with rules and ledger."""
        books, follower = self._books(number), self.followers[number]
        actual: dict[int, Decimal] = defaultdict(Decimal)
        by_pending = set()
        for each in terminal_of(self.stage, follower).positions():
            origin, is_pending = books.origin_of(each.ticket)
            actual[origin] += each.volume if each.is_buy else -each.volume
            by_pending |= {origin} if is_pending else set()
        ledger: dict[int, Decimal] = defaultdict(Decimal)
        rows = CopyPosition.objects.filter(follower_id=follower.pk, state__in=CopyPosition.HELD)
        for row in rows:
            ledger[row.provider_position] += row.volume * (1 if row.direction == "buy" else -1)
        assert ledger == actual
        expected: dict[int, Decimal] = defaultdict(Decimal)
        for (position, _), lots in self._shares(number).items():
            expected[position] += lots
        theirs = self.known()
        assert set(actual) <= theirs
        for position in {*actual, *expected} - (set() if self.is_calm else by_pending):
            if (follower.pk, position) in self.touched:
                assert abs(actual[position]) <= abs(expected[position])
            else:
                assert actual[position] == expected[position], (number, position)

    def check_netted(self, number: int) -> None:
        follower = self.followers[number]
        positions = terminal_of(self.stage, follower).positions()
        actual = sum((one.volume if one.is_buy else -one.volume for one in positions), NONE)
        rows = CopyPosition.objects.filter(follower_id=follower.pk, state__in=CopyPosition.HELD)
        ledger = sum((r.volume if r.direction == "buy" else -r.volume for r in rows), NONE)
        assert ledger == actual
        assert actual == sum(self._shares(number).values(), NONE)

    def _shares(self, number: int) -> Any:
        books = self._books(number)
        return shares(books.theirs, RULES[number], books.open_of(RULES[number]))

    def _books(self, number: int) -> Books:
        follower = self.followers[number]
        return Books(follower, deals(self.stage, self.provider), deals(self.stage, follower))

    def _position_from(self, order: int | None) -> int:
        theirs = deals(self.stage, self.provider)
        return next((deal.position for deal in theirs if deal.order == order), 0)

    def _away(self, pips: int, *, is_below: bool) -> Decimal:
        return self.middle + PIP * (-pips if is_below else pips)

    def _send(self, **request: Any) -> None:
        """Ask for something that the broker may refuse."""
        with self.light():
            self.stage.server.call("order_send", self.provider.login, request)


def _chosen(those: dict[int, T], which: int) -> T:
    return those[sorted(those)[which % len(those)]]


def _close(stage: Stage, account: ConnectedAccount, one: Position, part: Decimal) -> None:
    lots = max((one.volume * part) // STEP * STEP, STEP)
    trade(stage, account, float(-lots if one.is_buy else lots), position=one.ticket)


def _is_under_way() -> bool:
    return (
        CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED).exists()
        or Order.objects.unfinished().exists()
        or CopyEvent.objects.filter(planned_at=None).exists()
    )


def _roll_back(begun: transaction.Atomic) -> None:
    transaction.set_rollback(True)
    begun.__exit__(None, None, None)


@pytest.mark.django_db
def test_it_leaves_every_follower_as_the_rules_say(alice: User, redis: Redis) -> None:
    class Run(Copying):
        user = alice

    Run.redis = redis
    run_state_machine_as_test(
        Run,
        settings=settings(
            max_examples=RUNS or 6,
            stateful_step_count=20,
            deadline=None,
            derandomize=not RUNS,
            database=None,
            # A run takes too long to be made shorter a thousand times.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
