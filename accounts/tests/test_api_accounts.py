import logging
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AccountConnection, ApiKey, ConnectedAccount, ConnectionLog, Tag, User
from accounts.tests.api_clients import Client, client_of
from accounts.tests.factories import NOW, SECRET, make_account, make_key

BODY = {
    "name": "Alpha 1",
    "broker": "Example Brokers",
    "server": "Example-Demo",
    "login": 50012345,
    "password": SECRET,
    "currency": "USD",
    "initial_balance": "100000.00",
    "tags": ["eu", "swing"],
}


@pytest.fixture
def api(alice: User) -> Client:
    return client_of(alice)


def fields_of(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 400, answer.content
    fields: dict[str, list[str]] = answer.json()["error"]["fields"]
    return fields


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["name"] for row in answer.json()["results"]]


def test_it_creates_reads_changes_and_deletes_an_account(api: Client) -> None:
    created = api.ask("POST", "accounts", BODY)
    assert created.status_code == 201, created.content
    account = created.json()
    assert account["is_default"] is True
    assert account["connection"]["state"] == "connecting"
    assert sorted(account["tags"]) == ["eu", "swing"]
    path = f"accounts/{account['id']}"
    assert api.ask("GET", path).json() == account
    changed = api.ask("PATCH", path, {"name": "Beta", "tags": []}).json()
    assert (changed["name"], changed["tags"], changed["server"]) == ("Beta", [], "Example-Demo")
    replaced = api.ask("PUT", path, {**BODY, "password": "another", "is_demo": False})
    assert replaced.status_code == 200, replaced.content
    assert (replaced.json()["name"], replaced.json()["is_demo"]) == ("Alpha 1", False)
    assert api.ask("DELETE", path).status_code == 204
    assert api.ask("GET", path).status_code == 404
    assert ApiKey.objects.get().status == "revoked"


@pytest.mark.parametrize("missing", sorted(BODY.keys() - {"tags"}))
def test_it_names_what_is_missing(api: Client, missing: str) -> None:
    answer = api.ask("POST", "accounts", {key: BODY[key] for key in BODY.keys() - {missing}})
    assert set(fields_of(answer)) == {missing}
    assert not ConnectedAccount.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("login", "letters", "digits only"),
        ("login", "", "digits only"),
        ("login", -5, "greater than or equal to 1"),
        ("login", 2**63, "less than or equal to"),
        ("login", 1.5, "digits only"),
        ("initial_balance", "-1", "greater than or equal to 0.01"),
        ("initial_balance", "a lot", "number"),
        ("initial_balance", 1e300, "digits"),
        ("broker_time_zone", "Mars/Olympus", "not a known time zone"),
        ("day_reset_zone", "Europe/Prague+99h", "too far"),
        ("day_reset_time", "25:00", "Time has wrong format"),
        ("server", "s" * 65, "no more than 64 characters"),
        ("role", "king", "not a valid choice"),
        ("terminal_host", "elsewhere", "no terminal host named"),
        ("tags", ["t"] * 21, "no more than 20"),
        ("tags", "eu", "list"),
        ("name", "a\x00b", "Null characters"),
        ("password", "", "blank"),
    ],
)
def test_it_names_the_field_that_is_wrong(api: Client, field: str, value: Any, told: str) -> None:
    answer = api.ask("POST", "accounts", {**BODY, field: value})
    fields = fields_of(answer)
    assert set(fields) == {field}
    assert told in " ".join(fields[field])
    assert not ConnectedAccount.objects.exists()


def test_it_names_the_login_that_is_watched_already(api: Client) -> None:
    api.ask("POST", "accounts", BODY)
    answer = api.ask("POST", "accounts", {**BODY, "name": "Again"})
    assert fields_of(answer) == {"login": ["You already watch this login on this server."]}


