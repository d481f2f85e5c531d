import json
from typing import Any

import pytest
from django.template.loader import select_template
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from notifications.models import Channel, Delivery
from notifications.screen.channels import addable_transports, steps_templates
from notifications.tests.factories import make_channel, make_notification

NOW = timezone.now()
TOKEN = f"123456789:{'A' * 35}"
TELEGRAM = {"bot_token": TOKEN, "chat_id": "4711"}
ADD = "/notifications/channels/add?transport="
HTMX = {"HX-Request": "true"}


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def test_it_shows_channels_and_no_secret(alice: User, charlie: User, page: Client) -> None:
    make_channel(alice, "telegram", name="My phone", credentials=TELEGRAM)
    make_channel(charlie, "telegram", name="Their phone", credentials=TELEGRAM)
    html = page.get("/notifications/channels").content.decode()
    assert "My phone" in html
    assert "Their phone" not in html
    assert alice.email in html  # everybody is reached by e-mail
    assert not Channel.objects.filter(user=alice, transport="email").exists()
    assert TOKEN not in html
    assert html.count("If TradeGuard stops in the middle of sending") == 2


@pytest.mark.parametrize("transport", addable_transports(), ids=lambda each: each.name)
def test_every_form_says_how_to_get_what_it_asks_for(page: Client, transport: object) -> None:
    name = getattr(transport, "name", "")
    html = page.get(f"{ADD}{name}").content.decode()
    for field in getattr(transport, "fields", ()):
        assert (f'name="{field.name}"' in html) == field.is_asked
    template = select_template(steps_templates(transport)).template  # type: ignore[arg-type]
    assert getattr(template, "name", "") == f"notifications/steps/{name}.html"
    assert 2 <= html.count("<li><strong>") <= 3


def test_a_transport_without_steps_shows_what_it_says_of_itself() -> None:
    class Pigeon:
        name = "pigeon"
        about = "By a bird."

    [_, other] = steps_templates(Pigeon())  # type: ignore[arg-type]
    assert "By a bird." in select_template([other]).render({"transport": Pigeon()})


@pytest.mark.parametrize("name", ["", "email", "web_push", "pigeon"])
def test_it_offers_no_form_for_what_needs_none(page: Client, name: str) -> None:
    assert page.get(f"{ADD}{name}").headers["Location"] == "/notifications/channels"


def test_it_adds_a_channel(alice: User, page: Client) -> None:
    answer = page.post(f"{ADD}telegram", {**TELEGRAM, "name": "Phone"})
    assert answer.headers["Location"] == "/notifications/channels"
    channel = Channel.objects.get(user=alice, transport="telegram")
    assert channel.name == "Phone"
    assert json.loads(channel.credentials or "") == TELEGRAM


def test_it_marks_what_is_wrong_and_sends_no_secret_back(page: Client) -> None:
    answer = page.post(f"{ADD}telegram", {"bot_token": TOKEN, "chat_id": "my chat"})
    html = answer.content.decode()
    assert "A chat is a number" in html
    assert 'value="my chat"' in html
    assert TOKEN not in html
    assert "Paste what is secret again" in html
    assert not Channel.objects.filter(transport="telegram").exists()


def test_it_shows_a_made_secret_once(alice: User, page: Client) -> None:
    answer = page.post(f"{ADD}webhook", {"url": "https://example.com/hook"}, headers=HTMX)
    channel = Channel.objects.get(user=alice, transport="webhook")
    secret = json.loads(channel.credentials or "")["secret"]
    html = answer.content.decode()
    assert f'value="{secret}"' in html
    assert "data-reloads" in html
    assert "https://example.com/hook" not in html
    assert answer.headers["Cache-Control"].count("no-store") == 1
    for path in ("/notifications/channels", f"/notifications/channels/{channel.pk}/edit"):
        assert secret not in page.get(path).content.decode()


def test_it_shows_no_secret_that_the_user_gave(page: Client) -> None:
    given = {"url": "https://example.com/hook", "secret": "whsec_" + "QUJD" * 12}
    answer = page.post(f"{ADD}webhook", given)
    assert answer.headers["Location"] == "/notifications/channels"


