from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.core.facts import SymbolContract
from copytrade.core.kinds import BelowMinimum, Sizing, SkipReason
from copytrade.core.notionals import compare_notionals
from copytrade.core.plans import Refusal
from copytrade.core.rates import Quote, conversion, rates_of
from copytrade.core.sizing import CopySize, FollowerSide, LimitedBy, ProviderSide, size_copy
from copytrade.tests.core_cases import contract, figures, terms

RATES = {"USD": Decimal(1), "EUR": Decimal("1.10"), "JPY": Decimal(1) / 150}
GOLD = {"value_currency": "USD", "point": 0.01, "digits": 2, "bid": 4085.2, "ask": 4085.42}


def size(
    lots: str = "1",
    *,
    theirs: Any = None,
    ours: Any = None,
    here: SymbolContract | None = None,
    there: SymbolContract | None = None,
    stop_distance: str | None = None,
    rates: Any = RATES,
    **fields: Any,
) -> CopySize | Refusal:
    """Size a provider with 10,000 USD for a follower with 2,300 USD."""
    provider_contract, follower_contract = there or contract(), here or contract()
    notional = compare_notionals(
        provider_contract, follower_contract, provider_contract.middle, rates
    )
    return size_copy(
        terms(**fields),
        ProviderSide(lots=Decimal(lots), figures=theirs or figures(), rates=rates),
        FollowerSide(
            contract=follower_contract,
            figures=ours or figures(2_300.0),
            notional=notional,
            stop_distance=None if stop_distance is None else Decimal(stop_distance),
        ),
    )


def lots_of(result: CopySize | Refusal) -> Decimal:
    assert isinstance(result, CopySize), result
    return result.lots


@pytest.mark.parametrize(
    ("lots", "theirs", "ours", "multiplier", "expected"),
    [
        ("1.00", 10_000, 2_300, "1", "0.23"),
        ("1.00", 10_000, 2_300, "0.5", "0.11"),  # 0.115
        ("1.00", 10_000, 2_300, "2", "0.46"),
        ("0.29", 10_000, 10_000, "1", "0.29"),  # floats would give 0.28
        ("0.57", 1_000, 1_000, "1", "0.57"),
        ("0.58", 1_000, 1_000, "1", "0.58"),
        ("1.13", 3_333.33, 3_333.33, "1", "1.13"),
        ("0.10", 100_000, 10_000, "1", "0.01"),
        ("3.00", 9_000, 3_000, "1", "1.00"),  # a third, thrice
        ("0.50", 5_000, 50_000, "1", "5.00"),
        ("1.00", 10_000, 2_399.99, "1", "0.23"),
        ("1.00", 10_000, 2_400, "1", "0.24"),
    ],
)
def test_equity_ratio(
    lots: str, theirs: float, ours: float, multiplier: str, expected: str
) -> None:
    sized = size(lots, theirs=figures(theirs), ours=figures(ours), multiplier=Decimal(multiplier))

    assert lots_of(sized) == Decimal(expected)


@pytest.mark.parametrize(
    ("sizing", "expected"),
    [
        (Sizing.EQUITY_RATIO, "0.50"),
        (Sizing.BALANCE_RATIO, "0.20"),
        (Sizing.FREE_MARGIN_RATIO, "0.10"),
        (Sizing.MULTIPLIER, "1.00"),
    ],
)
def test_each_ratio_takes_its_own_figure(sizing: Sizing, expected: str) -> None:
    theirs = figures(10_000, balance=20_000.0, free_margin=8_000.0)
    ours = figures(5_000, balance=4_000.0, free_margin=800.0)

    assert lots_of(size(theirs=theirs, ours=ours, sizing=sizing)) == Decimal(expected)


@pytest.mark.parametrize(
    ("ours", "currency", "expected"),
    [
        (5_000, "EUR", "0.55"),
        (10_000, "EUR", "1.10"),
        (150_000, "JPY", "0.10"),  # a rate with no end, and yet the whole step
        (1_500_000, "JPY", "1.00"),
        (1_499_999, "JPY", "0.99"),
    ],
)
def test_accounts_are_compared_in_one_currency(ours: float, currency: str, expected: str) -> None:
    assert lots_of(size(ours=figures(ours, currency=currency))) == Decimal(expected)


