"""What the gate knows: the accounts, their rules, what they hold, and the orders themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

import numpy as np

from accounts.symbol_terms import SymbolTerms
from accounts.terminals.readings import Rows
from risk.core.arrays import Codes, Flags, Floats, Integers
from risk.core.pairs import RULE_TYPES, PairTable
from risk.core.rule_types import Action
from risk.core.surroundings import EMPTY, Surroundings

ACTIONS = tuple(Action)


@dataclass(frozen=True, slots=True)
class RuleLabel:
    """A rule of the PairTable, as people know it."""

    id: UUID
    name: str
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSheet:
    """One element per account; money in the account's currency, NaN where it is not known.

    `known` tells whose reading is accepted, fresh and of the expected login.
    """

    names: tuple[str, ...]
    servers: tuple[str, ...]
    logins: Integers
    currencies: tuple[str, ...]
    digits: Codes
    known: Flags
    age_seconds: Floats
    is_connected: Flags
    is_expected: Flags  # the terminal shows the login that the account stands for
    trade_allowed: Flags
    algo_allowed: Flags
    is_netting: Flags
    leverage: Floats
    balance: Floats
    equity: Floats
    margin: Floats
    margin_free: Floats
    lock_reasons: Mapping[int, str] = field(default_factory=dict)  # by row, those that are locked

    def __len__(self) -> int:
        return len(self.known)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStanding:
    """What the last evaluation says of each pair, in the order of the PairTable."""

    status: Codes
    reason: Codes
    value: Floats
    limit: Floats
    left: Floats
    latched: Flags
    acknowledged: Flags


@dataclass(frozen=True, slots=True)
class RuleColumns:
    """What follows from the rules alone: by pair its type, by rule its action and narrowing."""

    type_of_pair: Codes
    action_of_rule: Codes
    is_narrow: Flags  # to one strategy


def rule_columns(table: PairTable, labels: Sequence[RuleLabel]) -> RuleColumns:
    types = np.zeros(len(table), dtype=np.int8)
    for code, rule_type in enumerate(RULE_TYPES):
        types[table.slice_of(rule_type)] = code
    return RuleColumns(
        type_of_pair=types,
        action_of_rule=np.array([ACTIONS.index(each.action) for each in labels], dtype=np.int8),
        is_narrow=np.array([rule.magic is not None for rule in table.rules], dtype=np.bool_),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Accounts with everything that decides on their orders; `labels` are by rule number.

    `is_preview` tells that a host will look again before anything is sent. `columns` are worked out
    where they are not given.
    """

    accounts: AccountSheet
    table: PairTable
    labels: tuple[RuleLabel, ...]
    standing: PairStanding
    positions: Rows
    orders: Rows
    symbols: tuple[str, ...]
    surroundings: Surroundings = EMPTY
    is_preview: bool = False
    columns: RuleColumns | None = field(default=None, repr=False)
    position_starts: Integers = field(init=False, repr=False)
    order_starts: Integers = field(init=False, repr=False)

    def __post_init__(self) -> None:
        places = np.arange(len(self.accounts) + 1)
        object.__setattr__(
            self, "position_starts", np.searchsorted(self.positions["account"], places)
        )
        object.__setattr__(self, "order_starts", np.searchsorted(self.orders["account"], places))

    @property
    def rules(self) -> RuleColumns:
        return self.columns or rule_columns(self.table, self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An order as the gate sees it; `row` is its account's in the book.

    `price` is where it would be filled, None when nobody quotes it. `commission_per_lot` is what
    one lot costs each way, None when it is not known. `is_expected` tells that it is for the login
    that the account stands for.
    """

    order_id: UUID
    row: int
    symbol: str
    is_buy: bool
    is_market: bool
    volume: Decimal
    price: float | None
    stop_loss: float | None
    take_profit: float | None
    terms: SymbolTerms | None
    commission_per_lot: float | None = None
    is_expected: bool = True

    @property
    def sign(self) -> float:
        return 1.0 if self.is_buy else -1.0

    @property
    def loss_per_lot(self) -> float | None:
        """What one lot loses from its entry to its stop, commission for both ways included.

        A buy is entered at the ask and stopped at the bid, so the spread is in it. None without a
        stop, and where it can't be worked out.
        """
        if not self.stop_loss or self.price is None or self.terms is None:
            return None
        per_price = self.terms.loss_per_price
        if per_price is None:
            return None
        distance = max((self.price - self.stop_loss) * self.sign, 0.0)
        return distance * per_price + 2.0 * (self.commission_per_lot or 0.0)

    @property
    def cost_per_lot(self) -> float:
        """What the equity falls by when one lot is filled: the spread and the commission.

        0 for a part that is not known.
        """
        commission, terms = self.commission_per_lot or 0.0, self.terms
        if terms is None or terms.bid <= 0 or terms.ask <= 0:
            return commission
        return commission + max(terms.ask - terms.bid, 0.0) * (terms.loss_per_price or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """What may be filled without the reading showing it.

    `opens` is False for what closes: of a netting position it may have taken its part already.
    """

    row: int
    symbol: str
    is_buy: bool
    opens: bool
    lots: float
    loss_per_lot: float | None
    notional_per_lot: float | None
    margin_per_lot: float | None
