"""The broker's calls beyond MetaTrader's own: administration, faults and the batch read.

They look the same on a trade server in this process and on a client of the broker process.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..readings import ReadingBatch
from . import constants as mt5
from .faults import DEFAULT_HANG_SECONDS, FaultKind

Logins = Sequence[int] | npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTerms:
    """What an account is opened with. Levels are percent of the margin, or money in money mode."""

    currency: str = "USD"
    leverage: int = 100
    deposit: float = 0.0
    trade_mode: int = mt5.ACCOUNT_TRADE_MODE_DEMO
    margin_mode: int = mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
    stop_out_mode: int = mt5.ACCOUNT_STOPOUT_MODE_PERCENT
    stop_out_call: float = 100.0
    stop_out_level: float = 50.0
    commission_per_lot: float = 0.0
    position_limit: int = 0
    order_limit: int = 0
    fifo_close: bool = False
    investor_password: str = ""
    robot: Mapping[str, Any] | None = None


class BrokerCalls(ABC):
    """Typed forms of `call` for everything that administers the broker."""

    @abstractmethod
    def call(self, method: str, *arguments: Any) -> Any:
        """Carry out one method with plain arguments; raise LinkError or ValueError."""

    def create_server(self, name: str, *, prefix: str = "", suffix: str = "") -> bool:
        """Open a server whose symbols have a prefix and a suffix; return False when it exists.

        A server that an account is opened on comes into being by itself, with plain names.
        Raises ValueError when the server exists with other names.
        """
        return bool(self.call("create_server", name, prefix, suffix))

    def create_account(
        self, login: int, password: str, server: str, name: str, **terms: Any
    ) -> bool:
        """Open an account with the given `AccountTerms`; return False when the login exists.

        Raises ValueError for terms that the broker does not offer.
        """
        plain = asdict(AccountTerms(**terms))
        return bool(self.call("create_account", int(login), password, server, name, plain))

    def accounts(self) -> list[dict[str, Any]]:
        """Return login, server, name, currency, balance, equity and robot of every account."""
        return list(self.call("accounts"))

    def deposit(self, login: int, amount: float, comment: str = "Deposit") -> int:
        """Add money; return the deal's ticket."""
        _check_amount(amount)
        return int(self.call("transfer", login, mt5.DEAL_TYPE_BALANCE, amount, comment))

    def withdraw(self, login: int, amount: float, comment: str = "Withdrawal") -> int:
        """Take money out; return the deal's ticket."""
        _check_amount(amount)
        return int(self.call("transfer", login, mt5.DEAL_TYPE_BALANCE, -amount, comment))

    def credit(self, login: int, amount: float, comment: str = "Credit") -> int:
        return int(self.call("transfer", login, mt5.DEAL_TYPE_CREDIT, amount, comment))

    def bonus(self, login: int, amount: float, comment: str = "Bonus") -> int:
        return int(self.call("transfer", login, mt5.DEAL_TYPE_BONUS, amount, comment))

    def correct(self, login: int, amount: float, comment: str = "Correction") -> int:
        return int(self.call("transfer", login, mt5.DEAL_TYPE_CORRECTION, amount, comment))

    def charge_swap(self, ticket: int, amount: float) -> None:
        """Add to an open position's swap; below zero it is a charge."""
        self.call("charge_swap", ticket, amount)

    def set_prices(self, symbol: str, bid: float, ask: float) -> None:
        """Set a price by hand; the feed leaves this symbol alone until `release_prices`."""
        self.call("set_prices", symbol, bid, ask)

    def release_prices(self, symbol: str) -> None:
        self.call("release_prices", symbol)

    def set_algo_trading(self, login: int, on: bool) -> None:
        """Press the terminal's "Algo Trading" button."""
        self.call("set_account", login, "algo_trading", on)

    def set_trade_allowed(self, login: int, allowed: bool) -> None:
        self.call("set_account", login, "trade_allowed", allowed)

    def set_enabled(self, login: int, enabled: bool) -> None:
        """Let an account log in, or refuse it and end its sessions."""
        self.call("set_account", login, "enabled", enabled)

    def change_password(self, login: int, password: str) -> None:
        self.call("change_password", login, password)

    def set_market_open(self, symbol: str, is_open: bool) -> None:
        self.call("set_market_open", symbol, is_open)

    def set_trade_mode(self, symbol: str, mode: int) -> None:
        """Set what may be traded of a symbol (SYMBOL_TRADE_MODE_*)."""
        self.call("set_trade_mode", symbol, mode)

    def set_robot(self, login: int, spec: Mapping[str, Any] | None) -> None:
        """Let a robot trade an account, or none; the spec is kept in the books."""
        self.call("set_robot", login, None if spec is None else dict(spec))

    def set_fault(
        self,
        login: int,
        kind: FaultKind,
        *,
        seconds: float | None = None,
        once: bool = False,
        peer: int | None = None,
        hang_seconds: float = DEFAULT_HANG_SECONDS,
    ) -> None:
        """Let something go wrong for one account until it is cleared, or for some seconds.

        ``once`` ends TORN after one reading and REJECT after one order; ``peer`` is the login
        whose data WRONG_ACCOUNT answers; ``hang_seconds`` is how long HANG blocks a call.
        """
        self.call("set_fault", login, str(kind), seconds, once, peer, hang_seconds)

    def clear_fault(self, login: int) -> None:
        self.call("clear_fault", login)

    def clear_faults(self) -> None:
        self.call("clear_faults")

    def server_time(self) -> float:
        """Return the broker's wall clock as a UTC epoch."""
        return float(self.call("server_time"))

    def fingerprint(self) -> str:
        """Return a digest of the books: the same books give the same digest."""
        return str(self.call("fingerprint"))

    def authorise_many(self, credentials: Sequence[tuple[int, str, str]]) -> list[int]:
        """Log in to many accounts (login, password, server); return an error code for each.

        1 is success, else MT5's last_error code.
        """
        return list(self.call("authorise_many", list(credentials)))

    def read_batch(self, logins: Logins, deal_cursors: Logins) -> ReadingBatch:
        """Read many accounts in one go, with the deals newer than each one's cursor (a ticket)."""
        plain = self.call(
            "read_batch",
            np.asarray(logins, dtype=np.int64),
            np.asarray(deal_cursors, dtype=np.int64),
        )
        return ReadingBatch(**plain)


def _check_amount(amount: float) -> None:
    if not 0 < amount < math.inf:
        raise ValueError(f"{amount} is no amount to move: it should be above 0")
