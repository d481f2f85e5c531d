import uuid
from typing import Self

from django.db import models
from django.db.models import Q


class RuleBreachQuerySet(models.QuerySet["RuleBreach"]):
    def owned_by(self, user: object) -> Self:
        return self.filter(user_id=getattr(user, "pk", user))

    def latched(self) -> Self:
        return self.filter(cleared_at=None)


class RuleBreach(models.Model):
    """A violation: the ledger row and, until `cleared_at`, the latch of (rule, account).

    Holds plain ids and outlives its rule and account. Acknowledging re-arms the rule's action and
    moves no floor; clearing ends the violation.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user_id = models.BigIntegerField()
    rule_id = models.UUIDField(db_index=True)
    account_id = models.UUIDField(db_index=True)
    rule_name = models.CharField(max_length=64)
    rule_type = models.CharField(max_length=32)
    account_name = models.CharField(max_length=64)
    observed = models.FloatField(null=True, help_text="What was measured, in `unit`.")
    limit = models.FloatField()
    floor = models.FloatField(null=True)
    unit = models.CharField(max_length=16)
    message = models.CharField(max_length=255)
    is_early = models.BooleanField(
        default=False, help_text="Acted within the safety margin, before the limit was reached."
    )
    violated_at = models.DateTimeField(
        null=True, blank=True, help_text="When the limit itself was reached; null while it is not."
    )
    evidence = models.JSONField(
        default=dict, help_text="Account and positions as they were read when it began."
    )
    latched_at = models.DateTimeField(db_index=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by_id = models.BigIntegerField(null=True, blank=True)
    acknowledged_reason = models.CharField(max_length=255, blank=True)
    cleared_at = models.DateTimeField(null=True, blank=True)
    cleared_by_id = models.BigIntegerField(null=True, blank=True)
    cleared_reason = models.CharField(max_length=255, blank=True)

    objects = RuleBreachQuerySet.as_manager()

    class Meta:
        ordering = ["-latched_at", "-id"]
        verbose_name = "breach"
        verbose_name_plural = "breaches"
        indexes = [models.Index(fields=["user_id", "-latched_at"], name="risk_rulebreach_of_user")]
        constraints = [
            models.UniqueConstraint(
                fields=["rule_id", "account_id"],
                condition=Q(cleared_at=None),
                name="risk_rulebreach_one_latch",
            )
        ]

    def __str__(self) -> str:
        return self.message

    @property
    def state_text(self) -> str:
        """How its rule stands; one that acted within its safety margin need not be violated."""
        is_within = self.is_early and self.violated_at is None
        return "close to its limit" if is_within else "violated"
