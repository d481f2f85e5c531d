"""The second factor: setting it up, coming in with it, losing it."""

import time
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from django.conf import settings
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.services.users import change_password
from accounts.tests.factories import PASSWORD, TOTP_SECRET, make_user, sign_in_staff
from accounts.tests.test_who_signs_in import check_strict
from accounts.tests.way_in import (
    ask_for_token,
    code_at,
    factors_of,
    is_signed_in,
    program_with,
    protect,
    sent_mails,
    sign_in,
)

NOW = datetime(2026, 11, 20, 12, 0, 5, tzinfo=UTC)


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def show_code(client: Client, code: str) -> Any:
    return client.post("/login/code", {"code": code})


def confirm_password(client: Client) -> None:
    client.post("/confirm/password", {"password": PASSWORD})


def set_up(client: Client) -> str:
    """Set the app up as a person does; return its key."""
    confirm_password(client)
    client.get("/settings/two-factor/on")
    secret = str(client.session[SECRET_SESSION_KEY])
    answer = client.post("/settings/two-factor/on", {"code": code_at(time.time(), secret)})
    assert answer.headers["Location"] == "/settings/two-factor/codes"
    return secret


def test_it_asks_for_the_password_before_it_is_set_up(alice: User, client: Client) -> None:
    sign_in(client)
    for path in ("on", "codes/new"):
        answer = client.get(f"/settings/two-factor/{path}")
        assert answer.headers["Location"].startswith("/confirm/password?next=")
    assert client.post("/settings/two-factor/on", {"code": "123456"}).status_code == 302
    assert client.post("/confirm/password", {"password": "wrong"}).status_code == 200
    assert factors_of(alice) == []


def test_it_is_set_up_and_then_asked_for(
    alice: User, client: Client, clock: time_machine.Traveller
) -> None:
    sign_in(client)
    secret = set_up(client)
    assert factors_of(alice) == ["recovery_codes", "totp"]
    client.post("/logout")

    assert sign_in(client).headers["Location"] == "/login/code"
    assert not is_signed_in(client)
    # The code that has set it up is used up.
    assert show_code(client, code_at(time.time(), secret)).status_code == 200
    clock.shift(30)
    assert show_code(client, code_at(time.time(), secret)).headers["Location"] == "/groups"
    assert is_signed_in(client)
    assert [each.subject for each in sent_mails()] == []  # no address is known to the sign-in


def test_it_keeps_the_key_in_the_vault(alice: User, client: Client) -> None:
    sign_in(client)
    secret = set_up(client)
    for row in Authenticator.objects.all():
        assert secret not in str(row.data)
    assert SECRET_SESSION_KEY not in client.session


def test_it_shows_the_key_as_a_picture_and_as_text(alice: User, client: Client) -> None:
    sign_in(client)
    confirm_password(client)
    page = client.get("/settings/two-factor/on")
    html = page.content.decode()
    secret = str(client.session[SECRET_SESSION_KEY])
    assert 'src="data:image/svg+xml;base64,' in html
    assert " ".join(secret[start : start + 4] for start in range(0, 32, 4)) in html
    assert "no-store" in page.headers["Cache-Control"]
    check_strict(page)


def test_it_shows_the_recovery_codes_once(alice: User, client: Client) -> None:
    sign_in(client)
    set_up(client)
    page = client.get("/settings/two-factor/codes")
    codes = page.context["unused_codes"]
    html = page.content.decode()
    assert len(codes) == 10
    assert all(f"{code[:4]} {code[4:]}" in html for code in codes)
    assert 'download="tradeguard-recovery-codes.txt"' in html
    assert all(code in html for code in codes)
    assert "no-store" in page.headers["Cache-Control"]
    check_strict(page)
    again = client.get("/settings/two-factor/codes").content.decode()
    assert not any(code in again or f"{code[:4]} {code[4:]}" in again for code in codes)
    assert "10 of 10 left" in again


def test_it_ends_all_else_when_it_is_switched_on(alice: User, client: Client) -> None:
    other = Client()
    sign_in(other)
    access = ask_for_token().json()["access"]
    assert is_signed_in(other)
    sign_in(client)
    set_up(client)
    assert is_signed_in(client)
    assert not is_signed_in(other)
    assert program_with(access).ask("GET", "accounts").status_code == 401


