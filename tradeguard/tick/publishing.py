"""Live objects of what somebody watches, built by the tick and sent to the sockets."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from accounts.models import AccountConnection, ConnectedAccount
from accounts.publishing import Message
from accounts.sessions.poll import Poll
from accounts.sessions.states import SessionState
from risk.desk import Desk
from risk.live import connection_object, load_members
from risk.live_objects import Json, Member, RuleView, account_object, group_object
from tradeguard.tick.frame import Frame

# What did not change is sent again after this long, so that viewers see that it is still true.
REPEAT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LiveObjects:
    """Builds the live objects of one tick from its frame."""

    desk: Desk
    views: Sequence[RuleView]
    poll: Poll
    frame: Frame

    def group_messages(self, groups: Iterable[tuple[int, int]]) -> list[Message]:
        """Build the messages of groups, given as (index in the desk, sequence number)."""
        numbered = list(groups)
        local = self._local_members(number for number, _ in numbered)
        remote = self._remote_members(number for number, _ in numbered)
        messages: list[Message] = []
        for number, sequence in numbered:
            facts = self.desk.groups[number]
            members = [
                member
                for account_id in facts.members
                if (member := local.get(account_id) or remote.get(account_id)) is not None
            ]
            content = group_object(facts.id, facts.name, members, sequence=sequence)
            messages.append(_message("group", "group.risk", facts.id, sequence, content))
        return messages

    def account_messages(self, accounts: Iterable[tuple[UUID, int]]) -> list[Message]:
        """Build the messages of accounts, given as (account, sequence number)."""
        numbered = list(accounts)
        connections = AccountConnection.objects.in_bulk([account_id for account_id, _ in numbered])
        return [
            _message(
                "account",
                "account.live",
                account_id,
                sequence,
                account_object(
                    self._member(account_id, connection_object(connections.get(account_id))),
                    sequence=sequence,
                ),
            )
            for account_id, sequence in numbered
        ]

    def _local_members(self, groups: Iterable[int]) -> dict[UUID, Member]:
        wanted = {
            account_id
            for number in groups
            for account_id in self.desk.groups[number].members
            if account_id in self.desk.account_index
        }
        return {account_id: self._member(account_id, None) for account_id in wanted}

    def _remote_members(self, groups: Iterable[int]) -> Mapping[UUID, Member]:
        wanted = {
            account_id
            for number in groups
            for ids in self.desk.groups[number].remote.values()
            for account_id in ids
        }
        if not wanted:
            return {}
        accounts = list(ConnectedAccount.objects.active().filter(pk__in=wanted))
        return load_members(accounts, now=self.poll.now)

    def _member(self, account_id: UUID, connection: Json | None) -> Member:
        row = self.desk.account_index[account_id]
        facts = self.desk.accounts[row]
        table = self.desk.pairs
        pairs = table.pairs_by_account[table.account_starts[row] : table.account_starts[row + 1]]
        return Member(
            id=account_id,
            name=facts.name if facts else "",
            currency=facts.currency if facts else "",
            connection=connection or {"state": SessionState(int(self.poll.states[row])).label},
            rules=[self.views[number] for number in table.rule_index[pairs].tolist()],
            state=self.frame.state_of(row),
            now=self.poll.now.timestamp(),
        )


def _message(kind: str, event: str, object_id: UUID, sequence: int, content: Json) -> Message:
    payload = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return f"{kind}.{object_id}", {"type": event, "sequence": sequence, "payload": payload}
