from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.views.decorators.debug import sensitive_variables

from accounts.models import User


@sensitive_variables("password")
@transaction.atomic
def register_user(*, username: str, email: str, password: str, time_zone: str = "UTC") -> User:
    """Create a user who can sign in; raises ValidationError with the fields named.

    Names and e-mail addresses that differ in case alone belong to one person.
    """
    user = User(
        username=User.normalize_username(username),
        email=User.objects.normalize_email(email),
        time_zone=time_zone,
    )
    errors: dict[str, list[ValidationError]] = {}
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        errors = dict(error.error_dict)
    _note_taken(user, errors)
    try:
        validate_password(password, user)
    except ValidationError as error:
        errors["password"] = error.error_list
    if errors:
        raise ValidationError(errors)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        # Somebody took the name between the check and now.
        raise ValidationError({"username": "This name or address is taken."}) from None
    return user


def _note_taken(user: User, errors: dict[str, list[ValidationError]]) -> None:
    if "username" not in errors and User.objects.filter(username__iexact=user.username).exists():
        errors["username"] = [ValidationError("This name is taken.", code="unique")]
    if "email" not in errors and User.objects.filter(email__iexact=user.email).exists():
        errors["email"] = [ValidationError("This address is in use already.", code="unique")]
