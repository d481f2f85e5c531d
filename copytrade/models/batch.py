from django.db import models


class CopyBatch(models.Model):
    """Copies of an event as they were about to be sent; soon rows of their own.

    It is written before anything of it leaves, and `unfolded` into copies, orders and positions
    right after: see docs/architecture.md, "Copying". Whoever writes copies of an event takes its
    next number, so that no two workers write, and send, the same ones.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    event_id = models.UUIDField()
    provider_id = models.UUIDField()
    host = models.CharField(max_length=64)
    number = models.PositiveIntegerField()
    payload = models.BinaryField(help_text="The rows, packed; empty once they are there.")
    created_at = models.DateTimeField()
    unfolded_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "number"]
        verbose_name_plural = "copy batches"
        constraints = [
            models.UniqueConstraint(
                fields=["event_id", "number"], name="copytrade_batch_once_per_number"
            )
        ]
        indexes = [models.Index(fields=["unfolded_at"], name="copytrade_batch_unfolded")]

    def __str__(self) -> str:
        return f"{self.event_id}, batch {self.number}"
