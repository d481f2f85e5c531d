import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone
from redis import Redis

from accounts.models import ApiKey, MasterKey, TerminalHost, User
from accounts.tests.factories import make_key
from accounts.vault.fields import Ciphertext
from copytrade.models import CopyBatch
from risk.ledger.host_ledger import journal_path
from tradeguard.health.checks import Check, check_all, judge_clock, judge_lease

ANOTHER_KEY = "another master key of at least 32 characters"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def finding(part: str) -> Check:
    return next(check for check in check_all(now=timezone.now()) if check.part == part)


def test_it_finds_a_sound_machine_sound(redis: Redis) -> None:
    TerminalHost.objects.create(
        name="local",
        kind=TerminalHost.Kind.METATRADER5,
        lease_owner="local:1",
        lease_expires_at=timezone.now() + timedelta(seconds=10),
    )
    redis.hset("tick:{local}", mapping={"at": timezone.now().timestamp()})
    out = StringIO()
    call_command("check_setup", "--json", stdout=out)
    states = {check["part"]: check["state"] for check in json.loads(out.getvalue())}
    assert set(states.values()) == {"ok"}
    assert {"mode", "secrets", "database", "vault", "redis", "clock", "mail"} < set(states)


def test_it_exits_with_1_and_says_what_to_do() -> None:
    out = StringIO()
    with (
        override_settings(REDIS_URL="redis://127.0.0.1:1/0"),
        pytest.raises(SystemExit) as raised,
    ):
        call_command("check_setup", stdout=out)
    assert raised.value.code == 1
    line = next(line for line in out.getvalue().splitlines() if " redis " in line)
    assert line.startswith("fail")
    assert line.endswith("→ Start the desk: make run")


def test_it_notices_a_master_key_that_opens_nothing(alice: User) -> None:
    make_key(alice)
    assert finding("vault").state == "ok"
    with override_settings(MASTER_KEY=ANOTHER_KEY):
        check = finding("vault")
    assert check.state == "fail"
    assert "is not the key that the stored secrets are sealed with" in check.message
    assert MasterKey.objects.count() == 1


def test_it_notices_a_rotation_of_the_master_key_that_has_not_ended(alice: User) -> None:
    make_key(alice)
    with override_settings(MASTER_KEY=ANOTHER_KEY, PREVIOUS_MASTER_KEYS=[settings.MASTER_KEY]):
        check = finding("vault")
        assert (check.state, check.message) == (
            "warn",
            "1 of 1 stored secrets await the new master key",
        )
        call_command("rotate_master_key", stdout=StringIO())
        assert finding("vault").state == "warn"
    with override_settings(MASTER_KEY=ANOTHER_KEY):
        assert finding("vault").state == "ok"


def test_it_notices_a_secret_that_does_not_open(alice: User) -> None:
    make_key(alice)
    ApiKey.objects.filter(pk=make_key(alice).pk).update(secret=Ciphertext(b"damaged"))
    check = finding("vault")
    assert check.state == "fail"
    assert "1 of 2 stored secrets" in check.message


def test_it_notices_secrets_that_others_can_read() -> None:
    path = settings.HOME / "secrets.env"
    path.chmod(0o644)
    try:
        assert finding("secrets").state == "fail"
    finally:
        path.chmod(0o600)
    assert finding("secrets").state == "ok"


@pytest.mark.parametrize(
    ("skew_seconds", "state"),
    [(0.2, "ok"), (0.25, "ok"), (-0.26, "warn"), (1.0, "warn"), (1.01, "fail"), (-5.0, "fail")],
)
def test_it_judges_the_clock(skew_seconds: float, state: str) -> None:
    assert judge_clock(skew_seconds).state == state


@pytest.mark.parametrize(
    ("seconds_left", "state"), [(None, "fail"), (-1, "fail"), (0, "fail"), (1, "ok")]
)
def test_it_judges_the_lease(seconds_left: int | None, state: str) -> None:
    expires_at = None if seconds_left is None else NOW + timedelta(seconds=seconds_left)
    host = TerminalHost(name="local", lease_owner="local:1", lease_expires_at=expires_at)
    assert judge_lease("local", host, now=NOW).state == state


def test_it_knows_a_host_without_accounts() -> None:
    assert judge_lease("local", None, now=NOW).state == "warn"


@pytest.mark.parametrize(
    ("backend", "is_embedded", "state"),
    [
        ("django.core.mail.backends.console.EmailBackend", True, "ok"),
        ("django.core.mail.backends.console.EmailBackend", False, "warn"),
        ("django.core.mail.backends.smtp.EmailBackend", True, "fail"),
    ],
)
def test_it_judges_the_mail_settings(backend: str, is_embedded: bool, state: str) -> None:
    with override_settings(
        EMAIL_BACKEND=backend, EMBEDDED=is_embedded, EMAIL_HOST="127.0.0.1", EMAIL_PORT=1
    ):
        assert finding("mail").state == state


@pytest.mark.parametrize(
    ("age_seconds", "is_unfolded", "state"),
    [(59, False, "ok"), (61, False, "fail"), (86_000, False, "fail"), (86_000, True, "ok")],
)
def test_it_tells_of_copies_that_nobody_unfolds(
    age_seconds: int, is_unfolded: bool, state: str
) -> None:
    now = timezone.now()
    CopyBatch.objects.create(
        id=uuid4(), event_id=uuid4(), provider_id=uuid4(), host="far", number=0, payload=b"x",
        created_at=now - timedelta(seconds=age_seconds), unfolded_at=now if is_unfolded else None,
    )  # fmt: skip
    [check] = [each for each in check_all(now=now) if each.part == "copies"]
    assert (check.state, "1 of far" in check.message) == (state, state == "fail")


def test_it_tells_of_what_the_database_has_not_taken() -> None:
    path = journal_path("elsewhere")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[]\n")
    try:
        check = finding("journal")
    finally:
        path.unlink()
    assert (check.state, "elsewhere" in check.message) == ("warn", True)
    assert finding("journal").state == "ok"
