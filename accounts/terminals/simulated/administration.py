"""The broker's back office: accounts, money, and prices by hand."""

import json
from collections.abc import Mapping
from numbers import Integral
from typing import Any

from . import constants as mt5
from .books.books import CHANGED_ACCOUNT, NEW_ACCOUNT, NEW_SERVER
from .calls import AccountTerms
from .engine import Engine
from .rights import password_digest
from .robots.specs import RobotSpec
from .symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from .symbols.contracts import ACCOUNT_CURRENCIES, CURRENCY_INDEX, currency_digits
from .symbols.naming import Naming

_TRANSFER_TYPES = (
    mt5.DEAL_TYPE_BALANCE,
    mt5.DEAL_TYPE_CREDIT,
    mt5.DEAL_TYPE_CORRECTION,
    mt5.DEAL_TYPE_BONUS,
)
_REASONS_BY_HAND = (mt5.ORDER_REASON_CLIENT, mt5.ORDER_REASON_MOBILE, mt5.ORDER_REASON_WEB)
_SWITCHES = ("algo_trading", "python_api", "trade_allowed", "trade_expert", "enabled")
_TRADE_MODES = (
    mt5.SYMBOL_TRADE_MODE_DISABLED,
    mt5.SYMBOL_TRADE_MODE_LONGONLY,
    mt5.SYMBOL_TRADE_MODE_SHORTONLY,
    mt5.SYMBOL_TRADE_MODE_CLOSEONLY,
    mt5.SYMBOL_TRADE_MODE_FULL,
)
LARGEST_LOGIN = 2**53
LARGEST_AMOUNT = 1e12  # beyond it doubles lose cents, and sums could overflow
LARGEST_PRICE_POINTS = 10**9  # bars keep spreads in 32 bits
_TERM_VALUES: Mapping[str, range] = {
    "leverage": range(1, 2**31),
    "trade_mode": range(mt5.ACCOUNT_TRADE_MODE_DEMO, mt5.ACCOUNT_TRADE_MODE_REAL + 1),
    "margin_mode": range(
        mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING, mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING + 1
    ),
    "stop_out_mode": range(mt5.ACCOUNT_STOPOUT_MODE_PERCENT, mt5.ACCOUNT_STOPOUT_MODE_MONEY + 1),
    "position_limit": range(2**31),
    "order_limit": range(2**31),
}
_TERM_AMOUNTS = ("deposit", "stop_out_call", "stop_out_level", "commission_per_lot")


class Administration:
    """Carries out the administration calls. Not thread-safe: the trade server holds the lock."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._books = engine.books
        self.robots_version = 0

    def create_server(self, name: str, prefix: str, suffix: str) -> bool:
        if not name:
            raise ValueError("a server needs a name")
        naming = Naming(prefix, suffix)
        if name not in self._books.servers:
            self._books.write(NEW_SERVER, name, prefix, suffix)
            return True
        if self._books.naming[self._books.servers.index(name)] != naming:
            raise ValueError(f"{name} names its symbols in another way")
        return False

    def create_account(
        self, login: int, password: str, server: str, name: str, terms: Mapping[str, Any]
    ) -> bool:
        if login in self._books.account_of:
            return False
        agreed = AccountTerms(**terms)
        _check_terms(login, server, agreed)
        self._books.write(NEW_ACCOUNT, server, _opened(login, password, name, agreed))
        self.robots_version += 1
        if agreed.deposit:
            self.transfer(login, mt5.DEAL_TYPE_BALANCE, agreed.deposit, "Initial deposit")
        return True

    def accounts(self) -> list[dict[str, Any]]:
        return [self._summary(login, row) for login, row in self._books.account_of.items()]

    def transfer(self, login: int, deal_type: int, amount: float, comment: str) -> int:
        if deal_type not in _TRANSFER_TYPES:
            raise ValueError(f"{deal_type} is not a balance operation")
        _check_amount(amount)
        return self._engine.ledger.transfer(self.number(login), deal_type, amount, comment)

    def charge_swap(self, ticket: int, amount: float) -> None:
        row = self._books.position_row(ticket)
        if row is None:
            raise ValueError(f"there is no open position {ticket}")
        _check_amount(amount)
        self._engine.ledger.charge_swap(row, amount)

    def trade_by_hand(self, login: int, request: Mapping[str, Any], reason: int) -> tuple[Any, ...]:
        if reason not in _REASONS_BY_HAND:
            raise ValueError(f"{reason} is no reason of an order that a person sends")
        return self._engine.desk.send(self.number(login), request, reason)

    def set_prices(self, symbol: str, bid: float, ask: float) -> None:
        index = _symbol(symbol)
        digits, largest = CONTRACTS[index].digits, CONTRACTS[index].point * LARGEST_PRICE_POINTS
        if not 0 < round(bid, digits) <= round(ask, digits) <= largest:
            raise ValueError(f"{bid} / {ask} is no quote: 0 < bid ≤ ask ≤ {largest} does not hold")
        self._engine.quote(index, round(float(bid), digits), round(float(ask), digits))

    def release_prices(self, symbol: str) -> None:
        self._engine.release(_symbol(symbol))

    def set_account(self, login: int, switch: str, on: bool) -> None:
        if switch not in _SWITCHES:
            raise ValueError(f"{switch} is not a switch of an account")
        self._books.write(CHANGED_ACCOUNT, self.number(login), {switch: bool(on)})

    def change_password(self, login: int, password: str) -> None:
        digest = password_digest(login, password)
        self._books.write(CHANGED_ACCOUNT, self.number(login), {"password": digest})

    def set_market_open(self, symbol: str, is_open: bool | None) -> None:
        self._engine.opening.set_open(_symbol(symbol), is_open)
        self._engine.record_opening()

    def set_quotes(self, symbol: str, on: bool) -> None:
        self._engine.opening.set_quotes(_symbol(symbol), on)
        self._engine.record_opening()

    def set_trade_mode(self, symbol: str, mode: int) -> None:
        if mode not in _TRADE_MODES:
            raise ValueError(f"{mode} is not a trade mode of a symbol")
        self._engine.opening.trade_modes[_symbol(symbol)] = mode
        self._engine.record_opening()

    def set_robot(self, login: int, spec: Mapping[str, Any] | None) -> None:
        self._books.write(CHANGED_ACCOUNT, self.number(login), {"robot": robot_text(spec)})
        self.robots_version += 1

    def server_time(self) -> float:
        self._engine.touch()
        return self._engine.now_msc() / 1000

    def fingerprint(self) -> str:
        return self._books.fingerprint()

    def number(self, login: int) -> int:
        """Return an account's row; raises ValueError for a login that nobody has."""
        number = self._books.account_of.get(login)
        if number is None:
            raise ValueError(f"there is no account {login}")
        return number

    def _summary(self, login: int, row: int) -> dict[str, Any]:
        account = self._books.accounts.row(row)
        return {
            "login": login,
            "server": self._books.servers[account["server"]],
            "name": account["name"],
            "currency": list(CURRENCY_INDEX)[account["currency"]],
            "balance": account["balance"],
            "equity": self._books.equity(row),
            "margin_call": bool(account["margin_call"]),
            "robot": json.loads(account["robot"]) if account["robot"] else None,
        }


