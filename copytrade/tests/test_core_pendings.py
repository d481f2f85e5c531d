from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from copytrade.core.facts import NetHolding
from copytrade.core.kinds import (
    EventKind,
    HeldState,
    OrderKind,
    OrderType,
    RelationshipState,
    SkipReason,
)
from copytrade.tests.core_cases import (
    NOW,
    contract,
    event,
    follower,
    held,
    planned,
    skipped,
    terms,
    waiting,
)

D = Decimal


@pytest.mark.parametrize(
    ("is_buy", "order_type", "is_reverse", "expected"),
    [
        (True, OrderType.LIMIT, False, (True, OrderType.LIMIT)),
        (True, OrderType.LIMIT, True, (False, OrderType.STOP)),
        (True, OrderType.STOP, True, (False, OrderType.LIMIT)),
        (False, OrderType.LIMIT, True, (True, OrderType.STOP)),
        (False, OrderType.STOP, True, (True, OrderType.LIMIT)),
        (False, OrderType.STOP_LIMIT, False, (False, OrderType.STOP_LIMIT)),
    ],
)
def test_pending_orders(
    is_buy: bool, order_type: OrderType, is_reverse: bool, expected: tuple[bool, OrderType]
) -> None:
    limit = 1.07 if order_type is OrderType.STOP_LIMIT else None
    placed = event(
        EventKind.PENDING_PLACED, is_buy=is_buy, order_type=order_type, price=1.08,
        stop_limit_price=limit, stop_loss=1.06, take_profit=1.12,
    )  # fmt: skip

    order = planned(placed, follower(terms(copies_pendings=True, is_reverse=is_reverse)))

    assert (order.kind, order.lots) == (OrderKind.PLACE, D("0.23"))
    assert (order.is_buy, order.order_type) == expected
    assert (order.price, order.stop_limit_price) == (1.08, limit)
    stops = (1.12, 1.06) if is_reverse else (1.06, 1.12)
    assert (order.stop_loss, order.take_profit) == stops
    assert order.send_by_at == NOW + timedelta(seconds=59)


def test_a_fixed_stop_of_a_stop_limit_is_measured_from_its_limit() -> None:
    placed = event(
        EventKind.PENDING_PLACED, order_type=OrderType.STOP_LIMIT, price=1.10, stop_limit_price=1.09
    )

    order = planned(placed, follower(terms(copies_pendings=True, stop_loss_points=100)))

    assert order.stop_loss == 1.089


def test_the_price_of_an_order_is_not_the_market() -> None:
    placed = event(
        EventKind.PENDING_PLACED, order_type=OrderType.LIMIT, price=0.9,
        contract=contract(bid=None, ask=None),
    )  # fmt: skip

    order = planned(placed, follower(terms(copies_pendings=True)))

    assert (order.price, order.lots) == (0.9, D("0.23"))


def test_pending_orders_are_copied_only_where_asked_for_and_possible() -> None:
    placed = event(EventKind.PENDING_PLACED, order_type=OrderType.STOP_LIMIT, price=1.09)

    off = skipped(placed, follower())
    turned = skipped(placed, follower(terms(copies_pendings=True, is_reverse=True)))

    assert off.reason is turned.reason is SkipReason.PENDINGS_OFF
    assert "stop limit" in off.sentence
    assert turned.sentence.startswith("A stop limit has no opposite")


def moved(**changes: Any) -> Any:
    return event(
        EventKind.PENDING_MODIFIED, **{"order_type": OrderType.LIMIT, "price": 1.08, **changes}
    )


def test_a_pending_order_moves_with_its_provider() -> None:
    relationship = terms(copies_pendings=True, state=RelationshipState.PAUSED)
    snapshot = follower(relationship, pending=waiting(stop_loss=1.07))

    order = planned(moved(price=1.075, stop_loss=1.06), snapshot)
    bare = planned(moved(price=1.08), snapshot)

    assert (order.kind, order.order_ticket) == (OrderKind.MODIFY_ORDER, 88)
    assert (order.price, order.stop_loss, order.take_profit) == (1.075, 1.06, 0.0)
    assert bare.stop_loss == 0.0
    assert skipped(moved(stop_loss=1.07), snapshot).reason is SkipReason.UNCHANGED


