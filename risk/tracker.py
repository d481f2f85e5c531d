"""The risk of one host's accounts from tick to tick: baselines, evaluation and latches."""

import logging
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import numpy as np

from accounts.core.zones import broker_zone
from accounts.market_history import Calls
from accounts.sessions.host import Poll
from accounts.sessions.states import SessionState
from accounts.terminals.readings import Rows
from risk.core.account_columns import AccountColumns, account_columns
from risk.core.arrays import Flags, Floats, Integers
from risk.core.baselines import (
    DayRoll,
    DayStarts,
    DayValues,
    advance_peaks,
    day_starts,
    fill_days,
    roll_days,
)
from risk.core.evaluation import Evaluation, evaluate, with_latches
from risk.core.exposures import exposures_of
from risk.core.latches import LatchChanges, decide_latches
from risk.core.states import PairState
from risk.core.transfers import MoneyMoves, add_transfers, moves_since
from risk.desk import Desk, Fingerprint, desk_fingerprint, latch_fingerprint, load_desk
from risk.missed_resets import MissedResets, ResetAnswer, ResetRequest
from risk.state_store import StoredState, changed_pairs, load_latches, load_state, save_state

logger = logging.getLogger(__name__)

STALE_AFTER_SECONDS = 2.0
FINGERPRINT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Assessment:
    """What one tick found: the columns of the accounts and the evaluation of every pair."""

    moment: float
    desk: Desk
    accounts: AccountColumns
    evaluation: Evaluation
    latches: LatchChanges
    reset_at: Floats  # per pair, UTC epoch seconds, NaN for a rule without a trading day


