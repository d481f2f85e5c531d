from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.core.closing import (
    Close,
    OpenPosition,
    Part,
    PendingOrder,
    in_order,
    left_after,
    plan_closes,
)
from risk.core.offending import Book, everything, offending
from risk.core.parameters import (
    MarginLevel,
    MaxCorrelation,
    MaxDailyLoss,
    MaxDailyTrades,
    MaxExposure,
    MaxLeverage,
    MaxPositionSize,
    NoCrossHedging,
    PositionLimit,
    RiskPerTrade,
    RuleParameters,
    StopLossRequired,
    TradingWindow,
)
from risk.core.responses import Response
from risk.core.rule_types import Action, ClosingOrder, ExposureOf, WindowKind

REDUCE = Response(action=Action.REDUCE_SIZE)
CLOSE = Response(action=Action.CLOSE_POSITION)
ALL = Response(action=Action.CLOSE_ALL)


def lots(text: str) -> Decimal:
    return Decimal(text)


def position(ticket: int, volume: str = "1.00", **fields: Any) -> OpenPosition:
    defaults: dict[str, Any] = {
        "symbol": "EURUSD",
        "is_sell": False,
        "opened_msc": ticket * 1000,
        "price_open": 1.1,
        "price_current": 1.1,
        "notional": float(volume) * 110_000,
    }
    return OpenPosition(ticket=ticket, volume=Decimal(volume), **{**defaults, **fields})


def pending(ticket: int, volume: str = "1.00", **fields: Any) -> PendingOrder:
    defaults: dict[str, Any] = {"symbol": "EURUSD", "is_sell": False, "placed_msc": ticket}
    return PendingOrder(ticket=ticket, volume=Decimal(volume), **{**defaults, **fields})


def parts_of(rule: RuleParameters, response: Response, book: Book) -> dict[int, Decimal]:
    found = offending(rule, response, book)
    return {part.ticket: part.volume for part in found.parts}


@pytest.mark.parametrize(
    ("sizes", "limit", "closed"),
    [
        (("1.00", "0.50"), "1.51", {}),
        (("1.00", "0.50"), "1.50", {}),
        (("1.00", "0.50"), "1.49", {2: lots("0.01")}),
        (("1.00", "0.50"), "1.00", {2: lots("0.50")}),
        (("1.00", "0.50"), "0.70", {2: lots("0.50"), 1: lots("0.30")}),
        # What stays is floored: the step lies inside the limit.
        (("1.00", "0.50"), "1.495", {2: lots("0.01")}),
    ],
)
def test_it_reduces_the_newest_to_the_size_allowed(
    sizes: tuple[str, ...], limit: str, closed: dict[int, Decimal]
) -> None:
    rule = MaxPositionSize(limit=Decimal(limit))
    book = Book(positions=tuple(position(n, size) for n, size in enumerate(sizes, 1)))
    assert parts_of(rule, REDUCE, book) == closed


def test_it_closes_a_rest_below_the_smallest_volume_as_well() -> None:
    held = position(1, "1.00", step=lots("0.10"), min_volume=lots("0.20"))
    rule = MaxPositionSize(limit=Decimal("0.15"))
    assert parts_of(rule, REDUCE, Book(positions=(held,))) == {1: lots("1.00")}


def test_it_deletes_pending_orders_before_it_touches_positions() -> None:
    rule = MaxPositionSize(limit=Decimal("1.2"))
    book = Book(
        positions=(position(1),), orders=(pending(8, "0.10"), pending(9, "0.20"), pending(7, "5"))
    )
    found = offending(rule, REDUCE, book)
    assert found.parts == ()
    assert found.cancels == (9, 8, 7)


def test_it_leaves_the_other_direction_and_other_symbols_alone() -> None:
    rule = MaxPositionSize(limit=Decimal("1"), symbols=("EURUSD",))
    book = Book(
        positions=(
            position(1, "1.50"),
            position(2, "0.50", is_sell=True),
            position(3, "3.00", symbol="GBPUSD"),
        )
    )
    assert parts_of(rule, REDUCE, book) == {1: lots("0.50")}


