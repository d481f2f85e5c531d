"""What the administration of every app has in common.

Staff change rows through the same services as everybody else. A form rehearses its service while it
is validated, inside a savepoint that is rolled back, so that whatever the service refuses stands at
the field; then the admin saves, and the service runs in earnest.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, TypeVar, cast

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from accounts.admin.generic import ModelAdmin, ModelForm
from accounts.refusals import Refusal
from accounts.services.key_trail import refusals_kept

Row = TypeVar("Row", bound=models.Model)


class WithoutAdding:
    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        return False


class WithoutChanging:
    def has_change_permission(self, *_: Any, **__: Any) -> bool:
        return False


class WithoutDeleting:
    def has_delete_permission(self, *_: Any, **__: Any) -> bool:
        return False


class LedgerAdmin(WithoutAdding, WithoutChanging, WithoutDeleting, ModelAdmin[Row]):
    """Rows that are written by TradeGuard alone: seen, searched, never touched."""

    actions: Sequence[Any] | None = None
    show_full_result_count = False


class RehearsedForm(ModelForm[Row]):
    """A form that saves through a service (`perform`)."""

    def perform(self) -> Row:
        """Write what the form says and return the row; may raise ValidationError and Refusal."""
        raise TypeError(f"{type(self).__name__} names no service.")

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's own hook, missing in the stubs
        if not self.errors:
            self._rehearse()

    def _rehearse(self) -> None:
        try:
            with refusals_kept():
                rehearse(self.perform)
        except Refusal as refusal:
            self.add_error(None, refusal.sentence)
        except ValidationError as error:
            self._add_service_errors(error)

    def _add_service_errors(self, error: ValidationError) -> None:
        """Put each error at its field; "parameters.kind" stands at `parameters`."""
        if not hasattr(error, "error_dict"):
            self.add_error(None, error)
            return
        for name, errors in error.error_dict.items():
            field, _, part = name.partition(".")
            for text in ValidationError(errors).messages:
                known = field if field in self.fields else None
                self.add_error(known, f"{part}: {text}" if part else text)


def rehearse(action: Callable[[], object]) -> None:
    """Run an action and take back what it wrote; what it raises comes through."""
    with transaction.atomic():
        action()
        transaction.set_rollback(True)


class ServiceAdmin(ModelAdmin[Row]):
    """Adds and changes through the form's service, and deletes through `delete_with_service`."""

    # Whose row it is decides what it may refer to, so it never changes hands.
    readonly_on_change: ClassVar[Sequence[str]] = ("user",)

    def get_readonly_fields(self, request: HttpRequest, obj: Row | None = None) -> list[str]:
        fields = list(super().get_readonly_fields(request, obj))
        return fields if obj is None else [*fields, *self.readonly_on_change]

    def save_model(self, request: HttpRequest, obj: Row, form: Any, change: bool) -> None:
        if isinstance(form, RehearsedForm):
            obj.pk = form.perform().pk
            obj._state.adding = False
            obj.refresh_from_db()
        else:
            super().save_model(request, obj, form, change)

    def delete_with_service(self, obj: Row) -> None:
        obj.delete()

    def delete_model(self, _request: HttpRequest, obj: Row) -> None:
        self.delete_with_service(obj)

    def delete_queryset(self, _request: HttpRequest, queryset: QuerySet[Row]) -> None:
        for obj in queryset.order_by("pk"):
            self.delete_with_service(obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Ledger rows that go with their owner need no permission of their own."""
        deleted, counts, missing, protected = super().get_deleted_objects(objs, request)
        ledgers = {
            str(model._meta.verbose_name)
            for model, model_admin in self.admin_site._registry.items()
            if isinstance(model_admin, LedgerAdmin)
        }
        return deleted, counts, set(missing) - ledgers, protected

    @method_decorator(sensitive_post_parameters("password", "secrets"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._refusing(super().changeform_view, request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._refusing(super().delete_view, request, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._refusing(super().changelist_view, request, *args, **kwargs)

    def _refusing(
        self, view: Callable[..., Any], request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Answer a refusal with its sentence; nothing of the request is written then."""
        try:
            # Together with what the view logs of it; a GET writes nothing.
            is_change = request.method == "POST"
            with refusals_kept(), transaction.atomic() if is_change else nullcontext():
                return cast("HttpResponse", view(request, *args, **kwargs))
        except Refusal as refusal:
            self.message_user(request, refusal.sentence, messages.ERROR)
        meta = self.model._meta
        return HttpResponseRedirect(
            reverse(f"{self.admin_site.name}:{meta.app_label}_{meta.model_name}_changelist")
        )


class SecretField(forms.CharField):
    """A password that goes in and is never shown again, not even after an error."""

    def __init__(self, **options: Any) -> None:
        widget = forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"})
        # Blanks at the ends belong to the secret.
        super().__init__(widget=widget, strip=False, **options)
