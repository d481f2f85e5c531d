import io
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from tradeguard.tests.api_routes import api_routes


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    answer: dict[str, Any] = Client().get("/api/schema?format=json").json()
    return answer


def test_it_is_written_without_a_warning() -> None:
    out = io.StringIO()
    call_command("spectacular", "--fail-on-warn", "--validate", stdout=out)
    assert "openapi: 3.1.1" in out.getvalue()


def test_it_knows_every_route_and_method(schema: dict[str, Any]) -> None:
    described = {
        (path.replace("{id}", "{pk}"), method.upper())
        for path, methods in schema["paths"].items()
        for method in methods
        if method != "parameters"
    }
    wanted = {(route.template, method) for route in api_routes() for method in route.methods}
    assert wanted <= described


def test_it_shows_no_way_to_read_a_secret(schema: dict[str, Any]) -> None:
    for name, part in schema["components"]["schemas"].items():
        for field, facts in part.get("properties", {}).items():
            assert field != "secret"
            if field == "password":
                assert facts.get("writeOnly") is True, name
