"""The equity at a reset that nobody saw."""

import numpy as np
import pytest

from accounts.terminals.readings import DEAL_DTYPE, POSITION_DTYPE
from risk.core.reconstruction import MinutePrices, OpenLegs, equity_bounds, legs_at, minute_prices
from risk.tests.core_cases import BUY, IN, INOUT, OUT, SELL, Row, rows

RESET = 1_780_000_020  # a full minute of the broker's clock
MSC = RESET * 1000
RATES = np.dtype(
    [("time", "<i8"), ("low", "<f8"), ("high", "<f8"), ("close", "<f8"), ("spread", "<i4")]
)


def trade(position: int, seconds: int, kind: int, entry: int, lots: float, price: float) -> Row:
    return {
        "position": position,
        "time_msc": MSC + seconds * 1000,
        "type": kind,
        "entry": entry,
        "volume": lots,
        "price": price,
        "symbol": position % 2,
    }


def held(identifier: int, kind: int, lots: float, price: float, swap: float = 0.0) -> Row:
    return {
        "identifier": identifier,
        "type": kind,
        "volume": lots,
        "price_open": price,
        "symbol": identifier % 2,
        "swap": swap,
    }


def legs(deals: list[Row], positions: list[Row]) -> OpenLegs | None:
    return legs_at(MSC, rows(DEAL_DTYPE, deals), rows(POSITION_DTYPE, positions))


def summed_up(found: OpenLegs | None) -> list[tuple[int, float, float, float]]:
    assert found is not None
    return [
        (int(symbol), float(direction), round(float(lots), 8), round(float(price), 8))
        for symbol, direction, lots, price in zip(
            found.symbol, found.direction, found.volume_lots, found.price_open, strict=True
        )
    ]


def test_it_finds_what_was_open_at_the_reset() -> None:
    deals = [
        trade(2, -900, BUY, IN, 1.0, 1.10),  # closed since
        trade(2, 60, SELL, OUT, 1.0, 1.12),
        trade(4, -800, SELL, IN, 2.0, 1.20),  # a part was closed before, a part since
        trade(4, -700, BUY, OUT, 0.5, 1.19),
        trade(4, 30, BUY, OUT, 0.5, 1.18),
        trade(6, -600, BUY, IN, 1.0, 1.30),  # closed before
        trade(6, -1, SELL, OUT, 1.0, 1.31),
        trade(8, 0, BUY, IN, 1.0, 1.40),  # opened at the reset itself
    ]
    positions = [held(4, SELL, 1.0, 1.20), held(8, BUY, 1.0, 1.40), held(9, SELL, 0.3, 1.5)]
    assert summed_up(legs(deals, positions)) == [
        (0, 1.0, 1.0, 1.10),
        (0, -1.0, 1.5, 1.20),
        (1, -1.0, 0.3, 1.5),
    ]


@pytest.mark.parametrize(
    "deals",
    [
        [trade(2, 60, SELL, OUT, 1.0, 1.12)],  # its opening is too far back
        [trade(2, -60, BUY, IN, 1.0, 1.1), trade(2, 60, SELL, INOUT, 2.0, 1.1)],
        # It was added to, and the opening before that is too far back.
        [trade(2, -60, BUY, IN, 1.0, 1.1), trade(2, 60, SELL, OUT, 3.0, 1.1)],
    ],
)
def test_it_admits_that_it_cannot_know(deals: list[Row]) -> None:
    assert legs(deals, []) is None


