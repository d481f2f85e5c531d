"""How a rule answers a violation: when it acts, and on which positions first."""

from dataclasses import dataclass

from risk.core.rule_types import Action, ClosingOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What the enforcement of a rule does.

    It acts when `act_at_fraction` of the limit is used (1: at the limit) and the condition has
    lasted `act_after_seconds` without a gap. `close_fraction` is the part of each position that it
    closes, `losers_only` spares positions in profit.
    """

    action: Action
    act_at_fraction: float = 1.0
    act_after_seconds: float = 0.0
    closing_order: ClosingOrder = ClosingOrder.LARGEST_LOSS_FIRST
    losers_only: bool = False
    close_fraction: float = 1.0
