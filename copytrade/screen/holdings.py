"""What a follower holds of copies now: position by position, and what it amounts to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.figures import signed
from accounts.selectors import last_states
from copytrade.models import CopyPosition
from copytrade.screen.words import lots
from copytrade.selectors.figures import figures_of
from copytrade.selectors.relationships import RelationshipView
from risk.core.figures import counted_text

MOST_ROWS = 50


@dataclass(frozen=True, slots=True)
class HeldRow:
    """`result` is what closing it now would bring; empty where that is not known or not shown."""

    position: CopyPosition
    lots_there: str
    lots_here: str
    result: str
    is_loss: bool


@dataclass(frozen=True, slots=True)
class Holdings:
    """`text` says all of it in a few words: "2 positions, 0.40 lots, −12.30 EUR"."""

    rows: tuple[HeldRow, ...]
    count: int
    text: str
    result: str

    @property
    def more(self) -> int:
        return self.count - len(self.rows)


def holdings_of(view: RelationshipView, *, now: datetime) -> Holdings:
    """Read what is held; the results only for the follower's owner, and while they are fresh."""
    held = list(CopyPosition.objects.filter(relationship_id=view.id, state__in=CopyPosition.HELD))
    results, currency = _results(view, held, now) if view.shows_money else ({}, "")
    known = [results[each.pk] for each in held if each.pk in results]
    total = f"{signed(sum(known))} {currency}" if held and len(known) == len(held) else ""
    text = ""
    if held:
        volume = lots(sum((each.volume for each in held[1:]), held[0].volume))
        text = f"{counted_text(len(held), 'position')}, {volume} lots"
    return Holdings(
        rows=tuple(_row(each, results.get(each.pk), currency) for each in held[:MOST_ROWS]),
        count=len(held),
        text=f"{text}, {total}" if total else text,
        result=total,
    )


def _row(held: CopyPosition, result: float | None, currency: str) -> HeldRow:
    return HeldRow(
        position=held,
        lots_there=lots(held.provider_volume),
        lots_here=lots(held.volume),
        result="" if result is None else f"{signed(result)} {currency}",
        is_loss=result is not None and result < 0,
    )


def _results(
    view: RelationshipView, held: Iterable[CopyPosition], now: datetime
) -> tuple[Mapping[Any, float], str]:
    """Return each copy's part of its position's floating result, and the account's currency."""
    follower = view.relationship.follower
    state = last_states([follower]).get(follower.pk)
    figures = figures_of(state, now=now)
    if state is None or figures is None:
        return {}, ""
    floating = {
        int(row["ticket"]): (float(row["profit"]) + float(row["swap"]), float(row["volume"]))
        for row in state.positions
    }
    found = {}
    for each in held:
        profit, volume = floating.get(each.follower_position or 0, (0.0, 0.0))
        if volume > 0:
            # Several copies share one position on a netting account.
            found[each.pk] = profit * min(1.0, float(each.volume) / volume)
    return found, figures.currency
