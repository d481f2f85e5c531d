"""What planning is told of a provider and its followers."""

from decimal import Decimal

from copytrade.core.facts import (
    FollowerSnapshot,
    HeldCopy,
    ProviderEvent,
)
from copytrade.core.kinds import EventKind, OrderType
from copytrade.models import CopyEvent
from copytrade.replication.copied import Ledger
from copytrade.replication.followers import Follower
from copytrade.replication.markets import Markets, Rates
from copytrade.replication.scene import Scene


def provider_event(event: CopyEvent, scene: Scene, markets: Markets, login: int) -> ProviderEvent:
    """Return a stored event as planning sees it, with the provider's figures of now."""
    facts = scene.view.facts_of(event.provider_id)
    contract = rates = None
    names: frozenset[str] = frozenset()
    if facts is not None:
        kind = scene.kind_of(event.provider_id, facts.server, facts.currency)
        contract = markets.contracts(kind, login).get(event.symbol)
        names = markets.names(facts.server, login)
        rates = Rates(markets, kind, login)
    return ProviderEvent(
        id=event.id,
        kind=EventKind(event.kind),
        symbol=event.symbol,
        is_buy=event.direction == "buy",
        happened_at=event.happened_at,
        lots=event.volume or Decimal(0),
        lots_before=event.volume_before or Decimal(0),
        price=event.price,
        stop_limit_price=event.stop_limit_price,
        stop_loss=event.stop_loss or None,
        take_profit=event.take_profit or None,
        order_type=OrderType(event.order_type or OrderType.MARKET),
        magic=event.magic,
        position_ticket=event.position_ticket,
        order_ticket=event.order_ticket,
        contract=contract,
        figures=scene.figures.get(event.provider_id),
        symbol_names=names,
        rates=rates or {},
    )


class Pictures:
    """Makes the snapshots of followers."""

    def __init__(self, scene: Scene, ledger: Ledger, markets: Markets) -> None:
        self._scene = scene
        self._ledger = ledger
        self._markets = markets
        self._names: dict[str, frozenset[str]] = {}

    def of(self, follower: Follower) -> FollowerSnapshot:
        return self.holding(follower, self._ledger.held(follower))

    def holding(self, follower: Follower, held: HeldCopy | None) -> FollowerSnapshot:
        """Return the snapshot of a follower of whose copy is known what it holds."""
        account, scene, ledger = follower.account, self._scene, self._ledger
        kind = scene.kind_of(account.id, account.server, account.currency)
        # Each asks with its own login, when nobody of its kind has got an answer: one terminal
        # that says nothing leaves the others in the dark no more.
        names = self._names.get(account.server)
        if not names:
            names = self._names[account.server] = self._markets.names(
                account.server, account.login, kind.host
            )
        lock = scene.locks.get(account.id)
        return FollowerSnapshot(
            account_id=account.id,
            terms=follower.terms,
            symbol_names=names,
            contracts=self._markets.contracts(kind, account.login),
            figures=scene.figures.get(account.id),
            held=held,
            pending=ledger.pendings.get(follower.terms.id),
            nets=ledger.nets(follower),
            open_copies=ledger.counts.get(follower.terms.id, 0),
            lock_reason="" if lock is None else lock.reason,
        )
