"""What the accounts of a rule hold that other hosts watch."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Final
from uuid import UUID

import numpy as np
from redis import RedisError

from accounts.hot_state import AccountState, read_accounts
from accounts.models import ConnectedAccount
from accounts.terminals.readings import STALE_AFTER_SECONDS
from groups.models import Membership
from risk.core.rule_types import RuleType
from risk.core.surroundings import Sides
from risk.desk import Desk
from risk.models import RiskRule

logger = logging.getLogger(__name__)

_KEPT_SECONDS: Final = 3.0

Hosts = Mapping[str, Sequence[UUID]]


class SidesElsewhere:
    """Reads other hosts' positions from the hot state, for rules that look across accounts."""

    def __init__(self, host: str, executor: Executor) -> None:
        self._host = host
        self._executor = executor
        self._accounts: dict[int, Hosts] = {}
        self._job: Future[dict[int, Sides | None]] | None = None
        self._sides: dict[int, Sides | None] = {}
        self._read_at = float("-inf")

    def load(self, desk: Desk) -> None:
        """Find which rules across accounts reach accounts on other hosts."""
        families: dict[UUID, int] = {}
        for rule in desk.rules:
            families.setdefault(rule.id, len(families))
        crossing = [
            rule.id for rule in desk.rules if rule.parameters.rule_type is RuleType.NO_CROSS_HEDGING
        ]
        self._accounts = {
            families[rule_id]: hosts for rule_id, hosts in _remote(self._host, crossing).items()
        }
        self._sides, self._read_at = {}, float("-inf")

    def look(self, now: float) -> None:
        """Begin to read what is held elsewhere, unless that is under way."""
        if not self._accounts:
            return
        if self._job is None:
            self._job = self._executor.submit(_read, self._accounts, now)
        if not self._job.done():
            return
        job, self._job = self._job, None
        try:
            self._sides, self._read_at = job.result(), now
        except RedisError as error:
            logger.warning("What other hosts hold can't be read: %s", error)

    def sides(self, now: float) -> Mapping[int, Sides | None]:
        """Return what is held elsewhere by the number of the rule; None where it is not known."""
        if not self._accounts:
            return {}
        if now - self._read_at > _KEPT_SECONDS:
            return dict.fromkeys(self._accounts)
        return {family: self._sides.get(family) for family in self._accounts}


def _remote(host: str, rule_ids: Sequence[UUID]) -> dict[UUID, dict[str, list[UUID]]]:
    if not rule_ids:
        return {}
    found: dict[UUID, dict[str, list[UUID]]] = {}
    accounts = ConnectedAccount.objects.active().exclude(terminal_host=host)
    for rule in RiskRule.objects.filter(pk__in=rule_ids):
        reached = accounts.filter(user=rule.user_id)
        if not rule.applies_to_all_accounts:
            members = Membership.objects.filter(group__risk_rules=rule)
            reached = reached.filter(pk__in=members.values("account"))
        excluded = rule.overrides.filter(is_excluded=True).values("account")
        for pk, name in reached.exclude(pk__in=excluded).values_list("pk", "terminal_host_id"):
            found.setdefault(rule.pk, {}).setdefault(name, []).append(pk)
    return found


def _read(accounts: Mapping[int, Hosts], now: float) -> dict[int, Sides | None]:
    wanted: dict[str, set[UUID]] = {}
    for hosts in accounts.values():
        for host, ids in hosts.items():
            wanted.setdefault(host, set()).update(ids)
    states = read_accounts({host: sorted(ids) for host, ids in wanted.items()})
    return {
        family: _sides([states.get(pk) for ids in hosts.values() for pk in ids], now)
        for family, hosts in accounts.items()
    }


def _sides(states: Sequence[AccountState | None], now: float) -> Sides | None:
    totals: dict[str, list[float]] = {}
    for state in states:
        # NaN, for an account that was never read, is not within any age.
        if state is None or not now - float(state.account["read_at"]) <= STALE_AFTER_SECONDS:
            return None
        symbols = state.tables.symbols
        for symbol, kind, lots in zip(
            state.positions["symbol"].tolist(),
            state.positions["type"].tolist(),
            np.abs(state.positions["volume"]).tolist(),
            strict=True,
        ):
            totals.setdefault(symbols[symbol], [0.0, 0.0])[kind & 1] += lots
    return {symbol: (bought, sold) for symbol, (bought, sold) in totals.items()}
