"""From where a user usually signs in, so that what is new can be told."""

from datetime import datetime, timedelta

from django.db import transaction

from accounts.models import User
from accounts.models.session import KnownOrigin
from accounts.origin import Origin, network_of
from accounts.services.security_events import SecurityEvent, SecurityKind, announce
from accounts.sign_ins import described, program_name

# Who has not come from there for so long is told again.
KEPT = timedelta(days=180)
# Whoever has just registered knows that they sign in for the first time.
NEWCOMER = timedelta(days=1)

Kind = KnownOrigin.Kind
Mark = tuple[str, str]


@transaction.atomic
def note_sign_in(*, user: User, origin: Origin, is_program: bool, now: datetime) -> None:
    """Remember from where a user signs in; announce a browser, program or network that is new."""
    what = program_name(origin.user_agent) if is_program else described(origin.user_agent)
    marks: set[Mark] = {
        (Kind.PROGRAM if is_program else Kind.BROWSER, what),
        (Kind.NETWORK, network_of(origin.ip_address)),
    }
    known = _known_marks(user, now)
    _remember(user, marks, now)
    new = marks - known
    is_newcomer = not known and now - user.date_joined < NEWCOMER
    if not new or is_newcomer:
        return
    is_only_elsewhere = {kind for kind, _ in new} == {Kind.NETWORK}
    told = f"{what}, from an address that is new" if is_only_elsewhere else what
    kind = SecurityKind.PROGRAM_SIGNED_IN if is_program else SecurityKind.SIGNED_IN
    announce(SecurityEvent(kind, user.pk, now, origin, what=told))


def forget_old_origins(*, now: datetime) -> None:
    KnownOrigin.objects.filter(seen_at__lte=now - KEPT).delete()


def _known_marks(user: User, now: datetime) -> set[Mark]:
    rows = KnownOrigin.objects.filter(user=user, seen_at__gt=now - KEPT)
    return set(rows.values_list("kind", "value"))


def _remember(user: User, marks: set[Mark], now: datetime) -> None:
    KnownOrigin.objects.bulk_create(
        [
            KnownOrigin(user=user, kind=kind, value=value, seen_at=now)
            for kind, value in sorted(marks)
        ],
        update_conflicts=True,
        unique_fields=["user", "kind", "value"],
        update_fields=["seen_at"],
    )
