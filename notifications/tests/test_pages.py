import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from notifications.models import Notification
from notifications.tests.factories import make_notification


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def test_it_lists_only_ones_own(alice: User, charlie: User, page: Client) -> None:
    make_notification(alice, title="Mine <b>")
    make_notification(charlie, title="Theirs")
    for path in ("/notifications", "/notifications/latest"):
        html = page.get(path).content.decode()
        assert "Mine &lt;b&gt;" in html
        assert "Theirs" not in html


def test_it_opens_what_a_notification_is_about_and_marks_it_read(alice: User, page: Client) -> None:
    notification = make_notification(alice, link="/accounts/3")
    answer = page.get(f"/notifications/{notification.pk}/open")
    assert answer.headers["Location"] == "/accounts/3"
    notification.refresh_from_db()
    assert notification.read_at is not None


def test_it_opens_nothing_of_somebody_else(charlie: User, page: Client) -> None:
    notification = make_notification(charlie)
    assert page.get(f"/notifications/{notification.pk}/open").status_code == 404
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


def test_it_asks_strangers_to_sign_in(client: Client, db: None) -> None:
    assert client.get("/notifications").headers["Location"] == "/login?next=/notifications"


def test_it_asks_the_database_the_same_for_2_and_for_20_rows(alice: User, page: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert page.get("/notifications").status_code == 200
        return len(queries)

    page.get("/settings")  # the first page of a session is noted, which costs queries of its own
    for _ in range(2):
        make_notification(alice)
    few = count()
    for _ in range(18):
        make_notification(alice)
    assert count() == few


def test_it_shows_friendly_words_when_there_is_nothing(page: Client) -> None:
    assert "Nothing to tell." in page.get("/notifications").content.decode()
    assert "Nothing to tell." in page.get("/notifications/latest").content.decode()
