"""The risk of one host's accounts from tick to tick: baselines, evaluation and latches."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID, uuid4

import numpy as np

from accounts.market_history import Calls
from accounts.models import ConnectedAccount
from accounts.sessions.line import InlineExecutor
from accounts.sessions.poll import Poll
from accounts.sessions.states import SessionState
from accounts.terminals.readings import POSITION_DTYPE, STALE_AFTER_SECONDS, Rows
from risk.armings import ArmedPairs
from risk.backfill import Backfill
from risk.carrying_over import with_rows_of, with_timers
from risk.core.account_columns import AccountColumns, account_columns
from risk.core.arrays import Flags, Floats, Integers
from risk.core.baselines import DayStarts, advance_peaks, day_starts, roll_days
from risk.core.counting import count_deals, roll_counted_days
from risk.core.evaluation import Evaluation, evaluate
from risk.core.exposures import Exposures, exposures_of
from risk.core.latches import LatchChanges, decide_latches, with_latched_statuses
from risk.core.pairs import DRAWDOWN_CODE, PairTable
from risk.core.rule_types import DrawdownKind, RuleType
from risk.core.states import PairState
from risk.core.statuses import Status
from risk.core.strategies import of_strategies, strategy_floating
from risk.core.surroundings import EMPTY, Surroundings
from risk.core.transfers import add_transfers
from risk.desk import Desk, Fingerprint, desk_fingerprint, load_desk
from risk.due import Due, due_actions
from risk.latch_store import latch_fingerprint, load_latches
from risk.logins import Logins
from risk.missed_days import MissedDays
from risk.missed_resets import MissedResets
from risk.openers import Openers
from risk.services.cutoff import ensure_cutoffs
from risk.state_saving import save_in_parts
from risk.state_store import StoredState, changed_pairs, load_state
from risk.surroundings import SurroundingsBook

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
    surroundings: Surroundings = EMPTY


class RiskTracker:
    """Keeps the risk state of one host in memory and in the database in step.

    Use it from the tick's thread alone: `refresh`, `assess`, then `save`. `assess` counts each new
    deal once, so the caller commits the deal cursors right after it.
    """

    def __init__(
        self, host: str, source: Calls, executor: Executor, *, is_inline: bool = False
    ) -> None:
        self.host = host
        self.desk: Desk
        self._executor: Executor = InlineExecutor() if is_inline else executor
        self._is_inline = is_inline
        self._resets = MissedResets(source, executor)
        self._roster_version = -1
        self._checked_at = float("-inf")
        self._latch_fingerprint: Fingerprint = ()
        self._armed: ArmedPairs
        self._stored: StoredState
        self._state: PairState
        self._saved: PairState
        self._days: DayStarts
        self._breach_ids: dict[int, UUID] = {}
        self._missed: MissedDays
        self._backfill: Backfill
        self._openers = Openers()
        self._surroundings = SurroundingsBook(host, source, self._executor)
        self._strategies: Flags
        self._shows_reset: Flags
        self._positions: Rows = np.empty(0, dtype=POSITION_DTYPE)
        self._logins: Logins
        self._last_deal: Integers
        self._begun_anew: Flags
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
            self._load(poll, latches)
            return True
        if latches != self._latch_fingerprint:
            stored = load_latches(self.desk, self._state)
            self._state, self._breach_ids = stored.state, dict(stored.breach_ids)
            self._latch_fingerprint = latches
        return False

    def _load(self, poll: Poll, latches: Fingerprint) -> None:
        """Take over what the database says; all of it, or nothing when the database goes away."""
        if self._roster_version >= 0:
            # What is read back must contain everything that this process has counted.
            self.save(poll.now)
        desk = self._read_desk(poll)
        counted, read_at = self._carried_over(desk)
        stored = load_state(desk, poll.now, counted)
        # An account that this process has not polled: its session delivers all deals since the
        # stored cursor, and from the very beginning when there is no cursor.
        known_until = np.where(stored.last_deal == 0, 0.0, stored.stored_at)
        if self._roster_version >= 0:
            timed = with_timers(stored.state, desk, self._state, self.desk)
            stored = replace(stored, state=timed)
            self._positions = with_rows_of(self._positions, desk, self.desk)
        self.desk, self._stored = desk, stored
        self._armed = ArmedPairs(desk.armings)
        self._state = self._saved = stored.state
        self._breach_ids = dict(stored.breach_ids)
        self._last_deal = stored.last_deal.copy()
        self._begun_anew = stored.begun_anew.copy()
        self._deals_unsaved = np.zeros_like(self._begun_anew)
        self._last_read_at = np.where(np.isnan(read_at), known_until, read_at)
        self._logins = Logins(desk)
        self._missed = MissedDays(desk, self._resets)
        self._backfill = Backfill(desk, self._executor, is_inline=self._is_inline)
        self._openers.load(desk)
        self._surroundings.load(desk)
        self._strategies = of_strategies(desk.pairs)
        self._shows_reset = _shown_resets(desk.pairs)
        self._days = day_starts(desk.pairs, poll.now.timestamp())
        self._roster_version = poll.roster_version
        self._latch_fingerprint = latches

    def _read_desk(self, poll: Poll) -> Desk:
        owners = ConnectedAccount.objects.filter(terminal_host=self.host).order_by()
        ensure_cutoffs(owners.values_list("user_id", flat=True).distinct())
        return load_desk(poll.account_ids, desk_fingerprint())

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
        state, waiting = self._advanced(poll, accounts, deals)
        exposures = exposures_of(poll.batch)
        # A day that waits for its first reading is not known, lest yesterday's violates today.
        seen = state if not waiting.any() else _without_day(state, waiting)
        surroundings = self._surroundings.around(poll)
        evaluation = evaluate(table, seen, accounts, exposures, surroundings)
        latches = decide_latches(table, state, evaluation, self._days, moment, desk.triggers)
        breach_ids = self._named_breaches(latches)
        self._armed.see(_kept(evaluation, latches.state), moment)
        # From here on nothing fails: the deals are counted with everything that follows from them.
        self._note_deals(deals)
        self._last_read_at = np.where(poll.accepted_now & ours, poll.read_at, self._last_read_at)
        self._state, self._breach_ids = latches.state, breach_ids
        self._positions = poll.batch.positions
        may_trade = accounts.known & poll.batch.accounts["trade_allowed"]
        return Assessment(
            moment=moment,
            desk=desk,
            accounts=accounts,
            exposures=exposures,
            evaluation=with_latched_statuses(evaluation, latches.state),
            latches=latches,
            reset_at=self._resets_ahead(),
            breach_ids=breach_ids,
            due=due_actions(
                desk, latches.state, breach_ids, self._armed.acts_since, may_trade, moment
            ),
            surroundings=surroundings,
        )

    def _advanced(
        self, poll: Poll, accounts: AccountColumns, deals: Rows
    ) -> tuple[PairState, Flags]:
        """Move the baselines on; return the counted pairs whose new day waits, too."""
        table, days, last_read_at = self.desk.pairs, self._days, self._last_read_at
        state = self._backfill.fill_in(self._state, self._last_deal, poll.monotonic)
        if self._strategies.any():
            floating = strategy_floating(table, self._strategies, poll.batch.positions)
            state = replace(state, floating=floating)
        attributed = self._openers.attributed(deals, self._positions)
        state = count_deals(table, state, attributed)
        state, waiting = roll_counted_days(table, state, accounts, days, poll.read_at)
        state = add_transfers(table, state, deals)
        roll = roll_days(table, state, accounts, deals, days, poll.read_at, last_read_at)
        state = self._missed.fill_in(poll, accounts, roll, days)
        return advance_peaks(table, state, accounts, deals), waiting

    def _named_breaches(self, latches: LatchChanges) -> dict[int, UUID]:
        """Name the breach of each latched pair; those that begin are written under these names."""
        if not len(latches.opened) and not len(latches.cleared):
            return self._breach_ids
        named = dict(self._breach_ids)
        for pair in latches.cleared.tolist():
            named.pop(pair, None)
        named.update((pair, uuid4()) for pair in latches.opened.tolist())
        return named

    def save(self, now: datetime) -> None:
        """Write the baselines that changed since the last time; what fails is written next time."""
        self._armed.save()
        account = self.desk.pairs.account_index
        changed = self._begun_anew[account]
        changed[changed_pairs(self._saved, self._state)] = True
        state = self._state
        save_in_parts(
            self.desk,
            self._stored,
            state,
            changed=changed,
            counted=self._deals_unsaved[account],
            last_deal=self._last_deal,
            now=now,
        )
        self._saved = state
        self._begun_anew[:] = False
        self._deals_unsaved[:] = False

    def _resets_ahead(self) -> Floats:
        resets = np.append(self._days.ends, np.nan)
        # NO_CLOCK is -1, which is the place of the NaN.
        return np.where(self._shows_reset, resets[self.desk.pairs.clock_index], np.nan)

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


def _without_day(state: PairState, pairs: Flags) -> PairState:
    unknown = np.where(pairs, np.nan, state.day_started_at)
    equity = np.where(pairs, np.nan, state.day_equity)
    balance = np.where(pairs, np.nan, state.day_balance)
    return replace(state, day_started_at=unknown, day_equity=equity, day_balance=balance)


def _kept(evaluation: Evaluation, state: PairState) -> Flags:
    """Tell which pairs are known to be inside what makes their rule act."""
    known = evaluation.present != Status.UNKNOWN
    kept: Flags = known & ~evaluation.breached & np.isnan(state.triggered_since)
    return kept


def _shown_resets(table: PairTable) -> Flags:
    """Tell which pairs begin anew at their reset, or move their floor then."""
    shown: Flags = table.drawdown_kind == DRAWDOWN_CODE[DrawdownKind.TRAILING_END_OF_DAY]
    for rule_type in (RuleType.MAX_DAILY_LOSS, RuleType.MAX_DAILY_TRADES):
        shown[table.slice_of(rule_type)] = True
    return shown
