"""A new reference for a loss rule of the user's own: it is counted from now on."""

from datetime import datetime

from accounts.models import ConnectedAccount
from accounts.refusals import Refusal
from risk.core.rule_types import DrawdownKind
from risk.live import load_members
from risk.models import RiskRule, RuleState

# Their limit is a floor in money; acknowledging never moves it, so the violation stays.
LOSS_TYPES = frozenset({RiskRule.Type.MAX_DAILY_LOSS, RiskRule.Type.MAX_DRAWDOWN})


def take_new_reference(*, rule: RiskRule, account: ConnectedAccount, now: datetime) -> None:
    """Count a loss rule on an account from its present equity; in a transaction.

    Raises Refusal for a firm's rule, whose floor never moves, where the reference is not of this
    kind, and without a fresh reading.
    """
    _refuse_impossible(rule)
    member = load_members([account], now=now)[account.pk]
    if member.state is None or not member.is_fresh:
        raise Refusal(
            f"{account.name} has no fresh reading, so there is no reference to take.",
            code="no_reading",
        )
    reading = member.state.account
    equity = float(reading["equity"]) - float(reading["credit"])
    # The host alone writes the baselines: what it has in memory would overwrite anybody else's.
    states = RuleState.objects.filter(rule=rule, account=account)
    if not states.update(new_reference=equity, new_reference_at=now):
        raise Refusal("The rule does not watch the account yet.", code="no_reading")
    # The host looks at it again when a rule has changed.
    rule.save(update_fields=["updated_at"])


def _refuse_impossible(rule: RiskRule) -> None:
    if rule.is_firm_rule:
        raise Refusal("The floor of a firm's rule never moves.", code="firm_rule")
    if rule.rule_type not in LOSS_TYPES:
        raise Refusal("Only a loss is counted from a reference.", code="no_reference")
    if rule.magic is not None:
        raise Refusal("A strategy's own result has no other reference.", code="no_reference")
    kind = rule.parameters.get("kind", DrawdownKind.STATIC)
    if rule.rule_type == RiskRule.Type.MAX_DRAWDOWN and kind == DrawdownKind.STATIC:
        raise Refusal(
            "A static maximum loss is counted from the account's initial balance: change that, or"
            " the limit.",
            code="no_reference",
        )