def test_a_provider_in_another_currency_than_the_common_one() -> None:
    sized = size(theirs=figures(10_000, currency="EUR"), ours=figures(5_500))

    assert lots_of(sized) == Decimal("0.50")


def test_a_rate_without_end_takes_no_step_away() -> None:
    rates = {"USD": Decimal(1), "XXX": Decimal(1) / 3}

    sized = size(ours=figures(30_000, currency="XXX"), rates=rates)

    assert lots_of(sized) == Decimal(1)


def test_without_a_rate_there_is_no_ratio_but_a_multiple() -> None:
    refused = size(ours=figures(5_000, currency="CHF"))

    assert isinstance(refused, Refusal)
    assert refused.reason is SkipReason.NO_RATE
    assert refused.sentence == "No exchange rate between CHF and USD is known."
    multiple = size(ours=figures(5_000, currency="CHF"), sizing=Sizing.MULTIPLIER)
    assert lots_of(multiple) == Decimal(1)


@pytest.mark.parametrize("sizing", [Sizing.EQUITY_RATIO, Sizing.MULTIPLIER])
@pytest.mark.parametrize(
    ("there", "here", "expected"),
    [
        # a lot of 100 ounces against one of 10
        ({"value_per_price": 100, **GOLD}, {"value_per_price": 10, **GOLD}, "10"),
        ({"value_per_price": 10, **GOLD}, {"value_per_price": 100, **GOLD}, "0.1"),
        # micro lots
        ({}, {"value_per_price": 1_000}, "100"),
        # the same index quoted in euros, and in tenths
        ({**GOLD, "value_per_price": 1}, {**GOLD, "value_per_price": 1, "value_currency": "EUR"},
         "0.90"),
        ({**GOLD, "value_per_price": 1},
         {**GOLD, "value_per_price": 1, "bid": 408.52, "ask": 408.542}, "10"),
    ],
)  # fmt: skip
def test_a_lot_is_compared_by_what_it_is_worth(
    sizing: Sizing, there: dict[str, Any], here: dict[str, Any], expected: str
) -> None:
    def decimals(told: dict[str, Any]) -> dict[str, Any]:
        told = dict(told)
        if "value_per_price" in told:
            told["value_per_price"] = Decimal(told["value_per_price"])
        return {**told, "volume_max": Decimal(500)}

    sized = size(
        theirs=figures(), ours=figures(), sizing=sizing,
        there=contract(**decimals(there)), here=contract(**decimals(here)),
    )  # fmt: skip

    assert lots_of(sized) == Decimal(expected)


def test_brokers_that_differ_by_a_tick_take_the_same_lots() -> None:
    sized = size(sizing=Sizing.MULTIPLIER, here=contract(bid=1.08801, ask=1.08803))

    assert lots_of(sized) == Decimal(1)


def test_fixed_lots_know_neither_ratio_nor_multiplier() -> None:
    sized = size("7", sizing=Sizing.FIXED_LOT, fixed_lots=Decimal("0.25"), multiplier=Decimal(3))

    assert lots_of(sized) == Decimal("0.25")


@pytest.mark.parametrize(
    ("equity", "fraction", "distance", "loss_per_price", "expected"),
    [
        (10_000, "0.01", "0.00500", 100_000, "0.20"),  # 100 over 500 a lot
        (10_000, "0.01", "0.00250", 100_000, "0.40"),
        (10_000, "0.0145", "0.00500", 100_000, "0.29"),
        (10_000, "0.0149", "0.00500", 100_000, "0.29"),
        (2_000, "0.02", "10.00", 100, "0.04"),  # gold
    ],
)
def test_risk_percent(
    equity: float, fraction: str, distance: str, loss_per_price: int, expected: str
) -> None:
    sized = size(
        sizing=Sizing.RISK_PERCENT, risk_fraction=Decimal(fraction), stop_distance=distance,
        ours=figures(equity), here=contract(loss_per_price=Decimal(loss_per_price)),
    )  # fmt: skip

    assert lots_of(sized) == Decimal(expected)


