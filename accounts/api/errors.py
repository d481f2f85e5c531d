"""The one shape of every error: {"error": {"code", "message", "fields"}}."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
)
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404
from kombu.exceptions import OperationalError as BrokerUnreachable
from redis import RedisError
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from accounts.api.throttles import AddressThrottle
from accounts.refusals import Refusal

Fields = dict[str, list[str]]
logger = logging.getLogger(__name__)
_WHOLE = {NON_FIELD_ERRORS, "non_field_errors"}
_CODES = {
    status.HTTP_400_BAD_REQUEST: "invalid",
    status.HTTP_401_UNAUTHORIZED: "not_authenticated",
    status.HTTP_403_FORBIDDEN: "permission_denied",
    status.HTTP_404_NOT_FOUND: "not_found",
    status.HTTP_405_METHOD_NOT_ALLOWED: "method_not_allowed",
    status.HTTP_406_NOT_ACCEPTABLE: "not_acceptable",
    status.HTTP_415_UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
    status.HTTP_429_TOO_MANY_REQUESTS: "throttled",
}


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer an error in the API's shape; None (a 500) for what nobody foresaw."""
    answer = _answer(_counted(error, context))
    if answer is not None:
        set_rollback()
    return answer


def _counted(error: Exception, context: Mapping[str, Any]) -> Exception:
    """Limit, by address, those who may not come in: views count only those who may.

    The ways in, which authenticate nobody before, count attempts themselves.
    """
    if not isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return error
    if not context["view"].get_authenticators():
        return error
    throttle = AddressThrottle()
    try:
        if throttle.allow_request(context["request"], context["view"]):
            return error
    except RedisError as away:
        return away
    return exceptions.Throttled(throttle.wait())


def _answer(error: Exception) -> Response | None:
    match error:
        case Refusal():
            return _refused(error)
        case ModelValidationError():
            return _invalid(_model_fields(error))
        case exceptions.ValidationError():
            fields: Fields = {}
            _collect(error.detail, "", fields)
            return _invalid(fields)
        case RequestDataTooBig():
            message = "The body is too large."
            return _response(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, "too_large", message)
        case RecursionError():  # of the JSON parser
            message = "The body is nested too deeply."
            return _response(status.HTTP_400_BAD_REQUEST, "parse_error", message)
        case RedisError() | BrokerUnreachable() | OperationalError() | InterfaceError():
            return _unavailable(error)
        case Http404() | ObjectDoesNotExist():  # or deleted between look-up and change
            return _from_framework(exceptions.NotFound())
        case PermissionDenied():
            return _from_framework(exceptions.PermissionDenied())
        case exceptions.APIException():
            return _from_framework(error)
    return None


def _from_framework(error: exceptions.APIException) -> Response:
    code = getattr(error, "api_code", None) or _CODES.get(error.status_code, "error")
    if isinstance(error, exceptions.ParseError):
        code = "parse_error"
    detail: Any = error.detail
    if isinstance(detail, dict):  # tokens: {"detail": …, "code": …, "messages": …}
        detail = detail.get("detail", error.default_detail)
    response = _response(error.status_code, code, str(detail))
    if challenge := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(math.ceil(wait))
    return response


def _refused(error: Refusal) -> Response:
    if error.wait_seconds is None:
        return _response(status.HTTP_409_CONFLICT, error.code, error.sentence)
    response = _response(status.HTTP_429_TOO_MANY_REQUESTS, error.code, error.sentence)
    response["Retry-After"] = str(max(1, math.ceil(error.wait_seconds)))
    return response


def _unavailable(error: Exception) -> Response:
    if isinstance(error, DatabaseError | InterfaceError):
        # It is away or locked; or this is a query that never worked, hence where it was.
        logger.error("The database does not answer.", exc_info=error)
    message = "A part of TradeGuard does not answer right now; try again soon."
    return _response(status.HTTP_503_SERVICE_UNAVAILABLE, "unavailable", message)


def _invalid(fields: Fields) -> Response:
    whole = fields.pop("", [])
    message = " ".join(whole) or "Some fields are not right."
    return _response(status.HTTP_400_BAD_REQUEST, "invalid", message, fields)


def _response(status_code: int, code: str, message: str, fields: Fields | None = None) -> Response:
    told = {
        _writable(name): [_writable(text) for text in texts]
        for name, texts in (fields or {}).items()
    }
    body = {"error": {"code": code, "message": _writable(message), "fields": told}}
    return Response(body, status=status_code)


def _writable(text: str) -> str:
    """Replace the halves of characters that a client sent and a message repeats."""
    return text.encode(errors="replace").decode()


def _model_fields(error: ModelValidationError) -> Fields:
    if not hasattr(error, "error_dict"):
        return {"": error.messages}
    return {
        "" if name in _WHOLE else name: messages for name, messages in error.message_dict.items()
    }


def _collect(detail: Any, name: str, fields: Fields) -> None:
    """Flatten nested details; an item of a list is reported at the list's name."""
    if isinstance(detail, dict):
        for key, inner in detail.items():
            is_inner_name = isinstance(key, str) and key not in _whole_names()
            prefix = f"{name}." if name and is_inner_name else name
            _collect(inner, f"{prefix}{key}" if is_inner_name else name, fields)
    elif isinstance(detail, list):
        for inner in detail:
            _collect(inner, name, fields)
    elif str(detail) not in fields.setdefault(name, []):
        fields[name].append(str(detail))


def _whole_names() -> set[str]:
    return _WHOLE | {str(api_settings.NON_FIELD_ERRORS_KEY)}
