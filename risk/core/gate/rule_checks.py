"""What an order would do to each rule of its account as if it were filled."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from risk.core.arrays import Floats, Integers
from risk.core.gate.account_checks import covered_lots, margin_saved
from risk.core.gate.book import ACTIONS
from risk.core.gate.cases import Cases
from risk.core.gate.correlated import correlation_after
from risk.core.gate.hedges import opposed_elsewhere
from risk.core.gate.lines import BLOCKS, REDUCES, WARNS, Lines, blank_lines
from risk.core.gate.times import window_runs
from risk.core.pairs import RULE_TYPES
from risk.core.rule_types import OBJECTIVES, Action, RuleType
from risk.core.statuses import Status

_SMALLEST_MONEY: Final = 0.01  # a quotient by equity or balance counts one cent as left
# What these look at is known where the accounts are, and not on the web.
HOSTS_RULES: Final = frozenset({RuleType.MAX_CORRELATION, RuleType.NO_CROSS_HEDGING})
_UNASKED: Final = frozenset({*OBJECTIVES, RuleType.INACTIVITY})

_CODES: Final = {rule_type: code for code, rule_type in enumerate(RULE_TYPES)}
_EFFECTS: Final = np.array(
    [
        WARNS if action is Action.ALERT else REDUCES if action is Action.REDUCE_SIZE else BLOCKS
        for action in ACTIONS
    ],
    dtype=np.int8,
)


def rule_lines(cases: Cases) -> Lines:
    """Lay out the checks of the rules on each order; objectives are not asked."""
    book = cases.book
    table, standing = book.table, book.standing
    starts = table.account_starts
    first, counts = starts[cases.row], starts[cases.row + 1] - starts[cases.row]
    case = np.repeat(np.arange(len(cases)), counts)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    pair = table.pairs_by_account[np.repeat(first, counts) + np.arange(len(case)) - before]
    columns = book.rules
    kind = columns.type_of_pair[pair].astype(np.int16)
    asked = ~np.isin(kind, [_CODES[each] for each in _UNASKED])
    case, pair, kind = case[asked], pair[asked], kind[asked]
    action = columns.action_of_rule[table.rule_index[pair]]
    lines = blank_lines(case, pair, kind, _EFFECTS[action])
    for rule_type, fill in _FILLS.items():
        of_type = np.flatnonzero(kind == _CODES[rule_type])
        if len(of_type):
            fill(lines, cases, of_type)
    lines.before[standing.status[pair] == Status.UNKNOWN] = np.nan
    if book.is_preview:
        _defer(lines)
    narrowed = columns.is_narrow[table.rule_index[pair]]
    lines.budget[narrowed], lines.once[narrowed], lines.per_lot[narrowed] = np.inf, 0.0, 0.0
    lines.before[narrowed], lines.cost[narrowed] = 0.0, 0.0
    is_violated = (standing.status[pair] == Status.VIOLATED) | standing.latched[pair]
    refuses = is_violated & ~standing.acknowledged[pair] & (lines.effect != WARNS)
    lines.is_barred |= refuses & ~narrowed
    # A position that netting takes away is closed, whatever the rules say of new ones.
    lines.closing = np.maximum(np.nan_to_num(lines.closing), cases.closing_lots[case])
    lines.closing[lines.is_barred] = cases.closing_lots[case[lines.is_barred]]
    return lines


def _defer(lines: Lines) -> None:
    """Only warn of rules that a host alone can answer: it asks them when the order is there."""
    hosts = np.isin(lines.kind, [_CODES[each] for each in HOSTS_RULES])
    lines.effect[hosts & np.isnan(lines.before + lines.once)] = WARNS


def _losses(lines: Lines, cases: Cases, at: Integers) -> None:
    """Set the loss at the stop, commission included, against what is left to the floor."""
    case, pair, book = lines.case[at], lines.pair[at], cases.book
    limit, left = book.standing.limit[pair], book.standing.left[pair]
    lines.before[at] = limit - left + cases.flying_loss[case]
    lines.closing[at] = cases.closing_lots[case]
    lines.per_lot[at] = cases.loss_per_lot[case]
    # Nobody knows what an order without a stop may lose.
    lines.once[at] = np.where(cases.has_stop[case], 0.0, np.inf)
    lines.per_lot[at] = np.where(cases.has_stop[case], lines.per_lot[at], 0.0)
    lines.budget[at] = limit
    lines.is_strict[at] = ~book.table.below[pair]


def _margin_level(lines: Lines, cases: Cases, at: Integers) -> None:
    """Let the margin grow to where equity / margin is the lowest level that is allowed."""
    case, pair, book = lines.case[at], lines.pair[at], cases.book
    equity, margin = (
        column[cases.row[case]] for column in (book.accounts.equity, book.accounts.margin)
    )
    lines.before[at] = margin + cases.flying_margin[case]
    lines.closing[at] = covered_lots(cases)[case]
    lines.while_closing[at] = -margin_saved(cases)[case]
    lines.per_lot[at] = cases.margin_per_lot[case]
    lines.budget[at] = equity / book.table.fixed_amount[pair] * 100.0
    lines.cost[at] = cases.cost_per_lot[case] / book.table.fixed_amount[pair] * 100.0
    lines.is_strict[at] = ~book.table.below[pair]


def _position_size(lines: Lines, cases: Cases, at: Integers) -> None:
    case, table = lines.case[at], cases.book.table
    lines.before[at] = (cases.same_lots + cases.same_pending_lots + cases.flying_lots)[case]
    lines.closing[at] = cases.closing_lots[case]
    lines.per_lot[at] = 1.0
    lines.budget[at] = table.fixed_amount[lines.pair[at]]
    _leave_out_others(lines, cases, at)


def _position_count(lines: Lines, cases: Cases, at: Integers) -> None:
    """Count one more, unless netting puts the order into a position that is there already."""
    case, table = lines.case[at], cases.book.table
    joins = cases.is_netting & (cases.same_lots + cases.opposite_lots > 0)
    pending = np.where(table.include_pending[lines.pair[at]], cases.pending_count[case], 0.0)
    lines.before[at] = (cases.position_count + cases.flying_count)[case] + pending
    lines.closing[at] = cases.closing_lots[case]
    lines.once[at] = np.where(joins[case], 0.0, 1.0)
    lines.budget[at] = table.fixed_amount[lines.pair[at]]


def _leverage(lines: Lines, cases: Cases, at: Integers) -> None:
    case, table = lines.case[at], cases.book.table
    gross = table.gross[lines.pair[at]]
    _net_of_symbol(lines, cases, at, cases.other_net[case])
    # Gross counts both legs of a hedge; where positions are netted there is only one.
    adds = gross & ~cases.is_netting[case]
    lines.before[at] = np.where(gross, cases.gross[case], lines.before[at])
    lines.closing[at] = np.where(adds, 0.0, lines.closing[at])
    lines.while_closing[at] = np.where(adds, 0.0, lines.while_closing[at])
    _limit_by_equity(lines, cases, at)


def _exposure(lines: Lines, cases: Cases, at: Integers) -> None:
    by_currency = cases.book.table.by_currency[lines.pair[at]]
    _net_of_symbol(lines, cases, at[~by_currency], np.zeros((~by_currency).sum()))
    _limit_by_equity(lines, cases, at)
    for line in at[by_currency]:
        _currency_exposure(lines, cases, int(line))
    _leave_out_others(lines, cases, at[~by_currency])


def _currency_exposure(lines: Lines, cases: Cases, line: int) -> None:
    """Take the one of the order's two currencies that leaves less room."""
    case = int(lines.case[line])
    table, terms = cases.book.table, cases.intents.form_of(case).terms
    wanted = table.symbol_filters[int(table.symbol_filter[lines.pair[line]])]
    if terms is None:
        lines.before[line] = np.nan
        return
    rooms = []
    for currency, side in ((terms.currency_base, 1.0), (terms.currency_profit, -1.0)):
        if terms.currency_base == terms.currency_profit or (wanted and currency not in wanted):
            continue
        net = currency_net(cases, case, currency) * side * cases.sign[case]
        rooms.append((lines.budget[line] - net, net))
    if not rooms:
        lines.budget[line], lines.cost[line] = np.inf, 0.0
        return
    net = min(rooms, key=lambda room: np.nan_to_num(room[0], nan=-np.inf))[1]
    _net(lines, np.array([line]), np.array([net]), np.zeros(1), cases.notional_per_lot[[case]])


