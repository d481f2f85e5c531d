import uuid
from decimal import Decimal
from typing import Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from accounts.models import ConnectedAccount, User
from accounts.models.text import validate_one_line
from copytrade.core.kinds import BelowMinimum, Directions, Sizing


class CopyRelationshipQuerySet(models.QuerySet["CopyRelationship"]):
    def seen_by(self, user: User) -> Self:
        """Those of which the user owns one side."""
        return self.filter(Q(provider__user=user) | Q(follower__user=user))

    def living(self) -> Self:
        return self.exclude(state__in=CopyRelationship.ENDED)

    def copying(self) -> Self:
        """Those that a provider's events are planned for, be it only its closes."""
        return self.filter(state__in=CopyRelationship.COPYING)


class CopyRelationship(models.Model):
    """What one account (the follower) copies from another (the provider), and how.

    Volumes are in lots, fractions such as 0.02 mean 2 %, hours are in `trading_zone`. Where the
    accounts have different owners it is offered first, and begins once it is accepted. From then on
    each side may hold it back, and `state` is the stricter of both holds. With an `ending` it only
    closes until nothing is held any more; while `closing_since_at` is set, all that is copied is
    being closed.
    """

    class State(models.TextChoices):
        OFFERED = "offered", "Offered"
        DECLINED = "declined", "Declined"
        ACTIVE = "active", "Active"
        PAUSED = "paused", "Paused"
        CLOSE_ONLY = "close_only", "Close only"
        TERMINATED = "terminated", "Terminated"

    class Hold(models.TextChoices):
        PAUSED = "paused", "Paused"
        CLOSE_ONLY = "close_only", "Close only"

    class Cause(models.TextChoices):
        """Who or what brought the present state about."""

        PERSON = "person", "A person"
        EQUITY_STOP = "equity_stop", "The equity stop"
        FLAT = "flat", "Everything was closed"
        ACCOUNT_DELETED = "account_deleted", "An account was deleted"
        SYSTEM = "system", "TradeGuard"

    class StartPolicy(models.TextChoices):
        NEW_ONLY = "new_only", "New trades only"
        ADOPT = "adopt", "Also what is open now"

    class Ending(models.TextChoices):
        KEEP = "keep", "Keep the copied positions"
        AS_PROVIDER = "as_provider", "Close them as the provider closes"
        CLOSE_NOW = "close_now", "Close them now"

    class CascadeScope(models.TextChoices):
        COPIED = "copied", "Copied positions"
        EVERYTHING = "everything", "Everything"

    ENDED = (State.DECLINED, State.TERMINATED)
    COPYING = (State.ACTIVE, State.PAUSED, State.CLOSE_ONLY)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.ForeignKey(
        ConnectedAccount, on_delete=models.CASCADE, related_name="copied_by"
    )
    follower = models.ForeignKey(ConnectedAccount, on_delete=models.CASCADE, related_name="copies")
    alias = models.CharField(
        max_length=32,
        validators=[validate_one_line],
        help_text="What the provider's owner sees instead of the follower's name.",
    )
    state = models.CharField(max_length=12, choices=State, default=State.OFFERED)
    provider_hold = models.CharField(max_length=12, choices=Hold, blank=True)
    follower_hold = models.CharField(max_length=12, choices=Hold, blank=True)
    ending = models.CharField(max_length=12, choices=Ending, blank=True)
    closing_since_at = models.DateTimeField(null=True, blank=True)

    sizing = models.CharField(
        max_length=20,
        choices=[
            (Sizing.EQUITY_RATIO, "Ratio of the equities"),
            (Sizing.BALANCE_RATIO, "Ratio of the balances"),
            (Sizing.FREE_MARGIN_RATIO, "Ratio of the free margins"),
            (Sizing.MULTIPLIER, "A multiple of the provider's lots"),
            (Sizing.FIXED_LOT, "Always the same lots"),
            (Sizing.RISK_PERCENT, "A part of the equity lost at the stop"),
        ],
        default=Sizing.EQUITY_RATIO,
    )
    multiplier = models.DecimalField(
        max_digits=10,
        decimal_places=4,
        default=Decimal(1),
        validators=[MinValueValidator(Decimal("0.0001")), MaxValueValidator(Decimal(1000))],
    )
    fixed_lots = models.DecimalField(
        max_digits=12,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.0001"))],
    )
    risk_fraction = models.DecimalField(
        max_digits=8,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.0001")), MaxValueValidator(Decimal(1))],
    )
    below_minimum = models.CharField(
        max_length=12,
        choices=[
            (BelowMinimum.SKIP, "Skip the trade"),
            (BelowMinimum.USE_MINIMUM, "Use the smallest lot"),
        ],
        default=BelowMinimum.SKIP,
    )
    maximum_lots = models.DecimalField(
        max_digits=12,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.0001"))],
    )
    symbol_map = models.JSONField(
        default=dict, blank=True, help_text="The follower's symbol by the provider's."
    )
    include_symbols = models.JSONField(default=list, blank=True)
    exclude_symbols = models.JSONField(default=list, blank=True)
    directions = models.CharField(
        max_length=4,
        choices=[
            (Directions.BOTH, "Both"),
            (Directions.BUY, "Buys only"),
            (Directions.SELL, "Sells only"),
        ],
        default=Directions.BOTH,
    )
    magics = models.JSONField(
        default=list, blank=True, help_text="Only trades with these magic numbers; empty: all."
    )
    is_reverse = models.BooleanField(default=False)
    copies_stops = models.BooleanField(default=True)
    stop_loss_points = models.PositiveIntegerField(null=True, blank=True)
    take_profit_points = models.PositiveIntegerField(null=True, blank=True)
    copies_pendings = models.BooleanField(default=False)
    open_deadline_seconds = models.PositiveIntegerField(
        default=60, validators=[MinValueValidator(1), MaxValueValidator(3600)]
    )
    maximum_slippage_points = models.PositiveIntegerField(null=True, blank=True)
    maximum_positions = models.PositiveIntegerField(null=True, blank=True)
    trading_from = models.TimeField(null=True, blank=True)
    trading_until = models.TimeField(null=True, blank=True)
    trading_zone = models.CharField(max_length=64, default="UTC")
    equity_stop = models.DecimalField(
        max_digits=18,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="The follower's equity at which copied positions are closed and copying stops.",
    )
    start_policy = models.CharField(
        max_length=12, choices=StartPolicy, default=StartPolicy.NEW_ONLY
    )
    cascade_scope = models.CharField(
        max_length=12, choices=CascadeScope, default=CascadeScope.COPIED
    )

    created_by_id = models.BigIntegerField(help_text="Who offered it.")
    created_at = models.DateTimeField()
    terms_changed_at = models.DateTimeField()
    provider_confirmed_at = models.DateTimeField(
        null=True, blank=True, help_text="When its owner confirmed what the firm says on copying."
    )
    follower_confirmed_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(
        null=True, blank=True, help_text="Trades from then on are copied."
    )
    adopted_at = models.DateTimeField(
        null=True, blank=True, help_text="When what was open at the start was copied."
    )
    state_changed_at = models.DateTimeField()
    state_changed_by_id = models.BigIntegerField(null=True, blank=True)
    state_cause = models.CharField(max_length=16, choices=Cause, default=Cause.PERSON)
    state_reason = models.CharField(max_length=255, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = CopyRelationshipQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(provider=F("follower")), name="copytrade_relationship_two_accounts"
            ),
            models.UniqueConstraint(
                fields=["provider", "follower"],
                condition=~Q(state__in=["declined", "terminated"]),
                name="copytrade_relationship_once",
            ),
            models.CheckConstraint(
                condition=~Q(sizing="fixed_lot") | Q(fixed_lots__gt=0),
                name="copytrade_relationship_fixed_lots",
            ),
            models.CheckConstraint(
                condition=~Q(sizing="risk_percent") | Q(risk_fraction__gt=0),
                name="copytrade_relationship_risk_fraction",
            ),
            models.CheckConstraint(
                condition=Q(trading_from=None, trading_until=None)
                | Q(trading_from__isnull=False, trading_until__isnull=False),
                name="copytrade_relationship_hours_two_ends",
            ),
            models.CheckConstraint(
                condition=~Q(state="active") | Q(provider_hold="", follower_hold="", ending=""),
                name="copytrade_relationship_active_unheld",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} → {self.follower}"
