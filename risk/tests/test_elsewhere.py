"""What accounts on other hosts hold, for rules that look across accounts."""

from decimal import Decimal

import numpy as np
import pytest

from accounts.hot_state import ACCOUNT_STATE_DTYPE, AccountState, Tables
from accounts.models import ConnectedAccount, TerminalHost, User
from accounts.sessions.line import InlineExecutor
from accounts.terminals.readings import ORDER_DTYPE, POSITION_DTYPE
from accounts.tests.factories import NOW, make_account, make_user
from groups.models import AccountGroup
from risk import elsewhere
from risk.core.surroundings import Sides
from risk.desk import desk_fingerprint, load_desk
from risk.elsewhere import SidesElsewhere
from risk.models import RiskRule, RuleOverride
from risk.tests.factories import make_rule

pytestmark = pytest.mark.django_db

MOMENT = NOW.timestamp()


@pytest.fixture
def alice() -> User:
    return make_user()


def state(read_at: float, *lots: float) -> AccountState:
    """Return an account that holds EURUSD; negative lots are sold."""
    account = np.zeros(1, dtype=ACCOUNT_STATE_DTYPE)
    account["read_at"] = read_at
    positions = np.zeros(len(lots), dtype=POSITION_DTYPE)
    positions["volume"] = np.abs(lots)
    positions["type"] = np.array(lots) < 0
    orders, tables = np.zeros(0, dtype=ORDER_DTYPE), Tables(read_at, ("EURUSD",), ("USD",), ())
    return AccountState(account[0], orders, positions, orders, tables)


def elsewhere_account(user: User, name: str) -> ConnectedAccount:
    account = make_account(user, name)
    account.terminal_host, _ = TerminalHost.objects.get_or_create(name="other")
    account.save(update_fields=["terminal_host"])
    return account


def crossing(user: User, *groups: AccountGroup) -> RiskRule:
    kind = RiskRule.Type.NO_CROSS_HEDGING
    return make_rule(user, "Crossing", groups=groups, rule_type=kind, limit=Decimal(1))


def sides_of(
    here: ConnectedAccount, found: dict[ConnectedAccount, AccountState], monkeypatch: object
) -> dict[int, Sides | None]:
    assert isinstance(monkeypatch, pytest.MonkeyPatch)
    by_id = {account.pk: one for account, one in found.items()}
    monkeypatch.setattr(elsewhere, "read_accounts", lambda _: by_id)
    book = SidesElsewhere("local", InlineExecutor())
    book.load(load_desk([here.pk], desk_fingerprint()))
    assert all(sides is None for sides in book.sides(MOMENT).values())
    book.look(MOMENT)
    return dict(book.sides(MOMENT + 1))


def test_it_adds_up_what_the_other_hosts_hold(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = make_account(alice, "Here"), elsewhere_account(alice, "There")
    crossing(alice)
    found = sides_of(here, {there: state(MOMENT - 1.9, 0.5, 0.25, -2.0)}, monkeypatch)
    assert list(found.values()) == [{"EURUSD": (0.75, 2.0)}]


@pytest.mark.parametrize("age", [2.1, float("nan")])
def test_a_stale_account_makes_all_of_it_unknown(
    alice: User, age: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = make_account(alice, "Here"), elsewhere_account(alice, "There")
    silent = elsewhere_account(alice, "Silent")
    crossing(alice)
    states = {there: state(MOMENT, 1.0), silent: state(MOMENT - age, 1.0)}
    assert list(sides_of(here, states, monkeypatch).values()) == [None]


def test_a_rule_on_a_group_looks_at_its_members_alone(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = make_account(alice, "Here"), elsewhere_account(alice, "There")
    elsewhere_account(alice, "Outside")
    left_out = elsewhere_account(alice, "Left out")
    group = AccountGroup.objects.create(user=alice, name="Desk")
    group.accounts.set([here, there, left_out])
    rule = crossing(alice, group)
    RuleOverride.objects.create(rule=rule, account=left_out, is_excluded=True)
    found = sides_of(here, {there: state(MOMENT, 1.0)}, monkeypatch)
    assert list(found.values()) == [{"EURUSD": (1.0, 0.0)}]


def test_without_accounts_elsewhere_nothing_is_read(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = make_account(alice, "Here")
    crossing(alice)
    assert sides_of(here, {}, monkeypatch) == {}