def currency_net(cases: Cases, case: int, currency: str) -> float:
    """Return what an account holds of a currency, in its own; NaN when a symbol is not known."""
    held, book = cases.held, cases.book
    server = book.accounts.servers[cases.row[case]]
    known = book.surroundings.currencies.get(server, {})
    names = {number: name for name, number in cases.symbols.items()}
    total = 0.0
    for row in np.flatnonzero(held.case == case):
        pair = known.get(names[int(held.symbol[row])])
        if pair is None:
            return float("nan")
        base, profit = pair
        value = float(held.sign[row] * held.notional[row])
        total += value * ((base == currency) - (profit == currency))
    return total


def _correlation(lines: Lines, cases: Cases, at: Integers) -> None:
    value = cases.book.standing.value[lines.pair[at]]
    lines.before[at] = np.nan_to_num(value, nan=0.0)
    after = np.array([correlation_after(cases, int(case)) for case in lines.case[at]])
    lines.once[at] = np.maximum(after - lines.before[at], 0.0)
    lines.closing[at] = cases.closing_lots[lines.case[at]]
    lines.budget[at] = cases.book.table.fixed_amount[lines.pair[at]]


def _risk_per_trade(lines: Lines, cases: Cases, at: Integers) -> None:
    """Add the loss at the stop to that of the symbol's positions; without a stop nothing."""
    case, book = lines.case[at], cases.book
    balance = np.maximum(book.accounts.balance[cases.row[case]], _SMALLEST_MONEY)
    lines.before[at] = cases.symbol_risk[case]
    lines.closing[at] = cases.closing_lots[case]
    lines.per_lot[at] = np.where(cases.has_stop[case], cases.loss_per_lot[case], 0.0)
    lines.budget[at] = book.table.fixed_amount[lines.pair[at]] * balance
    _leave_out_others(lines, cases, at)