def robot_text(spec: Mapping[str, Any] | None) -> str:
    """Return a robot's spec as the books keep it; raises ValueError for one that is none."""
    if spec is not None:
        RobotSpec.of(spec)
    return "" if spec is None else json.dumps(dict(spec), sort_keys=True)


def _symbol(name: str) -> int:
    if name not in CONTRACT_INDEX:
        raise ValueError(f"{name} is not a symbol of this broker")
    return CONTRACT_INDEX[name]


def _check_terms(login: int, server: str, terms: AccountTerms) -> None:
    if not 0 < login < LARGEST_LOGIN:
        raise ValueError(f"{login} is not a login")
    if not server:
        raise ValueError("an account needs the name of its server")
    if terms.currency not in ACCOUNT_CURRENCIES:
        raise ValueError(f"accounts are kept in {', '.join(ACCOUNT_CURRENCIES)}")
    for name, values in _TERM_VALUES.items():
        value = getattr(terms, name)
        # A range that is asked for a float looks at each of its numbers.
        if not isinstance(value, Integral) or int(value) not in values:
            raise ValueError(f"{value} is no {name} of an account")
    for name in _TERM_AMOUNTS:
        _check_amount(getattr(terms, name))
    if terms.deposit < 0:
        raise ValueError("a deposit is not below 0")


def _check_amount(amount: float) -> None:
    if not abs(amount) <= LARGEST_AMOUNT:
        raise ValueError(f"{amount} is no amount: at most {LARGEST_AMOUNT:.0f} can be kept")


def _opened(login: int, password: str, name: str, terms: AccountTerms) -> dict[str, Any]:
    investor = terms.investor_password
    return {
        "login": login, "name": name, "currency": CURRENCY_INDEX[terms.currency],
        "currency_digits": currency_digits(terms.currency), "leverage": terms.leverage,
        "trade_mode": terms.trade_mode, "margin_mode": terms.margin_mode, "balance": 0.0,
        "credit": 0.0, "floating": 0.0, "margin": 0.0, "stop_out_mode": terms.stop_out_mode,
        "stop_out_call": terms.stop_out_call, "stop_out_level": terms.stop_out_level,
        "margin_call": False, "commission_per_lot": terms.commission_per_lot,
        "position_limit": terms.position_limit, "order_limit": terms.order_limit,
        "fifo_close": terms.fifo_close, "trade_allowed": True, "trade_expert": True,
        "investor": False, "algo_trading": True, "python_api": True, "enabled": True,
        "last_deal": 0, "password": password_digest(login, password),
        "investor_password": password_digest(login, investor) if investor else b"",
        "robot": robot_text(terms.robot),
    }  # fmt: skip