@pytest.mark.parametrize(
    ("fields", "reason", "sentence"),
    [
        ({"stop_distance": None}, SkipReason.NO_STOP,
         "A risk of 1 % needs a stop loss, and the copy has none."),
        ({"stop_distance": "0"}, SkipReason.NO_STOP,
         "The price of EURUSD has passed the stop loss already."),
        ({"stop_distance": "-0.001"}, SkipReason.NO_STOP,
         "The price of EURUSD has passed the stop loss already."),
        ({"stop_distance": "0.001", "here": contract(loss_per_price=None)}, SkipReason.NO_RATE,
         "What a move of EURUSD is worth in the account's currency is not known."),
    ],
)  # fmt: skip
def test_risk_needs_a_stop_and_its_worth(
    fields: dict[str, Any], reason: SkipReason, sentence: str
) -> None:
    refused = size(sizing=Sizing.RISK_PERCENT, risk_fraction=Decimal("0.01"), **fields)

    assert refused == Refusal(reason, sentence)


@pytest.mark.parametrize("theirs", [0.0, -5.0, float("nan")])
def test_a_provider_without_money_gives_no_ratio(theirs: float) -> None:
    refused = size(theirs=figures(theirs))

    assert isinstance(refused, Refusal)
    assert refused.reason is SkipReason.NO_READING


@pytest.mark.parametrize(
    ("ours", "policy", "expected"),
    [
        (99.99, BelowMinimum.SKIP, None),
        (100.0, BelowMinimum.SKIP, "0.01"),
        (100.01, BelowMinimum.SKIP, "0.01"),
        (99.99, BelowMinimum.USE_MINIMUM, "0.01"),
        (0.01, BelowMinimum.USE_MINIMUM, "0.01"),
        (0.0, BelowMinimum.USE_MINIMUM, None),
        (-50.0, BelowMinimum.USE_MINIMUM, None),
    ],
)
def test_below_the_smallest_lot(ours: float, policy: BelowMinimum, expected: str | None) -> None:
    sized = size(ours=figures(ours), below_minimum=policy)

    if expected is None:
        assert isinstance(sized, Refusal)
        assert sized.reason is SkipReason.BELOW_MINIMUM
        assert sized.sentence.endswith("the smallest of EURUSD is 0.01.")
    else:
        assert lots_of(sized) == Decimal(expected)


def test_raising_to_the_minimum_is_said() -> None:
    sized = size(ours=figures(42.0), below_minimum=BelowMinimum.USE_MINIMUM)

    assert isinstance(sized, CopySize)
    assert sized.limited_by is LimitedBy.RAISED
    assert (
        sized.sentence == "It would be 0.0042 lots, and was raised to the smallest of EURUSD, 0.01."
    )


@pytest.mark.parametrize(
    ("maximum", "broker", "expected", "limited_by"),
    [
        ("0.24", 50, "0.23", LimitedBy.NOTHING),
        ("0.23", 50, "0.23", LimitedBy.NOTHING),
        ("0.22", 50, "0.22", LimitedBy.MAXIMUM),
        ("0.225", 50, "0.22", LimitedBy.MAXIMUM),
        (None, "0.20", "0.20", LimitedBy.BROKER_MAXIMUM),
        ("0.10", "0.20", "0.10", LimitedBy.MAXIMUM),
        ("0.30", "0.20", "0.20", LimitedBy.BROKER_MAXIMUM),
    ],
)
def test_the_largest_volume(
    maximum: str | None, broker: str, expected: str, limited_by: LimitedBy
) -> None:
    sized = size(
        maximum_lots=None if maximum is None else Decimal(maximum),
        here=contract(volume_max=Decimal(broker)),
    )

    assert isinstance(sized, CopySize)
    assert (sized.lots, sized.limited_by) == (Decimal(expected), limited_by)
    assert bool(sized.sentence) is (limited_by is not LimitedBy.NOTHING)


