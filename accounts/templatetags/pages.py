"""Tags that every page uses: icons, form fields, numbers."""

from typing import Any

from django import template
from django.forms import BoundField
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import figures

register = template.Library()

register.filter("amount", figures.amount)


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """Draw an icon of the sprite; without a label it is hidden from screen readers."""
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="#i-{}"/></svg>', label, name
        )
    return format_html('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>', name)


@register.inclusion_tag("forms/field.html")
def form_field(
    field: BoundField, suffix: str = "", *, is_optional: bool | None = None
) -> dict[str, Any]:
    """Show a field with its label, help and errors; `suffix` is a unit beside the input.

    `is_optional` says so where the form cannot know: of two fields, one is needed.
    """
    widget = field.field.widget
    input_type = getattr(widget, "input_type", "")
    return {
        "field": field,
        "suffix": suffix,
        "is_optional": not field.field.required if is_optional is None else is_optional,
        "is_emptied": input_type == "password" and _is_emptied(field),
        "is_check": input_type == "checkbox" and not getattr(widget, "allow_multiple_selected", 0),
        "is_choice_list": getattr(widget, "template_name", "").endswith("checkbox_select.html"),
    }


def _is_emptied(field: BoundField) -> bool:
    """Tell whether a password was good, yet is asked for again because of another field."""
    form = field.form
    is_other_wrong = any(name in form.fields for name in form.errors)
    return is_other_wrong and not field.errors and bool(field.value())


@register.simple_tag(takes_context=True)
def current(context: template.Context, prefix: str) -> SafeString | str:
    """Mark the link of the section that the page belongs to."""
    request = context.get("request")
    if request is not None and request.path.startswith(prefix):
        return SafeString('aria-current="page"')
    return ""
