import uuid
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.symbol_terms import SymbolTerms
from copytrade.core.facts import NetHolding, RelationshipTerms, SymbolContract
from copytrade.core.kinds import (
    HeldState,
    OrderKind,
    OrderType,
    RelationshipState,
    Sizing,
    SkipReason,
)
from copytrade.core.plan import plan_event, plan_many, size_only
from copytrade.core.plans import Planned, Skipped
from copytrade.core.reverse import reversed_stops, reversed_type
from copytrade.core.sizing import CopySize
from copytrade.models import CopyOrder, CopyPosition, CopyRelationship
from copytrade.tests.core_cases import (
    NOW,
    contract,
    event,
    figures,
    follower,
    held,
    planned,
    skipped,
    terms,
)
from risk.models import Order

D = Decimal


def test_an_open_becomes_an_order_of_the_follower() -> None:
    order = planned(
        event(stop_loss=1.08, take_profit=1.10), follower(terms(maximum_slippage_points=20))
    )

    assert order == Planned(
        relationship_id=terms().id,
        account_id=follower().account_id,
        kind=OrderKind.OPEN,
        symbol="EURUSD",
        is_buy=True,
        lots=D("0.23"),
        stop_loss=1.08,
        take_profit=1.10,
        deviation_points=20,
        send_by_at=NOW + timedelta(seconds=59),
    )


def test_what_is_adopted_has_its_deadline_from_now_on() -> None:
    old = event(is_adopted=True, happened_at=NOW - timedelta(days=2))

    assert planned(old, follower()).send_by_at == NOW + timedelta(seconds=60)


def test_slippage_since_the_provider_is_taken_off_what_is_left() -> None:
    order = planned(event(price=1.08769), follower(terms(maximum_slippage_points=20)))

    assert order.deviation_points == 15


@pytest.mark.parametrize(
    ("is_buy", "price", "expected"),
    [(True, 1.09774, 20), (False, 1.08777, 15), (False, 1.08762, 20)],
)
def test_a_better_price_leaves_no_more_than_the_maximum(
    is_buy: bool, price: float, expected: int
) -> None:
    order = planned(event(is_buy=is_buy, price=price), follower(terms(maximum_slippage_points=20)))

    assert order.deviation_points == expected


