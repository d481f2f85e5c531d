"""Every action on a relationship of two owners in every state: alice provides, bob follows.

Each answer is the new state, or the code of the refusal; a copied position is open throughout.
"""

import threading
from typing import Any, Final

import pytest
from django.db import connection

from accounts.models import User
from accounts.tests.api_clients import Client, client_of
from accounts.tests.factories import NOW, make_account
from copytrade.models import CopyRelationship
from copytrade.tests.factories import make_position, make_relationship

STATES: Final[dict[str, dict[str, Any]]] = {
    "offered": {"state": "offered", "started_at": None},
    "declined": {"state": "declined", "started_at": None},
    "active": {"state": "active"},
    "held by alice": {"state": "paused", "provider_hold": "paused"},
    "held by bob": {"state": "close_only", "follower_hold": "close_only"},
    "ending": {"state": "close_only", "ending": "as_provider"},
    "closing": {"state": "paused", "follower_hold": "paused", "closing_since_at": NOW},
    "terminated": {"state": "terminated", "ending": "keep"},
}
ACTIONS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "accept": ("POST", "/accept", {}),
    "decline": ("POST", "/decline", {}),
    "pause": ("POST", "/pause", {}),
    "close-only": ("POST", "/close-only", {}),
    "resume": ("POST", "/resume", {}),
    "keep": ("POST", "/terminate", {"ending": "keep"}),
    "as provider": ("POST", "/terminate", {"ending": "as_provider"}),
    "close now": ("POST", "/terminate", {"ending": "close_now"}),
    "delete": ("DELETE", "", {}),
    "rename": ("PATCH", "", {"alias": "Client 8"}),
    "edit": ("PATCH", "", {"multiplier": "2"}),
}
# By action, for each of the states above: what alice is answered, and what bob is.
ENDED = ("terminated", "terminated")
ANSWERS: Final[dict[str, list[tuple[str, str]]]] = {
    "accept": [
        ("not_yours", "active"),
        ("not_yours", "answered"),
        ("not_yours", "active"),
        ("not_yours", "paused"),
        ("not_yours", "close_only"),
        ("not_yours", "close_only"),
        ("not_yours", "paused"),
        ("not_yours", "answered"),
    ],
    "decline": [
        ("not_yours", "declined"),
        ("not_yours", "declined"),
        *[("not_yours", "answered")] * 6,
    ],
    "pause": [
        ("not_copying", "not_copying"),
        ("not_copying", "not_copying"),
        ("paused", "paused"),
        ("paused", "paused"),
        ("close_only", "paused"),
        ("ending", "ending"),
        ("paused", "paused"),
        ("not_copying", "not_copying"),
    ],
    "close-only": [
        ("not_copying", "not_copying"),
        ("not_copying", "not_copying"),
        ("close_only", "close_only"),
        ("close_only", "close_only"),
        ("close_only", "close_only"),
        ("ending", "ending"),
        ("close_only", "close_only"),
        ("not_copying", "not_copying"),
    ],
    "resume": [
        ("not_copying", "not_copying"),
        ("not_copying", "not_copying"),
        ("active", "active"),
        ("active", "held_by_other"),
        ("held_by_other", "active"),
        ("ending", "ending"),
        ("closing", "closing"),
        ("not_copying", "not_copying"),
    ],
    "keep": [
        ("terminated", "declined"),
        ("declined", "declined"),
        *[ENDED] * 4,
        ("close_only", "terminated"),
        ENDED,
    ],
    "as provider": [
        ("terminated", "declined"),
        ("declined", "declined"),
        *[("close_only", "close_only")] * 5,
        ENDED,
    ],
    "close now": [
        ("terminated", "declined"),
        ("declined", "declined"),
        *[("not_yours", "close_only")] * 5,
        ENDED,
    ],
    "delete": [
        ("terminated", "declined"),
        ("declined", "declined"),
        *[ENDED] * 4,
        ("close_only", "terminated"),
        ENDED,
    ],
    "rename": [
        ("offered", "not_yours"),
        ("ended", "ended"),
        ("active", "not_yours"),
        ("paused", "not_yours"),
        ("close_only", "not_yours"),
        ("close_only", "not_yours"),
        ("paused", "not_yours"),
        ("ended", "ended"),
    ],
    "edit": [
        ("offered", "not_yours"),
        ("ended", "ended"),
        ("not_yours", "active"),
        ("not_yours", "paused"),
        ("not_yours", "close_only"),
        ("not_yours", "close_only"),
        ("not_yours", "paused"),
        ("ended", "ended"),
    ],
}


def answer_to(client: Client, row: CopyRelationship, action: str) -> str:
    method, path, body = ACTIONS[action]
    answer = client.ask(method, f"copy-relationships/{row.pk}{path}", body)
    if answer.status_code in (400, 409):
        return str(answer.json()["error"]["code"])
    assert answer.status_code in (200, 204), answer.content
    state: str = CopyRelationship.objects.values_list("state", flat=True).get(pk=row.pk)
    return state


