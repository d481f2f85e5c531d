"""Which positions and orders a rule's action is about.

Losses of the whole account have no single offending position: all that the rule counts are, in the
rule's closing order. For sizes, counts, leverage, exposure, margin and risk it is what exceeds the
limit: newest first and in part to REDUCE_SIZE, whole positions in the rule's order to
CLOSE_POSITION. Pending orders that count go before positions do. Source: DOMAIN.md, "Actions".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from risk.core.closing import OpenPosition, Part, PendingOrder, in_order, left_after
from risk.core.excess import (
    Excess,
    cut,
    exposure_excess,
    joined,
    leverage_excess,
    margin_excess,
    newest_orders,
    size_excess,
    stop_risk_excess,
)
from risk.core.parameters import (
    LossParameters,
    MarginLevel,
    MaxCorrelation,
    MaxDailyTrades,
    MaxExposure,
    MaxLeverage,
    MaxPositionSize,
    PositionLimit,
    RiskPerTrade,
    RuleParameters,
    StopLossRequired,
    TradingWindow,
)
from risk.core.responses import Response
from risk.core.rule_types import Action, ClosingOrder, WindowKind

_NOT_REACHED = Decimal("0.999999")


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """An account as it was just read, and what is known around it.

    `moment_msc` is the broker's clock. `correlations` are the coefficients of two symbols in
    alphabetical order, `currencies` those that a symbol consists of, `news_currencies` those
    around whose events nothing may be open now. `opened_today` has the tickets in the order in
    which they were opened on this trading day. What is left out is not known.
    """

    positions: tuple[OpenPosition, ...]
    orders: tuple[PendingOrder, ...] = ()
    equity: float = 0.0
    balance: float = 0.0
    margin: float = 0.0
    moment_msc: int = 0
    correlations: Mapping[tuple[str, str], float] = field(default_factory=dict)
    currencies: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    news_currencies: frozenset[str] = frozenset()
    opened_today: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Offence:
    """What an action closes and deletes; empty when there is nothing to do."""

    parts: tuple[Part, ...] = ()
    cancels: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.parts or self.cancels)


def everything(book: Book, response: Response) -> Offence:
    """Name all orders, and of all positions what a CLOSE_ALL with this response closes."""
    cancels = tuple(order.ticket for order in book.orders)
    return Offence(_whole(book.positions, response), cancels)


def offending(rule: RuleParameters, response: Response, book: Book) -> Offence:
    """Name what the action of a rule closes and deletes on an account that it found violated.

    With a safety margin it is what exceeds that part of the limit.
    """
    if response.action is Action.CLOSE_ALL:
        return everything(book, response)
    rule = _within_margin(rule, response.act_at_fraction)
    positions = [each for each in book.positions if _counts(each.magic, rule)]
    orders = [each for each in book.orders if _counts(each.magic, rule)]
    match rule:
        case LossParameters():
            return Offence(_whole(positions, response))
        case MaxPositionSize():
            excesses, cancels = size_excess(rule, positions, orders)
            return Offence(_cut(response, positions, excesses), tuple(cancels))
        case PositionLimit():
            return _over_count(rule, response, positions, orders)
        case TradingWindow():
            return _inside_window(rule, response, book, positions, orders)
        case MaxCorrelation() | StopLossRequired() | MaxDailyTrades():
            return Offence(_whole(_misplaced(rule, book, positions), response))
        case _:
            return Offence(_cut(response, positions, _excesses(rule, book, positions)))


def _within_margin(rule: RuleParameters, fraction: float) -> RuleParameters:
    """Return the rule with the limit that its safety margin leaves, which may not be reached."""
    if fraction >= 1 or isinstance(rule, LossParameters | TradingWindow | MaxDailyTrades):
        return rule
    part = Decimal(str(fraction)) * _NOT_REACHED
    limit = rule.limit / part if isinstance(rule, MarginLevel) else rule.limit * part
    return replace(rule, limit=limit)


def _counts(magic: int, rule: RuleParameters) -> bool:
    return rule.magic is None or magic == rule.magic


def _spared(position: OpenPosition, response: Response) -> bool:
    return response.losers_only and position.profit >= 0


def _whole(positions: Iterable[OpenPosition], response: Response) -> tuple[Part, ...]:
    """Take the rule's part of each position, or of those at a loss, in the rule's order."""
    fraction = Decimal(str(response.close_fraction))
    return tuple(
        Part(each.ticket, each.volume - left_after(each, each.volume * fraction))
        for each in in_order(positions, response.closing_order)
        if not _spared(each, response)
    )


def _excesses(rule: RuleParameters, book: Book, positions: Sequence[OpenPosition]) -> list[Excess]:
    match rule:
        case MarginLevel():
            return margin_excess(rule, book.equity, book.margin, positions)
        case MaxLeverage():
            return leverage_excess(rule, book.equity, positions)
        case MaxExposure():
            return exposure_excess(rule, book.equity, book.currencies, positions)
        case RiskPerTrade():
            return stop_risk_excess(rule, book.balance, positions)
        case _:
            return []


def _cut(
    response: Response, positions: Sequence[OpenPosition], excesses: Iterable[Excess]
) -> tuple[Part, ...]:
    in_whole = response.action is not Action.REDUCE_SIZE
    order = response.closing_order if in_whole else ClosingOrder.NEWEST_FIRST
    queue = [each for each in in_order(positions, order) if not _spared(each, response)]
    fraction = Decimal(str(response.close_fraction))
    return joined(cut(each, queue, in_whole=in_whole, fraction=fraction) for each in excesses)


def _over_count(
    rule: PositionLimit,
    response: Response,
    positions: Sequence[OpenPosition],
    orders: Sequence[PendingOrder],
) -> Offence:
    """Take as many as there are too many: pending orders where they count, then positions.

    A part of a position would not change their number.
    """
    counted = newest_orders(orders) if rule.include_pending else []
    excess = len(positions) + len(counted) - int(rule.limit)
    cancels = counted[: max(excess, 0)]
    is_reduced = response.action is Action.REDUCE_SIZE
    order = ClosingOrder.NEWEST_FIRST if is_reduced else response.closing_order
    queue = [each for each in in_order(positions, order) if not _spared(each, response)]
    parts = [Part(each.ticket, each.volume) for each in queue[: max(excess - len(cancels), 0)]]
    return Offence(tuple(parts), tuple(each.ticket for each in cancels))


def _inside_window(
    rule: TradingWindow,
    response: Response,
    book: Book,
    positions: Sequence[OpenPosition],
    orders: Sequence[PendingOrder],
) -> Offence:
    """Take what may not be open now: all of it, or what the news is about."""

    def is_meant(symbol: str) -> bool:
        # A symbol whose currencies are not known could be one of them.
        of_symbol = book.currencies.get(symbol)
        return of_symbol is None or bool(book.news_currencies & {*of_symbol})

    if rule.kind is WindowKind.NEWS:
        positions = [each for each in positions if is_meant(each.symbol)]
        orders = [each for each in orders if is_meant(each.symbol)]
    cancels = tuple(each.ticket for each in orders) if rule.include_pending else ()
    return Offence(_whole(positions, response), cancels)


def _misplaced(
    rule: RuleParameters, book: Book, positions: Sequence[OpenPosition]
) -> list[OpenPosition]:
    match rule:
        case StopLossRequired():
            since = book.moment_msc - float(rule.limit) * 60_000
            return [each for each in positions if each.stop_loss <= 0 and each.opened_msc <= since]
        case MaxDailyTrades():
            late = set(book.opened_today[int(rule.limit) :])
            return [each for each in positions if each.ticket in late]
        case MaxCorrelation():
            return _too_alike(rule, book.correlations, positions)
        case _:
            return []


def _too_alike(
    rule: MaxCorrelation,
    correlations: Mapping[tuple[str, str], float],
    positions: Sequence[OpenPosition],
) -> list[OpenPosition]:
    """Return, of each two positions that move together too much, the one opened later."""
    kept: list[OpenPosition] = []
    found: list[OpenPosition] = []
    for position in in_order(positions, ClosingOrder.OLDEST_FIRST):
        is_alike = any(
            _coefficient(position, other, correlations) > float(rule.limit) for other in kept
        )
        (found if is_alike else kept).append(position)
    return found


def _coefficient(
    one: OpenPosition, other: OpenPosition, correlations: Mapping[tuple[str, str], float]
) -> float:
    if one.symbol == other.symbol:
        return float("-inf")
    first, second = sorted((one.symbol, other.symbol))
    known = correlations.get((first, second), float("-inf"))
    return known if one.is_sell == other.is_sell else -known