def _stop_required(lines: Lines, cases: Cases, at: Integers) -> None:
    case = lines.case[at]
    lines.closing[at] = cases.closing_lots[case]
    lines.once[at] = np.where(cases.has_stop[case], 0.0, 1.0)
    lines.budget[at] = 0.0


def _daily_trades(lines: Lines, cases: Cases, at: Integers) -> None:
    case, pair = lines.case[at], lines.pair[at]
    lines.before[at] = cases.book.standing.value[pair] + cases.flying_count[case]
    lines.closing[at] = cases.closing_lots[case]
    lines.once[at] = 1.0
    lines.budget[at] = cases.book.table.fixed_amount[pair]


def _windows(lines: Lines, cases: Cases, at: Integers) -> None:
    lines.closing[at] = cases.closing_lots[lines.case[at]]
    lines.once[at] = [
        window_runs(cases, int(case), int(pair))
        for case, pair in zip(lines.case[at], lines.pair[at], strict=True)
    ]
    lines.budget[at] = 0.0


def _cross_hedging(lines: Lines, cases: Cases, at: Integers) -> None:
    lines.closing[at] = cases.closing_lots[lines.case[at]]
    lines.once[at] = [
        opposed_elsewhere(cases, int(case), int(pair))
        for case, pair in zip(lines.case[at], lines.pair[at], strict=True)
    ]
    lines.budget[at] = 0.0


def _net_of_symbol(lines: Lines, cases: Cases, at: Integers, others: Floats) -> None:
    case = lines.case[at]
    _net(lines, at, cases.own_net[case], others, cases.notional_per_lot[case])


def _net(lines: Lines, at: Integers, net: Floats, others: Floats, per_lot: Floats) -> None:
    """Set |net + v * per_lot| + others, where `net` is positive in the order's own direction."""
    lines.before[at] = others + np.abs(net)
    lines.closing[at] = np.where(net < 0, -net / per_lot, 0.0)
    lines.while_closing[at] = -per_lot
    lines.per_lot[at] = per_lot


def _limit_by_equity(lines: Lines, cases: Cases, at: Integers) -> None:
    """Set limits that are multiples of the equity, which falls by what filling the order costs."""
    case, limit = lines.case[at], cases.book.table.fixed_amount[lines.pair[at]]
    equity = cases.book.accounts.equity[cases.row[case]]
    lines.budget[at] = limit * np.maximum(equity, _SMALLEST_MONEY)
    lines.cost[at] = limit * cases.cost_per_lot[case]


def _leave_out_others(lines: Lines, cases: Cases, at: Integers) -> None:
    """Let everything pass in a symbol that the rule does not name."""
    table = cases.book.table
    number = table.symbol_filter[lines.pair[at]]
    named = [one for one in np.unique(number).tolist() if table.symbol_filters[int(one)]]
    for line in at[np.isin(number, named)]:
        if not is_named(lines, cases, int(line)):
            lines.before[line], lines.budget[line], lines.per_lot[line] = 0.0, np.inf, 0.0
            lines.cost[line] = 0.0


def is_named(lines: Lines, cases: Cases, line: int) -> bool:
    """Tell whether a rule looks at the symbol of the order."""
    table = cases.book.table
    named = table.symbol_filters[int(table.symbol_filter[lines.pair[line]])]
    return not named or cases.intents.form_of(int(lines.case[line])).symbol in named


_FILLS: Final[Mapping[RuleType, Callable[[Lines, Cases, Integers], None]]] = {
    RuleType.MAX_DAILY_LOSS: _losses,
    RuleType.MAX_DRAWDOWN: _losses,
    RuleType.MARGIN_LEVEL: _margin_level,
    RuleType.MAX_POSITION_SIZE: _position_size,
    RuleType.POSITION_LIMIT: _position_count,
    RuleType.MAX_LEVERAGE: _leverage,
    RuleType.MAX_EXPOSURE: _exposure,
    RuleType.MAX_CORRELATION: _correlation,
    RuleType.RISK_PER_TRADE: _risk_per_trade,
    RuleType.STOP_LOSS_REQUIRED: _stop_required,
    RuleType.MAX_DAILY_TRADES: _daily_trades,
    RuleType.TRADING_WINDOW: _windows,
    RuleType.NO_CROSS_HEDGING: _cross_hedging,
}
