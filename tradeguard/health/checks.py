"""Check a machine's setup: one finding per part, each with what to do about it."""

import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from typing import Literal, cast

from django.conf import settings
from django.core.mail import get_connection
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from redis import Redis, RedisError

from accounts.models import ConnectedAccount, TerminalHost
from accounts.services.master_keys import examine_master_key
from accounts.services.sealed_values import SecretCounts, count_secrets
from accounts.sessions.process import terminal_programs
from accounts.terminals.processes.programs import METATRADER5, TerminalPrograms
from accounts.vault.register import MasterKeyRefusedError
from copytrade.selectors.batches import late_batches
from risk.ledger.host_ledger import journal_path
from tradeguard.health.probes import (
    OLDEST_TICK_SECONDS,
    open_redis,
    probe_broker,
    read_tick,
    tick_age_seconds,
)

State = Literal["ok", "warn", "fail"]

# A tick lives for 2 s by the clocks of two machines, and a reading is stale after 2 s.
CLOCK_WARN_SECONDS = 0.25
CLOCK_FAIL_SECONDS = 1.0
START_DESK = "Start the desk: make run"


@dataclass(frozen=True)
class Check:
    """One line of `check_setup`."""

    part: str
    state: State
    message: str
    remedy: str = ""


def check_all(*, now: datetime) -> list[Check]:
    checks: list[Callable[[datetime], Iterator[Check]]] = [
        _check_mode,
        _check_secrets,
        _check_database,
        _check_vault,
        _check_redis,
        _check_broker,
        _check_hosts,
        _check_terminals,
        _check_journal,
        _check_copies,
        _check_mail,
    ]
    return [finding for check in checks for finding in check(now)]


def _check_mode(_now: datetime) -> Iterator[Check]:
    yield Check("mode", "ok", f"{settings.MODE}, home folder {settings.HOME}")


def _check_secrets(_now: datetime) -> Iterator[Check]:
    if not settings.EMBEDDED:
        yield Check("secrets", "ok", "taken from the environment")
        return
    path = settings.HOME / "secrets.env"
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield Check(
            "secrets",
            "fail",
            f"{path} can be read by others (mode {mode:o})",
            f"chmod 600 {path}; then consider its keys known and change the broker passwords",
        )
    else:
        yield Check("secrets", "ok", f"{path} is readable by its owner alone")


def _check_database(_now: datetime) -> Iterator[Check]:
    name = connection.settings_dict["NAME"]
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        yield Check("database", "fail", f"no answer: {error}", "Check DATABASE_URL and the server")
        return
    if pending:
        count = len(pending)
        yield Check("database", "fail", f"{count} migrations are not applied", "manage.py migrate")
    else:
        yield Check("database", "ok", f"{connection.vendor} ({name}), all migrations applied")


def _check_vault(_now: datetime) -> Iterator[Check]:
    try:
        examine_master_key()
    except MasterKeyRefusedError as refusal:
        yield Check("vault", "fail", str(refusal), "Restore the master key: docs/operations.md")
        return
    except DatabaseError:
        yield Check("vault", "fail", "the stored secrets cannot be read", "See database")
        return
    yield judge_secrets(count_secrets())


def judge_secrets(counts: SecretCounts) -> Check:
    total = f"all {counts.total} stored secrets"
    if counts.closed:
        return Check(
            "vault",
            "fail",
            f"no master key here opens {counts.closed} of {counts.total} stored secrets",
            "Add the key they were sealed with to TRADEGUARD_MASTER_KEY_PREVIOUS, or enter them "
            "anew",
        )
    if counts.older:
        message = f"{counts.older} of {counts.total} stored secrets await the new master key"
        return Check("vault", "warn", message, "manage.py rotate_master_key")
    if settings.PREVIOUS_MASTER_KEYS:
        message = f"the present master key opens {total}, and the one before is still given"
        return Check("vault", "warn", message, "manage.py rotate_master_key tells what to do")
    return Check("vault", "ok", f"the master key opens {total}")


def _check_redis(_now: datetime) -> Iterator[Check]:
    try:
        with closing(open_redis()) as redis:
            version = cast("dict[str, str]", redis.info("server"))["redis_version"]
            skew_seconds = clock_skew_seconds(redis)
    except (RedisError, OSError) as error:
        remedy = START_DESK if settings.EMBEDDED else "Check REDIS_URL and the server"
        yield Check("redis", "fail", f"no answer: {error}", remedy)
        return
    yield Check("redis", "ok", f"version {version} answers")
    yield judge_clock(skew_seconds)


def clock_skew_seconds(redis: Redis) -> float:
    """Return how far this machine's clock is ahead of Redis' clock, halfway through a call."""
    before = time.time()
    seconds, microseconds = cast("tuple[int, int]", redis.time())
    return (before + time.time()) / 2 - (seconds + microseconds / 1e6)


def judge_clock(skew_seconds: float) -> Check:
    distance = abs(skew_seconds)
    state: State = "ok"
    if distance > CLOCK_WARN_SECONDS:
        state = "fail" if distance > CLOCK_FAIL_SECONDS else "warn"
    direction = "ahead of" if skew_seconds > 0 else "behind"
    return Check(
        "clock",
        state,
        f"this machine is {distance:.3f} s {direction} Redis",
        "" if state == "ok" else "Let NTP (chrony, systemd-timesyncd) set both clocks",
    )


def _check_broker(_now: datetime) -> Iterator[Check]:
    finding = probe_broker()
    if finding is None:
        yield Check("broker", "ok", "no terminal host uses the simulated broker")
    elif finding.is_working:
        yield Check("broker", "ok", finding.message)
    else:
        yield Check("broker", "fail", finding.message, START_DESK)


