"""How many lots a follower takes of its provider's trade.

With k lots of the follower's symbol for one of the provider's (`copytrade.core.notionals`) and m
the multiplier, before rounding:

    equity, balance, free margin   lots * k * follower's / provider's * m, in one currency
    multiplier                     lots * k * m
    fixed lot                      fixed_lots
    risk percent                   equity * risk_fraction / (stop distance * loss per price)

Then: at most the relationship's and the symbol's largest volume, rounded down to the step, and
below the smallest lot skipped or raised to it. Source: DOMAIN.md, parts 2 and 4.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Final

from copytrade.core import sentences
from copytrade.core.facts import AccountFigures, RelationshipTerms, SymbolContract, exact
from copytrade.core.kinds import BelowMinimum, Sizing, SkipReason
from copytrade.core.notionals import Notional
from copytrade.core.plans import Refusal
from copytrade.core.rates import conversion


class LimitedBy(StrEnum):
    """What changed a volume, other than rounding to the step."""

    NOTHING = ""
    MAXIMUM = "maximum"
    BROKER_MAXIMUM = "broker_maximum"
    RAISED = "raised"  # to the smallest lot


@dataclass(frozen=True, slots=True)
class CopySize:
    """The lots to trade; `wanted_lots` is what the sizing gave before limits and rounding."""

    lots: Decimal
    wanted_lots: Decimal
    limited_by: LimitedBy = LimitedBy.NOTHING
    sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSide:
    """The provider's part of a size: its lots, and its money where there is a reading."""

    lots: Decimal
    figures: AccountFigures | None
    rates: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerSide:
    """The follower's part of a size.

    `notional` is None where the symbols cannot be compared, `stop_distance` (in price) where the
    copy will have no stop.
    """

    contract: SymbolContract
    figures: AccountFigures | None
    notional: Notional | None
    stop_distance: Decimal | None = None


_FIGURES: Final = {
    Sizing.EQUITY_RATIO: ("equity", attrgetter("equity"), "equity"),
    Sizing.BALANCE_RATIO: ("balance", attrgetter("balance"), "balance"),
    Sizing.FREE_MARGIN_RATIO: ("free margin", attrgetter("free_margin"), "free_margin"),
}


def size_copy(
    terms: RelationshipTerms, provider: ProviderSide, follower: FollowerSide
) -> CopySize | Refusal:
    """Work out the follower's lots, or why there are none."""
    wanted = wanted_lots(terms, provider, follower)
    return wanted if isinstance(wanted, Refusal) else _limited(terms, wanted, follower.contract)


def wanted_lots(
    terms: RelationshipTerms, provider: ProviderSide, follower: FollowerSide
) -> Decimal | Refusal:
    """Work out what the sizing gives before limits and rounding.

    It grows with the one figure of the follower's account that the sizing looks at, if with any:
    see `figure_of`.
    """
    if terms.sizing is Sizing.FIXED_LOT:
        return terms.fixed_lots or Decimal(0)
    if terms.sizing is Sizing.RISK_PERCENT:
        return _by_risk(terms, follower)
    return _by_notional(terms, provider, follower)


def figure_of(sizing: Sizing) -> str | None:
    """Return which of `AccountFigures` a volume grows with; None for none."""
    if sizing is Sizing.RISK_PERCENT:
        return "equity"
    found = _FIGURES.get(sizing)
    return None if found is None else found[2]


def _by_notional(
    terms: RelationshipTerms, provider: ProviderSide, follower: FollowerSide
) -> Decimal | Refusal:
    if follower.notional is None:
        return Refusal(SkipReason.NO_RATE, sentences.no_comparison(follower.contract.name))
    ratio = follower.notional.lots
    top = provider.lots * terms.multiplier * ratio.top
    bottom = ratio.bottom
    if terms.sizing is Sizing.MULTIPLIER:
        return top / bottom
    name, read, _ = _FIGURES[terms.sizing]
    if provider.figures is None or follower.figures is None:
        whose = "provider" if provider.figures is None else "follower"
        return Refusal(SkipReason.NO_READING, sentences.no_figure(whose, name))
    theirs, ours = read(provider.figures), read(follower.figures)
    if not (math.isfinite(theirs) and theirs > 0 and math.isfinite(ours)):
        return Refusal(SkipReason.NO_READING, sentences.no_ratio(name))
    currencies = conversion(provider.rates, follower.figures.currency, provider.figures.currency)
    if currencies is None:
        pair = (follower.figures.currency, provider.figures.currency)
        return Refusal(SkipReason.NO_RATE, sentences.no_rate(*pair))
    return (top * exact(ours) * currencies.top) / (bottom * exact(theirs) * currencies.bottom)


def _by_risk(terms: RelationshipTerms, follower: FollowerSide) -> Decimal | Refusal:
    contract, figures = follower.contract, follower.figures
    if follower.stop_distance is None:
        return Refusal(SkipReason.NO_STOP, sentences.no_stop(terms.risk_fraction or Decimal(0)))
    if follower.stop_distance <= 0:
        return Refusal(SkipReason.NO_STOP, sentences.stop_passed(contract.name))
    if figures is None or not math.isfinite(figures.equity):
        return Refusal(SkipReason.NO_READING, sentences.no_figure("follower", "equity"))
    if contract.loss_per_price is None or contract.loss_per_price <= 0:
        return Refusal(SkipReason.NO_RATE, sentences.no_loss(contract.name))
    risked = exact(figures.equity) * (terms.risk_fraction or Decimal(0))
    return risked / (follower.stop_distance * contract.loss_per_price)


def _limited(
    terms: RelationshipTerms, wanted: Decimal, contract: SymbolContract
) -> CopySize | Refusal:
    most, limited_by = contract.volume_max, LimitedBy.BROKER_MAXIMUM
    if terms.maximum_lots is not None and terms.maximum_lots < most:
        most, limited_by = terms.maximum_lots, LimitedBy.MAXIMUM
    lots = contract.floored(min(wanted, most))
    if lots < contract.volume_min or lots <= 0:
        return _too_small(terms, wanted, most, contract)
    if wanted <= most:
        return CopySize(lots, wanted)
    is_ours = limited_by is LimitedBy.MAXIMUM
    return CopySize(lots, wanted, limited_by, sentences.cut(wanted, lots, contract.name, is_ours))


def _too_small(
    terms: RelationshipTerms, wanted: Decimal, most: Decimal, contract: SymbolContract
) -> CopySize | Refusal:
    smallest = contract.volume_min
    if most < smallest:
        text = sentences.maximum_too_small(most, smallest, contract.name)
        return Refusal(SkipReason.BELOW_MINIMUM, text)
    if terms.below_minimum is BelowMinimum.USE_MINIMUM and wanted > 0:
        text = sentences.raised(wanted, smallest, contract.name)
        return CopySize(smallest, wanted, LimitedBy.RAISED, text)
    text = sentences.below_minimum(wanted, smallest, contract.name)
    return Refusal(SkipReason.BELOW_MINIMUM, text)