def test_it_takes_a_key_instead_of_a_password(api: Client, alice: User, bob: User) -> None:
    body = {key: BODY[key] for key in BODY.keys() - {"password"}}
    foreign = {**body, "api_key": str(make_key(bob).pk)}
    assert fields_of(api.ask("POST", "accounts", foreign)) == {"api_key": ["not found"]}
    key = make_key(alice)
    account = api.ask("POST", "accounts", {**body, "api_key": str(key.pk)}).json()
    assert account["api_key"] == str(key.pk)
    both = {**BODY, "login": 2, "api_key": str(key.pk)}
    assert set(fields_of(api.ask("POST", "accounts", both))) == {"password"}


def test_a_password_goes_in_and_never_comes_out(
    api: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    new = "An0ther-s3cret"
    account = api.ask("POST", "accounts", BODY).json()
    path = f"accounts/{account['id']}"
    AccountConnection.objects.update(state="connected")
    answers = [
        api.ask("GET", "accounts"),
        api.ask("GET", path),
        api.ask("PATCH", path, {"password": new}),
        api.ask("PUT", path, {**BODY, "login": "wrong"}),
        api.ask("POST", "accounts", BODY),
        api.ask("GET", f"{path}/connection-log"),
        api.ask("GET", f"accounts?search={SECRET}"),
    ]
    assert ApiKey.objects.get().secret == new
    assert AccountConnection.objects.get().state == "connecting"
    for answer in answers:
        text = answer.content.decode().replace(f"search={SECRET}", "")
        assert SECRET not in text
        assert new not in text
        assert "password" not in text or answer.status_code == 400
    assert SECRET not in caplog.text.replace(f"search={SECRET}", "")
    assert new not in caplog.text


def test_it_stays_on_its_terminal_host(api: Client, alice: User) -> None:
    account = make_account(alice)
    path = f"accounts/{account.pk}"
    assert set(fields_of(api.ask("PATCH", path, {"terminal_host": "other"}))) == {"terminal_host"}
    assert api.ask("PATCH", path, {"terminal_host": "local"}).status_code == 200


def test_it_cannot_be_made_anothers_or_the_default_by_hand(
    api: Client, alice: User, bob: User
) -> None:
    first, second = make_account(alice, "1", is_default=True), make_account(alice, "2")
    body = {"user": bob.pk, "is_default": True, "id": str(first.pk), "name": "Still mine"}
    answer = api.ask("PATCH", f"accounts/{second.pk}", body).json()
    assert (answer["id"], answer["is_default"], answer["name"]) == (
        str(second.pk),
        False,
        "Still mine",
    )
    second.refresh_from_db()
    assert second.user == alice


def test_it_answers_a_request_to_connect_before_it_is_done(api: Client, alice: User) -> None:
    account = make_account(alice, with_key=True)
    answer = api.ask("POST", f"accounts/{account.pk}/connect")
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["is_wanted"]) == ("connecting", True)
    answer = api.ask("POST", f"accounts/{account.pk}/disconnect")
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["is_wanted"]) == ("disconnected", False)


def test_it_says_why_it_does_not_connect(api: Client, alice: User) -> None:
    account = make_account(alice, with_key=True, is_active=False)
    answer = api.ask("POST", f"accounts/{account.pk}/connect")
    assert answer.status_code == 409
    assert answer.json()["error"] == {
        "code": "inactive",
        "message": "The account is inactive; activate it first.",
        "fields": {},
    }


def test_it_activates_deactivates_and_sets_the_default(api: Client, alice: User) -> None:
    make_account(alice, "First", is_default=True)
    account = make_account(alice, "Second", with_key=True)
    path = f"accounts/{account.pk}"
    assert api.ask("POST", f"{path}/deactivate").json()["is_active"] is False
    assert api.ask("POST", f"{path}/activate").json()["connection"]["state"] == "connecting"
    assert api.ask("POST", f"{path}/set-default").json()["is_default"] is True
    assert ConnectedAccount.objects.get(is_default=True) == account