def make_row(name: str, alice: User, bob: User) -> CopyRelationship:
    lead, savings = make_account(alice), make_account(bob)
    row = make_relationship(lead, savings, **STATES[name])
    if row.state not in ("offered", "declined"):
        make_position(row)
    return row


@pytest.mark.parametrize("action", ACTIONS)
def test_each_state_answers_each_side(action: str, alice: User, bob: User) -> None:
    clients = [client_of(alice), client_of(bob)]
    found = {}
    for state in STATES:
        rows = [make_row(state, alice, bob) for _ in clients]
        hers, his = (answer_to(*each, action) for each in zip(clients, rows, strict=True))
        found[state] = (hers, his)
    assert found == dict(zip(STATES, ANSWERS[action], strict=True))


@pytest.mark.parametrize("ending", ["keep", "as_provider"])
@pytest.mark.parametrize("stopped", [{}, {"ending": "close_now", "state": "close_only"}])
def test_a_provider_does_not_stop_the_closing_on_anothers_account(
    ending: str, stopped: dict[str, Any], alice: User, bob: User
) -> None:
    row = make_row("closing", alice, bob)
    CopyRelationship.objects.filter(pk=row.pk).update(**stopped)
    path = f"copy-relationships/{row.pk}"
    client_of(alice).ask("POST", f"{path}/terminate", {"ending": ending})
    row.refresh_from_db()
    assert (row.state, row.ending, row.closing_since_at) == ("close_only", "close_now", NOW)
    client_of(alice).ask("DELETE", path)
    row.refresh_from_db()
    assert (row.state, row.ending, row.closing_since_at) == ("close_only", "close_now", NOW)
    kept = client_of(bob).ask("POST", f"{path}/terminate", {"ending": "keep"}).json()
    assert (kept["state"], kept["closing_since_at"]) == ("terminated", None)


@pytest.mark.parametrize("state", STATES)
def test_it_names_the_actions_that_would_succeed(state: str, alice: User, bob: User) -> None:
    """What `actions` and `endings` promise is what each side is answered."""
    names = {
        "rename": "rename", "edit": "edit", "accept": "accept", "decline": "decline",
        "pause": "pause", "close-only": "close_only", "resume": "resume", "keep": "terminate",
    }  # fmt: skip
    for user in (alice, bob):
        client = client_of(user)
        for action, name in names.items():
            row = make_row(state, alice, bob)
            told = client.ask("GET", f"copy-relationships/{row.pk}").json()
            if name in told["actions"]:
                assert answer_to(client, row, action) in CopyRelationship.State.values, action


def test_terms_that_changed_meanwhile_are_read_again(alice: User, bob: User) -> None:
    row, client = make_row("active", alice, bob), client_of(bob)
    path = f"copy-relationships/{row.pk}"
    seen_at = client.ask("GET", path).json()["terms_changed_at"]
    first = client.ask("PATCH", path, {"multiplier": "2", "seen_at": seen_at})
    assert first.status_code == 200, first.content
    assert "seen_at" not in first.json()
    late = client.ask("PATCH", path, {"maximum_lots": "1", "seen_at": seen_at})
    assert (late.status_code, late.json()["error"]["code"]) == (409, "terms_changed")
    assert client.ask("PATCH", path, {"maximum_lots": "1"}).status_code == 200


@pytest.mark.parametrize("side", ["provider", "follower"])
def test_an_account_with_open_copies_stays(side: str, alice: User, bob: User) -> None:
    row = make_row("active", alice, bob)
    account, client = getattr(row, side), client_of(alice if side == "provider" else bob)
    path = f"accounts/{account.pk}"
    for method, body in (("DELETE", None), ("PATCH", {"login": 77_123, "password": "secret"})):
        answer = client.ask(method, path, body)
        assert answer.status_code == 409, answer.content
        assert "relationship" in answer.json()["error"]["message"]
    client.ask("POST", f"copy-relationships/{row.pk}/terminate", {"ending": "keep"})
    assert client.ask("DELETE", path).status_code == 204
    row.refresh_from_db()
    assert row.state == "terminated"


def test_both_sides_at_once_leave_one_sound_state(
    transactional_db: None, alice: User, bob: User
) -> None:
    """What each side asks is done one after the other, whoever is first."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets one transaction write at a time")
    row = make_row("active", alice, bob)
    begin = threading.Barrier(4)
    wrong: list[object] = []

    def ask(user: User, actions: list[str]) -> None:
        try:
            client = client_of(user)
            begin.wait(10.0)
            for action in actions:
                answer_to(client, row, action)
        except Exception as error:
            wrong.append(error)
        finally:
            connection.close()

    script = ["pause", "resume", "close-only", "resume"]
    threads = [
        threading.Thread(target=ask, args=(user, script[number:] + script[:number]))
        for number, user in enumerate((alice, bob, alice, bob))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    row.refresh_from_db()
    holds = {row.provider_hold, row.follower_hold} - {""}
    strictest = "close_only" if "close_only" in holds else "paused" if holds else "active"
    assert row.state == strictest
    for user in (alice, bob):
        answer_to(client_of(user), row, "resume")
    row.refresh_from_db()
    assert row.state == "active"