def test_it_closes_whole_positions_in_the_rules_order() -> None:
    rule = MaxPositionSize(limit=Decimal("2"))
    book = Book(positions=(position(1, profit=5), position(2, profit=-20), position(3, profit=-10)))
    assert parts_of(rule, CLOSE, book) == {2: lots("1.00")}
    oldest = Response(action=Action.CLOSE_POSITION, closing_order=ClosingOrder.OLDEST_FIRST)
    assert parts_of(rule, oldest, book) == {1: lots("1.00")}


def test_it_counts_one_strategy_alone() -> None:
    rule = MaxPositionSize(limit=Decimal("1"), magic=7)
    book = Book(positions=(position(1, "2.00", magic=7), position(2, "9.00", magic=8)))
    assert parts_of(rule, REDUCE, book) == {1: lots("1.00")}


@pytest.mark.parametrize(
    ("limit", "closed"), [("4", set()), ("3", set()), ("2", {3}), ("1", {3, 2})]
)
def test_it_closes_as_many_as_there_are_too_many(limit: str, closed: set[int]) -> None:
    book = Book(positions=(position(1), position(2), position(3)))
    assert set(parts_of(PositionLimit(limit=Decimal(limit)), REDUCE, book)) == closed


def test_it_deletes_counted_orders_first() -> None:
    rule = PositionLimit(limit=Decimal(1), include_pending=True)
    found = offending(
        rule, REDUCE, Book(positions=(position(1), position(2)), orders=(pending(9),))
    )
    assert (found.cancels, [part.ticket for part in found.parts]) == ((9,), [2])


def test_it_reduces_leverage_on_the_net_side_only() -> None:
    rule = MaxLeverage(limit=Decimal(10))
    book = Book(positions=(position(1, "2.00"), position(2, "0.50", is_sell=True)), equity=11_000.0)
    # 1.5 lots net are 165,000; 110,000 are allowed: half a lot goes, of the side that is too long.
    assert parts_of(rule, REDUCE, book) == {1: lots("0.50")}


def test_it_never_turns_a_net_side_round() -> None:
    rule = MaxLeverage(limit=Decimal(10))
    book = Book(
        positions=(
            position(1, "2.00", symbol="GBPUSD"),
            position(2, "1.00"),
            position(3, "0.90", is_sell=True),
        ),
        equity=11_000.0,
    )
    closed = parts_of(rule, REDUCE, book)
    assert closed[2] == lots("0.10")
    assert closed[1] == lots("1.00")


def test_it_reduces_gross_leverage_newest_first() -> None:
    rule = MaxLeverage(limit=Decimal(10), gross=True)
    book = Book(positions=(position(1), position(2, is_sell=True)), equity=11_000.0)
    assert parts_of(rule, REDUCE, book) == {2: lots("1.00")}


def test_it_reduces_the_symbol_that_weighs_too_much() -> None:
    rule = MaxExposure(limit=Decimal(5))
    book = Book(positions=(position(1), position(2, "0.40", symbol="GBPUSD")), equity=11_000.0)
    assert parts_of(rule, REDUCE, book) == {1: lots("0.50")}


def test_it_reduces_the_currency_that_weighs_too_much() -> None:
    rule = MaxExposure(limit=Decimal(10), exposure_of=ExposureOf.CURRENCY)
    book = Book(
        positions=(position(1), position(2, symbol="GBPUSD")),
        equity=11_000.0,
        currencies={"EURUSD": ("EUR", "USD"), "GBPUSD": ("GBP", "USD")},
    )
    # Both together are short of 220,000 USD; 110,000 are allowed.
    assert parts_of(rule, REDUCE, book) == {2: lots("1.00")}
    assert parts_of(rule, REDUCE, Book(positions=book.positions, equity=11_000.0)) == {}


def test_it_closes_the_largest_losses_until_the_margin_level_recovers() -> None:
    rule = MarginLevel(limit=Decimal(50))
    book = Book(
        positions=(position(1, profit=-10), position(2, profit=-90), position(3, profit=-50)),
        equity=1_000.0,
        margin=3_000.0,
    )
    assert list(parts_of(rule, CLOSE, book)) == [2, 3]
    assert (
        parts_of(rule, CLOSE, Book(positions=book.positions, equity=1_600.0, margin=3_000.0)) == {}
    )
    assert parts_of(rule, CLOSE, Book(positions=book.positions, equity=1_000.0, margin=0.0)) == {}


