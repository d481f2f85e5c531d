"""How long a tick waits for a lock of the database: less than a reading stays fresh.

A tick that waits reads no prices, and everything turns unknown; what the database does not take
now, a later tick writes.
"""

from django.db.backends.base.base import BaseDatabaseWrapper

LOCK_WAIT_MS = 250


class Patience:
    """Sets the patience of one thread's connection, again after each reconnect."""

    def __init__(self) -> None:
        self._limited: object = None

    def limit(self, connection: BaseDatabaseWrapper) -> None:
        """Connect if necessary; raises a database error when that fails."""
        connection.ensure_connection()
        if connection.connection is self._limited:
            return
        is_sqlite = connection.vendor == "sqlite"
        setting = "PRAGMA busy_timeout" if is_sqlite else "SET lock_timeout"
        with connection.cursor() as cursor:
            cursor.execute(f"{setting} = {LOCK_WAIT_MS}")
        self._limited = connection.connection
