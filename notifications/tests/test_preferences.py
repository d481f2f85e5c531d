from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.models import User
from accounts.services.profile import update_profile
from accounts.tests.factories import NOW, make_user, sign_in_staff
from notifications.defaults import ALWAYS_PASSING, Choice, default_choice
from notifications.models import (
    Channel,
    Delivery,
    DeliverySettings,
    NotificationType,
    Preference,
    Priority,
)
from notifications.selectors import preference_matrix, settings_of
from notifications.services.delivery_settings import reset_settings, update_settings
from notifications.services.preferences import (
    delete_preference,
    set_defaults,
    set_matrix,
    set_preference,
)
from notifications.tests.factories import make_channel, make_delivery
from notifications.transports import transports

FILLED = NotificationType.ORDER_FILLED
LATER = NOW + timedelta(minutes=5)
OFF = Choice("off", "low", frozenset())


def prefer(user: User, kind: str = FILLED, **fields: Any) -> Preference:
    values = {"mode": "on", "minimum_priority": "low", "transports": ["email"], **fields}
    return set_preference(user=user, type=kind, **values)


def test_it_sets_every_type_to_its_default(alice: User, bob: User) -> None:
    prefer(alice, mode="off")
    foreign = prefer(bob, mode="off")

    rows = set_defaults(user=alice)

    assert {row.type for row in rows} == set(NotificationType)
    for row in rows:
        choice = Choice(row.mode, row.minimum_priority, frozenset(row.transports))
        assert choice == default_choice(row.type)
    foreign.refresh_from_db()
    assert foreign.mode == "off"


def test_it_replaces_what_was_chosen_before(alice: User) -> None:
    first = prefer(alice)

    second = prefer(alice, mode="silent", minimum_priority="high", transports=["webhook", "email"])

    assert second.pk == first.pk
    assert (second.mode, second.minimum_priority) == ("silent", "high")
    # In the order of the transports, whichever way they were given.
    assert second.transports == ["email", "webhook"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"kind": "gossip"}, "type"),
        ({"mode": "loud"}, "mode"),
        ({"minimum_priority": "vital"}, "minimum_priority"),
        ({"transports": ["email", "pigeon"]}, "transports"),
    ],
)
def test_it_names_what_is_wrong(alice: User, fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError) as raised:
        prefer(alice, **fields)

    assert set(raised.value.error_dict) == {wrong}
    assert not Preference.objects.exists()


@pytest.mark.parametrize("kind", sorted(ALWAYS_PASSING))
@pytest.mark.parametrize(
    ("field", "value"), [("mode", "off"), ("mode", "silent"), ("minimum_priority", "urgent")]
)
def test_what_always_passes_cannot_be_silenced(
    alice: User, kind: NotificationType, field: str, value: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        prefer(alice, kind, **{field: value})

    [text] = raised.value.message_dict[field]
    assert kind.label in text
    assert not Preference.objects.exists()
    prefer(alice, kind, transports=[])


def test_a_matrix_is_saved_whole_or_not_at_all(alice: User) -> None:
    prefer(alice)
    wrong: dict[str, Choice] = {FILLED: OFF, NotificationType.SECURITY: OFF}

    with pytest.raises(ValidationError) as raised:
        set_matrix(user=alice, choices=wrong)

    assert set(raised.value.error_dict) == {"security.mode"}
    assert Preference.objects.get().mode == "on"

    rows = set_matrix(user=alice, choices={FILLED: OFF, NotificationType.CASCADE: OFF})

    assert {(row.type, row.mode) for row in rows} == {("order_filled", "off"), ("cascade", "off")}
    assert Preference.objects.count() == 2


def test_the_matrix_shows_choices_and_defaults(alice: User, bob: User) -> None:
    own = prefer(alice, mode="off", transports=[])
    prefer(bob, NotificationType.CASCADE, mode="off")
    make_channel(alice, "telegram")
    make_channel(alice, "webhook", switched_off_at=NOW)

    matrix = preference_matrix(alice)

    rows = {row.type: row for row in matrix.rows}
    assert list(rows) == NotificationType.values
    assert (rows["order_filled"].choice, rows["order_filled"].preference_id) == (OFF, own.pk)
    assert rows["cascade"].choice == default_choice("cascade")
    assert rows["cascade"].preference_id is None
    assert {kind for kind, row in rows.items() if row.always_passes} == ALWAYS_PASSING
    columns = {column.name: column for column in matrix.columns}
    assert list(columns) == list(transports())
    assert {name for name, each in columns.items() if each.has_working_channel} == {
        "email",
        "telegram",
    }
    assert (columns["webhook"].channels, columns["webhook"].working) == (1, 0)


def test_an_email_channel_that_is_switched_off_works_no_more(alice: User) -> None:
    make_channel(alice)
    Channel.objects.update(switched_off_at=NOW)

    [column] = [each for each in preference_matrix(alice).columns if each.name == "email"]

    assert not column.has_working_channel


def test_without_a_row_the_default_holds_again(alice: User) -> None:
    delete_preference(preference=prefer(alice, mode="off"))

    [row] = [each for each in preference_matrix(alice).rows if each.type == FILLED]
    assert row.choice == default_choice(FILLED)


def test_settings_are_the_defaults_until_somebody_changes_them(alice: User) -> None:
    assert settings_of(alice).storm_limit == 10
    assert not DeliverySettings.objects.exists()

    changed = update_settings(user=alice, now=NOW, storm_limit=3, summary_at=time(7, 30))

    assert settings_of(alice) == changed
    assert (changed.storm_limit, changed.repeat_minutes) == (3, 5)
    assert settings_of(alice).summary_at == time(7, 30)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"quiet_from": time(22)}, "quiet_until"),
        ({"quiet_until": time(6)}, "quiet_from"),
        ({"storm_limit": 0}, "storm_limit"),
        ({"storm_limit": 101}, "storm_limit"),
        ({"repeat_minutes": 121}, "repeat_minutes"),
        ({"repeat_minutes": -1}, "repeat_minutes"),
        ({"summary_at": None}, "summary_at"),
    ],
)
def test_it_refuses_settings_that_make_no_sense(
    alice: User, changes: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        update_settings(user=alice, now=NOW, **changes)

    assert set(raised.value.error_dict) == {wrong}
    assert not DeliverySettings.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [{"storm_limit": 1}, {"storm_limit": 100}, {"repeat_minutes": 0}, {"repeat_minutes": 120}],
)
def test_it_takes_settings_at_their_limits(alice: User, changes: dict[str, Any]) -> None:
    [(name, value)] = changes.items()
    assert getattr(update_settings(user=alice, now=NOW, **changes), name) == value


