"""What an order must pass whatever the rules say: the account, the terminal, the symbol."""

from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum

import numpy as np

from accounts.symbol_terms import SymbolTerms, SymbolTradeMode
from risk.core.arrays import Flags, Floats
from risk.core.gate.book import Intent
from risk.core.gate.cases import Cases
from risk.core.gate.lines import BLOCKS, Lines, blank_lines


class AccountCheck(IntEnum):
    """In the order in which they are told; rules follow with the numbers of their types."""

    READING = 100
    IDENTITY = 101
    TRADING_ALLOWED = 102
    ALGO_TRADING = 103
    LOCK = 104
    SYMBOL = 105
    TRADE_MODE = 106
    PRICES = 107
    VOLUME = 108
    VOLUME_LIMIT = 109
    FREE_MARGIN = 110

    @property
    def text(self) -> str:
        return self.name.lower()


_CHECKS = tuple(AccountCheck)


def account_lines(cases: Cases) -> Lines:
    """Lay out the checks of each order that have nothing to do with rules; all of them block."""
    count, checks = len(cases), len(_CHECKS)
    lines = blank_lines(
        np.repeat(np.arange(count), checks),
        np.full(count * checks, -1, dtype=np.int64),
        np.tile(np.array(_CHECKS, dtype=np.int16), count),
        np.full(count * checks, BLOCKS, dtype=np.int8),
    )
    barred = lines.is_barred.reshape(count, checks)
    for place, check in enumerate(_CHECKS):
        barred[:, place] = _bars(check, cases)
    _volumes(lines, cases)
    return lines


def _bars(check: AccountCheck, cases: Cases) -> Flags:
    """Tell which orders a check that knows no sizes lets not pass at all."""
    sheet, row = cases.book.accounts, cases.row
    match check:
        case AccountCheck.READING:
            return ~(sheet.known[row] & sheet.is_connected[row])
        case AccountCheck.IDENTITY:
            asked = cases.intents.flags(lambda intent: intent.is_expected)
            return ~(sheet.is_expected[row] & asked)
        case AccountCheck.TRADING_ALLOWED:
            # Without a reading neither is known, which is a check of its own.
            return ~sheet.trade_allowed[row] & sheet.known[row]
        case AccountCheck.ALGO_TRADING:
            return ~sheet.algo_allowed[row] & sheet.known[row]
        case AccountCheck.LOCK:
            locked = np.zeros(len(sheet), dtype=np.bool_)
            locked[list(sheet.lock_reasons)] = True
            return locked[row]
        case AccountCheck.SYMBOL:
            return _fails(cases, lambda intent: intent.terms is not None)
        case AccountCheck.TRADE_MODE:
            return _fails(cases, lambda intent: trade_mode_fault(intent) is None)
        case AccountCheck.PRICES:
            return _fails(cases, lambda intent: price_fault(intent) is None)
        case AccountCheck.VOLUME:
            return _fails_by_volume(cases)
        case _:
            return np.zeros(len(cases), dtype=np.bool_)


def _fails(cases: Cases, passes: Callable[[Intent], bool]) -> Flags:
    return ~cases.intents.flags(passes)


def _fails_by_volume(cases: Cases) -> Flags:
    faults = cases.intents.each(cases.intents.volumes, volume_fault)
    return np.array([fault is not None for fault in faults], dtype=np.bool_)


def _volumes(lines: Lines, cases: Cases) -> None:
    """Fill in the checks that let a smaller order pass."""
    count, checks = len(cases), len(_CHECKS)
    place = _CHECKS.index(AccountCheck.VOLUME)
    largest = _told(cases, lambda terms: terms.volume_max)
    _view(lines.per_lot, count, checks)[:, place] = 1.0
    # Without terms SYMBOL refuses already.
    _view(lines.budget, count, checks)[:, place] = np.where(np.isnan(largest), np.inf, largest)
    place = _CHECKS.index(AccountCheck.VOLUME_LIMIT)
    limit = _told(cases, lambda terms: terms.volume_limit)
    held = cases.same_lots + cases.same_pending_lots + cases.flying_lots
    _view(lines.before, count, checks)[:, place] = held
    _view(lines.closing, count, checks)[:, place] = cases.closing_lots
    _view(lines.per_lot, count, checks)[:, place] = 1.0
    _view(lines.budget, count, checks)[:, place] = np.where(limit > 0, limit, np.inf)
    place = _CHECKS.index(AccountCheck.FREE_MARGIN)
    covered = covered_lots(cases)
    _view(lines.before, count, checks)[:, place] = cases.flying_margin
    _view(lines.closing, count, checks)[:, place] = covered
    _view(lines.while_closing, count, checks)[:, place] = -margin_saved(cases)
    _view(lines.per_lot, count, checks)[:, place] = cases.margin_per_lot
    free = cases.book.accounts.margin_free[cases.row]
    _view(lines.budget, count, checks)[:, place] = np.where(np.isnan(free), -np.inf, free)


