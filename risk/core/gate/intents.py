"""Many orders at once: what several have in common is there, and worked out, once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Self, overload
from uuid import UUID

import numpy as np

from risk.core.arrays import Flags, Floats, Integers
from risk.core.gate.book import Intent


class Intents(Sequence[Intent]):
    """Orders by their `forms`, of which they differ in id, account and volume alone.

    `form` is the place of each order's among the forms, `rows` are of the accounts in the book.
    """

    def __init__(
        self,
        forms: Sequence[Intent],
        form: Integers,
        rows: Integers,
        volumes: Sequence[Decimal],
        order_ids: Sequence[UUID],
    ) -> None:
        self.forms = forms
        self.form = form
        self.rows = rows
        self.volumes = volumes
        self.order_ids = order_ids

    @classmethod
    def of(cls, intents: Sequence[Intent]) -> "Intents":
        """Return orders as such a sequence; those of another one are forms of their own."""
        if isinstance(intents, Intents):
            return intents
        return cls(
            forms=intents,
            form=np.arange(len(intents)),
            rows=np.array([intent.row for intent in intents], dtype=np.int64),
            volumes=[intent.volume for intent in intents],
            order_ids=[intent.order_id for intent in intents],
        )

    def taken(self, places: Sequence[int]) -> Self:
        """Return some of them, in that order."""
        if len(places) == len(self):
            return self
        chosen = np.array(places, dtype=np.int64)
        return type(self)(
            self.forms,
            self.form[chosen],
            self.rows[chosen],
            [self.volumes[place] for place in places],
            [self.order_ids[place] for place in places],
        )

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> Intent: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Intent]: ...

    def __getitem__(self, place: int | slice) -> Intent | Sequence[Intent]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        form, order_id = self.form_of(place), self.order_ids[place]
        if form.order_id == order_id:
            return form
        return replace(
            form, order_id=order_id, row=int(self.rows[place]), volume=self.volumes[place]
        )

    def __iter__(self) -> Iterator[Intent]:
        return (self[place] for place in range(len(self)))

    def form_of(self, place: int) -> Intent:
        """Return an order that is like this one but for its account and its volume."""
        return self.forms[int(self.form[place])]

    def numbers(self, take: Callable[[Intent], float | None]) -> Floats:
        """Return a number of each order that its form tells, NaN for None."""
        told = [take(form) for form in self.forms]
        numbers = np.array([np.nan if one is None else one for one in told], dtype=np.float64)
        by_order: Floats = numbers[self.form]
        return by_order

    def flags(self, take: Callable[[Intent], bool]) -> Flags:
        flags: Flags = np.array([take(form) for form in self.forms], dtype=np.bool_)[self.form]
        return flags

    def each(self, values: Sequence[Any], take: Callable[[Intent, Any], Any]) -> list[Any]:
        """Return what follows from each order's form and a value; for alike ones asked once."""
        known: dict[tuple[int, Any], Any] = {}
        found = []
        for key in zip(self.form.tolist(), values, strict=True):
            if key not in known:
                known[key] = take(self.forms[key[0]], key[1])
            found.append(known[key])
        return found
