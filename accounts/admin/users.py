from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.http import HttpRequest

from accounts.admin.bases import ServiceAdmin
from accounts.models import ConnectedAccount, Tag, User
from accounts.services.accounts import delete_account


class UniqueEmailMixin(forms.ModelForm):  # type: ignore[type-arg]
    """Addresses that differ in case alone belong to one person."""

    def clean_email(self) -> str:
        email = User.objects.normalize_email(self.cleaned_data["email"])
        if User.objects.filter(email__iexact=email).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("This address is in use already.", code="unique")
        return email


class UserAdditionForm(UniqueEmailMixin, AdminUserCreationForm):  # type: ignore[type-arg]
    pass


class UserForm(UniqueEmailMixin, UserChangeForm):  # type: ignore[type-arg]
    pass


@admin.register(User)
class UserAdmin(ServiceAdmin[User], DjangoUserAdmin):  # type: ignore[type-arg]
    form = UserForm
    add_form = UserAdditionForm
    readonly_on_change = ("last_login", "date_joined")
    list_display = ["username", "email", "is_active", "is_staff", "time_zone", "last_login"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    search_fields = ["username", "email", "first_name", "last_name"]
    date_hierarchy = "date_joined"
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email", "time_zone"]}),
        (
            "Rights",
            {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]},
        ),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [
        (
            None,
            {
                "classes": ["wide"],
                "fields": [
                    "username",
                    "email",
                    "time_zone",
                    "usable_password",
                    "password1",
                    "password2",
                ],
            },
        )
    ]

    def delete_with_service(self, obj: User) -> None:
        """End the sessions and destroy the secrets of a user's accounts before the user goes."""
        for account in ConnectedAccount.objects.owned_by(obj).order_by("pk"):
            delete_account(account=account)
        obj.delete()

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        deleted, counts, missing, _ = super().get_deleted_objects(objs, request)
        # A user's accounts protect the user's keys, but they are deleted first, by their service.
        return deleted, counts, missing, []


@admin.register(Tag)
class TagAdmin(ServiceAdmin[Tag]):
    list_display = ["name", "user"]
    list_select_related = ["user"]
    search_fields = ["name", "user__username"]
    autocomplete_fields = ["user"]
