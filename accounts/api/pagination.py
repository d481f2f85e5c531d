from rest_framework import pagination


class PageNumberPagination(pagination.PageNumberPagination):
    """`?page=&page_size=`: {"count", "next", "previous", "results"}, at most 200 on a page."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
