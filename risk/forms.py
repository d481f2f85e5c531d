"""The form of a rule: its fields depend on the type, and shares are written in percent."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts.forms.base import ServiceForm
from accounts.models import ConnectedAccount, User
from groups.forms import MemberChoice
from groups.models import AccountGroup
from risk.models import RiskRule
from risk.parameter_fields import LIMIT_HELP, PARAMETERS, parameter_field, unknown_names

MONEY = "money"
PREFIX = "parameters."


class RuleForm(forms.Form, ServiceForm):
    """A rule, new or changed; `rule` keeps its type."""

    name = forms.CharField(max_length=64)
    rule_type = forms.ChoiceField(choices=RiskRule.Type.choices, label="What it limits")
    limit = forms.DecimalField(
        max_digits=18,
        decimal_places=4,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    action = forms.ChoiceField(choices=RiskRule.Action.choices, label="When it is violated")
    caution = forms.DecimalField(
        max_digits=4,
        decimal_places=1,
        min_value=Decimal(0),
        max_value=Decimal("99.9"),
        initial=Decimal(30),
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
        help_text="Caution when this share of the limit, or less, is left.",
    )
    critical = forms.DecimalField(
        max_digits=4,
        decimal_places=1,
        min_value=Decimal(0),
        max_value=Decimal("99.9"),
        initial=Decimal(10),
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
        help_text="Critical when this share, or less, is left.",
    )
    is_active = forms.BooleanField(required=False, initial=True, label="Active")
    is_firm_rule = forms.BooleanField(
        required=False,
        label="The firm's rule",
        help_text="A rule of a prop firm: acknowledging a violation never moves its floor.",
    )
    applies_to_all_accounts = forms.BooleanField(required=False, label="All my accounts")
    groups = forms.ModelMultipleChoiceField(
        AccountGroup.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )
    accounts = MemberChoice(ConnectedAccount.objects.none(), required=False)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        user: User,
        rule: RiskRule | None = None,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        initial = _initial(rule) if rule else dict(initial or {})
        super().__init__(data, initial=initial)
        self.type_name = self._type_in(data, rule, initial)
        self.parameter_names = PARAMETERS[self.type_name]
        for name in self.parameter_names:
            self.fields[name] = parameter_field(name)
        self.fields["limit"].help_text = LIMIT_HELP[self.type_name]
        if rule is not None:
            self.fields["rule_type"].disabled = True
        self._choose_from(user)

    def _type_in(
        self, data: Mapping[str, Any] | None, rule: RiskRule | None, initial: Mapping[str, Any]
    ) -> str:
        wanted = rule.rule_type if rule else (data or initial).get("rule_type")
        return str(wanted) if wanted in PARAMETERS else RiskRule.Type.MAX_DAILY_LOSS.value

    def _choose_from(self, user: User) -> None:
        for name, queryset in (
            ("groups", AccountGroup.objects.owned_by(user).order_by("name", "pk")),
            ("accounts", ConnectedAccount.objects.owned_by(user).order_by("name", "pk")),
        ):
            field = self.fields[name]
            if isinstance(field, forms.ModelMultipleChoiceField):
                field.queryset = queryset

    @property
    def is_loss(self) -> bool:
        return "amount_kind" in self.parameter_names

    def parameter_fields(self) -> list[forms.BoundField]:
        """Return the fields that belong to this type, without the unit of the limit."""
        return [self[name] for name in self.parameter_names if name != "amount_kind"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        limit, caution, critical = (cleaned.get(n) for n in ("limit", "caution", "critical"))
        if limit is not None and limit <= 0:
            self.add_error("limit", "The limit must be more than 0.")
        elif limit is not None and self.is_share and limit > 100:
            self.add_error("limit", "A share is at most 100 %.")
        if caution is not None and critical is not None and critical > caution:
            self.add_error("critical", "Critical must not begin before caution does.")
        chosen = (cleaned.get(n) for n in ("applies_to_all_accounts", "groups", "accounts"))
        if not any(chosen) and not self.errors.keys() & {"groups", "accounts"}:
            self.add_error(
                "applies_to_all_accounts", "Choose what it applies to: all, groups or accounts."
            )
        return cleaned

    @property
    def is_share(self) -> bool:
        """Whether the limit is a share, which people write in percent and rules as a fraction."""
        return (
            "amount_kind" in self.parameter_names and self.cleaned_data.get("amount_kind") != MONEY
        )

    def changes(self) -> dict[str, Any]:
        """Return what the service needs: fractions for percents, parameters in one mapping."""
        cleaned = self.cleaned_data
        own = {name: cleaned[name] for name in self.base_fields if name in cleaned}
        own["limit"] = cleaned["limit"] / 100 if self.is_share else cleaned["limit"]
        own["caution"], own["critical"] = cleaned["caution"] / 100, cleaned["critical"] / 100
        return {**own, "parameters": self.parameters()}

    def parameters(self) -> dict[str, Any]:
        """Return the plain values of the rule's parameters; what is empty keeps its default."""
        values = {name: self.cleaned_data.get(name) for name in self.parameter_names}
        return {name: value for name, value in values.items() if value not in (None, "", [])}

    def errors_by_field(
        self, errors: Mapping[str, list[ValidationError]]
    ) -> Mapping[str, list[ValidationError]]:
        return {name.removeprefix(PREFIX): found for name, found in errors.items()}


class AcknowledgeForm(forms.Form, ServiceForm):
    reason = forms.CharField(
        max_length=255,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        help_text="It goes into the ledger with your name and the time.",
    )


def _initial(rule: RiskRule) -> dict[str, Any]:
    parameters = dict(rule.parameters)
    for name in unknown_names(rule.rule_type, parameters):
        del parameters[name]
    if isinstance(parameters.get("symbols"), list):
        parameters["symbols"] = ", ".join(parameters["symbols"])
    is_share = "amount_kind" in PARAMETERS[rule.rule_type] and (
        parameters.get("amount_kind") != MONEY
    )
    return {
        **{name: getattr(rule, name) for name in RuleForm.base_fields if hasattr(rule, name)},
        "limit": _plain(rule.limit * 100 if is_share else rule.limit),
        "caution": _plain(rule.caution * 100),
        "critical": _plain(rule.critical * 100),
        "groups": [group.pk for group in rule.groups.all()],
        "accounts": [account.pk for account in rule.accounts.all()],
        **parameters,
    }


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
