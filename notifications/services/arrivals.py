"""What a new user starts with."""

from django.db import transaction

from accounts.models import User
from notifications.services.channels import ensure_email_channels
from notifications.services.preferences import set_defaults


@transaction.atomic
def welcome(user: User) -> None:
    """Give a new user the defaults of every type and the channel by e-mail."""
    set_defaults(user=user)
    ensure_email_channels([user.pk])
