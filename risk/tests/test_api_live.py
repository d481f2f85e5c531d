from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import time_machine
from redis import Redis
from rest_framework import serializers

from accounts.core.kinds import StopOutMode
from accounts.hot_state import (
    ACCOUNT_STATE_DTYPE,
    RULE_STATE_DTYPE,
    TABLES_FIELD,
    Details,
    Tables,
    pack_accounts,
    pack_tables,
)
from accounts.models import ConnectedAccount, User
from accounts.redis import readings_key
from accounts.terminals.readings import ORDER_DTYPE, POSITION_DTYPE
from accounts.tests.api_clients import Client, client_of
from accounts.tests.factories import NOW, make_account
from groups.tests.factories import make_group
from risk.api import shapes
from risk.core.statuses import Status
from risk.models import RiskRule
from risk.services.cutoff import set_cutoff
from risk.tests.factories import make_rule


@pytest.fixture
def api(alice: User) -> Client:
    return client_of(alice)


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice, "Alpha 3", state="connected")


@pytest.fixture
def rule(alice: User) -> RiskRule:
    return make_rule(alice)


def leave_reading(redis: Redis, account: ConnectedAccount, rule: RiskRule) -> None:
    """Write what a tick at NOW leaves of this account: critical, with one position."""
    state, pair, position = (
        np.zeros(1, dtype) for dtype in (ACCOUNT_STATE_DTYPE, RULE_STATE_DTYPE, POSITION_DTYPE)
    )
    for name, value in {
        "read_at": NOW.timestamp(),
        "currency_digits": 2,
        "leverage": 100,
        "trade_allowed": True,
        "balance": 100_000.0,
        "equity": 95_212.4,
        "margin": 108.77,
        "margin_level": 87_535.5,
        "stop_out_mode": StopOutMode.PERCENT,
        "stop_out_level": 25.0,
        "stop_out_call": 100.0,
    }.items():
        state[name] = value
    for name, value in {
        "status": Status.CRITICAL,
        "present": Status.CRITICAL,
        "used": 4787.6,
        "limit": 5000.0,
        "left": 212.4,
        "floor": 95_000.0,
        "buffer": 0.04248,
        "reset_at": NOW.timestamp() + 3600,
        "symbol": -1,
    }.items():
        pair[name] = value
    for name, value in {"ticket": 7, "volume": 0.1, "sl": 0.0, "tp": 1.2}.items():
        position[name] = value
    tables = Tables(NOW.timestamp(), ("EURUSD",), ("USD",), (str(rule.pk),))
    field = str(account.pk).encode()
    packed_tables, checksum = pack_tables(tables)
    packed = pack_accounts(
        [field],
        checksum,
        state,
        rules=Details(pair, [0, 1]),
        positions=Details(position, [0, 1]),
        orders=Details(np.zeros(0, ORDER_DTYPE), [0, 0]),
    )
    key = readings_key(account.terminal_host_id)
    redis.hset(key, mapping={TABLES_FIELD: packed_tables, **packed})


def assert_described(value: Any, shape: Any) -> None:
    """Compare an answer with its shape in the schema: the same names, on every level."""
    if value is None:
        assert shape.allow_null, type(shape).__name__
    elif isinstance(shape, serializers.ListSerializer):
        for item in value:
            assert_described(item, shape.child)
    elif isinstance(shape, serializers.Serializer):
        assert set(value) == set(shape.fields), type(shape).__name__
        for name, field in shape.fields.items():
            if isinstance(field, serializers.BaseSerializer):
                assert_described(value[name], field)
            elif value[name] is None:
                assert field.allow_null, name
            elif isinstance(field, serializers.ChoiceField):
                assert value[name] in field.choices


PATHS = {
    "accounts/{account}/status": shapes.AccountStatus,
    "accounts/{account}/positions": shapes.AccountPositions,
    "accounts/{account}/risk": shapes.AccountRisk,
    "groups/{group}/risk": shapes.GroupRisk,
}


@pytest.mark.parametrize("is_read", [True, False], ids=["read", "never read"])
@pytest.mark.parametrize("path", PATHS)
def test_it_answers_what_its_schema_describes(
    api: Client,
    redis: Redis,
    account: ConnectedAccount,
    rule: RiskRule,
    path: str,
    is_read: bool,
) -> None:
    group = make_group(account.user, "Desk", account)
    if is_read:
        leave_reading(redis, account, rule)
    with time_machine.travel(NOW + timedelta(seconds=1), tick=False):
        answer = api.ask("GET", path.format(account=account.pk, group=group.pk))
    assert answer.status_code == 200, answer.content
    assert_described(answer.json(), PATHS[path]())


def test_it_tells_the_numbers_while_they_are_fresh(
    api: Client, redis: Redis, account: ConnectedAccount, rule: RiskRule
) -> None:
    group = make_group(account.user, "Desk", account)
    leave_reading(redis, account, rule)
    with time_machine.travel(NOW + timedelta(seconds=2), tick=False):
        status = api.ask("GET", f"accounts/{account.pk}/status").json()
        positions = api.ask("GET", f"accounts/{account.pk}/positions").json()
        risk = api.ask("GET", f"groups/{group.pk}/risk").json()
    assert (status["status"], status["reading_age_seconds"]) == ("critical", 2.0)
    assert status["account_info"]["equity"] == 95_212.4
    assert status["connection"]["state"] == "connected"
    assert positions["count"] == 1
    assert (positions["results"][0]["ticket"], positions["results"][0]["sl"]) == (7, None)
    assert (risk["status"], risk["weakest_account"]["name"]) == ("critical", "Alpha 3")
    assert risk["rules"][0]["left"] == 212.4


@pytest.mark.parametrize(("level", "is_late"), [(24, True), (25, False), (26, False)])
def test_it_says_whether_the_broker_closes_before_the_own_cut_off(
    api: Client, redis: Redis, account: ConnectedAccount, rule: RiskRule, level: int, is_late: bool
) -> None:
    set_cutoff(user=account.user, warning_level=Decimal(60), liquidation_level=Decimal(level))
    leave_reading(redis, account, rule)
    with time_machine.travel(NOW, tick=False):
        status = api.ask("GET", f"accounts/{account.pk}/status").json()
    (notice,) = (each for each in status["notices"] if each["kind"] == "stop_out")
    assert notice["level"] == ("warning" if is_late else "info")
    assert (f"That is above {level} %" in notice["sentence"]) is is_late


def test_it_calls_an_old_reading_unknown(
    api: Client, redis: Redis, account: ConnectedAccount, rule: RiskRule
) -> None:
    leave_reading(redis, account, rule)
    with time_machine.travel(NOW + timedelta(seconds=2, milliseconds=1), tick=False):
        status = api.ask("GET", f"accounts/{account.pk}/status").json()
    assert (status["status"], status["is_fresh"]) == ("unknown", False)
    assert status["read_at"] == "2026-11-20T12:00:00.000Z"


def test_it_does_not_take_the_unknown_for_flat(api: Client, account: ConnectedAccount) -> None:
    positions = api.ask("GET", f"accounts/{account.pk}/positions").json()
    assert (positions["count"], positions["results"], positions["read_at"]) == (None, None, None)
    status = api.ask("GET", f"accounts/{account.pk}/status").json()
    assert (status["status"], status["account_info"]) == ("unknown", None)
