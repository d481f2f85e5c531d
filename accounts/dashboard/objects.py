"""What the dashboard tells of a user's accounts: each one's connection, and sums over all."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from accounts.hot_state import AccountState
from accounts.models import AccountConnection, ConnectedAccount
from accounts.models.connection import ConnectionState
from accounts.sessions.states import Reason
from accounts.terminals.readings import STALE_AFTER_SECONDS

Json = dict[str, Any]
_SUMMED = ("balance", "equity", "profit", "margin")
# What makes a change of the connection worth telling.
_TOLD = ("state", "reason", "message", "at")


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`accounts` are keyed by id, in the order of their names; `versions` move with each edit."""

    accounts: dict[str, Json]
    versions: dict[str, datetime]
    summary: Json

    def changes_since(self, before: "Dashboard") -> list[Json]:
        """Return the messages that lead from an earlier state to this one."""
        messages = []
        for key, account in self.accounts.items():
            known = before.accounts.get(key)
            if known is None:
                messages.append(_changed("created", account))
            elif before.versions[key] != self.versions[key]:
                messages.append(_changed("updated", account))
            if known is None or any(known[name] != account[name] for name in _TOLD):
                messages.append(connection_message(account))
        gone = before.accounts.keys() - self.accounts.keys()
        return [*messages, *(_changed("deleted", before.accounts[key]) for key in sorted(gone))]


def dashboard_of(
    accounts: Sequence[ConnectedAccount], states: Mapping[UUID, AccountState], *, now: datetime
) -> Dashboard:
    """Put together what is told of all accounts of a user and their last states."""
    told = {
        str(account.pk): _account_object(account, states.get(account.pk), now)
        for account in accounts
    }
    return Dashboard(
        accounts=told,
        versions={str(account.pk): account.updated_at for account in accounts},
        summary=_summary(list(told.values())),
    )


def connection_message(account: Json) -> Json:
    told = {name: account[name] for name in ("account_id", "name", *_TOLD)}
    return {"type": "account_connection", **told}


def _changed(change: str, account: Json) -> Json:
    return {
        "type": "account_changed",
        "change": change,
        "account_id": account["account_id"],
        "name": account["name"],
    }


def _account_object(account: ConnectedAccount, state: AccountState | None, now: datetime) -> Json:
    connection = getattr(account, "connection", None)
    read_at = float(state.account["read_at"]) if state else math.nan
    age = None if math.isnan(read_at) else max(now.timestamp() - read_at, 0.0)
    is_stale = age is None or age > STALE_AFTER_SECONDS
    figures = dict.fromkeys(_SUMMED) if state is None or age is None else _figures(state)
    return {
        "account_id": str(account.pk),
        "name": account.name,
        "currency": account.currency,
        "is_active": account.is_active,
        **_connection(connection, None if is_stale else state),
        "reading_age_seconds": None if age is None else round(age, 3),
        "is_stale": is_stale,
        **figures,
    }


def _connection(connection: AccountConnection | None, live: AccountState | None) -> Json:
    """Tell the state of a session; one that is connected may still have something against it."""
    if connection is None:
        state = ConnectionState.DISCONNECTED.value
        return {"state": state, "reason": "", "message": "", "at": None}
    reason, message = connection.reason, connection.last_error
    is_connected = connection.state == ConnectionState.CONNECTED
    if is_connected and live is not None and not live.account["algo_trading_allowed"]:
        reason, message = Reason.ALGO_TRADING_OFF.value, Reason.ALGO_TRADING_OFF.sentence
    return {
        "state": connection.state,
        "reason": reason,
        "message": message,
        "at": _iso(connection.since),
    }


def _figures(state: AccountState) -> dict[str, float | None]:
    digits = int(state.account["currency_digits"])
    return {name: round(float(state.account[name]), digits) for name in _SUMMED}


def _summary(accounts: Sequence[Json]) -> Json:
    """Count the accounts and sum up, per currency, those whose reading is live."""
    by_state = dict.fromkeys(ConnectionState.values, 0)
    for account in accounts:
        by_state[account["state"]] += 1
    live = [account for account in accounts if not account["is_stale"]]
    currencies = sorted({account["currency"] for account in live})
    return {
        "type": "summary",
        "accounts": len(accounts),
        "active": sum(account["is_active"] for account in accounts),
        "live": len(live),
        **by_state,
        "totals": [
            _total(currency, (each for each in live if each["currency"] == currency))
            for currency in currencies
        ],
    }


def _total(currency: str, accounts: Iterable[Json]) -> Json:
    summed = list(accounts)
    sums = {name: round(math.fsum(each[name] for each in summed), 8) for name in _SUMMED}
    return {"currency": currency, "accounts": len(summed), **sums}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
