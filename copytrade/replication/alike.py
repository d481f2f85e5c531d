"""Copies of a crowd as columns: what they share is said once, and rows are made when asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from django.db.models import Model
from django.db.models.base import ModelState

from copytrade.core.sizing import CopySize
from copytrade.replication.followers import Follower
from copytrade.replication.ids import IdColumn
from copytrade.replication.rows import LONGEST_SENTENCE, Copy
from risk.core.arrays import Floats, Integers
from risk.models import Order

_Row = TypeVar("_Row", bound=Model)


@dataclass
class Alike:
    """Opens that differ in nothing but account, lots, ids and tag; all columns are as long.

    Or closes, with `tickets`: each of them is there, with its lots at least. `first` is one like
    them: what is changed in it holds for all. `members` are the places of the followers among those
    that were planned, `places` the rows of their accounts in the view.
    """

    first: Copy
    order: Order
    members: Sequence[int]
    followers: Sequence[Follower]
    places: Integers
    sizes: Sequence[CopySize]
    copy_ids: IdColumn
    order_ids: IdColumn
    tags: Sequence[int]
    tickets: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.followers)

    @cached_property
    def account_ids(self) -> list[UUID]:
        return [each.account.id for each in self.followers]

    @cached_property
    def lots(self) -> Floats:
        known = {id(size): float(size.lots) for size in self.sizes}
        return np.array([known[id(size)] for size in self.sizes], dtype=np.float64)

    def taken(self, chosen: Sequence[int]) -> "Alike":
        """Return some of them, in that order."""
        if len(chosen) == len(self):
            return self
        return Alike(
            self.first,
            self.order,
            [self.members[one] for one in chosen],
            [self.followers[one] for one in chosen],
            self.places[np.array(chosen, dtype=np.int64)],
            [self.sizes[one] for one in chosen],
            self.copy_ids.taken(chosen),
            self.order_ids.taken(chosen),
            [self.tags[one] for one in chosen],
            None if self.tickets is None else [self.tickets[one] for one in chosen],
        )

    def copies(self) -> Iterator[Copy]:
        """Make the rows of each."""
        return map(self.copy, range(len(self)))

    def copy(self, place: int) -> Copy:
        first, follower, size = self.first, self.followers[place], self.sizes[place]
        copy_id, order_id = self.copy_ids[place], self.order_ids[place]
        relationship_id, account_id, lots = follower.terms.id, follower.account.id, size.lots
        row = like_but(
            first.row,
            {
                "id": copy_id,
                "relationship_id": relationship_id,
                "follower_id": account_id,
                "order_id": order_id,
                "volume": lots,
                "sentence": size.sentence[:LONGEST_SENTENCE],
                "follower_position": self._ticket(place),
            },
        )
        position = first.position and like_but(
            first.position,
            {
                "id": copy_id,
                "relationship_id": relationship_id,
                "follower_id": account_id,
                "volume": lots,
            },
        )
        order = self.order_of(place)
        is_there = self.tickets is not None
        return Copy(
            follower, row, order, position, is_there=is_there, place=int(self.places[place])
        )

    def order_of(self, place: int) -> Order:
        """Make the row of one order alone."""
        account, lots = self.followers[place].account, self.sizes[place].lots
        return like_but(
            self.order,
            {
                "id": self.order_ids[place],
                "tag": self.tags[place],
                "user_id": account.user_id,
                "account_id": account.id,
                "account_name": account.name,
                "login": account.login,
                # A close of all that is there asks for no volume.
                "requested_volume": None if self.order.requested_volume is None else lots,
                "volume": lots,
                "position_ticket": self._ticket(place),
            },
        )

    def _ticket(self, place: int) -> int | None:
        return None if self.tickets is None else self.tickets[place]


def like_but(row: _Row, own: dict[str, Any]) -> _Row:
    """Return an unsaved row with the values of another one but for its own."""
    copy = row.__class__.__new__(row.__class__)
    values = row.__dict__.copy()
    values.update(own)
    values["_state"] = ModelState()
    copy.__dict__ = values
    return copy
