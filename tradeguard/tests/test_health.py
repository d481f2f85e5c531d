import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.test import Client, override_settings
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from accounts.models import TerminalHost, User
from accounts.terminals.simulated.server import TradeServer
from accounts.terminals.simulated.service.process import BrokerService
from copytrade.models import CopyBatch
from notifications.models import Delivery
from notifications.tests.factories import make_channel, make_delivery, make_notification
from tradeguard.health.probes import OLDEST_TICK_SECONDS, probe_tick

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOWHERE = "redis://127.0.0.1:1/0"


def tick(redis: Redis, *, at: datetime) -> None:
    facts = {"at": at.timestamp(), "duration_ms": 12.5, "dropped": 3, "late": 1, "accounts": 12}
    redis.hset("tick:{local}", mapping=facts)


def test_it_is_live_without_looking_at_anything(client: Client) -> None:
    with override_settings(REDIS_URL=NOWHERE):
        answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


@pytest.mark.django_db
def test_it_is_ready_when_every_part_works(client: Client, redis: Redis) -> None:
    tick(redis, at=timezone.now())
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert set(answer.json()["parts"]) == {"database", "redis", "tick:local"}
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_it_names_redis_when_redis_is_gone(client: Client) -> None:
    with override_settings(REDIS_URL=NOWHERE):
        answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["failed"] == ["redis", "tick:local"]


@pytest.mark.django_db
def test_it_names_a_host_that_never_ticked(client: Client) -> None:
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["failed"] == ["tick:local"]


@pytest.mark.parametrize(
    ("age_seconds", "is_working"),
    [
        (OLDEST_TICK_SECONDS - 0.1, True),
        (OLDEST_TICK_SECONDS, True),
        (OLDEST_TICK_SECONDS + 0.1, False),
    ],
)
def test_a_tick_may_be_five_seconds_old(redis: Redis, age_seconds: float, is_working: bool) -> None:
    tick(redis, at=NOW - timedelta(seconds=age_seconds))
    assert probe_tick("local", now=NOW).is_working is is_working


@pytest.mark.django_db
def test_it_looks_at_the_broker_when_a_host_uses_it(
    client: Client, redis: Redis, tmp_path: Path
) -> None:
    TerminalHost.objects.create(name="local", kind=TerminalHost.Kind.SIMULATED)
    tick(redis, at=timezone.now())
    service = BrokerService(TradeServer(feed=False), tmp_path)
    with override_settings(SIMULATED_BROKER_HOME=tmp_path):
        assert client.get("/health/ready").json()["failed"] == ["broker"]
        service.start()
        try:
            assert client.get("/health/ready").status_code == 200
        finally:
            service.stop()
        assert client.get("/health/ready").json()["failed"] == ["broker"]


@pytest.mark.django_db
def test_metrics_tell_of_the_ticks(client: Client, redis: Redis) -> None:
    tick(redis, at=timezone.now())
    answer = client.get("/metrics")
    assert answer.status_code == 200
    samples = {
        (sample.name, sample.labels.get("host")): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }
    assert samples["tradeguard_last_tick_duration_milliseconds", "local"] == 12.5
    assert samples["tradeguard_ticks_dropped", "local"] == 3
    assert samples["tradeguard_last_tick_age_seconds", "local"] < OLDEST_TICK_SECONDS


@pytest.mark.django_db
def test_metrics_without_the_database_still_tell_the_rest(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_given: object) -> None:
        raise OperationalError("The database is away.")

    monkeypatch.setattr("tradeguard.health.metrics.sending_figures", refuse)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert b"python_info" in answer.content
    assert b"tradeguard_deliveries" not in answer.content


def test_metrics_tell_of_the_sending(client: Client, alice: User) -> None:
    now = timezone.now()
    make_delivery(alice, now=now - timedelta(minutes=5))
    make_delivery(alice, hold="quiet", next_attempt_at=now + timedelta(hours=1))
    make_delivery(alice, state="failed", next_attempt_at=None)
    make_delivery(alice, state="failed", next_attempt_at=None)
    Delivery.objects.filter(state="failed").update(updated_at=now - timedelta(hours=2))
    make_delivery(alice, state="failed", next_attempt_at=None)
    make_channel(alice, "webhook", switched_off_at=now)
    make_notification(alice)
    samples = {
        (sample.name.removeprefix("tradeguard_"), sample.labels.get("transport")): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").content.decode())
        for sample in family.samples
    }
    assert samples["deliveries_pending", "email"] == 2
    assert samples["deliveries_held", "email"] == 1
    assert 300 <= samples["deliveries_longest_due_seconds", "email"] < 600
    assert samples["deliveries_failed", "email"] == 1
    assert samples["channels_off", "webhook"] == 1
    assert samples["channels_off", "email"] == samples["deliveries_pending", "webhook"] == 0
    assert samples["notifications_unrouted", None] == 1


@pytest.mark.django_db
def test_metrics_gather_what_other_processes_counted(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    code = "from prometheus_client import Counter; Counter('orders_seen', 'Seen.').inc(3)"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603  # our own line
    assert b"orders_seen_total 3.0" in client.get("/metrics").content


@pytest.mark.django_db
def test_metrics_without_redis_still_tell_the_rest(client: Client) -> None:
    with override_settings(REDIS_URL=NOWHERE):
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert b"python_info" in answer.content


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.7", {}, 404),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 404),
        ("192.0.2.7", {"Authorization": "Bearer metrics-token"}, 200),
        ("192.0.2.7", {"Authorization": "Bearer another-token"}, 404),
        ("", {}, 404),
    ],
)
def test_metrics_are_for_this_machine_and_for_who_knows_the_token(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    headers: dict[str, str],
    status: int,
) -> None:
    monkeypatch.setenv("METRICS_TOKEN", "metrics-token")
    assert client.get("/metrics", REMOTE_ADDR=address, headers=headers).status_code == status


def test_an_unset_token_opens_nothing(client: Client) -> None:
    headers = {"Authorization": "Bearer "}
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7", headers=headers).status_code == 404


@pytest.mark.django_db
def test_the_metrics_tell_of_copies_that_nobody_unfolds(client: Client) -> None:
    def late() -> float:
        text = client.get("/metrics").content.decode()
        [family] = [
            each
            for each in text_string_to_metric_families(text)
            if each.name == "tradeguard_copy_batches_late"
        ]
        return family.samples[0].value

    assert late() == 0
    CopyBatch.objects.create(
        id=uuid4(), event_id=uuid4(), provider_id=uuid4(), host="far", number=0, payload=b"x",
        created_at=timezone.now() - timedelta(seconds=61),
    )  # fmt: skip
    assert late() == 1