def test_it_renames_and_keeps_what_is_left_empty(alice: User, page: Client) -> None:
    channel = make_channel(alice, "telegram", name="Phone", credentials=TELEGRAM)
    path = f"/notifications/channels/{channel.pk}/edit"
    assert TOKEN not in page.get(path).content.decode()
    page.post(path, {"name": "Desk", "bot_token": "", "chat_id": "12"})
    channel = Channel.objects.get(pk=channel.pk)
    assert channel.name == "Desk"
    assert json.loads(channel.credentials or "") == {**TELEGRAM, "chat_id": "12"}


def test_it_removes_what_need_not_be_there(alice: User, page: Client) -> None:
    stored = {**TELEGRAM, "topic_id": "12"}
    channel = make_channel(alice, "telegram", name="Group", credentials=stored)
    path = f"/notifications/channels/{channel.pk}/edit"
    html = page.get(path).content.decode()
    assert html.count('name="remove_') == 1  # neither what is needed nor what is secret
    assert 'name="remove_' not in page.get(f"{ADD}telegram").content.decode()
    page.post(path, {"name": "Group"})
    assert json.loads(Channel.objects.get(pk=channel.pk).credentials or "") == stored
    page.post(path, {"name": "Group", "remove_topic_id": "on", "remove_bot_token": "on"})
    assert json.loads(Channel.objects.get(pk=channel.pk).credentials or "") == TELEGRAM


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Not tried yet"),
        ({"last_sent_at": NOW}, "Works"),
        ({"last_sent_at": NOW, "last_error": "No answer."}, "is tried again: No answer."),
        ({"failures_in_a_row": 1, "last_error": "No such chat."}, "message failed: No such chat."),
        ({"failures_in_a_row": 2}, "The last 2 messages failed."),
        ({"switched_off_at": NOW}, "Switched off"),
    ],
)
def test_a_card_claims_no_more_than_what_happened(
    alice: User, page: Client, fields: dict[str, Any], words: str
) -> None:
    make_channel(alice, "email", last_sent_at=NOW)
    channel = make_channel(alice, "telegram", name="Phone", credentials=TELEGRAM)
    Channel.objects.filter(pk=channel.pk).update(**fields)
    html = page.get("/notifications/channels").content.decode()
    assert words in html
    assert html.count(">Works<") == 1 + (words == "Works")


@pytest.mark.parametrize(("backend", "is_said"), [("console", True), ("smtp", False)])
def test_it_says_when_mail_reaches_nobody(
    alice: User, page: Client, settings: Settings, backend: str, *, is_said: bool
) -> None:
    settings.EMAIL_BACKEND = f"django.core.mail.backends.{backend}.EmailBackend"
    channel = make_channel(alice, "email", last_sent_at=NOW)
    for path in ("/notifications/channels", "/notifications/preferences"):
        assert ("no mail server is set up" in page.get(path).content.decode().lower()) == is_said
    page.post(f"/notifications/channels/{channel.pk}/test", headers=HTMX)
    Delivery.objects.update(state=Delivery.State.SENT, sent_at=NOW)
    path = f"/notifications/channels/{channel.pk}/test?delivery={channel.deliveries.get().pk}"
    html = page.get(path, headers=HTMX).content.decode()
    assert ("</strong> went only into TradeGuard" in html) == is_said
    assert ('data-tone="unsent"' in html) == is_said
    assert ("</strong> was sent at" in html) == (not is_said)
    assert (": look whether it arrived." in html) == (not is_said)
    path = f"/notifications/{channel.deliveries.get().notification_id}/deliveries"
    html = page.get(path, headers=HTMX).content.decode()
    assert ("went only into TradeGuard" in html) == is_said
    assert ("sent at" in html) == (not is_said)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "</strong> is being sent."),
        ({"state": "sent", "sent_at": NOW, "attempts": 1}, "</strong> was sent at"),
        ({"state": "failed", "attempts": 2}, "</strong> failed after 2 attempts."),
        ({"state": "cancelled"}, "</strong>: not sent any more."),
        ({"attempts": 1, "error": "No answer."}, "</strong>: 1 attempt failed, "),
    ],
)
def test_a_test_ends_in_a_sentence(
    alice: User, page: Client, fields: dict[str, Any], words: str
) -> None:
    channel = make_channel(alice, "telegram", name="Phone", credentials=TELEGRAM)
    path = f"/notifications/channels/{channel.pk}/test"
    page.post(path, headers=HTMX)
    channel.deliveries.update(**fields)
    asked = f"{path}?delivery={channel.deliveries.get().pk}"
    assert f"The test{words}" in page.get(asked, headers=HTMX).content.decode()


