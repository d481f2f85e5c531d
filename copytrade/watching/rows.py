"""What a provider did, as rows of the ledger."""

from datetime import datetime

from copytrade.models import CopyEvent
from copytrade.watching.facts import Change, WatchedProvider
from copytrade.watching.ids import event_id

_LONGEST_SYMBOL = 32


def event_of(provider: WatchedProvider, change: Change, detected_at: datetime) -> CopyEvent:
    """Return the unsaved event of a change."""
    known_as = (provider.account_id, provider.server, provider.login)
    return CopyEvent(
        id=event_id(*known_as, change.kind, change.key),
        provider_id=provider.account_id,
        provider_name=provider.name,
        kind=change.kind,
        symbol=change.symbol[:_LONGEST_SYMBOL],
        direction="buy" if change.is_buy else "sell",
        order_type=change.order_type,
        volume=change.lots,
        volume_before=change.lots_before,
        price=change.price,
        stop_limit_price=change.stop_limit_price,
        stop_loss=change.stop_loss or None,
        take_profit=change.take_profit or None,
        magic=change.magic,
        position_ticket=change.position,
        order_ticket=change.order,
        deal_ticket=change.deal,
        is_stop_out=change.is_stop_out,
        happened_at=change.happened_at,
        detected_at=detected_at,
    )
