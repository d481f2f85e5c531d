"""Django's SQLite, with the writers of one process waiting in a queue instead of asleep.

SQLite's own lock stays the truth: other processes know of no queue. A connection waits as long as
its option `timeout` says, for both together. A database in memory is as it was.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

from accounts.core.right_of_way import RIGHT_OF_WAY
from accounts.core.write_turns import Turn, WriteTurns
from accounts.sqlite.checkpoints import CHECKPOINTS

_DEFAULT_SECONDS: Final = 5.0  # of sqlite3 itself
# What waited for less may as well wait in full for another process.
_UNNOTICED_SECONDS: Final = 0.01
# So many pages are written ahead before a commit itself has to bring them home.
_MOST_PAGES_AHEAD: Final = 20_000
_WRITES: Final = ("INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "ALTER", "DROP")
_turns: Final[dict[str, WriteTurns]] = {}

if TYPE_CHECKING:

    class _Sqlite(base.DatabaseWrapper):  # what its stubs leave out
        def get_new_connection(self, conn_params: dict[str, Any]) -> Any: ...
        def _start_transaction_under_autocommit(self) -> None: ...
        def _commit(self) -> None: ...
        def _rollback(self) -> None: ...
        def _close(self) -> None: ...

else:
    _Sqlite = base.DatabaseWrapper


def turns_of(name: str) -> WriteTurns:
    """Return the queue of this process for a database's file."""
    return _turns.setdefault(os.path.abspath(name), WriteTurns(RIGHT_OF_WAY.is_mine))


class DatabaseWrapper(_Sqlite):
    """Takes a turn for each transaction, and for each statement that writes outside of one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._turn: Turn | None = None
        if not self.is_in_memory_db():
            self.execute_wrappers.append(_in_turn)

    @contextmanager
    def taking_turn(self) -> Iterator[None]:
        """Take this connection's turn; whoever does not come so far gives it back."""
        patience = float(self.settings_dict["OPTIONS"].get("timeout", _DEFAULT_SECONDS))
        began = time.monotonic()
        self._turn = turns_of(str(self.settings_dict["NAME"])).take(patience)
        if self._turn is None:
            raise OperationalError("database is locked")
        waited = time.monotonic() - began
        try:
            if waited < _UNNOTICED_SECONDS:
                yield
            else:
                with self._patient_for(patience - waited, patience):
                    yield
        except BaseException:
            self.end_turn()
            raise

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        if not self.is_in_memory_db():
            connection.execute(f"PRAGMA wal_autocheckpoint = {_MOST_PAGES_AHEAD}")
        return connection

    def note_written(self) -> None:
        """Have what was written brought home soon, beside all that waits for a turn."""
        if not self.is_in_memory_db():
            CHECKPOINTS.note(str(self.settings_dict["NAME"]))

    def end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turns_of(str(self.settings_dict["NAME"])).give_back(turn)

    @contextmanager
    def _patient_for(self, left_seconds: float, seconds: float) -> Iterator[None]:
        self._let_wait(left_seconds)
        try:
            yield
        finally:
            self._let_wait(seconds)

    def _let_wait(self, seconds: float) -> None:
        if self.connection is not None:
            self.connection.execute(f"PRAGMA busy_timeout = {max(int(seconds * 1000), 1)}")

    def _start_transaction_under_autocommit(self) -> None:
        if self.is_in_memory_db() or self._turn is not None:
            super()._start_transaction_under_autocommit()
            return
        with self.taking_turn():
            super()._start_transaction_under_autocommit()

    def _commit(self) -> None:
        super()._commit()
        self.end_turn()
        self.note_written()

    def _rollback(self) -> None:
        try:
            super()._rollback()
        finally:
            self.end_turn()

    def _close(self) -> None:
        try:
            super()._close()
        finally:
            self.end_turn()


def _in_turn(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Mapping[str, Any]
) -> Any:
    """Let a statement that writes by itself wait for its turn."""
    database = context["connection"]
    connection = database.connection
    if not sql.startswith(_WRITES) or connection is None or connection.in_transaction:
        return execute(sql, params, many, context)
    with database.taking_turn():
        answer = execute(sql, params, many, context)
    database.end_turn()
    database.note_written()
    return answer


def _forget_all() -> None:
    for each in _turns.values():
        each.forget()
    CHECKPOINTS.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
