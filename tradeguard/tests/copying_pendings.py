"""A provider with an order that waits, and four followers that copy it."""

from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated import constants as mt5
from risk.models import Order
from risk.orders.terminal import PendingOrder
from tradeguard.tests.copying_stage import Desk, crowd, follows
from tradeguard.tests.enforcement_stage import terminal_of
from tradeguard.tests.stage import Stage

LIMIT = {"type": mt5.ORDER_TYPE_BUY_LIMIT, "price": 1.09}
STOP_LIMIT = {"type": mt5.ORDER_TYPE_BUY_STOP_LIMIT, "price": 1.12, "stoplimit": 1.11}
TOMORROW = {"type_time": mt5.ORDER_TIME_SPECIFIED, "expiration": 1_795_089_600}


def desk_of(stage: Stage, user: User) -> Desk:
    provider = stage.open(user, "Provider")
    followers = crowd(stage, user, 4)
    for each in followers:
        follows(provider, each, copies_pendings=True)
    stage.run(5)
    return provider, followers


def recorded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], list[Any]]:
    """Return how many changes leave together each time, and the requests of all changes."""
    parts: list[int] = []
    requests: list[Any] = []
    submit_many, call = stage.server.submit_many, stage.server.call

    def together(method: str, calls: Any) -> Any:
        changes = [one[1] for one in calls if one[1]["action"] == mt5.TRADE_ACTION_MODIFY]
        parts.extend([len(changes)] if changes else [])
        return submit_many(method, calls)

    def alone(method: str, login: int, *arguments: Any) -> Any:
        is_copy = method == "order_send" and arguments[0].get("comment", "").startswith("TC-")
        if is_copy and arguments[0]["action"] == mt5.TRADE_ACTION_MODIFY:
            requests.append(arguments[0])
        return call(method, login, *arguments)

    monkeypatch.setattr(stage.server, "submit_many", together)
    monkeypatch.setattr(stage.server, "call", alone)
    return parts, requests


def send(stage: Stage, account: ConnectedAccount, **request: Any) -> int:
    result = stage.server.call("order_send", account.login, request)
    assert result[0] == mt5.TRADE_RETCODE_DONE, result
    return int(result[2])


def placed(stage: Stage, desk: Desk, **terms: Any) -> int:
    """Let the provider place an order, and wait until every reading shows all copies."""
    ticket = send(
        stage, desk[0], action=mt5.TRADE_ACTION_PENDING, symbol="EURUSD", volume=1.0,
        type_filling=mt5.ORDER_FILLING_RETURN, **{**LIMIT, **terms},
    )  # fmt: skip
    stage.run(10)
    assert len(waiting_at(stage, desk[1])) == len(desk[1])
    return ticket


def move(stage: Stage, account: ConnectedAccount, ticket: int, price: float, **terms: Any) -> None:
    send(stage, account, action=mt5.TRADE_ACTION_MODIFY, order=ticket, price=price, **terms)


def waiting_at(stage: Stage, followers: list[ConnectedAccount]) -> list[PendingOrder]:
    return [one for each in followers for one in terminal_of(stage, each).pending_orders()]


def prices(stage: Stage, desk: Desk) -> list[float]:
    return [one.price_open for one in waiting_at(stage, desk[1])]


def changes() -> Any:
    return Order.objects.filter(kind=Order.Kind.MODIFY_ORDER)
