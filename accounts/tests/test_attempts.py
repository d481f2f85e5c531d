"""Guessing a password is slow, whichever door it is tried at."""

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.test.client import MULTIPART_CONTENT
from redis import ConnectionError as RedisAway

from accounts.attempts import forgive_person
from accounts.models import User
from accounts.tests.factories import make_user

PASSWORD = "a long one for tests"
SENTENCE = "These were many attempts."
DOORS = ("/login", "/api/v1/auth/token")


@pytest.fixture
def staff() -> User:
    user = make_user("sam")
    user.set_password(PASSWORD)
    user.is_staff = True
    user.save()
    return user


def knock(client: Client, door: str, password: str, name: str = "sam") -> str:
    """Try a password at one of the doors; return what is said, which is a token if it was right."""
    attempt = {"username": name, "password": password}
    kind = "application/json" if "api" in door else MULTIPART_CONTENT
    return client.post(door, attempt, content_type=kind, follow=True).content.decode()


def is_in(client: Client, answer: str) -> bool:
    return "_auth_user_id" in client.session or '"access"' in answer


@pytest.mark.django_db
@pytest.mark.parametrize("door", DOORS)
def test_it_lets_nobody_guess_for_long(client: Client, staff: User, door: str) -> None:
    for _ in range(10):
        assert SENTENCE not in knock(client, door, "wrong")
    answer = knock(client, door, PASSWORD)
    assert SENTENCE in answer
    assert not is_in(client, answer)


@pytest.mark.django_db
def test_it_counts_all_doors_together(client: Client, staff: User) -> None:
    for number in range(10):
        knock(client, DOORS[number % 2], "wrong")
    body = {"username": "sam", "password": PASSWORD}
    answer = client.post("/api/v1/auth/token", body, content_type="application/json")
    assert answer.status_code == 429


@pytest.mark.django_db
@pytest.mark.parametrize("door", DOORS)
def test_it_lets_in_who_knows_the_password(client: Client, staff: User, door: str) -> None:
    knock(client, door, "wrong")
    assert is_in(client, knock(client, door, PASSWORD))


@pytest.mark.django_db
def test_it_registers_few_users_from_one_address(staff: User) -> None:
    for number in range(11):
        fields = {"username": f"u{number}", "email": f"u{number}@example.com", "time_zone": "UTC"}
        page = Client().post("/register", {**fields, "password": PASSWORD})
    assert SENTENCE in page.content.decode()
    assert User.objects.filter(username__startswith="u").count() == 10


@pytest.mark.django_db
def test_it_slows_down_who_guesses_the_present_password(client: Client, staff: User) -> None:
    client.force_login(staff)
    new = {"new_password1": "another long one", "new_password2": "another long one"}
    for _ in range(10):
        client.post("/settings/password", {**new, "old_password": "wrong"})
    page = client.post("/settings/password", {**new, "old_password": PASSWORD}, follow=True)
    assert SENTENCE in page.content.decode()
    staff.refresh_from_db()
    assert staff.check_password(PASSWORD)


@pytest.mark.django_db
def test_it_lets_people_in_while_nothing_can_be_counted(
    client: Client, staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: object, **_named: object) -> None:
        raise RedisAway

    monkeypatch.setattr("django.core.cache.backends.redis.RedisCacheClient.get_client", away)
    knock(client, "/login", PASSWORD)
    assert client.session["_auth_user_id"] == str(staff.pk)


@pytest.mark.django_db
@pytest.mark.parametrize("door", DOORS)
def test_it_counts_no_attempt_that_went_well(staff: User, door: str) -> None:
    for _ in range(12):
        client = Client()
        assert is_in(client, knock(client, door, PASSWORD))
        answer = client.post(
            "/api/v1/auth/token",
            {"username": "sam", "password": PASSWORD},
            content_type="application/json",
        )
        assert answer.status_code == 200


@pytest.mark.django_db
def test_a_good_attempt_takes_back_no_bad_one(client: Client, staff: User) -> None:
    for _ in range(9):
        knock(client, "/login", "wrong")
    knock(Client(), "/login", PASSWORD)
    knock(client, "/login", "wrong")
    assert SENTENCE in knock(client, "/login", PASSWORD)


@pytest.mark.django_db
@pytest.mark.parametrize("door", DOORS)
def test_it_counts_everybody_whom_a_name_may_mean(door: str) -> None:
    """Who took a name that is another's e-mail address does not have their own guesses counted."""
    thief = make_user("sam@example.com", email="thief@example.com")
    victim = make_user("sam")
    for number in range(10):
        # Here the thief's own count is forgotten again and again.
        forgive_person(thief)
        knock(Client(REMOTE_ADDR=f"192.0.2.{number}"), door, "wrong", victim.email)
    assert SENTENCE in knock(Client(REMOTE_ADDR="198.51.100.7"), door, "wrong", victim.email)
    assert SENTENCE in knock(Client(REMOTE_ADDR="198.51.100.7"), door, "wrong", "sam")


@pytest.mark.django_db
def test_it_counts_an_address_that_waits_to_be_confirmed_with_its_person(staff: User) -> None:
    EmailAddress.objects.create(user=staff, email="new@example.com", verified=False)
    for number in range(10):
        name = ("sam", "NEW@example.com")[number % 2]
        knock(Client(REMOTE_ADDR=f"192.0.2.{number}"), "/login", "wrong", name)
    assert SENTENCE in knock(Client(REMOTE_ADDR="198.51.100.7"), "/login", PASSWORD)


@pytest.mark.django_db
@pytest.mark.parametrize("door", DOORS)
def test_a_crowded_address_locks_nobody_out_elsewhere(staff: User, door: str) -> None:
    for number in range(10):
        knock(Client(), door, "wrong", f"nobody-{number}")
    for _ in range(12):
        assert SENTENCE in knock(Client(), door, PASSWORD)
    client = Client(REMOTE_ADDR="198.51.100.7")
    assert is_in(client, knock(client, door, PASSWORD))
