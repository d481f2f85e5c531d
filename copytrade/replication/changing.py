"""Stops moved on many accounts together, by what the host's last readings show of the positions.

A lane asks the terminal before it sends a change: whether the position is there, what stops it has,
and the gate about those that loosen. Here a reading says that, if it is new enough. Whatever it
leaves open, and whatever the gate has something against, is for the lanes.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from accounts.symbol_terms import SymbolTerms
from copytrade.replication.markets import Kind, Markets
from copytrade.replication.rows import Copy
from copytrade.replication.scene import Scene
from risk.core.gate.book import InFlight
from risk.core.gate.changes import StopChange, decide_stop
from risk.core.gate.verdicts import GateDecision
from risk.gate.intents import SETTLING_SECONDS, aloft
from risk.models import Order
from risk.orders.terminal import BUY

# An older reading is not asked: the next one is there a moment later.
NEWEST_SECONDS: Final = 0.5


def position_of(order: Order, scene: Scene) -> Any:
    """Return the row of the position that a change of stops is about; None where nobody can tell.

    That is also so where it is not what it was when the change was planned.
    """
    account_id, ticket = order.account_id, order.position_ticket
    if ticket is None or not is_read(order, scene):
        return None
    positions = scene.positions_of(account_id)
    there = None if positions is None else positions.get(ticket)
    if there is None or scene.symbol_of(account_id, there) != order.symbol:
        return None
    is_buy = order.direction == Order.Direction.BUY
    return there if (int(there["type"]) == BUY) is is_buy else None


def is_read(order: Order, scene: Scene) -> bool:
    """Tell whether a reading is new, and younger than all that was sent to the account."""
    account_id = order.account_id
    read_at = scene.read_at(account_id) if account_id in scene.rows else None
    if read_at is None or scene.now.timestamp() - read_at > NEWEST_SECONDS:
        return False
    # What is left as it is is sent as well: it must not be what it was before it was moved.
    settling = SETTLING_SECONDS if _leaves_a_level(order) else 0.0
    return scene.flights.are_shown_by(account_id, read_at, settling)


def complete(copies: Iterable[Copy], scene: Scene) -> None:
    """Fill in the levels that changes, right before they are written as sent, leave as they are."""
    for copy in copies:
        order = copy.order
        if order is None or order.kind != Order.Kind.MODIFY_POSITION:
            continue
        there = position_of(order, scene) if _leaves_a_level(order) else None
        if there is not None:
            order.stop_loss, order.take_profit = _levels(order, there)


class ChangeGate:
    """Lets changes of stops pass that a lane would let pass, by one scene."""

    def __init__(self, scene: Scene, markets: Markets) -> None:
        self._scene = scene
        self._markets = markets

    def decide(self, copies: Sequence[Copy], now: datetime) -> dict[UUID, GateDecision]:
        """Decide about the changes among claimed copies; return what was said of those that pass.

        The others are not claimed any more: their lanes look again, and say what is in the way.
        """
        decided: dict[UUID, GateDecision] = {}
        for copy in copies:
            order = copy.order
            if order is None or not copy.is_claimed or order.kind != Order.Kind.MODIFY_POSITION:
                continue
            decision = self._decision(copy, order, now)
            if decision is None or not decision.is_allowed:
                copy.is_claimed = False
                continue
            order.gated_at = copy.row.gated_at = now
            decided[order.pk] = decision
        return decided

    def _decision(self, copy: Copy, order: Order, now: datetime) -> GateDecision | None:
        there, scene = position_of(order, self._scene), self._scene
        account = copy.follower.account
        kind = scene.kind_of(account.id, account.server, account.currency)
        terms = self._markets.terms(kind, order.login, order.symbol)
        if there is None or terms is None:
            return None
        change = StopChange(
            order_id=order.id,
            row=scene.rows[order.account_id],
            ticket=int(there["ticket"]),
            symbol=order.symbol,
            magic=int(there["magic"]),
            is_buy=order.direction == Order.Direction.BUY,
            lots=float(there["volume"]),
            entry_price=float(there["price_open"]),
            present_price=float(there["price_current"]),
            former_stop=float(there["sl"]),
            stop_loss=_levels(order, there)[0],
            terms=terms,
            costs_per_lot=self._markets.commission(kind, account.id, order.symbol, now),
        )
        in_flight = self._in_flight(order, kind, change.magic, now) if change.loosens else ()
        return decide_stop(scene.book, change, in_flight)

    def _in_flight(self, order: Order, kind: Kind, magic: int, now: datetime) -> Sequence[InFlight]:
        """Return what may be filled on the account without its reading showing it."""
        scene, markets = self._scene, self._markets

        def terms(login: int, symbol: str) -> SymbolTerms | None:
            return markets.terms(kind, login, symbol)

        others = [other for other in scene.flights.of(order.account_id) if other.tag != magic]
        return list(
            aloft(
                others,
                scene.rows,
                scene.book,
                read_at=self._read_at,
                terms=terms,
                commissions=lambda pk, symbol: markets.commission(kind, pk, symbol, now),
            )
        )

    @cached_property
    def _read_at(self) -> Sequence[float]:
        read_at: Sequence[float] = self._scene.view.poll.read_at.tolist()
        return read_at


def _leaves_a_level(order: Order) -> bool:
    return order.stop_loss is None or order.take_profit is None


def _levels(order: Order, there: Any) -> tuple[float, float]:
    """Return both stops as they are to be, 0 for none."""
    stop_loss, take_profit = order.stop_loss, order.take_profit
    return (
        float(there["sl"]) if stop_loss is None else stop_loss,
        float(there["tp"]) if take_profit is None else take_profit,
    )
