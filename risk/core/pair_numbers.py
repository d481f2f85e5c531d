"""One pair's numbers as plain values, for sentences, rows and JSON."""

from dataclasses import dataclass

from risk.core.evaluation import Evaluation
from risk.core.states import PairState
from risk.core.statuses import Reason, Status


@dataclass(frozen=True, slots=True)
class PairNumbers:
    """What a pair says; None is not known. See Evaluation for the units."""

    status: Status
    present: Status
    value: float | None
    used: float | None
    limit: float | None
    left: float | None
    floor: float | None
    buffer: float | None
    reason: Reason
    symbol: str
    direction: int
    acknowledged: bool
    reconstructed: bool


def pair_numbers(
    evaluation: Evaluation, state: PairState, pair: int, symbols: tuple[str, ...]
) -> PairNumbers:
    """Take the numbers of one pair out of the columns; `symbols` are those of the batch."""
    symbol = int(evaluation.symbol[pair])
    return PairNumbers(
        status=Status(int(evaluation.status[pair])),
        present=Status(int(evaluation.present[pair])),
        value=known(evaluation.value[pair]),
        used=known(evaluation.used[pair]),
        limit=known(evaluation.limit[pair]),
        left=known(evaluation.left[pair]),
        floor=known(evaluation.floor[pair]),
        buffer=known(evaluation.buffer[pair]),
        reason=Reason(int(evaluation.reason[pair])),
        symbol=symbols[symbol] if symbol >= 0 else "",
        direction=int(evaluation.direction[pair]),
        acknowledged=bool(state.acknowledged[pair]),
        reconstructed=bool(state.day_reconstructed[pair]),
    )


def known(number: float) -> float | None:
    """Return a plain float, None for what is not known: it must never turn into a number."""
    number = float(number)
    return number if abs(number) < float("inf") else None
