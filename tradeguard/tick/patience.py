"""How long a tick waits for a lock of the database: less than a reading stays fresh.

A tick that waits reads no prices, and everything turns unknown; what the database does not take
now, a later tick writes.
"""

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

LOCK_WAIT_MS = 250


def wait_briefly(database: BaseDatabaseWrapper | None = None) -> None:
    """Limit the waiting of this thread's connection, from the next time that it connects."""
    # The settings, because ticks close a connection after an error and open another one.
    database = database or connection
    given = database.settings_dict["OPTIONS"]
    if database.vendor == "sqlite":
        limit: dict[str, object] = {"timeout": LOCK_WAIT_MS / 1000}
    else:
        limit = {"options": f"{given.get('options', '')} -c lock_timeout={LOCK_WAIT_MS}".strip()}
    database.settings_dict = {**database.settings_dict, "OPTIONS": {**given, **limit}}
