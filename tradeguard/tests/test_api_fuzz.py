"""Whatever the description allows, and whatever it forbids, the API answers as described.

Schemathesis makes the requests from the OpenAPI description: valid ones, ones at the limits of
every field, and broken ones. FUZZ_EXAMPLES (random requests per operation) makes the run longer.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from django import conf
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi import checks

from accounts.models import User
from accounts.tests.api_clients import API
from accounts.tests.factories import SECRET
from tradeguard.tests.api_routes import Desk, api_routes, make_desk
from tradeguard.tests.skipped_waits import skip_waits

PUBLIC_NAMES = {"register", "token", "token-refresh", "token-revoke"}
STRANGER = "A row of somebody else"
ROWS = {
    "account": "accounts",
    "api_key": "api-keys",
    "account_id": "accounts",
    "account_ids": "accounts",
    "accounts": "accounts",
    "follower": "accounts",
    "groups": "groups",
    "provider": "accounts",
}
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))


class Program(WSGIHandler):
    """The product as a WSGI program, used by one user."""

    user: User | None = None

    is_loaded = False

    def __init__(self) -> None:
        """Leave the middleware to the first request, as tests' clients do."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if not self.is_loaded:
            self.load_middleware()
            self.is_loaded = True
        return super().__call__(environ, start_response)

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        request._force_auth_user = self.user  # type: ignore[attr-defined]  # DRF's own tests do so
        return super().get_response(request)


program = Program()


def described(examples: int, **more: Any) -> Any:
    """Load the description; each operation is asked with this many random requests."""
    generation = {"max-examples": examples, "deterministic": True, "database": "none"}
    config = schemathesis.Config.from_dict({"seed": 4, "generation": generation, **more})
    generator: Any = SchemaGenerator  # it has no types
    schema = schemathesis.openapi.from_dict(
        generator().get_schema(request=None, public=True), config=config
    )
    schema.app = program
    return schema


# With every field at its limits, right beyond them and of another type; then at random.
to_its_user = described(EXAMPLES)
to_nobody = described(max(3, EXAMPLES // 4), phases={"coverage": {"enabled": False}})
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.missing_required_header,
]
PUBLIC = {route.template for route in api_routes() if route.name in PUBLIC_NAMES}


@pytest.fixture(autouse=True)
def _unthrottled_and_unwaiting(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = dict.fromkeys(("anon", "user", "orders"))
    monkeypatch.setattr("rest_framework.throttling.SimpleRateThrottle.THROTTLE_RATES", rates)
    skip_waits(monkeypatch)
    monkeypatch.setattr(
        conf.settings, "ATTEMPTS", dict.fromkeys(conf.settings.ATTEMPTS, "1000000/60")
    )


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """Keep a request from closing the connection whose transaction the test rolls back."""
    ends = (request_started, request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    yield
    for signal in ends:
        signal.connect(close_old_connections)


@pytest.fixture
def desk(alice: User) -> Desk:
    return make_desk(alice)


@pytest.fixture
def strangers(bob: User) -> Desk:
    """Give bob a desk whose rows all bear a name that must never show up."""
    desk = make_desk(bob)
    for row in (desk.account, desk.group, desk.rule):
        row.name = STRANGER
        row.save(update_fields=["name"])
    return desk


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _is_uuid(value: object) -> bool:
    try:
        return bool(UUID(str(value)))
    except ValueError:
        return False


def _own(case: Case[Any], desk: Desk) -> None:
    """Let well-formed ids name rows of the desk: a random id finds nothing."""
    kind = case.path.removeprefix(f"{API}/").split("/")[0]
    for name, value in case.path_parameters.items():
        if _is_uuid(value):
            pk = desk.ids["accounts"] if name == "account_id" else desk.ids.get(kind, value)
            case.path_parameters[name] = str(pk)
    if isinstance(case.body, dict):
        for name, value in case.body.items():
            row = ROWS.get(name)
            if row is None:
                continue
            if isinstance(value, list):
                case.body[name] = [str(desk.ids[row]) if _is_uuid(each) else each for each in value]
            elif _is_uuid(value):
                case.body[name] = str(desk.ids[row])


def _asks_with_a_blank(case: Case[Any]) -> bool:
    """An empty parameter (`?since=`) is a form's way to leave it out; the API reads it so."""
    return any(
        value in ("", None, []) or (isinstance(value, list) and "" in value)
        for value in case.query.values()
    )


# Some strategies draw from `random` while another thread may.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@to_its_user.parametrize()
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_it_answers_as_described(case: Case[Any], desk: Desk, strangers: Desk) -> None:
    _own(case, desk)
    program.user = desk.account.user
    wanted = [*CHECKS] if _asks_with_a_blank(case) else [*CHECKS, checks.negative_data_rejection]
    with rolled_back():
        response = case.call()
    case.validate_response(response, checks=wanted)
    assert STRANGER not in response.text
    assert SECRET not in response.text


@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@to_nobody.parametrize()
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_it_answers_nobody_as_described(case: Case[Any], desk: Desk) -> None:
    _own(case, desk)
    program.user = None
    with rolled_back():
        response = case.call()
    case.validate_response(response, checks=CHECKS)
    if case.path not in PUBLIC:
        assert response.status_code in (401, 404, 405, 406)
