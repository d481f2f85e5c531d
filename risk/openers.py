"""Which strategy opened a position: whoever closes it, the result is that strategy's."""

from collections.abc import Iterable, Mapping
from uuid import UUID

import numpy as np

from accounts.models import Deal
from accounts.terminals.readings import Rows
from risk.core.pairs import NO_MAGIC
from risk.desk import Desk

# DEAL_ENTRY_*: IN and INOUT open; INOUT, OUT and OUT_BY close.
_IN, _INOUT = 0, 2
_QUERY_IDS = 500

Magics = Mapping[int, int]  # of the opening deal, by position


class Openers:
    """Remembers the strategies of positions, for the accounts of a desk whose rules ask for them.

    A deal that closes carries the number of whoever closed: 0 when it was done by hand, and another
    one when TradeGuard did it.
    """

    def __init__(self) -> None:
        self._rows: dict[int, UUID] = {}
        self._magics: dict[UUID, frozenset[int]] = {}
        self._known: dict[UUID, dict[int, int]] = {}

    def load(self, desk: Desk) -> None:
        """Look up what the recorded deals tell of the accounts whose strategies are new."""
        wanted = _wanted(desk)
        missing = {
            account_id: magics
            for account_id, magics in wanted.items()
            if not magics <= self._magics.get(account_id, frozenset())
        }
        found = _recorded(missing)
        for account_id in missing:
            self._known.setdefault(account_id, {}).update(found.get(account_id, {}))
        self._known = {account_id: self._known[account_id] for account_id in wanted}
        self._magics = wanted
        self._rows = {desk.account_index[account_id]: account_id for account_id in wanted}

    def attributed(self, deals: Rows, positions: Rows) -> Rows:
        """Return the deals with the magic number of what they closed, of the accounts that matter.

        `positions` are those of the reading before: the ones that these deals closed are there.
        """
        if not len(deals) or not self._rows:
            return deals
        touched = [row for row in np.unique(deals["account"]).tolist() if row in self._rows]
        if not touched:
            return deals
        deals = deals.copy()
        for row in touched:
            known = self._known[self._rows[row]]
            for place in np.flatnonzero(positions["account"] == row).tolist():
                known.setdefault(
                    int(positions["identifier"][place]), int(positions["magic"][place])
                )
            mine = deals["account"] == row
            deals["magic"][mine] = attributed_magics(deals[mine], known)
        return deals


def attributed_magics(deals: Rows, known: dict[int, int]) -> list[int]:
    """Return the magic number that each deal of one account counts for, oldest first.

    Takes the positions that the deals open into `known`.
    """
    magics = []
    columns = (deals["position"].tolist(), deals["entry"].tolist(), deals["magic"].tolist())
    for position, entry, magic in zip(*columns, strict=True):
        if entry == _IN:
            known.setdefault(position, magic)
            magics.append(magic)
        else:
            magics.append(known.get(position, magic))
    return magics


def _wanted(desk: Desk) -> dict[UUID, frozenset[int]]:
    table = desk.pairs
    narrowed = np.flatnonzero(table.counted & (table.magic != NO_MAGIC))
    wanted: dict[UUID, set[int]] = {}
    for row, magic in zip(
        table.account_index[narrowed].tolist(), table.magic[narrowed].tolist(), strict=True
    ):
        account = desk.accounts[row]
        if account is not None:
            wanted.setdefault(account.id, set()).add(magic)
    return {account_id: frozenset(magics) for account_id, magics in wanted.items()}


def _recorded(wanted: Mapping[UUID, Iterable[int]]) -> dict[UUID, dict[int, int]]:
    found: dict[UUID, dict[int, int]] = {}
    ids = list(wanted)
    magics = {magic for some in wanted.values() for magic in some}
    for start in range(0, len(ids), _QUERY_IDS):
        rows = Deal.objects.filter(
            account__in=ids[start : start + _QUERY_IDS], entry=_IN, magic__in=magics
        ).order_by()
        for account_id, position, magic in rows.values_list("account_id", "position", "magic"):
            found.setdefault(account_id, {}).setdefault(position, magic)
    return found
