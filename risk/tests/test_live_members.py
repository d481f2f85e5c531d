"""How whoever reads judges an account by its rules."""

import uuid

import numpy as np

from accounts.hot_state import ACCOUNT_STATE_DTYPE, RULE_STATE_DTYPE, AccountState, Tables
from accounts.terminals.readings import ORDER_DTYPE, POSITION_DTYPE
from risk.core.rule_types import RuleType
from risk.core.statuses import Status
from risk.live_objects.members import Member, RuleView
from risk.tests.core_cases import NOON
from risk.tests.core_cases import rule as parameters

TARGET = RuleView(
    uuid.UUID(int=1), "Target", "ALERT", False, parameters(RuleType.PROFIT_TARGET, "0.1")
)
LIMIT = RuleView(uuid.UUID(int=2), "Limit", "ALERT", False, parameters(RuleType.MAX_LEVERAGE, "5"))


def member(rules: list[RuleView], statuses: list[Status], buffers: list[float]) -> Member:
    numbers = np.zeros(len(rules), RULE_STATE_DTYPE)
    numbers["status"], numbers["present"], numbers["buffer"] = statuses, statuses, buffers
    account = np.zeros(1, ACCOUNT_STATE_DTYPE)
    account["read_at"] = NOON
    return Member(
        account_id=uuid.UUID(int=3),
        name="Alpha 3",
        currency="USD",
        connection={"state": "connected"},
        rules=rules,
        raws=[tuple(row.item()) for row in numbers],
        state=AccountState(
            account=account[0],
            rules=numbers,
            positions=np.zeros(0, POSITION_DTYPE),
            orders=np.zeros(0, ORDER_DTYPE),
            tables=Tables(NOON, (), ("USD",), tuple(rule.key for rule in rules)),
        ),
        now=NOON,
    )


def test_it_judges_an_account_by_its_limits_and_not_by_objectives() -> None:
    judged = member([TARGET, LIMIT], [Status.UNKNOWN, Status.CAUTION], [float("nan"), 0.2])
    assert (judged.status, judged.buffer) == (Status.CAUTION, 0.2)
    assert judged.rows[0].status is Status.UNKNOWN


def test_it_calls_an_account_with_objectives_alone_safe() -> None:
    judged = member([TARGET], [Status.SAFE], [0.4])
    assert (judged.status, judged.buffer) == (Status.SAFE, None)
