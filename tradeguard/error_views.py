"""Answers to what no view answered: JSON below /api/, a page everywhere else."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import page_not_found, server_error

API_PREFIX = "/api/"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(API_PREFIX):
        return _error(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")
    return page_not_found(request, exception)


def failed(request: HttpRequest) -> HttpResponse:
    if request.path.startswith(API_PREFIX):
        message = "Something went wrong here; it has been logged."
        return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", message)
    return server_error(request)


def _error(status: HTTPStatus, code: str, message: str) -> JsonResponse:
    error = {"code": code, "message": message, "fields": {}}
    return JsonResponse({"error": error}, status=status)
