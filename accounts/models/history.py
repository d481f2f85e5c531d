from django.db import models
from django.db.models import F, Q

from accounts.models.account import ConnectedAccount


class Deal(models.Model):
    """A deal as the broker's history has it; money in the account's currency.

    `server` and `login` say whose it is at the broker: an account that is pointed at another login
    has other deals. `type`, `entry` and `reason` are MetaTrader's numbers (DEAL_TYPE_* and so on).
    """

    account = models.ForeignKey(ConnectedAccount, on_delete=models.CASCADE, related_name="deals")
    server = models.CharField(max_length=64)
    login = models.PositiveBigIntegerField()
    ticket = models.BigIntegerField()
    order = models.BigIntegerField()
    position = models.BigIntegerField()
    time = models.DateTimeField(help_text="The broker's clock, read in the account's zone.")
    time_msc = models.BigIntegerField(help_text="The broker's own clock: ms, as a UTC epoch.")
    type = models.SmallIntegerField()
    entry = models.SmallIntegerField()
    reason = models.SmallIntegerField()
    symbol = models.CharField(max_length=64, blank=True)
    volume_lots = models.DecimalField(max_digits=18, decimal_places=8)
    price = models.FloatField()
    commission = models.DecimalField(max_digits=18, decimal_places=4)
    swap = models.DecimalField(max_digits=18, decimal_places=4)
    profit = models.DecimalField(max_digits=18, decimal_places=4)
    fee = models.DecimalField(max_digits=18, decimal_places=4)
    magic = models.BigIntegerField()

    class Meta:
        ordering = ["-time_msc", "-ticket"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "server", "login", "ticket"], name="accounts_deal_unique_ticket"
            )
        ]
        indexes = [
            models.Index(
                fields=["account", "-time_msc", "-ticket"], name="accounts_deals_of_account"
            )
        ]

    def __str__(self) -> str:
        return f"{self.ticket} of {self.login}"


class EquitySnapshot(models.Model):
    """What an account was worth over a minute, an hour or a day (UTC) that began at `at`.

    `equity` and `balance` are the last of the period, low and high the extremes that the ticks saw;
    `readings` tells how many accepted readings that were: none, and there is no row.
    """

    class Resolution(models.IntegerChoices):
        MINUTE = 60, "Minute"
        HOUR = 3600, "Hour"
        DAY = 86400, "Day"

    account = models.ForeignKey(
        ConnectedAccount, on_delete=models.CASCADE, related_name="equity_snapshots"
    )
    resolution = models.PositiveIntegerField(choices=Resolution)
    at = models.DateTimeField()
    server = models.CharField(max_length=64)
    login = models.PositiveBigIntegerField()
    balance = models.DecimalField(max_digits=18, decimal_places=4)
    credit = models.DecimalField(max_digits=18, decimal_places=4)
    equity = models.DecimalField(max_digits=18, decimal_places=4)
    equity_low = models.DecimalField(max_digits=18, decimal_places=4)
    equity_high = models.DecimalField(max_digits=18, decimal_places=4)
    margin = models.DecimalField(max_digits=18, decimal_places=4)
    position_count = models.PositiveIntegerField()
    readings = models.PositiveIntegerField()

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "resolution", "at"], name="accounts_equitysnapshot_unique"
            ),
            models.CheckConstraint(
                condition=Q(equity_low__lte=F("equity_high")),
                name="accounts_equitysnapshot_low_below_high",
            ),
        ]
        indexes = [models.Index(fields=["resolution", "at"], name="accounts_snapshots_of_period")]

    def __str__(self) -> str:
        return f"{self.account_id} at {self.at}"
