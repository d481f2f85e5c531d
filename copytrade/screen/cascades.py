"""Liquidations of providers as their pages tell them: who fell, when, with what, how fast."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from copytrade.cascade.story import CascadeStory, Fallen
from copytrade.models import CopyRelationship
from copytrade.screen.words import lots, milliseconds
from risk.core.figures import counted_text
from risk.models import Enforcement

MOST_FOLLOWERS: Final = 50
Stage = Enforcement.Stage
_TONES: Final = {Stage.DONE: "safe", Stage.GIVEN_UP: "violated"}
_LABELS: Final = {Stage.DONE: "Flat, confirmed", Stage.GIVEN_UP: "Not flat: look at it"}


@dataclass(frozen=True, slots=True)
class FallenRow:
    fallen: Fallen
    tone: str
    label: str
    closed: str
    took: str


@dataclass(frozen=True, slots=True)
class CascadeRow:
    """`rows` are those that failed first, then those under way; at most 50."""

    story: CascadeStory
    tone: str
    headline: str
    rows: tuple[FallenRow, ...]

    @property
    def more(self) -> int:
        return len(self.story.followers) - len(self.rows)


def cascade_rows(stories: Iterable[CascadeStory]) -> list[CascadeRow]:
    return [_cascade_row(story) for story in stories]


def _cascade_row(story: CascadeStory) -> CascadeRow:
    ranked = sorted(story.followers, key=_rank)
    tone = "violated" if story.failed else "safe" if story.is_over else "caution"
    return CascadeRow(
        story=story,
        tone=tone,
        headline=_headline(story),
        rows=tuple(_fallen_row(each) for each in ranked[:MOST_FOLLOWERS]),
    )


def _headline(story: CascadeStory) -> str:
    count = counted_text(len(story.followers), "follower")
    closed = f"{counted_text(story.positions_closed, 'position')} closed"
    if story.failed:
        return f"{count}, {closed}; {story.failed} not flat"
    if story.seconds is None:
        confirmed = sum(each.confirmed_at is not None for each in story.followers)
        return f"Being closed: {confirmed} of {count} confirmed flat, {closed} so far"
    return f"{count} flat after {milliseconds(story.seconds)}, {closed}"


def _rank(fallen: Fallen) -> int:
    return {Stage.GIVEN_UP.value: 0, Stage.DONE.value: 2}.get(fallen.stage, 1)


def _fallen_row(fallen: Fallen) -> FallenRow:
    stage = Stage(fallen.stage)
    is_all = fallen.scope == CopyRelationship.CascadeScope.EVERYTHING
    return FallenRow(
        fallen=fallen,
        tone=_TONES.get(stage, "caution"),
        label=_LABELS.get(stage, stage.label),
        closed=_closed(fallen) + (" (everything)" if is_all else ""),
        took="" if fallen.seconds is None else milliseconds(fallen.seconds),
    )


def _closed(fallen: Fallen) -> str:
    """Say what its run closed, with the lots, and what copied closes had begun to close before."""
    volumes = ", ".join(f"{lots(volume)} {symbol}" for symbol, volume in fallen.lots_by_symbol)
    told = []
    if fallen.positions_closed or not fallen.closed_by_copies:
        text = counted_text(fallen.positions_closed, "position")
        told.append(f"{text}: {volumes}" if volumes else text)
    if fallen.closed_by_copies:
        told.append(f"{counted_text(fallen.closed_by_copies, 'position')} by copied closes")
    if fallen.orders_cancelled:
        told.append(f"{counted_text(fallen.orders_cancelled, 'order')} deleted")
    return ", ".join(told)
