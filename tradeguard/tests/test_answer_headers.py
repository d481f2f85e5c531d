"""What every answer tells browsers and caches, whoever asks for whatever."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.factories import PASSWORD
from tradeguard.tests.api_routes import Desk, api_routes, make_desk
from tradeguard.tests.page_routes import add_sign_ins, pages
from tradeguard.tests.test_settings import PRODUCTION, settings_in

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.fixture
def desk(alice: User) -> Desk:
    desk = make_desk(alice)
    add_sign_ins(desk, alice)
    return desk


def answers(desk: Desk) -> Iterator[tuple[str, Any]]:
    """Ask for everything as its owner and as nobody; and for what is not there."""
    owner = Client(raise_request_exception=False)
    owner.force_login(desk.account.user)
    addresses = [page.address(desk) for page in pages()]
    addresses += [route.address(desk) for route in api_routes()]
    addresses += ["/nothing-here", "/api/v1/nothing-here", "/admin/", "/admin/accounts/user/"]
    for client in (owner, Client(raise_request_exception=False)):
        for address in addresses:
            for method in ("GET", "POST"):
                yield f"{method} {address}", client.generic(method, address)


def test_every_answer_is_closed_to_other_sites(desk: Desk) -> None:
    wrong = []
    for what, answer in answers(desk):
        policy = answer.headers.get("Content-Security-Policy", "")
        wrong += [(what, name) for name, value in HEADERS.items() if answer.get(name) != value]
        wrong += [
            (what, part)
            for part in ("default-src 'self'", "object-src 'none'", "frame-ancestors 'none'")
            if part not in policy
        ]
        if "script-src" in policy or "unsafe-eval" in policy:
            wrong.append((what, policy))
        if "camera=()" not in answer.headers.get("Permissions-Policy", ""):
            wrong.append((what, "Permissions-Policy"))
    assert not wrong


def test_no_cache_keeps_an_answer(desk: Desk) -> None:
    wrong = []
    for what, answer in answers(desk):
        told = {part.strip() for part in answer.headers.get("Cache-Control", "").split(",")}
        if not {"no-store", "private"} <= told:
            wrong.append((what, answer.status_code, sorted(told)))
    assert not wrong


def test_nobody_is_told_how_to_sign_in_to_the_api(desk: Desk) -> None:
    client, asked = Client(raise_request_exception=False), 0
    for route in api_routes():
        for method in route.methods:
            answer = client.generic(method, route.address(desk), b"{}", "application/json")
            if answer.status_code == 401:
                assert answer["WWW-Authenticate"] == 'Bearer realm="api"', route.template
                asked += 1
    assert asked > 50


def test_a_static_file_may_be_kept(db: None) -> None:
    answer: Any = Client().get("/static/icons/shield.svg")
    assert b"".join(answer)
    answer.close()
    assert answer.status_code == 200
    assert "max-age" in answer["Cache-Control"]
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_production_sends_cookies_over_tls_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = settings_in(monkeypatch, tmp_path, PRODUCTION)
    for cookie in ("SESSION", "CSRF"):
        assert settings[f"{cookie}_COOKIE_SECURE"] is True
        assert settings.get(f"{cookie}_COOKIE_SAMESITE", "Lax") in ("Lax", "Strict")
        assert settings.get(f"{cookie}_COOKIE_DOMAIN") is None
    assert settings["SESSION_COOKIE_HTTPONLY"] is True
    assert settings["SECURE_SSL_REDIRECT"] is True
    assert settings["SECURE_HSTS_SECONDS"] >= 31_536_000


def test_the_session_cookie_is_out_of_reach_of_scripts(alice: User) -> None:
    client = Client()
    form = {"login": alice.username, "username": alice.username, "password": PASSWORD}
    assert client.post("/login", form).status_code == 302
    morsel = client.cookies["tradeguard_session"]
    assert (morsel["httponly"], morsel["samesite"]) == (True, "Lax")