def test_it_reduces_what_is_lost_at_the_stops_of_a_symbol() -> None:
    rule = RiskPerTrade(limit=Decimal("0.01"))
    book = Book(
        positions=(position(1, stop_loss=1.08), position(2, stop_loss=0.0)), balance=100_000
    )
    # 200 pips of one lot are 2,000; 1,000 are allowed.
    assert parts_of(rule, REDUCE, book) == {1: lots("0.50")}


@pytest.mark.parametrize(("minutes", "closed"), [(4.99, set()), (5, {1}), (5.01, {1})])
def test_it_closes_what_has_no_stop_in_time(minutes: float, closed: set[int]) -> None:
    rule = StopLossRequired(limit=Decimal(5))
    book = Book(
        positions=(position(1), position(2, stop_loss=1.0)), moment_msc=1000 + int(minutes * 60_000)
    )
    assert set(parts_of(rule, CLOSE, book)) == closed & {1}


def test_it_closes_the_trades_beyond_the_daily_number() -> None:
    rule = MaxDailyTrades(limit=Decimal(2))
    book = Book(positions=(position(1), position(4), position(5)), opened_today=(2, 3, 4, 5))
    assert set(parts_of(rule, CLOSE, book)) == {4, 5}


def test_it_closes_everything_inside_a_window_with_its_orders() -> None:
    rule = TradingWindow(limit=Decimal(15))
    found = offending(rule, CLOSE, Book(positions=(position(1),), orders=(pending(9),)))
    assert (len(found.parts), found.cancels) == (1, (9,))


def test_it_closes_around_news_what_the_news_is_about() -> None:
    rule = TradingWindow(limit=Decimal(5), kind=WindowKind.NEWS, include_pending=False)
    book = Book(
        positions=(position(1), position(2, symbol="AUDNZD"), position(3, symbol="XAG")),
        orders=(pending(9),),
        currencies={"EURUSD": ("EUR", "USD"), "AUDNZD": ("AUD", "NZD")},
        news_currencies=frozenset({"USD"}),
    )
    found = offending(rule, CLOSE, book)
    assert {part.ticket for part in found.parts} == {1, 3}
    assert found.cancels == ()


def test_it_closes_the_newer_of_two_that_move_together() -> None:
    rule = MaxCorrelation(limit=Decimal("0.8"))
    book = Book(
        positions=(position(1), position(2, symbol="GBPUSD"), position(3, symbol="USDCHF")),
        correlations={("EURUSD", "GBPUSD"): 0.9, ("EURUSD", "USDCHF"): -0.95},
    )
    assert set(parts_of(rule, CLOSE, book)) == {2}
    hedged = Book(
        positions=(position(1), position(3, symbol="USDCHF", is_sell=True)),
        correlations=book.correlations,
    )
    assert set(parts_of(rule, REDUCE, hedged)) == {3}


def test_it_finds_nothing_where_opposite_accounts_offend() -> None:
    assert not offending(NoCrossHedging(limit=Decimal(1)), CLOSE, Book(positions=(position(1),)))


def test_it_takes_the_rules_part_of_every_position_for_a_loss() -> None:
    response = Response(action=Action.CLOSE_POSITION, close_fraction=0.5)
    book = Book(positions=(position(1, "1.00"), position(2, "0.03"), position(3, "0.01")))
    rule = MaxDailyLoss(limit=Decimal("0.05"))
    assert parts_of(rule, response, book) == {1: lots("0.50"), 2: lots("0.02"), 3: lots("0.01")}


def test_it_spares_what_is_in_profit_when_told_to() -> None:
    response = Response(action=Action.CLOSE_ALL, losers_only=True)
    book = Book(
        positions=(position(1, profit=3), position(2, profit=0), position(3, profit=-1)),
        orders=(pending(9),),
    )
    found = everything(book, response)
    assert [part.ticket for part in found.parts] == [3]
    assert found.cancels == (9,)


