"""The numbers of checks, in the unit in which people know the rules."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from risk.core.arrays import Flags, Floats
from risk.core.gate.account_checks import AccountCheck
from risk.core.gate.cases import Cases
from risk.core.gate.lines import Lines
from risk.core.pairs import RULE_TYPES
from risk.core.rule_types import RuleType

_SIZED: Final = [
    int(each) for each in (AccountCheck.VOLUME, AccountCheck.VOLUME_LIMIT, AccountCheck.FREE_MARGIN)
]
_MARGIN_LEVEL: Final = RULE_TYPES.index(RuleType.MARGIN_LEVEL)
_BY_EQUITY: Final = [
    RULE_TYPES.index(each) for each in (RuleType.MAX_LEVERAGE, RuleType.MAX_EXPOSURE)
]
_SMALLEST_MONEY: Final = 0.01


@dataclass(frozen=True, slots=True)
class Numbers:
    """One element per check; NaN stands for no number."""

    value: Floats
    limit: Floats
    is_unknown: Flags


def numbers_of(cases: Cases, lines: Lines, volumes: Floats) -> Numbers:
    """Return the numbers of checks as if these volumes, one per check, were filled."""
    case, pair, kind = lines.case, lines.pair, lines.kind
    with np.errstate(all="ignore"):
        value = lines.amount(volumes) - lines.cost * volumes
        limit = lines.budget.copy()
        is_unknown = ~np.isfinite(value) | np.isnan(limit)
        equity = cases.book.accounts.equity[cases.row[case]]
        left = equity - cases.cost_per_lot[case] * volumes
        is_ruled = pair >= 0
        unsized = ~is_ruled & ~np.isin(kind, _SIZED)
        value[unsized], limit[unsized] = np.nan, np.inf
        by_margin = np.flatnonzero(is_ruled & (kind == _MARGIN_LEVEL))
        amount = value[by_margin]
        value[by_margin] = np.where(amount > 0, left[by_margin] / amount * 100.0, np.nan)
        limit[by_margin] = cases.book.table.fixed_amount[pair[by_margin]]
        by_equity = np.flatnonzero(is_ruled & np.isin(kind, _BY_EQUITY))
        value[by_equity] /= np.maximum(left[by_equity], _SMALLEST_MONEY)
        limit[by_equity] /= np.maximum(equity[by_equity], _SMALLEST_MONEY)
    return Numbers(finite(value), finite(limit), is_unknown)


def finite(numbers: Floats) -> Floats:
    """Return the numbers with NaN in place of what is infinite."""
    return np.where(np.isfinite(numbers), numbers, np.nan)
