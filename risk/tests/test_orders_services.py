"""Asking for orders: what is refused at once, and the same key twice."""

import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, connections

from accounts.models import ConnectedAccount, User
from accounts.models.connection import ConnectionState
from accounts.refusals import Refusal
from accounts.symbol_terms import SymbolTerms
from accounts.tests.factories import NOW, make_account
from risk.models import Order
from risk.services import orders as services
from risk.services.orders import (
    OPEN_SECONDS,
    await_outcome,
    cancel_order,
    close_position,
    modify_order,
    modify_position,
    place_order,
)

pytestmark = pytest.mark.django_db
TERMS = SymbolTerms(
    name="EURUSD", digits=5, point=1e-5, contract_size=1e5, tick_size=1e-5, tick_value=1.0,
    tick_value_profit=1.0, tick_value_loss=1.0, volume_min=0.01, volume_max=50.0,
    volume_step=0.01, volume_limit=0.0, filling_mode=3, expiration_mode=15, order_mode=127,
    execution_mode=2, trade_mode=4, stops_level=0, freeze_level=0, margin_initial=0.0,
    margin_hedged=1e5, margin_hedged_use_leg=False, calc_mode=0, currency_base="EUR",
    currency_profit="USD", currency_margin="EUR", bid=1.1, ask=1.10002,
)  # fmt: skip


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice, state=ConnectionState.CONNECTED)


def buy(account: ConnectedAccount, **fields: Any) -> Order:
    asked: dict[str, Any] = {
        "symbol": "EURUSD",
        "direction": "buy",
        "volume": Decimal("0.10"),
        **fields,
    }
    return place_order(account=account, user=account.user, origin="ticket", **asked, now=NOW)


