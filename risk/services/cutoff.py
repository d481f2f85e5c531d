"""The margin cut-off: the rule that everybody has, and that liquidates before the broker does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from risk.core.rule_types import Comparison
from risk.models import RiskRule
from risk.services.locks import refuse_loosening

CUTOFF_NAME = "Margin cut-off"
WARNING_LEVEL = Decimal(50)
LIQUIDATION_LEVEL = Decimal(10)
HIGHEST_LEVEL = Decimal(1000)

# Halfway in the buffer: 20 % of margin level where liquidation comes at 10 %.
_CRITICAL = Decimal("0.500")
_STEP = Decimal("0.001")  # of the thresholds' column
_USERS_AT_ONCE = 500
_ADJUSTABLE = frozenset({"limit", "caution", "critical", "closing_order"})


@dataclass(frozen=True, slots=True)
class CutoffTerms:
    """The margin levels, in percent, at which a user is warned and at which all is closed."""

    warning_level: Decimal
    liquidation_level: Decimal


def ensure_cutoffs(user_ids: Iterable[int]) -> None:
    """Give each of these users the margin cut-off, unless they have it; never changes one."""
    wanted = set(user_ids)
    if not wanted:
        return
    have = RiskRule.objects.filter(user__in=wanted, is_cutoff=True)
    missing = sorted(wanted - set(have.values_list("user_id", flat=True)))
    if missing:
        # Somebody who gives the same users theirs at this moment is not in the way.
        RiskRule.objects.bulk_create(
            [_cutoff_of(user_id) for user_id in missing],
            batch_size=_USERS_AT_ONCE,
            ignore_conflicts=True,
        )


def cutoff_terms(user: User) -> CutoffTerms:
    """Return the levels of this user's cut-off, those that everybody begins with if none is set."""
    rule = RiskRule.objects.owned_by(user).filter(is_cutoff=True).first()
    return terms_of(rule) if rule else CutoffTerms(WARNING_LEVEL, LIQUIDATION_LEVEL)


def cutoff_terms_on(account: ConnectedAccount) -> CutoffTerms:
    """Return the levels that hold for one account, which may differ from its user's."""
    rule = RiskRule.objects.owned_by(account.user_id).filter(is_cutoff=True).first()
    if rule is None:
        return CutoffTerms(WARNING_LEVEL, LIQUIDATION_LEVEL)
    own = rule.overrides.filter(account=account).first()
    if own is not None:
        rule.limit = rule.limit if own.limit is None else own.limit
        rule.caution = rule.caution if own.caution is None else own.caution
    return terms_of(rule)


def terms_of(rule: RiskRule) -> CutoffTerms:
    """Read the levels out of a cut-off: the buffer at level L is 1 - limit / L."""
    exact = rule.limit / (1 - rule.caution)
    for digits in (Decimal(1), Decimal("0.1"), Decimal("0.01")):
        level = exact.quantize(digits)
        if level > rule.limit and _caution(level, rule.limit) == rule.caution:
            return CutoffTerms(level, rule.limit.normalize())
    return CutoffTerms(exact.quantize(Decimal("0.01")), rule.limit.normalize())


@transaction.atomic
def set_cutoff(*, user: User, warning_level: Decimal, liquidation_level: Decimal) -> RiskRule:
    """Set the margin levels, in percent, of a user's cut-off.

    Raises ValidationError with the fields named, and Refusal when a violation that nobody has
    acknowledged holds the rule and the level of liquidation would go down.
    """
    _check_levels(warning_level, liquidation_level)
    ensure_cutoffs([user.pk])
    rule = RiskRule.objects.select_for_update().get(user=user, is_cutoff=True)
    before = RiskRule.objects.get(pk=rule.pk)
    rule.limit = liquidation_level
    rule.caution = _caution(warning_level, liquidation_level)
    rule.critical = min(_CRITICAL, rule.caution)
    refuse_loosening(before=before, after=rule, accounts=None, groups=None)
    rule.save(update_fields=["limit", "caution", "critical", "updated_at"])
    return rule


def refuse_changing_cutoff(
    *, rule: RiskRule, changes: Mapping[str, object] | None, targets: bool = False
) -> None:
    """Raise Refusal when a margin cut-off would become something else.

    `changes` are the fields that shall change, None to delete the rule; `targets` tells that
    accounts or groups are to be set. Its levels and its closing order may change.
    """
    if not rule.is_cutoff:
        return
    if changes is None:
        raise Refusal("The margin cut-off belongs to every user: it stays.", code="cutoff")
    others = [
        name
        for name, value in changes.items()
        if name not in _ADJUSTABLE and getattr(rule, name, None) != value
    ]
    if others or targets:
        raise Refusal(
            "Of the margin cut-off only its levels and its closing order can be changed: it is"
            " always on, for all accounts.",
            code="cutoff",
        )


def _cutoff_of(user_id: int) -> RiskRule:
    return RiskRule(
        user_id=user_id,
        name=CUTOFF_NAME,
        rule_type=RiskRule.Type.MARGIN_LEVEL,
        limit=LIQUIDATION_LEVEL,
        parameters={"comparison": Comparison.AT_OR_BELOW.value},
        action=RiskRule.Action.CLOSE_ALL,
        caution=_caution(WARNING_LEVEL, LIQUIDATION_LEVEL),
        critical=_CRITICAL,
        is_cutoff=True,
        applies_to_all_accounts=True,
    )


def _caution(warning_level: Decimal, liquidation_level: Decimal) -> Decimal:
    """Return the buffer at the warning level; rounded so that the warning never comes later."""
    return (1 - liquidation_level / warning_level).quantize(_STEP, rounding=ROUND_CEILING)


def _check_levels(warning_level: Decimal, liquidation_level: Decimal) -> None:
    errors = {}
    if not 1 <= liquidation_level <= HIGHEST_LEVEL / 2:
        errors["liquidation_level"] = "Give a margin level between 1 and 500 %."
    if not warning_level <= HIGHEST_LEVEL:
        errors["warning_level"] = "Give a margin level of at most 1,000 %."
    elif not warning_level > liquidation_level:
        errors["warning_level"] = "The warning must come before the liquidation: a higher level."
    elif _caution(warning_level, liquidation_level) >= 1:
        errors["warning_level"] = "The warning lies too far above the liquidation."
    if errors:
        raise ValidationError(errors)


def stop_out_sentence(broker_level: float, liquidation_level: float) -> str:
    """Say that the broker's own stop-out comes before the cut-off; levels in percent."""
    return (
        f"The broker closes positions by itself at a margin level of {broker_level:g} %, before"
        f" TradeGuard's margin cut-off at {liquidation_level:g} % is reached. Raise the level of"
        f" the cut-off above {broker_level:g} % to be first."
    )
