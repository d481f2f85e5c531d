"""How long a host waits for a lock of the database: a tick less than a reading stays fresh.

A tick that waits reads no prices, and everything turns unknown; what the database does not take
now, a later tick writes. What is done beside the tick is done anew where it could not be written:
so it rather waits for others of its kind, of which there may be dozens.
"""

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

LOCK_WAIT_MS = 250
# SQLite has one lock for all that write; with others, nobody waits long but for the same row.
SQLITE_LOCK_WAIT_MS = 1_000


def wait_briefly(database: BaseDatabaseWrapper | None = None) -> None:
    """Limit the waiting of this thread's connection, from the next time that it connects."""
    _limit(database or connection, LOCK_WAIT_MS)


def wait_beside_tick(database: BaseDatabaseWrapper | None = None) -> None:
    """Do the same for a thread that acts on what a tick has found."""
    database = database or connection
    _limit(database, SQLITE_LOCK_WAIT_MS if database.vendor == "sqlite" else LOCK_WAIT_MS)


def _limit(database: BaseDatabaseWrapper, milliseconds: int) -> None:
    # The settings, because ticks close a connection after an error and open another one.
    given = database.settings_dict["OPTIONS"]
    if database.vendor == "sqlite":
        limit: dict[str, object] = {"timeout": milliseconds / 1000}
    else:
        limit = {"options": f"{given.get('options', '')} -c lock_timeout={milliseconds}".strip()}
    database.settings_dict = {**database.settings_dict, "OPTIONS": {**given, **limit}}
