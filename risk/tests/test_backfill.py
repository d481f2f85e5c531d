"""Recorded deals on their way into what a rule counts, while the recorder or the tick moves on."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pytest

from accounts.models import ConnectedAccount, Deal
from accounts.sessions.line import InlineExecutor
from accounts.tests.factories import NOW, make_account, make_user
from risk.backfill import RETRY_SECONDS, Backfill
from risk.core.states import PairState, new_state
from risk.desk import Desk, desk_fingerprint, load_desk
from risk.models import RiskRule
from risk.tests.factories import make_rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> ConnectedAccount:
    alice = make_user()
    make_rule(alice, rule_type=RiskRule.Type.MAX_DAILY_TRADES, limit=Decimal(5))
    return make_account(alice, "Bold")


@pytest.fixture
def desk(account: ConnectedAccount) -> Desk:
    return load_desk([account.pk], desk_fingerprint())


def record(account: ConnectedAccount, *tickets: int, **fields: Any) -> None:
    defaults = dict.fromkeys(
        ("order", "type", "entry", "reason", "price", "commission", "swap", "fee", "magic"), 0
    )
    for ticket in tickets:
        Deal.objects.create(
            account=account,
            ticket=ticket,
            position=ticket,
            time=NOW,
            time_msc=round((NOW + timedelta(seconds=ticket)).timestamp() * 1000),
            volume_lots=Decimal(1),
            profit=Decimal(10),
            **{**defaults, "server": account.server, "login": account.login, **fields},
        )


def fresh(desk: Desk) -> PairState:
    return new_state(len(desk.pairs), NOW.timestamp())


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    future.set_result(work())


class Deferred(Executor):
    """Runs its one job when it is told to."""

    def __init__(self) -> None:
        self.job: Callable[[], None]

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.job = partial(_settle, future, partial(fn, *args, **kwargs))
        return future


def test_it_waits_until_the_recorder_has_every_deal(desk: Desk, account: ConnectedAccount) -> None:
    backfill = Backfill(desk, InlineExecutor(), is_inline=True)
    record(account, 1, 2)
    last_deal = np.array([3])
    state = backfill.fill_in(fresh(desk), last_deal, 0.0)
    assert np.isnan(state.day_started_at[0])
    record(account, 3)
    assert backfill.fill_in(state, last_deal, RETRY_SECONDS - 0.1) is state
    state = backfill.fill_in(state, last_deal, RETRY_SECONDS)
    assert (state.day_trades[0], state.total_profit[0]) == (3, 30.0)


def test_it_counts_neither_another_login_nor_what_the_tick_has_not_seen(
    desk: Desk, account: ConnectedAccount
) -> None:
    record(account, 1, 2, 3)
    record(account, 7, login=account.login + 1)
    backfill = Backfill(desk, InlineExecutor(), is_inline=True)
    state = backfill.fill_in(fresh(desk), np.array([2]), 0.0)
    assert state.day_trades[0] == 2


def test_it_begins_at_once_where_there_is_no_deal(desk: Desk) -> None:
    backfill = Backfill(desk, Deferred())
    state = backfill.fill_in(fresh(desk), np.array([0]), 0.0)
    assert (state.day_started_at[0], state.day_trades[0]) == (0.0, 0)


def test_it_counts_again_what_traded_meanwhile(desk: Desk, account: ConnectedAccount) -> None:
    record(account, 1, 2)
    executor = Deferred()
    backfill = Backfill(desk, executor, is_inline=True)
    state = backfill.fill_in(fresh(desk), np.array([1]), 0.0)
    executor.job()
    state = backfill.fill_in(state, np.array([2]), 0.2)
    assert np.isnan(state.day_started_at[0])
    state = backfill.fill_in(state, np.array([2]), 0.2 + RETRY_SECONDS)
    executor.job()
    state = backfill.fill_in(state, np.array([2]), 0.4 + RETRY_SECONDS)
    assert state.day_trades[0] == 2
