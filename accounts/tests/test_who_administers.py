"""The administration: for staff, with a second factor that this session has shown."""

import time
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from accounts.services import security_events
from accounts.services.security_events import SecurityEvent, SecurityKind
from accounts.tests.admin_pages import submit
from accounts.tests.factories import make_user, sign_in_staff
from accounts.tests.test_who_signs_in import check_strict
from accounts.tests.way_in import (
    ask_for_token,
    code_at,
    is_signed_in,
    program_with,
    protect,
    sign_in,
)


@pytest.fixture
def boss(db: None) -> User:
    return make_user("boss", is_staff=True, is_superuser=True)


def locations(client: Client, path: str) -> list[str]:
    return [place for place, _ in client.get(path, follow=True).redirect_chain]


def test_nobody_is_led_to_the_sign_in_of_everybody(client: Client, db: None) -> None:
    assert locations(client, "/admin/accounts/user/")[-1] == "/login?next=/admin/accounts/user/"


@pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "/admin/login/"])
def test_who_is_not_staff_is_refused(alice: User, client: Client, path: str) -> None:
    sign_in(client)
    answer = client.get(path, follow=True)
    assert answer.status_code == 403
    assert "You may not look at this page." in answer.content.decode()


def test_staff_without_a_second_factor_are_led_to_set_it_up(boss: User, client: Client) -> None:
    sign_in(client, "boss")
    answer = client.get("/admin/", follow=True)
    assert [place.split("?")[0] for place, _ in answer.redirect_chain] == [
        "/admin/login/", "/settings/two-factor/on", "/confirm/password",
    ]  # fmt: skip
    assert "Administration needs two-factor sign-in." in answer.content.decode()


def test_staff_come_in_with_their_second_factor(boss: User, client: Client) -> None:
    protect(boss)
    sign_in(client, "boss")
    client.post("/login/code", {"code": code_at(time.time())})
    assert client.get("/admin/").status_code == 200


def test_a_session_from_before_shows_the_second_factor_once(boss: User, client: Client) -> None:
    protect(boss)
    client.force_login(boss)
    place = locations(client, "/admin/accounts/user/")[-1]
    assert place == "/confirm/code?next=/admin/accounts/user/"
    answer = client.post(place, {"code": code_at(time.time()), "next": "/admin/accounts/user/"})
    assert answer.headers["Location"] == "/admin/accounts/user/"
    assert client.get("/admin/accounts/user/").status_code == 200


def test_it_closes_when_the_second_factor_goes(boss: User, client: Client) -> None:
    sign_in_staff(client, boss)
    assert client.get("/admin/").status_code == 200
    Authenticator.objects.all().delete()
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/admin/"])
def test_its_sign_in_leads_to_no_other_site(boss: User, client: Client, target: str) -> None:
    sign_in_staff(client, boss)
    assert client.get("/admin/login/", {"next": target}).headers["Location"] == "/admin/"


def test_a_password_is_guessed_at_through_no_other_door(boss: User, client: Client) -> None:
    sign_in_staff(client, boss)
    assert client.get("/admin/password_change/").headers["Location"] == "/settings"


def test_another_address_by_staff_is_known_to_the_sign_in(
    boss: User, alice: User, client: Client
) -> None:
    sign_in_staff(client, boss)
    page = f"/admin/accounts/user/{alice.pk}/change/"
    taken = submit(client, page, {"email": "BOSS@example.com"})
    assert taken.context["adminform"].form.errors["email"]
    submit(client, page, {"email": "New@Example.com"})
    alice.refresh_from_db()
    address = EmailAddress.objects.get(user=alice)
    assert (alice.email, address.email, address.primary) == ("new@example.com",) * 2 + (True,)


