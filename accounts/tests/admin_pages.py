"""Filling in the pages of the administration as a browser does."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Model
from django.forms import BaseForm
from django.test import Client
from django.urls import reverse


def admin_url(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def submit(client: Client, url: str, changes: Mapping[str, Any]) -> Any:
    """Open a page, change some of its fields and post all of them."""
    page = client.get(url)
    data = _filled_in(page.context["adminform"].form)
    for inline in page.context["inline_admin_formsets"]:
        data.update(_filled_in(inline.formset.management_form))
        for form in inline.formset.forms:
            data.update(_filled_in(form))
    return client.post(url, {**data, **changes})


def _filled_in(form: BaseForm) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for bound in form:
        value = bound.value()
        if value is None or value is False:
            continue
        data[bound.html_name] = "on" if value is True else value
    return data


def errors_of(answer: Any) -> dict[str, list[str]]:
    """What the page says at its fields, with "" for what it says above them."""
    form = answer.context["adminform"].form
    return {"" if name == "__all__" else name: list(texts) for name, texts in form.errors.items()}


def messages_of(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]
