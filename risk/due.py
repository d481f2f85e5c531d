"""Actions that should be at work now."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from risk.desk import AccountFacts, RuleFacts


@dataclass(frozen=True, slots=True)
class Due:
    """A pair whose action should be at work; it is so on every tick until it no longer is.

    `row` is the account's row and `pair` the pair's number in the desk that was assessed.
    `latched_at` is when the breach began, `moment` the time of the tick (UTC epoch seconds).
    """

    rule: RuleFacts
    account: AccountFacts
    row: int
    pair: int
    breach_id: UUID
    latched_at: datetime
    moment: float
