"""Bringing the sessions of a pool in line with what the database wants."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import numpy as np

from accounts.sessions.merging import Names, empty_batch, reshaped
from accounts.sessions.poll import RosterChange
from accounts.sessions.states import Reason, SessionState
from accounts.sessions.table import SessionSpec, SessionTable
from accounts.sessions.transitions import Moment, Transitions
from accounts.terminals.readings import ReadingBatch


class Membership:
    """The rows of the table, and the latest readings that belong to them.

    ``version`` moves whenever a row number or a login comes to mean another one.
    """

    def __init__(self, table: SessionTable, transitions: Transitions) -> None:
        self.names = Names()
        self.version = 0
        self.latest: ReadingBatch = empty_batch(0)
        self._table = table
        self._transitions = transitions

    def sync(self, roster: RosterChange, cursors: Mapping[UUID, int], moment: Moment) -> None:
        """Take accounts in and out and follow their edits; `cursors` name the newest stored deals.

        An account that the database has changed and this process does not know yet is taken in.
        """
        row_of = self._table.row_of
        removed = {account_id for account_id in roster.removed if account_id in row_of}
        added = [spec for spec in (*roster.added, *roster.changed) if spec.account_id not in row_of]
        changed = [spec for spec in (*roster.added, *roster.changed) if spec.account_id in row_of]
        if removed or added:
            kept = [row for row, key in enumerate(self._table.account_ids) if key not in removed]
            self._table.reshape(kept, added)
            self.latest = reshaped(self.latest, np.array(kept, dtype=np.intp), len(added))
            self.version += 1
        for spec in added:
            row = self._table.row_of[spec.account_id]
            self._describe(row, spec)
            self._table.rows["cursor"][row] = cursors.get(spec.account_id, 0)
            self._transitions.restore(row, spec, moment)
        for spec in changed:
            self._change(self._table.row_of[spec.account_id], spec, moment)

    def _describe(self, row: int, spec: SessionSpec) -> None:
        session = self._table.rows[row]
        session["user_id"] = spec.user_id
        session["login"] = spec.login
        session["server"] = self.names.servers.number(spec.server)
        session["currency"] = self.names.currencies.number(spec.currency)
        self._table.names[row] = spec.account_name
        self._table.servers[row] = spec.server
        self._table.key_marks[row] = spec.key_mark

    def _change(self, row: int, spec: SessionSpec, moment: Moment) -> None:
        table, session = self._table, self._table.rows[row]
        is_other_login = session["login"] != spec.login or table.servers[row] != spec.server
        is_other_key = table.key_marks[row] != spec.key_mark
        was_wanted = bool(session["is_wanted"])
        self._describe(row, spec)
        session["is_wanted"] = spec.is_wanted
        if is_other_login:
            self._forget(row)
        if not spec.is_wanted:
            if was_wanted:
                self._end(row, spec, moment)
        elif not was_wanted or is_other_login:
            self._begin(row, spec, moment)
        elif _is_asked_after(spec, float(session["since"])):
            if is_other_key:
                # What the old password opened would pass for a proof of the new one.
                table.renew(row)
                self._transitions.end(row)
            self._ask_again(row, spec, moment, is_anew=is_other_key)
        elif is_other_key:
            # A session that is connected stays so while its new password is tried.
            table.renew(row)
            self._transitions.connect(row, moment)

    def _begin(self, row: int, spec: SessionSpec, moment: Moment) -> None:
        self._transitions.connect(row, moment)
        if spec.state == SessionState.CONNECTING.label:
            self._transitions.adopt(row, spec, moment)
        elif self._table.state(row) != SessionState.CONNECTING:
            self._transitions.enter(row, SessionState.CONNECTING, Reason.REQUESTED, moment)

    def _ask_again(self, row: int, spec: SessionSpec, moment: Moment, *, is_anew: bool) -> None:
        """Follow a person who pressed Connect on a session that is wanted already."""
        if self._table.state(row) == SessionState.CONNECTED and not is_anew:
            # It connected at the same moment; its next reading says so once more.
            self._transitions.await_proof(row, moment)
        else:
            self._transitions.connect(row, moment)
        self._transitions.adopt(row, spec, moment)

    def _end(self, row: int, spec: SessionSpec, moment: Moment) -> None:
        self._table.renew(row)
        self._transitions.end(row)
        if spec.state == SessionState.DISCONNECTED.label:
            self._transitions.adopt(row, spec, moment)
        elif self._table.state(row) != SessionState.DISCONNECTED:
            self._transitions.enter(row, SessionState.DISCONNECTED, Reason.REQUESTED, moment)

    def _forget(self, row: int) -> None:
        """Drop everything that was read of the login before; no rule may be judged on it."""
        self._table.forget(row)
        latest = self.latest
        accounts = latest.accounts.copy()
        accounts[row] = empty_batch(1).accounts[0]
        self.latest = replace(
            latest,
            accounts=accounts,
            positions=latest.positions[latest.positions["account"] != row],
            orders=latest.orders[latest.orders["account"] != row],
        )
        self.version += 1


def _is_asked_after(spec: SessionSpec, since: float) -> bool:
    return (
        spec.state == SessionState.CONNECTING.label
        and spec.since is not None
        and spec.since.timestamp() > since
    )