@pytest.mark.parametrize("change", ["password", "inactive"])
def test_what_staff_change_ends_what_is_signed_in(
    boss: User, alice: User, client: Client, change: str
) -> None:
    browser = Client()
    sign_in(browser)
    access = ask_for_token().json()["access"]
    sign_in_staff(client, boss)
    page = f"/admin/accounts/user/{alice.pk}"
    if change == "password":
        new = {"password1": "another long one", "password2": "another long one"}
        client.post(f"{page}/password/", {**new, "usable_password": "true"})
    else:
        submit(client, f"{page}/change/", {"is_active": ""})
    assert not is_signed_in(browser)
    assert program_with(access).ask("GET", "accounts").status_code == 401
    assert alice.program_sessions.get().revoked_at is not None


def test_a_password_by_staff_says_whose_doing_it_was(
    boss: User, alice: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[SecurityEvent] = []
    monkeypatch.setattr(security_events, "_tellers", [events.append])
    sign_in_staff(client, boss)
    events.clear()
    new = {"password1": "another long one", "password2": "another long one"}
    path = f"/admin/accounts/user/{alice.pk}/password/"
    answer = client.post(path, {**new, "usable_password": "true"})
    assert answer.status_code == 302
    [event] = events
    assert (event.kind, event.user_id) == (SecurityKind.PASSWORD_CHANGED, alice.pk)
    assert (event.origin.user_id, event.origin.ip_address) == (boss.pk, "127.0.0.1")


@pytest.mark.parametrize(
    "path", ["/admin/account/emailaddress/", "/admin/mfa/authenticator/",
             "/admin/usersessions/usersession/"]
)  # fmt: skip
def test_keys_of_sessions_and_sealed_secrets_are_not_shown(
    boss: User, client: Client, path: str
) -> None:
    sign_in_staff(client, boss)
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["", "accounts/user/", "accounts/user/add/", "auth/group/add/"])
def test_its_pages_need_no_inline_code(boss: User, client: Client, path: str) -> None:
    sign_in_staff(client, boss)
    page: Any = client.get(f"/admin/{path}")
    assert page.status_code == 200
    check_strict(page)


@pytest.fixture
def clerk(db: None, client: Client) -> User:
    """Staff who look after users, and after nothing else."""
    user = make_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__endswith="_user"))
    return sign_in_staff(client, user)


def edited(user: User, **changes: object) -> dict[str, object]:
    fields = ("username", "email", "time_zone", "is_active")
    return {**{name: getattr(user, name) for name in fields}, **changes}


def test_staff_give_themselves_no_rights(clerk: User, client: Client) -> None:
    rights = list(Permission.objects.values_list("pk", flat=True))
    change = edited(clerk, first_name="Clara", is_superuser="on", user_permissions=rights)
    answer = client.post(f"/admin/accounts/user/{clerk.pk}/change/", change)
    assert answer.status_code == 302
    clerk = User.objects.get(pk=clerk.pk)
    assert clerk.first_name == "Clara"
    assert not clerk.is_superuser
    assert clerk.is_staff
    assert clerk.user_permissions.count() < len(rights)


@pytest.mark.parametrize("is_superuser", [True, False])
def test_staff_take_over_nobody_who_may_do_more(
    clerk: User, client: Client, is_superuser: bool
) -> None:
    above = make_user("above", is_staff=True, is_superuser=is_superuser)
    above.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    page, password = f"/admin/accounts/user/{above.pk}", "quite another long one"
    new = {"usable_password": "true", "password1": password, "password2": password}
    answers = [
        client.post(f"{page}/change/", edited(above, email="clerk2@example.com")),
        client.post(f"{page}/password/", new),
        client.post(f"{page}/delete/", {"post": "yes"}),
    ]
    assert [answer.status_code for answer in answers] == [403] * 3
    now = User.objects.get(pk=above.pk)
    assert (now.email, now.password) == (above.email, above.password)


def test_staff_look_after_everybody_else(clerk: User, client: Client, alice: User) -> None:
    change = edited(alice, email="new@example.com")
    assert client.post(f"/admin/accounts/user/{alice.pk}/change/", change).status_code == 302
    alice.refresh_from_db()
    assert alice.email == "new@example.com"
