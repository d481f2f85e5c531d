"""Accounts that use a key here and at the broker, and the trail that is left of a key."""

from typing import Any

from accounts.models import ApiKey, ApiKeyAuditLog, ConnectedAccount
from accounts.terminals.simulated.server import TradeServer
from accounts.tests.factories import SECRET, make_account

SERVER = "Example-Demo"


def account_at(
    server: TradeServer, key: ApiKey, name: str = "Alpha 1", password: str = SECRET, **fields: Any
) -> ConnectedAccount:
    account = make_account(key.user, name, api_key=key, server=SERVER, **fields)
    server.create_account(account.login, password, SERVER, account.name, deposit=10_000.0)
    return account


def trail(key: ApiKey) -> list[tuple[str, str, str]]:
    """Return what was done with a key, oldest first: action, outcome, reason."""
    rows = ApiKeyAuditLog.objects.filter(key_id=key.pk).order_by("id")
    return list(rows.values_list("action", "outcome", "reason"))
