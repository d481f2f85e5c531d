"""A new relationship: who is copied, by whom, and how."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms

from accounts.models import ConnectedAccount, User
from copytrade.forms.fields import firm_terms_field
from copytrade.forms.terms import TermsForm

if TYPE_CHECKING:
    AccountChoice = forms.ModelChoiceField[ConnectedAccount]
else:
    AccountChoice = forms.ModelChoiceField

OWN, ANOTHERS = "own", "another"
WHOSE_HELP = {
    OWN: "Copying begins at once.",
    ANOTHERS: "The other trader is asked first, and decides.",
}


class OwnAccountField(AccountChoice):
    """One of the user's own accounts, told apart by name, login and server."""

    def label_from_instance(self, obj: ConnectedAccount) -> str:
        return f"{obj.name} · {obj.login} · {obj.server}"


class OfferForm(TermsForm):
    """A new relationship, in the steps of the wizard."""

    provider = OwnAccountField(
        ConnectedAccount.objects.none(),
        label="The account whose trades are copied",
        empty_label="Choose an account",
    )
    whose = forms.ChoiceField(
        required=False,
        label="Whose account copies",
        choices=[(OWN, "One of my accounts"), (ANOTHERS, "Another trader's account")],
        widget=forms.RadioSelect,
        initial=OWN,
    )
    follower = OwnAccountField(
        ConnectedAccount.objects.none(),
        required=False,
        label="The account that copies",
        empty_label="Choose an account",
    )
    follower_id = forms.UUIDField(
        required=False,
        label="Its copying id",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="The other trader finds it on the page of the account, under Copying.",
        error_messages={"invalid": "A copying id looks like 1b4e28ba-2fa1-11d2-883f-0016d3cca427."},
    )
    alias = forms.CharField(
        required=False,
        max_length=32,
        label="How you call it",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="You see another trader's account by this name alone.",
    )
    confirms_firm_terms = firm_terms_field()

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, user: User, **options: Any
    ) -> None:
        zone = {"trading_zone": user.time_zone}
        super().__init__(data, **{**options, "initial": {**zone, **options.get("initial", {})}})
        own = ConnectedAccount.objects.owned_by(user).active().order_by("name", "pk")
        for name in ("provider", "follower"):
            field = self.fields[name]
            if isinstance(field, forms.ModelChoiceField):
                field.queryset = own

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("whose") == ANOTHERS:
            self.forgive("follower")
            if "follower_id" not in self.errors:
                cleaned["follower"] = self._another(cleaned.get("follower_id"))
        else:
            self.forgive("follower_id", "alias")
            cleaned["alias"] = ""
            if cleaned.get("follower") is None and "follower" not in self.errors:
                self.add_error("follower", "Choose the account that copies.")
        if (provider := cleaned.get("provider")) and provider == cleaned.get("follower"):
            self.add_error("follower", "An account cannot copy itself: choose another one.")
        return cleaned

    def follower_choices(self) -> list[tuple[Any, str]]:
        """Return both kinds of followers with a sentence on each."""
        return [(choice, WHOSE_HELP[str(choice.data["value"])]) for choice in self["whose"]]

    def _another(self, account_id: UUID | None) -> ConnectedAccount | None:
        if account_id is None:
            self.add_error("follower_id", "Type or paste the id of the account that copies.")
            return None
        # Whether it is watched is its owner's to know: that is judged when they accept.
        found = ConnectedAccount.objects.filter(pk=account_id).first()
        if found is None:
            self.add_error("follower_id", "No account has this id.")
        return found

    @property
    def first_wrong_step(self) -> int:
        """Return the number of the step that has the first wrong field; the last where none has."""
        for number, names in enumerate(STEPS, start=1):
            if any(name in self.errors for name in names):
                return number
        return len(STEPS) + 1


STEPS = (
    ("provider",),
    ("whose", "follower", "follower_id", "alias"),
    ("sizing", "multiplier", "fixed_lots", "risk_fraction", "below_minimum", "maximum_lots"),
    (
        "include_symbols",
        "exclude_symbols",
        "symbol_map",
        "directions",
        "magics",
        "is_reverse",
        "copies_stops",
        "stop_loss_points",
        "take_profit_points",
        "copies_pendings",
        "open_deadline_seconds",
        "maximum_slippage_points",
        "maximum_positions",
        "trading_from",
        "trading_until",
        "trading_zone",
        "equity_stop",
        "start_policy",
        "cascade_scope",
    ),
)