def test_a_test_shows_how_the_channel_does_now(alice: User, page: Client) -> None:
    channel = make_channel(alice, "telegram", name="Phone", credentials=TELEGRAM)
    path = f"/notifications/channels/{channel.pk}/test"
    assert "Nothing sent yet" in page.post(path, headers=HTMX).content.decode()
    asked = f"{path}?delivery={channel.deliveries.get().pk}"
    Channel.objects.filter(pk=channel.pk).update(last_sent_at=NOW)
    html = page.get(asked, headers=HTMX).content.decode()
    assert "Last sent" in html
    assert html.count('hx-swap-oob="true"') == 2
    Channel.objects.filter(pk=channel.pk).update(switched_off_at=NOW)
    assert "Switch it on again" in page.get(asked, headers=HTMX).content.decode()


def test_it_asks_before_it_deletes(alice: User, page: Client) -> None:
    channel = make_channel(alice, "telegram", name="Phone", credentials=TELEGRAM)
    path = f"/notifications/channels/{channel.pk}/delete"
    page.get(path)
    assert Channel.objects.filter(pk=channel.pk).exists()
    page.post(path)
    assert not Channel.objects.filter(pk=channel.pk).exists()


def test_the_channel_by_email_stays(alice: User, page: Client) -> None:
    channel = make_channel(alice, "email")
    path = f"/notifications/channels/{channel.pk}/delete"
    assert "Delete it" not in page.get(path).content.decode()
    page.post(path)
    assert Channel.objects.filter(pk=channel.pk).exists()


def test_it_switches_on_again(alice: User, page: Client) -> None:
    channel = make_channel(alice, "telegram", name="Phone", credentials=TELEGRAM)
    channel.switched_off_at = timezone.now()
    channel.save(update_fields=["switched_off_at"])
    assert "Switch it on again" in page.get("/notifications/channels").content.decode()
    page.post(f"/notifications/channels/{channel.pk}/on")
    assert Channel.objects.get(pk=channel.pk).switched_off_at is None


def test_it_shows_how_a_test_goes(alice: User, page: Client) -> None:
    channel = make_channel(alice, "email")
    path = f"/notifications/channels/{channel.pk}/test"
    html = page.post(path, headers=HTMX).content.decode()
    delivery = channel.deliveries.get()
    assert f"{path}?delivery={delivery.pk}" in html  # asks again by itself
    Delivery.objects.update(state=Delivery.State.FAILED, attempts=1, error="No such user here.")
    html = page.get(f"{path}?delivery={delivery.pk}").content.decode()
    assert "No such user here." in html
    assert "hx-get" not in html


def test_it_says_when_there_were_too_many_tests(alice: User, page: Client) -> None:
    path = f"/notifications/channels/{make_channel(alice, 'email').pk}/test"
    answers = [page.post(path, headers=HTMX).content.decode() for _ in range(6)]
    assert ["wait a moment" in answer for answer in answers] == [False] * 5 + [True]


@pytest.mark.parametrize("query", ["", "?delivery=x", "?delivery=٣", f"?delivery={10**30}"])
def test_it_shows_no_test_that_is_not_there(alice: User, page: Client, query: str) -> None:
    path = f"/notifications/channels/{make_channel(alice, 'email').pk}/test{query}"
    assert page.get(path).headers["Location"] == "/notifications/channels"


def test_it_shows_no_test_of_another_channel(alice: User, charlie: User, page: Client) -> None:
    theirs = Delivery.objects.create(
        notification=make_notification(charlie),
        channel=make_channel(charlie, "email"),
        transport="email",
        error="A secret of theirs",
    )
    path = f"/notifications/channels/{make_channel(alice, 'email').pk}/test"
    assert page.get(f"{path}?delivery={theirs.pk}").status_code == 302


@pytest.mark.parametrize("act", ["edit", "delete", "test", "on"])
def test_it_leaves_alone_what_is_somebody_elses(charlie: User, page: Client, act: str) -> None:
    channel = make_channel(charlie, "telegram", name="Theirs", credentials=TELEGRAM)
    answer = page.post(f"/notifications/channels/{channel.pk}/{act}", {"name": "Mine"})
    assert answer.status_code == 404
    assert Channel.objects.get(pk=channel.pk).name == "Theirs"
    assert Delivery.objects.count() == 0
