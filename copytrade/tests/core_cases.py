"""Events, contracts and followers as the core sees them, with what a test does not care about."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from copytrade.core.facts import (
    AccountFigures,
    FollowerSnapshot,
    HeldCopy,
    HeldPending,
    ProviderEvent,
    RelationshipTerms,
    SymbolContract,
)
from copytrade.core.kinds import EventKind, OrderType
from copytrade.core.plan import plan_event
from copytrade.core.plans import Plan, Planned, Skipped

NOW = datetime(2026, 3, 4, 15, 30, 0, tzinfo=UTC)
NAMES = frozenset({"EURUSD", "GBPUSD", "USDJPY", "XAUUSD"})


def contract(name: str = "EURUSD", **changes: Any) -> SymbolContract:
    """Return EURUSD of an account in USD, unless told otherwise."""
    told: dict[str, Any] = {
        "name": name,
        "value_per_price": Decimal(100_000),
        "value_currency": "USD",
        "volume_min": Decimal("0.01"),
        "volume_max": Decimal(50),
        "volume_step": Decimal("0.01"),
        "point": 0.00001,
        "digits": 5,
        "loss_per_price": Decimal(100_000),
        "bid": 1.08772,
        "ask": 1.08774,
    }
    return SymbolContract(**{**told, **changes})


def figures(equity: float = 10_000.0, **changes: Any) -> AccountFigures:
    told: dict[str, Any] = {
        "currency": "USD",
        "equity": equity,
        "balance": equity,
        "free_margin": equity,
    }
    return AccountFigures(**{**told, **changes})


def terms(**changes: Any) -> RelationshipTerms:
    return RelationshipTerms(**{"id": uuid.UUID(int=7), **changes})


def event(kind: EventKind = EventKind.OPEN, **changes: Any) -> ProviderEvent:
    """Return a buy of 1 lot, a second ago, of a provider that has 10,000 USD."""
    told: dict[str, Any] = {
        "id": uuid.UUID(int=1),
        "kind": kind,
        "symbol": "EURUSD",
        "is_buy": True,
        "happened_at": NOW - timedelta(seconds=1),
        "lots": Decimal(1),
        "price": 1.08774,
        "position_ticket": 500,
        "contract": contract(),
        "figures": figures(),
        "symbol_names": NAMES,
    }
    return ProviderEvent(**{**told, **changes})


def follower(relationship: RelationshipTerms | None = None, **changes: Any) -> FollowerSnapshot:
    """Return a hedging follower that has 2,300 USD and quotes EURUSD as its provider does."""
    told: dict[str, Any] = {
        "account_id": uuid.UUID(int=9),
        "terms": relationship or terms(),
        "symbol_names": NAMES,
        "contracts": {"EURUSD": contract()},
        "figures": figures(2_300.0),
    }
    return FollowerSnapshot(**{**told, **changes})


def held(lots: str = "0.23", **changes: Any) -> HeldCopy:
    told: dict[str, Any] = {
        "symbol": "EURUSD",
        "is_buy": True,
        "lots": Decimal(lots),
        "ticket": 77,
        "position_lots": Decimal(lots),
    }
    return HeldCopy(**{**told, **changes})


def waiting(**changes: Any) -> HeldPending:
    """Return a copied buy limit at 1.0800."""
    told: dict[str, Any] = {
        "symbol": "EURUSD",
        "is_buy": True,
        "order_type": OrderType.LIMIT,
        "lots": Decimal("0.23"),
        "ticket": 88,
        "price": 1.08,
    }
    return HeldPending(**{**told, **changes})


def plan(happened: ProviderEvent, snapshot: FollowerSnapshot) -> Plan:
    return plan_event(happened, snapshot, now=NOW)


def planned(happened: ProviderEvent, snapshot: FollowerSnapshot) -> Planned:
    result = plan(happened, snapshot)
    assert isinstance(result, Planned), result
    return result


def skipped(happened: ProviderEvent, snapshot: FollowerSnapshot) -> Skipped:
    result = plan(happened, snapshot)
    assert isinstance(result, Skipped), result
    return result
