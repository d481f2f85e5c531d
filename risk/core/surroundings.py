"""What rules need to know beside the reading: the time, the market, the calendar, the owners."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from risk.core.arrays import Floats, Integers
from risk.core.rule_types import Importance

# Symbol by its name at one server: (base currency, profit currency).
SymbolCurrencies = Mapping[str, tuple[str, str]]

# Instrument (see `by_instrument`): lots bought and lots sold by the accounts of a rule that other
# hosts watch.
Sides = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Correlations:
    """The coefficients between the daily log returns of the symbols of one server.

    `matrix[i, j]` belongs to `names[i]` and `names[j]`; NaN where fewer than 30 of the last 60
    days are known of both.
    """

    names: tuple[str, ...]
    matrix: Floats = field(repr=False)


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """One event; `at` is its UTC epoch in seconds."""

    at: float
    currency: str
    importance: Importance


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """A user's news calendar: all events from `covers_from` until `covers_until` (UTC epochs).

    Keep one object as long as nothing is imported: what is looked up in it is remembered by it.
    """

    covers_from: float
    covers_until: float
    events: tuple[CalendarEvent, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known around the accounts of one tick; what is left out is not known.

    `moment` is the present in UTC epoch seconds. `currencies` and `correlations` are by the name
    of the server. `users` has the owner of each account in the order of the batch (empty: not
    known); `calendars` are by user. `rule_families` has one number per rule of the PairTable: rules
    of one number are one rule for the accounts that it reaches together (None: each stands alone).
    `sides_elsewhere` has the families that reach accounts on other hosts, by their number, with
    what those hold together; None for holdings that are not known.
    """

    moment: float = float("nan")
    currencies: Mapping[str, SymbolCurrencies] = field(default_factory=dict, repr=False)
    correlations: Mapping[str, Correlations] = field(default_factory=dict, repr=False)
    users: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False)
    calendars: Mapping[int, Calendar] = field(default_factory=dict, repr=False)
    rule_families: Integers | None = field(default=None, repr=False)
    sides_elsewhere: Mapping[int, Sides | None] = field(default_factory=dict, repr=False)


EMPTY = Surroundings()
