"""The rules on margin, lots, positions and leverage."""

import numpy as np

from risk.core.arrays import Floats
from risk.core.exposures import largest_sizes, taken, taken_whole
from risk.core.holdings import Holdings
from risk.core.pairs import PairTable
from risk.core.results import (
    Evaluation,
    against_limit,
    mark_breaches,
    point_at,
    without_noise,
)
from risk.core.statuses import Reason

# Some values are quotients by equity or balance: with nothing left, one cent counts as left.
_SMALLEST_MONEY = 0.01


def over_money(amount: Floats, money: Floats) -> Floats:
    """Divide by equity or balance, of which there is always counted at least one cent."""
    return amount / np.maximum(money, _SMALLEST_MONEY)


def judge_margin_level(
    result: Evaluation, table: PairTable, part: slice, holdings: Holdings
) -> None:
    """Compare margin levels: above the limit the buffer is 1 - limit/level, below level/limit - 1.

    Both have the same slope where they meet, and each stays finite on its side. Without margin
    there is no level: the buffer is whole.
    """
    accounts, index = holdings.accounts, table.account_index[part]
    margin, reported = accounts.margin[index], accounts.margin_level[index]
    limit = table.fixed_amount[part]
    open_margin = margin > 0
    computed = accounts.equity[index] / np.where(open_margin, margin, np.nan) * 100
    level = np.where(open_margin, np.where(reported == 0, computed, reported), np.nan)
    left = without_noise(level - limit)
    above = left > 0
    buffer = np.where(above, left / np.where(above, level, 1.0), left / limit)
    result.value[part] = level
    result.limit[part] = limit
    result.left[part] = left
    result.used[part] = level
    result.buffer[part] = np.where(margin <= 0, 1.0, buffer)
    result.reason[part] = np.where(margin <= 0, np.int8(Reason.NO_MARGIN), np.int8(Reason.NONE))
    mark_breaches(result, table, part, left)


def judge_position_size(
    result: Evaluation, table: PairTable, part: slice, holdings: Holdings
) -> None:
    exposures, holder = holdings.exposures, table.holder[part]
    filters = table.symbol_filter[part]
    rows = np.full(len(holder), -1, dtype=np.int64)
    for number in np.unique(filters):
        largest = largest_sizes(exposures, table.symbol_filters[number])
        rows = np.where(filters == number, largest[holder], rows)
    symbol = taken_whole(exposures.sized_symbol, rows)
    direction = taken_whole(exposures.sized_direction, rows)
    point_at(result, part, symbol, direction)
    against_limit(result, table, part, holdings.accounts, taken(exposures.sized_lots, rows))


def judge_position_count(
    result: Evaluation, table: PairTable, part: slice, holdings: Holdings
) -> None:
    exposures, holder = holdings.exposures, table.holder[part]
    pending = np.where(table.include_pending[part], exposures.pending_orders[holder], 0.0)
    against_limit(result, table, part, holdings.accounts, exposures.positions[holder] + pending)


def judge_leverage(result: Evaluation, table: PairTable, part: slice, holdings: Holdings) -> None:
    exposures, holder = holdings.exposures, table.holder[part]
    notional = np.where(
        table.gross[part], exposures.gross_notional[holder], exposures.net_notional[holder]
    )
    leverage = over_money(notional, holdings.accounts.equity[table.account_index[part]])
    against_limit(result, table, part, holdings.accounts, leverage)
