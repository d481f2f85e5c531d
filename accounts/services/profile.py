from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User


@transaction.atomic
def update_profile(
    *, user: User, first_name: str, last_name: str, email: str, time_zone: str
) -> User:
    """Change what a user says about themselves; raises ValidationError with the fields named."""
    user = User.objects.select_for_update().get(pk=user.pk)
    user.first_name, user.last_name, user.time_zone = first_name, last_name, time_zone
    user.email = User.objects.normalize_email(email)
    user.full_clean(exclude=["password"])
    # One person's address, however it is written.
    if User.objects.filter(email__iexact=user.email).exclude(pk=user.pk).exists():
        raise ValidationError({"email": "This address is in use already."})
    user.save(update_fields=["first_name", "last_name", "email", "time_zone"])
    return user
