from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.api.rows import MOST_IDS
from accounts.models import User
from accounts.tests.api_clients import Client, client_of
from accounts.tests.factories import make_account
from groups.models import AccountGroup, Membership
from groups.tests.factories import make_group


@pytest.fixture
def api(alice: User) -> Client:
    return client_of(alice)


def fields_of(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 400, answer.content
    fields: dict[str, list[str]] = answer.json()["error"]["fields"]
    return fields


def test_it_creates_reads_changes_and_deletes_a_group(api: Client, alice: User) -> None:
    one, two = make_account(alice, "1"), make_account(alice, "2")
    created = api.ask("POST", "groups", {"name": "Desk", "accounts": [str(one.pk)]})
    assert created.status_code == 201, created.content
    group = created.json()
    assert (group["accounts"], group["account_count"]) == ([str(one.pk)], 1)
    path = f"groups/{group['id']}"
    assert api.ask("GET", path).json() == group
    assert api.ask("PATCH", path, {"name": "Other"}).json()["accounts"] == [str(one.pk)]
    body = {"name": "Desk", "description": "All", "accounts": [str(one.pk), str(two.pk)]}
    replaced = api.ask("PUT", path, body).json()
    assert (replaced["accounts"], replaced["description"]) == (body["accounts"], "All")
    assert api.ask("DELETE", path).status_code == 204
    assert api.ask("GET", path).status_code == 404
    assert alice.connected_accounts.count() == 2


def test_it_names_the_field_that_is_wrong(api: Client, alice: User) -> None:
    make_group(alice, "Desk")
    assert fields_of(api.ask("POST", "groups", {"name": "Desk"})) == {
        "name": ["You already have a group of this name."]
    }
    assert set(fields_of(api.ask("POST", "groups", {}))) == {"name"}
    wrong = api.ask("POST", "groups", {"name": "G", "accounts": ["x", 5, None]})
    assert set(fields_of(wrong)) == {"accounts"}
    assert AccountGroup.objects.count() == 1


def test_it_moves_one_account_in_and_out(api: Client, alice: User) -> None:
    account, group = make_account(alice), make_group(alice)
    path = f"groups/{group.pk}/accounts/{account.pk}"
    for _ in range(2):
        answer = api.ask("POST", path)
        assert (answer.status_code, answer.json()["account_count"]) == (200, 1)
    for _ in range(2):
        answer = api.ask("DELETE", path)
        assert (answer.status_code, answer.json()["accounts"]) == (200, [])


def test_it_moves_many_in_and_out(api: Client, alice: User) -> None:
    accounts = [make_account(alice, str(number)) for number in range(3)]
    group = make_group(alice)
    path, ids = f"groups/{group.pk}/accounts", [str(account.pk) for account in accounts]
    assert api.ask("POST", path, {"account_ids": [*ids, ids[0]]}).json()["accounts"] == ids
    assert api.ask("DELETE", path, {"account_ids": ids[:2]}).json()["accounts"] == ids[2:]
    assert set(fields_of(api.ask("POST", path, {"account_ids": []}))) == {"account_ids"}
    assert Membership.objects.count() == 1


def test_it_adds_all_or_none(api: Client, alice: User, bob: User) -> None:
    mine, theirs, group = make_account(alice), make_account(bob), make_group(alice)
    body = {"account_ids": [str(mine.pk), str(theirs.pk)]}
    answer = api.ask("POST", f"groups/{group.pk}/accounts", body)
    assert fields_of(answer) == {"account_ids": [f"not found: {theirs.pk}"]}
    assert not Membership.objects.exists()


def test_it_looks_many_ids_up_at_once(api: Client, alice: User) -> None:
    counts = []
    for many in (2, 50):
        group = make_group(alice, f"Group of {many}")
        ids = [str(make_account(alice, str(number)).pk) for number in range(many)]
        with CaptureQueriesContext(connection) as queries:
            answer = api.ask("POST", f"groups/{group.pk}/accounts", {"account_ids": ids})
        assert answer.json()["account_count"] == many
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_it_asks_the_database_as_often_for_20_groups_as_for_2(api: Client, alice: User) -> None:
    accounts, counts = [make_account(alice, str(number)) for number in range(3)], []
    for target in (2, 20):
        for number in range(AccountGroup.objects.count(), target):
            make_group(alice, f"Group {number}", *accounts)
        with CaptureQueriesContext(connection) as queries:
            found = api.ask("GET", "groups").json()["results"]
        assert [group["account_count"] for group in found] == [3] * target
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 3


def test_it_searches_and_orders(api: Client, alice: User) -> None:
    make_group(alice, "Alpha", description="Prop firm")
    make_group(alice, "Beta", make_account(alice))
    for query, names in {
        "search=prop": ["Alpha"],
        "name=Beta": ["Beta"],
        "ordering=-name": ["Beta", "Alpha"],
        "ordering=-account_count": ["Beta", "Alpha"],
    }.items():
        found = api.ask("GET", f"groups?{query}").json()["results"]
        assert [group["name"] for group in found] == names, query


def test_it_counts_ids_that_are_named_twice(api: Client, alice: User) -> None:
    account, group = make_account(alice), make_group(alice)
    body = {"account_ids": [str(account.pk)] * (MOST_IDS + 1)}
    answer = api.ask("POST", f"groups/{group.pk}/accounts", body)
    assert fields_of(answer) == {"account_ids": ["At most 5,000 ids are possible."]}
