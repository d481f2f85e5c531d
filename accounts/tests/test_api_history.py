"""Deals, equity, health, status and orders of an account, as the API tells them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis import Redis

from accounts.models import ConnectedAccount, ConnectionLog, Deal, User
from accounts.services.accounts import update_account
from accounts.terminals.readings import ORDER_DTYPE
from accounts.tests.api_clients import Client, client_of
from accounts.tests.factories import NOW, make_account
from accounts.tests.history_rows import make_deal, make_snapshot
from accounts.tests.states import leave_states

MINUTE = timedelta(minutes=1)


@pytest.fixture
def api(alice: User) -> Client:
    return client_of(alice)


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    account = make_account(alice, state="connected")
    created_at = NOW - timedelta(days=30)
    ConnectedAccount.objects.filter(pk=account.pk).update(created_at=created_at)
    return account


def get(api: Client, account: ConnectedAccount, path: str, now: datetime = NOW) -> Any:
    with time_machine.travel(now, tick=False):
        answer = api.ask("GET", f"accounts/{account.pk}/{path}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def refused(api: Client, account: ConnectedAccount, path: str) -> dict[str, list[str]]:
    answer = api.ask("GET", f"accounts/{account.pk}/{path}")
    assert answer.status_code == 400, answer.content
    fields: dict[str, list[str]] = answer.json()["error"]["fields"]
    return fields


def tickets(answer: Any) -> list[int]:
    return [row["ticket"] for row in answer["results"]]


@pytest.mark.parametrize("path", ["deals", "equity", "equity?resolution=hour"])
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_ends_of_the_calendar_are_moments_like_others(
    api: Client, account: ConnectedAccount, path: str, moment: str
) -> None:
    separator = "&" if "?" in path else "?"
    for end in ("from", "to"):
        assert get(api, account, f"{path}{separator}{end}={moment}")["results"] == []


def test_it_lists_deals_newest_first_a_page_at_a_time(
    api: Client, account: ConnectedAccount
) -> None:
    for ticket in range(1, 6):
        make_deal(account, ticket=ticket)
    answer = get(api, account, "deals?page_size=2")
    assert (answer["count"], tickets(answer)) == (5, [5, 4])
    assert tickets(get(api, account, "deals?page_size=2&page=3")) == [1]


def test_it_tells_a_deal_in_words(api: Client, account: ConnectedAccount) -> None:
    make_deal(account, ticket=7, type=1, entry=1, reason=6, profit="-12.3", magic=77)
    make_deal(account, ticket=6, type=99, entry=9, reason=99)
    sold, odd = get(api, account, "deals")["results"]
    assert (sold["type"], sold["entry"], sold["reason"]) == ("sell", "out", "so")
    assert (sold["profit"], sold["volume_lots"]) == ("-12.3000", "0.10000000")
    assert (sold["time"], sold["time_msc"]) == ("2026-11-20T12:00:00Z", 1_795_000_000_007)
    assert (odd["type"], odd["entry"], odd["reason"]) == ("other", "other", "other")


def test_it_chooses_deals(api: Client, account: ConnectedAccount) -> None:
    for ticket, minutes in ((1, -1), (2, 0), (3, 1)):
        make_deal(account, ticket=ticket, time=NOW + minutes * MINUTE)
    make_deal(account, ticket=4, symbol="GBPUSD", time=NOW - 9 * MINUTE)
    make_deal(account, ticket=5, symbol="", type=2, time=NOW - 9 * MINUTE)
    assert tickets(get(api, account, "deals?from=2026-11-20T12:00:00Z")) == [3, 2]
    assert tickets(get(api, account, "deals?to=2026-11-20T12:00:00Z")) == [5, 4, 1]
    both = "deals?from=2026-11-20T13:00:00%2B01:00&to=2026-11-20T12:01:00Z"
    assert tickets(get(api, account, both)) == [2]
    assert tickets(get(api, account, "deals?symbol=GBPUSD")) == [4]
    assert tickets(get(api, account, "deals?type=balance")) == [5]
    for path, field in (("from=yesterday", "from"), ("type=gift", "type"), ("to=1", "to")):
        assert set(refused(api, account, f"deals?{path}")) == {field}


def test_it_shows_the_history_of_the_present_login(api: Client, account: ConnectedAccount) -> None:
    make_deal(account, ticket=1)
    make_deal(account, ticket=2, login=account.login + 1)
    make_snapshot(account, NOW - MINUTE)
    make_snapshot(account, NOW - 2 * MINUTE, server="Elsewhere")
    assert tickets(get(api, account, "deals")) == [1]
    assert get(api, account, "equity")["count"] == 1


def test_it_lists_equity_oldest_first(api: Client, account: ConnectedAccount) -> None:
    for minutes in (3, 1, 2):
        make_snapshot(account, NOW - minutes * MINUTE, equity=minutes, equity_low=1)
    make_snapshot(account, NOW, resolution=3600)
    answer = get(api, account, "equity")
    assert [row["equity"] for row in answer["results"]] == ["3.0000", "2.0000", "1.0000"]
    row = answer["results"][0]
    assert (row["at"], row["equity_low"], row["readings"]) == (
        "2026-11-20T11:57:00Z",
        "1.0000",
        300,
    )
    assert get(api, account, "equity?resolution=hour")["count"] == 1
    assert get(api, account, "equity?resolution=day")["count"] == 0
    assert set(refused(api, account, "equity?resolution=week")) == {"resolution"}


@pytest.mark.parametrize(
    ("resolution", "length"),
    [("minute", timedelta(days=1)), ("hour", timedelta(days=30)), ("day", None)],
)
def test_it_shows_the_latest_equity_when_nobody_says_from_when(
    api: Client, account: ConnectedAccount, resolution: str, length: timedelta | None
) -> None:
    number = {"minute": 60, "hour": 3600, "day": 86400}[resolution]
    oldest = NOW - (length or timedelta(days=3000))
    for at in (oldest - MINUTE, oldest, oldest + MINUTE):
        make_snapshot(account, at, resolution=number)
    found = get(api, account, f"equity?resolution={resolution}")["count"]
    assert found == (3 if length is None else 2)
    asked = "2000-01-01T00:00:00Z"
    assert get(api, account, f"equity?resolution={resolution}&from={asked}")["count"] == 3


def log(account: ConnectedAccount, minutes: float, from_state: str, to_state: str) -> None:
    ConnectionLog.objects.create(
        account_id=account.pk,
        user_id=account.user_id,
        account_name=account.name,
        from_state=from_state,
        to_state=to_state,
        reason={"error": "no_answer", "connecting": "restored"}.get(to_state, ""),
        message="The terminal does not answer." if to_state == "error" else "",
        created_at=NOW - minutes * MINUTE,
    )


def test_it_tells_how_well_the_connection_holds(
    api: Client, redis: Redis, account: ConnectedAccount
) -> None:
    log(account, 40, "connected", "error")
    log(account, 10, "error", "connected")
    leave_states([account], read_at=NOW.timestamp() - 0.5, identity_checks=9, identity_failures=1)
    health = get(api, account, "health")
    hour = health["uptimes"][1]
    assert (hour["window"], hour["uptime_fraction"], hour["reconnects"]) == ("1h", 0.5, 1)
    assert health["last_errors"] == [
        {
            "at": "2026-11-20T11:20:00Z",
            "reason": "no_answer",
            "message": "The terminal does not answer.",
        }
    ]
    assert (health["identity_checks"], health["identity_failures"]) == (9, 1)
    assert health["reading_age_seconds"] == 0.5


def test_a_worker_that_died_was_not_up(
    api: Client, redis: Redis, account: ConnectedAccount
) -> None:
    make_snapshot(account, NOW - 51 * MINUTE)
    log(account, 20, "connected", "connecting")
    log(account, 20, "connecting", "connected")
    leave_states([account], read_at=NOW.timestamp())
    assert get(api, account, "health")["uptimes"][1]["uptime_fraction"] == 0.5


def test_without_readings_the_last_minute_tells(api: Client, account: ConnectedAccount) -> None:
    make_snapshot(account, NOW - 31 * MINUTE)
    health = get(api, account, "health")
    assert health["uptimes"][1]["uptime_fraction"] == 0.5
    assert health["reading_age_seconds"] is None
    assert health["identity_checks"] is None


def test_the_status_tells_what_matters(
    api: Client, redis: Redis, account: ConnectedAccount
) -> None:
    log(account, 40, "connected", "error")
    log(account, 10, "error", "connected")
    leave_states(
        [account],
        read_at=NOW.timestamp() - 1.0,
        trade_mode=2,
        trade_allowed=False,
        clock_offset=3600.0,
        stop_out_level=50.0,
    )
    status = get(api, account, "status")
    info = status["account_info"]
    assert (info["login"], info["server"]) == (account.login, account.server)
    assert (info["trade_mode"], info["trade_allowed"]) == ("real", False)
    assert (info["margin_so_mode"], info["margin_so_so"]) == ("percent", 50.0)
    assert (info["equity"], info["clock_offset_seconds"]) == (95_212.4, 3600.0)
    assert (status["is_stale"], status["reading_age_seconds"]) == (False, 1.0)
    warned = {each["kind"] for each in status["notices"] if each["level"] == "warning"}
    assert warned == {"demo_mismatch", "watching_only", "stop_out", "clock"}
    assert status["health"]["reconnects"] == 1
    assert status["health"]["last_error"]["reason"] == "no_answer"


def test_it_lists_pending_orders_with_their_age(
    api: Client, redis: Redis, account: ConnectedAccount
) -> None:
    orders = np.zeros(2, ORDER_DTYPE)
    orders["ticket"], orders["symbol"], orders["type"] = [5, 6], [1, 0], [2, 42]
    orders["volume"], orders["tp"] = 0.3, [1.25, 0.0]
    orders["time_msc"] = 1_795_000_000_000
    leave_states([account], read_at=NOW.timestamp(), orders=orders)
    answer = get(api, account, "positions", NOW + timedelta(seconds=3))
    assert (answer["is_stale"], answer["reading_age_seconds"]) == (True, 3.0)
    assert (answer["count"], answer["results"]) == (0, [])
    first, second = answer["orders"]
    assert (first["ticket"], first["symbol"], first["type"]) == (5, "GBPUSD", "buy_limit")
    assert (first["volume_current"], first["sl"], first["tp"]) == (0.3, None, 1.25)
    assert first["placed_at_broker"] == "2026-11-18 11:06:40"
    assert second["type"] == "other"


@pytest.mark.parametrize("path", ["deals", "equity", "health", "connection-log"])
def test_it_asks_the_database_as_often_for_20_rows_as_for_2(
    api: Client, account: ConnectedAccount, path: str
) -> None:
    counts = []
    for number in range(20):
        make_deal(account, ticket=number + 1)
        make_snapshot(account, NOW - number * MINUTE)
        log(account, number, "connected", "connecting")
        if number in (1, 19):
            with CaptureQueriesContext(connection) as queries:
                get(api, account, path)
            counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("path", ["deals", "equity", "health", "status", "positions"])
def test_strangers_see_nothing(bob: User, account: ConnectedAccount, path: str) -> None:
    assert client_of(bob).ask("GET", f"accounts/{account.pk}/{path}").status_code == 404
    assert client_of(None).ask("GET", f"accounts/{account.pk}/{path}").status_code == 401


def test_times_follow_a_zone_that_was_corrected(account: ConnectedAccount) -> None:
    # One deal in winter, one in summer: the two zones differ by another amount in each.
    for ticket, shown in (
        (1, datetime(2026, 1, 15, 12, 0, tzinfo=UTC)),
        (2, datetime(2026, 7, 15, 12, 0, tzinfo=UTC)),
        (3, datetime(2026, 12, 15, 12, 0, tzinfo=UTC)),
    ):
        hours = 3 if ticket == 2 else 2  # New York + 7 h
        make_deal(
            account,
            ticket=ticket,
            time=shown - timedelta(hours=hours),
            time_msc=round(shown.timestamp() * 1000),
        )
    update_account(account=account, broker_time_zone="Europe/London")
    told = Deal.objects.order_by("ticket").values_list("time", flat=True)
    assert [moment.hour for moment in told] == [12, 11, 12]
    update_account(account=account, broker_time_zone="UTC")
    assert {moment.hour for moment in told.all()} == {12}
