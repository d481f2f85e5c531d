"""Whether an e-mail address counts only after a link that was sent there is opened."""

from allauth.account.models import EmailAddress
from django.conf import settings

from accounts.models import User


def are_emails_verified() -> bool:
    return bool(settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory")


def is_email_missing(user: User) -> bool:
    """Tell whether a user still has to verify an address before coming in."""
    if not are_emails_verified():
        return False
    return not EmailAddress.objects.filter(user=user, verified=True).exists()
