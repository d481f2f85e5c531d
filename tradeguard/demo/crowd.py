"""Create a large desk: many accounts, groups and rules of one user, for load and benchmarks."""

import itertools
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import transaction

from accounts.models import AccountConnection, ApiKey, ConnectedAccount, TerminalHost, User
from accounts.models.connection import ConnectionState
from accounts.terminals.simulated.calls import BrokerCalls
from groups.models import AccountGroup, Membership
from risk.models import RiskRule

FIRST_LOGIN = 90_000_001
SERVER = "CrowdMarkets-Demo"
PASSWORD = "crowd-of-robots"  # noqa: S105  # opens accounts of the simulated broker only
STRATEGIES = ("trend", "reversion", "scalper", "holder", "grid")
GROUP_SIZE = 5
BATCH_SIZE = 500

_LOSS, _DRAWDOWN = RiskRule.Type.MAX_DAILY_LOSS, RiskRule.Type.MAX_DRAWDOWN
RULES: tuple[tuple[str, str, str, dict[str, object]], ...] = (
    ("Daily loss 5 %", _LOSS, "0.05", {}),
    ("Daily loss 4 % of the higher", _LOSS, "0.04", {"reference": "higher_of_balance_and_equity"}),
    ("Maximum loss 10 %", _DRAWDOWN, "0.10", {}),
    ("Trailing 6 %", _DRAWDOWN, "0.06", {"kind": "trailing_intraday_equity"}),
    ("Margin level above 150 %", RiskRule.Type.MARGIN_LEVEL, "150", {}),
    ("At most 20 lots", RiskRule.Type.MAX_POSITION_SIZE, "20", {}),
    ("At most 6 positions", RiskRule.Type.POSITION_LIMIT, "6", {}),
    ("Leverage below 20", RiskRule.Type.MAX_LEVERAGE, "20", {}),
)


def create_crowd(*, user: User, broker: BrokerCalls, count: int, now: datetime) -> int:
    """Bring the crowd to `count` accounts; return how many are new.

    Writes in bulk: the worker learns of the accounts when it reads its host's accounts again.
    """
    existing = ConnectedAccount.objects.owned_by(user).filter(server=SERVER).count()
    logins = range(FIRST_LOGIN + existing, FIRST_LOGIN + max(existing, count))
    for login in logins:
        strategy = STRATEGIES[login % len(STRATEGIES)]
        broker.create_account(
            login, PASSWORD, SERVER, f"Crowd {login}", deposit=100_000.0,
            robot={"strategy": strategy},
        )  # fmt: skip
    with transaction.atomic():
        key = _shared_key(user)
        host = TerminalHost.objects.get_or_create(name=settings.TERMINAL_HOST)[0]
        for batch in _batches(logins):
            _create_accounts(user, key, host, batch, now)
        if not RiskRule.objects.owned_by(user).exists():
            _create_rules(user)
    return len(logins)


def _batches(logins: Iterable[int]) -> Iterable[list[int]]:
    remaining = iter(logins)
    while batch := list(itertools.islice(remaining, BATCH_SIZE)):
        yield batch


def _shared_key(user: User) -> ApiKey:
    key = ApiKey.objects.filter(user=user, name=SERVER).first()
    return key or ApiKey.objects.create(user=user, name=SERVER, secret=PASSWORD)


def _create_accounts(
    user: User, key: ApiKey, host: TerminalHost, logins: list[int], now: datetime
) -> None:
    accounts = ConnectedAccount.objects.bulk_create(
        ConnectedAccount(
            user=user,
            name=f"Crowd {login - FIRST_LOGIN + 1}",
            broker="Crowd Markets",
            server=SERVER,
            login=login,
            api_key=key,
            initial_balance=Decimal(100_000),
            terminal_host=host,
        )
        for login in logins
    )
    AccountConnection.objects.bulk_create(
        AccountConnection(
            account=account, is_wanted=True, state=ConnectionState.CONNECTING, since=now
        )
        for account in accounts
    )
    groups = AccountGroup.objects.bulk_create(
        AccountGroup(user=user, name=f"Crowd from {members[0].login}")
        for members in (
            accounts[start : start + GROUP_SIZE] for start in range(0, len(accounts), GROUP_SIZE)
        )
    )
    Membership.objects.bulk_create(
        Membership(group=groups[number // GROUP_SIZE], account=account)
        for number, account in enumerate(accounts)
    )


def _create_rules(user: User) -> None:
    RiskRule.objects.bulk_create(
        RiskRule(
            user=user,
            name=name,
            rule_type=rule_type,
            limit=Decimal(limit),
            parameters=parameters,
            applies_to_all_accounts=True,
        )
        for name, rule_type, limit, parameters in RULES
    )