def test_it_is_not_half_switched_on(
    alice: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("planted")

    sign_in(client)
    monkeypatch.setattr("accounts.views.entrance.end_all", fail)
    with pytest.raises(RuntimeError, match="planted"):
        set_up(client)
    assert factors_of(alice) == []


@pytest.mark.parametrize("shift", [-30, 0, 30])
def test_it_takes_a_code_of_a_phone_that_is_a_step_off(
    alice: User, client: Client, clock: time_machine.Traveller, shift: int
) -> None:
    protect(alice)
    sign_in(client)
    assert show_code(client, code_at(time.time() + shift)).status_code == 302


@pytest.mark.parametrize(
    "code", ["", "000000", "12345", "abcdef", "１２３４５６", "\x00", "9" * 40]
)
def test_it_takes_no_other_code(
    alice: User, client: Client, clock: time_machine.Traveller, code: str
) -> None:
    protect(alice)
    sign_in(client)
    assert show_code(client, code).status_code == 200
    for shift in (-60, 60):
        assert show_code(client, code_at(time.time() + shift)).status_code == 200
    assert not is_signed_in(client)


def test_it_takes_each_code_once(
    alice: User, client: Client, clock: time_machine.Traveller
) -> None:
    """Also when a step has passed, and in browsers and programs together."""
    protect(alice)
    code = code_at(time.time())
    sign_in(client)
    assert show_code(client, code).status_code == 302
    clock.shift(29)
    thief = Client()
    sign_in(thief)
    assert show_code(thief, code).status_code == 200
    # Nor one that came before it.
    assert show_code(thief, code_at(time.time() - 30)).status_code == 200
    answer = ask_for_token(code=code)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "two_factor_wrong")
    assert not is_signed_in(thief)


def test_it_takes_each_recovery_code_once(alice: User, client: Client) -> None:
    code = protect(alice)[3]
    sign_in(client)
    assert show_code(client, f"{code[:4]} {code[4:]}").status_code == 302
    thief = Client()
    sign_in(thief)
    assert show_code(thief, code).status_code == 200
    assert ask_for_token(code=code).status_code == 401


def test_it_lets_nobody_guess_codes(alice: User, clock: time_machine.Traveller) -> None:
    protect(alice)
    for number in range(10):
        client = Client(REMOTE_ADDR=f"192.0.2.{number}")
        sign_in(client)
        show_code(client, "000000")
    client = Client(REMOTE_ADDR="198.51.100.7")
    sign_in(client)
    page = show_code(client, code_at(time.time()))
    assert "These were many attempts." in page.content.decode()
    assert not is_signed_in(client)
    assert ask_for_token(code=code_at(time.time())).status_code == 429


def test_it_has_no_way_around_the_code(alice: User, client: Client) -> None:
    protect(alice)
    sign_in(client)
    for path in ("/settings", "/groups", "/settings/two-factor", "/confirm/code", "/admin/"):
        assert client.get(path).status_code == 302
    assert client.get("/api/v1/accounts").status_code in (401, 403)
    assert Client().get("/login/code").headers["Location"] == "/login"


def test_it_forgets_a_half_finished_sign_in(
    alice: User, client: Client, clock: time_machine.Traveller
) -> None:
    protect(alice)
    sign_in(client)
    clock.shift(301)
    assert show_code(client, code_at(time.time())).headers["Location"] == "/login"
    assert not is_signed_in(client)


def test_a_new_password_ends_a_half_finished_sign_in(alice: User, client: Client) -> None:
    protect(alice)
    assert sign_in(client).headers["Location"] == "/login/code"
    change_password(user=alice, password="quite another long one", now=timezone.now())
    answer = client.post("/login/code", {"code": code_at(time.time())})
    assert answer.headers["Location"] == "/login"
    assert not is_signed_in(client)


def test_it_changes_the_sessions_key_after_the_code(
    alice: User, client: Client, clock: time_machine.Traveller
) -> None:
    protect(alice)
    sign_in(client)
    half = client.cookies[settings.SESSION_COOKIE_NAME].value
    show_code(client, code_at(time.time()))
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = half
    assert not is_signed_in(thief)
    assert is_signed_in(client)


