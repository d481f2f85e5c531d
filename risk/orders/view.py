"""What the newest tick of a host found, for whoever acts on it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from accounts.sessions.poll import Poll
from accounts.sessions.states import SessionState
from accounts.terminals.readings import STALE_AFTER_SECONDS
from risk.desk import AccountFacts
from risk.tracker import Assessment


@dataclass(frozen=True, slots=True)
class HostView:
    """A poll and its assessment; each tick has one of its own, which nobody changes."""

    poll: Poll
    assessment: Assessment

    def row_of(self, account_id: UUID) -> int | None:
        return self.assessment.desk.account_index.get(account_id)

    def facts_of(self, account_id: UUID) -> AccountFacts | None:
        row = self.row_of(account_id)
        return None if row is None else self.assessment.desk.accounts[row]

    def is_connected(self, row: int) -> bool:
        return int(self.poll.states[row]) == SessionState.CONNECTED

    def is_ours(self, row: int) -> bool:
        """Tell whether the account's last reading was taken from the login that is expected."""
        facts, reading = self.assessment.desk.accounts[row], self.poll.batch.accounts[row]
        if facts is None or not 0 <= int(reading["server"]) < len(self.poll.batch.servers):
            return False
        server = self.poll.batch.servers[int(reading["server"])]
        return (server, int(reading["login"])) == (facts.server, facts.login)

    def age_seconds(self, row: int, now: datetime) -> float:
        """Return how old the account's last reading is; inf when there never was one."""
        since = (now - self.poll.now).total_seconds()
        return float(self.poll.age_seconds[row]) + max(since, 0.0)

    def doubt_about(self, account_id: UUID, now: datetime) -> str | None:
        """Say why nothing may be opened on an account by what is known of it; None: it may."""
        row = self.row_of(account_id)
        if row is None or self.assessment.desk.accounts[row] is None:
            return "The account is not watched here."
        if not self.is_connected(row):
            return "The account is not connected."
        if not self.is_ours(row):
            return "The terminal showed another account."
        if not self.age_seconds(row, now) <= STALE_AFTER_SECONDS:
            return "The last reading of the account is too old."
        return None
