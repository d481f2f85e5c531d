"""What people read about the state of a rule: its numbers in its unit, never a bare boolean."""

from risk.core.breach_words import observed_text
from risk.core.figures import Currency, used_percent_text
from risk.core.pair_numbers import PairNumbers
from risk.core.parameters import MarginLevel, MaxDailyLoss, RuleParameters
from risk.core.rule_names import REASONS, RULE_NAMES, UNITS
from risk.core.rule_types import RuleType
from risk.core.state_words import Figures, state_text
from risk.core.statuses import Reason, Status

__all__ = ["RULE_NAMES", "breach_sentence", "risk_sentence", "unit_of", "unknown_sentence"]

_NOT_UNKNOWN = {Reason.NO_MARGIN: "no margin in use", Reason.NOTHING_OPEN: "nothing is open"}


def unit_of(rule_type: RuleType, currency: str) -> str:
    """Return the unit of a rule's numbers, the account's currency for money."""
    return UNITS.get(rule_type, currency)


def unknown_sentence(reason: Reason) -> str:
    """Say why a rule is not known."""
    return f"Not known: {REASONS[reason]}."


def risk_sentence(
    account: str, rule: RuleParameters, numbers: PairNumbers, currency: Currency
) -> str:
    """Say how far an account is from a limit.

    For example "Alpha 3: 212.40 USD of 5,000.00 left today (4 %)". What is left is rounded
    down, what went beyond the limit is rounded up.
    """
    text = f"{account}: {_state_text(rule, numbers, currency)}"
    if numbers.status is Status.VIOLATED and numbers.acknowledged:
        text += "; violated, acknowledged"
    elif numbers.status is Status.VIOLATED and numbers.present is not Status.VIOLATED:
        text += "; violated before"
    return f"{text}; day start estimated" if _is_estimated(rule, numbers) else text


def breach_sentence(
    account: str,
    rule: RuleParameters,
    numbers: PairNumbers,
    currency: Currency,
    *,
    is_early: bool = False,
) -> str:
    """Say which rule an account broke: the observed value, the limit and their unit.

    `is_early` is for a rule that acts within its safety margin, before the limit itself.
    """
    name = RULE_NAMES[rule.rule_type]
    if numbers.used is None or numbers.limit is None:
        return f"{account} came near its {name}." if is_early else f"{account} broke its {name}."
    observed = observed_text(rule, numbers, currency)
    if is_early and isinstance(rule, MarginLevel):
        return f"{account} came near its {name}: {observed}."
    if is_early:
        share = used_percent_text(numbers.used / numbers.limit)
        return f"{account} used {share} of its {name}: {observed}."
    return f"{account} broke its {name}: {observed}."


def _is_estimated(rule: RuleParameters, numbers: PairNumbers) -> bool:
    return isinstance(rule, MaxDailyLoss) and numbers.reconstructed


def _state_text(rule: RuleParameters, numbers: PairNumbers, currency: Currency) -> str:
    if numbers.present is Status.UNKNOWN:
        return f"not known, {REASONS[numbers.reason]}"
    if numbers.reason in _NOT_UNKNOWN:
        return _NOT_UNKNOWN[numbers.reason]
    used, left, limit, buffer = numbers.used, numbers.left, numbers.limit, numbers.buffer
    if used is None or left is None or limit is None or buffer is None:
        return f"not known, {REASONS[Reason.NONE]}"
    return state_text(rule, numbers, Figures(used, limit, left, buffer), currency)
