"""What rules are put on: accounts and groups to tick; and rules to tick."""

from typing import TYPE_CHECKING

from django import forms

from accounts.models import ConnectedAccount, User
from groups.forms import MemberChoice
from groups.models import AccountGroup
from risk.models import RiskRule
from risk.selectors import rules_of

if TYPE_CHECKING:
    Groups = forms.ModelMultipleChoiceField[AccountGroup]
    Rules = forms.ModelMultipleChoiceField[RiskRule]
else:
    Groups = Rules = forms.ModelMultipleChoiceField


class GroupChoice(Groups):
    widget = forms.CheckboxSelectMultiple


class RuleChoice(Rules):
    """Rules to tick, with what they limit."""

    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, obj: RiskRule) -> str:
        return f"{obj.name} · {obj.get_rule_type_display()}"


def account_choice(user: User) -> MemberChoice:
    own = ConnectedAccount.objects.owned_by(user).order_by("name", "pk")
    return MemberChoice(own, required=False)


def group_choice(user: User) -> GroupChoice:
    own = AccountGroup.objects.owned_by(user).order_by("name", "pk")
    return GroupChoice(own, required=False)


def rule_choice(user: User, *, help_text: str = "") -> RuleChoice:
    own = rules_of(user).filter(is_cutoff=False).order_by("name", "pk")
    return RuleChoice(own, required=False, help_text=help_text)
