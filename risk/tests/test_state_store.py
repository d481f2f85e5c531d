from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import NOW, make_account
from risk import state_saving
from risk.core.states import PairState, new_state
from risk.desk import Desk, desk_fingerprint, load_desk
from risk.models import RiskRule, RuleState
from risk.state_saving import TOGETHER_ROWS, save_in_parts, save_state
from risk.state_store import StoredState, changed_pairs, load_state, stored_cursors
from risk.tests.factories import make_breach, make_rule

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)
MONEY = (
    "deposits",
    "withdrawals",
    "peak",
    "day_balance",
    "day_equity",
    "day_deposits",
    "day_withdrawals",
)


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice)


def desk_of(*accounts: ConnectedAccount) -> Desk:
    return load_desk([account.pk for account in accounts], desk_fingerprint())


def load(desk: Desk, now: datetime = NOW, counted: int = 0) -> StoredState:
    return load_state(desk, now, np.full(len(desk.accounts), counted, dtype=np.int64))


def save(desk: Desk, stored: StoredState, state: PairState, last_deal: int) -> None:
    pairs = np.arange(len(desk.pairs))
    save_state(desk, stored, state, pairs, np.full(len(pairs), last_deal), LATER)


def filled(state: PairState, **changes: Any) -> PairState:
    columns = {name: np.full(len(state), float(place)) for place, name in enumerate(MONEY, start=1)}
    started = np.full(len(state), NOW.timestamp() - 0.123456)
    return replace(state, **columns, day_started_at=started, **changes)


def test_it_reads_back_what_it_wrote(account: ConnectedAccount, alice: User) -> None:
    make_rule(alice)
    desk = desk_of(account)
    stored = load(desk)
    state = filled(stored.state, day_reconstructed=np.array([True]))
    save(desk, stored, state, last_deal=2**40)
    again = load(desk, now=LATER)
    for name in (*MONEY, "started_at", "day_started_at", "day_reconstructed"):
        assert getattr(again.state, name).tolist() == getattr(state, name).tolist(), name
    assert again.last_deal.tolist() == [2**40]
    assert again.stored_at.tolist() == [LATER.timestamp()]
    assert not again.begun_anew.any()
    assert stored_cursors([account.pk]) == {account.pk: 2**40}


def test_it_keeps_what_is_not_known_as_null(account: ConnectedAccount, alice: User) -> None:
    make_rule(alice)
    desk = desk_of(account)
    stored = load(desk)
    unknown = {name: np.array([np.nan]) for name in ("peak", "day_balance", "day_equity")}
    state = replace(filled(stored.state), day_started_at=np.array([np.nan]), **unknown)
    save(desk, stored, state, last_deal=1)
    row = RuleState.objects.get()
    assert (row.peak, row.day_balance, row.day_equity, row.day_started_at) == (None,) * 4
    again = load(desk).state
    for name in (*unknown, "day_started_at"):
        assert np.isnan(getattr(again, name)).all(), name


def test_it_begins_a_new_rule_at_the_deal_where_the_others_stand(
    account: ConnectedAccount, alice: User
) -> None:
    make_rule(alice, "First")
    desk = desk_of(account)
    stored = load(desk)
    save(desk, stored, filled(stored.state), last_deal=50)
    make_rule(alice, "Second")
    desk = desk_of(account)
    stored = load(desk, now=LATER)
    assert set(RuleState.objects.values_list("last_deal", flat=True)) == {50}
    assert not stored.begun_anew.any()
    assert sorted(stored.state.deposits.tolist()) == [0.0, 1.0]


@pytest.mark.parametrize(
    ("counted", "is_begun_anew"), [(0, False), (49, False), (50, False), (51, True)]
)
def test_it_begins_a_rule_again_that_missed_deals(
    account: ConnectedAccount, alice: User, counted: int, is_begun_anew: bool
) -> None:
    make_rule(alice)
    desk = desk_of(account)
    stored = load(desk)
    save(desk, stored, filled(stored.state), last_deal=50)
    again = load(desk, now=LATER, counted=counted)
    assert again.begun_anew.tolist() == [is_begun_anew]
    assert again.last_deal.tolist() == [max(50, counted)]
    assert again.state.started_at.tolist() == [(LATER if is_begun_anew else NOW).timestamp()]
    assert np.isnan(again.state.peak).tolist() == [is_begun_anew]


def test_it_begins_a_rule_again_that_is_behind_another(
    account: ConnectedAccount, alice: User
) -> None:
    old = make_rule(alice, "A")
    desk = desk_of(account)
    stored = load(desk)
    save(desk, stored, filled(stored.state), last_deal=50)
    make_rule(alice, "B")
    load(desk_of(account))
    RuleState.objects.exclude(rule=old).update(last_deal=60)
    desk = desk_of(account)
    again = load(desk, now=LATER)
    begun_again = [key[0] == old.pk for key in desk.pair_keys()]
    assert (again.state.started_at == LATER.timestamp()).tolist() == begun_again
    assert again.last_deal.tolist() == [60]


