import uuid
from decimal import Decimal

from django.db import models
from django.db.models import Q

from copytrade.core.kinds import EventKind, SkipReason


def _words(kinds: type[EventKind] | type[SkipReason]) -> list[tuple[str, str]]:
    return [(kind.value, kind.value.replace("_", " ").capitalize()) for kind in kinds]


class CopyEvent(models.Model):
    """One thing that a provider did, once; its id is made from what the broker calls it.

    Holds plain ids and outlives its accounts. Volumes are the provider's lots.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    provider_id = models.UUIDField()
    provider_name = models.CharField(max_length=64)
    kind = models.CharField(max_length=20, choices=_words(EventKind))
    symbol = models.CharField(max_length=32)
    direction = models.CharField(max_length=4, blank=True, help_text="Of the position or order.")
    order_type = models.CharField(max_length=12, blank=True)
    volume = models.DecimalField(max_digits=18, decimal_places=8, null=True)
    volume_before = models.DecimalField(max_digits=18, decimal_places=8, null=True)
    price = models.FloatField(null=True)
    stop_limit_price = models.FloatField(null=True)
    stop_loss = models.FloatField(null=True)
    take_profit = models.FloatField(null=True)
    magic = models.BigIntegerField(default=0)
    position_ticket = models.BigIntegerField(null=True)
    order_ticket = models.BigIntegerField(null=True)
    deal_ticket = models.BigIntegerField(null=True)
    is_stop_out = models.BooleanField(default=False)
    happened_at = models.DateTimeField(help_text="By the broker's clock.")
    detected_at = models.DateTimeField()
    planned_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-detected_at", "-id"]
        indexes = [
            models.Index(fields=["-detected_at", "-id"], name="copytrade_event_in_time"),
            models.Index(fields=["provider_id", "-detected_at"], name="copytrade_event_newest"),
            models.Index(
                fields=["provider_id", "position_ticket"], name="copytrade_event_position"
            ),
            models.Index(fields=["provider_id", "order_ticket"], name="copytrade_event_order"),
            models.Index(
                fields=["provider_id"],
                condition=Q(planned_at=None),
                name="copytrade_event_unplanned",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider_name}: {self.kind} {self.symbol}"


class CopyOrder(models.Model):
    """What became of one event on one follower: an order, or a reason why there is none."""

    class State(models.TextChoices):
        PLANNED = "planned", "Planned"
        SKIPPED = "skipped", "Skipped"
        ORDERED = "ordered", "Ordered"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    UNFINISHED = (State.PLANNED, State.ORDERED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event_id = models.UUIDField()
    relationship_id = models.UUIDField()
    provider_id = models.UUIDField()
    follower_id = models.UUIDField()
    state = models.CharField(max_length=8, choices=State, default=State.PLANNED)
    reason = models.CharField(max_length=20, choices=_words(SkipReason), blank=True)
    sentence = models.CharField(max_length=255, blank=True)
    order_id = models.UUIDField(null=True, unique=True, help_text="The order that was sent for it.")
    symbol = models.CharField(max_length=32, blank=True)
    volume = models.DecimalField(max_digits=18, decimal_places=8, null=True)
    filled_volume = models.DecimalField(max_digits=18, decimal_places=8, null=True)
    slippage_points = models.FloatField(null=True)
    slippage_money = models.FloatField(null=True, help_text="In the follower's currency.")
    follower_position = models.BigIntegerField(null=True)
    is_waiting = models.BooleanField(
        default=False, help_text="Its pending order waits at the follower's broker."
    )
    planned_at = models.DateTimeField()
    gated_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-planned_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                # The event first: what a batch writes lies side by side then.
                fields=["event_id", "relationship_id"],
                name="copytrade_order_once_per_event",
            )
        ]
        indexes = [
            models.Index(fields=["-planned_at", "-id"], name="copytrade_order_in_time"),
            models.Index(fields=["relationship_id", "-planned_at"], name="copytrade_order_newest"),
            models.Index(fields=["state", "follower_id"], name="copytrade_order_in_state"),
            models.Index(
                fields=["follower_id"],
                condition=Q(is_waiting=True),
                name="copytrade_order_waiting",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol or 'No order'}: {self.state}"


class CopyPosition(models.Model):
    """What a follower holds of one position of its provider.

    On a netting follower several rows share one position; `volume` is this row's part of it. A
    provider's netted position that turns round keeps its ticket and begins another `turn`.
    """

    class State(models.TextChoices):
        OPENING = "opening", "Opening"
        OPEN = "open", "Open"
        CLOSING = "closing", "Closing"
        CLOSED = "closed", "Closed"
        LEFT = "left", "Closed by the follower"
        KEPT = "kept", "Kept when copying ended"

    HELD = (State.OPENING, State.OPEN, State.CLOSING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    relationship_id = models.UUIDField()
    provider_id = models.UUIDField()
    follower_id = models.UUIDField()
    provider_position = models.BigIntegerField()
    turn = models.PositiveSmallIntegerField(
        default=0, help_text="How often the provider's position had turned round before."
    )
    provider_volume = models.DecimalField(max_digits=18, decimal_places=8)
    follower_position = models.BigIntegerField(null=True)
    symbol = models.CharField(max_length=32, help_text="The follower's.")
    direction = models.CharField(max_length=4)
    volume = models.DecimalField(max_digits=18, decimal_places=8)
    state = models.CharField(max_length=8, choices=State, default=State.OPENING)
    closes_on_fill = models.BooleanField(
        default=False, help_text="The provider has closed before the open was filled."
    )
    closes_fraction_on_fill = models.DecimalField(
        max_digits=16,
        decimal_places=15,
        default=Decimal(0),
        help_text="The part that the provider had closed before the open was filled.",
    )
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider_id", "provider_position", "relationship_id", "turn"],
                name="copytrade_position_once_per_turn",
            ),
            models.CheckConstraint(
                condition=Q(closes_fraction_on_fill__gte=0) & Q(closes_fraction_on_fill__lte=1),
                name="copytrade_position_closes_a_part",
            ),
        ]
        indexes = [
            # The state first: those of few states are asked for, and written, side by side.
            models.Index(fields=["state", "follower_id"], name="copytrade_position_held"),
            models.Index(fields=["state", "relationship_id"], name="copytrade_position_held_by"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol}: {self.volume} ({self.state})"
