"""Relationships as each of their two sides may see them.

A provider's owner knows another's follower by its alias: its state, its copied lots and what became
of each event, never its login, its money or what its terms say of it.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db.models import Count, DecimalField, F, OuterRef, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from accounts.models import ConnectedAccount, User
from copytrade.models import CopyPosition, CopyRelationship
from copytrade.models.relationship import CopyRelationshipQuerySet

State = CopyRelationship.State
Ending = CopyRelationship.Ending

# What the provider's owner reads where the follower's sentence may tell its money.
_PLAIN_REASONS: Final = {
    CopyRelationship.Cause.EQUITY_STOP: "The follower's equity stop was reached.",
    CopyRelationship.Cause.SYSTEM: "TradeGuard holds the copying back on the follower's account.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationshipView:
    """A relationship as one user sees it.

    `follower_name` is the alias for whom the follower is a stranger's. `actions` are the services
    that this user may call now, `endings` those that `terminate` takes from them. Where
    `shows_terms` is False the terms are not theirs to read, where `shows_money` is False nothing of
    the follower's money is. `held_count` and `held_lots` are what the follower holds of copies now.
    """

    relationship: CopyRelationship
    owns_provider: bool
    owns_follower: bool
    provider_name: str
    follower_name: str
    provider_owner: str
    state_reason: str
    shows_terms: bool
    shows_money: bool
    held_count: int
    held_lots: Decimal
    actions: tuple[str, ...]
    endings: tuple[str, ...]

    @property
    def id(self) -> UUID:
        return self.relationship.pk


def relationships_of(user: User) -> CopyRelationshipQuerySet:
    """Return the relationships of which the user owns a side, with both accounts and owners.

    `held_count` and `held_lots` tell what the follower holds of copies now. One query.
    """
    return _with_holdings(CopyRelationship.objects.seen_by(user)).select_related(
        "provider__user", "follower__user"
    )


def followers_of(provider: ConnectedAccount) -> CopyRelationshipQuerySet:
    """Return the living relationships of a provider, as `relationships_of` does."""
    living = CopyRelationship.objects.living().filter(provider=provider)
    return _with_holdings(living).select_related("provider__user", "follower__user")


def providers_of(follower: ConnectedAccount) -> CopyRelationshipQuerySet:
    """Return the living relationships in which an account follows, as `relationships_of` does."""
    living = CopyRelationship.objects.living().filter(follower=follower)
    return _with_holdings(living).select_related("provider__user", "follower__user")


def offers_to(user: User) -> CopyRelationshipQuerySet:
    """Return the offers that wait for the user's answer, oldest first."""
    return relationships_of(user).filter(state=State.OFFERED, follower__user=user)


def visible_to(user: User, relationship: CopyRelationship) -> RelationshipView | None:
    """Return what the user may see of a relationship; None for a stranger.

    The relationship has its accounts and their owners loaded, as `relationships_of` gives it.
    """
    owns_provider = relationship.provider.user_id == user.pk
    owns_follower = relationship.follower.user_id == user.pk
    if not (owns_provider or owns_follower):
        return None
    is_offer = relationship.state == State.OFFERED
    return RelationshipView(
        relationship=relationship,
        owns_provider=owns_provider,
        owns_follower=owns_follower,
        provider_name=relationship.provider.name,
        follower_name=relationship.follower.name if owns_follower else relationship.alias,
        provider_owner=relationship.provider.user.username,
        state_reason=_reason(relationship, owns_follower=owns_follower),
        shows_terms=owns_follower or is_offer,
        shows_money=owns_follower,
        held_count=getattr(relationship, "held_count", 0),
        held_lots=getattr(relationship, "held_lots", Decimal(0)),
        actions=_actions(relationship, owns_provider=owns_provider, owns_follower=owns_follower),
        endings=_endings(relationship, owns_follower=owns_follower),
    )


def _with_holdings(rows: CopyRelationshipQuerySet) -> CopyRelationshipQuerySet:
    held = (
        CopyPosition.objects.filter(relationship_id=OuterRef("pk"), state__in=CopyPosition.HELD)
        .order_by()
        .values("relationship_id")
    )
    lots: DecimalField[Decimal, Decimal] = DecimalField(max_digits=18, decimal_places=8)
    return rows.annotate(
        held_count=Coalesce(Subquery(held.annotate(count=Count("pk")).values("count")), 0),
        held_lots=Coalesce(
            Subquery(held.annotate(lots=Sum("volume")).values("lots")),
            Value(Decimal(0)),
            output_field=lots,
        ),
    ).order_by(F("created_at").desc(), "id")


def _reason(row: CopyRelationship, *, owns_follower: bool) -> str:
    if owns_follower:
        return row.state_reason
    return _PLAIN_REASONS.get(CopyRelationship.Cause(row.state_cause), row.state_reason)


def _actions(row: CopyRelationship, *, owns_provider: bool, owns_follower: bool) -> tuple[str, ...]:
    if row.state in CopyRelationship.ENDED:
        return ()
    found = ["rename"] if owns_provider else []
    if row.state == State.OFFERED:
        found += ["edit", "terminate"] if owns_provider else []
        return (*found, *(["accept", "decline"] if owns_follower else []))
    found += ["edit"] if owns_follower else []
    if not row.ending:
        found += _holding_actions(row, owns_provider=owns_provider, owns_follower=owns_follower)
    return (*found, "terminate")


def _holding_actions(
    row: CopyRelationship, *, owns_provider: bool, owns_follower: bool
) -> list[str]:
    holds = [row.provider_hold] * owns_provider + [row.follower_hold] * owns_follower
    found = []
    if any(hold != CopyRelationship.Hold.PAUSED for hold in holds):
        found.append("pause")
    if any(hold != CopyRelationship.Hold.CLOSE_ONLY for hold in holds):
        found.append("close_only")
    if any(holds) and row.closing_since_at is None:
        found.append("resume")
    return found


def _endings(row: CopyRelationship, *, owns_follower: bool) -> tuple[str, ...]:
    if row.state not in CopyRelationship.COPYING:
        return ()
    return tuple(ending.value for ending in Ending if owns_follower or ending != Ending.CLOSE_NOW)