def test_it_connects_all_with_a_result_for_each(api: Client, alice: User) -> None:
    ready, keyless = make_account(alice, "Alpha", with_key=True), make_account(alice, "Beta")
    answer = api.ask("POST", "accounts/connect-all")
    assert answer.status_code == 202
    first, second = answer.json()["results"]
    assert first == {
        "account_id": str(ready.pk),
        "name": "Alpha",
        "state": "connecting",
        "error": None,
    }
    assert (second["account_id"], second["state"]) == (str(keyless.pk), None)
    assert "password" in second["error"]
    results = api.ask("POST", "accounts/disconnect-all").json()["results"]
    assert [result["state"] for result in results] == ["disconnected", "disconnected"]


def test_it_lists_the_changes_of_a_connection_newest_first(api: Client, alice: User) -> None:
    account, other = make_account(alice), make_account(alice, "Other")
    for row, (state, reason) in ((account, ("error", "wrong_password")), (other, ("error", "x"))):
        ConnectionLog.objects.create(
            account_id=row.pk,
            user_id=alice.pk,
            account_name=row.name,
            from_state="connecting",
            to_state=state,
            reason=reason,
            message="The broker refused the password.",
            created_at=NOW,
        )
    answer = api.ask("GET", f"accounts/{account.pk}/connection-log").json()
    assert answer["count"] == 1
    assert answer["results"][0]["reason"] == "wrong_password"
    assert answer["results"][0]["created_at"] == "2026-11-20T12:00:00Z"


def test_it_filters_searches_and_orders(api: Client, alice: User) -> None:
    alpha = make_account(
        alice, "Alpha", currency="EUR", state="connected", initial_balance=Decimal(5)
    )
    beta = make_account(alice, "Beta", broker="Other", is_demo=False, initial_balance=Decimal(9))
    make_account(alice, "Gamma", is_active=False, login=91_919_191, initial_balance=Decimal(7))
    alpha.tags.add(Tag.objects.create(user=alice, name="swing"))
    for query, found in {
        "currency=eur": ["Alpha"],
        "state=connected": ["Alpha"],
        "tag=swing": ["Alpha"],
        "is_demo=false": ["Beta"],
        "is_active=false": ["Gamma"],
        "login=91919191": ["Gamma"],
        "broker=OTHER": ["Beta"],
        "search=91919": ["Gamma"],
        "search=alph": ["Alpha"],
        "search=nothing": [],
        "ordering=-name": ["Gamma", "Beta", "Alpha"],
        "ordering=initial_balance": ["Alpha", "Gamma", "Beta"],
        f"group={beta.pk}": [],
    }.items():
        assert names(api.ask("GET", f"accounts?{query}")) == found, query
    assert set(fields_of(api.ask("GET", "accounts?group=1"))) == {"group"}


def test_it_pages_without_showing_a_row_twice(api: Client, alice: User) -> None:
    for _ in range(5):
        make_account(alice, "The same name")
    pages = [api.ask("GET", f"accounts?page_size=2&page={page}").json() for page in (1, 2, 3)]
    shown = [row["id"] for page in pages for row in page["results"]]
    assert len(shown) == len(set(shown)) == pages[0]["count"] == 5
    assert (pages[0]["previous"], pages[2]["next"]) == (None, None)
    assert "page=2" in pages[0]["next"]
    assert api.ask("GET", "accounts?page=4&page_size=2").status_code == 404


def test_it_shows_at_most_200_on_a_page(api: Client, alice: User) -> None:
    host = make_account(alice, "Account 0").terminal_host
    ConnectedAccount.objects.bulk_create(
        ConnectedAccount(
            user=alice,
            name=f"Account {number}",
            server="S",
            login=number,
            initial_balance=1,
            terminal_host=host,
        )
        for number in range(1, 202)
    )
    assert len(api.ask("GET", "accounts?page_size=100000").json()["results"]) == 200
    assert len(api.ask("GET", "accounts").json()["results"]) == 50


def test_it_asks_the_database_as_often_for_20_rows_as_for_2(api: Client, alice: User) -> None:
    counts = []
    for target in (2, 20):
        for number in range(ConnectedAccount.objects.count(), target):
            account = make_account(alice, f"Account {number}", with_key=True)
            account.tags.add(Tag.objects.create(user=alice, name=f"tag {number}"))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert len(names(api.ask("GET", "accounts"))) == target
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 4
