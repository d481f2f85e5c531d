"""Deals and equity snapshots that tests need."""

from datetime import datetime
from decimal import Decimal

from accounts.models import ConnectedAccount, Deal, EquitySnapshot
from accounts.tests.factories import NOW


def make_deal(account: ConnectedAccount, *, ticket: int, **fields: object) -> Deal:
    """Create a deal: a buy of 0.1 EURUSD, with a ticket that orders it in time."""
    defaults: dict[str, object] = {
        "server": account.server,
        "login": account.login,
        "order": ticket,
        "position": ticket,
        "time": NOW,
        "time_msc": 1_795_000_000_000 + ticket,
        "type": 0,
        "entry": 0,
        "reason": 0,
        "symbol": "EURUSD",
        "volume_lots": Decimal("0.1"),
        "price": 1.1,
        "commission": Decimal(0),
        "swap": Decimal(0),
        "profit": Decimal(0),
        "fee": Decimal(0),
        "magic": 0,
    }
    return Deal.objects.create(account=account, ticket=ticket, **{**defaults, **fields})


def snapshot(
    account: ConnectedAccount, at: datetime, *, resolution: int = 60, **fields: object
) -> EquitySnapshot:
    """Build, without storing it, a snapshot of an account that was worth 100,000 all the time."""
    money = ("balance", "equity", "equity_low", "equity_high")
    defaults: dict[str, object] = {
        **dict.fromkeys(money, Decimal(100_000)),
        "credit": Decimal(0),
        "margin": Decimal(0),
        "server": account.server,
        "login": account.login,
        "position_count": 0,
        "readings": 300,
    }
    return EquitySnapshot(account=account, at=at, resolution=resolution, **{**defaults, **fields})


def make_snapshot(
    account: ConnectedAccount, at: datetime, *, resolution: int = 60, **fields: object
) -> EquitySnapshot:
    made = snapshot(account, at, resolution=resolution, **fields)
    made.save()
    return made
