"""Whatever is thrown at an endpoint, it answers in the API's shape and never with a 500."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import resolve

from accounts.models import User
from accounts.tests.api_clients import API, client_of
from tradeguard.tests.api_routes import Desk, api_routes, make_desk
from tradeguard.tests.skipped_waits import skip_waits

DEEP = "[" * 20_000 + "]" * 20_000
BODIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "application/json"),
    "half": (b'{"name": ', "application/json"),
    "null": (b"null", "application/json"),
    "list": (b"[1, 2, 3]", "application/json"),
    "text": (b'"text"', "application/json"),
    "number": (b"1e999", "application/json"),
    "not a number": (b'{"limit": NaN, "initial_balance": Infinity}', "application/json"),
    "deep": (DEEP.encode(), "application/json"),
    "long digits": (b'{"login": ' + b"9" * 5000 + b"}", "application/json"),
    "huge": (b'{"name": "' + b"x" * 2_700_000 + b'"}', "application/json"),
    "latin-1": (b'{"name": "\xe9"}', "application/json"),
    "xml": (b"<name/>", "application/xml"),
    "form": (b"name=x", "application/x-www-form-urlencoded"),
    "no type": (b'{"name": "x"}', ""),
    "wrong charset": (b'{"name": "x"}', "application/json; charset=nonsense"),
}
FIELDS = [
    "name", "description", "broker", "server", "login", "password", "api_key", "role", "is_demo",
    "is_active", "currency", "initial_balance", "broker_time_zone", "day_reset_time",
    "day_reset_zone", "terminal_host", "tags", "accounts", "account_ids", "account_id", "reason",
    "rule_type", "limit", "parameters", "action", "caution", "critical", "is_firm_rule", "groups",
    "applies_to_all_accounts", "username", "email", "time_zone", "refresh", "magic",
    "act_at_fraction", "act_after_seconds", "closing_order", "losers_only", "close_fraction",
    "rules", "rule_ids", "group_id", "preset", "phase", "events", "csv", "covers_from_at",
    "covers_until_at", "symbol", "direction", "type", "volume", "price", "stop_limit_price",
    "stop_loss", "take_profit", "deviation_points", "valid_until_at", "lock", "numbers",
    "entry_price", "risk_fraction", "risk_money", "is_excluded", "transport", "credentials", "mode",
    "minimum_priority", "transports", "quiet_from", "quiet_until", "summary_at", "repeat_minutes",
    "storm_limit", "provider", "follower", "alias", "confirms_firm_terms", "sizing", "multiplier",
    "fixed_lots", "below_minimum", "maximum_lots", "symbol_map", "include_symbols",
    "exclude_symbols", "directions", "magics", "is_reverse", "copies_stops", "copies_pendings",
    "stop_loss_points", "take_profit_points", "open_deadline_seconds", "maximum_slippage_points",
    "maximum_positions", "trading_from", "trading_until", "trading_zone", "equity_stop",
    "start_policy", "cascade_scope", "seen_at", "ending", "lots",
]  # fmt: skip
VALUES: dict[str, Any] = {
    "null": None,
    "nul": "a\x00b",
    "surrogate": "\ud800",
    "long": "x" * 20_000,
    "huge": 10**400,
    "infinite": 1e308 * 10,
    "negative": -1,
    "yes": True,
    "list": [[], {}, None, "\x00"],
    "object": {"a": {"b": "\x00"}, "symbols": ["\x00"], "hold_seconds": "1e999"},
    "stranger": str(uuid4()),
    "strangers": [str(uuid4())] * 3,
}
QUERIES = [
    "page=0", "page=-1", "page=99999999999999999999", "page=" + "9" * 5000, "page=last",
    "page=%00", "page_size=0", "page_size=-5", "page_size=10000000", "page_size=abc",
    "page_size=" + "9" * 5000, "search=%00", "search=%ff%fe", "search=" + "a%20" * 500,
    "search='%22%5c", "ordering=password", "ordering=-api_key__secret", "ordering=%00",
    "ordering=-,,-", "role=king", "login=letters", "login=" + "9" * 400, "login=1e9999",
    "group=1", "account=%00", "rule_id=x", "account_id=%00", "tag=%00", "server=%00", "name=%00",
    "since=yesterday", "since=9999-99-99", "since=0001-01-01T00:00:00%2B14:00", "latched=maybe",
    "acknowledged=1", "state=gone", "format=xml", "is_active=perhaps", "unread=perhaps",
    "account_ids=x", "account_ids=%00", "group_id=x", "position_ticket=x", "id=x", "kind=%00",
    "position_ticket=" + "9" * 400, "importance=huge", "currency=%00", "enforcement_id=1",
    "priority=vital", "object_type=%00", "object_id=" + "9" * 400, "until=soon", "transport=pigeon",
    "working=perhaps", "mode=loud", "living=perhaps", "provider_id=%00", "follower_id=x",
    "sizing=huge", "event_id=x", "relationship_id=%00", "reason=none", "is_stop_out=perhaps",
    "days=0", "days=366", "days=-1", "days=" + "9" * 5000, "days=%00",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _unthrottled_and_unwaiting(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = dict.fromkeys(("anon", "user", "orders"))
    monkeypatch.setattr("rest_framework.throttling.SimpleRateThrottle.THROTTLE_RATES", rates)
    skip_waits(monkeypatch)


@pytest.fixture
def desk(alice: User) -> Desk:
    return make_desk(alice)


def check(answer: Any) -> None:
    assert answer.status_code < 500, answer.content
    if answer.status_code >= 400:
        error = json.loads(answer.content)["error"]
        assert set(error) == {"code", "message", "fields"}
        assert error["code"]
        assert error["message"]
        assert all(isinstance(each, list) for each in error["fields"].values())


def requests(desk: Desk, *methods: str) -> Iterator[tuple[str, str]]:
    """Yield (method, address) for those of these methods that each route takes."""
    for route in api_routes():
        for method in methods:
            if method in route.methods:
                yield method, route.address(desk)


def test_it_knows_the_routes() -> None:
    names = {route.name for route in api_routes()}
    assert {"account-list", "group-members", "risk-rule-reset", "token", "group-risk"} <= names
    assert len(api_routes()) > 25


def writable_fields(path: str) -> list[str]:
    view: Any = resolve(f"{API}/{path}").func
    fields = view.cls.serializer_class().fields
    return [name for name, field in fields.items() if not field.read_only]


@pytest.mark.parametrize("body", BODIES)
def test_it_survives_garbage_in_the_body(alice: User, desk: Desk, body: str) -> None:
    client: Any = client_of(alice)
    content, content_type = BODIES[body]
    for method, address in requests(desk, "POST", "PUT", "PATCH", "DELETE"):
        if method == "DELETE" and not content:
            continue  # that would be a proper request
        check(client.generic(method, address, content, content_type=content_type))


@pytest.mark.parametrize("value", VALUES)
def test_it_survives_garbage_in_every_field(alice: User, desk: Desk, value: str) -> None:
    client = client_of(alice)
    content = json.dumps(dict.fromkeys(FIELDS, VALUES[value]))
    for method, address in requests(desk, "POST", "PUT", "PATCH"):
        check(client.generic(method, address, content, content_type="application/json"))


def test_it_takes_only_the_methods_it_has(alice: User, desk: Desk) -> None:
    client = client_of(alice)
    for route in api_routes():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - route.methods:
            answer = client.generic(method, route.address(desk))
            check(answer)
            assert answer.status_code == 405, (route.name, method)


def test_it_survives_one_wrong_field_among_right_ones(alice: User, desk: Desk) -> None:
    client = client_of(alice)
    for path, proper in desk.bodies.items():
        for field in writable_fields(path):
            for value in VALUES.values():
                content = json.dumps({**proper, field: value})
                for method in ("POST", "PUT"):
                    address = f"{API}/{path}" if method == "POST" else desk.details[path]
                    check(client.generic(method, address, content, content_type="application/json"))


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:24])
def test_it_survives_garbage_in_the_query(alice: User, desk: Desk, query: str) -> None:
    client = client_of(alice)
    for _, address in requests(desk, "GET"):
        check(client.get(f"{address}?{query}"))


@pytest.mark.parametrize("pk", ["0", "x", "%00", "..", "a" * 3000, "{00000000", str(uuid4())])
def test_it_answers_404_to_an_id_that_is_none(alice: User, pk: str) -> None:
    client = client_of(alice)
    for route in api_routes():
        if route.parameters:
            answer = client.get(route.address_with(pk))
            assert answer.status_code in (404, 405), (route.name, answer.content)


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer x", "Bearer a b", "Basic eDp5", "Bearer \x80", "Bearer ..", ""]
)
def test_it_survives_garbage_for_a_token(db: None, header: str) -> None:
    client = Client(raise_request_exception=False)
    for route in api_routes():
        if not route.name.startswith(("register", "token")):
            address = route.address_with(str(uuid4()))
            answer = client.get(address, HTTP_AUTHORIZATION=header)
            check(answer)
            assert answer.status_code in (401, 405), (route.name, answer.status_code)
