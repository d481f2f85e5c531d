"""The broker's calls beyond MetaTrader's own: administration, faults and the batch read.

They look the same on a trade server in this process and on a client of the broker process.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..alike import AlikeOrders, Answered, submit_singly
from ..readings import ReadingBatch
from . import constants as mt5
from .faults.specs import DEFAULT_HANG_SECONDS, FaultKind, FaultSpec

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

    def submit(self, method: str, *arguments: Any) -> "Future[Any]":
        """Send a call without waiting for its answer; the future fails as `call` does.

        In this process the answer is there at once.
        """
        answer: Future[Any] = Future()
        try:
            answer.set_result(self.call(method, *arguments))
        except Exception as error:
            answer.set_exception(error)
        return answer

    def submit_many(self, method: str, calls: Sequence[tuple[Any, ...]]) -> "list[Future[Any]]":
        """Send calls of one method side by side; each has an answer of its own."""
        return [self.submit(method, *arguments) for arguments in calls]

    def submit_alike(self, orders: AlikeOrders, answered: Answered) -> None:
        """Send orders that hardly differ; `answered` is told of each of them exactly once."""
        submit_singly(self.submit, orders, answered)

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
        if unknown := set(terms) - set(AccountTerms.__slots__):
            raise ValueError(f"an account has no {', '.join(sorted(unknown))}")
        plain = asdict(AccountTerms(**terms))
        return bool(self.call("create_account", int(login), password, server, name, plain))

    def accounts(self) -> list[dict[str, Any]]:
        """Return login, server, name, currency, balance, equity, margin_call and robot of all."""
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

    def trade_by_hand(
        self, login: int, request: Mapping[str, Any], reason: int = mt5.ORDER_REASON_CLIENT
    ) -> tuple[Any, ...]:
        """Send an order as a person would; return an OrderSendResult row.

        Switches that bar programs do not bar a person, and no fault comes in between. Raises
        ValueError for a ``reason`` that is not CLIENT, MOBILE or WEB.
        """
        return tuple(self.call("trade_by_hand", login, dict(request), reason))

    def set_algo_trading(self, login: int, on: bool) -> None:
        """Press the terminal's "Algo Trading" button: off, orders of programs answer 10027."""
        self.call("set_account", login, "algo_trading", on)

    def set_python_api(self, login: int, on: bool) -> None:
        """Set the terminal's option for the Python API: off, order_send fails with -8."""
        self.call("set_account", login, "python_api", on)

    def set_expert_trading(self, login: int, allowed: bool) -> None:
        """Let the broker take orders of programs, or refuse them with 10026."""
        self.call("set_account", login, "trade_expert", allowed)

    def set_trade_allowed(self, login: int, allowed: bool) -> None:
        self.call("set_account", login, "trade_allowed", allowed)

    def set_enabled(self, login: int, enabled: bool) -> None:
        """Let an account log in, or refuse it and end its sessions."""
        self.call("set_account", login, "enabled", enabled)

    def change_password(self, login: int, password: str) -> None:
        self.call("change_password", login, password)

    def set_market_open(self, symbol: str, is_open: bool | None) -> None:
        """Open or close a symbol whatever its hours say; None lets them decide again."""
        self.call("set_market_open", symbol, is_open)

    def set_quotes(self, symbol: str, on: bool) -> None:
        """Take a symbol's quotes away (10021), or give them back."""
        self.call("set_quotes", symbol, on)

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
    ) -> int:
        """Let one thing go wrong for an account, until it is cleared or for some seconds.

        It takes the place of the account's other faults. ``once`` ends it after one call, TORN
        after one reading; ``peer`` is the login whose data WRONG_ACCOUNT answers; ``hang_seconds``
        is how long HANG blocks a call. Returns the fault's number.
        """
        return int(self.call("set_fault", login, str(kind), seconds, once, peer, hang_seconds))

    def add_fault(self, login: int | None, kind: FaultKind, **details: Any) -> int:
        """Let one more thing go wrong, with the details of a `FaultSpec`; None is all accounts.

        Returns the fault's number; raises ValueError for details that make no sense.
        """
        return int(self.call("add_fault", login, {**details, "kind": str(kind)}))

    def script_faults(self, login: int, specs: Sequence[FaultSpec]) -> list[int]:
        """Put these faults, in order, in the place of those that an account has."""
        plain = [{**asdict(spec), "kind": str(spec.kind)} for spec in specs]
        return list(self.call("script_faults", login, plain))

    def random_faults(
        self,
        seed: int,
        probabilities: Mapping[FaultKind, float],
        logins: Sequence[int] | None = None,
        **details: Any,
    ) -> list[int]:
        """Add a fault of each kind that strikes each call with its probability.

        The same seed and calls give the same faults; each account draws from a stream of its own.
        ``details`` of a `FaultSpec` go to the kinds that they belong to. None is all accounts.
        """
        plain = {str(kind): float(chance) for kind, chance in probabilities.items()}
        chosen = None if logins is None else list(logins)
        return list(self.call("random_faults", seed, plain, chosen, details))

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults that are set: each one's `FaultSpec`, number, login and how often it
        struck; a login of None is all accounts."""
        return list(self.call("faults"))

    def clear_fault(self, login: int) -> None:
        """Free an account of all its faults; a crashed terminal still waits for a login."""
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
