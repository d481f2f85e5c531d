"""One check of an order in plain values: all that people read about it follows from them.

Nothing here leads back to the accounts, the rules or the symbols as they are now: it may be kept,
and put into words when somebody looks, long after a rule was renamed.
"""

import math
from dataclasses import dataclass
from enum import IntFlag
from uuid import UUID

from risk.core.gate.account_checks import AccountCheck
from risk.core.gate.verdicts import Verdict
from risk.core.rule_types import RuleType


class Found(IntFlag):
    """What a check found beside its numbers; kept as a number, so none changes its meaning."""

    IS_NARROWED = 1  # to one strategy, which the order is no part of
    IS_BARRED = 2
    IS_VIOLATED = 4
    IS_NAMED = 8  # the rule looks at the symbol
    ONLY_CLOSES = 16
    IS_UNKNOWN = 32
    WARNS = 64
    BY_CURRENCY = 128
    KNOWS_NO_MARGIN = 256


@dataclass(frozen=True, slots=True)
class Facts:
    """What the sentences about an order say of it; `digits` are those of its account's money."""

    symbol: str
    is_buy: bool
    has_stop: bool
    knows_commission: bool
    currency: str
    digits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`lots` is the volume that the check is about, `largest` the largest that would pass, as text.

    `allowed` is in lots, None without a limit. `fault` is the sentence itself where it follows from
    more than numbers; `minutes` are those to a trading window.
    """

    kind: RuleType | AccountCheck
    verdict: Verdict
    facts: Facts
    found: Found
    lots: str
    value: float | None
    limit: float | None
    allowed: float | None
    largest: str = ""
    fault: str = ""
    minutes: float = math.nan
    rule_id: UUID | None = None
    rule_name: str = ""
    is_preview: bool = False

    @property
    def passes(self) -> bool:
        return self.verdict is Verdict.ALLOW
