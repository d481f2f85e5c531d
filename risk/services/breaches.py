from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from risk.models import RiskRule, RuleBreach
from risk.services.references import LOSS_TYPES, take_new_reference

LONGEST_REASON = 255
# What they count stays as it is, so clearing them would only violate them anew.
STAYING_TYPES = LOSS_TYPES | {RiskRule.Type.MAX_DAILY_TRADES, RiskRule.Type.INACTIVITY}


@transaction.atomic
def reset_rule(
    *,
    rule: RiskRule,
    account: ConnectedAccount,
    actor: User,
    reason: str,
    now: datetime,
    new_reference: bool = False,
) -> RuleBreach:
    """Acknowledge the violation of a rule on an account, with a reason; re-arms its action.

    No floor moves: a firm's rule, any loss rule and what counts trades or days without one stays
    "violated, acknowledged" until it ends by itself. Another rule of the user's own is cleared at
    once, and violated anew if the next reading says so. With `new_reference` a loss rule of the
    user's own is counted from the present equity on, and cleared. Raises Refusal when there is
    nothing to acknowledge, or no new reference is possible.
    """
    reason = checked_reason(reason)
    latches = RuleBreach.objects.latched().select_for_update()
    breach = latches.filter(rule_id=rule.pk, account_id=account.pk).first()
    if breach is None:
        raise Refusal(f"The rule is not violated on {account.name}.", code="not_violated")
    if breach.acknowledged_at is not None:
        raise Refusal("The violation is acknowledged already.", code="already_acknowledged")
    if new_reference:
        take_new_reference(rule=rule, account=account, now=now)
    breach.acknowledged_at = now
    breach.acknowledged_by_id = actor.pk
    breach.acknowledged_reason = reason
    changed = ["acknowledged_at", "acknowledged_by_id", "acknowledged_reason"]
    if new_reference or (not rule.is_firm_rule and rule.rule_type not in STAYING_TYPES):
        breach.cleared_at = now
        breach.cleared_by_id = actor.pk
        breach.cleared_reason = reason
        changed += ["cleared_at", "cleared_by_id", "cleared_reason"]
    breach.save(update_fields=changed)
    return breach


def checked_reason(reason: str) -> str:
    """Return the reason without the spaces around it; ValidationError if it is none."""
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": "Give the reason; it goes into the ledger."})
    if len(reason) > LONGEST_REASON:
        raise ValidationError({"reason": f"At most {LONGEST_REASON} characters are possible."})
    return reason
