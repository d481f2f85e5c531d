"""Every page with everybody: its owner, another user, staff without a part in it, and nobody.

The pages come from the URL conf. One that is not named public is private: nobody is led to the
sign-in, and what its address names belongs to one user.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.factories import make_user
from tradeguard.tests.api_routes import Desk, make_desk
from tradeguard.tests.page_routes import NEEDS_SECOND_FACTOR, Page, add_sign_ins, pages
from tradeguard.tests.skipped_waits import skip_waits
from tradeguard.tests.snapshots import snapshot

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
PRIVATE = [page for page in pages() if not page.is_public]
OF_A_ROW = [page for page in PRIVATE if page.parameters]
Asked = tuple[str, Page, Any]
MARKS = ("Alpha of alice", "Desk of alice", "Rule of alice")


@pytest.fixture(autouse=True)
def _unwaiting(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_waits(monkeypatch)


@pytest.fixture
def desk(alice: User) -> Desk:
    desk = make_desk(alice)
    rows: list[Any] = [desk.account, desk.group, desk.rule]
    for row, name in zip(rows, MARKS, strict=True):
        row.name = name
        row.save(update_fields=["name"])
    add_sign_ins(desk, alice)
    return desk


@pytest.fixture(params=["another user", "staff"])
def stranger(request: pytest.FixtureRequest, db: None) -> User:
    return make_user("charlie", is_staff=request.param == "staff")


def client_of(user: User | None, *, checks_csrf: bool = False) -> Client:
    client = Client(raise_request_exception=False, enforce_csrf_checks=checks_csrf)
    if user is not None:
        client.force_login(user)
    return client


def test_it_knows_the_pages() -> None:
    names = {page.name for page in pages()}
    assert {"account-detail", "group-list", "rule-update", "settings", "schema"} <= names
    assert len(OF_A_ROW) > 15


def ask_all(client: Client, asked: Iterable[Page], desk: Desk, *methods: str) -> list[Asked]:
    """Ask for each page with each method, as a link does and as htmx does."""
    return [
        (f"{method} {page.template}{' with htmx' if is_htmx else ''}", page, answer)
        for page in asked
        for method in methods
        for is_htmx in (False, True)
        for answer in [
            client.generic(method, page.address(desk), headers={"HX-Request": "true"})
            if is_htmx
            else client.generic(method, page.address(desk))
        ]
    ]


def test_nobody_is_led_to_the_sign_in(desk: Desk) -> None:
    before = snapshot()
    asked = ask_all(client_of(None), PRIVATE, desk, *METHODS)
    wrong = [
        (what, answer.status_code)
        for what, page, answer in asked
        if answer.status_code != 405
        and not (
            answer.status_code == 302
            and unquote(answer["Location"]).startswith(f"/login?next={page.address(desk)}")
        )
    ]
    assert not wrong
    assert snapshot() == before


def test_a_strangers_row_is_not_there(desk: Desk, stranger: User) -> None:
    """It answers as a row that does not exist: 404, or "ended already" for a sign-in."""
    client = client_of(stranger)
    before = snapshot()
    asked = ask_all(client, OF_A_ROW, desk, *METHODS)
    wrong = [
        (what, answer.status_code)
        for what, page, answer in asked
        if answer.status_code not in ((302, 405) if "row_id" in page.parameters else (404, 405))
        or any(mark.encode() in answer.content for mark in MARKS)
    ]
    assert not wrong
    assert snapshot() == before
    nothing = [client.post(page.address_of_nothing(desk)) for page in OF_A_ROW]
    posted = [answer for what, _, answer in asked if what.startswith("POST") and "htmx" not in what]
    assert [each.status_code for each in posted] == [each.status_code for each in nothing]


def test_a_page_shows_own_rows_only(desk: Desk, stranger: User) -> None:
    client = client_of(stranger)
    marks = [*MARKS, *(str(pk) for kind, pk in desk.ids.items() if kind != "browser-end")]
    asked = ask_all(client, [page for page in pages() if not page.parameters], desk, "GET")
    wrong = [
        (what, answer.status_code, mark)
        for what, _, answer in asked
        for mark in marks
        if answer.status_code == 200 and mark in answer.content.decode()
    ]
    assert not wrong


def test_its_owner_comes_in(desk: Desk) -> None:
    asked = ask_all(client_of(desk.account.user), pages(), desk, "GET")
    public = (200, 302, 400, 404, 405, 503)
    wrong = [
        (what, answer.status_code)
        for what, page, answer in asked
        if (
            answer.status_code not in (public if page.is_public else (200, 302, 405))
            and page.name not in NEEDS_SECOND_FACTOR
        )
        or (answer.status_code == 302 and answer["Location"].startswith("/login?"))
    ]
    assert not wrong
    assert sum(answer.status_code == 200 for _, _, answer in asked) > len(asked) // 2


@pytest.mark.parametrize("is_signed_in", [True, False])
def test_it_takes_no_form_without_its_token(desk: Desk, is_signed_in: bool) -> None:
    client = client_of(desk.account.user if is_signed_in else None, checks_csrf=True)
    before = snapshot()
    asked = ask_all(client, pages(), desk, "POST", "PUT", "PATCH", "DELETE")
    wrong = [
        (what, answer.status_code)
        for what, page, answer in asked
        if answer.status_code != 403 and (answer.status_code != 405 or not page.is_public)
    ]
    assert not wrong
    assert snapshot() == before


def test_a_page_takes_no_method_but_those_of_browsers(desk: Desk) -> None:
    client = client_of(desk.account.user)
    before = snapshot()
    asked = ask_all(client, pages(), desk, "PUT", "PATCH", "DELETE", "TRACE")
    wrong = [
        (what, answer.status_code)
        for what, page, answer in asked
        if answer.status_code not in ((200, 302, 404, 405) if page.is_a_way_in else (405,))
    ]
    assert not wrong
    assert snapshot() == before


def test_looking_changes_nothing_but_what_was_read(desk: Desk) -> None:
    client = client_of(desk.account.user)
    before = snapshot()
    asked = ask_all(client, pages(), desk, "HEAD", "OPTIONS", "GET")
    wrong = [
        (what, answer.status_code)
        for what, _, answer in asked
        if answer.status_code >= 500 or (what.startswith("HEAD") and answer.content)
    ]
    assert not [each for each in wrong if "/health/ready" not in each[0]]
    after = snapshot()
    changed = {table for table in after if after[table] != before[table]}
    assert changed <= {"notifications.Notification"}


def test_an_address_with_a_slash_behind_leads_nowhere_else(desk: Desk, stranger: User) -> None:
    client, owner = client_of(stranger), client_of(desk.account.user)
    wrong = [
        page.template
        for page in pages()
        for each in (client, owner, client_of(None))
        if page.template != "/"
        and "key" not in page.parameters  # a key may hold anything
        and each.get(f"{page.address(desk)}/").status_code != 404
    ]
    assert not wrong