def test_it_writes_the_intent_and_sends_nothing(account: ConnectedAccount) -> None:
    order = Order.objects.get(pk=buy(account).pk)
    assert (order.state, order.kind, order.host) == ("pending", "open", "local")
    assert order.send_by_at == NOW + timedelta(seconds=OPEN_SECONDS)
    assert (order.login, order.server, order.user_id) == (
        account.login, account.server, account.user_id,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"direction": "long"}, "direction"),
        ({"type": "iceberg"}, "type"),
        ({"symbol": " "}, "symbol"),
        ({"symbol": "E" * 30}, "symbol"),
        ({"volume": Decimal(0)}, "volume"),
        ({"volume": Decimal("NaN")}, "volume"),
        ({"volume": Decimal("Infinity")}, "volume"),
        ({"volume": Decimal("0.000000001")}, "volume"),
        ({"volume": Decimal("0.005"), "terms": TERMS}, "volume"),
        ({"volume": Decimal("50.01"), "terms": TERMS}, "volume"),
        ({"volume": Decimal("0.015"), "terms": TERMS}, "volume"),
        ({"price": 1.1}, "price"),
        ({"type": "limit"}, "price"),
        ({"type": "limit", "price": -1.0}, "price"),
        ({"type": "limit", "price": float("inf")}, "price"),
        ({"type": "limit", "price": 1.09, "stop_limit_price": 1.0}, "stop_limit_price"),
        ({"type": "stop_limit", "price": 1.12}, "stop_limit_price"),
        ({"type": "limit", "price": 1.09, "stop_loss": 1.09}, "stop_loss"),
        ({"type": "limit", "price": 1.09, "take_profit": 1.09}, "take_profit"),
        ({"stop_loss": 1.10002, "terms": TERMS}, "stop_loss"),
        ({"direction": "sell", "stop_loss": 1.1, "terms": TERMS}, "stop_loss"),
        ({"stop_loss": 1.12, "take_profit": 1.11}, "stop_loss"),
        ({"valid_until_at": NOW + timedelta(days=1)}, "valid_until_at"),
        ({"type": "limit", "price": 1.09, "valid_until_at": NOW}, "valid_until_at"),
        ({"deviation_points": -1}, "deviation_points"),
        ({"idempotency_key": "k" * 65}, "idempotency_key"),
        ({"idempotency_key": ""}, "idempotency_key"),
    ],
)
def test_it_names_the_field_that_is_wrong(
    account: ConnectedAccount, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        buy(account, **fields)
    assert set(caught.value.message_dict) == {field}
    assert not Order.objects.exists()


@pytest.mark.parametrize("lots", ["0.01", "0.29", "0.57", "1.13", "50"])
def test_it_takes_whole_steps_as_decimals(account: ConnectedAccount, lots: str) -> None:
    assert buy(account, volume=Decimal(lots), terms=TERMS).requested_volume == Decimal(lots)


def test_symbols_of_29_characters_are_possible(account: ConnectedAccount) -> None:
    assert buy(account, symbol="E" * 29).symbol == "E" * 29


def test_the_same_key_gives_the_same_order(account: ConnectedAccount) -> None:
    first = buy(account, idempotency_key="one")
    again = buy(account, idempotency_key="one", volume=Decimal("0.1"))
    assert first.pk == again.pk
    assert buy(account, idempotency_key="two").pk != first.pk
    assert buy(account).pk != buy(account).pk


@pytest.mark.parametrize(
    "other", [{"volume": Decimal("0.2")}, {"direction": "sell"}, {"stop_loss": 1.0}]
)
def test_the_same_key_for_another_order_is_refused(
    account: ConnectedAccount, other: dict[str, Any]
) -> None:
    buy(account, idempotency_key="one")
    with pytest.raises(Refusal) as caught:
        buy(account, idempotency_key="one", **other)
    assert caught.value.code == "idempotency_conflict"
    assert Order.objects.count() == 1


def test_a_key_gives_its_order_also_when_the_price_has_moved_past_the_stop(
    account: ConnectedAccount,
) -> None:
    asked: dict[str, Any] = {"idempotency_key": "one", "stop_loss": 1.095}
    first = buy(account, **asked, terms=TERMS)
    moved = replace(TERMS, bid=1.09, ask=1.09002)
    assert buy(account, **asked, terms=moved).pk == first.pk
    with pytest.raises(ValidationError):
        buy(account, **{**asked, "idempotency_key": "two"}, terms=moved)
    assert Order.objects.count() == 1


def test_keys_belong_to_their_user(account: ConnectedAccount, bob: User) -> None:
    first = buy(account, idempotency_key="one")
    assert buy(make_account(bob, "Other", state="connected"), idempotency_key="one") != first


def test_a_key_also_holds_for_closes_and_changes(account: ConnectedAccount) -> None:
    asked: dict[str, Any] = {
        "account": account,
        "user": account.user,
        "ticket": 7,
        "idempotency_key": "one",
    }
    first = close_position(**asked, now=NOW)
    assert close_position(**asked, now=NOW).pk == first.pk
    with pytest.raises(Refusal):
        cancel_order(**asked, now=NOW)


def test_who_comes_second_by_a_moment_gets_the_first_order(
    account: ConnectedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = buy(account, idempotency_key="one")
    look, looks = services._known, iter([None])
    # The other request has not committed yet when this one looks for it first.
    monkeypatch.setattr(services, "_known", lambda *asked: next(looks, look(*asked)))
    assert buy(account, idempotency_key="one").pk == first.pk
    assert Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_threads_with_one_key_make_one_order(alice: User) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("The SQLite of the tests lives in memory, where no writer waits for another")
    account = make_account(alice, state=ConnectionState.CONNECTED)
    barrier = threading.Barrier(4)
    found: list[Any] = []

    def ask() -> None:
        try:
            barrier.wait(10)
            found.append(buy(account, idempotency_key="one").pk)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len(set(found)) == 1
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("ticket", "fields", "field"),
    [
        (0, {"stop_loss": 1.0}, "ticket"),
        (2**63, {"stop_loss": 1.0}, "ticket"),
        (1, {}, "stop_loss"),
        (1, {"stop_loss": -0.1}, "stop_loss"),
        (1, {"take_profit": float("nan")}, "take_profit"),
    ],
)
def test_it_names_what_is_wrong_with_other_stops(
    account: ConnectedAccount, ticket: int, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        modify_position(account=account, user=account.user, ticket=ticket, **fields, now=NOW)
    assert set(caught.value.message_dict) == {field}


def test_a_change_of_a_pending_order_must_change_something(account: ConnectedAccount) -> None:
    with pytest.raises(ValidationError):
        modify_order(account=account, user=account.user, ticket=1, now=NOW)
    with pytest.raises(ValidationError):
        modify_order(account=account, user=account.user, ticket=1, price=0.0, now=NOW)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"is_active": False}, "inactive"),
        ({"state": ConnectionState.DISCONNECTED}, "not_connected"),
        ({"state": ConnectionState.ERROR}, "not_connected"),
    ],
)
def test_it_refuses_an_account_that_cannot_trade(
    alice: User, changes: dict[str, Any], code: str
) -> None:
    account = make_account(alice, **{"state": ConnectionState.CONNECTED, **changes})
    with pytest.raises(Refusal) as caught:
        buy(account)
    assert caught.value.code == code
    assert not Order.objects.exists()


def test_it_waits_for_the_outcome_no_longer_than_asked(account: ConnectedAccount) -> None:
    order = buy(account)
    assert await_outcome(order, timeout_seconds=0.0).state == "pending"
    Order.objects.filter(pk=order.pk).update(state="filled")
    assert await_outcome(order, timeout_seconds=5.0).state == "filled"
