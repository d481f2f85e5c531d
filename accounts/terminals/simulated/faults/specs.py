"""Faults on request: what can go wrong between a terminal, its broker and whoever asks it."""

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

DEFAULT_HANG_SECONDS = 60.0
READING_CALLS: Final = ("account_info", "positions", "orders", "history_deals")
TERMINAL_CALLS: Final = (
    "authorise", "terminal_info", *READING_CALLS, "history_orders", "order_send", "order_check",
)  # fmt: skip
QUOTATION_CALLS: Final = (
    "order_calc_margin", "order_calc_profit", "symbol_info", "symbol_tick", "symbols",
    "symbol_select", "market_book", "rates", "ticks",
)  # fmt: skip
ALL_CALLS: Final = (*TERMINAL_CALLS, *QUOTATION_CALLS)
_AFTER_LOGIN: Final = tuple(call for call in ALL_CALLS if call != "authorise")
_TRADES: Final = (*READING_CALLS, "history_orders")
_QUOTES: Final = (
    "symbol_info", "symbol_tick", "market_book", "order_calc_margin", "order_calc_profit",
)  # fmt: skip
_ORDERS: Final = ("order_send",)


class FaultKind(StrEnum):
    DISCONNECT_TERMINAL = "DISCONNECT_TERMINAL"  # the pipe to the terminal is gone
    CRASH_TERMINAL = "CRASH_TERMINAL"  # the terminal dies in a call; a login starts it again
    CRASH_BROKER = "CRASH_BROKER"  # the broker's process ends itself in a call
    HANG = "HANG"  # the call blocks
    LATENCY = "LATENCY"  # the answer takes its time
    TIMEOUT_BEFORE = "TIMEOUT_BEFORE"  # IPC timeout, and nothing was done
    TIMEOUT_AFTER = "TIMEOUT_AFTER"  # IPC timeout, but it was done
    LATE = "LATE"  # IPC timeout, and the order is executed some seconds later
    CUT_FROM_BROKER = "CUT_FROM_BROKER"  # the terminal answers from its cache, and says so
    CACHED = "CACHED"  # the terminal answers from its cache and believes to be connected
    NONE = "NONE"  # account, position, order and history calls give None
    EMPTY = "EMPTY"  # no positions and orders, as before synchronisation
    TORN = "TORN"  # positions and account of different moments
    WRONG_ACCOUNT = "WRONG_ACCOUNT"  # another login's terminal answers
    REJECT = "REJECT"  # the server rejects the order (10006)
    REQUOTE = "REQUOTE"  # the price has moved (10004)
    PARTIAL_FILL = "PARTIAL_FILL"  # a part of the volume is filled (10010)
    SLIPPAGE = "SLIPPAGE"  # the fill is some points off the price
    COMMENT_REWRITTEN = "COMMENT_REWRITTEN"  # the broker changes the order's comment


