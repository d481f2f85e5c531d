"""What the forms of copying tell of accounts of others, and what they do with odd answers."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.tests.factories import make_account
from copytrade.forms import OfferForm
from copytrade.models import CopyRelationship
from copytrade.tests.factories import make_relationship

State = CopyRelationship.State


@pytest.mark.parametrize("is_active", [True, False])
def test_an_id_does_not_tell_whether_its_account_is_watched(
    is_active: bool, alice: User, bob: User
) -> None:
    lead = make_account(alice, "Lead", is_active=True)
    savings = make_account(bob, "Bob's savings", is_active=is_active)
    sent = {"provider": str(lead.pk), "whose": "another", "follower_id": str(savings.pk)}
    form = OfferForm(sent, user=alice)
    form.is_valid()
    assert "follower_id" not in form.errors
    assert form.cleaned_data["follower"] == savings


@pytest.mark.parametrize("seen_at", ["2026-01-01T00:00:00", "2026-01-01", "never"])
def test_an_offer_that_was_read_at_no_known_moment_is_read_again(
    seen_at: str, alice: User, bob: User
) -> None:
    offer = make_relationship(
        make_account(alice, "Lead", is_active=True),
        make_account(bob, "Bob's savings", is_active=True),
        state=State.OFFERED,
        started_at=None,
    )
    client = Client()
    client.force_login(bob)
    address = reverse("copying-accept", args=[offer.pk])
    answer = client.post(address, {"seen_at": seen_at})
    assert answer.status_code == 200
    offer.refresh_from_db()
    assert offer.state == State.OFFERED
