"""What the forms of copying tell of accounts of others, and what they do with odd answers."""

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.tests.factories import make_account
from copytrade.forms import OfferForm, TermsForm
from copytrade.models import CopyRelationship
from copytrade.tests.factories import make_relationship
from copytrade.tests.test_pages import terms

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


@pytest.mark.parametrize("left", [{"follower_id": "garbage"}, {"alias": "x" * 33}])
def test_what_was_typed_of_another_trader_does_not_stop_ones_own_account(
    left: dict[str, str], alice: User
) -> None:
    lead, mirror = (make_account(alice, name, is_active=True) for name in ("Lead", "Mirror"))
    form = OfferForm(terms(provider=lead.pk, follower=mirror.pk, **left), user=alice)
    assert form.is_valid(), form.errors
    assert (form.cleaned_data["follower"], form.cleaned_data["alias"]) == (mirror, "")


def test_a_hidden_choice_of_ones_own_does_not_stop_an_offer(alice: User, bob: User) -> None:
    lead = make_account(alice, "Lead", is_active=True)
    savings = make_account(bob, "Bob's savings", is_active=True)
    sent = terms(
        provider=lead.pk, whose="another", follower="garbage", follower_id=savings.pk, alias="Bob"
    )
    form = OfferForm(sent, user=alice)
    assert form.is_valid(), form.errors
    assert (form.cleaned_data["follower"], form.cleaned_data["alias"]) == (savings, "Bob")


@pytest.mark.parametrize(
    ("sizing", "shown", "hidden"),
    [
        ("fixed_lot", {"fixed_lots": "0.1"}, {"multiplier": "", "risk_fraction": "x"}),
        ("risk_percent", {"risk_fraction": "1"}, {"multiplier": "many", "fixed_lots": "-1"}),
        ("balance_ratio", {"multiplier": "2"}, {"fixed_lots": "-1", "risk_fraction": "200"}),
    ],
)
def test_a_size_that_is_not_asked_for_is_not_wrong(
    sizing: str, shown: dict[str, str], hidden: dict[str, str]
) -> None:
    form = TermsForm(terms(sizing=sizing, **shown, **hidden))
    assert form.is_valid(), form.errors
    assert not {*hidden} & {*form.terms()}


@pytest.mark.parametrize("sizing", ["equity_ratio", "fixed_lot", "risk_percent", ""])
def test_the_size_that_is_asked_for_is_still_looked_at(sizing: str) -> None:
    wrong = {"multiplier": "-1", "fixed_lots": "-1", "risk_fraction": "-1"}
    form = TermsForm(terms(sizing=sizing, **wrong))
    asked = {"fixed_lot": "fixed_lots", "risk_percent": "risk_fraction", "": "sizing"}
    assert asked.get(sizing, "multiplier") in form.errors


def test_a_size_that_is_hidden_stays_as_it_was(alice: User, bob: User) -> None:
    row = make_relationship(make_account(alice, "Lead"), make_account(bob, "Bob's savings"))
    CopyRelationship.objects.update(multiplier=Decimal("0.5"))
    client = Client()
    client.force_login(bob)
    sent = terms(sizing="fixed_lot", fixed_lots="0.25", multiplier="")
    assert client.post(reverse("copying-edit", args=[row.pk]), sent).status_code == 302
    row.refresh_from_db()
    assert (row.sizing, row.fixed_lots, row.multiplier) == (
        "fixed_lot", Decimal("0.25"), Decimal("0.5"),
    )  # fmt: skip


def test_an_equity_stop_names_its_currency_to_its_owner_alone(alice: User, bob: User) -> None:
    row = make_relationship(
        make_account(alice, "Lead"),
        make_account(bob, "Bob's savings", currency="CHF"),
        state=State.OFFERED,
        started_at=None,
    )
    client, address = Client(), reverse("copying-edit", args=[row.pk])
    client.force_login(alice)
    assert "CHF" not in client.get(address).content.decode()
    CopyRelationship.objects.update(state=State.ACTIVE)
    client.force_login(bob)
    assert '<span class="suffix">CHF</span>' in client.get(address).content.decode()


def test_who_may_change_the_name_alone_is_offered_to_rename(alice: User, bob: User) -> None:
    row = make_relationship(make_account(alice, "Lead"), make_account(bob, "Bob's savings"))
    for user, word in ((alice, "Rename"), (bob, "Edit")):
        client = Client()
        client.force_login(user)
        page = client.get(reverse("copying-edit", args=[row.pk])).content.decode()
        assert f"<h1>{word} Lead" in page
