import uuid
from typing import Self

from django.conf import settings
from django.db import models

from accounts.models.text import validate_one_line


class RulePresetQuerySet(models.QuerySet["RulePreset"]):
    def owned_by(self, user: object) -> Self:
        return self.filter(user=user)


class RulePreset(models.Model):
    """A set of rules that a user saved under a name; the firms' own programs are files.

    `rules` is a list of rules as risk.presets reads them.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="rule_presets"
    )
    name = models.CharField(max_length=64, validators=[validate_one_line])
    description = models.CharField(max_length=255, blank=True)
    rules = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RulePresetQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        verbose_name = "preset"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "name"],
                name="risk_rulepreset_unique_name",
                violation_error_message="You already have a preset of this name.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class GroupTemplateQuerySet(models.QuerySet["GroupTemplate"]):
    def owned_by(self, user: object) -> Self:
        return self.filter(user=user)


class GroupTemplate(models.Model):
    """What new groups begin with: a set of rules, and tags for their accounts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="group_templates"
    )
    name = models.CharField(max_length=64, validators=[validate_one_line])
    description = models.CharField(max_length=255, blank=True)
    tags = models.JSONField(default=list, blank=True)
    rules = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = GroupTemplateQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "name"],
                name="risk_grouptemplate_unique_name",
                violation_error_message="You already have a group template of this name.",
            )
        ]

    def __str__(self) -> str:
        return self.name
