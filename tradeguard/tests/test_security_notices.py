"""What happens to a user's sign-in and keys is told, by whichever way it comes."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.models import User
from accounts.models.session import KnownOrigin
from accounts.origin import SYSTEM, Origin
from accounts.services import keys
from accounts.services.key_trail import note_view
from accounts.services.known_origins import KEPT, NEWCOMER, forget_old_origins, note_sign_in
from accounts.services.security_events import SecurityEvent, SecurityKind
from accounts.tasks import tell_guessing
from accounts.tests.factories import NOW, PASSWORD, make_key, make_user, sign_in_staff
from accounts.tests.way_in import ask_for_token, code_at, protect, sent_mails, sign_in
from notifications.models import Notification
from tradeguard.security_notices import _WORDS, tell_security

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Safari/604.1"
INSTANT = timedelta(microseconds=1)
NEW_PASSWORD = "another long battery"


def told(user: User) -> list[str]:
    """The titles of what the user was told, oldest first."""
    rows = Notification.objects.owned_by(user).filter(type="security")
    return list(rows.order_by("created_at", "title").values_list("title", flat=True))


def last(user: User) -> Notification:
    return Notification.objects.owned_by(user).latest("created_at")


def origin(user: User, agent: str = FIREFOX, address: str = "203.0.113.7") -> Origin:
    return Origin(user.pk, user.get_username(), address, agent)


@pytest.fixture
def settled(alice: User) -> User:
    """Alice, who registered long ago and signs in with Firefox at home."""
    User.objects.update(date_joined=NOW - 2 * KEPT)
    alice.refresh_from_db()
    note_sign_in(user=alice, origin=origin(alice), is_program=False, now=NOW - NEWCOMER)
    Notification.objects.all().delete()
    return alice


def test_every_kind_has_its_words() -> None:
    assert set(_WORDS) == set(SecurityKind)


class TestSigningIn:
    def test_it_says_nothing_of_the_first_time(self, alice: User) -> None:
        note_sign_in(user=alice, origin=origin(alice), is_program=False, now=alice.date_joined)

        assert told(alice) == []

    @pytest.mark.parametrize(
        ("after", "count"), [(NEWCOMER - INSTANT, 0), (NEWCOMER, 1), (NEWCOMER + INSTANT, 1)]
    )
    def test_it_tells_the_first_time_of_who_is_no_newcomer(
        self, alice: User, after: timedelta, count: int
    ) -> None:
        at = alice.date_joined + after
        note_sign_in(user=alice, origin=origin(alice), is_program=False, now=at)

        assert len(told(alice)) == count

    def test_it_says_nothing_of_what_is_known(self, settled: User) -> None:
        note_sign_in(user=settled, origin=origin(settled), is_program=False, now=NOW)

        assert told(settled) == []

    def test_it_tells_a_new_browser(self, settled: User) -> None:
        phone = origin(settled, agent=SAFARI)
        note_sign_in(user=settled, origin=phone, is_program=False, now=NOW)

        assert told(settled) == ["New sign-in: Safari on iPhone"]
        notice = last(settled)
        assert "from 203.0.113.7 with Safari on iPhone on 20 Nov 2026 12:00 (UTC)" in notice.body
        assert (notice.link, notice.told_by) == ("/settings/sessions", "")

    def test_it_calls_a_program_what_it_calls_itself(self, settled: User) -> None:
        bot = origin(settled, agent="DeskBot/2.1")
        note_sign_in(user=settled, origin=bot, is_program=True, now=NOW)

        assert told(settled) == ["New program signed in: DeskBot"]
        assert "from 203.0.113.7 with DeskBot on 20 Nov 2026" in last(settled).body

    def test_it_tells_a_new_address(self, settled: User) -> None:
        away = origin(settled, address="198.51.100.1")
        note_sign_in(user=settled, origin=away, is_program=False, now=NOW)

        assert told(settled) == ["New sign-in: Firefox on Linux, from an address that is new"]

    def test_it_takes_a_network_of_one_customer_for_one_address(self, settled: User) -> None:
        for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"):
            home = origin(settled, address=address)
            note_sign_in(user=settled, origin=home, is_program=False, now=NOW)

        assert len(told(settled)) == 1  # two networks, of which the second has the same title
        assert KnownOrigin.objects.filter(kind="network").count() == 3

    @pytest.mark.parametrize(("pause", "count"), [(KEPT - INSTANT, 0), (KEPT, 1)])
    def test_it_forgets_what_was_not_seen_for_long(
        self, settled: User, pause: timedelta, count: int
    ) -> None:
        at = NOW - NEWCOMER + pause
        note_sign_in(user=settled, origin=origin(settled), is_program=False, now=at)

        assert len(told(settled)) == count

    @pytest.mark.parametrize(("after", "count"), [(KEPT - INSTANT, 2), (KEPT, 0)])
    def test_it_deletes_what_is_forgotten(
        self, settled: User, after: timedelta, count: int
    ) -> None:
        forget_old_origins(now=NOW - NEWCOMER + after)

        assert KnownOrigin.objects.count() == count

    def test_a_browser_comes_in_by_the_page(self, settled: User, client: Client) -> None:
        form = {"username": "alice", "password": PASSWORD}
        client.post("/login", form, HTTP_USER_AGENT=FIREFOX)

        assert told(settled) == ["New sign-in: Firefox on Linux, from an address that is new"]

    def test_a_program_comes_in_by_the_api_once(self, settled: User) -> None:
        assert ask_for_token().status_code == 200
        assert ask_for_token().status_code == 200

        assert len(told(settled)) == 1
        assert told(settled)[0].startswith("New program signed in")

    def test_a_wrong_password_is_no_sign_in(self, settled: User, client: Client) -> None:
        sign_in(client, password="wrong")

        assert told(settled) == []
        assert KnownOrigin.objects.count() == 2


class TestTheWayIn:
    def test_a_changed_password_is_told_beside_the_mail(self, alice: User, client: Client) -> None:
        client.force_login(alice)
        form = {
            "old_password": PASSWORD,
            "new_password1": NEW_PASSWORD,
            "new_password2": NEW_PASSWORD,
        }
        client.post("/settings/password", form)

        assert told(alice) == ["Your password was changed"]
        assert last(alice).told_by == "email"
        assert [mail.subject for mail in sent_mails()] == ["Your password was changed"]

    def test_a_changed_address_is_told_to_the_old_one(self, alice: User, client: Client) -> None:
        sign_in(client)
        client.post("/confirm/password", {"password": PASSWORD, "next": "/settings/email"})
        client.post("/settings/email", {"email": "new@example.com"})

        assert "Your e-mail address was changed" in told(alice)
        assert "new@example.com" in last(alice).body
        assert ["alice@example.com"] in [mail.to for mail in sent_mails()]

    def test_a_used_recovery_code_is_told(self, alice: User, client: Client) -> None:
        codes = protect(alice)
        sign_in(client)
        client.post("/login/code", {"code": codes[0]})

        assert "A recovery code was used" in told(alice)
        assert "9 are left" in Notification.objects.get(title="A recovery code was used").body

    def test_a_code_of_the_app_is_not(self, alice: User, client: Client) -> None:
        protect(alice)
        ask_for_token(code=code_at(time.time()))

        assert "A recovery code was used" not in told(alice)

    def test_a_factor_that_is_taken_away_is_told(self, alice: User) -> None:
        protect(alice)
        call_command("reset_two_factor", "alice")

        assert told(alice) == ["Your second factor was taken away"]
        assert (last(alice).priority, last(alice).told_by) == ("urgent", "email")

    def test_guessing_is_told_once_a_day(self, alice: User) -> None:
        for _ in range(3):
            tell_guessing("name", alice.pk, "203.0.113.7")
        assert told(alice) == ["Somebody guesses at your password"]
        assert "203.0.113.7" in last(alice).body

        tell_guessing("code", alice.pk, "203.0.113.7")
        assert last(alice).priority == "urgent"

    @pytest.mark.parametrize(("name", "count"), [("alice", 1), ("nobody", 0)])
    def test_guessing_at_a_name_asks_for_its_notice(
        self, alice: User, monkeypatch: pytest.MonkeyPatch, name: str, count: int
    ) -> None:
        asked: list[Any] = []
        monkeypatch.setattr("accounts.attempts.enqueue", asked.append)
        for number in range(14):
            Client(REMOTE_ADDR=f"203.0.113.{number}").post(
                "/login", {"username": name, "password": "wrong"}
            )

        assert [each.task for each in asked] == ["accounts.tell_guessing"] * count
        assert all(each.arguments[:2] == ["name", alice.pk] for each in asked)

    def test_what_a_user_ends_is_told(self, alice: User, client: Client) -> None:
        ask_for_token()
        client.force_login(alice)
        client.post("/settings/sessions/end-others")
        client.post("/settings/sessions/end-others")

        assert told(alice) == ["Signed out elsewhere"]
        assert last(alice).body.startswith("1 other sign-in was ended")

    def test_a_token_that_comes_twice_is_told(self, alice: User) -> None:
        refresh = ask_for_token().json()["refresh"]
        program = Client()
        for _ in range(2):
            program.post("/api/v1/auth/token/refresh", {"refresh": refresh}, "application/json")

        assert told(alice) == ["A program was signed out: its token was used twice"]
        assert "Staff" not in last(alice).body
        assert "The second time it came from 127.0.0.1" in last(alice).body


@pytest.mark.parametrize("kind", list(SecurityKind))
def test_every_link_leads_somewhere(kind: SecurityKind, alice: User, client: Client) -> None:
    client.force_login(alice)
    link = _WORDS[kind].link
    assert client.get(link, follow=True).status_code == 200


class TestKeys:
    def test_its_life_is_told(self, alice: User) -> None:
        by = origin(alice)
        key = keys.create_key(user=alice, name="Prop", secret="x1", origin=by, now=NOW)
        keys.rotate_secret(key=key, secret="x2", origin=by, now=NOW + INSTANT)
        keys.update_key(key=key, name="Prop", origin=by, now=NOW + 2 * INSTANT)
        keys.revoke_key(key=key, origin=by, now=NOW + 3 * INSTANT)

        assert told(alice) == [
            "API key added: Prop",
            "API key rotated: Prop",
            "API key revoked: Prop",
        ]
        assert last(alice).link == f"/keys/{key.pk}"
        assert not any("x1" in row.body + row.title for row in Notification.objects.all())

    def test_a_command_is_nobodys_doing(self, alice: User) -> None:
        keys.create_key(user=alice, name="Prop", secret="x1", origin=SYSTEM, now=NOW)

        assert told(alice) == []

    def test_what_is_refused_is_not_told_as_done(self, alice: User) -> None:
        with pytest.raises(Exception, match="must not be empty"):
            keys.create_key(user=alice, name="Prop", secret="", origin=origin(alice), now=NOW)

        assert told(alice) == []

    def test_its_end_is_told(self, alice: User) -> None:
        key = make_key(alice, name="Prop")
        type(key).objects.filter(pk=key.pk).update(expires_at=NOW)
        keys.expire_keys(now=NOW)

        assert told(alice) == ["API key expired: Prop"]

    def test_staff_who_look_are_told_and_the_owner_is_not(self, alice: User) -> None:
        key = make_key(alice)
        note_view(key=key, origin=origin(alice), now=NOW)
        assert told(alice) == []

        staff = make_user("sam", is_staff=True)
        note_view(key=key, origin=origin(staff), now=NOW)
        assert told(alice) == ["API key looked at: A broker login"]
        assert "sam, who is staff, did it" in last(alice).body
        assert told(staff) == []

    def test_the_page_of_the_administration_tells(self, alice: User, client: Client) -> None:
        key = make_key(alice)
        sign_in_staff(client, make_user("sam", is_staff=True, is_superuser=True))
        client.get(f"/admin/accounts/apikey/{key.pk}/change/")

        assert told(alice) == ["API key looked at: A broker login"]


class TestTelling:
    def event(self, user: User, **fields: Any) -> SecurityEvent:
        told_of: dict[str, Any] = {"kind": SecurityKind.TWO_FACTOR_OFF, "user_id": user.pk}
        return SecurityEvent(**{**told_of, "at": NOW, "origin": origin(user), **fields})

    def test_it_tells_times_in_the_users_zone(self, alice: User) -> None:
        User.objects.update(time_zone="Europe/Prague")
        tell_security(self.event(alice))

        assert "20 Nov 2026 13:00 (Europe/Prague)" in last(alice).body

    @pytest.mark.parametrize("is_gone", [True, False])
    def test_it_tells_nobody_who_is_switched_off_or_gone(self, alice: User, is_gone: bool) -> None:
        event = self.event(alice)
        if is_gone:
            alice.delete()
        else:
            User.objects.update(is_active=False)
        tell_security(event)

        assert not Notification.objects.exists()

    def test_it_counts_nothing_together_that_came_from_elsewhere(self, alice: User) -> None:
        here = self.event(alice)
        there = self.event(alice, origin=origin(alice, address="198.51.100.9"), at=NOW + INSTANT)
        again = self.event(alice, at=NOW + 2 * INSTANT)
        for event in (here, there, again):
            tell_security(event)

        repeats = Notification.objects.order_by("created_at").values_list("repeat_key", flat=True)
        assert repeats[0] == repeats[2] != repeats[1]
