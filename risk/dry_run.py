"""What a rule that is not saved would say right now, on the accounts as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from accounts.models import ConnectedAccount, User


@dataclass(frozen=True, slots=True)
class RuleAnswer:
    """What a rule would say of one account; None is not known, and `sentence` says why.

    `unit` is that of used, limit and left; `status` one of safe, caution, critical, violated and
    unknown. `baselines` tells where the day's reference or the peak came from: "" when none is
    needed, "recorded", "given" or "unknown". `would_act` says what the rule would do at once if it
    were armed, "" for nothing.
    """

    account_id: UUID | None
    account_name: str
    status: str
    used: float | None
    limit: float | None
    left: float | None
    floor: float | None
    buffer: float | None
    unit: str
    sentence: str
    baselines: str
    would_act: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenNumbers:
    """Numbers of an imagined account, in its currency; None is not known."""

    balance: float | None = None
    equity: float | None = None
    credit: float = 0.0
    margin: float = 0.0
    initial_balance: float | None = None
    currency: str = "USD"
    day_balance: float | None = None
    day_equity: float | None = None
    peak: float | None = None
    positions: Sequence["GivenPosition"] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPosition:
    symbol: str
    direction: str
    volume_lots: Decimal
    notional: float | None = None
    profit: float = 0.0
    is_pending: bool = False


def rule_answers(
    *,
    user: User,
    fields: Mapping[str, Any],
    accounts: Sequence[ConnectedAccount],
    numbers: GivenNumbers | None = None,
    now: datetime,
) -> list[RuleAnswer]:
    """Evaluate a rule that is not saved against accounts as they are, or against given numbers.

    `fields` are those of create_rule. Raises ValidationError with the fields named.
    """
    return []


test_rule = rule_answers