def test_the_minimum_never_passes_the_maximum() -> None:
    refused = size(
        maximum_lots=Decimal("0.05"), below_minimum=BelowMinimum.USE_MINIMUM,
        here=contract(volume_min=Decimal("0.1"), volume_step=Decimal("0.1")),
    )  # fmt: skip

    text = "The smallest lot of EURUSD is 0.1, more than the maximum of 0.05."
    assert refused == Refusal(SkipReason.BELOW_MINIMUM, text)


def test_a_maximum_that_is_the_minimum_leaves_one_size() -> None:
    sized = size(
        ours=figures(42.0), maximum_lots=Decimal("0.01"), below_minimum=BelowMinimum.USE_MINIMUM
    )

    assert lots_of(sized) == Decimal("0.01")


_steps = st.sampled_from(["0.001", "0.01", "0.1", "1"]).map(Decimal)
_money = st.floats(0.01, 1e8, allow_nan=False)
_lots = st.decimals("0.01", "100", places=2)


@given(
    lots=_lots, theirs=_money, ours=_money, step=_steps, minimum_steps=st.integers(1, 20),
    maximum=st.none() | st.decimals("0.0001", "200", places=4),
    policy=st.sampled_from(BelowMinimum),
    multiplier=st.decimals("0.0001", "1000", places=4),
    value=st.sampled_from([1, 10, 1_000, 100_000]), currency=st.sampled_from(["USD", "EUR", "JPY"]),
    sizing=st.sampled_from([
        Sizing.EQUITY_RATIO, Sizing.BALANCE_RATIO, Sizing.FREE_MARGIN_RATIO, Sizing.MULTIPLIER
    ]),
)  # fmt: skip
def test_a_size_keeps_within_its_bounds(
    lots: Decimal, theirs: float, ours: float, step: Decimal, minimum_steps: int,
    maximum: Decimal | None, policy: BelowMinimum, multiplier: Decimal, value: int,
    currency: str, sizing: Sizing,
) -> None:  # fmt: skip
    here = contract(
        volume_step=step, volume_min=step * minimum_steps, value_per_price=Decimal(value)
    )
    sized = size(
        str(lots), theirs=figures(theirs), ours=figures(ours, currency=currency), here=here,
        maximum_lots=maximum, below_minimum=policy, multiplier=multiplier, sizing=sizing,
    )  # fmt: skip

    if isinstance(sized, Refusal):
        assert sized.reason is SkipReason.BELOW_MINIMUM
        assert 0 < len(sized.sentence) <= 255
        return
    assert sized.lots <= min(here.volume_max, maximum or here.volume_max)
    assert sized.lots >= here.volume_min
    assert sized.lots % step == 0
    if sized.limited_by is LimitedBy.RAISED:
        assert policy is BelowMinimum.USE_MINIMUM
    else:
        assert sized.lots <= sized.wanted_lots + Decimal("1e-12")
    if sized.limited_by is LimitedBy.NOTHING:
        assert sized.wanted_lots - sized.lots < step


@given(lots=_lots, equity=_money)
def test_alike_accounts_take_alike_lots(lots: Decimal, equity: float) -> None:
    here = contract(volume_max=Decimal(100))
    sized = size(str(lots), theirs=figures(equity), ours=figures(equity), here=here)

    assert lots_of(sized) == lots


def test_rates_follow_from_quotes() -> None:
    quotes = [
        Quote("EUR", "USD", 1.25),
        Quote("USD", "JPY", 160.0),
        Quote("GBP", "JPY", 200.0),
        Quote("XXX", "YYY", 3.0),
        Quote("CHF", "USD", 0.0),
    ]

    rates = rates_of(quotes)

    assert rates == {
        "USD": Decimal(1),
        "EUR": Decimal("1.25"),
        "JPY": Decimal("0.00625"),
        "GBP": Decimal("1.25"),
    }
    ratio = conversion(rates, "GBP", "EUR")
    assert ratio is not None
    assert ratio.top == ratio.bottom
    assert conversion(rates, "GBP", "CHF") is None
    assert conversion({}, "CHF", "CHF") is not None
