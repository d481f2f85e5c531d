"""The orders of one round as columns, with what their accounts hold added up beside them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from accounts.terminals.readings import Rows
from risk.core.arrays import Flags, Floats, Integers
from risk.core.gate.book import Book, InFlight, Intent
from risk.core.gate.intents import Intents
from risk.core.stops import losses_at_stops

_SELL = 1
_CLOSE_BY = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Positions, and what is in flight, of the accounts of a round; `case` is the order's place.

    `sign` is 1 for bought, `notional` is not signed, `risk` is what is lost at the stop (0 without
    one) and `price` the present one.
    """

    case: Integers
    symbol: Integers
    sign: Floats
    lots: Floats
    notional: Floats
    risk: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """One element per order; NaN where something is not known.

    `same_*` are in the direction of the order and in its symbol, `opposite_*` against it. `own_net`
    is the net notional of its symbol, positive in its own direction; `other_net` sums the others
    without their signs. `closing_lots` is what of the order only takes a netting position away.
    """

    intents: Intents
    book: Book
    row: Integers
    symbol: Integers
    symbols: Mapping[str, int]
    sign: Floats
    volume: Floats
    is_market: Flags
    is_netting: Flags
    has_stop: Flags
    loss_per_lot: Floats
    notional_per_lot: Floats
    margin_per_lot: Floats
    cost_per_lot: Floats  # what filling it takes from the equity
    hedged_fraction: Floats
    held: Held = field(repr=False)
    same_lots: Floats = field(repr=False)
    opposite_lots: Floats = field(repr=False)
    same_pending_lots: Floats = field(repr=False)
    closing_lots: Floats = field(repr=False)
    position_count: Floats = field(repr=False)
    pending_count: Floats = field(repr=False)
    own_net: Floats = field(repr=False)
    other_net: Floats = field(repr=False)
    gross: Floats = field(repr=False)
    symbol_risk: Floats = field(repr=False)
    flying_count: Floats = field(repr=False)
    flying_lots: Floats = field(repr=False)
    flying_loss: Floats = field(repr=False)
    flying_margin: Floats = field(repr=False)

    def __len__(self) -> int:
        return len(self.row)


def cases_of(book: Book, intents: Intents, in_flight: Sequence[InFlight]) -> Cases:
    """Lay out the orders of a round, at most one of each account."""
    symbols = dict(zip(book.symbols, range(len(book.symbols)), strict=True))
    for name in (*(each.symbol for each in intents.forms), *(each.symbol for each in in_flight)):
        symbols.setdefault(name, len(symbols))
    row = intents.rows
    symbol = _places(symbols[form.symbol] for form in intents.forms)[intents.form]
    sign = intents.numbers(lambda form: form.sign)
    netting = book.accounts.is_netting[row]
    is_market = intents.flags(lambda form: form.is_market)
    case_of = np.full(len(book.accounts), -1, dtype=np.int64)
    case_of[row] = np.arange(len(intents))
    flying = [each for each in in_flight if case_of[each.row] >= 0]
    positions, position_case = _of_cases(book.positions, book.position_starts, row)
    pendings, pending_case = _of_cases(book.orders, book.order_starts, row)
    waiting = pendings["type"] < _CLOSE_BY
    pendings, pending_case = pendings[waiting], pending_case[waiting]
    held = _held(positions, position_case, flying, case_of, symbols)
    count = len(intents)
    aloft = _Aloft(flying, case_of, symbols, symbol, sign)
    of_reading = len(positions)
    own = held.symbol == symbol[held.case]
    with_order = own & (held.sign == sign[held.case])
    read = np.arange(len(held.case)) < of_reading
    same = _sum(held.case, held.lots, with_order & read, count)
    opposite = _sum(held.case, held.lots, own & ~with_order & read, count)
    pending_sign = np.where(pendings["type"] & 1, -1.0, 1.0)
    pending_same = (pendings["symbol"] == symbol[pending_case]) & (
        pending_sign == sign[pending_case]
    )
    net = _net(held, count, len(symbols))
    own_net = net[np.arange(count), symbol]
    return Cases(
        intents=intents,
        book=book,
        row=row,
        symbol=symbol,
        symbols=symbols,
        sign=sign,
        volume=np.array([float(volume) for volume in intents.volumes]),
        is_market=is_market,
        is_netting=netting,
        has_stop=intents.flags(lambda form: bool(form.stop_loss)),
        loss_per_lot=intents.numbers(lambda form: form.loss_per_lot),
        notional_per_lot=intents.numbers(_notional),
        margin_per_lot=_numbers(intents.each(book.accounts.leverage[row].tolist(), _margin)),
        cost_per_lot=intents.numbers(lambda form: form.cost_per_lot),
        hedged_fraction=intents.numbers(_hedged_fraction),
        held=held,
        same_lots=same,
        opposite_lots=opposite,
        same_pending_lots=_sum(pending_case, pendings["volume"], pending_same, count),
        # What flies in the symbol may have taken the position away already.
        closing_lots=np.where(netting & is_market, np.maximum(opposite - aloft.any_lots, 0.0), 0.0),
        position_count=np.bincount(position_case, minlength=count).astype(np.float64),
        pending_count=np.bincount(pending_case, minlength=count).astype(np.float64),
        own_net=own_net * sign,
        other_net=np.abs(net).sum(axis=1) - np.abs(own_net),
        gross=_sum(held.case, held.notional, np.ones(len(own), dtype=np.bool_), count),
        symbol_risk=_sum(held.case, held.risk, own, count),
        flying_count=aloft.count,
        flying_lots=aloft.same_lots,
        flying_loss=aloft.loss,
        flying_margin=aloft.margin,
    )


