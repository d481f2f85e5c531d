"""What the gate says of an order, and of each thing that it looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Final
from uuid import UUID


class Verdict(StrEnum):
    """From the mildest on."""

    ALLOW = "allow"
    WARN = "warn"
    REDUCE = "reduce"
    BLOCK = "block"


VERDICTS: Final = tuple(Verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that the gate looked at, as if the order were filled.

    `value` and `limit` are in `unit`, None where there is no number. `allowed_volume` is the
    largest that this check alone would let pass, in lots; None without a limit.
    """

    name: str
    verdict: Verdict
    sentence: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    allowed_volume: float | None = None
    rule_id: UUID | None = None
    rule_name: str = ""


@dataclass(frozen=True)
class GateDecision:
    """What became of an order: `volume` is what may be sent of it, in lots.

    `volume` is 0 for what is blocked and None for what has no volume. The checks are worded when
    somebody asks for them; `decisive` words the one that decided alone, where that is less work.
    """

    order_id: UUID
    verdict: Verdict
    volume: Decimal | None
    explain: Callable[[], Sequence[Check]] = field(repr=False, compare=False)
    decisive: Callable[[], Check] | None = field(default=None, repr=False, compare=False)

    @property
    def is_allowed(self) -> bool:
        return self.verdict is not Verdict.BLOCK

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        return tuple(self.explain())

    @cached_property
    def sentence(self) -> str:
        """The sentence of the check that decided; of several, of the one that allows the least."""
        if self.verdict is Verdict.ALLOW:
            return "Every check allows it."
        if self.decisive is not None:
            return self.decisive().sentence
        decided = [check for check in self.checks if check.verdict is self.verdict]
        return min(decided, key=lambda check: check.allowed_volume or 0.0).sentence