# The calls that a kind may strike, and those that it strikes unless told otherwise.
_POSSIBLE: Final[Mapping[FaultKind, tuple[str, ...]]] = {
    FaultKind.LATE: _ORDERS,
    FaultKind.CACHED: (*_TRADES, *_QUOTES),
    FaultKind.NONE: _TRADES,
    FaultKind.EMPTY: ("positions", "orders"),
    FaultKind.TORN: ("account_info", "positions"),
    FaultKind.WRONG_ACCOUNT: _AFTER_LOGIN,
    FaultKind.REJECT: _ORDERS,
    FaultKind.REQUOTE: _ORDERS,
    FaultKind.PARTIAL_FILL: _ORDERS,
    FaultKind.SLIPPAGE: _ORDERS,
    FaultKind.COMMENT_REWRITTEN: _ORDERS,
}
_USUAL: Final[Mapping[FaultKind, tuple[str, ...]]] = {
    **_POSSIBLE,
    FaultKind.CRASH_TERMINAL: _AFTER_LOGIN,
    FaultKind.CRASH_BROKER: _ORDERS,
    FaultKind.TIMEOUT_BEFORE: _ORDERS,
    FaultKind.TIMEOUT_AFTER: _ORDERS,
}
_DETAILS: Final[Mapping[FaultKind, frozenset[str]]] = {
    FaultKind.DISCONNECT_TERMINAL: frozenset({"code"}),
    FaultKind.CRASH_TERMINAL: frozenset({"moment"}),
    FaultKind.CRASH_BROKER: frozenset({"moment"}),
    FaultKind.HANG: frozenset({"hang_seconds"}),
    FaultKind.LATENCY: frozenset(
        {"distribution", "median_seconds", "least_seconds", "most_seconds", "sigma"}
    ),
    FaultKind.LATE: frozenset({"delay_seconds"}),
    FaultKind.WRONG_ACCOUNT: frozenset({"peer"}),
    FaultKind.PARTIAL_FILL: frozenset({"fraction"}),
    FaultKind.SLIPPAGE: frozenset({"points", "points_to"}),
    FaultKind.COMMENT_REWRITTEN: frozenset({"rewrite", "text", "length"}),
}
_COMMON: Final = frozenset({"kind", "calls", "skip", "times", "seconds", "probability", "seed"})
BEFORE, AFTER = "before", "after"
REPLACE, TRUNCATE, ERASE = "replace", "truncate", "erase"
FIXED, UNIFORM, LOGNORMAL = "fixed", "uniform", "lognormal"
LONGEST_COMMENT = 31
LONGEST_SECONDS = 1e7  # more than a system can wait for is no wait
LARGEST_SLIPPAGE_POINTS = 10_000  # no catalogue price is so low that this takes it to zero
LARGEST_SIGMA = 10.0
_WHOLE_NUMBERS: Final = (
    "skip", "times", "seed", "code", "peer", "points", "points_to", "length",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSpec:
    """One thing that goes wrong; raises ValueError for what makes no sense.

    It lets the first ``skip`` of its ``calls`` pass, then strikes each with ``probability``,
    ``times`` at most (None: without end), for ``seconds`` from when it was set (None: until it is
    cleared). Without ``calls`` (names of `BrokerLink` methods) it strikes those that its kind
    usually does. A batch read counts once, as the four calls of a reading.

    Details, each of one kind: ``code`` of a lost terminal (-10004 or -10001); ``moment`` of a
    crash, before or after the call is carried out; ``hang_seconds`` after which a hung call times
    out; ``delay_seconds`` of a late order; ``peer``, the login that answers instead; ``fraction``
    of the volume that is filled; ``points`` of slippage, above 0 against the trader, or drawn from
    ``points`` to ``points_to``; the ``rewrite`` of a comment (replace by ``text``, truncate to
    ``length``, erase). Latency is fixed (``median_seconds``), uniform (``least_seconds`` to
    ``most_seconds``) or lognormal (``median_seconds``, ``sigma``, at most ``most_seconds``).
    """

    kind: FaultKind
    calls: tuple[str, ...] = ()
    skip: int = 0
    times: int | None = None
    seconds: float | None = None
    probability: float = 1.0
    seed: int = 0
    code: int = -10004
    moment: str = AFTER
    peer: int | None = None
    hang_seconds: float = DEFAULT_HANG_SECONDS
    delay_seconds: float = 2.0
    fraction: float = 0.5
    points: int = 10
    points_to: int | None = None
    rewrite: str = ERASE
    text: str = ""
    length: int = 8
    distribution: str = FIXED
    median_seconds: float = 0.05
    least_seconds: float = 0.0
    most_seconds: float = 5.0
    sigma: float = 0.5

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "kind", FaultKind(self.kind))
        except ValueError as error:
            raise ValueError(f"{self.kind} is not a kind of fault") from error
        calls = tuple(self.calls) or _USUAL.get(self.kind, ALL_CALLS)
        object.__setattr__(self, "calls", calls)
        for name in _WHOLE_NUMBERS:
            value = getattr(self, name)
            _require(
                value is None or isinstance(value, numbers.Integral), f"{name} is a whole number"
            )
        _require(isinstance(self.text, str), "text is a string")
        self._check_foreign_details()
        self._check_scope()
        self._check_details()

    @property
    def comes_and_goes(self) -> bool:
        """Whether calls that it lets pass come before some that it strikes."""
        return self.skip > 0 or self.probability < 1

    def _check_foreign_details(self) -> None:
        own = _COMMON | _DETAILS.get(self.kind, frozenset())
        for field in fields(self):
            if field.name not in own and getattr(self, field.name) != field.default:
                raise ValueError(f"{field.name} is no detail of {self.kind}")

    def _check_scope(self) -> None:
        possible = _POSSIBLE.get(self.kind, ALL_CALLS)
        for call in self.calls:
            _require(call in ALL_CALLS, f"{call} is not a call of a terminal")
            _require(call in possible, f"{self.kind} has no meaning for {call}")
        _require(self.skip >= 0, "a fault cannot skip fewer than 0 calls")
        _require(self.times is None or self.times > 0, "a fault strikes at least once")
        _require(
            self.seconds is None or 0 < self.seconds < math.inf, "a fault lasts more than 0 seconds"
        )
        _require(0 < self.probability <= 1, "a probability is above 0 and at most 1")

    def _check_details(self) -> None:
        _require(self.code in (-10004, -10001), "a lost terminal answers -10004 or -10001")
        _require(self.moment in (BEFORE, AFTER), "a crash comes before or after the call")
        _require(
            0 <= self.hang_seconds <= LONGEST_SECONDS,
            f"a call hangs for 0 seconds or longer, up to {LONGEST_SECONDS:.0f}",
        )
        _require(
            0 < self.delay_seconds <= LONGEST_SECONDS,
            f"a late order is late by more than 0 and at most {LONGEST_SECONDS:.0f} seconds",
        )
        _require(0 < self.fraction < 1, "a partial fill is a fraction between 0 and 1")
        most_points = self.points if self.points_to is None else self.points_to
        _require(self.points <= most_points, "slippage is drawn from points up to points_to")
        _require(
            max(abs(self.points), abs(most_points)) <= LARGEST_SLIPPAGE_POINTS,
            f"slippage is at most {LARGEST_SLIPPAGE_POINTS} points",
        )
        _require(
            self.rewrite in (REPLACE, TRUNCATE, ERASE), "a comment is replaced, truncated or erased"
        )
        _require(
            len(self.text) <= LONGEST_COMMENT, f"a comment has at most {LONGEST_COMMENT} characters"
        )
        _require(self.length >= 0, "a comment cannot be shorter than empty")
        _require(
            self.distribution in (FIXED, UNIFORM, LOGNORMAL),
            "latency is fixed, uniform or lognormal",
        )
        _require(
            0 <= self.least_seconds <= self.most_seconds <= LONGEST_SECONDS
            and 0 <= self.median_seconds <= LONGEST_SECONDS
            and 0 <= self.sigma <= LARGEST_SIGMA,
            f"latency needs 0 ≤ least ≤ most seconds, at most {LONGEST_SECONDS:.0f} as the median,"
            f" and 0 ≤ sigma ≤ {LARGEST_SIGMA:.0f}",
        )


def spec_of(values: Mapping[str, Any]) -> FaultSpec:
    """Return a spec from plain values; raises ValueError for a detail that no fault has."""
    known = {field.name for field in fields(FaultSpec)}
    for name in values:
        _require(name in known, f"{name} is no detail of a fault")
    try:
        return FaultSpec(**values)
    except TypeError as error:
        raise ValueError(f"these are not the details of a fault ({error})") from error


def own_details(kind: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of ``details`` concerns a kind; those of other kinds are left out."""
    own = _COMMON | _details_of(kind)
    foreign = frozenset().union(*_DETAILS.values()) - own
    return {name: value for name, value in details.items() if name not in foreign}


def _details_of(kind: str) -> frozenset[str]:
    return next((names for owner, names in _DETAILS.items() if owner == kind), frozenset())


def _require(holds: bool, complaint: str) -> None:
    if not holds:
        raise ValueError(complaint)
