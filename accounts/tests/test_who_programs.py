"""Programs: short access tokens, refresh tokens that change, sessions that can be ended."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from accounts.attempts import Attempt
from accounts.models import User
from accounts.models.session import ProgramSession
from accounts.origin import SYSTEM
from accounts.services.program_sessions import rotate_session, start_session
from accounts.tests.api_clients import client_of
from accounts.tests.factories import PASSWORD, make_user
from accounts.tests.way_in import (
    ask_for_token,
    code_at,
    is_signed_in,
    program_with,
    protect,
    sign_in,
)

NOW = datetime(2026, 11, 20, 12, 0, 5, tzinfo=UTC)


def refresh(token: str) -> Any:
    return client_of(None).ask("POST", "auth/token/refresh", {"refresh": token})


def works(access: str) -> bool:
    return bool(program_with(access).ask("GET", "accounts").status_code == 200)


def test_a_sign_in_is_a_session_that_says_where_it_came_from(alice: User) -> None:
    answer = Client(headers={"User-Agent": "desk-bot/2.1 (Linux)"}, REMOTE_ADDR="192.0.2.7").post(
        "/api/v1/auth/token",
        {"username": "Alice@example.com", "password": PASSWORD},
        content_type="application/json",
    )
    session = ProgramSession.objects.get()
    assert session.user == alice
    assert (session.ip_address, session.user_agent) == ("192.0.2.7", "desk-bot/2.1 (Linux)")
    tokens = answer.json()
    assert tokens["refresh"] not in str(ProgramSession.objects.values())
    assert AccessToken(tokens["access"])["sid"] == str(session.pk)
    alice.refresh_from_db()
    assert alice.last_login is not None


def test_a_request_asks_for_user_and_session_together(alice: User) -> None:
    access = ask_for_token().json()["access"]
    with CaptureQueriesContext(connection) as queries:
        assert works(access)
    asked = [query["sql"] for query in queries if "accounts_programsession" in query["sql"]]
    assert len(asked) == 1
    assert '"accounts_user"."password"' in asked[0]


def test_a_refresh_token_changes_with_every_use(alice: User) -> None:
    first = ask_for_token().json()
    second = refresh(first["refresh"]).json()
    third = refresh(second["refresh"]).json()
    assert len({first["refresh"], second["refresh"], third["refresh"]}) == 3
    assert works(third["access"])
    assert ProgramSession.objects.count() == 1


def test_a_used_refresh_token_ends_the_session(
    alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    other = ask_for_token().json()
    stolen = ask_for_token().json()
    newest = refresh(stolen["refresh"]).json()
    answer = refresh(stolen["refresh"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "not_authenticated")
    assert refresh(newest["refresh"]).status_code == 401
    assert not works(newest["access"])
    assert not works(stolen["access"])
    assert works(other["access"])  # another program is not touched
    assert ProgramSession.objects.get(revoked_at__isnull=False).revoked_reason == "reused"
    assert "a refresh token came a second time, from 127.0.0.1" in caplog.text
    assert stolen["refresh"] not in caplog.text


def test_a_session_ends_at_once(alice: User) -> None:
    tokens = ask_for_token().json()
    assert works(tokens["access"])
    revoke = {"refresh": tokens["refresh"]}
    assert client_of(None).ask("POST", "auth/token/revoke", revoke).status_code == 204
    assert not works(tokens["access"])
    assert refresh(tokens["refresh"]).status_code == 401
    assert client_of(None).ask("POST", "auth/token/revoke", revoke).status_code == 204


@pytest.mark.parametrize("path", ["auth/token/refresh", "auth/token/revoke"])
@pytest.mark.parametrize("kind", ["garbage", "access", "foreign", "no session", "wrong session"])
def test_it_takes_no_token_that_it_has_not_given(alice: User, path: str, kind: str) -> None:
    tokens = ask_for_token().json()
    made_up = RefreshToken.for_user(alice)
    if kind == "wrong session":
        made_up["sid"] = "00000000-0000-0000-0000-000000000000"
    header, body, signature = tokens["refresh"].split(".")
    shown = {
        "garbage": "x.y.z",
        "access": tokens["access"],
        "foreign": f"{header}.{body}.{signature[::-1]}",
    }.get(kind, str(made_up))
    assert client_of(None).ask("POST", path, {"refresh": shown}).status_code == 401
    assert works(tokens["access"])  # nothing of it ends somebody's session


def test_a_token_without_a_session_opens_nothing(alice: User) -> None:
    assert not works(str(AccessToken.for_user(alice)))
    token = AccessToken.for_user(alice)
    token["sid"] = "not a uuid"
    assert not works(str(token))


def test_a_token_of_another_users_session_opens_nothing(alice: User, bob: User) -> None:
    start_session(user=bob, origin=SYSTEM, now=timezone.now())
    token = AccessToken.for_user(alice)
    token["sid"] = str(ProgramSession.objects.get().pk)
    assert not works(str(token))


def test_a_session_lives_for_a_week_after_its_last_refresh(alice: User) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        tokens = ask_for_token().json()
        clock.shift(timedelta(days=6, hours=23))
        tokens = refresh(tokens["refresh"]).json()
        assert ProgramSession.objects.get().expires_at == timezone.now() + timedelta(days=7)
        clock.shift(timedelta(days=7))
        assert refresh(tokens["refresh"]).status_code == 401


def test_it_asks_a_program_for_the_second_factor(alice: User) -> None:
    codes = protect(alice)
    with time_machine.travel(NOW, tick=False):
        answer = ask_for_token()
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "two_factor_required")
        wrong = ask_for_token(code="000000")
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "two_factor_wrong")
        # A wrong password is a wrong password, whatever the code.
        guess = ask_for_token("alice", "wrong", code=code_at(NOW.timestamp()))
        assert guess.json()["error"]["code"] == "not_authenticated"
        assert ProgramSession.objects.count() == 0
        assert works(ask_for_token(code=code_at(NOW.timestamp())).json()["access"])
        assert works(ask_for_token(code=codes[0]).json()["access"])


def test_many_wrong_passwords_at_once_are_all_counted(alice: User) -> None:
    """A count that is read and then written would let all of them through."""
    gate = threading.Barrier(20)
    refused: list[int] = []

    def guess() -> None:
        attempt = Attempt((("code", "4711"),))
        gate.wait()
        if attempt.wait_seconds() is not None:
            refused.append(1)

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 10


@pytest.mark.django_db(transaction=True)
def test_two_refreshes_at_once_leave_no_two_owners() -> None:
    user = make_user()
    tokens = start_session(user=user, origin=SYSTEM, now=timezone.now())
    gate, answers = threading.Barrier(2), []

    def rotate() -> None:
        gate.wait()
        try:
            rotate_session(shown=tokens.refresh, origin=SYSTEM, now=timezone.now())
            answers.append("tokens")
        except InvalidToken:
            answers.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=rotate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["refused", "tokens"]
    assert ProgramSession.objects.get().revoked_reason == "reused"


def test_the_list_shows_browsers_and_programs_and_ends_them(alice: User, bob: User) -> None:
    here = Client(headers={"User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/150.0"})
    there = Client(
        headers={"User-Agent": "Mozilla/5.0 (iPhone) Safari/600"}, REMOTE_ADDR="192.0.2.9"
    )
    sign_in(here)
    sign_in(there)
    access = ask_for_token().json()["access"]
    strangers = ask_for_token("bob").json()["access"]
    page = here.get("/settings/sessions")
    rows = page.context["rows"]
    assert rows[0].is_current
    assert {row.what for row in rows} == {"Firefox on Linux", "Safari on iPhone", "A program"}
    assert "192.0.2.9" in page.content.decode()
    browser, program = (
        next(row for row in rows if not row.is_current and row.is_program is is_program)
        for is_program in (False, True)
    )

    here.post(f"/settings/sessions/browser/{browser.id}/end")
    assert not is_signed_in(there)
    assert works(access)
    here.post(f"/settings/sessions/program/{program.id}/end")
    assert not works(access)
    assert works(strangers)
    assert is_signed_in(here)
    assert len(here.get("/settings/sessions").context["rows"]) == 1


def test_nobody_ends_what_somebody_else_has_signed_in(alice: User, bob: User) -> None:
    hers, his = Client(), Client()
    sign_in(hers)
    access = ask_for_token().json()["access"]
    rows = hers.get("/settings/sessions").context["rows"]
    sign_in(his, "bob")
    for row in rows:
        kind = "program" if row.is_program else "browser"
        assert his.post(f"/settings/sessions/{kind}/{row.id}/end").status_code == 302
    assert his.get(f"/settings/sessions/browser/{rows[0].id}/end").status_code == 405
    assert is_signed_in(hers)
    assert works(access)


def test_all_others_are_ended_together(alice: User) -> None:
    here, there = Client(), Client()
    sign_in(here)
    sign_in(there)
    access = ask_for_token().json()["access"]
    page = here.post("/settings/sessions/end-others", follow=True)
    assert "2 other sign-ins are ended." in page.content.decode()
    assert is_signed_in(here)
    assert not is_signed_in(there)
    assert not works(access)


def test_ending_the_browser_itself_signs_it_out(alice: User) -> None:
    here = Client()
    sign_in(here)
    [row] = here.get("/settings/sessions").context["rows"]
    answer = here.post(f"/settings/sessions/browser/{row.id}/end")
    assert answer.headers["Location"] == "/login"
    assert not is_signed_in(here)


def test_redis_holds_no_key_of_a_session(alice: User, redis: Any) -> None:
    client = Client()
    sign_in(client)
    client.get("/settings")
    kept = " ".join(f"{key} {redis.get(key)}" for key in redis.scan_iter("*") if "session" in key)
    assert "session-seen" in kept
    assert str(client.session.session_key) not in kept
