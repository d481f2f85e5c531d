"""How many lots a risk in money allows."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from accounts.symbol_terms import SymbolTerms
from risk.core.figures import amount_text, counted_text, left_text, used_text


class LimitedBy(StrEnum):
    """What made the size smaller than the risk alone would."""

    NOTHING = ""
    STEP = "step"
    MAXIMUM = "maximum"
    VOLUME_LIMIT = "volume_limit"
    FREE_MARGIN = "free_margin"
    MINIMUM = "minimum"  # refused: not even the smallest lot fits
    UNKNOWN = "unknown"  # refused: a number is missing


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSize:
    """A size in lots, 0 when it is refused; money in the account's currency.

    `risk_money` is what was allowed to be lost, `loss_at_stop` what these lots lose at the stop,
    commission for both ways included; None where it is not known.
    """

    lots: Decimal
    risk_money: float | None
    loss_per_lot: float | None
    loss_at_stop: float | None
    margin: float | None
    entry_price: float | None
    limited_by: LimitedBy
    sentence: str

    @property
    def is_refused(self) -> bool:
        return self.lots <= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeQuestion:
    """What a size is worked out from; None for what is not known.

    `stop_distance` is in price, `commission_per_lot` each way, `held_lots` what the direction holds
    with its pending orders, for the symbol's limit on them.
    """

    terms: SymbolTerms
    is_buy: bool
    entry_price: float
    stop_loss: float
    risk_money: float
    commission_per_lot: float | None
    margin_per_lot: float | None
    margin_free: float | None
    held_lots: float = 0.0
    currency: str = ""
    currency_digits: int = 2


def size_position(question: SizeQuestion) -> PositionSize:
    """Work out the lots that lose `risk_money` at the stop, rounded down to the symbol's step.

    Source: DOMAIN.md, part 2. What does not reach the smallest lot is refused, never rounded up.
    """
    terms = question.terms
    entry, stop = _exact(question.entry_price), _exact(question.stop_loss)
    distance = entry - stop if question.is_buy else stop - entry
    if distance <= 0:
        side = "below" if question.is_buy else "above"
        return _refused(
            question, LimitedBy.UNKNOWN, f"The stop loss of this order must lie {side} its entry."
        )
    if terms.loss_per_price is None:
        text = f"The terminal does not say what a move of {terms.name} is worth."
        return _refused(question, LimitedBy.UNKNOWN, text)
    tick_value = _exact(terms.tick_value_loss or terms.tick_value)
    commission = _exact(question.commission_per_lot or 0.0)
    return _sized(question, distance * tick_value / _exact(terms.tick_size) + 2 * commission)


def _exact(number: float) -> Decimal:
    """Take a double as it prints: 1.1002 is that, and not the double next to it."""
    return Decimal(repr(float(number)))


def _sized(question: SizeQuestion, loss_per_lot: Decimal) -> PositionSize:
    terms = question.terms
    by_risk = _exact(question.risk_money) / loss_per_lot
    bounds = [(by_risk, LimitedBy.STEP), (_exact(terms.volume_max), LimitedBy.MAXIMUM)]
    if terms.volume_limit > 0:
        room = _exact(terms.volume_limit) - _exact(round(question.held_lots, 9))
        bounds.append((max(room, Decimal(0)), LimitedBy.VOLUME_LIMIT))
    if question.margin_per_lot and question.margin_free is not None:
        free = _exact(max(question.margin_free, 0.0))
        per_lot = _exact(question.margin_per_lot)
        bounds.append((free / per_lot, LimitedBy.FREE_MARGIN))
    bound, limited_by = min(bounds, key=lambda each: each[0])
    lots = terms.floored(bound)
    if lots <= 0:
        return _too_small(question, limited_by, float(loss_per_lot))
    if limited_by is LimitedBy.STEP and lots == bound:
        limited_by = LimitedBy.NOTHING
    loss = float(lots * loss_per_lot)
    return PositionSize(
        lots=lots,
        risk_money=question.risk_money,
        loss_per_lot=float(loss_per_lot),
        loss_at_stop=loss,
        margin=_margin(question, lots),
        entry_price=question.entry_price,
        limited_by=limited_by,
        sentence=_sentence(question, lots, loss, limited_by),
    )


_REDUCED = {
    LimitedBy.MAXIMUM: "the largest volume of one order",
    LimitedBy.VOLUME_LIMIT: "the symbol's limit on one direction",
    LimitedBy.FREE_MARGIN: "the free margin",
}


def _sentence(question: SizeQuestion, lots: Decimal, loss: float, limited_by: LimitedBy) -> str:
    unit = question.currency
    verb = "loses" if lots == 1 else "lose"
    lost = used_text(loss, question.currency_digits)
    text = f"{counted_text(lots, 'lot')} {verb} {lost} {unit} at the stop".replace("  ", " ")
    if limited_by in _REDUCED:
        asked = amount_text(question.risk_money, question.currency_digits)
        text += f": less than the {asked} {unit} asked for, because of "
        text += _REDUCED[limited_by]
    if question.commission_per_lot is None:
        text += "; the commission is not known and was left out"
    return f"{text}."


def _too_small(question: SizeQuestion, limited_by: LimitedBy, loss_per_lot: float) -> PositionSize:
    smallest = _exact(question.terms.volume_min)
    needed, digits = float(smallest) * loss_per_lot, question.currency_digits
    if limited_by is LimitedBy.STEP:
        text = (
            f"The smallest lot, {smallest.normalize():f}, loses {used_text(needed, digits)}"
            f" {question.currency} at this stop, more than the"
            f" {left_text(question.risk_money, digits)} that may be lost."
        )
        return _refused(question, LimitedBy.MINIMUM, text, loss_per_lot)
    text = f"Not even the smallest lot, {smallest.normalize():f}, fits into {_REDUCED[limited_by]}."
    return _refused(question, limited_by, text, loss_per_lot)


def _margin(question: SizeQuestion, lots: Decimal) -> float | None:
    return None if question.margin_per_lot is None else float(lots) * question.margin_per_lot


def _refused(
    question: SizeQuestion, limited_by: LimitedBy, text: str, loss_per_lot: float | None = None
) -> PositionSize:
    return PositionSize(
        lots=Decimal(0),
        risk_money=question.risk_money,
        loss_per_lot=loss_per_lot,
        loss_at_stop=None,
        margin=None,
        entry_price=question.entry_price,
        limited_by=limited_by,
        sentence=text,
    )
