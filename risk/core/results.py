"""What an evaluation says of each pair, and how a value is held against its limit."""

from dataclasses import dataclass, replace

import numpy as np

from risk.core.account_columns import AccountColumns
from risk.core.arrays import Codes, Flags, Floats, Integers
from risk.core.pairs import PairTable
from risk.core.statuses import Reason, Status

# Doubles carry noise: what is nearer to the limit than this is at the limit.
TOLERANCE = 0.5e-6


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What each pair says, in the order of the PairTable; NaN is "not known".

    `value` is what was compared: equity without credit for the loss rules, else the margin level
    in percent, lots, positions, leverage, minutes and so on. `used`, `limit`, `left` and `floor`
    are in the rule's unit, `buffer` is what is left as a fraction of the limit. `present` is the
    status that the reading alone gives, `status` counts latches too. `symbol` (an index into the
    batch's symbols, -1 none) and `direction` (0 buy, 1 sell) tell where a rule on positions is
    nearest to its limit.
    """

    status: Codes
    present: Codes
    value: Floats
    used: Floats
    limit: Floats
    left: Floats
    floor: Floats
    buffer: Floats
    reason: Codes
    symbol: Integers
    direction: Codes

    @property
    def breached(self) -> Flags:
        """Tell which pairs the reading itself shows beyond their limit, latched or not."""
        return np.equal(self.present, Status.VIOLATED)


def nothing_known(count: int) -> Evaluation:
    """Return the columns of `count` pairs, to be filled type by type."""
    columns = {
        name: np.full(count, np.nan)
        for name in ("value", "used", "limit", "left", "floor", "buffer")
    }
    return Evaluation(
        status=np.zeros(count, dtype=np.int8),
        present=np.zeros(count, dtype=np.int8),
        reason=np.zeros(count, dtype=np.int8),
        symbol=np.full(count, -1, dtype=np.int64),
        direction=np.zeros(count, dtype=np.int8),
        **columns,
    )


def with_latches(evaluation: Evaluation, latched: Flags) -> Evaluation:
    """Return the evaluation with `status` counting these latches instead of the former ones."""
    status = np.where(latched, np.int8(Status.VIOLATED), evaluation.present)
    return replace(evaluation, status=status)


def against_limit(
    result: Evaluation,
    table: PairTable,
    part: slice,
    accounts: AccountColumns,
    value: Floats,
    limit: Floats | None = None,
) -> None:
    """Hold values that grow towards a limit against it, for accounts that were read.

    The limit is `fixed_amount` unless one is given; without one above zero nothing is known.
    """
    limit = table.fixed_amount[part] if limit is None else limit
    limit = np.where(limit > 0, limit, np.nan)
    value = np.where(accounts.known[table.account_index[part]], value, np.nan)
    left = without_noise(limit - value)
    result.value[part] = value
    result.limit[part] = limit
    result.left[part] = left
    result.used[part] = value
    result.buffer[part] = left / limit
    mark_breaches(result, table, part, left)


def without_noise(left: Floats) -> Floats:
    """Return zero for what is left within the noise of doubles."""
    return np.where(np.abs(left) <= TOLERANCE, 0.0, left)


def mark_breaches(result: Evaluation, table: PairTable, part: slice, left: Floats) -> None:
    """Mark what is beyond its limit, or at it where the rule does not allow the limit itself."""
    breached = (left < 0) | ((left == 0) & ~table.below[part])
    result.present[part] = np.where(breached, np.int8(Status.VIOLATED), np.int8(Status.SAFE))


def mark_reached(result: Evaluation, part: slice, left: Floats) -> None:
    """Mark what has nothing left, whatever its rule says of the limit itself."""
    result.present[part] = np.where(left <= 0, np.int8(Status.VIOLATED), np.int8(Status.SAFE))


def give_reason(result: Evaluation, part: slice, reason: Reason, where: Flags) -> None:
    """Note why those of the pairs are not known, unless a reason was given before."""
    known = result.reason[part]
    told = where & (known == Reason.NONE)
    result.reason[part] = np.where(told, np.int8(reason), known)


def point_at(result: Evaluation, part: slice, symbol: Integers, selling: Integers | Flags) -> None:
    """Note where each pair is nearest to its limit; -1 for a symbol that there is none of."""
    result.symbol[part] = symbol
    result.direction[part] = np.where(symbol >= 0, selling, 0)
