"""What a follower holds of one position of its provider: one copy for each time it was opened.

An addition is a copy of its own: a hedging follower gets another ticket for it.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from copytrade.core.kinds import EventKind, HeldState
from copytrade.models import CopyPosition

State = CopyPosition.State
_HELD: Final = frozenset(CopyPosition.HELD)


class PlainCopy(NamedTuple):
    """The only copy of a position that a follower has, filled, and closed by nothing.

    `volume` is as the database says it.
    """

    ticket: int
    symbol: str
    direction: str
    volume: Any


def plain_copies(rows: Iterable[tuple[Any, ...]]) -> dict[Hashable, PlainCopy]:
    """Return the plain copies out of those of one position, by relationship.

    `rows` say relationship, state, whether all closes once it is filled, the follower's ticket,
    symbol, direction and volume.
    """
    plain: dict[Hashable, PlainCopy] = {}
    seen = set()
    for relationship, state, closes_on_fill, ticket, *told in rows:
        if relationship in seen:
            plain.pop(relationship, None)
        elif state == State.OPEN and not closes_on_fill and ticket:
            plain[relationship] = PlainCopy(ticket, *told)
        seen.add(relationship)
    return plain


def is_leaving(row: CopyPosition) -> bool:
    """Tell whether all of a copy is being closed, or will be once it is filled."""
    return row.state in _HELD and (row.state == State.CLOSING or row.closes_on_fill)


def open_to_additions(rows: Sequence[CopyPosition]) -> Sequence[CopyPosition]:
    """Return the copies, out of those of one position, oldest first, that may be added to.

    What was turned round is there no more for what is added, though it may not be closed yet.
    """
    if rows and is_leaving(rows[-1]):
        return ()
    return [row for row in rows if not is_leaving(row)]


def concerned(rows: Sequence[CopyPosition], kind: str, direction: str) -> Sequence[CopyPosition]:
    """Return the copies, out of those of one position, oldest first, that an event is about.

    Those of its direction, or of the newest where none has it, that nothing closes yet; where
    nothing is held the newest, which says why. A whole close begins with what is filled.
    """
    held = [row for row in rows if row.state in _HELD]
    if not held:
        return rows[-1:]
    alike = [row for row in held if row.direction == direction]
    alike = alike or [row for row in held if row.direction == held[-1].direction]
    staying = [row for row in alike if not is_leaving(row)] or alike
    filled = [row for row in staying if row.state == State.OPEN]
    return filled if kind == EventKind.CLOSE and filled else staying


def state_of(rows: Sequence[CopyPosition]) -> HeldState:
    """Return how copies stand together: what is under way to be opened is waited for."""
    states = {HeldState(row.state) for row in rows}
    for state in (HeldState.OPENING, HeldState.OPEN, HeldState.CLOSING):
        if state in states:
            return state
    return HeldState(rows[-1].state)