def _check_hosts(now: datetime) -> Iterator[Check]:
    try:
        rows = TerminalHost.objects.in_bulk(settings.TERMINAL_HOSTS)
    except DatabaseError:
        yield Check("terminals", "fail", "the terminal hosts cannot be read", "See database")
        return
    for name in settings.TERMINAL_HOSTS:
        yield judge_lease(name, rows.get(name), now=now)
        yield _check_tick(name, now=now)


def judge_lease(name: str, host: TerminalHost | None, *, now: datetime) -> Check:
    part = f"lease:{name}"
    remedy = f"Start its worker: celery -A tradeguard worker --pool=threads -Q terminals.{name}"
    if host is None:
        return Check(part, "warn", "no account has been put on this host yet")
    if host.lease_expires_at is None:
        return Check(part, "fail", "no worker holds this host", remedy)
    seconds_left = (host.lease_expires_at - now).total_seconds()
    if seconds_left <= 0:
        return Check(part, "fail", f"the lease lapsed {-seconds_left:.0f} s ago", remedy)
    return Check(part, "ok", f"held by {host.lease_owner} for {seconds_left:.0f} s more")


def _check_tick(name: str, *, now: datetime) -> Check:
    part = f"tick:{name}"
    try:
        with closing(open_redis()) as redis:
            age_seconds = tick_age_seconds(read_tick(redis, name), now=now)
    except (RedisError, OSError):
        return Check(part, "fail", "not known without Redis", "See redis")
    if age_seconds is None:
        return Check(part, "fail", "there has been no tick", "Start beat and this host's worker")
    if age_seconds > OLDEST_TICK_SECONDS:
        message = f"the last tick is {age_seconds:.0f} s old"
        return Check(part, "fail", message, "Start beat and this host's worker")
    return Check(part, "ok", f"the last tick is {age_seconds:.1f} s old")


def _check_terminals(_now: datetime) -> Iterator[Check]:
    """Look for what this machine needs when it is a host of real terminals."""
    programs = terminal_programs()
    if programs is None:
        return
    remedy = "docs/terminal-host.md"
    if not programs.home.is_dir():
        yield Check("terminals", "fail", f"TERMINALS_HOME: there is no {programs.home}", remedy)
        return
    if programs.module == METATRADER5 and find_spec("MetaTrader5") is None:
        yield Check("terminals", "fail", "the MetaTrader5 package is not installed", remedy)
    try:
        mine = ConnectedAccount.objects.filter(terminal_host=settings.TERMINAL_HOST, is_active=True)
        accounts = list(mine.values_list("server", "login"))
        kind = TerminalHost.objects.filter(pk=settings.TERMINAL_HOST).values_list("kind", flat=True)
        is_real = TerminalHost.Kind.METATRADER5 in kind
    except DatabaseError:
        yield Check("terminals", "fail", "the accounts cannot be read", "See database")
        return
    if not is_real:
        message = f"{settings.TERMINAL_HOST} is not a host of real terminals"
        fix = f"manage.py terminal_host {settings.TERMINAL_HOST} --kind metatrader5"
        yield Check("terminals", "warn", message, fix)
    problems = [problem for each in accounts if (problem := _terminal_problem(programs, *each))]
    for problem in problems:
        yield Check("terminals", "fail", problem, "bin/terminal-host add SERVER LOGIN")
    count = len(accounts) - len(problems)
    yield Check("terminals", "ok", f"{count} of {len(accounts)} terminals are in {programs.home}")


def _terminal_problem(programs: TerminalPrograms, server: str, login: int) -> str | None:
    try:
        return programs.problem(programs.folder(server, login))
    except ValueError as error:
        return str(error)


def _check_journal(_now: datetime) -> Iterator[Check]:
    folder = journal_path("any").parent
    behind = sorted(path.stem for path in folder.glob("*.jsonl") if path.stat().st_size)
    if behind:
        yield Check(
            "journal",
            "warn",
            f"{', '.join(behind)}: the database has not taken everything yet",
            f"Start the workers of these hosts; never delete {folder}",
        )
    elif not os.access(folder if folder.exists() else settings.HOME, os.W_OK):
        yield Check("journal", "fail", f"{folder} cannot be written to", f"chmod u+w {folder}")
    else:
        yield Check("journal", "ok", "the database has everything")


def _check_copies(now: datetime) -> Iterator[Check]:
    try:
        hosts = Counter(late_batches(now).order_by().values_list("host", flat=True))
    except DatabaseError:
        yield Check("copies", "fail", "the batches of copies cannot be read", "See database")
        return
    if not hosts:
        yield Check("copies", "ok", "no batch of copies waits to be unfolded")
        return
    counts = ", ".join(f"{count} of {host}" for host, count in sorted(hosts.items()))
    yield Check(
        "copies",
        "fail",
        f"batches of copies are folded for more than a minute: {counts}; what was sent of them"
        " stands in no ledger",
        "Start the workers of these hosts; what stays is unreadable: docs/operations.md",
    )


def _check_mail(_now: datetime) -> Iterator[Check]:
    backend = settings.EMAIL_BACKEND.rpartition(".")[2]
    if not settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        state: State = "ok" if settings.EMBEDDED else "warn"
        message = f"e-mails do not leave this machine ({backend})"
        remedy = "To send them, set EMAIL_URL, as in smtp+tls://user:password@host:587"
        yield Check("mail", state, message, remedy)
        return
    server = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    try:
        with get_connection():
            yield Check("mail", "ok", f"{server} accepts the connection")
    except OSError as error:
        yield Check("mail", "fail", f"{server} does not accept: {error}", "Check EMAIL_URL")
