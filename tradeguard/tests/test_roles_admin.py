"""The administration is for staff who have shown a second factor, on every address it has."""

from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver

from accounts.models import User
from accounts.tests.factories import make_user, sign_in_staff
from tradeguard.tests.api_routes import make_desk, walk_routes
from tradeguard.tests.snapshots import snapshot

VALUES = {"id": 1, "app_label": "accounts", "content_type_id": 1, "url": "nowhere"}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
# Where everybody is led, whoever they are; it shows nothing itself.
DOORS = ("/admin/login/", "/admin/logout/")


def addresses(object_id: object) -> list[str]:
    templates = {
        template
        for template, _ in walk_routes(get_resolver().url_patterns, "/")
        if template.startswith("/admin/")
    }
    values = {**VALUES, "object_id": object_id}
    found = {_filled(template, values) for template in templates}
    return sorted(found - set(DOORS))


def _filled(template: str, values: dict[str, Any]) -> str:
    if "(?P" in template:  # /admin/<app>/ and what nothing else matches
        return "/admin/accounts/" if "app_label" in template else "/admin/nowhere"
    return template.format(**values)


@pytest.fixture
def client(request: pytest.FixtureRequest, db: None) -> Client:
    """Return the browser of one who must stay outside."""
    client = Client(raise_request_exception=False)
    match request.param:
        case "a user":
            client.force_login(make_user("charlie"))
        case "staff":
            client.force_login(make_user("charlie", is_staff=True))
        case "superuser":
            client.force_login(make_user("charlie", is_staff=True, is_superuser=True))
        case "a superuser no more active":
            user = make_user("charlie", is_staff=True, is_superuser=True)
            sign_in_staff(client, user)
            User.objects.filter(pk=user.pk).update(is_active=False)
        case "a superuser no more of the staff":
            user = make_user("charlie", is_staff=True, is_superuser=True)
            sign_in_staff(client, user)
            User.objects.filter(pk=user.pk).update(is_staff=False, is_superuser=False)
    return client


OUTSIDE = [
    "nobody", "a user", "staff", "superuser", "a superuser no more active",
    "a superuser no more of the staff",
]  # fmt: skip


@pytest.mark.parametrize("client", OUTSIDE, indirect=True)
def test_who_is_outside_sees_and_changes_nothing(client: Client, alice: User) -> None:
    desk = make_desk(alice)
    before, asked = snapshot(), addresses(desk.account.pk)
    wrong = []
    for address in asked:
        for method in METHODS:
            answer = client.generic(method, address)
            is_led_away = answer.status_code == 302 and answer["Location"].startswith(
                ("/admin/login/?next=", "/login?next=")
            )
            if not is_led_away and answer.status_code not in (403, 405):
                wrong.append((method, address, answer.status_code))
    assert not wrong
    assert len(asked) > 50
    assert snapshot() == before


@pytest.mark.parametrize(
    ("client", "status_code", "place"),
    [
        ("nobody", 302, "/login?next="),
        ("a user", 403, ""),
        ("staff", 302, "/settings/two-factor/on"),
        ("superuser", 302, "/settings/two-factor/on"),
        ("a superuser no more active", 302, "/login?next="),
        ("a superuser no more of the staff", 403, ""),
    ],
    indirect=["client"],
)
def test_the_door_leads_to_what_is_missing(client: Client, status_code: int, place: str) -> None:
    answer = client.get("/admin/login/?next=/admin/")
    assert answer.status_code == status_code
    assert answer.get("Location", "").startswith(place)


def test_it_lets_staff_in_who_have_shown_a_second_factor(alice: User) -> None:
    desk = make_desk(alice)
    client = Client()
    sign_in_staff(client, make_user("sam", is_staff=True, is_superuser=True))
    wrong = []
    for address in addresses(desk.account.pk):
        answer = client.get(address)
        if answer.status_code not in (200, 302, 400, 403, 404, 405):
            wrong.append((address, answer.status_code))
    assert not wrong
    assert client.get("/admin/").status_code == 200
    assert (
        client.get(f"/admin/accounts/connectedaccount/{desk.account.pk}/change/").status_code == 200
    )


@pytest.mark.parametrize("address", ["/admin/", "/admin/accounts/connectedaccount/"])
def test_it_takes_no_form_without_its_token(address: str, db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    sign_in_staff(client, make_user("sam", is_staff=True, is_superuser=True))
    assert client.post(address).status_code == 403
