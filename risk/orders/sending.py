"""Sending one order: with a fresh price, again when the price moved, and never twice in doubt."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from accounts.symbol_terms import SymbolTerms
from accounts.terminals.codes import ALGO_TRADING_DISABLED
from accounts.terminals.link import LinkError
from risk.models import Order
from risk.orders.outcomes import Outcome, answered, doubtful, not_sent, refused, waiting
from risk.orders.requests import deviation_points, market_price, needs_quote, trade_request
from risk.orders.retcodes import MAYBE_GONE, PRICE_MOVED
from risk.orders.terminal import AccountTerminal, SendResult

logger = logging.getLogger(__name__)

CLOSING_ATTEMPTS = 4
OPENING_ATTEMPTS = 2
RETRY = timedelta(seconds=1)
_CLOSES = (Order.Kind.CLOSE, Order.Kind.CLOSE_BY)


class Sender:
    """Sends orders to one terminal; what it returns is not written yet."""

    def __init__(
        self,
        terminal: AccountTerminal,
        zone: str,
        clock: Callable[[], datetime],
        checkpoint: Callable[[str], None],
    ) -> None:
        self._terminal = terminal
        self._zone = zone
        self._clock = clock
        self._checkpoint = checkpoint

    def send(self, order: Order) -> Outcome:
        """Send an order whose row says `sent`; never raises, for its outcome must be written."""
        try:
            return self._try(order)
        except Exception as error:
            # Whatever it was may have come after the order had left.
            logger.exception("Order %s ended in an error.", order.pk)
            sentence = f"The answer could not be read ({type(error).__name__})."
            return doubtful(sentence, self._clock())

    def _try(self, order: Order) -> Outcome:
        attempts = OPENING_ATTEMPTS if order.opens else CLOSING_ATTEMPTS
        first: SymbolTerms | None = None
        result: SendResult | None = None
        for _ in range(attempts):
            try:
                terms = self._terminal.symbol(order.symbol) if needs_quote(order) else None
                request = trade_request(order, terms, self._zone)
            except LinkError as error:
                return self._unsent(order, error)
            except ValueError as error:
                return refused(f"{error}."[:255], Order.RefusedBy.GATE, self._clock())
            if first is not None and terms is not None and _moved_too_far(order, first, terms):
                break
            first = first or terms
            self._checkpoint("sending")
            try:
                result = self._terminal.send(request)
            except LinkError as error:
                if error.may_have_executed:
                    return doubtful(f"The terminal did not answer: {error.text}.", self._clock())
                return self._unsent(order, error)
            if result.retcode not in PRICE_MOVED:
                break
        if result is None:
            raise RuntimeError("an order is sent at least once")
        return self._judged(order, result)

    def _judged(self, order: Order, result: SendResult) -> Outcome:
        now = self._clock()
        outcome = answered(order, result, now)
        if outcome.state == Order.State.REJECTED and result.retcode in MAYBE_GONE:
            return self._unless_gone(order, outcome)
        if outcome.state == Order.State.REJECTED and result.retcode in PRICE_MOVED and order.opens:
            return Outcome(outcome.state, f"{outcome.message} Nothing was opened.", outcome.fields)
        return outcome

    def _unless_gone(self, order: Order, outcome: Outcome) -> Outcome:
        """Take a close of what is gone for done, once the terminal shows that it is."""
        now = self._clock()
        try:
            if order.kind in _CLOSES:
                tickets = {position.ticket for position in self._terminal.positions()}
                is_gone = order.position_ticket not in tickets
                sentence = "The position was closed already."
            elif order.kind == Order.Kind.CANCEL:
                tickets = {pending.ticket for pending in self._terminal.pending_orders()}
                is_gone = order.order_ticket not in tickets
                sentence = "The order was gone already."
            else:
                return outcome
        except LinkError as error:
            return doubtful(f"It may be gone already: {error.text}.", now)
        if not is_gone:
            return outcome
        fields = {**outcome.fields, "refused_by": ""}
        return Outcome(Order.State.FILLED, sentence, fields)

    def _unsent(self, order: Order, error: LinkError) -> Outcome:
        now = self._clock()
        if error.code == ALGO_TRADING_DISABLED:
            return refused(
                "The terminal does not take orders of programs: switch on its Python API.",
                Order.RefusedBy.TERMINAL,
                now,
            )
        sentence = f"It was not sent: {error.text or 'the terminal does not answer'}."
        if order.send_by_at is None:
            return not_sent(sentence, now)
        return waiting(sentence, now + RETRY)


def _moved_too_far(order: Order, first: SymbolTerms, now: SymbolTerms) -> bool:
    """Tell whether an open would now deal further off its first price than it may slip."""
    if not order.opens or order.kind != Order.Kind.OPEN:
        return False
    moved = abs(market_price(order, now) - market_price(order, first))
    return moved > deviation_points(order) * now.point + now.point / 2
