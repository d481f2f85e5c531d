from django.db import models


class TerminalHost(models.Model):
    """A machine that holds terminals, and the lease of the one worker that may use them.

    `lease_token` grows with every new owner and is checked before anything is sent, so a worker
    that lost its lease while it was suspended cannot act on old knowledge.
    """

    class Kind(models.TextChoices):
        SIMULATED = "simulated", "Simulated broker"
        METATRADER5 = "metatrader5", "MetaTrader 5 terminals"

    name = models.SlugField(primary_key=True, max_length=63)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.SIMULATED)
    lease_owner = models.CharField(max_length=128, blank=True)
    lease_token = models.PositiveBigIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=["simulated", "metatrader5"]),
                name="accounts_terminalhost_known_kind",
            )
        ]

    def __str__(self) -> str:
        return self.name
