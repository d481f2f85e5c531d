"""Reading the plain values of a rule's parameters, one sentence for each that is wrong."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import time
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from accounts.core.zones import broker_zone

Choice = TypeVar("Choice", bound=StrEnum)

# The largest figure that the database column of a limit holds with its decimals.
_LARGEST_NUMBER = Decimal(10) ** 12
_LONGEST_SYMBOL = 32
_MAGIC_NUMBERS = 2**63


class ParameterErrors(ValueError):  # noqa: N818 (one exception, several errors)
    """A rule's parameters are wrong; `fields` has one sentence for each wrong field."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in fields.items()))
        self.fields = dict(fields)


class FieldReader:
    """Takes typed values out of a mapping and collects what is wrong with them."""

    def __init__(self, raw: Mapping[str, object]) -> None:
        self._raw = raw
        self._known: set[str] = set()
        self._errors: dict[str, str] = {}

    def reject(self, name: str, sentence: str) -> None:
        """Note that a field is wrong; the first sentence about a field stays."""
        self._errors.setdefault(name, sentence)

    def finish(self) -> None:
        """Raise ParameterErrors when a field was wrong or one is left that no rule asked for."""
        for name in self._raw:
            if name not in self._known:
                self.reject(str(name), "This rule has no such parameter.")
        if self._errors:
            raise ParameterErrors(self._errors)

    def choice(self, name: str, choices: type[Choice], default: Choice) -> Choice:
        value = self._take(name)
        if value is None:
            return default
        try:
            return choices(str(value))
        except ValueError:
            names = ", ".join(choice.value for choice in choices)
            self.reject(name, f"Choose one of {names}.")
            return default

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.reject(name, "Choose true or false.")
            return default
        return value

    def number(self, name: str) -> Decimal | None:
        value = self._take(name)
        return None if value is None else self._decimal(name, value)

    def buffer_fraction(self, name: str, default: float) -> float:
        value = self.number(name)
        if value is None:
            return default
        if not 0 <= value < 1:
            self.reject(name, "Give a fraction from 0 up to, not including, 1.")
            return default
        return float(value)

    def positive_limit(self, limit: Decimal) -> Decimal:
        number = self._decimal("limit", limit)
        if number is None:
            return Decimal(1)
        if number <= 0:
            self.reject("limit", "The limit must be greater than zero.")
        elif number > _LARGEST_NUMBER:
            self.reject("limit", f"The limit must be at most {_LARGEST_NUMBER:,.0f}.")
        return number

    def check_whole(self, name: str, number: Decimal) -> None:
        if number != number.to_integral_value():
            self.reject(name, "Give a whole number.")

    def clock_time(self, name: str) -> time | None:
        value = self._take(name)
        if value is None:
            return None
        if isinstance(value, time) and value.tzinfo is None:
            return value
        # The seconds, which nobody needs, are there when a time comes from another field.
        parts = str(value).split(":")
        if len(parts) in (2, 3) and all(len(part) == 2 and part.isdecimal() for part in parts):
            with suppress(ValueError):
                return time.fromisoformat(str(value))
        self.reject(name, 'Give the time of day as "HH:MM", for example "17:00".')
        return None

    def zone(self, name: str) -> str | None:
        value = self._take(name)
        if value is None:
            return None
        try:
            broker_zone(str(value))
        except ValueError as unknown:
            self.reject(name, str(unknown))
        return str(value)

    def symbols(self, name: str) -> tuple[str, ...]:
        value = self._take(name)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            self.reject(name, "Give a list of symbols.")
            return ()
        for symbol in value:
            if not isinstance(symbol, str) or not 0 < len(symbol.strip()) <= _LONGEST_SYMBOL:
                self.reject(name, f"{symbol!r} is not the name of a symbol.")
                return ()
        return tuple(dict.fromkeys(symbol.strip() for symbol in value))

    def currencies(self, name: str) -> tuple[str, ...]:
        codes = self.symbols(name)
        if not all(len(code) == 3 and code.isascii() and code.isupper() for code in codes):
            self.reject(name, "Give currencies by their three capital letters, for example USD.")
        return codes

    def weekday(self, name: str) -> int | None:
        """Read a day of the week; Monday is 0."""
        number = self.number(name)
        if number is None or number in range(7):
            return None if number is None else int(number)
        self.reject(name, "Give the day of the week as a number from 0 (Monday) to 6 (Sunday).")
        return None

    def magic(self, name: str) -> int | None:
        number = self.number(name)
        if number is None:
            return None
        if number != number.to_integral_value() or not 0 <= number < _MAGIC_NUMBERS:
            self.reject(name, "Give the magic number of the strategy: a whole number from 0 on.")
            return None
        return int(number)

    def _take(self, name: str) -> object:
        self._known.add(name)
        value = self._raw.get(name)
        return None if value == "" else value

    def _decimal(self, name: str, value: object) -> Decimal | None:
        if isinstance(value, Decimal | int | float | str) and not isinstance(value, bool):
            try:
                number = Decimal(str(value).strip())
            except InvalidOperation:
                number = Decimal("NaN")
            if number.is_finite():
                return number
        self.reject(name, "Give a number.")
        return None
