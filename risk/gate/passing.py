"""What the gate refuses only because nobody could tell it something at that moment."""

from typing import Final

from risk.core.gate.account_checks import AccountCheck
from risk.core.gate.verdicts import GateDecision, Verdict

_PASSING: Final = frozenset({AccountCheck.READING.text, AccountCheck.SYMBOL.text})


def may_pass_later(decision: GateDecision) -> bool:
    """Tell whether the same order might be allowed once the terminal answers again."""
    return decision.verdict is Verdict.BLOCK and any(
        check.verdict is Verdict.BLOCK and check.name in _PASSING for check in decision.checks
    )
