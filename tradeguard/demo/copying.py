"""Who copies whom on the demo desk: a provider with followers of every kind, and an open offer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from accounts.models import ConnectedAccount, User
from copytrade.core.kinds import BelowMinimum, Sizing
from copytrade.models import CopyRelationship
from copytrade.services.relationships import accept, offer_relationship, pause
from copytrade.terms import TermChanges


@dataclass(frozen=True, kw_only=True)
class DemoCopying:
    """Most leave stops alone: each of their closes follows the provider's, and is a copy.

    With an `alias` the follower is another's; `is_accepted` only matters for these."""

    provider: str
    follower: str
    terms: TermChanges = field(default_factory=TermChanges)
    alias: str = ""
    is_accepted: bool = True
    pause_reason: str = ""


RELATIONSHIPS = (
    DemoCopying(provider="Lead Signals", follower="Mirror Ratio"),
    DemoCopying(
        provider="Lead Signals", follower="Mirror Fixed",
        terms={"sizing": Sizing.FIXED_LOT, "fixed_lots": Decimal("0.05"),
               "exclude_symbols": ["XAUUSD"], "copies_stops": False},
    ),
    DemoCopying(
        provider="Lead Signals", follower="Mirror Contra",
        terms={"sizing": Sizing.MULTIPLIER, "multiplier": Decimal("0.2"), "is_reverse": True,
               "copies_stops": False},
    ),
    # Another server's names, and one position a symbol.
    DemoCopying(
        provider="Lead Signals", follower="Mirror Netting",
        terms={"sizing": Sizing.BALANCE_RATIO, "below_minimum": BelowMinimum.USE_MINIMUM,
               "copies_stops": False},
    ),
    DemoCopying(
        provider="Lead Signals", follower="Nordwind Hedge", alias="Jonas",
        terms={"sizing": Sizing.MULTIPLIER, "multiplier": Decimal("0.1"), "directions": "buy",
               "copies_stops": False},
    ),
    DemoCopying(
        provider="Lead Signals", follower="Meridian Scalp",
        pause_reason="Paused until its own robot is quiet.",
    ),
    DemoCopying(
        provider="Nordwind 1", follower="Bluewater Macro", alias="Maya", is_accepted=False,
        terms={"multiplier": Decimal("0.5"), "maximum_lots": Decimal(2)},
    ),
)  # fmt: skip


def create_relationships(
    owners: Mapping[str, User], accounts: Mapping[str, ConnectedAccount], *, now: datetime
) -> None:
    people = {owner.pk: owner for owner in owners.values()}
    for place, demo in enumerate(RELATIONSHIPS):
        provider, follower = accounts[demo.provider], accounts[demo.follower]
        row = offer_relationship(
            actor=people[provider.user_id],
            provider=provider,
            follower=follower,
            now=now - timedelta(seconds=place),  # in this order on the pages: the newest first
            alias=demo.alias,
            confirms_firm_terms=True,
            **demo.terms,
        )
        owner = people[follower.user_id]
        if row.state == CopyRelationship.State.OFFERED and demo.is_accepted:
            accept(relationship=row, actor=owner, now=now, confirms_firm_terms=True)
        if demo.pause_reason:
            pause(relationship=row, actor=owner, now=now, reason=demo.pause_reason)
