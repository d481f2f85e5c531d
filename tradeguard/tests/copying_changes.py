"""Changes of copies at one moment of a stage, for tests of what readings say of them."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from accounts.models import ConnectedAccount
from copytrade.models import CopyOrder
from copytrade.replication.arriving import _follower
from copytrade.replication.change_gate import ChangeGate
from copytrade.replication.flights import Flights
from copytrade.replication.gating import BatchGate
from copytrade.replication.markets import Markets
from copytrade.replication.rows import Copy
from copytrade.replication.scene import Scene
from copytrade.replication.waiting import waits_for_reading
from risk.models import Order
from risk.orders.drafts import new_tag
from risk.orders.terminal import PendingOrder, Position
from tradeguard.tests.copying_stage import view_of
from tradeguard.tests.stage import Stage

_TYPES = {2: "limit", 3: "limit", 4: "stop", 5: "stop", 6: "stop_limit", 7: "stop_limit"}


def scene_of(stage: Stage, *orders: Order, age: float = 0.0, locked: Any = ()) -> Scene:
    """Lay out what the last tick saw, as it is so many seconds later."""
    view = view_of(stage)
    locks = {lock.account_id: lock for lock in locked}
    now = view.poll.now + timedelta(seconds=age)
    return Scene.at(view, Flights(orders), locks, now)


def gate_of(scene: Scene, markets: Markets) -> ChangeGate:
    return ChangeGate(scene, markets, BatchGate(scene, markets))


def prove_left_to_lane(stage: Stage, copy: Copy, scene: Scene) -> None:
    """Prove that a change neither leaves at once nor waits for a reading."""
    assert not waits_for_reading(copy, scene)
    assert gate_of(scene, Markets(stage.server)).decide([copy], scene.now) == {}
    assert not copy.is_claimed
    assert copy.order is not None
    assert copy.order.gated_at is None


def change_of(stage: Stage, account: ConnectedAccount, position: Position, **own: Any) -> Copy:
    """Return a change of a position's stops, whose account is claimed."""
    fields = {
        "kind": Order.Kind.MODIFY_POSITION, "symbol": position.symbol,
        "direction": "buy" if position.is_buy else "sell", "position_ticket": position.ticket,
        "stop_loss": 1.08, "take_profit": 1.12,
    }  # fmt: skip
    return _copy(stage, account, {**fields, **own})


def move_of(stage: Stage, account: ConnectedAccount, pending: PendingOrder, **own: Any) -> Copy:
    """Return a change of a waiting order that says nothing new, whose account is claimed."""
    fields = {
        "kind": Order.Kind.MODIFY_ORDER, "symbol": pending.symbol, "type": _TYPES[pending.type],
        "direction": "sell" if pending.type % 2 else "buy", "order_ticket": pending.ticket,
        "price": pending.price_open, "stop_limit_price": pending.stop_limit_price or None,
        "stop_loss": pending.stop_loss, "take_profit": pending.take_profit,
    }  # fmt: skip
    return _copy(stage, account, {**fields, **own})


def _copy(stage: Stage, account: ConnectedAccount, fields: dict[str, Any]) -> Copy:
    order = Order(
        id=uuid4(), tag=new_tag(), user_id=account.user_id, account_id=account.pk,
        account_name=account.name, server=account.server, login=account.login, host="local",
        origin=Order.Origin.COPY, created_at=stage.now, **fields,
    )  # fmt: skip
    facts = view_of(stage).facts_of(account.pk)
    assert facts is not None
    row = CopyOrder(id=uuid4(), relationship_id=uuid4(), follower_id=account.pk)
    return Copy(_follower(row, facts, "local"), row, order, is_claimed=True)
