"""The rows that a run begins with."""

import uuid
from datetime import UTC, datetime
from typing import Any

from risk.desk import AccountFacts
from risk.due import Due
from risk.enforcement.goals import KEPT, options_of
from risk.models import AccountLock, Enforcement

_LONGEST_REASON = 255


def run_of_due(due: Due, *, host: str, reason: str, read_at: float) -> Enforcement:
    """Return the run that a rule's action calls for; `read_at` is the reading's UTC epoch."""
    cause = Enforcement.Cause.CUTOFF if due.rule.is_cutoff else Enforcement.Cause.RULE
    return _run(
        due.account,
        host=host,
        cause=cause,
        action=due.rule.response.action.value,
        options=options_of(due.rule.response),
        reason=reason,
        triggered_at=datetime.fromtimestamp(read_at, UTC),
        created_at=datetime.fromtimestamp(due.moment, UTC),
        rule_id=due.rule.id,
        rule_name=due.rule.name,
        breach_id=due.breach_id,
    )


def run_of_lock(
    account: AccountFacts, *, host: str, kept: dict[str, str], reason: str, moment: float
) -> Enforcement:
    """Return the run that closes what was opened on a locked account; `kept` stays as it is."""
    at = datetime.fromtimestamp(moment, UTC)
    return _run(
        account,
        host=host,
        cause=Enforcement.Cause.LOCK,
        action=Enforcement.Action.CLOSE_ALL,
        options={"lock": False, KEPT: kept},
        reason=f"Opened while the account is locked: {reason}",
        triggered_at=at,
        created_at=at,
    )


def lock_of(run: Enforcement) -> AccountLock:
    """Return the lock that a CLOSE_ALL leaves behind."""
    return AccountLock(
        id=uuid.uuid4(),
        user_id=run.user_id,
        account_id=run.account_id,
        account_name=run.account_name,
        cause=run.cause,
        rule_id=run.rule_id,
        breach_id=run.breach_id,
        enforcement_id=run.pk,
        reason=run.reason,
        locked_at=run.created_at,
        locked_by_id=run.requested_by_id,
    )


def _run(account: AccountFacts, *, reason: str, **fields: Any) -> Enforcement:
    return Enforcement(
        id=uuid.uuid4(),
        user_id=account.user_id,
        account_id=account.id,
        account_name=account.name,
        reason=reason[:_LONGEST_REASON],
        **fields,
    )
