"""Tags that draw the cells which the socket keeps up to date; see accounts.screen."""

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.screen.parts import Cell, Part

register = template.Library()


@register.simple_tag
def cell(item: Cell, classes: str = "") -> SafeString:
    """Draw a cell as plain text."""
    if item.status is None:
        return format_html('<span id="{}" class="{}">{}</span>', item.id, classes, item.text)
    return format_html(
        '<span id="{}" class="{}" data-status="{}">{}</span>',
        item.id,
        classes,
        item.status,
        item.text,
    )


@register.simple_tag
def frame(item: Cell) -> SafeString:
    """Give an element the cell's id and status, so that its border or colour follows it."""
    return format_html('id="{}" data-status="{}"', item.id, item.status)


@register.simple_tag
def part_attributes(part: Part, oob: object = None) -> SafeString:
    """Give the root element of a part its id, its key and, over the socket, the swap."""
    swap = SafeString(' hx-swap-oob="true"') if oob else ""
    return format_html('id="{}" data-part="{}"{}', part.id, part.key, swap)


@register.inclusion_tag("risk/status.html")
def status(item: Cell) -> dict[str, Any]:
    return {"cell": item}


@register.inclusion_tag("risk/connection.html")
def connection(item: Cell) -> dict[str, Any]:
    return {"cell": item}


@register.inclusion_tag("risk/bar.html")
def bar(item: Cell, label: str) -> dict[str, Any]:
    return {"cell": item, "label": label}
