"""The API's description: every operation tells the errors it may answer, in their one shape."""

from inspect import isclass
from typing import Any

from drf_spectacular import openapi
from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import SAFE_METHODS

from accounts.api.viewsets import OwnedViewSet

Schema = dict[str, Any]
_ERROR: Schema = {
    "type": "object",
    "description": "What every error looks like.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "description": "For programs; it does not change."},
                "message": {"type": "string", "description": "A sentence for people."},
                "fields": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                    "description": "What is wrong with which field of the request.",
                },
            },
            "required": ["code", "message", "fields"],
            "additionalProperties": False,
        }
    },
    "required": ["error"],
    "additionalProperties": False,
}
# status: (name of the component, when it is answered, code of the example, message of the example)
_ANSWERS: dict[str, tuple[str, str, str, str]] = {
    "400": ("Invalid", "The request is not right.", "invalid", "Some fields are not right."),
    "401": (
        "NotAuthenticated",
        "Nobody is signed in, or what was shown to sign in is not valid.",
        "not_authenticated",
        "Authentication credentials were not provided.",
    ),
    "403": (
        "PermissionDenied",
        "A browser's session without its CSRF token.",
        "permission_denied",
        "CSRF Failed: CSRF token missing.",
    ),
    "404": (
        "NotFound",
        "There is no such row or page, or it is somebody else's.",
        "not_found",
        "Not found.",
    ),
    "406": (
        "NotAcceptable",
        "The answer would be JSON, which `Accept` rules out.",
        "not_acceptable",
        "Could not satisfy the request Accept header.",
    ),
    "409": (
        "Refused",
        "A rule of TradeGuard forbids it now; `code` names the rule.",
        "locked",
        "“Alpha 1” is locked.",
    ),
    "413": ("TooLarge", "The body is too large.", "too_large", "The body is too large."),
    "415": (
        "UnsupportedMediaType",
        "The body is not JSON.",
        "unsupported_media_type",
        "Unsupported media type “text/plain” in request.",
    ),
    "429": (
        "Throttled",
        "There were too many requests of this user or from this address.",
        "throttled",
        "Request was throttled. Expected available in 7 seconds.",
    ),
    "503": (
        "Unavailable",
        "The database or Redis does not answer right now; try again soon.",
        "unavailable",
        "A part of TradeGuard does not answer right now; try again soon.",
    ),
}
_HEADERS: dict[str, Schema] = {
    "401": {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "How to sign in."}},
    "429": {
        "Retry-After": {
            "schema": {"type": "integer", "minimum": 0},
            "description": "Seconds until a request is answered again.",
            "required": True,
        }
    },
}
_ID: Schema = {"type": "string", "format": "uuid"}
_TICKET: Schema = {"type": "integer", "format": "int64", "minimum": 1}
_TOKENS = "/auth/token"  # who asks there shows credentials, which may be wrong
_WALL_CLOCK = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?$"


_Framework: Any = openapi.AutoSchema  # its methods have no types
_TokenScheme: Any = SimpleJWTScheme


class AutoSchema(_Framework):  # type: ignore[misc]  # for the same reason
    """Describes an operation of ours: its ids are UUIDs, its errors have the one shape.

    Which errors is read off the view: what it parses, pages, authenticates and throttles by. A
    view that never refuses by a rule (409) or always may says so in `may_refuse`.
    """

    method: str
    view: Any

    def _get_response_bodies(self, direction: Any = "response") -> Schema:
        answers: Schema = super()._get_response_bodies(direction)
        for status_code in sorted(self._error_statuses() - set(answers)):
            name = _ANSWERS[status_code][0]
            answers[status_code] = {"$ref": f"#/components/responses/{name}"}
        return dict(sorted(answers.items()))

    def _resolve_path_parameters(self, variables: Any) -> list[Schema]:
        parameters: list[Schema] = super()._resolve_path_parameters(variables)
        for parameter in parameters:
            # What the broker numbers is a number, what we number is a UUID.
            is_ticket = parameter["name"] == "ticket"
            parameter["schema"] = dict(_TICKET if is_ticket else _ID)
            parameter.pop("description", None)
        return parameters

    def _get_request_body(self, direction: Any = "request") -> Schema | None:
        """Describe the body of a DELETE, too, where the view names one: some take many ids."""
        if self.method != "DELETE" or not isclass(self.get_request_serializer()):
            body: Schema | None = super()._get_request_body(direction)
            return body
        self.method = "POST"
        try:
            return self._get_request_body(direction)
        finally:
            self.method = "DELETE"

    def _map_serializer_field(
        self, field: Any, direction: Any, bypass_extensions: bool = False
    ) -> Schema:
        schema: Schema = super()._map_serializer_field(field, direction, bypass_extensions)
        if isinstance(field, serializers.TimeField):
            # JSON Schema's own format "time" wants an offset; these are times of a wall clock.
            schema.pop("format", None)
            schema["pattern"] = _WALL_CLOCK
            schema["examples"] = ["17:00:00"]
        elif isinstance(field, serializers.DecimalField):
            schema["pattern"] = _decimal_pattern(field)
            if direction == "request":
                schema["type"] = ["string", "number"]
        return schema

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Schema:
        schema: Schema = super()._map_basic_serializer(serializer, direction)
        if direction == "response" and schema.get("properties"):
            schema["required"] = sorted(schema["properties"])  # answers leave no field out
        if type(serializer).__doc__ is None:
            schema.pop("description", None)  # it is of a base class, about the code
        return schema

    def _error_statuses(self) -> set[str]:
        statuses = {"406", "429", "503"}
        is_paged = self._is_list_view() and self._get_paginator() is not None
        has_words = any(each["in"] in ("query", "header") for each in self._get_parameters())
        if has_words or self._takes_a_body():
            statuses.add("400")
        if self._takes_a_body():
            statuses |= {"413", "415"}
        if "{" in self.path or is_paged:
            statuses.add("404")
        if self.view.get_authenticators() or _TOKENS in self.path:
            statuses.add("401")
        if self._is_change() and self._takes_sessions():
            statuses.add("403")
        if self._is_change() and getattr(
            self.view, "may_refuse", isinstance(self.view, OwnedViewSet)
        ):
            statuses.add("409")
        return statuses

    def _takes_a_body(self) -> bool:
        return self._get_request_body() is not None

    def _is_change(self) -> bool:
        return self.method not in SAFE_METHODS

    def _takes_sessions(self) -> bool:
        return any(
            isinstance(each, SessionAuthentication) for each in self.view.get_authenticators()
        )


class ProgramScheme(_TokenScheme):  # type: ignore[misc]  # for the same reason
    """Describes the access tokens of programs; drf-spectacular finds it by its target."""

    target_class = "accounts.api.authentication.ProgramAuthentication"


def _decimal_pattern(field: serializers.DecimalField) -> str:
    """Return what matches the numbers of a field, with at least one digit before the point."""
    places = field.decimal_places or 0
    digits = (field.max_digits or places + 1) - places
    return rf"^-?\d{{1,{digits}}}(\.\d{{1,{places}}})?$" if places else rf"^-?\d{{1,{digits}}}$"


def describe_errors(result: Schema, **_parts: Any) -> Schema:
    """Add the shared answers that operations refer to; a hook of drf-spectacular."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Error"] = _ERROR
    components["responses"] = {
        name: {
            "description": when,
            **({"headers": _HEADERS[status_code]} if status_code in _HEADERS else {}),
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Error"},
                    "example": {"error": {"code": code, "message": message, "fields": {}}},
                }
            },
        }
        for status_code, (name, when, code, message) in _ANSWERS.items()
    }
    return result
