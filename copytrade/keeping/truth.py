"""What followers really hold, against what the ledger says of their copies.

Only a proven reading counts that is younger than all that the account did, and that a position is
gone is believed once its own deals say so.
"""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import FloatField, QuerySet
from django.db.models.functions import Cast

from accounts.core.kinds import MarginMode
from accounts.core.right_of_way import RIGHT_OF_WAY
from accounts.terminals.link import LinkError
from copytrade.cascade.ending import settle_positions
from copytrade.cascade.running import falling_followers
from copytrade.keeping.changes import Changes
from copytrade.keeping.surroundings import Surroundings
from copytrade.models import CopyOrder, CopyPosition
from risk.orders.terminal import ENTRY_OUT, ENTRY_OUT_BY
from risk.orders.view import HostView

State = CopyPosition.State
_HELD: Final = (State.OPEN, State.CLOSING)
_NONE: Final = Decimal(0)
_NOISE: Final = 1e-9
_QUERY_IDS: Final = 1_000


def heed_readings(followers: Any, around: Surroundings, changes: Changes) -> None:
    """Take over what followers closed, or reduced, by themselves; it is never opened again.

    Only where readings have changed, and where an earlier look could not tell.
    """
    try:
        _compare(followers, around, changes)
    except Exception:
        changes.forget()
        raise


def _compare(followers: Any, around: Surroundings, changes: Changes) -> None:
    # What a cascade closes is its own affair until that has ended and is written down.
    falling = falling_followers()
    rows = CopyPosition.objects.filter(follower_id__in=followers)
    if rows.filter(state=State.CLOSING).exists():
        settle_positions(follower_ids=followers)
    rows = rows.filter(state__in=_HELD)
    held = _missing(rows, around.view, changes)
    if not held:
        return
    # What an order did that was not taken in yet would be counted twice.
    busy = falling | set(
        CopyOrder.objects.filter(
            state=CopyOrder.State.ORDERED, answered_at=None, follower_id__in=followers
        )
        .order_by()
        .values_list("follower_id", flat=True)
    )
    changes.look_again(row.follower_id for row in held if row.follower_id in busy)
    netted: dict[tuple[UUID, str], list[CopyPosition]] = defaultdict(list)
    for row in held:
        if row.follower_id in busy:
            continue
        if around.scene.is_netting(row.follower_id):
            netted[row.follower_id, row.symbol].append(row)
        else:
            changes.look_again([row.follower_id])
            _heed(row, around)
    for shared in netted.values():
        if not _heed_netted(shared, around):
            changes.look_again([shared[0].follower_id])


def _missing(rows: QuerySet[CopyPosition], view: HostView, changes: Changes) -> list[CopyPosition]:
    """Return the rows of which the last readings, proven or not, show less than is written.

    The newest come first. Most followers hold what they should, which costs no row of a model
    here. Netted positions are shared: all rows of such an account are returned.
    """
    accounts = changes.accounts(view)
    if accounts is not None and not accounts:
        return []
    some = rows
    if accounts is not None and len(accounts) <= _QUERY_IDS:
        # The host is asked for below: with it, PostgreSQL may sort all of these ids once for each
        # of its accounts.
        some = CopyPosition.objects.filter(state__in=_HELD, follower_id__in=accounts)
    batch = view.poll.batch
    there = {
        (account, ticket): volume
        for account, ticket, volume in zip(
            batch.positions["account"].tolist(),
            batch.positions["ticket"].tolist(),
            batch.positions["volume"].tolist(),
            strict=True,
        )
    }
    is_hedging = (batch.accounts["margin_mode"] == MarginMode.HEDGING).tolist()
    found = []
    lots = Cast("volume", FloatField())
    known = some.order_by().values_list("pk", "follower_id", "follower_position", lots)
    for pk, follower_id, ticket, volume in known:
        row = view.row_of(follower_id)
        is_all_there = (
            row is not None and is_hedging[row] and there.get((row, ticket), 0.0) >= volume - _NOISE
        )
        if not is_all_there:
            found.append(pk)
    loaded: list[CopyPosition] = []
    for first in range(0, len(found), _QUERY_IDS):
        RIGHT_OF_WAY.give()
        loaded += rows.filter(pk__in=found[first : first + _QUERY_IDS])
    return sorted(loaded, key=lambda row: (row.opened_at, row.pk), reverse=True)


def is_gone(row: CopyPosition, around: Surroundings) -> bool:
    """Tell whether the follower's position is proven to be closed."""
    facts = around.facts_of(row.follower_id)
    ticket = row.follower_position
    if facts is None or ticket is None:
        return False
    if around.scene.lots_of(row.follower_id, ticket) != 0:
        return False
    try:
        deals = around.terminal_of(facts).deals_of_position(ticket)
    except (LinkError, OSError):
        return False
    closed = sum((d.volume for d in deals if d.entry in (ENTRY_OUT, ENTRY_OUT_BY)), _NONE)
    opened = sum((d.volume for d in deals if d.entry not in (ENTRY_OUT, ENTRY_OUT_BY)), _NONE)
    return 0 < opened <= closed


def end_position(row: CopyPosition, around: Surroundings) -> None:
    """Write that nothing is held of a copy any more, unless it has changed meanwhile."""
    state = State.CLOSED if row.state == State.CLOSING else State.LEFT
    volume = _NONE if state == State.CLOSED else row.volume
    if unchanged_rows(row).update(state=state, volume=volume, closed_at=around.now):
        row.state, row.volume, row.closed_at = state, volume, around.now


def _heed(row: CopyPosition, around: Surroundings) -> None:
    if row.follower_position is None:
        return
    there = around.scene.lots_of(row.follower_id, row.follower_position)
    if there is None or there >= row.volume:
        return
    if there > 0:
        unchanged_rows(row).update(volume=there)
    elif is_gone(row, around):
        end_position(row, around)


def _heed_netted(rows: Sequence[CopyPosition], around: Surroundings) -> bool:
    """Take what is missing from the newest copies of one direction; opposite ones stay as they are.

    With copies on both sides nobody can tell whose part the follower has closed: then closing them
    looks at what there is. Tells whether all is there that should be.
    """
    there = around.scene.net_lots(rows[0].follower_id, rows[0].symbol)
    if there is None or len({row.direction for row in rows}) > 1:
        return False
    here = max(there if rows[0].direction == "buy" else -there, _NONE)
    missing = sum((row.volume for row in rows), _NONE) - here
    if missing > 0 and here == 0 and not _was_settled(rows[0], around):
        return False
    is_all_there = missing <= 0
    for row in rows:
        taken = min(max(missing, _NONE), row.volume)
        missing -= taken
        if taken == row.volume:
            end_position(row, around)
        elif taken > 0:
            unchanged_rows(row).update(volume=row.volume - taken)
    return is_all_there


def _was_settled(row: CopyPosition, around: Surroundings) -> bool:
    """Tell whether a netted position can be believed to be gone."""
    ticket = around.ticket_of(row)
    return ticket is not None and around.scene.lots_of(row.follower_id, ticket) == 0


def unchanged_rows(row: CopyPosition) -> Any:
    """Return a copy as far as nobody has changed it since it was read."""
    return CopyPosition.objects.filter(pk=row.pk, state=row.state, volume=row.volume)
