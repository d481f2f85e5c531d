"""Opens that nobody wants any more although they still wait: a say of the apps above.

`risk` does not know why an order was asked for. An app above that gives orders away registers, when
it is loaded, how it takes them back: the last look before one of them is sent asks for it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from risk.models import Order


class TakenBack(Protocol):
    def __call__(self, order_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """Say, in a sentence, which of these opens are not to be sent; raise a database error."""


_askers: dict[str, TakenBack] = {}


def register_taken_back(origin: str, taken_back: TakenBack) -> None:
    """Have orders of an origin (Order.Origin) looked at before they open anything."""
    _askers[origin] = taken_back


def withdrawn(orders: Sequence[Order]) -> dict[UUID, str]:
    """Return which of these orders are not to open anything, and why; raise a database error.

    What nobody registered for costs nothing, an origin one question.
    """
    found: dict[UUID, str] = {}
    for origin, taken_back in _askers.items():
        mine = [order.pk for order in orders if order.opens and order.origin == origin]
        if mine:
            found.update(taken_back(mine))
    return found
