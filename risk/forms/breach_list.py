from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import Max, QuerySet

from risk.models import RuleBreach

_PERIODS = {"1": "Last 24 hours", "7": "Last 7 days", "30": "Last 30 days", "365": "Last year"}
_STATES = {
    "open": "Open",
    "waiting": "Not acknowledged",
    "acknowledged": "Acknowledged",
    "cleared": "Cleared",
    "early": "Acted early",
}


class BreachListForm(forms.Form):
    """Which breaches somebody looks for; every field may be empty."""

    account = forms.ChoiceField(required=False, label="Account")
    rule = forms.ChoiceField(required=False, label="Rule")
    state = forms.ChoiceField(
        required=False, label="State", choices=[("", "Any state"), *_STATES.items()]
    )
    period = forms.ChoiceField(
        required=False, label="Period", choices=[("", "Any time"), *_PERIODS.items()]
    )

    def __init__(self, *args: Any, breaches: QuerySet[RuleBreach], **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "auto_id": "filter_%s"})
        # The ledger keeps the names of what is gone; the newest name of each counts.
        rows = (
            breaches.order_by()
            .values_list("account_id", "account_name", "rule_id", "rule_name")
            .annotate(last_at=Max("latched_at"))
            .order_by("last_at")
        )
        accounts, rules = {}, {}
        for account_id, account_name, rule_id, rule_name, _ in rows:
            accounts[str(account_id)], rules[str(rule_id)] = account_name, rule_name
        self._choose("account", "Any account", accounts)
        self._choose("rule", "Any rule", rules)

    def _choose(self, name: str, empty: str, names: dict[str, str]) -> None:
        field = self.fields[name]
        if isinstance(field, forms.ChoiceField):
            listed = sorted(names.items(), key=lambda each: each[1].casefold())
            field.choices = [("", empty), *listed]

    def wanted(self) -> dict[str, str]:
        """Return what was asked for and understood."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    def narrow(self, breaches: QuerySet[RuleBreach], *, now: datetime) -> QuerySet[RuleBreach]:
        wanted = self.wanted()
        if "account" in wanted:
            breaches = breaches.filter(account_id=wanted["account"])
        if "rule" in wanted:
            breaches = breaches.filter(rule_id=wanted["rule"])
        if "period" in wanted:
            breaches = breaches.filter(latched_at__gte=now - timedelta(days=int(wanted["period"])))
        match wanted.get("state"):
            case "open":
                breaches = breaches.filter(cleared_at=None)
            case "waiting":
                breaches = breaches.filter(cleared_at=None, acknowledged_at=None)
            case "acknowledged":
                breaches = breaches.exclude(acknowledged_at=None)
            case "cleared":
                breaches = breaches.exclude(cleared_at=None)
            case "early":
                breaches = breaches.filter(is_early=True)
        return breaches
