"""Who takes part: two providers, and followers that each copy in another way."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any, Final

from accounts.models import ConnectedAccount, User
from accounts.services.accounts import create_account
from accounts.services.users import register_user
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.service.client import RemoteBroker
from copytrade.models import CopyRelationship
from copytrade.services.relationships import offer_relationship

_FIRST_LOGIN: Final = 7_700_001
_PLAIN, _SUFFIXED = "SoakMarkets-Demo", "SoakSuffix-Demo"
SUFFIX: Final = ".r"
SYMBOLS: Final = ("EURUSD", "GBPUSD", "AUDUSD", "USDJPY", "XAUUSD")
# Every fifth follower copies the netting provider, and every fourth nets itself.
_OF_NETTING: Final = 5
_NETTING: Final = 4
_SUFFIXED_EACH: Final = 3
_DEPOSITS: Final = (20_000, 50_000, 100_000, 250_000, 500_000)
_CURRENCIES: Final = ("USD", "USD", "EUR", "GBP")

_SIZINGS: Final[Sequence[Mapping[str, Any]]] = (
    {"sizing": "multiplier", "multiplier": Decimal(1)},
    {"sizing": "equity_ratio"},
    {"sizing": "multiplier", "multiplier": Decimal("0.37")},
    {"sizing": "fixed_lot", "fixed_lots": Decimal("0.07")},
    {"sizing": "balance_ratio", "multiplier": Decimal(2)},
    {"sizing": "free_margin_ratio"},
    {"sizing": "risk_percent", "risk_fraction": Decimal("0.002")},
    {"sizing": "multiplier", "multiplier": Decimal("0.05")},
)
_VARIATIONS: Final[Sequence[Mapping[str, Any]]] = (
    {},
    {"is_reverse": True},
    {"below_minimum": "use_minimum"},
    {"maximum_lots": Decimal("0.25")},
    {"exclude_symbols": ["XAUUSD"]},
    {"directions": "buy"},
    {"maximum_positions": 4},
    {"maximum_slippage_points": 200},
    {"open_deadline_seconds": 5},
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A follower and what it copies."""

    provider: ConnectedAccount
    follower: ConnectedAccount
    relationship: CopyRelationship
    is_netting: bool

    def symbol_here(self, theirs: str) -> str:
        is_suffixed = self.follower.server == _SUFFIXED
        return theirs + SUFFIX if is_suffixed else theirs


@dataclass(frozen=True, slots=True)
class Cast:
    user: User
    providers: Sequence[ConnectedAccount]
    netting_ids: frozenset[Any]
    pairs: Sequence[Pair]

    @property
    def accounts(self) -> list[ConnectedAccount]:
        return [*self.providers, *(pair.follower for pair in self.pairs)]

    def is_netting(self, account: ConnectedAccount) -> bool:
        return account.pk in self.netting_ids


class Casting:
    """Opens accounts at the broker and in the database, and relates them."""

    def __init__(self, broker: RemoteBroker, random: Random, now: datetime) -> None:
        self._broker = broker
        self._random = random
        self._now = now
        self._login = _FIRST_LOGIN
        self._netting: set[Any] = set()
        self._credentials: list[tuple[int, str, str]] = []
        self._user = register_user(
            username="soak",
            email="soak@example.com",
            password=secrets.token_urlsafe(18),
            is_email_verified=True,
        )

    def cast(self, followers: int) -> Cast:
        self._broker.create_server(_SUFFIXED, suffix=SUFFIX)
        hedging = self._open("Provider", deposit=2_000_000)
        netting = self._open("Netting provider", deposit=2_000_000, is_netting=True)
        pairs = [self._follower(number, hedging, netting) for number in range(followers)]
        # The soak looks at the broker itself, and has to be let in for that.
        self._broker.authorise_many(self._credentials)
        return Cast(self._user, (hedging, netting), frozenset(self._netting), pairs)

    def _follower(self, number: int, hedging: ConnectedAccount, netting: ConnectedAccount) -> Pair:
        is_netting = number % _NETTING == _NETTING - 1
        provider = netting if number % _OF_NETTING == _OF_NETTING - 1 else hedging
        follower = self._open(
            f"Follower {number + 1}",
            deposit=self._random.choice(_DEPOSITS),
            currency=self._random.choice(_CURRENCIES),
            server=_SUFFIXED if number % _SUFFIXED_EACH == 1 else _PLAIN,
            is_netting=is_netting,
        )
        relationship = offer_relationship(
            actor=self._user,
            provider=provider,
            follower=follower,
            now=self._now,
            confirms_firm_terms=True,
            **self._terms(number, is_netting=is_netting),
        )
        return Pair(provider, follower, relationship, is_netting)

    def _terms(self, number: int, *, is_netting: bool) -> Any:
        terms: dict[str, Any] = {
            **_SIZINGS[number % len(_SIZINGS)],
            **_VARIATIONS[(number // 2) % len(_VARIATIONS)],
            # A netted position has but one pair of stops, which would close others' parts.
            "copies_stops": not is_netting and number % 6 != 5,
            "copies_pendings": number % 2 == 0,
        }
        if not is_netting and number % 7 == 6:
            terms |= {"stop_loss_points": 900, "take_profit_points": 900}
        return terms

    def _open(
        self,
        name: str,
        *,
        deposit: int,
        currency: str = "USD",
        server: str = _PLAIN,
        is_netting: bool = False,
    ) -> ConnectedAccount:
        login, password = self._login, secrets.token_urlsafe(12)
        self._login += 1
        mode = (
            mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING
            if is_netting
            else mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
        )
        self._broker.create_account(
            login, password, server, name, deposit=float(deposit), leverage=500,
            currency=currency, margin_mode=mode, stop_out_level=5.0,
        )  # fmt: skip
        self._credentials.append((login, password, server))
        account = create_account(
            user=self._user,
            name=name,
            broker="Soak Markets",
            server=server,
            login=login,
            password=password,
            currency=currency,
            initial_balance=Decimal(deposit),
            now=self._now,
        )
        if is_netting:
            self._netting.add(account.pk)
        return account