class RiskTracker:
    """Keeps the risk state of one host in memory and in the database in step.

    Use it from the tick's thread alone: `refresh`, `assess`, then `save`. `assess` counts each new
    deal once, so the caller commits the deal cursors right after it.
    """

    def __init__(self, host: str, source: Calls, executor: Executor) -> None:
        self.host = host
        self.desk: Desk
        self._source = source
        self._executor = executor
        self._roster_version = -1
        self._checked_at = float("-inf")
        self._latch_fingerprint: Fingerprint = ()
        self._stored: StoredState
        self._state: PairState
        self._saved: PairState
        self._days: DayStarts
        self._last_deal: Integers
        self._deals_unsaved: Flags
        self._account_ids: tuple[UUID, ...] = ()
        self._last_read_at: Floats = np.empty(0)
        self._given_up: Flags
        self._missed: MissedResets | None = None

    @property
    def state(self) -> PairState:
        return self._state

    def is_loaded_for(self, poll: Poll) -> bool:
        return poll.roster_version == self._roster_version

    def refresh(self, poll: Poll) -> bool:
        """Load the desk again if sessions, rules, groups or latches changed; tell whether."""
        roster_moved = poll.roster_version != self._roster_version
        if not roster_moved and poll.monotonic - self._checked_at < FINGERPRINT_SECONDS:
            return False
        fingerprint = desk_fingerprint(self.host)
        latches = latch_fingerprint()
        self._checked_at = poll.monotonic
        if roster_moved or fingerprint != self.desk.fingerprint:
            self._load(poll, fingerprint, latches)
            return True
        if latches != self._latch_fingerprint:
            self._latch_fingerprint = latches
            self._state = load_latches(self.desk, self._state)
        return False

    def _load(self, poll: Poll, fingerprint: Fingerprint, latches: Fingerprint) -> None:
        if self._roster_version >= 0:
            # What is read back must contain everything that this process has counted.
            self.save(poll.now)
        self.desk = load_desk(poll.account_ids, fingerprint)
        self._stored = load_state(self.desk, poll.now)
        self._state = self._saved = self._stored.state
        self._last_deal = self._stored.last_deal.copy()
        self._deals_unsaved = self._stored.begun_anew.copy()
        self._given_up = np.zeros(len(self.desk.pairs), dtype=np.bool_)
        self._last_read_at = self._carried_over(poll)
        self._account_ids = poll.account_ids
        self._days = day_starts(self.desk.pairs, poll.now.timestamp())
        self._roster_version = poll.roster_version
        self._latch_fingerprint = latches
        if self._missed is None:
            self._missed = MissedResets(self._source, self._executor, lambda: self._checked_at)

    def _carried_over(self, poll: Poll) -> Floats:
        """Tell until when each account's past is contained in the baselines.

        An account that this process has polled: until the last reading. Otherwise the session
        delivers all deals since the stored cursor: until the baselines were stored, and from the
        very beginning when there is no cursor.
        """
        known = dict(zip(self._account_ids, self._last_read_at.tolist(), strict=True))
        stored = np.where(self._stored.last_deal == 0, 0.0, self._stored.stored_at)
        return np.array(
            [known.get(account_id, stored[row]) for row, account_id in enumerate(poll.account_ids)],
            dtype=np.float64,
        )

    def assess(self, poll: Poll) -> Assessment:
        """Advance the baselines by this poll and evaluate every rule on every account."""
        desk, table = self.desk, self.desk.pairs
        moment = poll.now.timestamp()
        if moment >= self._days.valid_until or moment < self._days.starts.max(initial=-np.inf):
            self._days = day_starts(table, moment)
        fresh = (poll.age_seconds <= STALE_AFTER_SECONDS) & (poll.states == SessionState.CONNECTED)
        accounts = account_columns(poll.batch, fresh)
        deals = poll.deals
        state = add_transfers(table, self._state, deals)
        self._note_deals(deals)
        roll = roll_days(table, state, accounts, deals, self._days, moment, self._last_read_at)
        state = self._work_out_missed(poll, accounts, roll)
        state = advance_peaks(table, state, accounts, deals)
        self._last_read_at = np.where(poll.accepted_now, poll.read_at, self._last_read_at)
        evaluation = evaluate(table, state, accounts, exposures_of(poll.batch))
        latches = decide_latches(table, state, evaluation, self._days, moment)
        self._state = latches.state
        return Assessment(
            moment=moment,
            desk=desk,
            accounts=accounts,
            evaluation=with_latches(evaluation, latches.state.latched),
            latches=latches,
            reset_at=self._resets(),
        )

    def save(self, now: datetime) -> None:
        """Write the baselines that changed since the last time; what fails is written next time."""
        table = self.desk.pairs
        changed = np.zeros(len(table), dtype=np.bool_)
        changed[changed_pairs(self._saved, self._state)] = True
        changed |= self._deals_unsaved[table.account_index]
        pairs = np.flatnonzero(changed & (self._stored.row_ids > 0))
        state = self._state
        last_deal = self._last_deal[table.account_index[pairs]]
        save_state(self.desk, self._stored, state, pairs, last_deal, now)
        self._saved = state
        self._deals_unsaved[:] = False

    def _resets(self) -> Floats:
        table = self.desk.pairs
        resets = np.append(self._days.ends, np.nan)
        # NO_CLOCK is -1, which is the place of the NaN.
        return resets[table.clock_index]

    def _note_deals(self, deals: Rows) -> None:
        if len(deals):
            np.maximum.at(self._last_deal, deals["account"], deals["ticket"])
            self._deals_unsaved[deals["account"]] = True

    def _work_out_missed(self, poll: Poll, accounts: AccountColumns, roll: DayRoll) -> PairState:
        """Ask about the resets that were missed, and fill in those that were worked out."""
        state, missed = roll.state, self._missed
        self._given_up[roll.rolled] = False
        waiting = np.union1d(roll.needs_history, self._without_equity(state, accounts))
        if missed is None or not len(waiting):
            return state
        starts = self._days.starts[self.desk.pairs.clock_index]
        for answer in missed.take_answers():
            state = self._fill_in(poll, accounts, state, waiting, starts, answer)
        for row, reset in {
            (int(self.desk.pairs.account_index[pair]), float(starts[pair])) for pair in waiting
        }:
            missed.ask(self._request(poll, row, reset))
        return state

    def _without_equity(self, state: PairState, accounts: AccountColumns) -> Integers:
        """Find the pairs whose day has begun, but too late to have seen the equity it needs."""
        table = self.desk.pairs
        daily = np.flatnonzero(table.uses_equity)
        begun = state.day_started_at[daily] >= self._days.starts[table.clock_index[daily]]
        lacking = begun & np.isnan(state.day_equity[daily]) & ~self._given_up[daily]
        return daily[lacking & accounts.known[table.account_index[daily]]]

    def _request(self, poll: Poll, row: int, reset: float) -> ResetRequest:
        facts = self.desk.accounts[row]
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

    def _fill_in(
        self,
        poll: Poll,
        accounts: AccountColumns,
        state: PairState,
        waiting: Integers,
        starts: Floats,
        answer: ResetAnswer,
    ) -> PairState:
        table = self.desk.pairs
        row = self.desk.account_index.get(answer.request.account_id, -1)
        pairs = waiting[
            (table.account_index[waiting] == row) & (starts[waiting] == answer.request.reset)
        ]
        is_current = row >= 0 and (
            poll.batch.accounts["last_deal"][row] == answer.request.last_deal
        )
        if not len(pairs) or not is_current:
            return state  # it traded meanwhile: the pairs still wait, and are asked about again
        deals = answer.deals.copy()
        deals["account"] = row
        reset = starts[pairs]
        moves = moves_since(table, pairs, reset, deals)
        balance = accounts.balance[row] - moves.deposits - moves.withdrawals - moves.result
        floating = np.nan if answer.floating is None else answer.floating.cautious_reference
        self._given_up[pairs] = answer.floating is None
        state = fill_days(
            state,
            pairs,
            DayValues(
                started_at=reset,
                balance=balance,
                equity=balance + floating,
                deposits=moves.deposits,
                withdrawals=moves.withdrawals,
                # The balance is exact, only an equity is an estimate.
                reconstructed=table.uses_equity[pairs],
            ),
        )
        return self._raise_peaks(table.drawdown_kind[pairs] > 0, pairs, accounts, moves, state)

    def _raise_peaks(
        self,
        trailing: Flags,
        pairs: Integers,
        accounts: AccountColumns,
        moves: MoneyMoves,
        state: PairState,
    ) -> PairState:
        """Raise end-of-day peaks to the balance at a reset that was worked out."""
        if not trailing.any():
            return state
        peak, chosen = state.peak.copy(), pairs[trailing]
        balance = accounts.balance[self.desk.pairs.account_index[chosen]]
        at_reset = balance - moves.result[trailing]
        peak[chosen] = np.fmax(
            peak[chosen], at_reset - state.deposits[chosen] - state.withdrawals[chosen]
        )
        return replace(state, peak=peak)
