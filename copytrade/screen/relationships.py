"""Relationships as rows and heads of pages, for whichever side looks at them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from accounts.models import User
from copytrade.models import CopyRelationship
from copytrade.screen.terms import size_text
from copytrade.screen.words import STATE_TONES, lots
from copytrade.selectors.relationships import RelationshipView, visible_to
from risk.core.figures import counted_text

State, Hold = CopyRelationship.State, CopyRelationship.Hold

# In the order of the buttons; `rename` is a part of editing.
ACTION_LABELS: Final = {
    "resume": "Resume",
    "pause": "Pause",
    "close_only": "Close only",
}


@dataclass(frozen=True, slots=True)
class Action:
    """A button that asks once more; `slug` is its part of the address."""

    name: str
    slug: str
    label: str


@dataclass(frozen=True, slots=True)
class RelationshipRow:
    """`note` says who holds it back, and what is under way; `side` is what the viewer owns."""

    view: RelationshipView
    tone: str
    label: str
    note: str
    held: str
    size: str
    side: str
    actions: tuple[Action, ...]

    @property
    def relationship(self) -> CopyRelationship:
        return self.view.relationship

    @property
    def name(self) -> str:
        return f"{self.view.provider_name} → {self.view.follower_name}"

    @property
    def is_ended(self) -> bool:
        return self.relationship.state in CopyRelationship.ENDED

    @property
    def can_edit(self) -> bool:
        return bool({"edit", "rename"} & set(self.view.actions))

    @property
    def edit_label(self) -> str:
        return "Edit" if "edit" in self.view.actions else "Rename"

    @property
    def can_end(self) -> bool:
        return "terminate" in self.view.actions

    @property
    def can_answer(self) -> bool:
        return "accept" in self.view.actions


def relationship_rows(user: User, rows: Iterable[CopyRelationship]) -> list[RelationshipRow]:
    views = (visible_to(user, row) for row in rows)
    return [relationship_row(view) for view in views if view is not None]


def relationship_row(view: RelationshipView) -> RelationshipRow:
    row = view.relationship
    held = ""
    if view.held_count:
        held = f"{counted_text(view.held_count, 'position')}, {lots(view.held_lots)} lots"
    label = "Ending" if row.ending and row.state in CopyRelationship.COPYING else ""
    return RelationshipRow(
        view=view,
        tone=STATE_TONES[row.state],
        label=label or row.get_state_display(),
        note=_note(view),
        held=held,
        size=_size(view),
        side=_side(view),
        actions=tuple(
            Action(name, name.replace("_", "-"), text)
            for name, text in ACTION_LABELS.items()
            if name in view.actions
        ),
    )


def _size(view: RelationshipView) -> str:
    if not view.shows_terms:
        return ""
    text = size_text(view.relationship)
    return f"{text}, reversed" if view.relationship.is_reverse else text


def _side(view: RelationshipView) -> str:
    if view.owns_provider and view.owns_follower:
        return "Both yours"
    if view.owns_provider:
        return "You are copied"
    if view.relationship.state == State.OFFERED:
        return f"Offered by {view.provider_owner}"
    return f"You copy {view.provider_owner}"


def _note(view: RelationshipView) -> str:
    row = view.relationship
    if row.closing_since_at is not None:
        return "Everything that was copied is being closed."
    if row.state == State.OFFERED:
        return "It waits for your answer." if view.owns_follower else "It waits for an answer."
    if row.ending and row.state in CopyRelationship.COPYING:
        return "It ends once the provider has closed what was copied."
    held_by = _held_by(view)
    return " ".join(each for each in (held_by, view.state_reason) if each)


def _held_by(view: RelationshipView) -> str:
    """Say whose hold it is where the two sides have different owners."""
    row = view.relationship
    if view.owns_provider and view.owns_follower:
        return ""
    mine, theirs = row.follower_hold, row.provider_hold
    if view.owns_provider:
        mine, theirs = theirs, mine
    if mine and theirs:
        return "Both sides hold it back."
    if theirs:
        return f"The {'follower' if view.owns_provider else 'provider'} holds it back."
    return "You hold it back." if mine else ""
