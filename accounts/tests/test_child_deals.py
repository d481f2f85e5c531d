"""Deals on their way from a terminal's history to the host: none lost, none twice."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.terminals.child.deals import Deals
from accounts.terminals.child.symbols import Symbols
from accounts.terminals.readings import DEAL_DTYPE
from accounts.tests.child_reader import OneReader
from accounts.tests.simulated_desk import Desk

DAY_SECONDS = 86_400


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.open_account()
    return desk


def tickets(one: OneReader, after_seconds: float = 0.05) -> list[int]:
    found: list[int] = one.look(after_seconds=after_seconds).deals["ticket"].tolist()
    return found


def tickets_of(deals: Deals) -> list[int]:
    found: list[int] = np.frombuffer(deals.raw, dtype=DEAL_DTYPE)["ticket"].tolist()
    return found


def history(desk: Desk) -> list[int]:
    return [deal["ticket"] for deal in desk.deals(1001)]


def test_it_looks_nothing_up_before_it_knows_what_is_stored(desk: Desk) -> None:
    one = OneReader(desk)

    assert tickets(one) == []

    assert not one.reader.deals.has_cursor
    assert not [name for name in one.package.calls if name.startswith("history")]


def test_it_gives_every_deal_until_it_is_stored(desk: Desk) -> None:
    one = OneReader(desk)
    one.reader.deals.move_cursor(0)
    desk.buy(1001, 0.1)
    desk.sell(1001, 0.1)
    everything = history(desk)

    assert tickets(one) == tickets(one) == everything

    one.reader.deals.move_cursor(everything[1])
    assert tickets(one) == everything[2:]
    one.reader.deals.move_cursor(everything[-1])
    assert tickets(one) == []
    assert one.look().account["last_deal"][0] == everything[-1]


def test_it_shows_a_deal_together_with_what_it_changed(desk: Desk) -> None:
    one = OneReader(desk)
    one.reader.deals.move_cursor(0)
    ticket = desk.buy(1001, 0.1)
    one.reader.deals.move_cursor(tickets(one)[-1])
    desk.sell(1001, 0.1, position=ticket)

    reading = one.look(after_seconds=0.05)

    assert len(reading.positions) == 0
    assert reading.deals["position"].tolist() == [ticket]


def test_it_finds_deals_that_leave_no_other_trace_within_a_second(desk: Desk) -> None:
    one = OneReader(desk)
    one.reader.deals.move_cursor(history(desk)[-1])
    tickets(one, after_seconds=2.0)
    desk.server.deposit(1001, 100.0)
    desk.server.withdraw(1001, 100.0)  # the balance is what it was

    found = tickets(one, after_seconds=1.0)

    assert found == history(desk)[-2:]


def test_it_takes_what_the_history_shows_later_than_the_positions(desk: Desk) -> None:
    one = OneReader(desk)
    one.reader.deals.move_cursor(history(desk)[-1])
    tickets(one, after_seconds=2.0)
    real_total, real_get = one.package.history_deals_total, one.package.history_deals_get
    known = real_get(0, 2**31 - 1)
    one.package.replace(
        history_deals_total=lambda *dates: len(known), history_deals_get=lambda *dates: known
    )
    desk.buy(1001, 0.1)
    assert tickets(one) == tickets(one) == []

    one.package.replace(history_deals_total=real_total, history_deals_get=real_get)

    assert tickets(one) == history(desk)[-1:]


def test_it_looks_all_up_again_for_a_cursor_that_moves_back(desk: Desk) -> None:
    one = OneReader(desk)
    for _ in range(3):
        desk.buy(1001, 0.1)
    everything = history(desk)
    one.reader.deals.move_cursor(everything[-1])
    assert tickets(one) == []

    one.reader.deals.move_cursor(everything[0])

    assert tickets(one) == everything[1:]


class FakeHistory:
    """A history that answers for a span of dates and counts how often it was read."""

    def __init__(self, deals: dict[int, int]) -> None:
        self.deals = deals
        self.spans: list[int] = []

    def history_deals_total(self, start: int, end: int) -> int:
        return len(self._between(start, end))

    def history_deals_get(self, start: int, end: int) -> tuple[Any, ...]:
        self.spans.append(start)
        return tuple(self._between(start, end))

    def _between(self, start: int, end: int) -> list[Any]:
        nothing = {
            "order": 0, "position_id": 0, "type": 0, "entry": 0, "reason": 0, "symbol": "",
            "volume": 0.0, "price": 0.0, "commission": 0.0, "swap": 0.0, "profit": 0.0,
            "fee": 0.0, "magic": 0,
        }  # fmt: skip
        return [
            SimpleNamespace(ticket=ticket, time=at, time_msc=at * 1000, **nothing)
            for ticket, at in self.deals.items()
            if start <= at <= end
        ]


@pytest.mark.parametrize(("days_ago", "spans"), [(1, 1), (10, 2), (100, 3), (1000, 4), (3000, 5)])
@pytest.mark.time_machine("2026-11-18 12:00:00+00:00", tick=False)
def test_it_looks_back_as_far_as_the_last_stored_deal(days_ago: int, spans: int) -> None:
    now = 1_795_003_200
    package = FakeHistory({5: now - days_ago * DAY_SECONDS, 6: now - 10, 7: now - 5})
    deals = Deals(package, Symbols(package))
    deals.move_cursor(5)

    deals.look(0.0, has_moved=True, is_mine=lambda: True)

    assert tickets_of(deals) == [6, 7]
    assert len(package.spans) == spans
    assert deals.newest == 7


@pytest.mark.time_machine("2026-11-18 12:00:00+00:00", tick=False)
def test_it_watches_the_last_day_once_the_history_has_settled() -> None:
    now = 1_795_003_200
    package = FakeHistory({ticket: now - (100 - ticket) * DAY_SECONDS for ticket in range(1, 100)})
    deals = Deals(package, Symbols(package))
    deals.move_cursor(0)
    deals.look(0.0, has_moved=True, is_mine=lambda: True)
    package.deals[100] = now  # a terminal that is still loading may show older ones as well
    deals.look(5.0, has_moved=False, is_mine=lambda: True)
    assert package.spans == [0, 0]

    package.deals[101] = now
    deals.look(10.0, has_moved=False, is_mine=lambda: True)
    package.deals[102] = now
    deals.look(11.0, has_moved=False, is_mine=lambda: True)
    deals.look(12.0, has_moved=False, is_mine=lambda: True)

    assert package.spans == [0, 0, 0, now - DAY_SECONDS]
    assert deals.newest == 102


@pytest.mark.time_machine("2026-11-18 12:00:00+00:00", tick=False)
def test_it_counts_anew_what_it_watches_from_another_day_on() -> None:
    now = 1_795_003_200
    package = FakeHistory({1: now - 90 * DAY_SECONDS, 2: now - 80 * DAY_SECONDS, 3: now})
    deals = Deals(package, Symbols(package))
    deals.move_cursor(0)
    deals.look(0.0, has_moved=True, is_mine=lambda: True)
    package.deals[4] = now
    deals.look(20.0, has_moved=True, is_mine=lambda: True)

    package.deals |= {5: now, 6: now}  # now the last day has as many as all had before
    deals.look(21.0, has_moved=True, is_mine=lambda: True)

    assert tickets_of(deals) == [1, 2, 3, 4, 5, 6]


def test_it_puts_deals_in_their_order() -> None:
    package = FakeHistory({9: 100, 4: 100, 7: 100})
    deals = Deals(package, Symbols(package))
    deals.move_cursor(0)
    deals.look(0.0, has_moved=True, is_mine=lambda: True)
    package.deals[5] = 100  # the terminal finds an older one while it loads
    deals.look(1.0, has_moved=False, is_mine=lambda: True)

    assert tickets_of(deals) == [4, 5, 7, 9]
    assert deals.newest == 9


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("trade"), st.integers(1, 3)),
        st.tuples(st.just("look"), st.sampled_from([0.05, 1.0, 12.0])),
        st.tuples(st.just("days"), st.integers(1, 40)),
        st.tuples(st.just("store"), st.integers(0, 3)),
        st.tuples(st.just("reconnect"), st.booleans()),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(STEPS)
@pytest.mark.time_machine("2026-11-18 12:00:00+00:00", tick=False)
def test_it_loses_no_deal_and_gives_none_twice(steps: list[tuple[str, Any]]) -> None:
    server_now, next_ticket, monotonic = 1_795_003_200 - 400 * DAY_SECONDS, 10, 0.0
    package = FakeHistory({})
    stored: list[int] = []

    def connected(cursor: int) -> Deals:
        deals = Deals(package, Symbols(package))
        deals.move_cursor(cursor)
        return deals

    deals = connected(0)
    for kind, amount in [*steps, ("look", 1.0)]:
        if kind == "trade":
            for _ in range(amount):
                next_ticket += 3
                package.deals[next_ticket] = server_now
        elif kind == "look":
            monotonic += amount
            server_now += int(amount)
            deals.look(monotonic, has_moved=False, is_mine=lambda: True)
        elif kind == "days":
            server_now += amount * DAY_SECONDS
        elif kind == "store":
            fresh = tickets_of(deals)[:amount]
            stored += fresh
            deals.move_cursor(max(stored, default=0))
        else:
            deals = connected(max(stored, default=0))

    stored += tickets_of(deals)
    assert stored == sorted(package.deals)
