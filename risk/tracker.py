"""The risk of one host's accounts from tick to tick: baselines, evaluation and latches."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import numpy as np

from accounts.market_history import Calls
from accounts.sessions.poll import Poll
from accounts.sessions.states import SessionState
from accounts.terminals.readings import STALE_AFTER_SECONDS, ReadingBatch, Rows
from risk.core.account_columns import AccountColumns, account_columns
from risk.core.arrays import Flags, Floats, Integers
from risk.core.baselines import DayStarts, advance_peaks, day_starts, roll_days
from risk.core.evaluation import Evaluation, evaluate, with_latches
from risk.core.exposures import Exposures, exposures_of
from risk.core.latches import LatchChanges, decide_latches
from risk.core.states import PairState
from risk.core.transfers import add_transfers
from risk.desk import Desk, Fingerprint, desk_fingerprint, load_desk
from risk.due import Due
from risk.latch_store import latch_fingerprint, load_latches
from risk.missed_days import MissedDays
from risk.missed_resets import MissedResets
from risk.state_store import StoredState, changed_pairs, load_state, save_state

FINGERPRINT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Assessment:
    """What one tick found: the columns of the accounts and the evaluation of every pair.

    `breach_ids` names the breach of each latched pair, `due` the actions that should be at work.
    """

    moment: float
    desk: Desk
    accounts: AccountColumns
    exposures: Exposures
    evaluation: Evaluation
    latches: LatchChanges
    reset_at: Floats  # per pair, UTC epoch seconds, NaN for a rule without a trading day
    breach_ids: Mapping[int, UUID] = field(default_factory=dict)
    due: tuple[Due, ...] = ()


class RiskTracker:
    """Keeps the risk state of one host in memory and in the database in step.

    Use it from the tick's thread alone: `refresh`, `assess`, then `save`. `assess` counts each new
    deal once, so the caller commits the deal cursors right after it.
    """

    def __init__(self, host: str, source: Calls, executor: Executor) -> None:
        self.host = host
        self.desk: Desk
        self._resets = MissedResets(source, executor)
        self._roster_version = -1
        self._checked_at = float("-inf")
        self._latch_fingerprint: Fingerprint = ()
        self._stored: StoredState
        self._state: PairState
        self._saved: PairState
        self._days: DayStarts
        self._missed: MissedDays
        self._logins: Logins
        self._last_deal: Integers
        self._deals_unsaved: Flags
        self._last_read_at: Floats

    def is_loaded_for(self, poll: Poll) -> bool:
        return poll.roster_version == self._roster_version

    def refresh(self, poll: Poll) -> bool:
        """Load the desk again if sessions, rules, groups or latches changed; tell whether.

        What is read back replaces what is in memory, so the caller first writes the latches that
        earlier ticks decided.
        """
        roster_moved = not self.is_loaded_for(poll)
        if not roster_moved and poll.monotonic - self._checked_at < FINGERPRINT_SECONDS:
            return False
        fingerprint = desk_fingerprint()
        latches = latch_fingerprint()
        self._checked_at = poll.monotonic
        if roster_moved or fingerprint != self.desk.fingerprint:
            self._load(poll, fingerprint, latches)
            return True
        if latches != self._latch_fingerprint:
            self._state = load_latches(self.desk, self._state)
            self._latch_fingerprint = latches
        return False

    def _load(self, poll: Poll, fingerprint: Fingerprint, latches: Fingerprint) -> None:
        """Take over what the database says; all of it, or nothing when the database goes away."""
        if self._roster_version >= 0:
            # What is read back must contain everything that this process has counted.
            self.save(poll.now)
        desk = load_desk(poll.account_ids, fingerprint)
        counted, read_at = self._carried_over(desk)
        stored = load_state(desk, poll.now, counted)
        # An account that this process has not polled: its session delivers all deals since the
        # stored cursor, and from the very beginning when there is no cursor.
        known_until = np.where(stored.last_deal == 0, 0.0, stored.stored_at)
        self.desk, self._stored = desk, stored
        self._state = self._saved = stored.state
        self._last_deal = stored.last_deal.copy()
        self._deals_unsaved = stored.begun_anew.copy()
        self._last_read_at = np.where(np.isnan(read_at), known_until, read_at)
        self._logins = Logins(desk)
        self._missed = MissedDays(desk, self._resets)
        self._days = day_starts(desk.pairs, poll.now.timestamp())
        self._roster_version = poll.roster_version
        self._latch_fingerprint = latches

    def _carried_over(self, desk: Desk) -> tuple[Integers, Floats]:
        """Return what this process has counted of each account: newest deal, and last reading.

        0 and NaN for an account that it has not polled under this login.
        """
        counted = np.zeros(len(desk.accounts), dtype=np.int64)
        read_at = np.full(len(desk.accounts), np.nan)
        if self._roster_version < 0:
            return counted, read_at
        for row, account in enumerate(desk.accounts):
            if account is None:
                continue
            before = self.desk.account_index.get(account.id)
            known = self.desk.accounts[before] if before is not None else None
            if known is not None and (known.server, known.login) == (account.server, account.login):
                counted[row], read_at[row] = self._last_deal[before], self._last_read_at[before]
        return counted, read_at

    def assess(self, poll: Poll) -> Assessment:
        """Advance the baselines by this poll and evaluate every rule on every account."""
        desk, table = self.desk, self.desk.pairs
        moment = poll.now.timestamp()
        if moment >= self._days.valid_until or moment < self._days.starts.max(initial=-np.inf):
            self._days = day_starts(table, moment)
        ours = self._logins.answered_in(poll.batch)
        fresh = (poll.age_seconds <= STALE_AFTER_SECONDS) & (poll.states == SessionState.CONNECTED)
        accounts = account_columns(poll.batch, fresh & ours)
        deals = self._uncounted(poll.deals, ours)
        state = add_transfers(table, self._state, deals)
        last_read_at = self._last_read_at
        roll = roll_days(table, state, accounts, deals, self._days, poll.read_at, last_read_at)
        state = self._missed.fill_in(poll, accounts, roll, self._days)
        state = advance_peaks(table, state, accounts, deals)
        exposures = exposures_of(poll.batch)
        evaluation = evaluate(table, state, accounts, exposures)
        latches = decide_latches(table, state, evaluation, self._days, moment)
        # From here on nothing fails: the deals are counted with everything that follows from them.
        self._note_deals(deals)
        self._last_read_at = np.where(poll.accepted_now & ours, poll.read_at, last_read_at)
        self._state = latches.state
        return Assessment(
            moment=moment,
            desk=desk,
            accounts=accounts,
            exposures=exposures,
            evaluation=with_latches(evaluation, latches.state.latched),
            latches=latches,
            reset_at=self._resets_ahead(),
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

    def _resets_ahead(self) -> Floats:
        resets = np.append(self._days.ends, np.nan)
        # NO_CLOCK is -1, which is the place of the NaN.
        return resets[self.desk.pairs.clock_index]

    def _uncounted(self, deals: Rows, ours: Flags) -> Rows:
        """Leave out deals that the baselines contain already, and those of another login.

        The cursor of a session that has just begun is read beside the tick, so that it can be
        older than the baselines.
        """
        if not len(deals):
            return deals
        account = deals["account"]
        uncounted: Rows = deals[(deals["ticket"] > self._last_deal[account]) & ours[account]]
        return uncounted

    def _note_deals(self, deals: Rows) -> None:
        if len(deals):
            np.maximum.at(self._last_deal, deals["account"], deals["ticket"])
            self._deals_unsaved[deals["account"]] = True


class Logins:
    """The logins that a desk expects behind its accounts.

    Sessions follow an edited login a moment after the desk does; until then they still read the
    login before, on which no rule may be judged.
    """

    def __init__(self, desk: Desk) -> None:
        self._servers = [account.server if account else "" for account in desk.accounts]
        self._logins = np.array(
            [account.login if account else -1 for account in desk.accounts], dtype=np.int64
        )
        self._names: tuple[str, ...] = ()
        self._numbers: Integers = np.full(len(self._servers), -1, dtype=np.int64)

    def answered_in(self, batch: ReadingBatch) -> Flags:
        """Tell which rows of the batch are readings of the expected login."""
        if batch.servers != self._names:
            numbers = {name: number for number, name in enumerate(batch.servers)}
            self._numbers = np.array([numbers.get(name, -1) for name in self._servers], np.int64)
            self._names = batch.servers
        accounts = batch.accounts
        matches: Flags = (accounts["login"] == self._logins) & (accounts["server"] == self._numbers)
        return matches & (self._numbers >= 0)
