"""Signing in and out with a password, in browsers."""

import logging
import re
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import caches
from django.test import Client
from redis import ConnectionError as RedisAway

from accounts.models import User
from accounts.tests.factories import PASSWORD, make_user
from accounts.tests.way_in import ask_for_token, is_signed_in, sign_in

MANY = "These were many attempts."
WRONG = "The name or the password is wrong."


@pytest.mark.parametrize("name", ["alice", "ALICE", " alice ", "alice@example.com"])
def test_it_takes_the_name_and_the_address(alice: User, client: Client, name: str) -> None:
    assert sign_in(client, name).headers["Location"] == "/groups"
    assert is_signed_in(client)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "mistaken"),
        ("nobody", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("gone", "mistaken"),
    ],
)
def test_it_says_the_same_of_a_wrong_name_and_a_wrong_password(
    alice: User, client: Client, name: str, password: str
) -> None:
    make_user("gone", is_active=False)
    page = sign_in(client, name, password)
    assert page.status_code == 200
    assert page.context["form"].non_field_errors() == [WRONG]
    assert password not in page.content.decode()
    assert not is_signed_in(client)


def test_it_lets_nobody_in_who_is_switched_off(alice: User, client: Client) -> None:
    User.objects.update(is_active=False)
    page = client.get(sign_in(client).headers["Location"])
    assert "switched off" in page.content.decode()
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example/", "http://testserver:8080/", "javascript:alert(1)",
     "/\\evil.example", "https:evil.example", "///evil.example", "http://testserver@evil.example"],
)  # fmt: skip
def test_it_leads_to_no_other_site(alice: User, client: Client, target: str) -> None:
    assert sign_in(client, next=target).headers["Location"] == "/groups"
    # Nor who is signed in already.
    assert client.get("/login", {"next": target}).headers["Location"] == "/groups"


def test_it_leads_back_to_where_one_wanted_to_go(alice: User, client: Client) -> None:
    page = client.get("/login", {"next": "/accounts?q=1&r=2"})
    assert 'name="next" value="/accounts?q=1&amp;r=2"' in page.content.decode()
    assert sign_in(client, next="/accounts?q=1").headers["Location"] == "/accounts?q=1"


def test_it_changes_the_sessions_key_on_the_way_in(alice: User, client: Client) -> None:
    session = client.session
    session["kept"] = "by somebody who planted the cookie"
    session.save()
    planted = session.session_key
    client.cookies[settings.SESSION_COOKIE_NAME] = str(planted)
    sign_in(client)
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != planted
    stranger = Client()
    stranger.cookies[settings.SESSION_COOKIE_NAME] = str(planted)
    assert not is_signed_in(stranger)


def test_its_session_is_good_for_nothing_after_signing_out(alice: User, client: Client) -> None:
    sign_in(client)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    client.post("/logout")
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = cookie
    assert not is_signed_in(thief)


def test_it_counts_the_guesses_at_one_name_from_everywhere(alice: User) -> None:
    """A name is guessed at from many addresses, by name and by address, on pages and in the API."""
    for number in range(10):
        client = Client(REMOTE_ADDR=f"192.0.2.{number}")
        sign_in(client, ("alice", "Alice@example.com")[number % 2], "wrong")
    page = sign_in(Client(REMOTE_ADDR="198.51.100.7"))
    assert MANY in page.context["form"].non_field_errors()[0]
    assert ask_for_token().status_code == 429
    # Somebody else comes in meanwhile.
    make_user("bob")
    assert sign_in(Client(REMOTE_ADDR="198.51.100.7"), "bob").status_code == 302


def test_it_counts_a_name_that_nobody_has_alike(alice: User) -> None:
    for number in range(10):
        sign_in(Client(REMOTE_ADDR=f"192.0.2.{number}"), "nobody", "wrong")
    page = sign_in(Client(REMOTE_ADDR="198.51.100.7"), "nobody", "wrong")
    assert MANY in page.context["form"].non_field_errors()[0]


def test_it_forgets_the_guesses_after_a_while(alice: User, redis: Any) -> None:
    for number in range(11):
        sign_in(Client(REMOTE_ADDR=f"192.0.2.{number}"), "alice", "wrong")
    assert not is_signed_in(client := Client(REMOTE_ADDR="198.51.100.7"))
    key = caches["attempts"].make_key(f"name:{alice.pk}")
    assert 0 < redis.ttl(key) <= 300
    redis.delete(key)  # as Redis does by itself then
    assert sign_in(client).status_code == 302


def test_it_counts_the_addresses_of_one_network_together(alice: User) -> None:
    for number in range(10):
        sign_in(Client(REMOTE_ADDR=f"2001:db8::{number:x}"), f"name-{number}", "wrong")
    assert MANY in sign_in(Client(REMOTE_ADDR="2001:db8::ffff")).content.decode()
    assert sign_in(Client(REMOTE_ADDR="2001:db8:0:1::1")).status_code == 302


def test_its_pages_go_on_without_redis(
    alice: User, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_arguments: object, **_named: object) -> None:
        raise RedisAway("gone")

    monkeypatch.setattr("django.core.cache.backends.redis.RedisCacheClient.get_client", away)
    assert sign_in(client, "alice", "wrong").status_code == 200
    assert sign_in(client).status_code == 302
    assert is_signed_in(client)
    assert client.post("/password/reset", {"email": "alice@example.com"}).status_code == 302
    client.post("/logout")
    assert "gone" in caplog.text
    # A program is told to come again.
    answer = ask_for_token()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")


def test_it_writes_no_password_into_the_log(
    alice: User, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(12):
        sign_in(client, "my-s3cret-in-the-wrong-field", "another-s3cret")
    assert "Too many attempts to sign in, by address 127.0.0.1" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("path", ["/login", "/register", "/password/reset", "/email/sent"])
def test_its_pages_need_no_inline_code(client: Client, db: None, path: str) -> None:
    check_strict(client.get(path))


def check_strict(answer: Any) -> None:
    html = answer.content.decode()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert " style=" not in html
    assert "<style" not in html
    assert not re.search(r"<[^>]+\son\w+=", html)
    assert not re.search(r"<script(?![^>]*\ssrc=)", html)
