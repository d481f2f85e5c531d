"""How a user wants to hear of each type of notification."""

from collections.abc import Iterable, Mapping

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User
from notifications.defaults import ALWAYS_PASSING, Choice, default_choice
from notifications.models import NotificationType, Preference, Priority
from notifications.transports import transports

Mode = Preference.Mode


def set_defaults(*, user: User) -> list[Preference]:
    """Set every type back to how it is told by default and return the rows, one per type."""
    return set_matrix(user=user, choices={kind: default_choice(kind) for kind in NotificationType})


def set_preference(
    *,
    user: User,
    type: str,  # noqa: A002  # the field's own name
    mode: str,
    minimum_priority: str,
    transports: Iterable[str],
) -> Preference:
    """Say how a user hears of one type; raises ValidationError with the fields named.

    What always passes is neither silent nor off, and has no minimum.
    """
    choice = Choice(mode, minimum_priority, frozenset(transports))
    if errors := _errors(type, choice):
        raise ValidationError(errors)
    [preference] = _write(user, {type: choice})
    return preference


def set_matrix(*, user: User, choices: Mapping[str, Choice]) -> list[Preference]:
    """Say how a user hears of several types, of all of them or of none.

    Raises ValidationError with fields named as "security.mode" is. Types left out stay as they are.
    """
    errors = {
        f"{kind}.{field}": error
        for kind, choice in choices.items()
        for field, error in _errors(kind, choice).items()
    }
    if errors:
        raise ValidationError(errors)
    return _write(user, choices)


def delete_preference(*, preference: Preference) -> None:
    """Let the default hold again."""
    preference.delete()


@transaction.atomic
def _write(user: User, choices: Mapping[str, Choice]) -> list[Preference]:
    # One order for everybody: two pages that save at once cannot wait for each other.
    Preference.objects.bulk_create(
        [
            Preference(
                user=user,
                type=kind,
                mode=choices[kind].mode,
                minimum_priority=choices[kind].minimum_priority,
                transports=[name for name in transports() if name in choices[kind].transports],
            )
            for kind in sorted(choices)
        ],
        update_conflicts=True,
        unique_fields=["user", "type"],
        update_fields=["mode", "minimum_priority", "transports", "updated_at"],
    )
    return list(Preference.objects.filter(user=user, type__in=list(choices)))


def _errors(kind: str, choice: Choice) -> dict[str, str]:
    errors = {}
    if kind not in NotificationType:
        errors["type"] = "There is no such type."
    if choice.mode not in Mode:
        errors["mode"] = f"Choose one of {', '.join(Mode)}."
    elif kind in ALWAYS_PASSING and choice.mode != Mode.ON:
        errors["mode"] = (
            f"“{NotificationType(kind).label}” is always told, so it is neither silent nor off."
        )
    if choice.minimum_priority not in Priority:
        errors["minimum_priority"] = f"Choose one of {', '.join(Priority)}."
    elif kind in ALWAYS_PASSING and choice.minimum_priority != Priority.LOW:
        errors["minimum_priority"] = (
            f"“{NotificationType(kind).label}” is always told, so it has no minimum."
        )
    if unknown := sorted(map(str, choice.transports - transports().keys())):
        errors["transports"] = f"Not known: {', '.join(unknown)[:200]}."
    return errors
