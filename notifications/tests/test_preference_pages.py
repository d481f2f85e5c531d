from datetime import UTC, datetime, time
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from notifications.defaults import ALWAYS_PASSING, default_choice
from notifications.models import (
    Channel,
    Delivery,
    DeliverySettings,
    NotificationType,
    Preference,
)
from notifications.screen.preferences import AREAS, EXPLANATIONS
from notifications.screen.quiet import quiet_sentence
from notifications.selectors.preferences import preference_matrix
from notifications.services.preferences import set_preference
from notifications.tests.factories import make_channel

PATH = "/notifications/preferences"
HTMX = {"HX-Request": "true"}
TELEGRAM = {"bot_token": "x", "chat_id": "1"}
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    make_channel(alice, "email")
    client.force_login(alice)
    return client


def filled_in(user: User, **changes: Any) -> dict[str, Any]:
    """Return the form as the page has it, with changes."""
    form: dict[str, Any] = {"summary_at": "22:00", "repeat_minutes": "5", "storm_limit": "10"}
    matrix = preference_matrix(user)
    shown = {column.name for column in matrix.columns if column.channels}
    for row in matrix.rows:
        form[f"ways-{row.type}"] = sorted(row.choice.transports & shown)
        if not row.always_passes:
            form[f"mode-{row.type}"] = row.choice.mode
            form[f"minimum-{row.type}"] = row.choice.minimum_priority
    return form | changes


def test_it_has_a_place_and_words_for_every_type() -> None:
    assert sorted(kind for kinds in AREAS.values() for kind in kinds) == sorted(NotificationType)
    assert set(EXPLANATIONS) == set(NotificationType)


def test_it_shows_a_row_for_each_type_and_a_column_for_each_way(alice: User, page: Client) -> None:
    html = page.get(PATH).content.decode()
    assert html.count('class="choice-row') == len(NotificationType)
    assert html.count('class="way-column"') == 1
    assert html.count("Always told") == len(ALWAYS_PASSING)
    make_channel(alice, "telegram", name="Phone", credentials={"bot_token": "x", "chat_id": "1"})
    assert page.get(PATH).content.decode().count('class="way-column"') == 2


def test_it_writes_only_what_was_changed(alice: User, page: Client) -> None:
    page.post(PATH, filled_in(alice))
    assert Preference.objects.count() == 0
    page.post(PATH, filled_in(alice, **{"mode-cascade": "silent"}))
    [row] = Preference.objects.all()
    assert (row.type, row.mode) == ("cascade", "silent")


def test_it_keeps_ways_that_it_does_not_show(alice: User, page: Client) -> None:
    """A channel that is added later finds its ticks as they were."""
    assert "telegram" in default_choice("connection_lost").transports
    page.post(PATH, filled_in(alice, **{"ways-connection_lost": []}))
    row = Preference.objects.get()
    assert "email" not in row.transports
    assert "telegram" in row.transports


@pytest.mark.parametrize(
    ("kind", "minimum"),
    [
        ("risk_warning", "high"),
        ("margin_warning", "high"),
        ("position_update", "medium"),
        ("risk_breach", "low"),
        ("order_rejected", "low"),
    ],
)
def test_by_default_only_what_asks_for_action_goes_out(kind: str, minimum: str) -> None:
    assert default_choice(kind).minimum_priority == minimum


@pytest.mark.parametrize("kind", sorted(ALWAYS_PASSING))
def test_it_offers_no_silence_for_what_always_passes(alice: User, page: Client, kind: str) -> None:
    assert f'name="mode-{kind}"' not in page.get(PATH).content.decode()
    page.post(PATH, filled_in(alice, **{f"mode-{kind}": "off", f"ways-{kind}": []}))
    row = Preference.objects.get(type=kind)
    assert row.mode == Preference.Mode.ON


def test_it_saves_hours_and_amounts(alice: User, page: Client) -> None:
    hours = {"quiet_from": "22:30", "quiet_until": "06:15", "storm_limit": "3"}
    answer = page.post(PATH, filled_in(alice, **hours))
    assert answer.headers["Location"] == PATH
    row = DeliverySettings.objects.get(user=alice)
    assert (row.quiet_from, row.quiet_until) == (time(22, 30), time(6, 15))
    assert row.storm_limit == 3
    html = page.get(PATH).content.decode()
    assert 'value="22:30"' in html


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"quiet_from": "22:30"}, "both ends"),
        ({"storm_limit": "0"}, "greater than or equal to 1"),
        ({"repeat_minutes": "121"}, "less than or equal to 120"),
        ({"mode-cascade": "loud"}, "not one of the available choices"),
        ({"ways-cascade": ["pigeon"]}, "not one of the available choices"),
    ],
)
def test_it_saves_all_or_nothing_and_keeps_what_was_typed(
    alice: User, page: Client, wrong: dict[str, Any], words: str
) -> None:
    form = filled_in(alice, **{"mode-order_rejected": "off"}, **wrong)
    html = page.post(PATH, form).content.decode()
    assert words in html
    assert "Nothing is saved yet." in html
    assert html.count('<option value="off" selected>Off</option>') == 1
    assert Preference.objects.count() == 0
    row = DeliverySettings.objects.filter(user=alice).first()
    assert row is None or row.quiet_from is None


