"""Staff see the batches that nobody could unfold, and change none."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from accounts.tests.factories import make_user, sign_in_staff
from copytrade.selectors.batches import late_batches
from copytrade.tests.factories import make_batch

LIST = reverse("admin:copytrade_copybatch_changelist")


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    sign_in_staff(client, make_user("boss", is_staff=True, is_superuser=True))
    return client


def listed(staff: Client, query: str) -> set[UUID]:
    answer = staff.get(LIST + query)
    assert answer.status_code == 200
    return {row.pk for row in answer.context["cl"].result_list}


def test_it_shows_what_is_late(staff: Client) -> None:
    fresh, late, done = make_batch(5), make_batch(90), make_batch(90, is_unfolded=True)
    assert listed(staff, "") == {fresh.pk, late.pk, done.pk}
    assert listed(staff, "?folded=late") == {late.pk}
    assert listed(staff, "?folded=folded") == {fresh.pk, late.pk}
    assert listed(staff, f"?q={late.event_id}") == {late.pk}
    page = staff.get(LIST).content.decode()
    assert page.count("Late, or unreadable: see") == 1
    assert ">15<" in page


def test_it_is_read_only_and_keeps_what_is_packed_to_itself(staff: Client) -> None:
    row = make_batch(90)
    change = reverse("admin:copytrade_copybatch_change", args=[row.pk])
    page = staff.get(change)
    assert page.status_code == 200
    assert "secret-payload" not in page.content.decode()
    for action in ("change", "delete"):
        address = reverse(f"admin:copytrade_copybatch_{action}", args=[row.pk])
        assert staff.post(address, {"post": "yes"}).status_code == 403
    assert staff.get(reverse("admin:copytrade_copybatch_add")).status_code == 403
    for query in ("?q=x", "?q=%00", "?folded=%00", "?folded=x", "?created_at__gte=x"):
        assert staff.get(LIST + query).status_code in (200, 302)


@pytest.mark.django_db
def test_a_batch_is_late_after_a_minute() -> None:
    row = make_batch(0)
    at = row.created_at + timedelta(minutes=1)
    assert not late_batches(at).exists()
    assert late_batches(at + timedelta(microseconds=1)).get() == row
