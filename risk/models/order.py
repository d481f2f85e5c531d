import uuid
from typing import Self

from django.db import models
from django.db.models import Q


class OrderQuerySet(models.QuerySet["Order"]):
    def owned_by(self, user: object) -> Self:
        return self.filter(user_id=getattr(user, "pk", user))

    def unfinished(self) -> Self:
        """Orders of which it is not known, or not decided, how they end."""
        return self.filter(state__in=Order.UNFINISHED)


class Order(models.Model):
    """An order that passes through TradeGuard: the intent, written before it is sent, and its end.

    Holds plain ids and outlives its account. `tag` is the magic number that the broker keeps with
    it. Volumes are in lots, prices in the symbol's own currency.
    """

    class Kind(models.TextChoices):
        OPEN = "open", "Open at the market"
        PLACE = "place", "Place a pending order"
        MODIFY_ORDER = "modify_order", "Change a pending order"
        CANCEL = "cancel", "Cancel a pending order"
        MODIFY_POSITION = "modify_position", "Change stop loss and take profit"
        CLOSE = "close", "Close"
        CLOSE_BY = "close_by", "Close by an opposite position"

    class Direction(models.TextChoices):
        BUY = "buy", "Buy"
        SELL = "sell", "Sell"

    class Type(models.TextChoices):
        MARKET = "market", "Market"
        LIMIT = "limit", "Limit"
        STOP = "stop", "Stop"
        STOP_LIMIT = "stop_limit", "Stop limit"

    class Origin(models.TextChoices):
        TICKET = "ticket", "Order ticket"
        API = "api", "API"
        COPY = "copy", "Copy"
        RULE = "rule", "Rule"
        PANIC = "panic", "Close all"
        LOCK = "lock", "Lock"
        CASCADE = "cascade", "Cascade"

    class State(models.TextChoices):
        PENDING = "pending", "Waiting"
        SENT = "sent", "Sent"
        FILLED = "filled", "Filled"
        PARTIAL = "partial", "Partly filled"
        PLACED = "placed", "Placed"
        REJECTED = "rejected", "Rejected"
        EXPIRED = "expired", "Expired"
        UNKNOWN = "unknown", "Unknown"
        NOT_EXECUTED = "not_executed", "Not executed"
        LOST = "lost", "Cannot be found out"

    class RefusedBy(models.TextChoices):
        GATE = "gate", "TradeGuard"
        TERMINAL = "terminal", "Terminal"
        BROKER = "broker", "Broker"

    UNFINISHED = (State.PENDING, State.SENT, State.UNKNOWN)
    OPENING_KINDS = (Kind.OPEN, Kind.PLACE)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tag = models.BigIntegerField(unique=True, help_text="The order's magic number at the broker.")
    user_id = models.BigIntegerField()
    account_id = models.UUIDField()
    account_name = models.CharField(max_length=64)
    host = models.CharField(max_length=64)
    server = models.CharField(max_length=64)
    login = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=16, choices=Kind)
    origin = models.CharField(max_length=8, choices=Origin)
    enforcement_id = models.UUIDField(null=True, blank=True)
    requested_by_id = models.BigIntegerField(null=True, blank=True)
    idempotency_key = models.CharField(max_length=64, null=True, blank=True)
    request_digest = models.CharField(max_length=64, blank=True)
    symbol = models.CharField(max_length=32, blank=True)
    direction = models.CharField(max_length=4, choices=Direction, blank=True)
    type = models.CharField(max_length=12, choices=Type, default=Type.MARKET)
    requested_volume = models.DecimalField(max_digits=18, decimal_places=8, null=True, blank=True)
    volume = models.DecimalField(
        max_digits=18, decimal_places=8, null=True, blank=True, help_text="What the gate allowed."
    )
    price = models.FloatField(null=True, blank=True)
    stop_limit_price = models.FloatField(null=True, blank=True)
    stop_loss = models.FloatField(null=True, blank=True)
    take_profit = models.FloatField(null=True, blank=True)
    deviation_points = models.PositiveIntegerField(null=True, blank=True)
    valid_until_at = models.DateTimeField(null=True, blank=True)
    position_ticket = models.BigIntegerField(null=True, blank=True)
    opposite_ticket = models.BigIntegerField(null=True, blank=True)
    order_ticket = models.BigIntegerField(null=True, blank=True)
    deal_ticket = models.BigIntegerField(null=True, blank=True)
    comment = models.CharField(max_length=26, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    refused_by = models.CharField(max_length=8, choices=RefusedBy, blank=True)
    retcode = models.IntegerField(null=True, blank=True)
    message = models.CharField(max_length=255, blank=True)
    filled_volume = models.DecimalField(max_digits=18, decimal_places=8, null=True, blank=True)
    fill_price = models.FloatField(null=True, blank=True)
    absences = models.PositiveSmallIntegerField(
        default=0, help_text="Answers of a connected terminal that knew nothing of it."
    )
    absent_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    send_by_at = models.DateTimeField(null=True, blank=True)
    gated_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    reconciled_at = models.DateTimeField(null=True, blank=True)

    objects = OrderQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["account_id", "-created_at"], name="risk_order_of_account"),
            models.Index(fields=["user_id", "-created_at"], name="risk_order_of_user"),
            # Not partial: SQLite cannot use such a one for states that are bound to a statement.
            models.Index(fields=["host", "state"], name="risk_order_of_host"),
            # What ended lately on a host, however many orders it had.
            models.Index(
                fields=["host", "answered_at"],
                condition=Q(answered_at__isnull=False),
                name="risk_order_answered",
            ),
            models.Index(
                fields=["host", "reconciled_at"],
                condition=Q(reconciled_at__isnull=False),
                name="risk_order_reconciled",
            ),
            models.Index(
                fields=["enforcement_id"],
                condition=Q(enforcement_id__isnull=False),
                name="risk_order_of_enforcement",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user_id", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="risk_order_once_per_key",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.symbol} on {self.account_name}"

    @property
    def opens(self) -> bool:
        return self.kind in self.OPENING_KINDS


class GateCheck(models.Model):
    """What one check of the gate said about one order, with its numbers."""

    class Verdict(models.TextChoices):
        ALLOW = "allow", "Allowed"
        WARN = "warn", "Allowed with a warning"
        REDUCE = "reduce", "Reduced"
        BLOCK = "block", "Blocked"

    order_id = models.UUIDField()
    number = models.PositiveSmallIntegerField(help_text="The place among the checks of the order.")
    check_name = models.CharField(max_length=32)
    rule_id = models.UUIDField(null=True, blank=True)
    rule_name = models.CharField(max_length=64, blank=True)
    verdict = models.CharField(max_length=8, choices=Verdict)
    value = models.FloatField(null=True, help_text="As if the order were filled, in `unit`.")
    limit = models.FloatField(null=True)
    unit = models.CharField(max_length=16, blank=True)
    allowed_volume = models.FloatField(null=True, help_text="In lots; null: without a limit.")
    sentence = models.CharField(max_length=255)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["order_id", "number"]
        verbose_name = "check of the gate"
        verbose_name_plural = "checks of the gate"
        constraints = [
            models.UniqueConstraint(fields=["order_id", "number"], name="risk_gatecheck_once")
        ]

    def __str__(self) -> str:
        return self.sentence


class GateRound(models.Model):
    """What the gate's checks found of orders that it decided about together, not put into words.

    Stands for the `GateCheck` rows of these orders, which have none of their own, and is found by
    their `gated_at` and id; `risk.gate.rounds` writes and words it.
    """

    gated_at = models.DateTimeField(db_index=True)
    order_count = models.PositiveSmallIntegerField(verbose_name="orders")
    order_ids = models.BinaryField(help_text="16 bytes each, one behind another.")
    payload = models.BinaryField()

    class Meta:
        ordering = ["-gated_at", "-id"]
        verbose_name = "round of the gate"
        verbose_name_plural = "rounds of the gate"

    def __str__(self) -> str:
        return f"{self.order_count} orders at {self.gated_at:%Y-%m-%d %H:%M:%S}"
