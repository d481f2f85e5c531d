"""The numbers of one check, in the unit in which people know the rule."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from accounts.symbol_terms import SymbolTerms
from risk.core.gate.account_checks import AccountCheck
from risk.core.gate.cases import Cases
from risk.core.gate.lines import Lines
from risk.core.pairs import RULE_TYPES
from risk.core.rule_types import RuleType

_BY_EQUITY: Final = frozenset({RuleType.MAX_LEVERAGE, RuleType.MAX_EXPOSURE})
_SIZED: Final = frozenset(
    {AccountCheck.VOLUME, AccountCheck.VOLUME_LIMIT, AccountCheck.FREE_MARGIN}
)
_SMALLEST_MONEY: Final = 0.01


@dataclass(frozen=True, slots=True)
class Numbers:
    """`allowed` is in lots, None without a limit; `largest` is it as a volume that may be sent."""

    value: float | None
    limit: float | None
    allowed: float | None
    largest: str
    is_unknown: bool


def numbers_of(
    cases: Cases, lines: Lines, line: int, volume: float, amount: float, allowed: float
) -> Numbers:
    """Return the numbers of a check; `amount` is what it would come to, in its inner unit."""
    case = int(lines.case[line])
    amount -= float(lines.cost[line]) * volume
    equity = float(cases.book.accounts.equity[cases.row[case]])
    left = equity - float(cases.cost_per_lot[case]) * volume
    limit = float(lines.budget[line])
    is_unknown = not math.isfinite(amount) or math.isnan(limit)
    rule_type = RULE_TYPES[lines.kind[line]] if lines.pair[line] >= 0 else None
    value: float | None = amount
    if rule_type is None and lines.kind[line] not in _SIZED:
        value, limit = None, math.inf
    elif rule_type is RuleType.MARGIN_LEVEL:
        value = left / amount * 100.0 if amount > 0 else None
        limit = float(cases.book.table.fixed_amount[lines.pair[line]])
    elif rule_type in _BY_EQUITY:
        value = amount / max(left, _SMALLEST_MONEY)
        limit /= max(equity, _SMALLEST_MONEY)
    return Numbers(
        value=_finite(value),
        limit=_finite(limit),
        allowed=_finite(allowed),
        largest=_largest(cases.intents[case].terms, allowed),
        is_unknown=is_unknown,
    )


def _finite(number: float | None) -> float | None:
    return None if number is None or not np.isfinite(number) else float(number)


def _largest(terms: SymbolTerms | None, allowed: float) -> str:
    if terms is None or not np.isfinite(allowed):
        return ""
    volume = terms.floored(allowed)
    return f"{volume.normalize():f}" if volume > 0 else ""
