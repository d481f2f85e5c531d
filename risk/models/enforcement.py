import uuid
from typing import Self

from django.db import models
from django.db.models import Q


class EnforcementQuerySet(models.QuerySet["Enforcement"]):
    def owned_by(self, user: object) -> Self:
        return self.filter(user_id=getattr(user, "pk", user))

    def running(self) -> Self:
        return self.filter(finished_at=None)


class Enforcement(models.Model):
    """One time that TradeGuard stepped in on an account, from the cause until it is confirmed.

    Holds plain ids and outlives its rule and account. A run that its worker left in the middle is
    taken up by the next one.
    """

    class Cause(models.TextChoices):
        RULE = "rule", "A rule was violated"
        CUTOFF = "cutoff", "The margin ran out"
        PANIC = "panic", "Somebody pressed close all"
        LOCK = "lock", "A position was opened while locked"
        CASCADE = "cascade", "The account that it copies was liquidated"

    class Action(models.TextChoices):
        REDUCE_SIZE = "REDUCE_SIZE", "Reduce the size"
        CLOSE_POSITION = "CLOSE_POSITION", "Close the offending positions"
        CLOSE_ALL = "CLOSE_ALL", "Close everything"

    class Stage(models.TextChoices):
        STARTED = "started", "Starting"
        CANCELLING = "cancelling", "Deleting pending orders"
        CLOSING = "closing", "Closing positions"
        WAITING = "waiting", "Waiting"
        CONFIRMING = "confirming", "Confirming"
        DONE = "done", "Done"
        GIVEN_UP = "given_up", "Given up"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user_id = models.BigIntegerField()
    account_id = models.UUIDField()
    account_name = models.CharField(max_length=64)
    host = models.CharField(max_length=64)
    cause = models.CharField(max_length=8, choices=Cause)
    action = models.CharField(max_length=16, choices=Action)
    rule_id = models.UUIDField(null=True, blank=True)
    rule_name = models.CharField(max_length=64, blank=True)
    breach_id = models.UUIDField(null=True, blank=True)
    requested_by_id = models.BigIntegerField(null=True, blank=True)
    options = models.JSONField(
        default=dict,
        help_text="Closing order, losers only, part, symbols, tickets, lock, cascade.",
    )
    reason = models.CharField(max_length=255)
    stage = models.CharField(max_length=12, choices=Stage, default=Stage.STARTED)
    message = models.CharField(max_length=255, blank=True)
    triggered_at = models.DateTimeField(help_text="When the reading that began it was taken.")
    created_at = models.DateTimeField()
    last_sent_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(
        null=True, blank=True, help_text="When the account was seen as it should be."
    )
    finished_at = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    positions_closed = models.PositiveIntegerField(default=0)
    orders_cancelled = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)

    objects = EnforcementQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["account_id", "-created_at"], name="risk_enforcement_of_account"),
            models.Index(fields=["user_id", "-created_at"], name="risk_enforcement_of_user"),
            models.Index(
                fields=["host"], condition=Q(finished_at=None), name="risk_enforcement_running"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "breach_id"],
                condition=Q(finished_at=None) & ~Q(breach_id=None),
                name="risk_enforcement_one_per_breach",
            ),
            models.UniqueConstraint(
                fields=["account_id", "cause"],
                # An account may copy several that are liquidated together.
                condition=Q(finished_at=None, breach_id=None) & ~Q(cause="cascade"),
                name="risk_enforcement_one_per_cause",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} on {self.account_name}"


class AccountLockQuerySet(models.QuerySet["AccountLock"]):
    def standing(self) -> Self:
        return self.filter(unlocked_at=None)


class AccountLock(models.Model):
    """An account on which nothing may be opened until a person unlocks it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user_id = models.BigIntegerField()
    account_id = models.UUIDField()
    account_name = models.CharField(max_length=64)
    cause = models.CharField(max_length=8, choices=Enforcement.Cause)
    rule_id = models.UUIDField(null=True, blank=True)
    breach_id = models.UUIDField(null=True, blank=True)
    enforcement_id = models.UUIDField(null=True, blank=True)
    reason = models.CharField(max_length=255)
    locked_at = models.DateTimeField()
    locked_by_id = models.BigIntegerField(null=True, blank=True)
    unlocked_at = models.DateTimeField(null=True, blank=True)
    unlocked_by_id = models.BigIntegerField(null=True, blank=True)
    unlocked_reason = models.CharField(max_length=255, blank=True)

    objects = AccountLockQuerySet.as_manager()

    class Meta:
        ordering = ["-locked_at", "-id"]
        indexes = [
            models.Index(fields=["account_id", "-locked_at"], name="risk_lock_of_account"),
            models.Index(
                fields=["account_id"], condition=Q(unlocked_at=None), name="risk_lock_standing"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "breach_id"],
                condition=Q(unlocked_at=None) & ~Q(breach_id=None),
                name="risk_accountlock_one_per_breach",
            ),
            models.UniqueConstraint(
                fields=["account_id", "cause"],
                condition=Q(unlocked_at=None, breach_id=None),
                name="risk_accountlock_one_per_cause",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_name}: {self.reason}"
