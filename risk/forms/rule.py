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
from risk.core.rule_types import (
    ARMED_ACTIONS,
    OBJECTIVES,
    WHOLE_ACCOUNT_RULES,
    Action,
    DrawdownKind,
    Lock,
    RuleType,
    allowed_actions,
)
from risk.field_types import PercentField, plain
from risk.models import RiskRule
from risk.parameter_fields import (
    FIXED_LIMITS,
    LIMITS,
    PARAMETERS,
    SHARES,
    LimitField,
    parameter_field,
    unknown_names,
)

MONEY = "money"
PREFIX = "parameters."
_NUMBER = {"inputmode": "decimal", "autocomplete": "off"}
# They are not optional where the page shows them, whatever the other choices of a rule leave out.
NEEDED = frozenset({"from_weekday", "until_weekday", "from_time", "until_time", "lock_offset"})
# What a field that nobody filled in means.
_DEFAULTS: Mapping[str, Any] = {
    "act_at_fraction": Decimal(1),
    "act_after_seconds": Decimal(0),
    "close_fraction": Decimal(1),
    "closing_order": RiskRule.ClosingOrder.LARGEST_LOSS_FIRST.value,
}


class RuleForm(forms.Form, ServiceForm):
    """A rule, new or changed; `rule` keeps its type."""

    name = forms.CharField(max_length=64, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    rule_type = forms.ChoiceField(choices=RiskRule.Type.choices, label="What it limits")
    limit = forms.DecimalField(
        max_digits=18, decimal_places=4, widget=forms.TextInput(attrs=_NUMBER)
    )
    action = forms.ChoiceField(choices=RiskRule.Action.choices, label="When it is violated")
    caution = PercentField(
        max_digits=4,
        decimal_places=1,
        min_value=Decimal(0),
        max_value=Decimal("99.9"),
        initial=Decimal("0.3"),
        help_text="Caution when this share of the limit, or less, is left.",
    )
    critical = PercentField(
        max_digits=4,
        decimal_places=1,
        min_value=Decimal(0),
        max_value=Decimal("99.9"),
        initial=Decimal("0.1"),
        help_text="Critical when this share, or less, is left.",
    )
    magic = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=2**63 - 1,
        label="Only this strategy",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        help_text="Its magic number. Empty: every position and deal counts. What TradeGuard opens"
        " carries numbers of its own, so such a rule never refuses an order of the ticket.",
    )
    act_at_fraction = PercentField(
        required=False,
        max_digits=4,
        decimal_places=1,
        min_value=Decimal(50),
        max_value=Decimal(100),
        initial=Decimal(1),
        label="Act at",
        help_text="97 acts before the limit is reached; 100 acts at the limit.",
    )
    act_after_seconds = forms.DecimalField(
        required=False,
        max_digits=6,
        decimal_places=1,
        min_value=Decimal(0),
        max_value=Decimal(86_400),
        initial=0,
        label="When it has lasted",
        widget=forms.TextInput(attrs=_NUMBER),
        help_text="0 acts at once.",
    )
    closing_order = forms.ChoiceField(
        required=False, choices=RiskRule.ClosingOrder.choices, label="Which first"
    )
    close_fraction = PercentField(
        required=False,
        max_digits=4,
        decimal_places=1,
        min_value=Decimal(1),
        max_value=Decimal(100),
        initial=Decimal(1),
        label="How much of each",
        help_text="100 closes all of it.",
    )
    losers_only = forms.BooleanField(
        required=False, label="Close positions at a loss only, and leave those in profit"
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
        self.stored = rule.parameters if rule else None
        self.type_name = self._type_in(data, rule, initial)
        self.parameter_names = PARAMETERS[self.type_name]
        for name in self.parameter_names:
            self.fields[name] = parameter_field(self.type_name, name)
        self._shape_limit()
        self._shape_actions()
        if RuleType(self.type_name) in WHOLE_ACCOUNT_RULES:
            del self.fields["magic"]
        if rule is not None:
            self.fields["rule_type"].disabled = True
        self._choose_from(user)

    def _type_in(
        self, data: Mapping[str, Any] | None, rule: RiskRule | None, initial: Mapping[str, Any]
    ) -> str:
        wanted = rule.rule_type if rule else (data or initial).get("rule_type")
        return str(wanted) if wanted in PARAMETERS else RiskRule.Type.MAX_DAILY_LOSS.value

    def _shape_limit(self) -> None:
        field, shown = self.fields["limit"], LIMITS[self.type_name]
        field.label, field.help_text = shown.label, shown.help_text
        if self.type_name in FIXED_LIMITS:
            field.required, field.widget = False, forms.HiddenInput()

    def _shape_actions(self) -> None:
        allowed = set(allowed_actions(RuleType(self.type_name)))
        field = self.fields["action"]
        if isinstance(field, forms.ChoiceField):
            choices = RiskRule.Action.choices
            field.choices = [each for each in choices if Action(each[0]) in allowed]

    def _choose_from(self, user: User) -> None:
        for name, queryset in (
            ("groups", AccountGroup.objects.owned_by(user).order_by("name", "pk")),
            ("accounts", ConnectedAccount.objects.owned_by(user).order_by("name", "pk")),
        ):
            field = self.fields[name]
            if isinstance(field, forms.ModelMultipleChoiceField):
                field.queryset = queryset

    @property
    def has_amount_kind(self) -> bool:
        return "amount_kind" in self.parameter_names

    @property
    def has_limit(self) -> bool:
        return self.type_name not in FIXED_LIMITS

    @property
    def limit_field(self) -> LimitField:
        return LIMITS[self.type_name]

    @property
    def is_objective(self) -> bool:
        """Whether this type is something to reach, which nothing can violate."""
        return RuleType(self.type_name) in OBJECTIVES

    @property
    def may_act(self) -> bool:
        """Whether this type knows an action that sends orders by itself."""
        return bool(ARMED_ACTIONS & set(allowed_actions(RuleType(self.type_name))))

    def parameter_fields(self) -> list[tuple[forms.BoundField, bool]]:
        """Return the fields that belong to this type, and whether they may stay empty.

        The unit of the limit is not among them: it stands beside the limit.
        """
        return [
            (self[name], not self.fields[name].required and name not in NEEDED)
            for name in self.parameter_names
            if name != "amount_kind"
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.type_name in FIXED_LIMITS:
            cleaned["limit"] = Decimal(FIXED_LIMITS[self.type_name])
        self._check_limit(cleaned.get("limit"))
        caution, critical = cleaned.get("caution"), cleaned.get("critical")
        if caution is not None and critical is not None and critical > caution:
            self.add_error("critical", "Critical must not begin before caution does.")
        chosen = (cleaned.get(n) for n in ("applies_to_all_accounts", "groups", "accounts"))
        if not any(chosen) and not self.errors.keys() & {"groups", "accounts"}:
            self.add_error(
                "applies_to_all_accounts", "Choose what it applies to: all, groups or accounts."
            )
        for name, default in _DEFAULTS.items():
            if name in cleaned and cleaned[name] in (None, ""):
                cleaned[name] = default
        return cleaned

    def _check_limit(self, limit: Decimal | None) -> None:
        if limit is None:
            return
        if limit <= 0:
            self.add_error("limit", "The limit must be more than 0.")
        elif self.is_share and limit > 100:
            self.add_error("limit", "A share is at most 100 %.")

    @property
    def is_share(self) -> bool:
        """Whether the limit is a share, which people write in percent and rules as a fraction."""
        return is_share(self.type_name, self.cleaned_data)

    def stored_limit(self) -> Decimal | None:
        """Return the limit as rules have it, None while it is missing or wrong."""
        limit: Decimal | None = self.cleaned_data.get("limit")
        return limit / 100 if limit is not None and self.is_share else limit

    def changes(self) -> dict[str, Any]:
        """Return what the service needs: fractions for percents, parameters in one mapping."""
        cleaned = self.cleaned_data
        own = {name: cleaned[name] for name in self.base_fields if name in cleaned}
        return {**own, "limit": self.stored_limit(), "parameters": self.parameters()}

    def parameters(self) -> dict[str, Any]:
        """Return the plain values of the rule's parameters; what is empty keeps its default."""
        values = {name: self.cleaned_data.get(name) for name in self.parameter_names}
        for name in (*self._idle_names(values), *self._silent_names(values)):
            values.pop(name, None)
        return {name: value for name, value in values.items() if value not in (None, "", [])}

    def _idle_names(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Name what the page hides because another choice makes it mean nothing."""
        if "lock" not in values:
            return ()
        if values["kind"] == DrawdownKind.STATIC and values["lock"] != Lock.NONE:
            return ("lock", "lock_offset")
        return () if values["lock"] == Lock.AT_OFFSET else ("lock_offset",)

    def _silent_names(self, values: Mapping[str, Any]) -> list[str]:
        """Name what the rule has never set, and what still is what it means without."""
        return [
            name
            for name, value in values.items()
            if self.stored is not None
            and name not in self.stored
            and value == (self.fields[name].initial or (False if value is False else None))
        ]

    def errors_by_field(
        self, errors: Mapping[str, list[ValidationError]]
    ) -> Mapping[str, list[ValidationError]]:
        return {name.removeprefix(PREFIX): found for name, found in errors.items()}


def _initial(rule: RiskRule) -> dict[str, Any]:
    parameters = dict(rule.parameters)
    for name in unknown_names(rule.rule_type, parameters):
        del parameters[name]
    return {
        **{name: getattr(rule, name) for name in RuleForm.base_fields if hasattr(rule, name)},
        "limit": shown_limit(rule.rule_type, rule.limit, parameters),
        "act_after_seconds": plain(rule.act_after_seconds),
        "groups": [group.pk for group in rule.groups.all()],
        "accounts": [account.pk for account in rule.accounts.all()],
        **parameters,
    }


def shown_limit(rule_type: str, limit: Decimal, parameters: Mapping[str, Any]) -> str:
    """Write a stored limit as its field shows it: a share in percent."""
    return plain(limit * 100 if is_share(rule_type, parameters) else limit)


def is_share(rule_type: str, parameters: Mapping[str, Any]) -> bool:
    """Tell whether the limit of a rule with these parameters is a fraction."""
    if rule_type in SHARES:
        return True
    return "amount_kind" in PARAMETERS[rule_type] and parameters.get("amount_kind") != MONEY