@pytest.mark.parametrize(
    ("kind", "pending", "copies", "reason"),
    [
        (EventKind.PENDING_MODIFIED, None, True, SkipReason.NOT_HELD),
        (EventKind.PENDING_MODIFIED, None, False, SkipReason.PENDINGS_OFF),
        (EventKind.PENDING_MODIFIED, waiting(is_filled=True), True, SkipReason.UNCHANGED),
        (EventKind.PENDING_CANCELLED, None, True, SkipReason.NOT_HELD),
        (EventKind.PENDING_CANCELLED, waiting(is_filled=True), True, SkipReason.NOT_HELD),
        (EventKind.PENDING_FILLED, None, False, SkipReason.PENDINGS_OFF),
        (EventKind.PENDING_FILLED, waiting(), True, SkipReason.UNCHANGED),
        (EventKind.PENDING_FILLED, waiting(is_filled=True), True, SkipReason.UNCHANGED),
    ],
)
def test_pending_orders_that_need_nothing(
    kind: EventKind, pending: Any, copies: bool, reason: SkipReason
) -> None:
    snapshot = follower(terms(copies_pendings=copies), pending=pending)

    assert skipped(event(kind, order_type=OrderType.LIMIT), snapshot).reason is reason


@pytest.mark.parametrize("kind", [EventKind.PENDING_CANCELLED, EventKind.CLOSE])
def test_a_waiting_copy_goes_with_its_order_and_with_what_it_would_open(kind: EventKind) -> None:
    order = planned(event(kind), follower(terms(copies_pendings=True), pending=waiting()))

    assert (order.kind, order.order_ticket, order.send_by_at) == (OrderKind.CANCEL, 88, None)


def test_a_copy_that_filled_alone_is_closed_when_the_order_is_cancelled() -> None:
    snapshot = follower(terms(copies_pendings=True), pending=waiting(is_filled=True), held=held())

    order = planned(event(EventKind.PENDING_CANCELLED), snapshot)

    assert (order.kind, order.lots, order.closes_all) == (OrderKind.CLOSE, D("0.23"), True)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (1.08, 0.0)),
        ({"stop_loss_points": 50}, (None, 0.0)),
        ({"take_profit_points": 50}, (1.08, None)),
    ],
)
def test_stops_that_move(fields: dict[str, Any], expected: tuple[Any, ...]) -> None:
    snapshot = follower(terms(**fields), held=held(stop_loss=1.05, take_profit=1.2))

    order = planned(event(EventKind.STOPS, stop_loss=1.08), snapshot)

    assert (order.kind, order.position_ticket) == (OrderKind.MODIFY_POSITION, 77)
    assert (order.stop_loss, order.take_profit) == expected


@pytest.mark.parametrize("is_reverse", [True, False])
def test_stops_of_a_reversed_copy_change_places_even_after_an_edit(is_reverse: bool) -> None:
    snapshot = follower(terms(is_reverse=is_reverse), held=held(is_buy=False))

    order = planned(event(EventKind.STOPS, stop_loss=1.08), snapshot)

    assert (order.stop_loss, order.take_profit) == (0.0, 1.08)


@pytest.mark.parametrize(
    ("fields", "copy", "nets", "reason"),
    [
        ({"copies_stops": False}, held(), None, SkipReason.STOPS_OFF),
        ({}, held(), {"EURUSD": NetHolding(D("0.5"), D("0.5"), 2)}, SkipReason.STOPS_OFF),
        ({}, held(stop_loss=1.08), None, SkipReason.UNCHANGED),
        ({}, held(stop_loss=1.080004), None, SkipReason.UNCHANGED),
        ({"stop_loss_points": 5, "take_profit_points": 5}, held(), None, SkipReason.UNCHANGED),
        (
            {"stop_loss_points": 5, "take_profit_points": 5},
            held(position_lots=None),
            None,
            SkipReason.UNCHANGED,
        ),
        ({}, None, None, SkipReason.NOT_HELD),
        ({}, held(state=HeldState.LEFT), None, SkipReason.LEFT),
        ({"state": RelationshipState.TERMINATED}, held(), None, SkipReason.TERMINATED),
    ],
)
def test_stops_that_stay(fields: dict[str, Any], copy: Any, nets: Any, reason: SkipReason) -> None:
    snapshot = follower(terms(**fields), held=copy, nets=nets)

    assert skipped(event(EventKind.STOPS, stop_loss=1.08), snapshot).reason is reason


def test_unread_stops_are_set_again() -> None:
    unread = held(stop_loss=1.08, position_lots=None)

    assert planned(event(EventKind.STOPS, stop_loss=1.08), follower(held=unread)).stop_loss == 1.08


@pytest.mark.parametrize(
    "state", [RelationshipState.ACTIVE, RelationshipState.PAUSED, RelationshipState.CLOSE_ONLY]
)
def test_stops_go_on_where_nothing_is_opened_any_more(state: RelationshipState) -> None:
    snapshot = follower(terms(state=state), held=held())
    assert planned(event(EventKind.STOPS, stop_loss=1.08), snapshot).stop_loss == 1.08
