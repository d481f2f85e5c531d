"""Each user is told their day, once, at their own time."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import NOW, make_account, make_user
from accounts.tests.history_rows import make_deal, make_snapshot
from notifications.models import DeliverySettings, Notification, Preference
from risk.core.statuses import Status
from risk.tests.factories import make_breach, make_order, make_rule, make_run
from risk.tests.live_state import leave_readings
from tradeguard.summaries import sending
from tradeguard.summaries.due import LATEST, Due, summary_due
from tradeguard.summaries.facts import load_user_days
from tradeguard.summaries.results import day_results
from tradeguard.summaries.sending import send_summaries
from tradeguard.summaries.words import LONGEST_BODY

INSTANT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PRAGUE = "Europe/Prague"
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
TEN_PM = datetime(2026, 11, 20, 22, tzinfo=UTC)
ZONES = ["UTC", PRAGUE, "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"]


def due(now: datetime, *, zone: str = "UTC", at: time = time(22), **fields: Any) -> Due | None:
    facts: dict[str, Any] = {"summarised_on": None, "known_since": now - 30 * DAY, **fields}
    return summary_due(now, zone=ZoneInfo(zone), summary_at=at, **facts)


def send(now: datetime = TEN_PM) -> int:
    return send_summaries(clock=lambda: now)


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    made = make_account(alice, "Alpha 3", state="connected")
    ConnectedAccount.objects.update(created_at=NOW - 30 * DAY)
    return made


class TestDue:
    @pytest.mark.parametrize(
        ("now", "day"),
        [
            (TEN_PM - INSTANT, None),
            (TEN_PM, date(2026, 11, 20)),
            (TEN_PM + LATEST - INSTANT, date(2026, 11, 20)),  # after midnight still of that day
            (TEN_PM + LATEST, None),
        ],
    )
    def test_it_is_due_from_its_time_on_for_six_hours(
        self, now: datetime, day: date | None
    ) -> None:
        found = due(now)
        assert (found.day if found else None) == day

    @pytest.mark.parametrize(
        ("told_on", "is_due"),
        [(None, True), (date(2026, 11, 19), True), (date(2026, 11, 20), False)],
    )
    def test_it_is_due_once_a_day(self, told_on: date | None, is_due: bool) -> None:
        assert (due(TEN_PM, summarised_on=told_on) is not None) is is_due

    def test_it_keeps_to_the_users_zone(self) -> None:
        found = due(TEN_PM - HOUR, zone=PRAGUE)
        assert found == Due(date(2026, 11, 20), TEN_PM - HOUR - DAY, TEN_PM - HOUR)

    def test_a_time_that_the_clocks_skip_comes_right_after(self) -> None:
        spring = datetime(2026, 3, 29, 1, tzinfo=UTC)  # 02:00 becomes 03:00 in Prague
        assert due(spring - INSTANT, zone=PRAGUE, at=time(2, 30)) is None
        found = due(spring, zone=PRAGUE, at=time(2, 30))
        assert found is not None
        assert found.day == date(2026, 3, 29)

    def test_a_time_that_comes_twice_is_due_the_first_time(self) -> None:
        autumn = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 in summer; again an hour later
        first = due(autumn, zone=PRAGUE, at=time(2, 30))
        assert first is not None
        assert first.until == autumn
        assert due(autumn + HOUR, zone=PRAGUE, at=time(2, 30), summarised_on=first.day) is None

    @pytest.mark.parametrize(("since", "is_due"), [(TEN_PM, True), (TEN_PM + INSTANT, False)])
    def test_a_day_that_ended_before_there_was_anything_has_none(
        self, since: datetime, is_due: bool
    ) -> None:
        assert (due(TEN_PM + HOUR, known_since=since) is not None) is is_due

    @settings(deadline=None, max_examples=50)
    @given(
        zone=st.sampled_from(ZONES),
        at=st.times(),
        begin=st.integers(0, 330 * 24).map(lambda hours: NEW_YEAR + hours * HOUR),
    )
    def test_whoever_looks_every_hour_is_told_each_day_once(
        self, zone: str, at: time, begin: datetime
    ) -> None:
        told: list[Due] = []
        for hour in range(24 * 10):
            on = told[-1].day if told else None
            since = begin - 30 * DAY
            found = due(begin + hour * HOUR, zone=zone, at=at, summarised_on=on, known_since=since)
            told += [found] if found else []

        days = [each.day for each in told]
        assert days == [days[0] + number * DAY for number in range(len(days))]
        assert len(days) >= 9
        for before, after in pairwise(told):
            assert before.until == after.since  # nothing between two days is told twice or never


class TestResults:
    def test_it_is_what_was_made_since_the_day_began(self, account: ConnectedAccount) -> None:
        ConnectedAccount.objects.update(day_reset_zone="UTC")
        account.refresh_from_db()
        midnight = datetime(2026, 11, 20, tzinfo=UTC)
        make_snapshot(account, midnight - timedelta(minutes=1), equity=Decimal(100_000))
        make_snapshot(account, midnight, equity=Decimal(1))  # of the new day
        make_deal(account, ticket=1, type=2, time=midnight + HOUR, profit=Decimal(500))
        make_deal(account, ticket=2, type=2, time=midnight - HOUR, profit=Decimal(700))

        assert day_results([account], {account.pk: 100_712.4}, NOW) == {
            account.pk: pytest.approx(212.4)
        }

    @pytest.mark.parametrize(
        ("now", "result"),
        [
            # 22:00 in New York: its day ended at 17:00 there.
            (datetime(2026, 11, 21, 3, tzinfo=UTC), 2_000.0),
            (datetime(2026, 11, 21, 10, tzinfo=UTC) - INSTANT, 2_000.0),
            (datetime(2026, 11, 21, 10, tzinfo=UTC), 7.0),
        ],
    )
    def test_a_day_that_has_only_begun_is_not_told_yet(
        self, account: ConnectedAccount, now: datetime, result: float
    ) -> None:
        ConnectedAccount.objects.update(day_reset_zone="America/New_York", day_reset_time=time(17))
        account.refresh_from_db()
        turn = datetime(2026, 11, 20, 22, tzinfo=UTC)
        make_snapshot(account, turn - DAY - timedelta(minutes=1), equity=Decimal(100_000))
        make_snapshot(account, turn - timedelta(minutes=1), equity=Decimal(102_500))
        make_deal(account, ticket=1, type=2, time=turn - HOUR, profit=Decimal(500))
        make_deal(account, ticket=2, type=2, time=turn + HOUR, profit=Decimal(70))

        told = day_results([account], {account.pk: 102_577.0}, now)
        assert told == {account.pk: pytest.approx(result)}

    def test_a_day_of_which_the_end_is_not_known_is_not_told(
        self, account: ConnectedAccount
    ) -> None:
        ConnectedAccount.objects.update(day_reset_zone="UTC")
        account.refresh_from_db()
        now = datetime(2026, 11, 20, 7, tzinfo=UTC)
        make_snapshot(account, now - timedelta(days=4, hours=10))

        assert day_results([account], {account.pk: 1.0}, now) == {}

    @pytest.mark.parametrize(
        ("age", "is_known"),
        [(timedelta(days=4), True), (timedelta(days=4) + timedelta(minutes=1), False)],
    )
    def test_it_is_not_known_without_a_beginning(
        self, account: ConnectedAccount, age: timedelta, is_known: bool
    ) -> None:
        ConnectedAccount.objects.update(day_reset_zone="UTC")
        account.refresh_from_db()
        make_snapshot(account, datetime(2026, 11, 20, tzinfo=UTC) - age)

        assert (account.pk in day_results([account], {account.pk: 1.0}, NOW)) is is_known

    def test_it_takes_the_present_login_alone(self, account: ConnectedAccount) -> None:
        make_snapshot(account, NOW - DAY, login=account.login + 1)

        assert day_results([account], {account.pk: 1.0}, NOW) == {}

    @pytest.mark.parametrize(
        ("balance", "lots_open", "result"),
        [
            (100_300.0, 0.0, 212.4),
            (100_300.01, 0.0, None),  # a deal is missing
            (100_300.0, 0.1, None),  # what it was worth when the day began, nobody saw
        ],
    )
    def test_where_nobody_looked_when_the_day_began_the_deals_tell(
        self, account: ConnectedAccount, balance: float, lots_open: float, result: float | None
    ) -> None:
        ConnectedAccount.objects.update(day_reset_zone="UTC")
        account.refresh_from_db()
        midnight = datetime(2026, 11, 20, tzinfo=UTC)
        was = {"type": 2, "volume_lots": Decimal(0)}
        make_deal(account, ticket=1, time=midnight - HOUR, profit=Decimal(100_100), **was)
        make_deal(account, ticket=2, time=midnight, profit=Decimal(50), **was)
        make_deal(account, ticket=3, time=midnight + HOUR, profit=Decimal(150), type=1)
        if lots_open:
            lots = {"position": 9, "profit": Decimal(0), "volume_lots": Decimal(str(lots_open))}
            make_deal(account, ticket=4, time=midnight - INSTANT, type=0, **lots)

        told = day_results([account], {account.pk: 100_362.4}, NOW, balances={account.pk: balance})
        assert told.get(account.pk) == (None if result is None else pytest.approx(result))


class TestSending:
    def test_it_tells_the_day(self, account: ConnectedAccount, alice: User) -> None:
        ConnectedAccount.objects.update(day_reset_zone="UTC")
        rule = make_rule(alice, accounts=[account])
        leave_readings([account], [rule], read_at=TEN_PM.timestamp())
        make_snapshot(account, TEN_PM - DAY, equity=Decimal(95_000))
        make_breach(rule, account, latched_at=TEN_PM - HOUR, message="Alpha 3 broke its limit.")
        make_breach(rule, account, latched_at=TEN_PM - DAY - INSTANT, cleared_at=TEN_PM)
        make_run(account, created_at=TEN_PM - HOUR, reason="Daily loss", finished_at=TEN_PM)
        make_run(
            account,
            created_at=TEN_PM - HOUR,
            cause="rule",
            reason="Alpha 3 broke its limit.",
            message="1 position closed; the account is flat.",
        )
        for number, state in enumerate(["filled", "rejected", "unknown"]):
            make_order(account, tag=number + 1, state=state, created_at=TEN_PM - HOUR)

        assert send() == 1

        told = Notification.objects.get()
        assert (told.type, told.priority, told.user) == ("daily_summary", "medium", alice)
        assert told.title == "Your day, 20 Nov: +212.40 USD, 1 violation"
        for part in (
            "Fri 20 Nov 2026, 22:00 (UTC)",
            "1 violation, 1 order executed, 1 not executed, 1 of unknown outcome, stepped in",
            "- Alpha 3 broke its limit.",
            "- Alpha 3: Daily loss",
            "- Alpha 3: 1 position closed; the account is flat.",
            "Alpha 3: equity 95,212.40 USD, balance 100,000.00, day +212.40, 1 position floating"
            " −4,787.60",
            f"weakest rule, {rule.name}: ",
            "212.40 USD",
        ):
            assert part in told.body

    def test_it_tells_each_day_once(self, account: ConnectedAccount) -> None:
        assert [send(TEN_PM + hour * HOUR) for hour in range(6)] == [1, 0, 0, 0, 0, 0]
        assert send(TEN_PM + DAY) == 1
        keys = Notification.objects.order_by("created_at").values_list("dedupe_key", flat=True)
        assert list(keys) == ["daily_summary:2026-11-20", "daily_summary:2026-11-21"]

    def test_it_is_not_told_again_when_the_user_chooses_a_later_time(
        self, account: ConnectedAccount, alice: User
    ) -> None:
        send()
        DeliverySettings.objects.update(summary_at=time(23))

        assert send(TEN_PM + HOUR) == 0

    def test_it_keeps_to_the_time_and_zone_of_the_user(
        self, account: ConnectedAccount, alice: User
    ) -> None:
        User.objects.update(time_zone="Asia/Tokyo")
        DeliverySettings.objects.update_or_create(user=alice, defaults={"summary_at": time(7)})

        assert send(TEN_PM - INSTANT) == 0
        assert send() == 1
        assert "Sat 21 Nov 2026, 07:00 (Asia/Tokyo)" in Notification.objects.get().body

    def test_another_worker_that_was_faster_has_told_it(
        self, account: ConnectedAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loaded = load_user_days

        def overtaken(*args: Any, **kwargs: Any) -> Any:
            monkeypatch.setattr(sending, "load_user_days", loaded)
            assert send() == 1
            return loaded(*args, **kwargs)

        monkeypatch.setattr(sending, "load_user_days", overtaken)

        assert send() == 0
        assert Notification.objects.count() == 1

    @pytest.mark.parametrize("reason", ["no account", "inactive account", "inactive", "off"])
    def test_some_are_told_nothing(
        self, account: ConnectedAccount, alice: User, reason: str
    ) -> None:
        if reason == "no account":
            account.delete()
        elif reason == "inactive account":
            ConnectedAccount.objects.update(is_active=False)
        elif reason == "inactive":
            User.objects.update(is_active=False)
        else:
            Preference.objects.update_or_create(
                user=alice, type="daily_summary", defaults={"mode": "off"}
            )

        assert send() == 0

    def test_it_shows_no_old_number_as_live(self, account: ConnectedAccount, alice: User) -> None:
        leave_readings([account], [], read_at=(TEN_PM - HOUR).timestamp())

        send()

        told = Notification.objects.get()
        assert told.title == "Your day, 20 Nov"
        assert "Alpha 3: no live numbers, connected; last read 20 Nov 21:00" in told.body
        assert "1 account without live numbers" in told.body
        assert "95,212.40" not in told.body

    def test_it_tells_of_what_was_never_read(self, account: ConnectedAccount) -> None:
        send()

        assert "Alpha 3: connected, never read" in Notification.objects.get().body

    def test_the_weakest_comes_first_and_many_are_cut_short(self, alice: User) -> None:
        accounts = [make_account(alice, f"Alpha {n:03}", state="connected") for n in range(120)]
        ConnectedAccount.objects.update(created_at=NOW - DAY)
        rule = make_rule(alice, accounts=accounts)
        leave_readings(accounts, [rule], read_at=TEN_PM.timestamp(), status=Status.CAUTION)
        leave_readings(accounts[-1:], [rule], read_at=TEN_PM.timestamp(), status=Status.VIOLATED)

        send()

        body = Notification.objects.get().body
        assert len(body) <= LONGEST_BODY
        assert "more accounts, on the page of your accounts." in body
        assert "USD: equity 11,425,488.00, day —, floating −574,512.00 on 120 accounts" in body
        assert body.index("Alpha 119") < body.index("Alpha 000")

    def test_what_is_wrong_with_some_keeps_nobody_else_from_theirs(
        self,
        account: ConnectedAccount,
        bob: User,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        make_account(bob, "Beta")
        ConnectedAccount.objects.update(created_at=NOW - DAY)
        loaded = load_user_days

        def failing(readers: Any, **kwargs: Any) -> Any:
            if readers[0].user_id == account.user_id:
                raise ValueError("broken")
            return loaded(readers, **kwargs)

        monkeypatch.setattr(sending, "load_user_days", failing)
        monkeypatch.setattr(sending, "BATCH_SIZE", 1)

        assert send() == 1
        assert Notification.objects.get().user == bob
        assert "could not be summed up" in caplog.text

    def test_it_needs_no_more_queries_for_more_users(
        self, db: None, django_assert_num_queries: Any
    ) -> None:
        def people(number: int, name: str) -> None:
            accounts = []
            for each in range(number):
                user = make_user(f"{name}-{each}")
                made = [make_account(user, f"Alpha {n}", state="connected") for n in range(3)]
                rule = make_rule(user, accounts=made)
                make_breach(rule, made[0], latched_at=TEN_PM - HOUR)
                make_snapshot(made[0], TEN_PM - DAY)
                accounts += made
            ConnectedAccount.objects.update(created_at=NOW - DAY)
            leave_readings(accounts, [], read_at=TEN_PM.timestamp())

        for number, name in ((2, "few"), (20, "many")):
            people(number, name)
            with django_assert_num_queries(25):
                assert send() == number

    def test_it_leads_to_the_accounts(self, account: ConnectedAccount) -> None:
        send()

        assert Notification.objects.get().link == reverse("account-list")