@pytest.mark.parametrize(
    ("deals", "positions", "expected"),
    [
        # Added to since: the price is that of before.
        (
            [trade(2, -60, BUY, IN, 1.0, 1.1), trade(2, 60, BUY, IN, 1.0, 1.3)],
            [held(2, BUY, 2.0, 1.2)],
            (0, 1.0, 1.0, 1.1),
        ),
        # Added to after a part was closed: what was closed no longer counts in the price.
        (
            [
                trade(2, -90, BUY, IN, 1.0, 1.0),
                trade(2, -80, SELL, OUT, 0.5, 1.5),
                trade(2, -70, BUY, IN, 0.5, 2.0),
                trade(2, 60, SELL, OUT, 1.0, 2.0),
            ],
            [],
            (0, 1.0, 1.0, 1.5),
        ),
        # Reversed before, closed since.
        (
            [
                trade(2, -90, BUY, IN, 1.0, 1.1),
                trade(2, -80, SELL, INOUT, 3.0, 1.2),
                trade(2, 60, BUY, OUT, 2.0, 1.3),
            ],
            [],
            (0, -1.0, 2.0, 1.2),
        ),
        # Reversed since, and still held in the other direction.
        (
            [trade(2, -90, BUY, IN, 1.0, 1.1), trade(2, 60, SELL, INOUT, 3.0, 1.2)],
            [held(2, SELL, 2.0, 1.2)],
            (0, 1.0, 1.0, 1.1),
        ),
        # Opened too long ago, but only reduced since.
        ([trade(2, 60, SELL, OUT, 0.5, 1.2)], [held(2, BUY, 1.0, 1.05)], (0, 1.0, 1.5, 1.05)),
    ],
)
def test_it_follows_a_netting_position(
    deals: list[Row], positions: list[Row], expected: tuple[int, float, float, float]
) -> None:
    assert summed_up(legs(deals, positions)) == [expected]


def test_it_knows_that_nothing_was_open() -> None:
    assert summed_up(legs([], [])) == []


def bars(*minutes: int) -> np.ndarray:
    table = np.zeros(len(minutes), dtype=RATES)
    table["time"] = [RESET + 60 * minute for minute in minutes]
    table["low"], table["high"], table["close"], table["spread"] = 1.1, 1.3, 1.2, 10
    return table


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ((-1, 0, 1), MinutePrices(1.1, 1.3, 0.001)),
        ((-30, 1), MinutePrices(1.2, 1.2, 0.001)),
        ((1, 2), None),
        ((-4 * 1440,), MinutePrices(1.2, 1.2, 0.001)),
        ((-4 * 1440 - 1,), None),
        ((), None),
    ],
)
def test_it_prices_the_minute_of_the_reset(
    minutes: tuple[int, ...], expected: MinutePrices | None
) -> None:
    found = minute_prices(bars(*minutes), RESET + 20, 0.0001)
    if expected is None or found is None:
        assert found is expected
    else:
        assert (found.low, found.high) == (expected.low, expected.high)
        assert found.spread == pytest.approx(expected.spread)
    assert minute_prices(None, RESET, 0.0001) is None


def open_legs(direction: float, swap: float) -> OpenLegs:
    return OpenLegs(
        symbol=np.array([0]),
        direction=np.array([direction]),
        volume_lots=np.array([2.0]),
        price_open=np.array([1.10]),
        swap=np.array([swap]),
    )


@pytest.mark.parametrize(
    ("direction", "swap", "lower", "upper"),
    [
        (1.0, -5.0, 10_000 - 2_000 - 5, 10_000 + 4_000),
        (1.0, 5.0, 10_000 - 2_000, 10_000 + 4_000 + 5),
        (-1.0, 0.0, 10_000 - 4_200, 10_000 + 1_800),  # on the ask, 0.001 higher
    ],
)
def test_it_bounds_the_equity_and_takes_the_higher_reference(
    direction: float, swap: float, lower: float, upper: float
) -> None:
    prices, value = {0: MinutePrices(1.09, 1.12, 0.001)}, {0: 100_000.0}
    bounds = equity_bounds(10_000.0, open_legs(direction, swap), prices, value)
    assert bounds is not None
    assert (bounds.lower, bounds.upper) == pytest.approx((lower, upper))
    assert bounds.cautious_reference == bounds.upper


def test_it_bounds_nothing_without_a_price_or_a_value() -> None:
    prices, value = {0: MinutePrices(1.09, 1.12, 0.001)}, {0: 100_000.0}
    assert equity_bounds(1.0, open_legs(1.0, 0.0), {}, value) is None
    assert equity_bounds(1.0, open_legs(1.0, 0.0), prices, {}) is None
    assert equity_bounds(1.0, open_legs(1.0, 0.0), prices, {0: np.nan}) is None
