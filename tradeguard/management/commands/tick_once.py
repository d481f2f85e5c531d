import time
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.sessions.lease import acquire, owner_name, release, renew
from accounts.sessions.process import close_sessions, open_sessions
from accounts.sessions.roster import ensure_hosts
from accounts.sessions.states import SessionState
from risk.core.statuses import Status
from risk.tracker import Assessment
from tradeguard.tick.cursors import needed_cursors
from tradeguard.tick.runner import HostTick

# A session counts after two readings in a row that agree, so one tick can never be enough.
MOST_TICKS = 25


class Command(BaseCommand):
    help = "Poll and evaluate a terminal host once, without the worker, and say what was found."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.TERMINAL_HOST)

    def handle(self, *_args: Any, **options: Any) -> None:
        host: str = options["host"]
        if host not in settings.TERMINAL_HOSTS:
            raise CommandError(f"There is no terminal host {host!r} in TERMINAL_HOSTS.")
        ensure_hosts()
        lease = acquire(host, owner_name(), timezone.now())
        if lease is None:
            raise CommandError(
                f"A worker watches {host} already; its last tick is in /health/ready."
            )
        try:
            sessions = open_sessions(host, load_cursors=needed_cursors, is_inline=True)
            tick = HostTick(host, sessions)
            assessment = self._run(tick, lambda: renew(lease, timezone.now()))
            tick.close(timezone.now())
        finally:
            close_sessions(host)
            release(lease)
        self._report(tick, assessment)

    def _run(self, tick: HostTick, keep_lease: Any) -> Assessment:
        for _ in range(MOST_TICKS):
            assessment = tick.run(timezone.now(), time.monotonic())
            keep_lease()
            known = int(assessment.accounts.known.sum())
            if known == tick.wanted_count:
                break
            time.sleep(settings.TICK_INTERVAL_SECONDS)
        return assessment

    def _report(self, tick: HostTick, assessment: Assessment) -> None:
        states = Counter(SessionState(int(state)).label for state in tick.states)
        statuses = Counter(Status(int(each)).text for each in assessment.evaluation.status)
        stages = ", ".join(f"{name} {value * 1000:.1f} ms" for name, value in tick.seconds.items())
        self.stdout.write(f"{len(tick.states)} accounts: {_listed(states)}")
        self.stdout.write(f"{len(assessment.desk.pairs)} rules on accounts: {_listed(statuses)}")
        self.stdout.write(f"Last tick: {stages}")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"
