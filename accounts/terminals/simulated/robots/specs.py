"""What a robot is told when an account is given one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..symbols.catalogue import CONTRACT_INDEX
from .strategies import STRATEGIES

_DEFAULT_SYMBOLS = ("EURUSD", "GBPUSD", "USDCAD", "USDJPY", "AUDUSD")


@dataclass(frozen=True, slots=True)
class RobotSpec:
    """A robot as the books keep it: a strategy's name, and what differs from its defaults."""

    strategy: str
    symbols: tuple[str, ...] = _DEFAULT_SYMBOLS
    exposure: float | None = None
    pace_bars: float | None = None
    max_positions: int | None = None
    loss_limit_fraction: float | None = None

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "RobotSpec":
        """Read a spec; raises ValueError that says what is wrong with it."""
        known = set(cls.__slots__)
        if unknown := set(plain) - known:
            raise ValueError(f"a robot has no {', '.join(sorted(unknown))}")
        if plain.get("strategy") not in STRATEGIES:
            raise ValueError(f"a robot's strategy is one of {', '.join(STRATEGIES)}")
        symbols = tuple(plain.get("symbols", _DEFAULT_SYMBOLS))
        if not symbols or any(symbol not in CONTRACT_INDEX for symbol in symbols):
            raise ValueError(f"a robot trades some of {', '.join(CONTRACT_INDEX)}")
        return cls(**{**plain, "symbols": symbols})
