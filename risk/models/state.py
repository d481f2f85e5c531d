from django.db import models

from accounts.models import ConnectedAccount
from risk.models.rule import RiskRule


class RuleState(models.Model):
    """What a rule remembers of an account: its baselines, in the account's currency.

    `day_*` belong to the trading day that began at `day_started_at`; deposits and withdrawals are
    counted since then. `peak` is the highest balance or equity that a trailing rule has seen. A
    null amount is not known, and the rule says so until the next reset.
    """

    rule = models.ForeignKey(RiskRule, on_delete=models.CASCADE, related_name="states")
    account = models.ForeignKey(
        ConnectedAccount, on_delete=models.CASCADE, related_name="rule_states"
    )
    # The account as the broker knows it: another login's deals are other deals.
    server = models.CharField(max_length=64)
    login = models.PositiveBigIntegerField()
    started_at = models.DateTimeField(help_text="When the rule began to watch this account.")
    day_started_at = models.DateTimeField(null=True, blank=True)
    day_balance = models.FloatField(null=True, blank=True)
    day_equity = models.FloatField(null=True, blank=True)
    day_deposits = models.FloatField(default=0.0)
    day_withdrawals = models.FloatField(default=0.0)
    is_reconstructed = models.BooleanField(
        default=False, help_text="The day's baseline was worked out after a missed reset."
    )
    peak = models.FloatField(null=True, blank=True)
    deposits = models.FloatField(default=0.0)
    withdrawals = models.FloatField(default=0.0)
    realised = models.FloatField(
        default=0.0, help_text="Closed result of the rule's strategy since the rule began."
    )
    day_trades = models.PositiveIntegerField(default=0)
    day_profit = models.FloatField(default=0.0, help_text="Closed result of the day so far.")
    trading_days = models.PositiveIntegerField(
        default=0, help_text="Days before this one on which a position was opened."
    )
    best_day = models.FloatField(default=0.0, help_text="Highest closed result of a day.")
    positive_days = models.FloatField(
        default=0.0, help_text="Sum of the closed results of all days in profit."
    )
    total_profit = models.FloatField(default=0.0)
    last_trade_at = models.DateTimeField(null=True, blank=True)
    last_deal = models.BigIntegerField(
        default=0, help_text="The newest deal that the amounts above contain."
    )
    updated_at = models.DateTimeField()
    # Asked for by a person; the host that keeps the amounts above takes it, and empties these.
    new_reference = models.FloatField(
        null=True, blank=True, help_text="The equity that a loss is to be counted from."
    )
    new_reference_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["rule", "account"]
        constraints = [
            models.UniqueConstraint(fields=["rule", "account"], name="risk_rulestate_unique")
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} on {self.account_id}"
