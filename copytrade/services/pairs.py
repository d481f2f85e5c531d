"""Which accounts may not become a provider and its follower."""

from collections.abc import Iterable
from uuid import UUID

from django.core.exceptions import ValidationError

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.selectors import last_states
from copytrade.core.loops import find_loop, loop_sentence
from copytrade.models import CopyRelationship

_STRANGERS = "another trader's account"
# A login may be watched by several users, each with a row of their own.
_Login = tuple[str, int]


def check_pair(provider: ConnectedAccount, follower: ConnectedAccount) -> None:
    """Raise ValidationError where both are the same account of a broker."""
    if provider.pk == follower.pk:
        raise ValidationError({"follower": "Choose another account than the provider."})
    if _login(provider) == _login(follower):
        raise ValidationError({"follower": "This is the same login as the provider's."})


def refuse_same_login(provider: ConnectedAccount, follower: ConnectedAccount) -> None:
    """Raise Refusal where both are the same account of a broker, watched by two users."""
    if _login(provider) == _login(follower):
        raise Refusal("Your account has the same login as the provider's.", code="same_login")


def refuse_second(provider: ConnectedAccount, follower: ConnectedAccount) -> None:
    """Raise Refusal when these two have a living relationship already."""
    living = CopyRelationship.objects.living().filter(provider=provider, follower=follower)
    if living.exists():
        raise Refusal(
            "This follower has a relationship with this provider already; change or end that one.",
            code="relationship_exists",
        )


def refuse_loop(
    provider: ConnectedAccount, follower: ConnectedAccount, *, actor: User | None
) -> None:
    """Raise Refusal when copies would come back to where they began; within `hold_graph`.

    Offers that nobody has accepted copy nothing yet; they are judged when they are accepted.
    """
    ids: dict[_Login, UUID] = {}
    accounts: dict[UUID, ConnectedAccount] = {}
    edges = [
        (_known(row.provider, ids, accounts), _known(row.follower, ids, accounts))
        for row in CopyRelationship.objects.copying().select_related("provider", "follower")
    ]
    ends = _known(provider, ids, accounts), _known(follower, ids, accounts)
    loop = find_loop(edges, *ends)
    if loop is not None:
        names = _names((accounts[each] for each in loop), actor)
        raise Refusal(loop_sentence(names), code="loop")


def refuse_idle(account: ConnectedAccount) -> None:
    """Raise Refusal for an account that nobody watches."""
    if not account.is_active:
        raise Refusal(f"{account.name} is inactive; activate it first.", code="inactive")


def refuse_watching_only(follower: ConnectedAccount) -> None:
    """Raise Refusal when the follower's terminal says that its login may not trade."""
    state = last_states([follower]).get(follower.pk)
    if state is None or state.account["read_at"] != state.account["read_at"]:
        return
    if not state.account["trade_allowed"]:
        raise Refusal(
            f"{follower.name} may only watch: its login is not allowed to trade, so it could copy"
            " nothing.",
            code="watching_only",
        )


def _known(
    account: ConnectedAccount, ids: dict[_Login, UUID], accounts: dict[UUID, ConnectedAccount]
) -> UUID:
    first = ids.setdefault(_login(account), account.pk)
    accounts.setdefault(first, account)
    return first


def _login(account: ConnectedAccount) -> _Login:
    return account.server, account.login


def _names(accounts: Iterable[ConnectedAccount], actor: User | None) -> list[str]:
    return [
        account.name if actor is None or account.user_id == actor.pk else _STRANGERS
        for account in accounts
    ]
