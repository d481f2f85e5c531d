"""The newest events are found by an index, page by page, and are those that the reader may see."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.models import User
from accounts.tests.factories import NOW, make_account, make_user
from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyRelationship
from copytrade.selectors import events as selector
from copytrade.selectors.events import newest_events
from copytrade.selectors.ledger import events_of
from copytrade.tests.factories import make_copy, make_event, make_relationship

pytestmark = pytest.mark.django_db


def listed(user: User, **narrowed: Any) -> list[CopyEvent]:
    return list(events_of(user).filter(**narrowed).order_by("-detected_at", "-pk"))


def walked(user: User, length: int, **narrowed: Any) -> list[CopyEvent]:
    """Return what the pages of so many rows show, one after the other."""
    found: list[CopyEvent] = []
    while page := newest_events(user, most=length, before=found[-1] if found else None, **narrowed):
        found += page
    return found


class TestPages(TestCase):
    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 3))), max_size=14),
        st.integers(1, 5),
        st.sampled_from([0, 3, 500]),
    )
    def test_it_walks_the_whole_ledger_of_everybody(
        self, chosen: list[tuple[int, set[int]]], length: int, few: int
    ) -> None:
        alice, bob = make_user("alice"), make_user("bob")
        lead, other = make_account(alice, "Lead"), make_account(bob, "Other")
        rows = [
            make_relationship(lead, make_account(bob, "One")),
            make_relationship(lead, make_account(bob, "Two")),
            make_relationship(lead, make_account(alice, "Own")),
            make_relationship(other, make_account(alice, "Cross")),
        ]
        for seconds, numbers in chosen:  # several of them in the same moment
            at = NOW + timedelta(seconds=seconds)
            source = rows[3] if 3 in numbers else rows[0]
            event = make_event(source, EventKind.OPEN, detected_at=at)
            for number in numbers:
                if rows[number].provider_id == event.provider_id:
                    make_copy(rows[number], event, planned_at=at)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(selector, "_FEW", few)
            for user in (alice, bob):
                assert walked(user, length) == listed(user)
                mine = listed(user, provider_id=lead.pk)
                assert walked(user, length, provider_id=lead.pk) == mine


def test_what_has_ended_shows_what_it_was_and_nothing_after_it(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selector, "_FEW", 1)
    ended_at = NOW + timedelta(hours=1)
    row = make_relationship(
        make_account(alice, "Lead"),
        make_account(bob, "Mirror"),
        state=CopyRelationship.State.TERMINATED,
        state_changed_at=ended_at,
    )
    for minutes in (0, 30, 60, 90):
        at = NOW + timedelta(minutes=minutes)
        event = make_event(row, EventKind.OPEN, detected_at=at)
        if at <= ended_at:
            make_copy(row, event, planned_at=at)
    assert len(newest_events(bob, most=9)) == 3
    assert newest_events(bob, most=9, relationship_id=row.pk) == listed(bob)


def test_the_ledger_leads_to_what_is_older(alice: User, client: Client) -> None:
    row = make_relationship(make_account(alice, "Lead"), make_account(alice, "Mirror"))
    for number in range(60):
        at = NOW + timedelta(seconds=number)
        make_event(row, EventKind.OPEN, magic=number, detected_at=at)
    client.force_login(alice)
    address = reverse("copying-ledger")
    seen: list[str] = []
    for rows in (25, 25, 10):
        page = client.get(address).content.decode()
        found = re.findall(r'data-event="([^"]+)"', page)
        assert len(found) == rows
        seen += found
        older = re.search(r'rel="next" href="\?([^"]+)"', page)
        address = f"{reverse('copying-ledger')}?{older[1]}" if older else ""
    assert len(set(seen)) == 60
    assert address == ""


def test_a_page_far_back_looks_at_its_own_rows_again(alice: User, client: Client) -> None:
    row = make_relationship(make_account(alice, "Lead"), make_account(alice, "Mirror"))
    old = make_event(row, EventKind.OPEN, detected_at=NOW)
    new = make_event(row, EventKind.CLOSE, detected_at=NOW + timedelta(seconds=1))
    client.force_login(alice)
    page = client.get(reverse("copying-ledger"), {"before": str(new.pk)}).content.decode()
    asked = re.search(r'hx-get="([^"]*/ledger/rows[^"]*)"', page)
    assert asked is not None
    again = client.get(asked[1].replace("&amp;", "&")).content.decode()
    assert re.findall(r'data-event="([^"]+)"', again) == [str(old.pk)]


@pytest.mark.parametrize("before", ["x", "%00", "00000000-0000-0000-0000-000000000000"])
def test_what_is_no_event_begins_at_the_newest(before: str, alice: User, client: Client) -> None:
    row = make_relationship(make_account(alice, "Lead"), make_account(alice, "Mirror"))
    event = make_event(row, EventKind.OPEN)
    client.force_login(alice)
    page = client.get(reverse("copying-ledger"), {"before": before})
    assert str(event.pk) in page.content.decode()


def test_looking_again_counts_nothing(alice: User, client: Client) -> None:
    row = make_relationship(make_account(alice, "Lead"), make_account(alice, "Mirror"))
    make_copy(row, make_event(row, EventKind.OPEN))
    client.force_login(alice)
    with CaptureQueriesContext(connection) as queries:
        client.get(reverse("copying-ledger-rows"))
    mine = [each["sql"] for each in queries if 'FROM "copytrade_copyevent"' in each["sql"]]
    assert mine
    assert not [sql for sql in mine if "COUNT(" in sql.partition(" FROM ")[0]]
