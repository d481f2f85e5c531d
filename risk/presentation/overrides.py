"""Where single accounts differ from a shared rule."""

from dataclasses import dataclass

from django.db.models import Q

from accounts.models import ConnectedAccount
from risk.models import RiskRule, RuleOverride
from risk.presentation.rules import stored_sentence
from risk.services.overrides import effective_rule


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """An account that a rule reaches; `sentence` is the rule as it is there, "" when left out."""

    account: ConnectedAccount
    override: RuleOverride | None
    sentence: str

    @property
    def is_left_out(self) -> bool:
        return self.override is not None and self.override.is_excluded


def override_rows(rule: RiskRule) -> list[OverrideRow]:
    """Return the accounts that a rule reaches, those that differ first."""
    overrides = {each.account_id: each for each in rule.overrides.all()}
    rows = [_row(rule, account, overrides.get(account.pk)) for account in reached_accounts(rule)]
    return sorted(rows, key=lambda row: row.override is None)


def reached_accounts(rule: RiskRule) -> list[ConnectedAccount]:
    own = ConnectedAccount.objects.filter(user_id=rule.user_id).order_by("name", "pk")
    if not rule.applies_to_all_accounts:
        own = own.filter(Q(risk_rules=rule) | Q(groups__risk_rules=rule)).distinct()
    return list(own)


def _row(rule: RiskRule, account: ConnectedAccount, override: RuleOverride | None) -> OverrideRow:
    if override is None:
        return OverrideRow(account, None, "")
    if override.is_excluded:
        return OverrideRow(account, override, "")
    return OverrideRow(account, override, stored_sentence(effective_rule(rule, override)))
