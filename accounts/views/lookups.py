from collections.abc import Sequence
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest

from accounts.models import ConnectedAccount, User
from accounts.selectors import accounts_of


def signed_in(request: HttpRequest) -> User:
    """Return the user of a view behind `login_required`."""
    if isinstance(request.user, AnonymousUser):
        raise Http404
    return request.user


def own_account(request: HttpRequest, account_id: UUID) -> ConnectedAccount:
    """Return the user's account; a stranger's is as good as none."""
    account = accounts_of(signed_in(request)).filter(pk=account_id).first()
    if account is None:
        raise Http404
    return account


def own_accounts(user: User, ids: Sequence[str], *, most: int = 200) -> list[ConnectedAccount]:
    """Return those of the user's accounts that are named; what is no id names none."""
    found = []
    for text in ids[:most]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return list(accounts_of(user).filter(pk__in=found).order_by("name", "pk"))
