"""The gate for changes of many accounts at once, by what the host's last readings show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from uuid import UUID

from accounts.symbol_terms import SymbolTerms
from copytrade.replication.changing import CHANGES, pending_of, position_of, stops_of
from copytrade.replication.gating import BatchGate
from copytrade.replication.likeness import like
from copytrade.replication.markets import Kind, Markets
from copytrade.replication.rows import Copy
from copytrade.replication.scene import Scene
from risk.core.gate.book import InFlight
from risk.core.gate.changes import StopChange, decide_stop
from risk.core.gate.verdicts import GateDecision, Verdict
from risk.gate.changes import is_moved, stop_change, without
from risk.gate.intents import aloft
from risk.models import Order
from risk.orders.completion import complete_change


@dataclass(frozen=True, slots=True)
class _Move:
    """A waiting order at other prices, with all that its change leaves as it is."""

    copy: Copy
    wanted: Order
    row: int
    ticket: int


class ChangeGate:
    """Lets changes pass that a lane would let pass, by one scene.

    Orders that are moved are all asked about together, of the gate of the same event.
    """

    def __init__(self, scene: Scene, markets: Markets, gate: BatchGate) -> None:
        self._scene = scene
        self._markets = markets
        self._gate = gate

    def decide(self, copies: Sequence[Copy], now: datetime) -> dict[UUID, GateDecision]:
        """Decide about the changes among claimed copies; return what was said of those that pass.

        The others are not claimed any more: their lanes look again, and say what is in the way.
        """
        changes = [
            (copy, copy.order)
            for copy in copies
            if copy.is_claimed and copy.order is not None and copy.order.kind in CHANGES
        ]
        said = self._said(changes, now)
        passing: dict[UUID, GateDecision] = {}
        for copy, order in changes:
            decision = said.get(order.pk)
            # A change says no volume, so that what would reduce a new order lets none pass.
            if decision is None or decision.verdict not in (Verdict.ALLOW, Verdict.WARN):
                copy.is_claimed = False
                continue
            order.gated_at = copy.row.gated_at = now
            passing[order.pk] = decision
        return passing

    def _said(
        self, changes: Sequence[tuple[Copy, Order]], now: datetime
    ) -> dict[UUID, GateDecision]:
        said: dict[UUID, GateDecision] = {}
        moves: list[_Move] = []
        for copy, order in changes:
            if order.kind == Order.Kind.MODIFY_POSITION:
                told: GateDecision | _Move | None = self._of_position(copy, order, now)
            else:
                told = self._of_pending(copy, order, now)
            if isinstance(told, _Move):
                moves.append(told)
            elif told is not None:
                said[order.pk] = told
        if moves:
            book = without(self._scene.book, {move.row: move.ticket for move in moves})
            asking = [(move.copy, move.wanted, move.row) for move in moves]
            said |= {each.order_id: each for each in self._gate.asked(asking, book, now)}
        return said

    def _of_pending(self, copy: Copy, order: Order, now: datetime) -> GateDecision | _Move | None:
        before = pending_of(order, self._scene)
        if before is None:
            return None
        wanted, row = like(order), self._scene.rows[order.account_id]
        complete_change(wanted, before, copy.follower.account.broker_zone)
        if is_moved(wanted, before):
            return _Move(copy, wanted, row, before.ticket)
        kind = self._kind(copy)
        terms = self._markets.terms(kind, order.login, order.symbol)
        if terms is None:
            return None
        commission = self._markets.commission(kind, order.account_id, order.symbol, now)
        change = stop_change(wanted, before, row, terms=terms, commission_per_lot=commission)
        return self._of_stop(order, change, kind, now)

    def _of_position(self, copy: Copy, order: Order, now: datetime) -> GateDecision | None:
        there, kind = position_of(order, self._scene), self._kind(copy)
        terms = self._markets.terms(kind, order.login, order.symbol)
        if there is None or terms is None:
            return None
        change = StopChange(
            order_id=order.id,
            row=self._scene.rows[order.account_id],
            ticket=int(there["ticket"]),
            symbol=order.symbol,
            magic=int(there["magic"]),
            is_buy=order.direction == Order.Direction.BUY,
            lots=float(there["volume"]),
            entry_price=float(there["price_open"]),
            present_price=float(there["price_current"]),
            former_stop=float(there["sl"]),
            stop_loss=stops_of(order, there)[0],
            terms=terms,
            costs_per_lot=self._markets.commission(kind, order.account_id, order.symbol, now),
        )
        return self._of_stop(order, change, kind, now)

    def _of_stop(self, order: Order, change: StopChange, kind: Kind, now: datetime) -> GateDecision:
        in_flight = self._in_flight(order, kind, change.magic, now) if change.loosens else ()
        return decide_stop(self._scene.book, change, in_flight)

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

    def _kind(self, copy: Copy) -> Kind:
        account = copy.follower.account
        return self._scene.kind_of(account.id, account.server, account.currency)

    @cached_property
    def _read_at(self) -> Sequence[float]:
        read_at: Sequence[float] = self._scene.view.poll.read_at.tolist()
        return read_at
