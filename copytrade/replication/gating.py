"""The gate for many followers at once, and which of their orders may go right away."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import Final
from uuid import UUID

import numpy as np

from accounts.symbol_terms import SymbolTerms
from copytrade.replication.alike import Alike
from copytrade.replication.changing import pending_of, position_of
from copytrade.replication.checks import Decided
from copytrade.replication.markets import Kind, Markets
from copytrade.replication.rows import Copy, refused
from copytrade.replication.scene import Scene
from risk.core.gate.book import Book, InFlight, Intent
from risk.core.gate.deciding import Round, decide, decide_round
from risk.core.gate.intents import Intents
from risk.core.gate.verdicts import VERDICTS, GateDecision, Verdict
from risk.gate.deciding import passed
from risk.gate.intents import aloft, asked, intent_of
from risk.gate.passing import may_pass_later
from risk.models import Order
from risk.orders.outcomes import refused as order_refused

_WARN: Final = VERDICTS.index(Verdict.WARN)
_OPENING: Final = frozenset(Order.OPENING_KINDS)
AT_ONCE: Final = frozenset(
    {
        Order.Kind.OPEN,
        Order.Kind.PLACE,
        Order.Kind.CLOSE,
        Order.Kind.CANCEL,
        Order.Kind.MODIFY_ORDER,
        Order.Kind.MODIFY_POSITION,
    }
)


@dataclass(frozen=True, slots=True)
class Passing:
    """Which of a crowd pass the gate as they are, by their places in it."""

    places: Sequence[int]
    asked: Alike
    decided: Round | None
    cases: Sequence[int]  # the place of each among those that were asked for
    verdicts: Sequence[Verdict]

    def decision(self, number: int) -> GateDecision | None:
        """Return what the gate said of one of them, counted among them; None for closes."""
        if not self.asked.order.opens:
            return None
        case, decided = self.cases[number], self.decided
        verdict, lots = self.verdicts[number], self.asked.sizes[case].lots
        order_id = self.asked.order_ids[case]
        if decided is None:
            return GateDecision(order_id, verdict, lots, tuple)
        explain, decisive = partial(decided.explain, case), partial(decided.decisive, case, verdict)
        return GateDecision(order_id, verdict, lots, explain, decisive)


class BatchGate:
    """Decides about the copies of one event; what symbols are is asked once per kind."""

    def __init__(self, scene: Scene, markets: Markets) -> None:
        self._scene = scene
        self._markets = markets
        self._moment = scene.now
        self._seen: dict[tuple[int, str], tuple[SymbolTerms | None, float | None]] = {}
        self._logins: Sequence[int] = scene.book.accounts.logins.tolist()
        self._leverages: Sequence[float] = scene.book.accounts.leverage.tolist()
        # In which it has decided, with the moment that its orders were gated at.
        self.rounds: list[Decided] = []

    def decide(self, copies: Sequence[Copy], now: datetime) -> Mapping[UUID, GateDecision]:
        """Decide about the opens among claimed copies; return the decisions by order.

        What may go is `sent` from now on, in memory; what is blocked is refused. An account has at
        most one of these copies.
        """
        asking: list[tuple[Copy, Order, int]] = []
        decided: dict[UUID, GateDecision] = {}
        for copy in copies:
            order = copy.order
            if order is None or not copy.is_claimed or order.kind not in _OPENING:
                continue
            place = copy.place
            if place < 0:
                place = self._scene.rows.get(order.account_id, -1)
            if place < 0:
                decided[order.id] = decision = passed(order)
                _follow(copy, decision, now)
                continue
            asking.append((copy, order, place))
        decisions = self.asked(asking, self._scene.book, now)
        for (copy, order, _), decision in zip(asking, decisions, strict=True):
            decided[order.id] = decision
            _follow(copy, decision, now)
        return decided

    def asked(
        self, asking: Sequence[tuple[Copy, Order, int]], book: Book, now: datetime
    ) -> list[GateDecision]:
        """Decide about orders, at most one of each account, given with the rows of those in a book.

        Nothing follows from it here but that it is noted.
        """
        self._moment = now
        rounds: list[Round] = []
        decisions = decide(book, self._intents(asking), self._aloft, rounds)
        self.rounds += [(each, now) for each in rounds]
        return decisions

    def passing(self, crowd: Alike, now: datetime) -> Passing:
        """Decide about a crowd's opens in one round, and return those that pass whole.

        The others ask for themselves; nothing is noted of them. Closes are not asked about.
        """
        if not crowd.order.opens:
            return Passing(range(len(crowd)), crowd, None, (), ())
        self._moment = now
        expected = self._expected(crowd)
        if not expected:
            return Passing((), crowd, None, (), ())
        asking = crowd.taken(expected)
        copy = Copy(asking.followers[0], crowd.first.row, crowd.order)
        form = self._intent(copy, crowd.order, int(asking.places[0]), is_expected=True)
        if form.terms is None:
            return Passing((), crowd, None, (), ())
        intents = Intents(
            [form],
            np.zeros(len(asking), dtype=np.int64),
            asking.places,
            [size.lots for size in asking.sizes],
            asking.order_ids,
        )
        decided = decide_round(self._scene.book, intents, self._aloft)
        worst = np.zeros(len(asking), dtype=np.int8)
        np.maximum.at(worst, decided.lines.case, decided.verdicts)
        cases = np.flatnonzero(worst <= _WARN).tolist()
        verdicts = [VERDICTS[code] for code in worst[cases].tolist()]
        return Passing([expected[case] for case in cases], asking, decided, cases, verdicts)

    def _expected(self, crowd: Alike) -> list[int]:
        """Return those whose terminal shows the login that they stand for."""
        servers, logins = self._scene.book.accounts.servers, self._logins
        return [
            one
            for one, (follower, place) in enumerate(
                zip(crowd.followers, crowd.places.tolist(), strict=True)
            )
            if logins[place] == follower.account.login and servers[place] == follower.account.server
        ]

    @cached_property
    def _aloft(self) -> Sequence[InFlight]:
        """What may be filled on any account of the host without its reading showing it."""
        scene = self._scene
        if not scene.flights.orders:
            return ()
        rows = scene.rows
        kinds = {order.login: self._kind(order.account_id) for order in scene.flights.orders}

        def terms(login: int, symbol: str) -> SymbolTerms | None:
            kind = kinds.get(login)
            return None if kind is None else self._markets.terms(kind, login, symbol)

        return list(
            aloft(
                scene.flights.orders,
                rows,
                scene.book,
                read_at=scene.view.poll.read_at.tolist(),
                terms=terms,
                commissions=lambda account_id, symbol: self._markets.commission(
                    self._kind(account_id), account_id, symbol, self._moment
                ),
            )
        )

    def _intents(self, asking: Sequence[tuple[Copy, Order, int]]) -> Intents:
        """Lay out what is asked; orders that differ in account and volume alone share a form."""
        forms: list[Intent] = []
        numbers: dict[Hashable, int] = {}
        form: list[int] = []
        leverages, servers = self._leverages, self._scene.book.accounts.servers
        for copy, order, place in asking:
            account = copy.follower.account
            is_expected = self._logins[place] == order.login and servers[place] == order.server
            key = (
                account.server,
                account.currency,
                leverages[place],
                is_expected,
                order.symbol,
                order.kind,
                order.direction,
                order.price,
                order.stop_limit_price,
                order.stop_loss,
                order.take_profit,
            )
            number = numbers.get(key)
            if number is None:
                number = len(forms)
                forms.append(self._intent(copy, order, place, is_expected=is_expected))
                # What a terminal did not say, that of the next one may.
                if forms[-1].terms is not None:
                    numbers[key] = number
            form.append(number)
        return Intents(
            forms,
            np.array(form, dtype=np.int64),
            np.array([place for _, _, place in asking], dtype=np.int64),
            [asked(order) for _, order, _ in asking],
            [order.id for _, order, _ in asking],
        )

    def _intent(self, copy: Copy, order: Order, row: int, *, is_expected: bool) -> Intent:
        account = copy.follower.account
        kind = self._scene.kind_of(account.id, account.server, account.currency)
        known = self._seen.get((id(kind), order.symbol))
        if known is None:
            terms = self._markets.terms(kind, order.login, order.symbol)
            commission = self._markets.commission(kind, account.id, order.symbol, self._moment)
            known = terms, commission
            if terms is not None:
                self._seen[id(kind), order.symbol] = known
        return intent_of(
            order,
            row,
            terms=known[0],
            commission_per_lot=known[1],
            is_expected=is_expected,
        )

    def _kind(self, account_id: UUID) -> Kind:
        facts = self._scene.view.facts_of(account_id)
        server, currency = ("", "") if facts is None else (facts.server, facts.currency)
        return self._scene.kind_of(account_id, server, currency)


def _follow(copy: Copy, decision: GateDecision, now: datetime) -> None:
    order = copy.order
    if order is None:
        return
    order.gated_at = copy.row.gated_at = now
    if may_pass_later(decision):
        # Its lane asks again until the deadline.
        order.gated_at = copy.row.gated_at = None
        copy.is_claimed = False
        return
    if decision.verdict is Verdict.BLOCK:
        order_refused(decision.sentence, Order.RefusedBy.GATE, now).put_on(order)
        refused(copy, decision.sentence, now)
        return
    if decision.volume is not None:
        order.volume = copy.row.volume = decision.volume
        if copy.position is not None:
            copy.position.volume = decision.volume
    # What the gate remarks is worded when the order has left: see `collecting`.


def goes_at_once(copy: Copy, scene: Scene) -> bool:
    """Tell whether a copy's order needs nothing but to be sent, once its account is claimed."""
    order = copy.order
    if copy.is_there:
        return True
    if order is None or order.kind not in AT_ONCE or scene.flights.is_busy(order.account_id):
        return False
    if copy.is_for_lane:
        return False
    if order.kind == Order.Kind.CLOSE:
        ticket = order.position_ticket
        held = None if ticket is None else scene.lots_of(order.account_id, ticket)
        # Only a lane reads again what is there, as long as the last reading does not say.
        return held is not None and order.volume is not None and order.volume <= held
    if order.kind == Order.Kind.CANCEL:
        return order.order_ticket is not None
    if order.kind == Order.Kind.MODIFY_ORDER:
        return pending_of(order, scene) is not None
    if order.kind == Order.Kind.MODIFY_POSITION:
        return position_of(order, scene) is not None
    # What `HostView.doubt_about` asks of one account was asked of all of them together.
    if copy.place >= 0:
        return bool(scene.figures.is_proven[copy.place])
    return order.account_id in scene.figures and order.account_id in scene.rows


def claimable(crowd: Alike, scene: Scene) -> list[int]:
    """Return which orders of a crowd need nothing but to be sent; see `goes_at_once`."""
    proven = np.flatnonzero(scene.figures.is_proven[crowd.places]).tolist()
    busy, account_ids = scene.flights.busy, crowd.account_ids
    return [one for one in proven if account_ids[one] not in busy] if busy else proven
