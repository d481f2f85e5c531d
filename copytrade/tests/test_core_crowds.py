"""A crowd is sized as each of it would be alone; the scalar core is the reference."""

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.core.crowds import crowd_sizes
from copytrade.core.kinds import BelowMinimum, Sizing
from copytrade.core.notionals import compare_notionals
from copytrade.core.plans import Refusal
from copytrade.core.sizing import CopySize, FollowerSide, ProviderSide, figure_of, size_copy
from copytrade.tests.core_cases import contract, figures, terms

RATES = {"USD": Decimal(1), "EUR": Decimal("1.10"), "JPY": Decimal(1) / 150}


def sides(
    lots: Decimal, here: Any, *, theirs: float = 10_000.0, currency: str = "USD"
) -> tuple[ProviderSide, FollowerSide]:
    there = contract()
    provider = ProviderSide(lots=lots, figures=figures(theirs), rates=RATES)
    follower = FollowerSide(
        contract=here,
        figures=figures(5_000.0, currency=currency),
        notional=compare_notionals(there, here, there.middle, RATES),
        stop_distance=Decimal("0.0021"),
    )
    return provider, follower


def alone(asked: Any, provider: ProviderSide, follower: FollowerSide, figure: float) -> Any:
    """Return what the scalar core says of one of a crowd, as far as copies tell of it."""
    name = figure_of(asked.sizing)
    if name is not None and follower.figures is not None:
        changed: dict[str, Any] = {name: figure}
        follower = replace(follower, figures=replace(follower.figures, **changed))
    return told(size_copy(asked, provider, follower))


def told(size: CopySize | Refusal) -> Any:
    if isinstance(size, Refusal):
        return size
    # The exponents too: rows are compared, and written, as they print.
    return size.lots.as_tuple(), size.limited_by, size.sentence


lots = st.decimals("0.001", 40, places=3)
money = st.one_of(
    st.integers(0, 2_000_000).map(lambda cents: cents / 100),
    st.floats(0.0, 1e9),
    st.sampled_from([0.0, -5.0, math.nan, math.inf, 1e-9, 1.0, 1e14, 9_999.999999, 10_000.0]),
)


@st.composite
def cases(draw: Any) -> tuple[Any, ProviderSide, FollowerSide, list[float]]:
    step = draw(st.sampled_from([Decimal(one) for one in ("0.001", "0.01", "0.1", "1", "0.25")]))
    here = contract(
        volume_step=step,
        volume_min=draw(st.sampled_from([step, step * 2, step * 5 / 2, Decimal("0.01")])),
        volume_max=draw(st.sampled_from([Decimal(50), Decimal("0.3"), Decimal("7.77"), step])),
        value_per_price=draw(st.sampled_from([Decimal(100_000), Decimal(100), Decimal(30_000)])),
        value_currency=draw(st.sampled_from(["USD", "EUR", "JPY", "XXX"])),
        loss_per_price=draw(st.sampled_from([Decimal(100_000), Decimal("91743.1"), None])),
    )
    asked = terms(
        sizing=draw(st.sampled_from(Sizing)),
        multiplier=draw(st.sampled_from([Decimal(1), Decimal("0.333"), Decimal("2.5")])),
        fixed_lots=draw(lots),
        risk_fraction=draw(st.decimals("0.001", "0.05", places=4)),
        below_minimum=draw(st.sampled_from(BelowMinimum)),
        maximum_lots=draw(st.none() | lots),
    )
    provider, follower = sides(
        draw(lots),
        here,
        theirs=draw(st.sampled_from([10_000.0, 3_333.33, 7.0])),
        currency=draw(st.sampled_from(["USD", "EUR", "JPY", "XXX"])),
    )
    figures_of_all = draw(st.lists(money, min_size=1, max_size=8))
    if draw(st.booleans()):
        figures_of_all += on_the_steps(asked, provider, follower, draw(st.integers(1, 400)))
    return asked, provider, follower, figures_of_all


def on_the_steps(
    asked: Any, provider: ProviderSide, follower: FollowerSide, steps: int
) -> list[float]:
    """Return figures that give just that many steps, and the doubles around them."""
    name = figure_of(asked.sizing)
    if name is None or follower.figures is None:
        return []
    changed: dict[str, Any] = {name: 1e9}
    big = replace(follower, figures=replace(follower.figures, **changed))
    unlimited = replace(big, contract=replace(big.contract, volume_max=Decimal(10) ** 15))
    size = size_copy(replace(asked, maximum_lots=None), provider, unlimited)
    if isinstance(size, Refusal):
        return []
    figure = float(steps * follower.contract.volume_step / (size.wanted_lots / 10**9))
    around = [figure, math.nextafter(figure, 0.0), math.nextafter(figure, math.inf)]
    return [*around, figure * (1 - 1e-12), figure * (1 + 1e-12), figure * (1 - 1e-8), figure + 0.01]


@given(cases())
def test_a_crowd_is_sized_like_each_of_it(case: Any) -> None:
    asked, provider, follower, figures_of_all = case
    sizes = crowd_sizes(asked, provider, follower, np.array(figures_of_all))
    assert [told(size) for size in sizes] == [
        alone(asked, provider, follower, figure) for figure in figures_of_all
    ]


@pytest.mark.parametrize(
    ("equity", "expected"),
    [
        (2_299.999999, "0.22"),
        (2_300.0, "0.23"),
        (2_300.000001, "0.23"),
        (2_399.99, "0.23"),
        (499_999.99, "49.99"),
        (500_000.0, "50.00"),
        (500_000.01, "50.00"),
        (100.0, "0.01"),
    ],
)
def test_steps_and_limits_are_exact(equity: float, expected: str) -> None:
    provider, follower = sides(Decimal(1), contract())
    (size,) = crowd_sizes(terms(), provider, follower, np.array([equity]))
    assert isinstance(size, CopySize)
    assert str(size.lots) == expected


def test_what_is_below_the_smallest_lot_is_told_with_its_own_numbers() -> None:
    provider, follower = sides(Decimal(1), contract())
    first, second = crowd_sizes(terms(), provider, follower, np.array([99.99, 55.0]))
    assert isinstance(first, Refusal)
    assert isinstance(second, Refusal)
    assert first.sentence != second.sentence
