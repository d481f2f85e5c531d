from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.core.sizing import LimitedBy, PositionSize, SizeQuestion, size_position
from risk.tests.gate_cases import ASK, EURUSD


def size(risk_money: float = 500.0, *, pips: float = 50.0, **fields: Any) -> PositionSize:
    """Size a buy of EURUSD, at 10 USD a pip and lot."""
    defaults: dict[str, Any] = {
        "terms": EURUSD,
        "is_buy": True,
        "entry_price": ASK,
        "stop_loss": round(ASK - pips / 10_000, 5),
        "risk_money": risk_money,
        "commission_per_lot": 0.0,
        "margin_per_lot": 1100.2,
        "margin_free": 100_000.0,
        "currency": "USD",
    }
    return size_position(SizeQuestion(**{**defaults, **fields}))


def test_it_is_the_risk_over_the_loss_of_a_lot() -> None:
    sized = size()

    assert (sized.lots, sized.limited_by) == (Decimal("1.00"), LimitedBy.NOTHING)
    assert sized.loss_per_lot == pytest.approx(500.0)
    assert sized.sentence == "1 lot loses 500.00 USD at the stop."


def test_commission_for_both_ways_counts() -> None:
    assert size(commission_per_lot=3.5).lots == Decimal("0.98")  # 500 / 507 = 0.986
    assert "commission is not known" in size(commission_per_lot=None).sentence


@pytest.mark.parametrize(
    ("money", "lots"), [(144.99, "0.28"), (145.0, "0.29"), (285.0, "0.57"), (290.0, "0.58"),
                        (565.0, "1.13")],
)  # fmt: skip
def test_it_rounds_down_by_decimals(money: float, lots: str) -> None:
    assert size(money).lots == Decimal(lots)


def test_it_writes_money_as_the_account_has_it() -> None:
    sized = size(145.4, currency="JPY", currency_digits=0)
    assert sized.sentence == "0.29 lots lose 145 JPY at the stop."
    refused = size(4.9, currency="JPY", currency_digits=0)
    assert "loses 5 JPY at this stop, more than the 4 that may be lost" in refused.sentence


def test_below_the_smallest_lot_it_is_refused_never_rounded_up() -> None:
    refused = size(4.99)

    assert refused.is_refused
    assert refused.limited_by is LimitedBy.MINIMUM
    assert refused.sentence == (
        "The smallest lot, 0.01, loses 5.00 USD at this stop, more than the 4.99 that may be lost."
    )
    assert size(5.0).lots == Decimal("0.01")


@pytest.mark.parametrize(
    ("fields", "lots", "limited_by"),
    [
        ({"risk_money": 50_000.0, "margin_free": 1e9}, "50.00", LimitedBy.MAXIMUM),
        ({"risk_money": 50_000.0}, "50.00", LimitedBy.MAXIMUM),
        ({"margin_free": 550.1}, "0.50", LimitedBy.FREE_MARGIN),
        (
            {"terms": replace(EURUSD, volume_limit=2.0), "held_lots": 1.3},
            "0.70",
            LimitedBy.VOLUME_LIMIT,
        ),
    ],
)
def test_it_says_what_made_it_smaller(
    fields: dict[str, Any], lots: str, limited_by: LimitedBy
) -> None:
    sized = size(**fields)

    assert (sized.lots, sized.limited_by) == (Decimal(lots), limited_by)
    assert "because of" in sized.sentence


def test_without_room_it_is_refused_with_the_reason() -> None:
    assert "free margin" in size(margin_free=-5.0).sentence
    assert size(margin_free=-5.0).is_refused


def test_a_stop_on_the_wrong_side_is_refused() -> None:
    assert "below its entry" in size(stop_loss=ASK).sentence
    assert "above its entry" in size(is_buy=False, stop_loss=ASK).sentence
    assert "worth" in size(terms=replace(EURUSD, tick_value=0.0, tick_value_loss=0.0)).sentence


@given(money=st.floats(0.01, 1e6), pips=st.floats(0.5, 500), commission=st.floats(0, 20))
def test_it_never_risks_more_than_asked(money: float, pips: float, commission: float) -> None:
    sized = size(money, pips=pips, commission_per_lot=commission)

    if sized.is_refused:
        return
    assert sized.loss_per_lot is not None
    assert float(sized.lots) * sized.loss_per_lot <= money * (1 + 1e-9)
    assert sized.lots % EURUSD.step == 0
