"""The rules on the stops of open positions."""

import numpy as np

from risk.core.arrays import Flags, Integers
from risk.core.exposures import (
    Exposures,
    largest_rows,
    named_symbols,
    sums_by,
    taken,
    taken_whole,
)
from risk.core.holdings import Holdings
from risk.core.pairs import PairTable
from risk.core.results import Evaluation, against_limit, give_reason, point_at
from risk.core.statuses import Reason
from risk.core.stops import losses_at_stops, minutes_open

_NO_ZONE = -1
_SMALLEST_MONEY = 0.01


def judge_risk_per_trade(
    result: Evaluation, table: PairTable, part: slice, holdings: Holdings
) -> None:
    """Compare, in money, the loss at the stops of one symbol with a fraction of the balance."""
    exposures, holder = holdings.exposures, table.holder[part]
    account, symbol, losses = sums_by(
        exposures.held["account"].astype(np.int64),
        exposures.held["symbol"].astype(np.int64),
        losses_at_stops(exposures.held),
        max(len(exposures.symbols), 1),
    )
    filters = table.symbol_filter[part]
    rows = np.full(len(holder), -1, dtype=np.int64)
    for number in np.unique(filters).tolist():
        wanted = named_symbols(exposures, table.symbol_filters[number])[symbol]
        kept = np.flatnonzero(wanted)
        largest = largest_rows(account[kept], losses[kept], len(exposures))
        rows = np.where(filters == number, taken_whole(kept, largest)[holder], rows)
    worst = taken_whole(symbol, rows)
    point_at(result, part, worst, _selling_most(exposures, worst, holder))
    balance = np.maximum(holdings.accounts.balance[table.account_index[part]], _SMALLEST_MONEY)
    limit = table.fixed_amount[part] * balance
    against_limit(result, table, part, holdings.accounts, taken(losses, rows), limit)


def judge_stop_loss(result: Evaluation, table: PairTable, part: slice, holdings: Holdings) -> None:
    """Compare how long the oldest position without a stop has been open."""
    holder, exposures = table.holder[part], holdings.exposures
    zone_of_holder = np.full(len(exposures), _NO_ZONE, dtype=np.int64)
    zone_of_holder[holder] = table.broker_zone_index[part]
    held = exposures.held
    zones = zone_of_holder[held["account"]]
    bare = np.flatnonzero(~(held["sl"] > 0) & (zones != _NO_ZONE))
    moment = holdings.surroundings.moment
    minutes = minutes_open(held[bare], table.broker_zones, zones[bare], moment)
    account = held["account"][bare].astype(np.int64)
    rows = largest_rows(account, minutes, len(exposures))[holder]
    point_at(
        result,
        part,
        taken_whole(held["symbol"][bare].astype(np.int64), rows),
        taken_whole(held["type"][bare].astype(np.int64), rows),
    )
    value = taken(minutes, rows)
    give_reason(result, part, Reason.NO_MOMENT, np.isnan(value))
    against_limit(result, table, part, holdings.accounts, value)


def _selling_most(exposures: Exposures, symbol: Integers, holder: Integers) -> Flags:
    """Tell where the net notional of a symbol is sold."""
    if not len(exposures.net_account):
        return np.zeros(len(symbol), dtype=np.bool_)
    count = len(exposures.symbols)
    keys = exposures.net_account * count + exposures.net_symbol
    places = np.searchsorted(keys, holder * count + np.maximum(symbol, 0))
    found = exposures.net_value[np.minimum(places, len(keys) - 1)]
    return np.asarray((symbol >= 0) & (found < 0), dtype=np.bool_)