def covered_lots(cases: Cases) -> Floats:
    """Return which first lots of an order stand against opposite ones, and cost no more margin."""
    uncovered = np.maximum(cases.opposite_lots - cases.same_lots - cases.flying_lots, 0.0)
    return np.where(cases.is_netting, cases.closing_lots, np.where(cases.is_market, uncovered, 0.0))


def margin_saved(cases: Cases) -> Floats:
    """Return the margin that a covered lot sets free: all of it where positions are netted."""
    share = np.where(cases.is_netting, 1.0, 1.0 - cases.hedged_fraction)
    return np.nan_to_num(cases.margin_per_lot * share)


def _view(column: Floats, count: int, checks: int) -> Floats:
    return column.reshape(count, checks)


def _told(cases: Cases, take: Callable[[SymbolTerms], float]) -> Floats:
    return cases.intents.numbers(
        lambda intent: None if intent.terms is None else take(intent.terms)
    )


_FORBIDDEN = {
    SymbolTradeMode.DISABLED: "can't be traded now",
    SymbolTradeMode.CLOSE_ONLY: "is closed to new positions: positions can only be closed",
}


def trade_mode_fault(intent: Intent) -> str | None:
    """Say why the broker takes no such order in this symbol; None when it does."""
    terms = intent.terms
    if terms is None or terms.trade_mode == SymbolTradeMode.FULL:
        return None
    if terms.trade_mode in _FORBIDDEN:
        return f"{terms.name} {_FORBIDDEN[SymbolTradeMode(terms.trade_mode)]}."
    if terms.trade_mode == SymbolTradeMode.LONG_ONLY and not intent.is_buy:
        return f"{terms.name} can only be bought at this broker."
    if terms.trade_mode == SymbolTradeMode.SHORT_ONLY and intent.is_buy:
        return f"{terms.name} can only be sold at this broker."
    return None


def price_fault(intent: Intent) -> str | None:
    """Say what is wrong with an order's price or its stops; None when nothing is."""
    terms = intent.terms
    if terms is None:
        return None
    if intent.price is None:
        return f"There is no price for {terms.name}."
    # A position is closed on the other side of the book than it was opened.
    reference = (terms.bid if intent.is_buy else terms.ask) if intent.is_market else intent.price
    if reference <= 0:
        return f"There is no price for {terms.name}."
    nearest = terms.stops_level * terms.point
    for name, price, sign in (
        ("stop loss", intent.stop_loss, intent.sign),
        ("take profit", intent.take_profit, -intent.sign),
    ):
        if not price:
            continue
        distance = (reference - price) * sign
        if distance <= 0:
            side = "below" if sign > 0 else "above"
            return f"The {name} must lie {side} {reference:.{terms.digits}f}."
        if distance < nearest - terms.point * 1e-6:
            return (
                f"The {name} is {distance / terms.point:.0f} points away, and the broker wants at"
                f" least {terms.stops_level}."
            )
    return None


def volume_fault(intent: Intent, volume: Decimal) -> str | None:
    """Say why the broker takes no such order of a volume, too large a one apart."""
    terms = intent.terms
    if terms is None:
        return None
    smallest = Decimal(repr(terms.volume_min))
    if volume < smallest:
        return f"{volume.normalize():f} lots is below the smallest volume of {smallest:f}."
    if terms.step > 0 and volume % terms.step:
        below = terms.floored(volume)
        return (
            f"{volume.normalize():f} lots is no whole number of steps of {terms.step:f};"
            f" {below:f} would be."
        )
    return None
