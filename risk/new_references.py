"""New references that people asked for, taken into the baselines by the host that keeps those."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from risk.core.baselines import day_starts
from risk.core.rule_types import RuleType
from risk.core.states import PairState
from risk.desk import Desk
from risk.models import RuleState


def take_references(
    desk: Desk, state: PairState, rows: Sequence[RuleState | None], now: datetime
) -> None:
    """Put what was asked for into the state of each pair, and into its row; `rows` are by pair.

    The balance, too, is taken to be the equity: what floated is behind the new reference. A day's
    reference ends with its day.
    """
    asked = [
        (pair, row)
        for pair, row in enumerate(rows)
        if row is not None and row.new_reference is not None and row.new_reference_at is not None
    ]
    if not asked:
        return
    days = day_starts(desk.pairs, now.timestamp())
    for pair, row in asked:
        values: dict[str, Any] = {}
        reference, at = row.new_reference, row.new_reference_at
        account = desk.accounts[int(desk.pairs.account_index[pair])]
        is_same_login = account is not None and (account.server, account.login) == (
            row.server, row.login,
        )  # fmt: skip
        if at is not None and reference is not None and is_same_login:
            reset = float(days.starts[desk.pairs.clock_index[pair]])
            if desk.pairs.rule_type(pair) is not RuleType.MAX_DAILY_LOSS:
                values = _of_peak(state, pair, reference, at)
            elif at.timestamp() >= reset:
                values = _of_day(state, pair, reference, reset)
        RuleState.objects.filter(pk=row.pk, new_reference_at=at).update(
            new_reference=None, new_reference_at=None, **values
        )


def _of_day(state: PairState, pair: int, reference: float, reset: float) -> dict[str, Any]:
    state.day_started_at[pair] = reset
    state.day_balance[pair] = state.day_equity[pair] = reference
    state.day_deposits[pair] = state.day_withdrawals[pair] = 0.0
    state.day_reconstructed[pair] = False
    return {
        "day_started_at": datetime.fromtimestamp(reset, UTC),
        "day_balance": reference,
        "day_equity": reference,
        "day_deposits": 0.0,
        "day_withdrawals": 0.0,
        "is_reconstructed": False,
    }


def _of_peak(state: PairState, pair: int, reference: float, at: datetime) -> dict[str, Any]:
    state.peak[pair] = reference
    state.deposits[pair] = state.withdrawals[pair] = 0.0
    state.started_at[pair] = at.timestamp()
    return {"peak": reference, "deposits": 0.0, "withdrawals": 0.0, "started_at": at}
