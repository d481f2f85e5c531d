"""The one way in which a host writes: into the database, or else into its journal.

Enforcement cannot wait for a database that is away. What it is about to do goes to the disk of the
host then, and into the database as soon as that is back, in the same order.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from threading import Lock

from django.conf import settings
from django.db import (
    Error as DatabaseError,
)
from django.db import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)
from django.db.models import Model

from risk.ledger.entries import UNREADABLE, Change, Entry, Insert, entry_of, plain
from risk.ledger.journal import Journal
from risk.models import Enforcement

logger = logging.getLogger(__name__)

# What a database says that is away or locked; everything else is a mistake of ours.
AWAY = (OperationalError, InterfaceError)


def journal_path(host: str) -> Path:
    return Path(settings.HOME) / "journal" / f"{host}.jsonl"


class HostLedger:
    """Writes entries for one host, from any thread; its journal belongs to it alone."""

    def __init__(self, host: str, path: Path | None = None) -> None:
        self.host = host
        self._journal = Journal(path or journal_path(host))
        self._lock = Lock()

    @property
    def is_behind(self) -> bool:
        """Whether something waits in the journal for the database."""
        return not self._journal.is_empty

    def write(self, *entries: Entry) -> bool:
        """Write these entries, all or none; False when they went into the journal.

        Raises IntegrityError and the like for entries that the database would never take. A change
        whose row is in another state than it names is left out without a word.
        """
        if not entries:
            return True
        if self._journal.is_empty or self.catch_up():
            try:
                with transaction.atomic():
                    _apply(entries)
                return True
            except AWAY as error:
                _reconnect_later()
                logger.warning("The ledger of %s goes to its journal: %s", self.host, error)
        with self._lock:
            self._journal.append([plain(entry) for entry in entries])
        return False

    def catch_up(self) -> bool:
        """Bring what the journal holds into the database; False when that is not possible yet."""
        with self._lock:
            if self._journal.is_empty:
                return True
            lines = self._journal.read()
            try:
                with transaction.atomic():
                    for line in lines:
                        _apply_again(line)
            except AWAY:
                _reconnect_later()
                return False
            self._journal.clear()
        logger.info("%d writes of %s came from its journal.", len(lines), self.host)
        return True


def _apply(entries: Iterable[Entry]) -> None:
    for model, inserts in _runs(entries):
        if model is None:
            for change in inserts:
                _change(change)
        else:
            rows = [entry.row for entry in inserts if isinstance(entry, Insert)]
            model._default_manager.bulk_create(rows)


def _runs(entries: Iterable[Entry]) -> Iterator[tuple[type[Model] | None, Sequence[Entry]]]:
    """Put neighbouring inserts of one model together; changes have None for a model."""

    def model_of(entry: Entry) -> type[Model] | None:
        return type(entry.row) if isinstance(entry, Insert) else None

    for model, run in groupby(entries, key=model_of):
        yield model, list(run)


def _change(entry: Entry) -> None:
    if not isinstance(entry, Change):
        raise TypeError(f"{type(entry).__name__} is no change")
    rows = entry.model._default_manager.filter(pk=entry.pk)
    if entry.from_states is not None:
        column = "stage" if entry.model is Enforcement else "state"
        rows = rows.filter(**{f"{column}__in": list(entry.from_states)})
    rows.update(**entry.fields)


def _apply_again(line: Sequence[dict[str, object]]) -> None:
    """Write a line that may have been written already; what the database refuses is left out."""
    for values in line:
        try:
            entry = entry_of(values)
            with transaction.atomic():
                if isinstance(entry, Change):
                    _change(entry)
                elif not type(entry.row)._default_manager.filter(pk=entry.row.pk).exists():
                    entry.row.save(force_insert=True)
        except AWAY:
            raise
        except (DatabaseError, *UNREADABLE) as error:
            is_duplicate = isinstance(error, IntegrityError)
            log = logger.warning if is_duplicate else logger.error
            log("An entry of the journal was left out: %s", error)


def _reconnect_later() -> None:
    # Inside of somebody else's transaction the connection is theirs to close.
    if not connection.in_atomic_block:
        close_old_connections()
