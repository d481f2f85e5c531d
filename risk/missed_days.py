"""Days whose reset nobody saw: which are missing, and what becomes of the answers."""

from dataclasses import replace

import numpy as np

from accounts.core.zones import broker_zone
from accounts.sessions.poll import Poll
from risk.core.account_columns import AccountColumns
from risk.core.arrays import Flags, Integers
from risk.core.baselines import DayRoll, DayStarts, DayValues, fill_days
from risk.core.states import PairState
from risk.core.transfers import MoneyMoves, moves_since
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
        for answer in self._resets.take_answers(poll.monotonic):
            pairs = self._pairs_of(answer, poll, waiting, days)
            if len(pairs):
                state = self._filled(state, accounts, answer, pairs)
                waiting = np.setdiff1d(waiting, pairs, assume_unique=True)
        self._ask(poll, waiting, days)
        return state

    def _without_equity(
        self, state: PairState, accounts: AccountColumns, days: DayStarts
    ) -> Integers:
        """Find the pairs whose day has begun, but too late to have seen the equity it needs."""
        table = self._desk.pairs
        daily = np.flatnonzero(table.uses_equity)
        begun = state.day_started_at[daily] >= days.starts[table.clock_index[daily]]
        lacking = begun & np.isnan(state.day_equity[daily]) & ~self._given_up[daily]
        return daily[lacking & accounts.known[table.account_index[daily]]]

    def _ask(self, poll: Poll, waiting: Integers, days: DayStarts) -> None:
        table = self._desk.pairs
        rows = table.account_index[waiting].tolist()
        resets = days.starts[table.clock_index[waiting]].tolist()
        for row, reset in dict.fromkeys(zip(rows, resets, strict=True)):
            if not self._resets.has_room:
                return
            if self._resets.may_ask((poll.account_ids[row], reset), poll.monotonic):
                self._resets.ask(self._request(poll, row, reset))

    def _request(self, poll: Poll, row: int, reset: float) -> ResetRequest:
        facts = self._desk.accounts[row]
        zone = facts.terms.broker_zone if facts else "UTC"
        positions = poll.batch.positions
        return ResetRequest(
            account_id=poll.account_ids[row],
            login=int(poll.batch.accounts["login"][row]),
            reset=reset,
            broker_zone=broker_zone(zone),
            last_deal=int(poll.batch.accounts["last_deal"][row]),
            positions=positions[positions["account"] == row].copy(),
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

    def _filled(
        self, state: PairState, accounts: AccountColumns, answer: ResetAnswer, pairs: Integers
    ) -> PairState:
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
        return self._with_peaks(fill_days(state, pairs, day), accounts, pairs, moves)

    def _with_peaks(
        self, state: PairState, accounts: AccountColumns, pairs: Integers, moves: MoneyMoves
    ) -> PairState:
        """Raise end-of-day peaks to the balance at a reset that was worked out."""
        table = self._desk.pairs
        trailing = table.drawdown_kind[pairs] > 0
        if not trailing.any():
            return state
        peak, chosen = state.peak.copy(), pairs[trailing]
        at_reset = accounts.balance[table.account_index[chosen]] - moves.result[trailing]
        peak[chosen] = np.fmax(
            peak[chosen], at_reset - state.deposits[chosen] - state.withdrawals[chosen]
        )
        return replace(state, peak=peak)
