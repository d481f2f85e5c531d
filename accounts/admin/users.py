from copy import copy
from typing import Any, ClassVar, cast

from allauth.account.internal.flows.manage_email import emit_email_changed
from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    AdminUserCreationForm,
    UserChangeForm,
)
from django.db.models import CASCADE, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin.bases import LedgerAdmin, ServiceAdmin
from accounts.models import ConnectedAccount, Tag, User
from accounts.origin import SYSTEM, Origin
from accounts.services.accounts import delete_account
from accounts.services.profile import set_email, tell_moved
from accounts.services.program_sessions import PASSWORD_CHANGED, SWITCHED_OFF
from accounts.services.security_events import SecurityEvent, SecurityKind, announce
from accounts.services.two_factor import reset_two_factor
from accounts.services.users import end_all

# Keys of sessions and sealed secrets are nothing to look at; what staff may do is here below.
for model in (Authenticator, EmailAddress, EmailConfirmation, UserSession):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


class UniqueEmailMixin(forms.ModelForm):  # type: ignore[type-arg]
    """Addresses that differ in case alone belong to one person."""

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email__iexact=email).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("This address is in use already.", code="unique")
        return email


class UserAdditionForm(UniqueEmailMixin, AdminUserCreationForm):  # type: ignore[type-arg]
    pass


class UserForm(UniqueEmailMixin, UserChangeForm):  # type: ignore[type-arg]
    pass


class PasswordOfSomebodyForm(AdminPasswordChangeForm):  # type: ignore[type-arg]
    """Another password by staff ends all that is signed in as this user."""

    origin: ClassVar[Origin] = SYSTEM

    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit=commit)
        now = timezone.now()
        end_all(user=user, reason=PASSWORD_CHANGED, now=now)
        announce(SecurityEvent(SecurityKind.PASSWORD_CHANGED, user.pk, now, self.origin))
        return user


@admin.register(User)
class UserAdmin(ServiceAdmin[User], DjangoUserAdmin):  # type: ignore[type-arg]
    form = UserForm
    add_form = UserAdditionForm
    change_password_form = PasswordOfSomebodyForm
    actions = ("take_second_factor_away",)
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
            {"fields": ["is_active", *RIGHTS]},
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

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if "email" in form.changed_data:
            address = set_email(user=obj, email=obj.email)
            if change:
                before = EmailAddress(user=obj, email=form.initial["email"])
                emit_email_changed(request, before, address)
        if change and "time_zone" in form.changed_data:
            tell_moved(user=obj, now=timezone.now())
        if change and not obj.is_active:
            end_all(user=obj, reason=SWITCHED_OFF, now=timezone.now())

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002  # Django's own name
        form_url: str = "",
    ) -> Any:
        # A copy for each request: this object serves all of them, and its form sees none.
        asked = copy(self)
        form: Any = self.change_password_form
        attributes = {"origin": Origin.of_request(request)}
        asked.change_password_form = cast("Any", type(form.__name__, (form,), attributes))
        return super(UserAdmin, asked).user_change_password(request, id, form_url)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return not _is_above(obj, request) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return not _is_above(obj, request) and super().has_delete_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Let superusers alone give rights: anybody else could give them to themselves."""
        fields = super().get_readonly_fields(request, obj)
        is_free = isinstance(request.user, User) and request.user.is_superuser
        return fields if is_free else [*fields, *RIGHTS]

    @admin.action(description="Take the second factor away (a lost phone)", permissions=["change"])
    def take_second_factor_away(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Let users in with their password alone, and end all that is signed in as them."""
        for user in queryset.order_by("pk"):
            if _is_above(user, request):
                self.message_user(request, f"{user} is beyond your rights.", messages.ERROR)
            elif reset_two_factor(user=user, origin=Origin.of_request(request), now=timezone.now()):
                self.message_user(request, f"{user} has no second factor any more.")
            else:
                self.message_user(request, f"{user} had no second factor.", messages.WARNING)

    def delete_with_service(self, obj: User) -> None:
        """End the sessions and destroy the secrets of a user's accounts before the user goes."""
        for account in ConnectedAccount.objects.owned_by(obj).order_by("pk"):
            delete_account(account=account)
        obj.delete()

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Count what goes with users: the history of their accounts may be a million rows.

        Accounts protect their keys, but they are deleted first, by their service.
        """
        users = list(objs)
        counts = {str(self.opts.verbose_name_plural): len(users), **_owned_counts(users)}
        missing = {
            str(model._meta.verbose_name)
            for model, model_admin in self.admin_site._registry.items()
            if str(model._meta.verbose_name_plural) in counts
            and not isinstance(model_admin, LedgerAdmin)
            and not model_admin.has_delete_permission(request)
        }
        return [str(user) for user in users], counts, missing, []


def _owned_counts(users: list[User]) -> dict[str, int]:
    """Count the rows that belong to these users and go with them, by what they are called."""
    counts = {}
    for relation in User._meta.related_objects:
        model: Any = relation.related_model
        if getattr(relation, "on_delete", None) is not CASCADE or model._meta.auto_created:
            continue
        owned = model._base_manager.filter(**{f"{relation.field.name}__in": users}).count()
        if owned:
            counts[str(model._meta.verbose_name_plural)] = owned
    return counts


def _is_above(user: User | None, request: HttpRequest) -> bool:
    """Tell whether somebody may do what who asks may not, and would lend them that when taken over.

    A new password, another e-mail address and a second factor taken away all open an account.
    """
    if user is None or not isinstance(request.user, User):
        return False
    return not request.user.has_perms(user.get_all_permissions())


@admin.register(Tag)
class TagAdmin(ServiceAdmin[Tag]):
    list_display = ["name", "user"]
    list_select_related = ["user"]
    search_fields = ["name", "user__username"]
    autocomplete_fields = ["user"]
