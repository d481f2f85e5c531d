from typing import Any

from rest_framework import pagination, serializers
from rest_framework.request import Request
from rest_framework.views import APIView

MOST_DIGITS = 9


class PageNumberPagination(pagination.PageNumberPagination):
    """`?page=&page_size=`: {"count", "next", "previous", "results"}, at most 200 on a page."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_page_size(self, request: Request) -> int | None:
        asked = request.query_params.get(self.page_size_query_param, "")
        if asked and not (asked.isascii() and asked.isdecimal() and int(asked[:MOST_DIGITS]) > 0):
            raise serializers.ValidationError({"page_size": ["Give a whole number from 1 on."]})
        return min(int(asked[:MOST_DIGITS] or self.page_size), self.max_page_size)

    def get_schema_operation_parameters(self, _view: APIView) -> list[dict[str, Any]]:
        return [
            {
                "name": self.page_query_param,
                "in": "query",
                "description": "Pages are counted from 1; one that is not there answers 404.",
                "schema": {"type": "integer", "minimum": 1, "default": 1},
            },
            {
                "name": self.page_size_query_param,
                "in": "query",
                "description": f"Rows on a page; more than {self.max_page_size} are never shown.",
                "schema": {"type": "integer", "minimum": 1, "default": self.page_size},
            },
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        address = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["count", "next", "previous", "results"],
            "properties": {
                "count": {"type": "integer", "minimum": 0},
                "next": address,
                "previous": address,
                "results": schema,
            },
        }
