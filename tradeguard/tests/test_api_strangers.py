"""A stranger's row does not exist, on every route and with every method that the URL conf has."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import ApiKeyAuditLog, User
from accounts.tests.api_clients import API, client_of
from accounts.tests.factories import make_account, make_key, make_user
from groups.tests.factories import make_group
from risk.tests.factories import make_rule, make_template
from tradeguard.tests.api_routes import Desk, api_routes, make_desk
from tradeguard.tests.skipped_waits import skip_waits
from tradeguard.tests.snapshots import snapshot

PUBLIC = {"register", "token", "token-refresh", "token-revoke"}


@pytest.fixture(autouse=True)
def _unwaiting(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_waits(monkeypatch)


@pytest.fixture
def desk(alice: User) -> Desk:
    return make_desk(alice)


@pytest.fixture(params=["another user", "staff"])
def stranger(request: pytest.FixtureRequest, db: None) -> User:
    return make_user("charlie", is_staff=request.param == "staff")


def requests(desk: Desk) -> Iterator[tuple[str, str, str, list[str]]]:
    for route in api_routes():
        for method in sorted(route.methods):
            yield route.name, method, route.address(desk), route.parameters


def test_a_stranger_finds_nothing_and_changes_nothing(desk: Desk, stranger: User) -> None:
    client, before, asked = client_of(stranger), snapshot(), 0
    for name, method, address, parameters in requests(desk):
        if not parameters:
            continue
        body = {"name": "Mine now", "reason": "Because.", "account_id": str(desk.account.pk)}
        answer = client.ask(method, address.removeprefix(f"{API}/"), body)
        assert answer.status_code == 404, (name, method, answer.content)
        assert answer.json()["error"]["code"] == "not_found"
        asked += 1
    assert asked > 25
    assert snapshot() == before
    trail = ApiKeyAuditLog.objects.filter(actor_id=stranger.pk)
    assert set(trail.values_list("outcome", flat=True)) <= {ApiKeyAuditLog.Outcome.REFUSED}


def test_a_strangers_row_answers_as_one_that_does_not_exist(desk: Desk, stranger: User) -> None:
    client = client_of(stranger)
    for route in api_routes():
        for method in route.methods if route.parameters else ():
            foreign = client.generic(method, route.address(desk))
            missing = client.generic(method, route.address_with(str(uuid4())))
            assert (foreign.status_code, foreign.content) == (missing.status_code, missing.content)


def test_its_owner_finds_everything(desk: Desk) -> None:
    client, wrong = client_of(desk.account.user), []
    for route in api_routes():
        if route.name in PUBLIC:
            continue
        for method in ("GET", "HEAD", "OPTIONS") if "GET" in route.methods else ("OPTIONS",):
            answer = client.generic(method, route.address(desk))
            if answer.status_code != 200:
                wrong.append((method, route.template, answer.status_code))
    assert not wrong


def test_a_list_shows_own_rows_only(desk: Desk, stranger: User) -> None:
    client, lists = client_of(stranger), 0
    for route in api_routes():
        if "GET" in route.methods and not route.parameters:
            answer = client.get(route.template).json()
            if "results" in answer:
                assert (answer["count"], answer["results"]) == (0, []), route.name
                lists += 1
    assert lists >= 5


def test_nobody_comes_in_without_signing_in(desk: Desk) -> None:
    client, before = client_of(None), snapshot()
    for name, method, address, _ in requests(desk):
        if name not in PUBLIC:
            answer = client.ask(method, address.removeprefix(f"{API}/"), {})
            assert answer.status_code in (401, 429), (name, method)
            assert set(answer.json()["error"]) == {"code", "message", "fields"}
    assert snapshot() == before


def test_own_rows_cannot_be_mixed_with_a_strangers(alice: User, bob: User, desk: Desk) -> None:
    """Bob names alice's rows in bodies and addresses of requests about his own."""
    mine = make_account(bob, "Mine")
    group = make_group(bob, "My desk", mine)
    client = client_of(bob)
    foreign = {"account": str(desk.account.pk), "group": str(desk.group.pk)}
    key = str(make_key(alice).pk)
    rule = {"name": "R", "rule_type": "MAX_DAILY_LOSS", "limit": "0.05"}
    ids = {"account_ids": [foreign["account"]]}
    template, own_rule = make_template(bob), make_rule(bob, accounts=[mine])
    size = {"symbol": "EURUSD", "direction": "buy", "stop_loss": 1, "risk_money": "1"}
    before = snapshot()
    with_key = {**desk.bodies["accounts"], "password": "", "api_key": key}
    attempts: list[tuple[str, str, dict[str, Any], str]] = [
        ("POST", "groups", {"name": "G", "accounts": [foreign["account"]]}, "accounts"),
        ("PATCH", f"groups/{group.pk}", {"accounts": [foreign["account"]]}, "accounts"),
        ("POST", f"groups/{group.pk}/accounts", ids, "account_ids"),
        ("DELETE", f"groups/{group.pk}/accounts", ids, "account_ids"),
        ("POST", "risk-rules", {**rule, "accounts": [foreign["account"]]}, "accounts"),
        ("POST", "risk-rules", {**rule, "groups": [foreign["group"]]}, "groups"),
        ("POST", "risk-rules/presets", {"name": "P", "rule_ids": [str(desk.rule.pk)]}, "rule_ids"),
        ("POST", "risk-rules/presets/apply",
         {"preset": "ftmo-2-step", "accounts": [foreign["account"]]}, "accounts"),
        ("POST", "risk-rules/presets/apply",
         {"preset": "ftmo-2-step", "groups": [foreign["group"]]}, "groups"),
        ("POST", "risk-rules/presets/apply",
         {"preset": str(desk.ids["risk-rules/presets"]), "accounts": [str(mine.pk)]}, "preset"),
        ("POST", "group-templates", {"name": "T", "group_id": foreign["group"]}, "group_id"),
        ("POST", "group-templates", {"name": "T", "rule_ids": [str(desk.rule.pk)]}, "rule_ids"),
        ("POST", f"group-templates/{template.pk}/apply",
         {"name": "G", "accounts": [foreign["account"]]}, "accounts"),
        ("POST", f"risk-rules/{own_rule.pk}/arm", ids, "account_ids"),
        ("POST", "risk-rules/test", {**rule, **ids}, "account_ids"),
        ("POST", "risk-rules/calculate-position-size",
         {**size, "account_id": foreign["account"]}, "account_id"),
        ("GET", f"risk-rules/portfolio-risk?account_ids={foreign['account']}", {}, "account_ids"),
        ("GET", f"risk-rules/portfolio-risk?group_id={foreign['group']}", {}, "group_id"),
        ("POST", "accounts/close-all", {**ids, "reason": "Theirs."}, "account_ids"),
        ("POST", "copy-relationships",
         {"provider": foreign["account"], "follower": str(mine.pk)}, "provider"),
        ("POST", "copy-relationships/example-size",
         {"provider": str(mine.pk), "follower": foreign["account"]}, "follower"),
        ("POST", "copy-relationships/example-size",
         {"provider": foreign["account"], "follower": str(mine.pk)}, "provider"),
        ("POST", "accounts", with_key, "api_key"),
        ("PATCH", f"accounts/{mine.pk}", {"api_key": key}, "api_key"),
    ]  # fmt: skip
    for method, path, body, field in attempts:
        answer = client.ask(method, path, body)
        assert answer.status_code == 400, (path, answer.content)
        assert "not found" in json.dumps(answer.json()["error"]["fields"][field])
    for method in ("POST", "DELETE"):
        answer = client.ask(method, f"groups/{group.pk}/accounts/{foreign['account']}")
        assert answer.status_code == 404
    for method in ("PUT", "DELETE"):
        answer = client.ask(method, f"risk-rules/{own_rule.pk}/overrides/{foreign['account']}", {})
        assert answer.status_code == 404
    assert snapshot() == before
