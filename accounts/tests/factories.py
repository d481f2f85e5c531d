"""Rows that tests need, made with as few words as possible.

The cast: alice owns, bob shares, charlie is a stranger.
"""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.totp.internal.auth import TOTP
from django.test import Client

from accounts.models import AccountConnection, ApiKey, ConnectedAccount, TerminalHost, User
from accounts.models.connection import ConnectionState
from accounts.second_factor import has_second_factor

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"
SECRET = "Br0ker-s3cret!"
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
_logins = count(50_000_001)


def make_user(username: str = "alice", **fields: object) -> User:
    """Create a user who signs in with PASSWORD; `fields` may say `is_staff` and the like."""
    user = User(username=username, **{"email": f"{username}@example.com", **fields})
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in_staff(client: Client, user: User) -> User:
    """Sign in with a second factor, as the administration asks for."""
    if not has_second_factor(user):
        TOTP.activate(user, TOTP_SECRET)
    client.force_login(user)
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "mfa", "at": 0.0, "type": "totp"}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    client.get("/settings")  # the first page of a session is noted, which costs queries of its own
    return user


def make_host(name: str = "local") -> TerminalHost:
    return TerminalHost.objects.get_or_create(name=name)[0]


def make_key(user: User, *, secret: str = SECRET, name: str = "A broker login") -> ApiKey:
    return ApiKey.objects.create(user=user, name=name, secret=secret)


def make_account(
    user: User,
    name: str = "Alpha 1",
    *,
    state: str = ConnectionState.DISCONNECTED,
    with_key: bool = False,
    **fields: object,
) -> ConnectedAccount:
    """Create an account and its connection row; `with_key` gives it a vault key holding SECRET."""
    defaults: dict[str, object] = {
        "broker": "Example Brokers",
        "server": "Example-Demo",
        "login": next(_logins),
        "currency": "USD",
        "initial_balance": Decimal("100000.00"),
        "terminal_host": fields.pop("terminal_host", None) or make_host(),
        "api_key": make_key(user) if with_key else None,
    }
    account = ConnectedAccount.objects.create(user=user, name=name, **{**defaults, **fields})
    AccountConnection.objects.create(
        account=account,
        state=state,
        is_wanted=state != ConnectionState.DISCONNECTED,
        since=NOW,
    )
    return account
