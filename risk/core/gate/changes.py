"""What another stop loss would do to the rules of its account: a tighter one always passes."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np

from accounts.symbol_terms import SymbolTerms
from risk.core.figures import amount_text
from risk.core.gate.book import Book, InFlight
from risk.core.gate.verdicts import VERDICTS, Check, GateDecision, Verdict
from risk.core.pairs import NO_MAGIC
from risk.core.results import TOLERANCE
from risk.core.rule_types import LOSS_RULES, Action, RuleType
from risk.core.statuses import Status
from risk.core.stops import losses_at_stops

_ASKED: Final = LOSS_RULES | {RuleType.RISK_PER_TRADE, RuleType.STOP_LOSS_REQUIRED}
_SMALLEST_MONEY: Final = 0.01  # of a balance there is always counted at least one cent


@dataclass(frozen=True, slots=True, kw_only=True)
class StopChange:
    """Another stop loss for a position, or for an order that waits; 0 stands for none.

    What is still to be lost is counted from `present_price`, which for an order is its own price,
    and the risk of a trade from `entry_price`. `costs_per_lot` is the commission to come, None
    when it is not known.
    """

    order_id: UUID
    row: int
    ticket: int
    symbol: str
    magic: int
    is_buy: bool
    lots: float
    entry_price: float
    present_price: float
    former_stop: float
    stop_loss: float
    terms: SymbolTerms | None
    costs_per_lot: float | None

    @property
    def sign(self) -> float:
        return 1.0 if self.is_buy else -1.0

    @property
    def loosens(self) -> bool:
        """Tell whether more may be lost than before: the stop is removed, or moved away."""
        if not self.stop_loss or not self.former_stop:
            return bool(self.former_stop)
        return (self.stop_loss - self.former_stop) * self.sign < 0

    @property
    def money_per_price(self) -> float:
        """What all lots lose when the price moves against them by 1, NaN if it is not known."""
        per_lot = self.terms.loss_per_price if self.terms is not None else None
        return math.nan if per_lot is None else per_lot * self.lots

    def loss_from(self, price: float) -> float:
        return max((price - self.stop_loss) * self.sign, 0.0) * self.money_per_price

    @property
    def costs(self) -> float:
        return (self.costs_per_lot or 0.0) * self.lots


def decide_stop(book: Book, change: StopChange, in_flight: Sequence[InFlight]) -> GateDecision:
    """Decide on a stop: one that loosens must leave every rule on losses and stops in force.

    What is lost from now to the stop must fit into what is left of a loss rule, and without a stop
    nobody knows that. Rules that only alert warn; all others block, for nothing can be reduced.
    """
    if not change.loosens:
        checks = [_check("tighter_stop", "A stop that lets no more be lost always passes.")]
    else:
        lock = book.accounts.lock_reasons.get(change.row)
        checks = [] if lock is None else [_locked(lock)]
        checks += [_judged(book, change, pair, in_flight) for pair in _asked(book, change)]
        checks = checks or [_check("looser_stop", "No rule on losses or stops is in its way.")]
    told = tuple(checks)
    worst = max((check.verdict for check in told), key=VERDICTS.index)
    return GateDecision(change.order_id, worst, None, lambda: told)


def _check(name: str, sentence: str) -> Check:
    return Check(name=name, verdict=Verdict.ALLOW, sentence=sentence)


def _locked(reason: str) -> Check:
    sentence = f"The account is locked, so no stop is loosened: {reason}"
    return Check(name="lock", verdict=Verdict.BLOCK, sentence=sentence[:250])


def _asked(book: Book, change: StopChange) -> Iterator[int]:
    """List the pairs of the account's rules on losses and stops that the change concerns."""
    table = book.table
    first, end = table.account_starts[change.row], table.account_starts[change.row + 1]
    for pair in table.pairs_by_account[first:end].tolist():
        is_concerned = int(table.magic[pair]) in (NO_MAGIC, change.magic)
        if table.rule_type(pair) in _ASKED and is_concerned:
            yield pair


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a rule says; without numbers where it counts none."""

    passes: bool
    sentence: str
    value: float | None = None
    limit: float | None = None


def _judged(book: Book, change: StopChange, pair: int, in_flight: Sequence[InFlight]) -> Check:
    rule_type, label = book.table.rule_type(pair), book.labels[int(book.table.rule_index[pair])]
    answer = _answer(book, change, pair, in_flight)
    fails = Verdict.WARN if label.action is Action.ALERT else Verdict.BLOCK
    currency = book.accounts.currencies[change.row]
    return Check(
        name=rule_type.value,
        verdict=Verdict.ALLOW if answer.passes else fails,
        sentence=f"{label.name}: {answer.sentence}",
        value=answer.value,
        limit=answer.limit,
        unit="" if answer.limit is None else currency,
        rule_id=label.id,
        rule_name=label.name,
    )


def _answer(book: Book, change: StopChange, pair: int, in_flight: Sequence[InFlight]) -> _Answer:
    standing, rule_type = book.standing, book.table.rule_type(pair)
    if standing.status[pair] == Status.UNKNOWN or not book.accounts.known[change.row]:
        return _Answer(False, "what it would say is not known now, so no stop is loosened.")
    is_violated = standing.status[pair] == Status.VIOLATED or bool(standing.latched[pair])
    action = book.labels[int(book.table.rule_index[pair])].action
    if is_violated and not standing.acknowledged[pair] and action is not Action.ALERT:
        is_there = standing.status[pair] == Status.VIOLATED
        why = "it is violated" if is_there else "its action runs"
        return _Answer(False, f"{why}, so no stop is loosened.")
    if rule_type is RuleType.STOP_LOSS_REQUIRED:
        return _required(change)
    if rule_type is RuleType.RISK_PER_TRADE:
        return _risk(book, change, pair, in_flight)
    return _loss(book, change, pair, in_flight)


def _required(change: StopChange) -> _Answer:
    if change.stop_loss:
        return _Answer(True, "there is still a stop loss.")
    return _Answer(False, "the stop loss can be moved, and not be removed.")


def _loss(book: Book, change: StopChange, pair: int, in_flight: Sequence[InFlight]) -> _Answer:
    if not change.stop_loss:
        return _Answer(False, "without a stop loss more may be lost than is left, so it stays.")
    limit = float(book.standing.limit[pair])
    before = limit - float(book.standing.left[pair]) + _flying(in_flight, change.row)
    before += change.costs
    value = before + change.loss_from(change.present_price)
    is_strict = not book.table.below[pair]
    text = "if the stop is hit, {value} of {limit} {currency} are lost"
    return _held_against(book, change, text, value, limit, is_strict, change.present_price)


def _risk(book: Book, change: StopChange, pair: int, in_flight: Sequence[InFlight]) -> _Answer:
    if not change.stop_loss:
        return _Answer(True, "a trade without a stop loss has no risk that it could count.")
    table = book.table
    named = table.symbol_filters[int(table.symbol_filter[pair])]
    if named and change.symbol not in named:
        return _Answer(True, f"it does not look at {change.symbol}.")
    balance = max(float(book.accounts.balance[change.row]), _SMALLEST_MONEY)
    limit = float(table.fixed_amount[pair]) * balance
    value = _risk_of_others(book, change, int(table.magic[pair]))
    value += _flying([each for each in in_flight if each.symbol == change.symbol], change.row)
    value += change.loss_from(change.entry_price)
    text = "{value} of {limit} {currency} would be at risk at the stops of " + change.symbol
    return _held_against(book, change, text, value, limit, False, change.entry_price)


def _risk_of_others(book: Book, change: StopChange, magic: int) -> float:
    first, end = book.position_starts[change.row], book.position_starts[change.row + 1]
    held = book.positions[first:end]
    numbers = [place for place, name in enumerate(book.symbols) if name == change.symbol]
    counts = np.isin(held["symbol"], numbers) & (held["ticket"] != change.ticket)
    if magic != NO_MAGIC:
        counts &= held["magic"] == magic
    return float(losses_at_stops(held[counts]).sum())


def _flying(in_flight: Iterable[InFlight], row: int) -> float:
    return sum(
        each.lots * (math.nan if each.loss_per_lot is None else each.loss_per_lot)
        for each in in_flight
        if each.row == row and each.opens
    )


def _held_against(
    book: Book,
    change: StopChange,
    text: str,
    value: float,
    limit: float,
    is_strict: bool,
    price: float,
) -> _Answer:
    """Compare an amount with its limit, and tell how far from `price` a stop would pass."""
    if not (math.isfinite(value) and math.isfinite(limit)):
        return _Answer(False, "what may be lost is not known now, so no stop is loosened.")
    passes = value < limit - TOLERANCE if is_strict else value <= limit + TOLERANCE
    digits = int(book.accounts.digits[change.row])
    sentence = text.format(
        value=amount_text(value, digits),
        limit=amount_text(limit, digits),
        currency=book.accounts.currencies[change.row],
    )
    if not passes:
        room = limit - (value - change.loss_from(price))
        sentence += _farthest(change, price, room, is_strict=is_strict)
    return _Answer(passes, f"{sentence}.", value, limit)


def _farthest(change: StopChange, price: float, room: float, *, is_strict: bool) -> str:
    """Name the stop that would pass, rounded towards the price; nothing where none would."""
    if change.terms is None or room <= 0:
        return ""
    unit = 10.0**-change.terms.digits
    ticks = math.floor(room / change.money_per_price / unit + TOLERANCE)
    if is_strict and ticks * unit * change.money_per_price >= room - TOLERANCE:
        ticks -= 1
    stop = price - change.sign * ticks * unit
    return f"; a stop at {stop:.{change.terms.digits}f} would pass" if ticks > 0 else ""
