"""What a relationship copies and how: terms as people set and change them."""

from datetime import time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.tests.factories import NOW, make_account
from copytrade.models import CopyRelationship
from copytrade.services.relationships import (
    accept,
    offer_relationship,
    pause,
    terminate,
    update_relationship,
)

LATER = NOW + timedelta(minutes=1)
State = CopyRelationship.State


@pytest.fixture
def provider(alice: User) -> ConnectedAccount:
    return make_account(alice, "Lead")


@pytest.fixture
def own(alice: User) -> ConnectedAccount:
    return make_account(alice, "Second")


@pytest.fixture
def others(bob: User) -> ConnectedAccount:
    return make_account(bob, "Bob's")


def offer(provider: ConnectedAccount, follower: ConnectedAccount, **fields: Any) -> Any:
    told = {"actor": provider.user, "now": NOW, **fields}
    return offer_relationship(provider=provider, follower=follower, **told)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"sizing": "by_feeling"}, "sizing"),
        ({"sizing": "fixed_lot"}, "fixed_lots"),
        ({"sizing": "fixed_lot", "fixed_lots": Decimal(0)}, "fixed_lots"),
        ({"sizing": "risk_percent"}, "risk_fraction"),
        ({"sizing": "risk_percent", "risk_fraction": Decimal("1.01")}, "risk_fraction"),
        ({"multiplier": Decimal(0)}, "multiplier"),
        ({"multiplier": Decimal("1000.0001")}, "multiplier"),
        ({"maximum_lots": Decimal(-1)}, "maximum_lots"),
        ({"symbol_map": {"EURUSD": ""}}, "symbol_map"),
        ({"symbol_map": ["EURUSD"]}, "symbol_map"),
        ({"symbol_map": {"EURUSD": "X" * 30}}, "symbol_map"),
        ({"include_symbols": "EURUSD"}, "include_symbols"),
        ({"include_symbols": [7]}, "include_symbols"),
        ({"include_symbols": ["EURUSD"], "exclude_symbols": ["EURUSD"]}, "exclude_symbols"),
        ({"magics": [-1]}, "magics"),
        ({"magics": [True]}, "magics"),
        ({"magics": [2**63]}, "magics"),
        ({"open_deadline_seconds": 0}, "open_deadline_seconds"),
        ({"open_deadline_seconds": 3601}, "open_deadline_seconds"),
        ({"maximum_positions": 0}, "maximum_positions"),
        ({"stop_loss_points": 0}, "stop_loss_points"),
        ({"equity_stop": Decimal(0)}, "equity_stop"),
        ({"trading_from": time(8)}, "trading_until"),
        ({"trading_until": time(8)}, "trading_from"),
        ({"trading_from": time(8), "trading_until": time(8)}, "trading_until"),
        ({"trading_zone": "Atlantis/Capital"}, "trading_zone"),
        ({"alias": "a\nb"}, "alias"),
        ({"alias": "x" * 33}, "alias"),
    ],
)
def test_terms_that_make_no_sense_are_named(
    provider: ConnectedAccount, own: ConnectedAccount, terms: Any, field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        offer(provider, own, **terms)
    assert list(caught.value.message_dict) == [field]
    assert not CopyRelationship.objects.exists()


@pytest.mark.parametrize(
    "terms",
    [
        {"sizing": "risk_percent", "risk_fraction": Decimal(1)},
        {"multiplier": Decimal(1000)},
        {"multiplier": Decimal("0.0001")},
        {"open_deadline_seconds": 1},
        {"open_deadline_seconds": 3600},
        {"maximum_slippage_points": 0},
        {"magics": [0, 2**63 - 1]},
        {"trading_from": time(22), "trading_until": time(6), "trading_zone": "America/New_York+7h"},
        {"symbol_map": {"EURUSD": "X" * 29}},
    ],
)
def test_terms_at_their_limits_are_taken(
    provider: ConnectedAccount, own: ConnectedAccount, terms: Any
) -> None:
    row = CopyRelationship.objects.get(pk=offer(provider, own, **terms).pk)
    assert {name: getattr(row, name) for name in terms} == terms


def test_lists_are_kept_once_and_in_their_case(
    provider: ConnectedAccount, own: ConnectedAccount
) -> None:
    row = offer(provider, own, include_symbols=(" EURUSDm", "EURUSDm", "eurusdm"), magics={7})
    row.refresh_from_db()
    assert (row.include_symbols, row.magics) == (["EURUSDm", "eurusdm"], [7])


def test_the_terms_of_an_offer_are_the_providers_and_then_the_followers(
    provider: ConnectedAccount, others: ConnectedAccount, alice: User, bob: User
) -> None:
    row = offer(provider, others)
    with pytest.raises(Refusal, match="provider's"):
        update_relationship(relationship=row, actor=bob, now=LATER, multiplier=Decimal(2))
    row = accept(relationship=row, actor=bob, now=LATER)
    with pytest.raises(Refusal, match="follower's"):
        update_relationship(relationship=row, actor=alice, now=LATER, multiplier=Decimal(50))
    row.refresh_from_db()
    assert row.multiplier == 1

    row = update_relationship(relationship=row, actor=bob, now=LATER, multiplier=Decimal(2))
    assert (row.multiplier, row.terms_changed_at) == (Decimal(2), LATER)


def test_the_alias_stays_the_providers(
    provider: ConnectedAccount, others: ConnectedAccount, alice: User, bob: User
) -> None:
    row = accept(relationship=offer(provider, others), actor=bob, now=LATER)
    with pytest.raises(Refusal, match="alias"):
        update_relationship(relationship=row, actor=bob, now=LATER, alias="Boss")
    row = update_relationship(relationship=row, actor=alice, now=LATER, alias=" Client 7 ")
    row.refresh_from_db()
    assert (row.alias, row.terms_changed_at) == ("Client 7", NOW)


def test_what_is_decided_at_the_start_stays(
    provider: ConnectedAccount, own: ConnectedAccount, alice: User
) -> None:
    row = offer(provider, own)
    with pytest.raises(ValidationError) as caught:
        update_relationship(relationship=row, actor=alice, now=LATER, start_policy="adopt")
    assert "start_policy" in caught.value.message_dict


def test_what_ended_is_not_changed(
    provider: ConnectedAccount, own: ConnectedAccount, alice: User
) -> None:
    row = terminate(relationship=offer(provider, own), actor=alice, now=LATER)
    with pytest.raises(Refusal, match="ended"):
        update_relationship(relationship=row, actor=alice, now=LATER, multiplier=Decimal(2))


def test_an_edit_overwrites_no_state(
    provider: ConnectedAccount, own: ConnectedAccount, alice: User
) -> None:
    stale = offer(provider, own)
    pause(relationship=stale, actor=alice, now=LATER)
    update_relationship(relationship=stale, actor=alice, now=LATER, multiplier=Decimal(2))
    stale.refresh_from_db()
    assert (stale.state, stale.multiplier) == (State.PAUSED, Decimal(2))