def test_it_stays_where_it_is_when_htmx_saves(alice: User, page: Client) -> None:
    answer = page.post(
        PATH, filled_in(alice, **{"mode-cascade": "off"}), headers={"HX-Request": "true"}
    )
    assert answer.headers["HX-Reswap"] == "none"
    assert "edits-saved" in answer.headers["HX-Trigger"]
    assert "Saved." in answer.content.decode()
    assert Preference.objects.count() == 1


def test_it_goes_back_to_the_defaults_after_asking(alice: User, page: Client) -> None:
    set_preference(
        user=alice, type="cascade", mode="off", minimum_priority="low", transports=["email"]
    )
    page.get(f"{PATH}/reset")
    assert Preference.objects.get(type="cascade").mode == "off"
    page.post(f"{PATH}/reset")
    assert Preference.objects.get(type="cascade").mode == default_choice("cascade").mode


def test_it_says_what_typed_hours_would_mean(alice: User, page: Client) -> None:
    alice.time_zone = "Europe/Prague"
    alice.save(update_fields=["time_zone"])
    asked = f"{PATH}/quiet?quiet_from=00:00&quiet_until=23:59"
    assert "in Europe/Prague" in page.get(asked).content.decode()
    assert "Write times" in page.get(f"{PATH}/quiet?quiet_from=late").content.decode()
    assert not DeliverySettings.objects.filter(user=alice, quiet_from__isnull=False).exists()


@pytest.mark.parametrize(
    ("begins", "ends", "sentence"),
    [
        (None, None, "You have no quiet hours."),
        (time(22), None, "Fill in both ends."),
        (time(8), time(8), "Both ends are the same"),
        (time(22), time(7), ": not quiet. It will be from 22:00 to 07:00."),
        (time(14), time(16), ": quiet until 16:00."),
        (time(14, 1), time(16), ": not quiet."),
        (time(9), time(14), ": not quiet."),
    ],
)
def test_it_says_whether_now_is_quiet(
    begins: time | None, ends: time | None, sentence: str
) -> None:
    said = quiet_sentence(now=NOON, zone="Europe/Prague", begins=begins, ends=ends)
    assert said.startswith("Now 14:00 in Europe/Prague")
    assert sentence in said


def test_it_sends_a_test_by_each_channel_of_a_way(alice: User, page: Client) -> None:
    names = ("Phone", "Desk")
    for name in names:
        make_channel(alice, "telegram", name=name, credentials=TELEGRAM)
    html = page.get(PATH).content.decode()
    assert html.count('form="test-telegram"') == 2  # in the column's head, and on a phone
    html = page.post(f"{PATH}/test/telegram", headers=HTMX).content.decode()
    sent = Delivery.objects.all()
    assert sorted(each.channel_name for each in sent) == sorted(names)
    for delivery in sent:
        assert f"<strong>{delivery.channel_name}:</strong> the test is being sent." in html
        path = f"/notifications/channels/{delivery.channel_id}/test?delivery={delivery.pk}"
        assert f'hx-get="{path}&amp;brief"' in html
        part = page.get(f"{path}&brief", headers=HTMX).content.decode()
        assert "the test is being sent." in part
        assert "hx-swap-oob" not in part


def test_it_says_why_no_test_is_sent(alice: User, page: Client) -> None:
    Channel.objects.filter(user=alice).update(switched_off_at=NOON)
    assert "way-test" not in page.get(PATH).content.decode()
    html = page.post(f"{PATH}/test/email", headers=HTMX).content.decode()
    assert "is switched off: switch it on first." in html
    assert not Delivery.objects.exists()


def test_it_gives_everybody_a_channel_to_test(alice: User, page: Client) -> None:
    Channel.objects.all().delete()
    assert 'form="test-email"' in page.get(PATH).content.decode()
    answer = page.post(f"{PATH}/test/email")
    assert answer.headers["Location"] == PATH
    assert "A test is on its way by" in page.get(PATH).content.decode()
    assert Delivery.objects.get().channel == Channel.objects.get(user=alice)


@pytest.mark.parametrize("transport", ["telegram", "pigeon"])
def test_it_tests_no_way_that_is_not_there(bob: User, page: Client, transport: str) -> None:
    make_channel(bob, "telegram", name="Phone", credentials=TELEGRAM)
    assert page.get(f"{PATH}/test/email").status_code == 405
    assert page.post(f"{PATH}/test/{transport}").status_code == 404
    assert not Delivery.objects.exists()
