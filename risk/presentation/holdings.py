"""What accounts hold, as somebody is told who is about to close it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.figures import signed
from accounts.models import ConnectedAccount
from accounts.selectors import last_states
from accounts.terminals.readings import STALE_AFTER_SECONDS


@dataclass(frozen=True, slots=True)
class Holding:
    """One account's open positions and pending orders; None where they are not known now."""

    account: ConnectedAccount
    positions: int | None
    orders: int | None
    floating: float | None
    can_be_closed: bool = True

    @property
    def is_known(self) -> bool:
        return self.positions is not None

    @property
    def sentence(self) -> str:
        if not self.can_be_closed:
            return "not connected: TradeGuard can close nothing there"
        if self.positions is None or self.orders is None:
            return "not known now; whatever is open when it answers"
        if not self.positions and not self.orders:
            return "nothing is open"
        positions = f"{self.positions} position{'' if self.positions == 1 else 's'}"
        orders = f"{self.orders} pending order{'' if self.orders == 1 else 's'}"
        found = [positions] * bool(self.positions) + [orders] * bool(self.orders)
        return " and ".join(found)

    @property
    def result(self) -> str:
        has_result = self.positions and self.floating is not None
        return f"{signed(self.floating)} {self.account.currency}" if has_result else ""


def holdings(accounts: Sequence[ConnectedAccount], *, now: datetime) -> list[Holding]:
    """Return what each account holds by its newest reading, in one round trip.

    Those with something to close come first, those that are flat last.
    """
    states = last_states(accounts)
    found = []
    for account in accounts:
        if not is_within_reach(account):
            found.append(Holding(account, None, None, None, can_be_closed=False))
            continue
        state = states.get(account.pk)
        is_live = (
            state is not None
            and abs(now.timestamp() - float(state.account["read_at"])) <= STALE_AFTER_SECONDS
        )
        if state is None or not is_live:
            found.append(Holding(account, None, None, None))
            continue
        floating = float(state.account["profit"])
        found.append(Holding(account, len(state.positions), len(state.orders), floating))
    return sorted(found, key=_place)


def is_within_reach(account: ConnectedAccount) -> bool:
    """Tell whether anybody keeps a session of the account, and so can close there."""
    connection = getattr(account, "connection", None)
    return account.is_active and connection is not None and connection.is_wanted


def _place(holding: Holding) -> tuple[bool, bool, bool]:
    is_flat = holding.is_known and not holding.positions and not holding.orders
    return not holding.can_be_closed, is_flat, not holding.is_known


def closing_sentence(found: Sequence[Holding]) -> str:
    """Say in one sentence what closing all of it means."""
    within = [each for each in found if each.can_be_closed]
    if not within:
        return "No account here is connected: TradeGuard can close nothing"
    unknown = sum(not each.is_known for each in within)
    if unknown == len(within):
        what = "The account does" if unknown == 1 else f"{unknown} accounts do"
        return f"{what} not answer now: whatever is open will be closed as soon as possible"
    positions = sum(each.positions or 0 for each in within)
    orders = sum(each.orders or 0 for each in within)
    text = f"{positions} position{'' if positions == 1 else 's'} will be closed"
    if orders:
        text += f" and {orders} pending order{'' if orders == 1 else 's'} deleted"
    if len(within) > 1:
        text += f", on {len(within)} accounts"
    if unknown:
        text += f"; {unknown} of them do{'es' if unknown == 1 else ''} not answer now"
    return text
