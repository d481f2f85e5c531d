from django.db import models


class CopyRequest(models.Model):
    """A request that a client may send again without having it carried out twice.

    `digest` tells it from another request with the same key.
    """

    user_id = models.BigIntegerField()
    key = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    relationship_id = models.UUIDField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user_id", "key"], name="copytrade_request_once")
        ]

    def __str__(self) -> str:
        return self.key
