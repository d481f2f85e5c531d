from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from accounts.tests.factories import NOW
from notifications.models import Delivery, Notification, NotificationType, Priority
from notifications.tests.factories import make_channel, make_notification

HTMX = {"HX-Request": "true"}


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def html_of(page: Client, path: str) -> str:
    answer = page.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_lists_only_ones_own(alice: User, charlie: User, page: Client) -> None:
    make_notification(alice, title="Mine <b>")
    make_notification(charlie, title="Theirs")
    for path in ("/notifications", "/notifications/latest"):
        html = html_of(page, path)
        assert "Mine &lt;b&gt;" in html
        assert "Theirs" not in html


def test_it_opens_what_a_notification_is_about_and_marks_it_read(alice: User, page: Client) -> None:
    notification = make_notification(alice, link="/accounts/3")
    answer = page.get(f"/notifications/{notification.pk}/open")
    assert answer.headers["Location"] == "/accounts/3"
    notification.refresh_from_db()
    assert notification.read_at is not None


@pytest.mark.parametrize("act", ["open", "read", "delete", "deliveries"])
def test_it_does_nothing_with_somebody_elses(charlie: User, page: Client, act: str) -> None:
    notification = make_notification(charlie)
    path = f"/notifications/{notification.pk}/{act}"
    answer = page.get(path) if act in ("open", "deliveries") else page.post(path)
    assert answer.status_code == 404
    notification.refresh_from_db()
    assert notification.read_at is None


def test_it_never_leads_to_another_site(alice: User, page: Client) -> None:
    notification = make_notification(alice)
    Notification.objects.update(link="https://evil.example/")
    answer = page.get(f"/notifications/{notification.pk}/open")
    assert answer.headers["Location"] == "/notifications"


def test_it_marks_all_as_read(alice: User, page: Client) -> None:
    make_notification(alice)
    assert page.get("/notifications/read").status_code == 405
    page.post("/notifications/read")
    assert Notification.objects.unread().count() == 0


def test_it_marks_one_as_read_and_as_unread_again(alice: User, page: Client) -> None:
    notification, _ = make_notification(alice), make_notification(alice)
    path = f"/notifications/{notification.pk}/read"
    answer = page.post(path, headers={**HTMX, "HX-Target": f"note-{notification.pk}"})
    html = answer.content.decode()
    assert f'id="note-{notification.pk}"' in html
    assert "Mark as unread" in html
    assert '"unread": 1' in answer.headers["HX-Trigger"]
    page.post(path, {"unread": "1"})
    notification.refresh_from_db()
    assert notification.read_at is None


def test_it_answers_the_bell_with_a_row_of_the_bell(alice: User, page: Client) -> None:
    notification = make_notification(alice)
    answer = page.post(
        f"/notifications/{notification.pk}/read",
        headers={**HTMX, "HX-Target": f"bell-{notification.pk}"},
    )
    assert f'id="bell-{notification.pk}"' in answer.content.decode()
    assert "inbox-changed" in answer.headers["HX-Trigger"]


def test_it_deletes_one(alice: User, page: Client) -> None:
    gone, kept = make_notification(alice), make_notification(alice)
    answer = page.post(f"/notifications/{gone.pk}/delete", headers=HTMX)
    assert answer.content.strip() == b""
    assert list(Notification.objects.all()) == [kept]


def test_it_clears_what_was_read_after_asking(alice: User, charlie: User, page: Client) -> None:
    make_notification(alice, read_at=NOW)
    unread = make_notification(alice)
    theirs = make_notification(charlie, read_at=NOW)
    assert "1 notification that you have read is deleted" in html_of(page, "/notifications/clear")
    assert Notification.objects.count() == 3
    page.post("/notifications/clear")
    assert set(Notification.objects.all()) == {unread, theirs}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"breach", "order", "read"}),
        ("type=order_filled", {"order"}),
        ("priority=urgent", {"breach"}),
        ("unread=1", {"breach", "order"}),
        ("unread=1&type=security", set()),
        ("type=nonsense&priority=%00", {"breach", "order", "read"}),
    ],
)
def test_it_filters(alice: User, page: Client, query: str, found: set[str]) -> None:
    make_notification(alice, title="Title of breach")
    order, security, low = NotificationType.ORDER_FILLED, NotificationType.SECURITY, Priority.LOW
    make_notification(alice, title="Title of order", type=order, priority=low)
    make_notification(alice, title="Title of read", type=security, priority=low, read_at=NOW)
    html = html_of(page, f"/notifications?{query}")
    shown = {name for name in ("breach", "order", "read") if f"Title of {name}" in html}
    assert shown == found