@pytest.mark.parametrize(
    ("is_buy", "is_reverse", "fields", "expected"),
    [
        (True, False, {}, (True, 1.08, 1.10)),
        (False, False, {}, (False, 1.08, 1.10)),
        (True, True, {}, (False, 1.10, 1.08)),
        (False, True, {}, (True, 1.10, 1.08)),
        (True, False, {"copies_stops": False}, (True, None, None)),
        (True, False, {"stop_loss_points": 100}, (True, 1.08674, 1.10)),
        (False, False, {"stop_loss_points": 100}, (False, 1.08872, 1.10)),
        (True, False, {"copies_stops": False, "stop_loss_points": 100, "take_profit_points": 200},
         (True, 1.08674, 1.08974)),
        (True, True, {"stop_loss_points": 100, "take_profit_points": 200},
         (False, 1.08872, 1.08572)),
    ],
)  # fmt: skip
def test_stops_of_a_copy(
    is_buy: bool, is_reverse: bool, fields: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    order = planned(
        event(is_buy=is_buy, stop_loss=1.08, take_profit=1.10),
        follower(terms(is_reverse=is_reverse, **fields)),
    )

    assert (order.is_buy, order.stop_loss, order.take_profit) == expected


def test_levels_follow_a_symbol_in_another_unit() -> None:
    tenths = contract("MINI", bid=0.108772, ask=0.108774, digits=6, point=0.000001)
    mapped = follower(
        terms(symbol_map={"EURUSD": "MINI"}, sizing=Sizing.MULTIPLIER, maximum_slippage_points=5),
        symbol_names=frozenset({"MINI"}),
        contracts={"MINI": tenths},
    )

    order = planned(event(stop_loss=1.08, take_profit=1.10), mapped)

    assert (order.symbol, order.lots) == ("MINI", D(10))
    assert (order.stop_loss, order.take_profit) == (0.108, 0.11)


def test_risk_is_sized_by_the_stop_that_the_copy_will_have() -> None:
    relationship = terms(sizing=Sizing.RISK_PERCENT, risk_fraction=D("0.01"))
    rich = {"figures": figures(10_000.0)}

    by_copied = planned(event(stop_loss=1.08274), follower(relationship, **rich))
    by_fixed = planned(event(), follower(replace(relationship, stop_loss_points=250), **rich))
    turned = follower(replace(relationship, is_reverse=True), **rich)

    assert by_copied.lots == D("0.20")
    assert by_fixed.lots == D("0.40")
    assert skipped(event(stop_loss=1.08274), turned).reason is SkipReason.NO_STOP
    assert planned(event(take_profit=1.09272), turned).lots == D("0.20")


def test_copies_that_share_a_netted_position_open_without_stops() -> None:
    nets = {"EURUSD": NetHolding(D("0.5"), D("0.5"), 1)}

    beside_another = planned(event(stop_loss=1.08), follower(nets=nets))
    added_to_itself = planned(event(stop_loss=1.08), follower(nets=nets, held=held("0.5")))

    assert beside_another.stop_loss is None
    assert added_to_itself.stop_loss == 1.08


def test_an_addition_follows_the_copy_and_not_what_was_edited_since() -> None:
    edited = terms(is_reverse=True, symbol_map={"EURUSD": "GBPUSD"})
    added = event(lots_before=D(1), stop_loss=1.08)

    order = planned(added, follower(edited, held=held()))

    assert (order.symbol, order.is_buy, order.stop_loss) == ("EURUSD", True, 1.08)


def test_a_position_that_turned_round_is_a_new_one() -> None:
    turned = event(is_buy=False, position_ticket=500)

    order = planned(turned, follower(held=held(state=HeldState.CLOSING)))

    assert order.is_buy is False


@given(st.sampled_from([OrderType.MARKET, OrderType.LIMIT, OrderType.STOP]))
def test_a_type_reversed_twice_is_itself(order_type: OrderType) -> None:
    once = reversed_type(order_type)

    assert once is not None
    assert reversed_type(once) is order_type


_level = st.none() | st.floats(0.5, 2.0)


@given(_level, _level, st.booleans())
def test_a_copy_of_a_reversed_copy_is_the_first_trade(
    stop_loss: float | None, take_profit: float | None, is_buy: bool
) -> None:
    assert reversed_stops(*reversed_stops(stop_loss, take_profit)) == (stop_loss, take_profit)
    turned = follower(terms(is_reverse=True))
    first = event(is_buy=is_buy, stop_loss=stop_loss, take_profit=take_profit)

    once = planned(first, turned)
    twice = planned(
        replace(first, is_buy=once.is_buy, stop_loss=once.stop_loss, take_profit=once.take_profit),
        turned,
    )
    straight = planned(first, follower())

    assert (twice.is_buy, twice.stop_loss, twice.take_profit) == (
        straight.is_buy, straight.stop_loss, straight.take_profit
    )  # fmt: skip


def test_many_are_planned_as_each_alone() -> None:
    sizings = [Sizing.EQUITY_RATIO, Sizing.MULTIPLIER, Sizing.RISK_PERCENT, Sizing.FIXED_LOT]
    followers = [
        follower(
            terms(
                id=uuid.UUID(int=number),
                sizing=sizings[number % 4],
                fixed_lots=D("0.1"),
                risk_fraction=D("0.01"),
                is_reverse=number % 3 == 0,
                symbol_map={"EURUSD": "EURUSD.x"} if number % 7 == 0 else {},
            ),
            figures=figures(100.0 * number),
            symbol_names=frozenset({"EURUSD.x", "GBPUSD.x"} if number % 2 else {"EURUSD"}),
            contracts={
                name: contract(name, value_per_price=D(1_000 if number % 5 == 0 else 100_000))
                for name in ("EURUSD", "EURUSD.x")
            },
        )
        for number in range(60)
    ]
    happened = event(stop_loss=1.08, take_profit=1.1)

    together = plan_many(happened, followers, now=NOW)

    assert together == [plan_event(happened, each, now=NOW) for each in followers]
    assert {type(each) for each in together} == {Planned, Skipped}
    assert [each.relationship_id.int for each in together] == list(range(60))


def test_an_example_needs_no_active_relationship() -> None:
    offered = follower(terms(state=RelationshipState.OFFERED, trading_from=None))

    size = size_only(event(), offered, now=NOW)

    assert isinstance(size, CopySize)
    assert size.lots == D("0.23")


def told(**changes: Any) -> SymbolTerms:
    fields: dict[str, Any] = {
        "name": "EURUSD", "digits": 5, "point": 0.00001, "contract_size": 100_000.0,
        "tick_size": 0.00001, "tick_value": 1.0, "tick_value_profit": 1.0, "tick_value_loss": 1.0,
        "volume_min": 0.01, "volume_max": 50.0, "volume_step": 0.01, "volume_limit": 0.0,
        "filling_mode": 3, "expiration_mode": 15, "order_mode": 127, "execution_mode": 2,
        "trade_mode": 4, "stops_level": 0, "freeze_level": 0, "margin_initial": 0.0,
        "margin_hedged": 0.0, "margin_hedged_use_leg": False, "calc_mode": 0,
        "currency_base": "EUR", "currency_profit": "USD", "currency_margin": "EUR",
        "bid": 1.08772, "ask": 1.08774,
    }  # fmt: skip
    return SymbolTerms(**{**fields, **changes})


def test_a_contract_is_taken_from_a_symbols_terms() -> None:
    assert SymbolContract.of(told(), "USD") == contract()
    unquoted = SymbolContract.of(told(bid=0.0, ask=0.0), "USD")
    assert (unquoted.bid, unquoted.middle) == (None, None)


def test_a_future_is_worth_its_ticks() -> None:
    future = SymbolContract.of(
        told(
            calc_mode=1,
            tick_size=0.25,
            tick_value=11.5,
            tick_value_profit=11.5,
            tick_value_loss=11.5,
            contract_size=1.0,
        ),
        "EUR",
    )

    assert (future.value_per_price, future.value_currency) == (D(46), "EUR")


@pytest.mark.parametrize(
    ("ours", "rows"),
    [
        (RelationshipState, CopyRelationship.State),
        (HeldState, CopyPosition.State),
        (OrderType, Order.Type),
    ],
)
def test_the_words_are_those_of_the_rows(ours: Any, rows: Any) -> None:
    assert {each.value for each in ours} == set(rows.values)


def test_orders_and_fields_are_those_of_the_rows() -> None:
    assert {kind.value for kind in OrderKind} <= set(Order.Kind.values)
    row = CopyRelationship(
        id=terms().id, state="active", sizing="risk_percent", magics=[4, 4], include_symbols=["X"]
    )
    assert RelationshipTerms.of(row) == terms(
        sizing=Sizing.RISK_PERCENT, magics=frozenset({4}), include_symbols=frozenset({"X"})
    )
    assert RelationshipTerms.of(row).sizing is Sizing.RISK_PERCENT
    assert CopyOrder._meta.get_field("sentence").max_length == 255
