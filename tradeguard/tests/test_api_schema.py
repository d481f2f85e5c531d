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
    secrets = {
        (name, field, facts.get("writeOnly"))
        for name, part in schema["components"]["schemas"].items()
        for field, facts in part.get("properties", {}).items()
        if field in ("password", "secret")
    }
    assert len(secrets) > 2
    assert not [each for each in secrets if not each[0].endswith("Request") or not each[2]]


def test_every_operation_tells_its_errors_in_the_one_shape(schema: dict[str, Any]) -> None:
    shape = {"$ref": "#/components/schemas/Error"}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            errors = {code: each for code, each in operation["responses"].items() if code > "3"}
            assert {"406", "429", "503"} <= set(errors), (method, path)
            if operation.get("security"):
                assert "401" in errors, (method, path)
            if operation.get("requestBody"):
                assert {"400", "413", "415"} <= set(errors), (method, path)
            for each in errors.values():
                shared = schema["components"]["responses"][each["$ref"].split("/")[-1]]
                assert shared["content"]["application/json"]["schema"] == shape


def test_every_id_in_a_path_is_a_uuid_and_every_ticket_a_number(schema: dict[str, Any]) -> None:
    found = 0
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            ids = [each for each in operation.get("parameters", []) if each["in"] == "path"]
            assert len(ids) == path.count("{")
            for each in ids:
                is_ticket = each["name"] == "ticket"
                assert each["schema"]["type"] == ("integer" if is_ticket else "string")
                assert each["schema"]["format"] == ("int64" if is_ticket else "uuid")
            found += len(ids)
    assert found > 20
