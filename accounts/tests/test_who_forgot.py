"""A forgotten password, and addresses that are verified or not."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.test import Client

from accounts.models import User
from accounts.models.session import ProgramSession
from accounts.services.profile import ask_for_email, set_email
from accounts.services.users import register_user
from accounts.tests.api_clients import client_of
from accounts.tests.factories import PASSWORD, make_user
from accounts.tests.way_in import (
    ask_for_token,
    is_signed_in,
    link_in,
    program_with,
    protect,
    sent_mails,
    sign_in,
)

NEW = "another horse battery"
DORA = {"username": "dora", "email": "Dora@Example.com", "password": PASSWORD, "time_zone": "UTC"}


@pytest.fixture
def mandatory(settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.MFA_ALLOW_UNVERIFIED_EMAIL = False


def ask_for_reset(client: Client, email: str) -> Any:
    return client.post("/password/reset", {"email": email}, follow=True)


def open_reset(client: Client) -> str:
    """Open the link of the newest mail; return the address of the form behind it."""
    answer = client.get(link_in(sent_mails()[-1]))
    return str(answer.headers["Location"])


def set_new(client: Client, path: str, password: str = NEW) -> Any:
    return client.post(path, {"password1": password, "password2": password}, follow=True)


def test_a_link_in_a_mail_sets_a_new_password(alice: User, client: Client) -> None:
    assert "Look at your mail" in ask_for_reset(client, "ALICE@example.com").content.decode()
    [message] = sent_mails()
    assert message.to == ["alice@example.com"]
    path = open_reset(client)
    assert path.endswith("-set-password")  # the key stays out of addresses that are passed on
    assert "Your password is set" in set_new(client, path).content.decode()
    assert not is_signed_in(client)
    assert sign_in(client, "alice", NEW).status_code == 302
    assert not is_signed_in(Client())


def test_its_link_leads_to_the_public_address_whatever_a_request_says(
    alice: User, settings: Any
) -> None:
    settings.ALLOWED_HOSTS, settings.PUBLIC_URL = ["*"], "https://desk.example.com"
    Client(headers={"Host": "evil.example"}).post("/password/reset", {"email": alice.email})
    [message] = sent_mails()
    assert "https://desk.example.com/password/reset/" in message.body
    assert "evil" not in message.body


def test_its_answer_tells_nobody_whether_an_address_is_known(alice: User) -> None:
    known = ask_for_reset(Client(), "alice@example.com")
    unknown = ask_for_reset(Client(), "nobody@example.com")
    assert known.content == unknown.content
    assert known.redirect_chain == unknown.redirect_chain
    assert len(sent_mails()) == 1


def test_a_mail_server_that_is_away_fails_no_page(
    alice: User, client: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    assert "Look at your mail" in ask_for_reset(client, "alice@example.com").content.decode()
    sent_mails()
    assert "The mail “Choose a new password” could not be sent." in caplog.text
    assert "/password/reset/" not in caplog.text


def test_its_link_is_good_once_and_for_an_hour(alice: User, client: Client) -> None:
    with time_machine.travel("2026-11-20T12:00:00Z", tick=False) as clock:
        ask_for_reset(client, "alice@example.com")
        link = link_in(sent_mails()[-1])
        clock.shift(timedelta(minutes=61))
        assert "This link is no good" in client.get(link).content.decode()
        clock.shift(timedelta(minutes=-2))
        path = client.get(link).headers["Location"]
        set_new(client, path)
        assert "This link is no good" in Client().get(link).content.decode()


@pytest.mark.parametrize("password", ["short", "1234567890", "alice@example.com"])
def test_it_takes_no_weak_password(alice: User, client: Client, password: str) -> None:
    ask_for_reset(client, "alice@example.com")
    set_new(client, open_reset(client), password)
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_a_reset_ends_all_that_is_signed_in_but_not_the_second_factor(alice: User) -> None:
    browser, client = Client(), Client()
    sign_in(browser)
    access = ask_for_token().json()["access"]
    protect(alice)
    ask_for_reset(client, "alice@example.com")
    set_new(client, open_reset(client))
    assert not is_signed_in(browser)
    assert program_with(access).ask("GET", "accounts").status_code == 401
    assert ProgramSession.objects.get().revoked_reason == "password"
    assert sign_in(client, "alice", NEW).headers["Location"] == "/login/code"


def test_a_reset_ends_the_lock_out_of_the_name(alice: User) -> None:
    for number in range(11):
        sign_in(Client(REMOTE_ADDR=f"192.0.2.{number}"), "alice", "wrong")
    client = Client()
    ask_for_reset(client, "alice@example.com")
    set_new(client, open_reset(client))
    assert sign_in(client, "alice", NEW).status_code == 302


def test_an_address_that_waits_to_be_confirmed_resets_nothing(
    alice: User, client: Client, mandatory: None
) -> None:
    """It may be mistyped, and belong to somebody else."""
    ask_for_email(user=alice, email="alise@example.com")
    ask_for_reset(client, "alise@example.com")
    assert sent_mails() == []


def test_few_resets_are_asked_for_from_one_address(alice: User, client: Client) -> None:
    pages = [ask_for_reset(client, f"n{number}@example.com") for number in range(11)]
    assert "These were many attempts." in pages[-1].content.decode()
    assert "These were many attempts." not in pages[-2].content.decode()


def test_embedded_lets_in_before_the_address_is_verified(client: Client, db: None) -> None:
    client.post("/register", DORA)
    assert is_signed_in(client)
    address = EmailAddress.objects.get()
    assert (address.email, address.primary, address.verified) == ("dora@example.com", True, False)
    [message] = sent_mails()
    assert message.to == ["dora@example.com"]
    page = client.post(link_in(message), follow=True)
    assert page.status_code == 200
    address.refresh_from_db()
    assert address.verified


def test_production_lets_in_after_the_address_is_verified(
    client: Client, mandatory: None, db: None
) -> None:
    page = client.post("/register", DORA, follow=True)
    assert "Look at your mail" in page.content.decode()
    assert not is_signed_in(client)
    answer = ask_for_token("dora")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "email_unverified")
    # Opening the link asks, and only the button confirms: mail scanners open links.
    link = link_in(sent_mails()[0])
    assert "Yes, it is mine" in Client().get(link).content.decode()
    assert not EmailAddress.objects.get().verified
    Client().post(link)
    assert sign_in(client, "dora").status_code == 302
    assert is_signed_in(client)
    assert ask_for_token("dora").status_code == 200


@pytest.mark.parametrize("door", ["page", "api"])
def test_production_tells_nobody_that_an_address_is_registered(
    alice: User, mandatory: None, door: str
) -> None:
    def register(name: str, email: str) -> tuple[int, str]:
        given = {**DORA, "username": name, "email": email}
        if door == "api":
            answer = client_of(None).ask("POST", "auth/register", given)
            return answer.status_code, answer.content.decode().lower()
        answer = Client().post("/register", given, follow=True)
        return answer.status_code, answer.content.decode()

    taken = register("dora", "ALICE@example.com")
    [message] = sent_mails()
    assert message.subject == "You are registered already"
    assert message.to == ["alice@example.com"]
    fresh = register("emil", "hanna@example.com")
    assert taken[0] == fresh[0]
    assert taken[1].replace("alice@", "hanna@").replace("dora", "emil") == fresh[1]
    assert sorted(User.objects.values_list("username", flat=True)) == ["alice", "emil"]


def test_a_name_that_is_taken_is_said_also_with_an_address_that_is(
    alice: User, mandatory: None, client: Client
) -> None:
    """A name cannot be hidden; the address beside it is."""
    page = client.post("/register", {**DORA, "username": "ALICE", "email": "alice@example.com"})
    assert set(page.context["form"].errors) == {"username"}


def change_email(client: Client, email: str) -> Any:
    return client.post("/settings/email", {"email": email}, follow=True)


def confirm(client: Client) -> None:
    client.post("/confirm/password", {"password": PASSWORD, "next": "/settings/email"})


def test_an_address_is_changed_after_the_password_is_typed_again(
    alice: User, client: Client
) -> None:
    sign_in(client)
    answer = client.get("/settings/email")
    assert answer.headers["Location"].startswith("/confirm/password?next=")
    confirm(client)
    change_email(client, "New@Example.com")
    alice.refresh_from_db()
    address = EmailAddress.objects.get()
    assert alice.email == address.email == "new@example.com"
    assert (address.primary, address.verified) == (True, False)
    ask_for_reset(Client(), "new@example.com")
    assert sent_mails()[-1].to == ["new@example.com"]


@pytest.mark.parametrize("wrong", ["", "nonsense", "CHARLIE@example.com"])
def test_an_address_that_will_not_do_is_refused_at_the_field(
    alice: User, charlie: User, client: Client, wrong: str
) -> None:
    sign_in(client)
    confirm(client)
    assert change_email(client, wrong).context["form"].errors["email"]
    alice.refresh_from_db()
    assert alice.email == "alice@example.com"


def test_production_changes_an_address_when_its_link_is_opened(
    client: Client, mandatory: None, db: None
) -> None:
    user = register_user(
        username="alice", email="alice@example.com", password=PASSWORD, is_email_verified=True
    )
    sign_in(client)
    confirm(client)
    change_email(client, "new@example.com")
    user.refresh_from_db()
    assert user.email == "alice@example.com"
    [message] = sent_mails()
    assert message.to == ["new@example.com"]
    client.post(link_in(message))
    user.refresh_from_db()
    assert user.email == "new@example.com"
    [address] = EmailAddress.objects.all()
    assert (address.email, address.primary, address.verified) == ("new@example.com", True, True)
    assert sent_mails()[-1].to == ["alice@example.com"]  # the old one learns of it


def test_production_does_not_say_that_an_address_is_somebody_elses(
    charlie: User, client: Client, mandatory: None
) -> None:
    register_user(
        username="alice", email="alice@example.com", password=PASSWORD, is_email_verified=True
    )
    sign_in(client)
    confirm(client)
    page = change_email(client, "charlie@example.com").content.decode()
    assert "Open the link in the mail to charlie@example.com." in page
    assert sent_mails() == []
    assert not EmailAddress.objects.filter(email="charlie@example.com").exists()


def test_an_address_that_became_somebody_elses_is_not_confirmed(
    alice: User, client: Client, mandatory: None
) -> None:
    set_email(user=alice, email=alice.email, is_verified=True)
    sign_in(client)
    confirm(client)
    change_email(client, "new@example.com")
    make_user("dora", email="new@example.com")
    page = client.post(link_in(sent_mails()[-1]), follow=True)
    assert page.status_code == 200
    alice.refresh_from_db()
    assert alice.email == "alice@example.com"


def test_a_password_change_ends_all_else(alice: User, client: Client) -> None:
    other = Client()
    sign_in(other)
    access = ask_for_token().json()["access"]
    sign_in(client)
    new = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    client.post("/settings/password", new)
    assert is_signed_in(client)
    assert not is_signed_in(other)
    assert program_with(access).ask("GET", "accounts").status_code == 401
    assert [each.subject for each in sent_mails()] == ["Your password was changed"]