@pytest.fixture
def held(alice: User) -> Delivery:
    update_settings(user=alice, now=NOW, quiet_from=time(11), quiet_until=time(20))
    return make_delivery(
        alice,
        type=FILLED,
        priority=Priority.LOW,
        hold="quiet",
        next_attempt_at=datetime(2026, 11, 20, 20, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("begins", "ends", "wanted"),
    [
        (None, None, NOW),
        (time(13), time(20), NOW),  # it is noon
        (time(12), time(15), datetime(2026, 11, 20, 15, tzinfo=UTC)),
        (time(22), time(12, 30), datetime(2026, 11, 20, 12, 30, tzinfo=UTC)),
    ],
)
def test_what_is_held_waits_for_the_new_quiet_hours(
    alice: User, held: Delivery, begins: time | None, ends: time | None, wanted: datetime
) -> None:
    update_settings(user=alice, now=NOW, quiet_from=begins, quiet_until=ends)

    held.refresh_from_db()
    assert held.next_attempt_at == wanted
    assert held.hold == Delivery.Hold.QUIET


def test_quiet_hours_are_those_of_the_users_zone(alice: User, held: Delivery) -> None:
    alice.time_zone = "Asia/Tokyo"  # where it is 21:00

    update_settings(user=alice, now=NOW, quiet_from=time(20), quiet_until=time(23))

    held.refresh_from_db()
    assert held.next_attempt_at == NOW + timedelta(hours=2)


@pytest.mark.parametrize("by", ["settings", "staff"])
def test_quiet_hours_move_with_their_user(
    alice: User, held: Delivery, client: Client, by: str
) -> None:
    if by == "settings":
        client.force_login(alice)
        page, given = "/settings", {"first_name": "", "last_name": ""}
    else:
        sign_in_staff(client, make_user("sam", is_staff=True, is_superuser=True))
        page = f"/admin/accounts/user/{alice.pk}/change/"
        given = {"username": alice.username, "email": alice.email, "is_active": "on"}
        given |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}

    with time_machine.travel(NOW, tick=False):
        answer = client.post(page, {**given, "time_zone": "America/New_York"})

    assert answer.status_code == 302
    held.refresh_from_db()
    assert held.next_attempt_at == NOW  # it is 07:00 there

    update_profile(user=alice, first_name="", last_name="", time_zone="Asia/Tokyo", now=LATER)
    held.refresh_from_db()
    assert held.next_attempt_at == LATER  # it is past 21:00 there


def test_another_name_moves_no_quiet_hours(alice: User, held: Delivery) -> None:
    update_profile(user=alice, first_name="Al", last_name="", time_zone="UTC", now=LATER)

    due = held.next_attempt_at
    held.refresh_from_db()
    assert held.next_attempt_at == due


def test_who_has_no_quiet_hours_gets_no_settings_by_moving(alice: User) -> None:
    update_profile(user=alice, first_name="", last_name="", time_zone="Asia/Tokyo", now=NOW)

    assert not DeliverySettings.objects.exists()


def test_other_settings_and_letters_on_their_way_keep_their_time(
    alice: User, held: Delivery
) -> None:
    due = held.next_attempt_at
    update_settings(user=alice, now=NOW, storm_limit=3)
    held.refresh_from_db()
    assert held.next_attempt_at == due

    Delivery.objects.update(attempts=1)
    update_settings(user=alice, now=NOW, quiet_from=None, quiet_until=None)
    held.refresh_from_db()
    assert held.next_attempt_at == due


def test_settings_that_are_reset_hold_nothing_back(alice: User, held: Delivery) -> None:
    reset_settings(settings=settings_of(alice), now=NOW)

    held.refresh_from_db()
    assert held.next_attempt_at == NOW
    assert not DeliverySettings.objects.exists()
