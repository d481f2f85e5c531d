from dataclasses import dataclass

from accounts.models import ConnectedAccount
from risk.models import RuleBreach


@dataclass(frozen=True, slots=True)
class Consequences:
    """What goes with an account that is deleted, and what stays."""

    group_names: tuple[str, ...]
    rule_names: tuple[str, ...]
    breach_count: int


def account_consequences(account: ConnectedAccount) -> Consequences:
    return Consequences(
        tuple(account.groups.values_list("name", flat=True)),
        tuple(account.risk_rules.values_list("name", flat=True)),
        RuleBreach.objects.filter(account_id=account.pk).count(),
    )
