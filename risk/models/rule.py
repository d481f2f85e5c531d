import uuid
from decimal import Decimal
from typing import Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from accounts.models import ConnectedAccount
from accounts.models.text import validate_one_line
from groups.models import AccountGroup
from risk.core.parameters import ParameterErrors, parse_parameters
from risk.core.rule_types import Action as CoreAction
from risk.core.rule_types import ClosingOrder as CoreClosingOrder
from risk.core.rule_types import RuleType as CoreRuleType


class RiskRuleQuerySet(models.QuerySet["RiskRule"]):
    def owned_by(self, user: object) -> Self:
        return self.filter(user=user)

    def active(self) -> Self:
        return self.filter(is_active=True)


class RiskRule(models.Model):
    """A limit that an account must keep, and what happens when it does not.

    `limit` and `parameters` mean what the rule type says (risk.core.parameters). The rule applies
    to all accounts of its user, to the accounts named, and to the members of the groups named.
    """

    class Type(models.TextChoices):
        MAX_DAILY_LOSS = CoreRuleType.MAX_DAILY_LOSS.value, "Maximum daily loss"
        MAX_DRAWDOWN = CoreRuleType.MAX_DRAWDOWN.value, "Maximum drawdown"
        MARGIN_LEVEL = CoreRuleType.MARGIN_LEVEL.value, "Minimum margin level"
        MAX_POSITION_SIZE = CoreRuleType.MAX_POSITION_SIZE.value, "Maximum position size"
        POSITION_LIMIT = CoreRuleType.POSITION_LIMIT.value, "Maximum number of positions"
        MAX_LEVERAGE = CoreRuleType.MAX_LEVERAGE.value, "Maximum leverage"
        MAX_EXPOSURE = CoreRuleType.MAX_EXPOSURE.value, "Maximum exposure"
        MAX_CORRELATION = CoreRuleType.MAX_CORRELATION.value, "Maximum correlation"
        RISK_PER_TRADE = CoreRuleType.RISK_PER_TRADE.value, "Risk per trade"
        STOP_LOSS_REQUIRED = CoreRuleType.STOP_LOSS_REQUIRED.value, "Stop loss required"
        MAX_DAILY_TRADES = CoreRuleType.MAX_DAILY_TRADES.value, "Maximum trades per day"
        TRADING_WINDOW = CoreRuleType.TRADING_WINDOW.value, "Trading window"
        NO_CROSS_HEDGING = CoreRuleType.NO_CROSS_HEDGING.value, "No opposite positions"
        INACTIVITY = CoreRuleType.INACTIVITY.value, "Inactivity"
        PROFIT_TARGET = CoreRuleType.PROFIT_TARGET.value, "Profit target"
        MIN_TRADING_DAYS = CoreRuleType.MIN_TRADING_DAYS.value, "Minimum trading days"
        CONSISTENCY = CoreRuleType.CONSISTENCY.value, "Consistency"

    class Action(models.TextChoices):
        ALERT = CoreAction.ALERT.value, "Alert"
        BLOCK = CoreAction.BLOCK.value, "Block new orders"
        REDUCE_SIZE = CoreAction.REDUCE_SIZE.value, "Reduce the size"
        CLOSE_POSITION = CoreAction.CLOSE_POSITION.value, "Close the offending positions"
        CLOSE_ALL = CoreAction.CLOSE_ALL.value, "Close everything and lock"

    class ClosingOrder(models.TextChoices):
        LARGEST_LOSS_FIRST = CoreClosingOrder.LARGEST_LOSS_FIRST.value, "Largest loss first"
        NEWEST_FIRST = CoreClosingOrder.NEWEST_FIRST.value, "Newest first"
        OLDEST_FIRST = CoreClosingOrder.OLDEST_FIRST.value, "Oldest first"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="risk_rules"
    )
    name = models.CharField(max_length=64, validators=[validate_one_line])
    rule_type = models.CharField(max_length=32, choices=Type)
    limit = models.DecimalField(max_digits=18, decimal_places=6)
    parameters = models.JSONField(default=dict, blank=True)
    action = models.CharField(max_length=16, choices=Action, default=Action.ALERT)
    caution = models.DecimalField(
        max_digits=4,
        decimal_places=3,
        default=Decimal("0.300"),
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Caution when this fraction of the limit, or less, is left.",
    )
    critical = models.DecimalField(
        max_digits=4,
        decimal_places=3,
        default=Decimal("0.100"),
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Critical when this fraction of the limit, or less, is left.",
    )
    magic = models.BigIntegerField(
        "strategy",
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Only positions and deals with this magic number count; empty: all of them.",
    )
    act_at_fraction = models.DecimalField(
        max_digits=4,
        decimal_places=3,
        default=Decimal("1.000"),
        validators=[MinValueValidator(Decimal("0.5")), MaxValueValidator(1)],
        help_text="The action starts when this fraction of the limit is used: 0.97 is early.",
    )
    act_after_seconds = models.DecimalField(
        max_digits=7,
        decimal_places=1,
        default=Decimal("0.0"),
        validators=[MinValueValidator(0), MaxValueValidator(86_400)],
        help_text="The condition must last so long before the action starts.",
    )
    closing_order = models.CharField(
        max_length=24, choices=ClosingOrder, default=ClosingOrder.LARGEST_LOSS_FIRST
    )
    losers_only = models.BooleanField(
        default=False, help_text="Close positions at a loss only, and leave those in profit."
    )
    close_fraction = models.DecimalField(
        max_digits=4,
        decimal_places=3,
        default=Decimal("1.000"),
        validators=[MinValueValidator(Decimal("0.01")), MaxValueValidator(1)],
        help_text="Which part of each position is closed: 1 is all of it.",
    )
    is_active = models.BooleanField(default=True)
    is_cutoff = models.BooleanField(
        "the margin cut-off",
        default=False,
        editable=False,
        help_text="The rule that every user has: liquidates before the broker does.",
    )
    is_firm_rule = models.BooleanField(
        "the firm's rule",
        default=False,
        help_text="A rule of a prop firm: its floor is never moved by an acknowledgement.",
    )
    applies_to_all_accounts = models.BooleanField(default=False)
    accounts = models.ManyToManyField(ConnectedAccount, blank=True, related_name="risk_rules")
    groups = models.ManyToManyField(AccountGroup, blank=True, related_name="risk_rules")
    breach_count = models.PositiveIntegerField(default=0, editable=False)
    last_breach_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RiskRuleQuerySet.as_manager()

    class Meta:
        ordering = ["rule_type", "name", "id"]
        verbose_name = "rule"
        constraints = [
            models.CheckConstraint(
                condition=Q(rule_type__in=[kind.value for kind in CoreRuleType]),
                name="risk_riskrule_known_type",
            ),
            models.CheckConstraint(
                condition=Q(action__in=[action.value for action in CoreAction]),
                name="risk_riskrule_known_action",
            ),
            models.CheckConstraint(
                condition=Q(limit__gt=0),
                name="risk_riskrule_positive_limit",
                violation_error_message="The limit must be more than 0.",
            ),
            models.CheckConstraint(
                condition=Q(act_at_fraction__gte=Decimal("0.5")) & Q(act_at_fraction__lte=1),
                name="risk_riskrule_known_act_at",
                violation_error_message="The action starts at 0.5 to 1 of the limit.",
            ),
            models.CheckConstraint(
                condition=Q(act_after_seconds__gte=0) & Q(act_after_seconds__lte=86_400),
                name="risk_riskrule_known_act_after",
                violation_error_message="Give seconds between 0 and 86,400 (one day).",
            ),
            models.CheckConstraint(
                condition=Q(close_fraction__gt=0) & Q(close_fraction__lte=1),
                name="risk_riskrule_known_close_fraction",
                violation_error_message="The part of each position is more than 0 and at most 1.",
            ),
            models.UniqueConstraint(
                fields=["user"], condition=Q(is_cutoff=True), name="risk_riskrule_one_cutoff"
            ),
            models.CheckConstraint(
                condition=Q(critical__gte=0) & Q(critical__lte=F("caution")) & Q(caution__lt=1),
                name="risk_riskrule_ordered_thresholds",
                violation_error_message=(
                    "Critical must not be above caution, and both lie between 0 and 1."
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        if self.limit is None or self.rule_type not in self.Type.values:
            return
        try:
            parse_parameters(CoreRuleType(self.rule_type), self.limit, self.parameters)
        except ParameterErrors as errors:
            limit_errors = {"limit": errors.fields["limit"]} if "limit" in errors.fields else {}
            others = [f"{key}: {text}" for key, text in errors.fields.items() if key != "limit"]
            raise ValidationError(
                {**limit_errors, **({"parameters": others} if others else {})}
            ) from errors