@pytest.mark.parametrize("field", ["login", "server"])
def test_it_begins_every_rule_of_another_login_again(
    account: ConnectedAccount, alice: User, field: str
) -> None:
    make_rule(alice, "A")
    desk = desk_of(account)
    stored = load(desk)
    save(desk, stored, filled(stored.state), last_deal=50)
    setattr(account, field, "777")
    account.save(update_fields=[field, "updated_at"])
    make_rule(alice, "B")
    assert stored_cursors([account.pk]) == {}
    desk = desk_of(account)
    again = load(desk, now=LATER)
    assert again.last_deal.tolist() == [0]
    assert again.state.started_at.tolist() == [LATER.timestamp()] * 2
    assert again.begun_anew.tolist() == [True]
    save(desk, again, again.state, last_deal=3)
    assert set(RuleState.objects.values_list(field, "last_deal")) == {
        (777 if field == "login" else "777", 3)
    }


def test_it_keeps_rows_for_loss_rules_alone(account: ConnectedAccount, alice: User) -> None:
    make_rule(alice, rule_type=RiskRule.Type.POSITION_LIMIT, limit=5)
    stored = load(desk_of(account))
    assert stored.row_ids.tolist() == [0]
    assert not RuleState.objects.exists()


def test_it_reads_latches_and_who_acknowledged_them(account: ConnectedAccount, alice: User) -> None:
    held, answered, free = (make_rule(alice, name) for name in "abc")
    make_breach(held, account)
    make_breach(answered, account, acknowledged_at=NOW)
    make_breach(free, account, cleared_at=NOW)
    desk = desk_of(account)
    state = load(desk).state
    found = {
        key[0]: (bool(state.latched[pair]), bool(state.acknowledged[pair]))
        for pair, key in enumerate(desk.pair_keys())
    }
    assert found == {
        held.pk: (True, False),
        answered.pk: (True, True),
        free.pk: (False, False),
    }


def test_it_takes_as_many_queries_for_many_rows(
    alice: User, django_assert_num_queries: Any
) -> None:
    make_rule(alice)
    accounts = [make_account(alice, f"Alpha {number}") for number in range(20)]
    for some in (accounts[:2], accounts):
        desk = desk_of(*some)
        load(desk)
        with django_assert_num_queries(2):
            stored = load(desk)
        save(desk, stored, filled(stored.state), last_deal=1)
    assert RuleState.objects.filter(deposits=1.0).count() == 20


def test_it_finds_the_pairs_that_differ() -> None:
    before = new_state(4, 0.0)
    after = replace(
        before,
        peak=np.array([np.nan, 1.0, np.nan, np.nan]),
        day_reconstructed=np.array([False, False, False, True]),
        inside_since=np.array([1.0, np.nan, np.nan, np.nan]),
    )
    assert changed_pairs(before, after).tolist() == [1, 3]
    assert changed_pairs(after, before).tolist() == [1, 3]
    assert changed_pairs(before, before).tolist() == []


def test_it_says_when_everything_was_stored_in_utc(account: ConnectedAccount, alice: User) -> None:
    make_rule(alice)
    desk = desk_of(account)
    stored = load(desk)
    save(desk, stored, filled(stored.state), last_deal=1)
    row = RuleState.objects.get()
    assert row.updated_at == LATER
    assert row.day_started_at == datetime.fromtimestamp(NOW.timestamp() - 0.123456, UTC)


def save_parts(
    desk: Desk, stored: StoredState, state: PairState, changed: list[int], last_deal: int
) -> None:
    whole = np.zeros(len(desk.pairs), dtype=np.bool_)
    whole[changed] = True
    save_in_parts(
        desk,
        stored,
        state,
        changed=whole,
        counted=np.ones(len(desk.pairs), dtype=np.bool_),
        last_deal=np.full(len(desk.accounts), last_deal),
        now=LATER,
    )


def test_it_writes_of_a_pair_that_did_not_change_only_its_newest_deal(
    account: ConnectedAccount, alice: User
) -> None:
    make_rule(alice)
    make_rule(alice)
    desk = desk_of(account)
    stored = load(desk)
    save_parts(desk, stored, filled(stored.state), [1], last_deal=7)
    again = load(desk, now=LATER)
    peak = MONEY.index("peak") + 1.0
    assert again.state.peak[1] == peak != again.state.peak[0]
    assert again.last_deal.tolist() == [7]
    assert again.stored_at.tolist() == [LATER.timestamp()]
    assert not again.begun_anew.any()


@pytest.mark.parametrize("together", [1, 2, 3, TOGETHER_ROWS])
def test_parts_never_take_an_account_apart(
    alice: User, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr("risk.state_saving.TOGETHER_ROWS", together)
    accounts = [make_account(alice, f"Account {number}") for number in range(4)]
    rules = [make_rule(alice), make_rule(alice)]
    desk = desk_of(*accounts)
    stored = load(desk)
    written: list[set[int]] = []
    update = state_saving._update

    def noted(row_ids: Sequence[int], *what: Any) -> None:
        written.append(set(row_ids))
        update(row_ids, *what)

    monkeypatch.setattr(state_saving, "_update", noted)
    save_parts(desk, stored, filled(stored.state), list(range(len(desk.pairs))), last_deal=3)
    owners = [
        set(RuleState.objects.filter(pk__in=part).values_list("account", flat=True))
        for part in written
    ]
    assert sum(map(len, owners)) == len(accounts)
    assert max(map(len, written)) == max(together // len(rules), 1) * len(rules) or together > 8
    assert load(desk).last_deal.tolist() == [3] * len(accounts)
