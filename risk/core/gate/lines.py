"""The common form of all checks: an amount that grows with the order, and what it may reach.

    amount(v) = before + while_closing * min(v, closing) + per_lot * max(v - closing, 0)
                + once where v > closing + cost * v

`closing` are the first lots of an order, which only take something away: of a netting position, of
an opposite exposure. They are always allowed. `once` is what any opening adds whatever its size.
`cost` is what a limit that is a part of the equity falls by, because filling a lot costs the spread
and the commission. What is not known (NaN) lets nothing beyond them pass.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from risk.core.arrays import Codes, Flags, Floats, Integers
from risk.core.results import TOLERANCE

# What an effect does with an order that a check does not let pass whole.
WARNS, REDUCES, BLOCKS = 0, 1, 2

# Volumes are decimals that went through doubles.
VOLUME_NOISE: Final = 1e-9


@dataclass(slots=True)
class Lines:
    """One element per check; `case` is the order, `pair` the rule's pair or -1.

    `kind` tells what is checked. `is_strict` forbids the budget itself. `is_barred` lets nothing
    open, whatever the numbers say.
    """

    case: Integers
    pair: Integers
    kind: Codes
    effect: Codes
    before: Floats
    closing: Floats
    while_closing: Floats
    per_lot: Floats
    once: Floats
    cost: Floats
    budget: Floats
    is_strict: Flags
    is_barred: Flags

    def __len__(self) -> int:
        return len(self.case)

    def taken(self, places: Integers) -> "Lines":
        """Return some of the lines, in that order."""
        names = Lines.__slots__
        return Lines(**{name: getattr(self, name)[places] for name in names})

    def amount(self, volume: Floats) -> Floats:
        """Return the amounts as if these volumes were filled."""
        closed = np.minimum(volume, self.closing)
        opened = np.maximum(volume - self.closing, 0.0)
        # NaN times nothing is still nothing: what is not opened needs no price.
        added = np.where(opened > 0, self.per_lot * opened + self.once, 0.0)
        taken = np.where(closed > 0, self.while_closing * closed, 0.0)
        return self.before + taken + added + self.cost * volume

    def allowed(self) -> Floats:
        """Return the largest volume that each check lets pass, infinite without a limit."""
        while_closing = self.while_closing + self.cost
        taken = np.where(self.closing > 0, while_closing * self.closing, 0.0)
        budget = np.where(self.is_strict, self.budget - 2 * TOLERANCE, self.budget + TOLERANCE)
        room = budget - (self.before + taken + self.once)
        with np.errstate(divide="ignore", invalid="ignore"):
            per_lot = self.per_lot + self.cost
            by_size = np.where(per_lot > 0, room / per_lot, np.inf)
        opens = (room >= 0) & ~self.is_barred & ~np.isnan(self.per_lot)
        return np.nan_to_num(self.closing, posinf=np.inf) + np.where(opens, by_size, 0.0)


def blank_lines(case: Integers, pair: Integers, kind: Codes, effect: Codes) -> Lines:
    """Return lines that let everything pass, to be filled kind by kind."""
    count = len(case)

    def zero() -> Floats:
        return np.zeros(count)

    def no() -> Flags:
        return np.zeros(count, dtype=np.bool_)

    return Lines(
        case=case,
        pair=pair,
        kind=kind,
        effect=effect,
        before=zero(),
        closing=zero(),
        while_closing=zero(),
        per_lot=zero(),
        once=zero(),
        cost=zero(),
        budget=np.full(count, np.inf),
        is_strict=no(),
        is_barred=no(),
    )


def joined(first: Lines, second: Lines) -> Lines:
    """Put the lines of two kinds of checks behind one another."""
    names = Lines.__slots__
    return Lines(**{name: np.r_[getattr(first, name), getattr(second, name)] for name in names})