class _Aloft:
    """What is in flight, added up per order of the round."""

    def __init__(
        self,
        flying: Sequence[InFlight],
        case_of: Integers,
        symbols: Mapping[str, int],
        symbol: Integers,
        sign: Floats,
    ) -> None:
        count = len(symbol)
        self.count, self.same_lots, self.any_lots = (np.zeros(count) for _ in range(3))
        self.loss, self.margin = np.zeros(count), np.zeros(count)
        for each in flying:
            case = int(case_of[each.row])
            is_own = symbols[each.symbol] == symbol[case]
            if is_own:
                self.any_lots[case] += each.lots
            if not each.opens:
                continue
            self.count[case] += 1
            self.loss[case] += each.lots * _or_nan(each.loss_per_lot)
            self.margin[case] += each.lots * _or_nan(each.margin_per_lot)
            if is_own and (1.0 if each.is_buy else -1.0) == sign[case]:
                self.same_lots[case] += each.lots


def _held(
    positions: Rows,
    position_case: Integers,
    flying: Sequence[InFlight],
    case_of: Integers,
    symbols: Mapping[str, int],
) -> Held:
    opening = [each for each in flying if each.opens]
    lots = np.array([each.lots for each in opening])
    notional = lots * _numbers(each.notional_per_lot for each in opening)
    risk = lots * np.nan_to_num(_numbers(each.loss_per_lot for each in opening))
    sign = np.where(positions["type"] == _SELL, -1.0, 1.0)
    return Held(
        case=np.r_[position_case, _places(case_of[each.row] for each in opening)],
        symbol=np.r_[
            positions["symbol"].astype(np.int64), _places(symbols[each.symbol] for each in opening)
        ],
        sign=np.r_[sign, np.array([1.0 if each.is_buy else -1.0 for each in opening])],
        lots=np.r_[positions["volume"], lots],
        notional=np.r_[positions["notional"], notional],
        risk=np.r_[losses_at_stops(positions), risk],
    )


def _of_cases(rows: Rows, starts: Integers, accounts: Integers) -> tuple[Rows, Integers]:
    """Take the rows of those accounts, and tell to which of them each belongs."""
    first, counts = starts[accounts], starts[accounts + 1] - starts[accounts]
    case = np.repeat(np.arange(len(accounts)), counts)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    taken = np.repeat(first, counts) + np.arange(len(case)) - before
    return rows[taken], case


def _net(held: Held, cases: int, symbols: int) -> Floats:
    key = held.case * symbols + held.symbol
    net = np.bincount(key, held.sign * held.notional, cases * symbols).astype(np.float64)
    by_case: Floats = net.reshape(cases, symbols)
    return by_case


def _sum(case: Integers, weights: Floats, chosen: Flags, count: int) -> Floats:
    return np.bincount(case[chosen], weights[chosen], count).astype(np.float64, copy=False)


def _numbers(values: Iterable[float | None]) -> Floats:
    return np.array([_or_nan(value) for value in values], dtype=np.float64)


def _places(values: Iterable[int]) -> Integers:
    return np.array(list(values), dtype=np.int64)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _notional(intent: Intent) -> float | None:
    """Return what a lot is worth once it is open: valued on the other side of the book."""
    terms, price = intent.terms, intent.price
    if terms is None or price is None:
        return None
    spread = max(terms.ask - terms.bid, 0.0) if terms.bid > 0 else 0.0
    return terms.notional_per_lot(price - intent.sign * spread)


def _hedged_fraction(intent: Intent) -> float:
    return 1.0 if intent.terms is None else min(intent.terms.hedged_fraction, 1.0)


def _margin(intent: Intent, leverage: float) -> float | None:
    if intent.terms is None or intent.price is None:
        return None
    return intent.terms.margin_per_lot(intent.is_buy, intent.price, int(leverage))
