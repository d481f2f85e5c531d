"""Tags of the list of accounts: every link keeps what was searched and filtered."""

from typing import Any

from django import template
from django.http import QueryDict
from django.urls import reverse

from accounts.screen.account_list import AccountList

register = template.Library()


@register.inclusion_tag("accounts/sort_header.html")
def sort_header(listed: AccountList, name: str, label: str, classes: str = "") -> dict[str, Any]:
    """Draw a column's head, whose link sorts by it, or turns the order around."""
    directions = {name: "ascending", f"-{name}": "descending"}
    direction = directions.get(listed.sort, "")
    # Of money the highest is asked for first.
    first, second = (f"-{name}", name) if name == "equity" else (name, f"-{name}")
    return {
        "name": name,
        "label": label,
        "classes": classes,
        "direction": direction,
        "address": _address(listed, sort=second if listed.sort == first else first, page="1"),
    }


@register.inclusion_tag("accounts/page_links.html")
def page_links(listed: AccountList) -> dict[str, Any]:
    page = listed.page
    before = str(page.previous_page_number()) if page.has_previous() else ""
    after = str(page.next_page_number()) if page.has_next() else ""
    return {
        "page": page,
        "before": before and _address(listed, page=before),
        "after": after and _address(listed, page=after),
    }


def _address(listed: AccountList, **changes: str) -> str:
    asked = QueryDict(listed.query, mutable=True)
    for name, value in changes.items():
        asked[name] = value
    for name in [name for name, value in asked.items() if not value]:
        del asked[name]
    return f"{reverse('account-list')}?{asked.urlencode()}"
