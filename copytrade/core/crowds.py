"""The size of one open for many followers that differ in nothing but their money.

The scalar core (`copytrade.core.sizing`) is the rule, and is asked wherever doubles cannot tell
what it would say: next to a step, beyond a limit, for figures that are no plain money.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from copytrade.core.facts import AccountFigures, RelationshipTerms, SymbolContract
from copytrade.core.plans import Refusal
from copytrade.core.sizing import (
    CopySize,
    FollowerSide,
    ProviderSide,
    figure_of,
    size_copy,
    wanted_lots,
)

# A product of doubles is off by some 1e-16 of itself, and money is rounded to ten decimals first.
_RELATIVE: Final = 1e-9
# What `SymbolContract.floored` adds, and more.
_ABSOLUTE_LOTS: Final = 2e-12
_SMALLEST_FIGURE: Final = 1.0
_LARGEST_FIGURE: Final = 1e13

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def crowd_sizes(
    terms: RelationshipTerms, provider: ProviderSide, follower: FollowerSide, figures: Floats
) -> list[CopySize | Refusal]:
    """Size a crowd as `size_copy` would each of them.

    `follower` is any of them; `figures` are what `figure_of` names, of each, in its currency. Of
    lots that nothing but the step has changed, `wanted_lots` are the lots themselves.
    """
    name = figure_of(terms.sizing)
    if name is None or follower.figures is None:
        return [size_copy(terms, provider, follower)] * len(figures)
    each = _of_figure(terms, provider, follower, follower.figures, name)
    one = _with_figure(follower, follower.figures, name, 1.0)
    per_unit = wanted_lots(terms, provider, one)
    if isinstance(per_unit, Refusal):
        return [each(figure) for figure in figures.tolist()]
    steps, is_plain = _steps(terms, follower.contract, float(per_unit), figures)
    step = follower.contract.volume_step
    plain: dict[int, CopySize] = {}
    sizes: list[CopySize | Refusal] = []
    for figure, count, plainly in zip(
        figures.tolist(), steps.tolist(), is_plain.tolist(), strict=True
    ):
        if not plainly:
            sizes.append(each(figure))
            continue
        size = plain.get(count)
        if size is None:
            lots = Decimal(count) * step
            size = plain[count] = CopySize(lots, lots)
        sizes.append(size)
    return sizes


def _of_figure(
    terms: RelationshipTerms,
    provider: ProviderSide,
    follower: FollowerSide,
    figures: AccountFigures,
    name: str,
) -> Callable[[float], CopySize | Refusal]:
    """Return the scalar core's answer by figure; those who have the same share it."""
    known: dict[float, CopySize | Refusal] = {}

    def size(figure: float) -> CopySize | Refusal:
        found = known.get(figure)
        if found is None:
            side = _with_figure(follower, figures, name, figure)
            found = known[figure] = size_copy(terms, provider, side)
        return found

    return size


def _with_figure(
    follower: FollowerSide, figures: AccountFigures, name: str, figure: float
) -> FollowerSide:
    changed: dict[str, Any] = {name: figure}
    return replace(follower, figures=replace(figures, **changed))


def _steps(
    terms: RelationshipTerms, contract: SymbolContract, per_unit: float, figures: Floats
) -> tuple[npt.NDArray[np.int64], Flags]:
    """Return the whole steps of each, and whether they are beyond doubt and within all limits."""
    none = np.zeros(len(figures), dtype=np.int64)
    step = contract.volume_step
    if step <= 0 or not (math.isfinite(per_unit) and per_unit > 0):
        return none, none.astype(np.bool_)
    most = contract.volume_max
    if terms.maximum_lots is not None:
        most = min(most, terms.maximum_lots)
    least_steps = max(math.ceil(contract.volume_min / step), 1)
    is_money = (figures >= _SMALLEST_FIGURE) & (figures <= _LARGEST_FIGURE)
    wanted = np.where(is_money, figures, 0.0) * (per_unit / float(step))
    doubt = wanted * _RELATIVE + _ABSOLUTE_LOTS / float(step)
    whole = np.floor(wanted)
    is_plain = is_money & (wanted - whole > doubt) & (whole + 1.0 - wanted > doubt)
    is_plain &= (whole >= least_steps) & (wanted + doubt < float(most) / float(step))
    return np.where(is_plain, whole, 0.0).astype(np.int64), is_plain
