import uuid
from datetime import time, tzinfo
from decimal import Decimal
from typing import Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from accounts.core.zones import broker_zone
from accounts.models.host import TerminalHost
from accounts.models.key import ApiKey
from accounts.models.text import validate_currency, validate_one_line


def validate_broker_zone(name: str) -> None:
    try:
        broker_zone(name)
    except ValueError as error:
        raise ValidationError(str(error)) from error


class Tag(models.Model):
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tags"
    )
    name = models.CharField(max_length=32, validators=[validate_one_line])

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["user", "name"], name="accounts_tag_unique_per_user")
        ]

    def __str__(self) -> str:
        return self.name


class ConnectedAccountQuerySet(models.QuerySet["ConnectedAccount"]):
    def owned_by(self, user: object) -> Self:
        return self.filter(user=user)

    def active(self) -> Self:
        return self.filter(is_active=True)

    def on_host(self, host: str) -> Self:
        return self.filter(terminal_host_id=host)


AccountManager = models.Manager.from_queryset(ConnectedAccountQuerySet)


class LivingAccounts(AccountManager["ConnectedAccount"]):
    """Leaves out what was deleted, for everybody who does not ask for the archive by name."""

    def get_queryset(self) -> ConnectedAccountQuerySet:
        return ConnectedAccountQuerySet(self.model, using=self._db).filter(archived_at=None)


class ConnectedAccount(models.Model):
    """A MetaTrader 5 account that TradeGuard watches.

    A deleted account is archived: it has no session, no secret and no place in groups and rules,
    and its history stays.

    Times of the broker are read in `broker_time_zone`; the trading day starts at `day_reset_time`
    in `day_reset_zone`.
    """

    class Role(models.TextChoices):
        TRADING = "trading", "Trading"
        STRATEGY_PROVIDER = "strategy_provider", "Strategy provider"
        COPY_FOLLOWER = "copy_follower", "Copy follower"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="connected_accounts"
    )
    name = models.CharField(max_length=64, validators=[validate_one_line])
    broker = models.CharField(
        max_length=64, validators=[validate_one_line], help_text="The company, as you know it."
    )
    server = models.CharField(
        max_length=64,
        validators=[validate_one_line],
        help_text="The trade server, exactly as the terminal shows it.",
    )
    login = models.PositiveBigIntegerField(
        validators=[MinValueValidator(1)], help_text="The account number."
    )
    api_key = models.ForeignKey(
        # RESTRICT, not PROTECT: both go together when their user is deleted.
        ApiKey,
        on_delete=models.RESTRICT,
        related_name="accounts",
        null=True,
        blank=True,
    )
    role = models.CharField(max_length=32, choices=Role, default=Role.TRADING)
    is_demo = models.BooleanField(default=True)
    is_active = models.BooleanField(default=True, help_text="An inactive account is not watched.")
    is_default = models.BooleanField(default=False)
    currency = models.CharField(max_length=8, default="USD", validators=[validate_currency])
    initial_balance = models.DecimalField(
        max_digits=18, decimal_places=2, validators=[MinValueValidator(Decimal("0.01"))]
    )
    broker_time_zone = models.CharField(
        max_length=64,
        default="America/New_York+7h",
        validators=[validate_broker_zone],
        help_text="An IANA zone, or America/New_York+7h, which most forex brokers keep.",
    )
    day_reset_time = models.TimeField(default=time(0, 0))
    day_reset_zone = models.CharField(
        max_length=64, default="America/New_York+7h", validators=[validate_broker_zone]
    )
    terminal_host = models.ForeignKey(
        TerminalHost, on_delete=models.PROTECT, related_name="accounts"
    )
    tags = models.ManyToManyField(Tag, blank=True, related_name="accounts")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = LivingAccounts()
    with_archived = ConnectedAccountQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        verbose_name = "account"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "server", "login"],
                condition=Q(archived_at=None),
                name="accounts_connectedaccount_unique_login",
                violation_error_message="You already watch this login on this server.",
            ),
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(is_default=True),
                name="accounts_connectedaccount_one_default",
            ),
            models.CheckConstraint(
                condition=Q(archived_at=None)
                | Q(is_active=False, is_default=False, api_key__isnull=True),
                name="accounts_connectedaccount_archived_is_inert",
            ),
            models.CheckConstraint(
                condition=Q(initial_balance__gt=0),
                name="accounts_connectedaccount_positive_initial_balance",
                violation_error_message="The initial balance must be more than 0.",
            ),
            models.CheckConstraint(
                condition=Q(login__gt=0), name="accounts_connectedaccount_positive_login"
            ),
            models.CheckConstraint(
                condition=Q(role__in=["trading", "strategy_provider", "copy_follower"]),
                name="accounts_connectedaccount_known_role",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def portfolio_role(self) -> str:
        """The role in the keys of the hot state: live, demo, strategy_provider, copy_follower."""
        if self.role == self.Role.TRADING:
            return "demo" if self.is_demo else "live"
        return self.role

    @property
    def broker_zone(self) -> tzinfo:
        return broker_zone(self.broker_time_zone)

    @property
    def reset_zone(self) -> tzinfo:
        return broker_zone(self.day_reset_zone)
