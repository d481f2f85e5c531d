import zoneinfo

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models


def validate_iana_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"“{name}” is not a time zone; write it like Europe/Prague.")


class User(AbstractUser):
    """A person who signs in: a trader, a provider or staff."""

    email = models.EmailField("e-mail address", unique=True)
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_iana_zone],
        help_text="The zone in which times are shown to this user.",
    )

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(condition=~models.Q(email=""), name="accounts_user_has_email")
        ]
