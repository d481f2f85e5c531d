import uuid
from typing import Self

from django.conf import settings
from django.db import models

from accounts.models import ConnectedAccount
from accounts.models.text import validate_one_line


class AccountGroupQuerySet(models.QuerySet["AccountGroup"]):
    def owned_by(self, user: object) -> Self:
        return self.filter(user=user)


class AccountGroup(models.Model):
    """Accounts that are watched together; an account may be in several groups."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="account_groups"
    )
    name = models.CharField(max_length=64, validators=[validate_one_line])
    description = models.CharField(max_length=255, blank=True)
    accounts = models.ManyToManyField(
        ConnectedAccount, through="Membership", related_name="groups", blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = AccountGroupQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        verbose_name = "group"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "name"],
                name="groups_accountgroup_unique_name",
                violation_error_message="You already have a group of this name.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    group = models.ForeignKey(AccountGroup, on_delete=models.CASCADE, related_name="memberships")
    account = models.ForeignKey(
        ConnectedAccount, on_delete=models.CASCADE, related_name="memberships"
    )
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["group", "account"]
        constraints = [
            models.UniqueConstraint(fields=["group", "account"], name="groups_membership_unique")
        ]

    def __str__(self) -> str:
        return f"{self.account} in {self.group}"