def test_it_keeps_the_filters_from_page_to_page(alice: User, page: Client) -> None:
    for _ in range(31):
        make_notification(alice)
    html = html_of(page, "/notifications?priority=urgent&unread=1")
    assert "unread=1&amp;page=2" in html
    assert "priority=urgent" in html
    assert html_of(page, "/notifications?unread=1&page=2").count('class="note-title"') == 1


def test_it_says_how_often_something_happened(alice: User, page: Client) -> None:
    make_notification(alice)
    moment = timezone.now() - timedelta(minutes=2)
    Notification.objects.update(happened_count=3, last_happened_at=moment)
    html = html_of(page, "/notifications")
    assert "3 times" in html
    assert "2\xa0minutes ago" in html


def test_it_hides_what_is_hidden(alice: User, page: Client) -> None:
    notification = make_notification(alice, title="Counted with another", is_hidden=True)
    assert "Counted with another" not in html_of(page, "/notifications")
    assert page.get(f"/notifications/{notification.pk}/deliveries").status_code == 404


def test_the_bell_shows_first_what_matters(alice: User, page: Client) -> None:
    make_notification(alice, title="The breach", now=NOW - timedelta(hours=1))
    for _ in range(12):
        make_notification(alice, title="A fill", priority=Priority.LOW)
    html = html_of(page, "/notifications/latest")
    assert html.index("The breach") < html.index("A fill")
    assert html.count('class="note-title"') == 8
    Notification.objects.filter(title="The breach").update(read_at=NOW)
    assert "The breach" not in html_of(page, "/notifications/latest")


def test_it_tells_how_one_went_out(alice: User, page: Client) -> None:
    notification = make_notification(alice)
    Notification.objects.update(routed_at=NOW)
    path = f"/notifications/{notification.pk}/deliveries"
    assert "Only shown here" in html_of(page, path)
    now = timezone.now()
    Delivery.objects.create(
        notification=notification,
        channel=make_channel(alice, "email"),
        transport="email",
        channel_name="E-mail",
        state=Delivery.State.SENT,
        sent_at=now,
        created_at=now,
    )
    Delivery.objects.create(
        notification=notification,
        transport="telegram",
        channel_name="Phone",
        state=Delivery.State.FAILED,
        attempts=3,
        error="Telegram said <no>.",
        created_at=now,
    )
    html = html_of(page, path)
    assert "<strong>E-mail</strong>: sent at" in html
    assert "<strong>Telegram, Phone</strong>: failed after 3 attempts" in html
    assert "Telegram said &lt;no&gt;." in html


def test_it_warns_of_a_way_that_is_switched_off(alice: User, page: Client) -> None:
    channel = make_channel(alice, "email")
    assert "E-mail is switched off" not in html_of(page, "/notifications")
    channel.switched_off_at, channel.switched_off_because = NOW, "The mail server said 550."
    channel.save(update_fields=["switched_off_at", "switched_off_because"])
    html = html_of(page, "/notifications")
    assert "E-mail is switched off" in html
    assert "The mail server said 550." in html


def test_it_asks_strangers_to_sign_in(client: Client, db: None) -> None:
    assert client.get("/notifications").headers["Location"] == "/login?next=/notifications"


@pytest.mark.parametrize("path", ["/notifications", "/notifications/latest"])
def test_it_asks_the_database_the_same_for_2_and_for_20_rows(
    alice: User, page: Client, path: str
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert page.get(path).status_code == 200
        return len(queries)

    page.get("/settings")  # the first page of a session is noted, which costs queries of its own
    for _ in range(2):
        make_notification(alice)
    few = count()
    for _ in range(18):
        make_notification(alice)
    assert count() == few


def test_it_shows_friendly_words_when_there_is_nothing(page: Client) -> None:
    assert "Nothing to tell." in html_of(page, "/notifications")
    assert "Nothing to tell." in html_of(page, "/notifications/latest")
    assert "Nothing fits." in html_of(page, "/notifications?unread=1")


def test_a_list_that_is_drawn_anew_counts_anew(alice: User, page: Client) -> None:
    make_notification(alice)
    answer = page.get("/notifications", headers=HTMX)
    assert answer.headers["HX-Trigger"] == '{"unread-counted": {"unread": 1}}'
    assert "HX-Trigger" not in page.get("/notifications").headers
