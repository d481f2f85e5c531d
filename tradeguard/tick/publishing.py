"""Live objects of what somebody watches, built by the tick and sent to the sockets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

import orjson

from accounts.models import AccountConnection, ConnectedAccount
from accounts.publishing import Message
from accounts.sessions.poll import Poll
from accounts.sessions.states import SessionState
from risk.desk import Desk
from risk.live import connection_object, load_members
from risk.live_objects import Json, Member, RuleView, account_object, group_object
from tradeguard.tick.frame import Frame


@dataclass(frozen=True, slots=True)
class LiveObjects:
    """Builds the live objects of one tick from its frame."""

    desk: Desk
    rules: "RulesOfAccounts"
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
        state = self.frame.state_of(row)
        views, places = self.rules.of(row)
        raws = state.rules.tolist()
        return Member(
            account_id=account_id,
            name=facts.name if facts else "",
            currency=facts.currency if facts else "",
            connection=connection or {"state": SessionState(int(self.poll.states[row])).label},
            rules=views,
            raws=[raws[place] for place in places],
            state=state,
            now=self.poll.now.timestamp(),
        )


class RulesOfAccounts:
    """The rules of each account in the order in which they are shown, worked out on first use."""

    def __init__(self, desk: Desk) -> None:
        self.views = [
            RuleView(rule.id, rule.name, rule.action, rule.is_firm_rule, rule.parameters)
            for rule in desk.rules
        ]
        self._table = desk.pairs
        self._known: dict[int, tuple[list[RuleView], list[int]]] = {}

    def of(self, row: int) -> tuple[list[RuleView], list[int]]:
        """Return the rules of an account and the places of their rows among its packed ones."""
        known = self._known.get(row)
        if known is None:
            table = self._table
            first, last = table.account_starts[row], table.account_starts[row + 1]
            numbers = table.rule_index[table.pairs_by_account[first:last]].tolist()
            ordered = sorted(
                range(len(numbers)), key=lambda place: self.views[numbers[place]].order
            )
            known = [self.views[numbers[place]] for place in ordered], ordered
            self._known[row] = known
        return known


def _message(kind: str, event: str, object_id: UUID, sequence: int, content: Json) -> Message:
    payload = orjson.dumps(content).decode()
    return f"{kind}.{object_id}", {"type": event, "sequence": sequence, "payload": payload}