def test_it_acts_within_the_safety_margin() -> None:
    response = Response(action=Action.REDUCE_SIZE, act_at_fraction=0.9)
    rule = MaxPositionSize(limit=Decimal(1))
    assert parts_of(rule, response, Book(positions=(position(1, "0.95"),))) == {1: lots("0.06")}
    assert parts_of(rule, response, Book(positions=(position(1, "0.89"),))) == {}


def test_it_orders_closes_by_the_largest_loss() -> None:
    held = [position(1, profit=-1), position(2, profit=-9), position(3, profit=4)]
    assert [each.ticket for each in in_order(held, ClosingOrder.LARGEST_LOSS_FIRST)] == [2, 1, 3]
    assert [each.ticket for each in in_order(held, ClosingOrder.NEWEST_FIRST)] == [3, 2, 1]


def plan(held: list[OpenPosition], *, is_hedging: bool = True) -> list[Close]:
    return plan_closes(
        [Part(each.ticket, each.volume) for each in held],
        {each.ticket: each for each in held},
        order=ClosingOrder.LARGEST_LOSS_FIRST,
        is_hedging=is_hedging,
    )


def test_it_closes_hedged_legs_by_each_other_first() -> None:
    held = [
        position(1, "1.00", is_close_by_allowed=True, profit=-100),
        position(2, "0.40", is_close_by_allowed=True, is_sell=True),
        position(3, "0.20", symbol="GBPUSD"),
    ]
    assert plan(held) == [Close(1, lots("0.40"), by=2), Close(3, lots("0.20"))]


def test_it_closes_the_net_side_first_where_legs_cannot_close_each_other() -> None:
    held = [
        position(1, "0.40", is_sell=True, profit=-500),
        position(2, "1.00", profit=-1),
        position(3, "0.20", symbol="GBPUSD", profit=-100),
    ]
    assert [close.ticket for close in plan(held)] == [2, 1, 3]


def test_it_never_closes_by_on_a_netting_account() -> None:
    held = [position(1, is_close_by_allowed=True), position(2, symbol="GBPUSD")]
    assert all(close.by is None for close in plan(held, is_hedging=False))


hundredths = st.integers(1, 500).map(lambda number: Decimal(number) / 100)


@given(st.lists(hundredths, min_size=1, max_size=8), hundredths)
def test_it_always_ends_within_the_limit_and_takes_no_step_too_many(
    sizes: list[Decimal], limit: Decimal
) -> None:
    held = [position(number, str(size)) for number, size in enumerate(sizes, 1)]
    closed = parts_of(MaxPositionSize(limit=limit), REDUCE, Book(positions=tuple(held)))
    left = sum(sizes) - sum(closed.values(), Decimal(0))
    assert left <= limit
    assert left == min(sum(sizes), limit)
    assert all(0 < closed[ticket] <= sizes[ticket - 1] for ticket in closed)


@given(hundredths, st.decimals("0.001", "10", places=3))
def test_it_leaves_a_volume_that_the_broker_knows(volume: Decimal, gone: Decimal) -> None:
    held = position(1, str(volume), step=lots("0.05"), min_volume=lots("0.10"))
    left = left_after(held, gone)
    assert left == 0 or (left >= lots("0.10") and left % lots("0.05") == 0)
    assert left <= max(volume - gone, Decimal(0))


@given(
    st.lists(
        st.tuples(st.booleans(), hundredths, st.sampled_from(["EURUSD", "GBPUSD"])),
        min_size=1,
        max_size=10,
    )
)
def test_it_plans_each_position_once(legs: list[tuple[bool, Decimal, str]]) -> None:
    held = [
        position(number, str(volume), is_sell=sells, symbol=symbol, is_close_by_allowed=True)
        for number, (sells, volume, symbol) in enumerate(legs, 1)
    ]
    closes = plan(held)
    touched = [close.ticket for close in closes] + [c.by for c in closes if c.by is not None]
    assert sorted(touched) == [each.ticket for each in held]
