"""Collect what all processes of this machine count, each host's last tick, and what is sent."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from redis import RedisError

from copytrade.selectors.batches import late_batches
from notifications.selectors.sending import count_unrouted, sending_figures
from tradeguard.health.probes import open_redis, read_tick, tick_age_seconds

TICK_GAUGES = {
    "duration_ms": ("tradeguard_last_tick_duration_milliseconds", "How long the last tick took."),
    "accounts": ("tradeguard_last_tick_accounts", "Accounts that the last tick evaluated."),
    "dropped": ("tradeguard_ticks_dropped", "Ticks dropped because one was still running."),
    "late": ("tradeguard_ticks_late", "Ticks dropped because they came too late."),
}


SENDING_GAUGES = {
    "pending": ("tradeguard_deliveries_pending", "Deliveries that wait to be sent."),
    "held": ("tradeguard_deliveries_held", "Of these, gathered for one letter."),
    "longest_due_seconds": (
        "tradeguard_deliveries_longest_due_seconds",
        "How long the delivery that is due longest has been waiting.",
    ),
    "failed_within_an_hour": (
        "tradeguard_deliveries_failed",
        "Deliveries that failed for good within the last hour.",
    ),
    "channels_off": ("tradeguard_channels_off", "Channels that are switched off."),
}


class TickCollector(Collector):
    """The facts that each host's worker leaves in Redis with every tick."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        age = GaugeMetricFamily(
            "tradeguard_last_tick_age_seconds", "Age of the last tick.", labels=["host"]
        )
        gauges = {
            field: GaugeMetricFamily(name, text, labels=["host"])
            for field, (name, text) in TICK_GAUGES.items()
        }
        try:
            with closing(open_redis()) as redis:
                for host in settings.TERMINAL_HOSTS:
                    facts = read_tick(redis, host)
                    age_seconds = tick_age_seconds(facts, now=self.now)
                    if age_seconds is None:
                        continue
                    age.add_metric([host], age_seconds)
                    for field, gauge in gauges.items():
                        if field in facts:
                            gauge.add_metric([host], float(facts[field]))
        except (RedisError, OSError):
            return
        yield age
        yield from gauges.values()


class SendingCollector(Collector):
    """What waits to be told and sent, as the database has it."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauges = {
            field: GaugeMetricFamily(name, text, labels=["transport"])
            for field, (name, text) in SENDING_GAUGES.items()
        }
        try:
            unrouted = count_unrouted()
            for figures in sending_figures(now=self.now):
                for field, gauge in gauges.items():
                    gauge.add_metric([figures.transport], float(getattr(figures, field)))
        except DatabaseError:
            return
        yield GaugeMetricFamily(
            "tradeguard_notifications_unrouted",
            "Notifications of which nobody has decided yet how they go out.",
            value=unrouted,
        )
        yield from gauges.values()


class CopyCollector(Collector):
    """What of copying is written ahead, and should be rows by now."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            late = late_batches(self.now).count()
        except DatabaseError:
            return
        yield GaugeMetricFamily(
            "tradeguard_copy_batches_late",
            "Batches of copies that are not unfolded after a minute.",
            value=late,
        )


def collect_metrics(*, now: datetime) -> tuple[bytes, str]:
    """Return the metrics as text and its content type."""
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the package has no types
    else:
        registry.register(REGISTRY)
    registry.register(TickCollector(now=now))
    registry.register(SendingCollector(now=now))
    registry.register(CopyCollector(now=now))
    return generate_latest(registry), CONTENT_TYPE_LATEST
