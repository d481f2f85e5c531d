"""Violations on the host's disk, from when the database did not take them until it has."""

import logging
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from risk.ledger.entries import Insert, entry_of, plain
from risk.ledger.host_ledger import journal_path
from risk.ledger.journal import Journal
from risk.models import RuleBreach

logger = logging.getLogger(__name__)


class LatchJournal:
    """Keeps the violations of one host; used by its tick alone."""

    def __init__(self, host: str, path: Path | None = None) -> None:
        self._journal = Journal(path or journal_path(f"{host}.violations"))
        self._kept: set[UUID] = set()

    def keep(self, breaches: Sequence[RuleBreach]) -> None:
        """Have these on the disk; each is written once."""
        new = [breach for breach in breaches if breach.pk not in self._kept]
        if new:
            self._journal.append([plain(Insert(breach)) for breach in new])
            self._kept.update(breach.pk for breach in new)

    def restore(self) -> list[RuleBreach]:
        """Return what a worker before this one has left here."""
        found: dict[UUID, RuleBreach] = {}
        for line in self._journal.read():
            for values in line:
                try:
                    entry = entry_of(values)
                except (LookupError, ValueError, TypeError) as error:
                    logger.error("A violation in the journal cannot be read: %s", error)
                    continue
                if isinstance(entry, Insert) and isinstance(entry.row, RuleBreach):
                    found[entry.row.pk] = entry.row
        self._kept.update(found)
        return list(found.values())

    def clear(self) -> None:
        """Forget everything: the database has it."""
        if not self._journal.is_empty:
            self._journal.clear()
            self._kept.clear()
