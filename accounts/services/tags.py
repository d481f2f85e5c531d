from collections.abc import Iterable

from django.core.exceptions import ValidationError

from accounts.models import Tag, User
from accounts.models.text import validate_one_line

MOST_TAGS = 20
LONGEST_NAME = 32


def tags_named(*, user: User, names: Iterable[str]) -> list[Tag]:
    """Return the user's tags of these names, creating those that are missing."""
    wanted = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if len(wanted) > MOST_TAGS:
        raise ValidationError({"tags": f"At most {MOST_TAGS} tags are possible."})
    if any(len(name) > LONGEST_NAME for name in wanted):
        raise ValidationError({"tags": f"A tag has at most {LONGEST_NAME} characters."})
    try:
        for name in wanted:
            validate_one_line(name)
    except ValidationError as error:
        raise ValidationError({"tags": error.messages}) from None
    if not wanted:
        return []
    Tag.objects.bulk_create((Tag(user=user, name=name) for name in wanted), ignore_conflicts=True)
    return list(Tag.objects.filter(user=user, name__in=wanted))