def test_it_is_switched_off_with_a_code_only(
    alice: User, client: Client, clock: time_machine.Traveller
) -> None:
    protect(alice)
    client.force_login(alice)
    off = "/settings/two-factor/off"
    assert client.get(off).headers["Location"] == f"/confirm/code?next={off.replace('/', '%2F')}"
    # A password alone does not do.
    assert client.get("/confirm/password").headers["Location"] == "/confirm/code"
    assert client.post(off).status_code == 302
    assert factors_of(alice) == ["recovery_codes", "totp"]
    assert client.post("/confirm/code", {"code": "000000", "next": off}).status_code == 200
    assert factors_of(alice) == ["recovery_codes", "totp"]
    # What was asked for before the code goes on after it.
    client.post("/confirm/code", {"code": code_at(time.time()), "next": off})
    assert factors_of(alice) == []


def test_it_asks_again_after_five_minutes(
    alice: User, client: Client, clock: time_machine.Traveller
) -> None:
    protect(alice)
    client.force_login(alice)
    client.post("/confirm/code", {"code": code_at(time.time())})
    clock.shift(299)
    assert client.get("/settings/two-factor/off").status_code == 200
    clock.shift(1)
    assert client.get("/settings/two-factor/off").status_code == 302


def test_it_makes_new_recovery_codes_in_place_of_the_old(
    alice: User, client: Client, clock: time_machine.Traveller
) -> None:
    old = protect(alice)
    client.force_login(alice)
    client.post("/confirm/code", {"code": code_at(time.time())})
    assert client.post("/settings/two-factor/codes/new").status_code == 302
    new = client.get("/settings/two-factor/codes").context["unused_codes"]
    assert not set(old) & set(new)
    assert ask_for_token(code=old[0]).status_code == 401
    assert ask_for_token(code=new[0]).status_code == 200


def test_a_command_takes_it_from_who_lost_the_phone(
    alice: User, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    protect(alice)
    sign_in_staff(client, alice)
    out = StringIO()
    call_command("reset_two_factor", "ALICE", stdout=out)
    assert "alice comes in with the password alone" in out.getvalue()
    assert "The second factor of alice was taken away by the command line." in caplog.text
    assert factors_of(alice) == []
    assert not is_signed_in(client)
    assert sign_in(client).headers["Location"] == "/groups"
    with pytest.raises(CommandError, match="alice has no second factor"):
        call_command("reset_two_factor", "alice")
    with pytest.raises(CommandError, match="no user “nobody”"):
        call_command("reset_two_factor", "nobody")


def test_staff_take_it_from_who_lost_the_phone(
    alice: User, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    protect(alice)
    make_user("bob")
    sign_in_staff(client, make_user("boss", is_staff=True, is_superuser=True))
    rows = list(User.objects.exclude(username="boss").values_list("pk", flat=True))
    action = {"action": "take_second_factor_away", "_selected_action": rows}
    page = client.post("/admin/accounts/user/", action, follow=True)
    told = sorted(str(message) for message in page.context["messages"])
    assert told == ["alice has no second factor any more.", "bob had no second factor."]
    assert "The second factor of alice was taken away by boss." in caplog.text
    assert factors_of(alice) == []


def test_staff_do_not_take_it_from_those_above_them(alice: User, client: Client) -> None:
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    protect(alice)
    clerk = make_user("clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__endswith="_user"))
    sign_in_staff(client, clerk)
    action = {"action": "take_second_factor_away", "_selected_action": [alice.pk]}
    page = client.post("/admin/accounts/user/", action, follow=True)
    assert "beyond your rights" in page.content.decode()
    assert factors_of(alice) == ["recovery_codes", "totp"]


def test_who_loses_it_learns_of_it_by_mail(
    alice: User, django_capture_on_commit_callbacks: Any
) -> None:
    protect(alice)
    with django_capture_on_commit_callbacks(execute=True):
        call_command("reset_two_factor", "alice", stdout=StringIO())
    [message] = sent_mails()
    assert message.to == ["alice@example.com"]
    assert "taken away by the command line" in message.body


@pytest.mark.parametrize("path", ["", "/on", "/off", "/codes", "/codes/new"])
def test_its_pages_need_no_inline_code(alice: User, client: Client, path: str) -> None:
    if path != "/on":
        protect(alice)
    client.force_login(alice)
    session = client.session
    record = {"method": "mfa", "at": time.time(), "reauthenticated": True}
    session["account_authentication_methods"] = [record]
    session["account_authentication_methods_user"] = str(alice.pk)
    session.save()
    page = client.get(f"/settings/two-factor{path}")
    assert page.status_code == 200
    assert TOTP_SECRET not in page.content.decode()
    check_strict(page)
