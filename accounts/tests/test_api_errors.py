from typing import Any

import pytest
from django.core.exceptions import (
    NON_FIELD_ERRORS,
    PermissionDenied,
    RequestDataTooBig,
    ValidationError,
)
from django.db import InterfaceError
from django.db import OperationalError as DatabaseAway
from django.http import Http404
from django.test import RequestFactory
from kombu.exceptions import OperationalError
from redis import ConnectionError as RedisUnreachable
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.errors import exception_handler
from accounts.refusals import Refusal


def answer_to(error: Exception) -> tuple[int, dict[str, Any]]:
    request = Request(RequestFactory().get("/api/v1/groups"))
    response = exception_handler(error, {"request": request, "view": APIView()})
    assert response is not None
    return response.status_code, response.data["error"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Refusal("No.", code="locked"), 409, "locked"),
        (Refusal("Too many.", code="throttled", wait_seconds=3), 429, "throttled"),
        (Http404(), 404, "not_found"),
        (PermissionDenied(), 403, "permission_denied"),
        (exceptions.NotAuthenticated(), 401, "not_authenticated"),
        (exceptions.ParseError(), 400, "parse_error"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.UnsupportedMediaType("text/xml"), 415, "unsupported_media_type"),
        (exceptions.Throttled(wait=3), 429, "throttled"),
        (RedisUnreachable(), 503, "unavailable"),
        (OperationalError(), 503, "unavailable"),
        (DatabaseAway("database is locked"), 503, "unavailable"),
        (InterfaceError("connection already closed"), 503, "unavailable"),
        (RequestDataTooBig(), 413, "too_large"),
        (RecursionError(), 400, "parse_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_it_has_one_shape_for_all(error: Exception, status: int, code: str) -> None:
    found, told = answer_to(error)
    assert (found, told["code"], told["fields"]) == (status, code, {})
    assert told["message"]


@pytest.mark.parametrize(("seconds", "told"), [(2.0, "2"), (2.1, "3"), (0.0, "1"), (None, None)])
def test_it_tells_when_what_came_too_often_may_come_again(
    seconds: float | None, told: str | None
) -> None:
    request = Request(RequestFactory().get("/api/v1/groups"))
    refusal = Refusal("Too many.", code="throttled", wait_seconds=seconds)
    response = exception_handler(refusal, {"request": request, "view": APIView()})
    assert response is not None
    assert response.headers.get("Retry-After") == told


def test_it_keeps_what_the_models_say_at_their_fields() -> None:
    error = ValidationError({"limit": ["Too low.", "Odd."], "parameters.reset_zone": "Unknown."})
    assert answer_to(error)[1]["fields"] == {
        "limit": ["Too low.", "Odd."],
        "parameters.reset_zone": ["Unknown."],
    }


@pytest.mark.parametrize(
    "error",
    [
        ValidationError("They do not fit."),
        ValidationError({NON_FIELD_ERRORS: "They do not fit."}),
        exceptions.ValidationError({"non_field_errors": ["They do not fit."]}),
        exceptions.ValidationError(["They do not fit."]),
        exceptions.ValidationError("They do not fit."),
    ],
)
def test_it_says_what_is_wrong_with_the_whole(error: Exception) -> None:
    status, told = answer_to(error)
    assert (status, told) == (
        400,
        {"code": "invalid", "message": "They do not fit.", "fields": {}},
    )


def test_it_flattens_what_is_nested() -> None:
    detail: Any = {"tags": {0: ["Blank."], 3: ["Too long."]}, "rule": {"limit": ["Low."]}}
    assert answer_to(exceptions.ValidationError(detail))[1]["fields"] == {
        "tags": ["Blank.", "Too long."],
        "rule.limit": ["Low."],
    }


def test_it_leaves_the_unforeseen_to_the_server() -> None:
    assert exception_handler(RuntimeError("a defect"), {}) is None
