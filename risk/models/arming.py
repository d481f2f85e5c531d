from django.conf import settings
from django.db import models

from accounts.models import ConnectedAccount
from risk.models.rule import RiskRule


class RuleArming(models.Model):
    """A person's word that a rule may reduce and close on an account; without it, it only warns.

    A violation that stood when the rule was armed never starts an action, so none does before the
    host has once seen the rule kept, at `calm_at`.
    """

    rule = models.ForeignKey(RiskRule, on_delete=models.CASCADE, related_name="armings")
    account = models.ForeignKey(ConnectedAccount, on_delete=models.CASCADE, related_name="armings")
    armed_at = models.DateTimeField()
    calm_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When the rule, armed, was first seen kept: from then on it acts.",
    )
    armed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["rule", "account"]
        constraints = [
            models.UniqueConstraint(fields=["rule", "account"], name="risk_rulearming_unique")
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} on {self.account_id}"


class RuleOverride(models.Model):
    """How a shared rule differs on one account; what is null stays as the rule has it."""

    rule = models.ForeignKey(RiskRule, on_delete=models.CASCADE, related_name="overrides")
    account = models.ForeignKey(
        ConnectedAccount, on_delete=models.CASCADE, related_name="rule_overrides"
    )
    is_excluded = models.BooleanField(
        "left out", default=False, help_text="The rule does not apply to this account."
    )
    limit = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    parameters = models.JSONField(
        null=True, blank=True, help_text="The parameters that differ, by name."
    )
    caution = models.DecimalField(max_digits=4, decimal_places=3, null=True, blank=True)
    critical = models.DecimalField(max_digits=4, decimal_places=3, null=True, blank=True)
    action = models.CharField(max_length=16, choices=RiskRule.Action, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["rule", "account"]
        verbose_name = "override"
        constraints = [
            models.UniqueConstraint(fields=["rule", "account"], name="risk_ruleoverride_unique"),
            models.CheckConstraint(
                condition=models.Q(limit=None) | models.Q(limit__gt=0),
                name="risk_ruleoverride_positive_limit",
                violation_error_message="The limit must be more than 0.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} on {self.account_id}"
