"""Violations on the host's disk, from when the database did not take them until it has."""

import logging
from collections.abc import Sequence
from pathlib import Path

from risk.ledger.entries import UNREADABLE, Change, Entry, Insert, entry_of, plain
from risk.ledger.host_ledger import journal_path
from risk.ledger.journal import Journal
from risk.models import RuleBreach

logger = logging.getLogger(__name__)


class LatchJournal:
    """Keeps the violations of one host; used by its tick alone."""

    def __init__(self, host: str, path: Path | None = None) -> None:
        self._journal = Journal(path or journal_path(f"{host}.violations"))
        self._kept: list[Entry] = []

    def keep(self, entries: Sequence[Insert | Change]) -> None:
        """Have these on the disk; what is there already is not written again."""
        new = [entry for entry in entries if entry not in self._kept]
        if new:
            self._journal.append([plain(entry) for entry in new])
            self._kept.extend(new)

    def restore(self) -> list[Insert | Change]:
        """Return what a worker before this one has left here, in its order."""
        found: list[Entry] = []
        for line in self._journal.read():
            for values in line:
                try:
                    entry = entry_of(values)
                except UNREADABLE as error:
                    logger.error("A violation in the journal cannot be read: %s", error)
                    continue
                if _is_of_a_violation(entry) and entry not in found:
                    found.append(entry)
        self._kept = list(found)
        return found

    def clear(self) -> None:
        """Forget everything: the database has it."""
        if not self._journal.is_empty:
            self._journal.clear()
            self._kept.clear()


def _is_of_a_violation(entry: Entry) -> bool:
    return (type(entry.row) if isinstance(entry, Insert) else entry.model) is RuleBreach
