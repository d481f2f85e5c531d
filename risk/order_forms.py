"""The forms of orders: the ticket, and what can be changed of what is open or waits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django import forms

from accounts.forms.base import ServiceForm
from accounts.symbol_terms import SymbolTerms
from risk.models import Order
from risk.orders.requests import DEVIATION_POINTS

PRICE, POINTS = "price", "points"
PERCENT, MONEY = "percent", "money"
PENDING_TYPES = (Order.Type.LIMIT, Order.Type.STOP, Order.Type.STOP_LIMIT)
_MOST_DIGITS = 18


def new_key() -> str:
    """Return a key under which one order is made, however often its form is sent."""
    return uuid4().hex


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of an order; None where none is wanted."""

    price: float | None
    stop_limit_price: float | None
    stop_loss: float | None
    take_profit: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """How much an order may lose: money, or a fraction of the balance."""

    fraction: float | None = None
    money: float | None = None


class PriceField(forms.DecimalField):
    """A price or a distance, typed as people do; kept as the double that MetaTrader takes."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_digits=_MOST_DIGITS, decimal_places=8, min_value=Decimal("0.00000001"), **options
        )

    def clean(self, value: object) -> float | None:
        number = super().clean(value)
        return float(number) if isinstance(number, Decimal) else None


class VolumeField(forms.DecimalField):
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_digits=_MOST_DIGITS, decimal_places=8, min_value=Decimal("0.00000001"), **options
        )


class KeyedForm(forms.Form, ServiceForm):
    """A form whose second sending is the first one's echo."""

    key = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial={"key": new_key(), **(initial or {})})


class TicketForm(KeyedForm):
    """A new order; stops may be typed as prices or as distances in points from the entry."""

    symbol = forms.CharField(
        max_length=32,
        widget=forms.TextInput(
            attrs={"list": "symbols", "autocomplete": "off", "autocapitalize": "characters"}
        ),
    )
    direction = forms.ChoiceField(choices=Order.Direction.choices, widget=forms.RadioSelect)
    type = forms.ChoiceField(choices=Order.Type.choices, initial=Order.Type.MARKET)
    volume = VolumeField(label="Lots")
    price = PriceField(required=False, label="At the price")
    stop_limit_price = PriceField(
        required=False,
        label="Then a limit at",
        help_text="Where the limit order is placed once the stop price is reached.",
    )
    stops_in = forms.ChoiceField(
        choices=[(PRICE, "as prices"), (POINTS, "in points")],
        initial=PRICE,
        required=False,
        label="Stops",
    )
    stop_loss = PriceField(required=False)
    take_profit = PriceField(required=False)
    deviation_points = forms.IntegerField(
        required=False,
        min_value=0,
        label="Slippage at most",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        help_text=(
            "How far the price may move away before the order is refused. "
            f"Empty: {DEVIATION_POINTS} points."
        ),
    )
    valid_until_at = forms.DateTimeField(
        required=False,
        label="Expires at",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="In your time zone. Empty: it waits until it is deleted.",
    )
    risk_amount = PriceField(required=False, label="Risk at most")
    risk_in = forms.ChoiceField(
        choices=[(PERCENT, "% of the balance"), (MONEY, "money")],
        initial=PERCENT,
        required=False,
        label="Counted in",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        type_ = cleaned.get("type")
        if type_ in PENDING_TYPES and cleaned.get("price") is None and "price" not in self.errors:
            self.add_error("price", "Say at which price.")
        if type_ == Order.Type.STOP_LIMIT and cleaned.get("stop_limit_price") is None:
            self.add_error("stop_limit_price", "Say at which price the limit is placed.")
        if type_ == Order.Type.MARKET:
            cleaned["price"] = cleaned["valid_until_at"] = None
        if type_ != Order.Type.STOP_LIMIT:
            cleaned["stop_limit_price"] = None
        return cleaned

    @property
    def is_buy(self) -> bool:
        return self.cleaned_data.get("direction") == Order.Direction.BUY

    @property
    def are_stops_points(self) -> bool:
        return self.cleaned_data.get("stops_in") == POINTS

    def entry_price(self, terms: SymbolTerms | None) -> float | None:
        """Return where the order would be filled: what was typed, else the present quote."""
        cleaned = self.cleaned_data
        if cleaned.get("type") == Order.Type.STOP_LIMIT:
            return cleaned.get("stop_limit_price")
        if cleaned.get("type") in PENDING_TYPES:
            return cleaned.get("price")
        return terms.price_for(self.is_buy) if terms is not None else None

    def prices(self, terms: SymbolTerms | None) -> Prices | None:
        """Return the prices of the order, None while points cannot be turned into prices."""
        cleaned = self.cleaned_data
        stop, target = cleaned.get("stop_loss"), cleaned.get("take_profit")
        if self.are_stops_points and (stop is not None or target is not None):
            entry = self.entry_price(terms)
            if terms is None or entry is None:
                return None
            sign = 1.0 if self.is_buy else -1.0
            stop = _away(entry, stop, -sign, terms)
            target = _away(entry, target, sign, terms)
        return Prices(cleaned.get("price"), cleaned.get("stop_limit_price"), stop, target)

    def risk(self) -> Risk | None:
        """Return what the size calculator was told, None without it."""
        amount = self.cleaned_data.get("risk_amount")
        if amount is None or not math.isfinite(amount):
            return None
        if self.cleaned_data.get("risk_in") == MONEY:
            return Risk(money=amount)
        return Risk(fraction=amount / 100.0)


class CloseForm(KeyedForm):
    """Close a position, or a part of it."""

    volume = VolumeField(required=False, label="Lots to close", help_text="Empty: all of it.")

    def wanted_volume(self) -> Decimal | None:
        volume: Decimal | None = self.cleaned_data["volume"]
        return volume


class StopsForm(KeyedForm):
    """The stops of a position; what is left empty is taken away."""

    stop_loss = PriceField(required=False, help_text="Empty: without a stop loss.")
    take_profit = PriceField(required=False, help_text="Empty: without a take profit.")

    def stops(self) -> dict[str, float]:
        """Return the stops as orders name them: 0 takes one away."""
        return {name: self.cleaned_data[name] or 0.0 for name in ("stop_loss", "take_profit")}


class PendingForm(StopsForm):
    """The price and stops of a pending order."""

    price = PriceField(label="At the price")
    stop_limit_price = PriceField(
        required=False,
        label="Then a limit at",
        help_text="The broker's reading does not tell it. Empty: it stays where it is.",
    )

    def levels(self) -> dict[str, float | None]:
        return {name: self.cleaned_data[name] for name in ("price", "stop_limit_price")}

    field_order = ["key", "price", "stop_limit_price", "stop_loss", "take_profit"]


def _away(entry: float, points: float | None, direction: float, terms: SymbolTerms) -> float | None:
    if points is None:
        return None
    price = round(entry + direction * points * terms.point, terms.digits)
    return price if price > 0 else None
