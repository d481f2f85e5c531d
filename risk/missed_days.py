"""Days whose reset nobody saw: which are missing, and what becomes of the answers."""

from dataclasses import dataclass, replace

import numpy as np

from accounts.core.zones import broker_zone
from accounts.sessions.poll import Poll
from accounts.terminals.readings import Rows
from risk.core.account_columns import AccountColumns
from risk.core.arrays import Flags, Floats, Integers
from risk.core.baselines import DayRoll, DayStarts, DayValues, fill_days
from risk.core.states import PairState
from risk.core.transfers import moves_since
from risk.desk import Desk
from risk.missed_resets import MissedResets, ResetAnswer, ResetRequest


class MissedDays:
    """Fills in the days of one desk that began unseen; a day that can't be worked out is given up.

    Such a pair stays unknown until its next reset, or until the desk is loaded again.
    """

    def __init__(self, desk: Desk, resets: MissedResets) -> None:
        self._desk = desk
        self._resets = resets
        self._given_up = np.zeros(len(desk.pairs), dtype=np.bool_)

    def fill_in(
        self, poll: Poll, accounts: AccountColumns, roll: DayRoll, days: DayStarts
    ) -> PairState:
        """Return the state with the days that were worked out, and ask about those still missing.

        An account that traded since it was asked about is asked about again: its balance at the
        reset is its present one less what it has won and lost since.
        """
        self._given_up[roll.rolled] = False
        state = roll.state
        waiting = np.union1d(roll.needs_history, self._without_equity(state, accounts, days))
        found = [
            self._found(accounts, answer, pairs)
            for answer in self._resets.take_answers(poll.monotonic)
            if len(pairs := self._pairs_of(answer, poll, waiting, days))
        ]
        if found:
            # All at once: each change of a state copies its columns.
            pairs = np.concatenate([each.pairs for each in found])
            state = self._filled(state, accounts, pairs, found)
            waiting = np.setdiff1d(waiting, pairs, assume_unique=True)
        self._ask(poll, waiting, days)
        return state

    def _without_equity(
        self, state: PairState, accounts: AccountColumns, days: DayStarts
    ) -> Integers:
        """Find the pairs whose day has begun, but too late to have seen the equity it needs."""
        table = self._desk.pairs
        daily = np.flatnonzero(table.uses_equity & ~table.counted)
        begun = state.day_started_at[daily] >= days.starts[table.clock_index[daily]]
        lacking = begun & np.isnan(state.day_equity[daily]) & ~self._given_up[daily]
        return daily[lacking & accounts.known[table.account_index[daily]]]

    def _ask(self, poll: Poll, waiting: Integers, days: DayStarts) -> None:
        if not len(waiting):
            return
        table = self._desk.pairs
        rows = table.account_index[waiting].tolist()
        resets = days.starts[table.clock_index[waiting]].tolist()
        # Contiguous: a search in one field of wide rows would copy that field every time.
        owners = np.ascontiguousarray(poll.batch.positions["account"])
        for row, reset in dict.fromkeys(zip(rows, resets, strict=True)):
            if not self._resets.has_room:
                return
            if self._resets.may_ask((poll.account_ids[row], reset), poll.monotonic):
                first, last = np.searchsorted(owners, [row, row + 1])
                positions = poll.batch.positions[first:last].copy()
                self._resets.ask(self._request(poll, row, reset, positions))

    def _request(self, poll: Poll, row: int, reset: float, positions: Rows) -> ResetRequest:
        facts = self._desk.accounts[row]
        zone = facts.terms.broker_zone if facts else "UTC"
        return ResetRequest(
            account_id=poll.account_ids[row],
            login=int(poll.batch.accounts["login"][row]),
            reset=reset,
            broker_zone=broker_zone(zone),
            last_deal=int(poll.batch.accounts["last_deal"][row]),
            positions=positions,
            symbols=poll.batch.symbols,
        )

    def _pairs_of(
        self, answer: ResetAnswer, poll: Poll, waiting: Integers, days: DayStarts
    ) -> Integers:
        """Return the waiting pairs that an answer is about; none if it is out of date."""
        table, request = self._desk.pairs, answer.request
        row = self._desk.account_index.get(request.account_id)
        if row is None:
            return waiting[:0]
        account = poll.batch.accounts[row]
        if (account["login"], account["last_deal"]) != (request.login, request.last_deal):
            return waiting[:0]
        is_about: Flags = (table.account_index[waiting] == row) & (
            days.starts[table.clock_index[waiting]] == request.reset
        )
        about: Integers = waiting[is_about]
        return about

    def _found(self, accounts: AccountColumns, answer: ResetAnswer, pairs: Integers) -> "_Found":
        table = self._desk.pairs
        row = int(table.account_index[pairs[0]])
        deals = answer.deals.copy()
        deals["account"] = row
        reset = np.full(len(pairs), answer.request.reset)
        moves = moves_since(table, pairs, reset, deals)
        balance = accounts.balance[row] - moves.deposits - moves.withdrawals - moves.result
        floating = np.nan if answer.floating is None else answer.floating.cautious_reference
        self._given_up[pairs] = answer.floating is None
        day = DayValues(
            started_at=reset,
            balance=balance,
            equity=balance + floating,
            deposits=moves.deposits,
            withdrawals=moves.withdrawals,
            # The balance is exact, and so is the equity of an account that was flat.
            reconstructed=table.uses_equity[pairs] & (not answer.was_flat),
        )
        return _Found(pairs, day, moves.result)

    def _filled(
        self, state: PairState, accounts: AccountColumns, pairs: Integers, found: list["_Found"]
    ) -> PairState:
        """Fill in days, and raise end-of-day peaks to the balances at those resets."""
        table = self._desk.pairs
        day = DayValues(
            **{
                name: np.concatenate([getattr(each.day, name) for each in found])
                for name in DayValues.__slots__
            }
        )
        state = fill_days(state, pairs, day)
        trailing = table.drawdown_kind[pairs] > 0
        if not trailing.any():
            return state
        peak, chosen = state.peak.copy(), pairs[trailing]
        result = np.concatenate([each.result for each in found])[trailing]
        at_reset = accounts.balance[table.account_index[chosen]] - result
        peak[chosen] = np.fmax(
            peak[chosen], at_reset - state.deposits[chosen] - state.withdrawals[chosen]
        )
        return replace(state, peak=peak)


@dataclass(frozen=True, slots=True)
class _Found:
    """The day of some pairs of one account, and what was won or lost since it began."""

    pairs: Integers
    day: DayValues
    result: Floats
