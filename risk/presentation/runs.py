"""What TradeGuard is doing, or has just done, on accounts by itself or when somebody asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from risk.models import Enforcement

# How long a run that has ended stays on the pages; what somebody asked for stays longer.
SHOWN_FOR = timedelta(minutes=3)
PANIC_SHOWN_FOR = timedelta(minutes=15)
MOST_ENDED_GROUPS = 3
MOST_SHOWN = 200

Stage = Enforcement.Stage
Cause = Enforcement.Cause
_TONES = {Stage.DONE: "safe", Stage.GIVEN_UP: "violated", Stage.WAITING: "critical"}


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run on one account, in a sentence."""

    run: Enforcement
    sentence: str
    tone: str


@dataclass(frozen=True, slots=True)
class RunGroup:
    """What began with one cause at one moment: "close all" on several accounts is one."""

    key: str
    cause: str
    title: str
    sentence: str
    tone: str
    is_running: bool
    lines: tuple[RunLine, ...]

    @property
    def is_short(self) -> bool:
        """Whether one line is enough: it went as it should."""
        return not self.is_running and self.tone == "safe"

    @property
    def done_count(self) -> int:
        return sum(line.run.finished_at is not None for line in self.lines)


def runs_to_show(user_id: int, *, now: datetime) -> list[Enforcement]:
    """Return the user's runs that are running or ended a short while ago, newest first."""
    own = Enforcement.objects.owned_by(user_id)
    running = list(own.running()[:MOST_SHOWN])
    recent = Q(finished_at__gte=now - SHOWN_FOR) | Q(
        cause=Cause.PANIC, finished_at__gte=now - PANIC_SHOWN_FOR
    )
    ended = list(own.filter(recent)[:MOST_SHOWN])
    return sorted([*running, *ended], key=lambda run: run.created_at, reverse=True)


def run_groups(runs: Iterable[Enforcement]) -> list[RunGroup]:
    """Put runs together as somebody who pressed one button thinks of them.

    All that are running come first, then the latest few that have ended.
    """
    grouped: dict[str, list[Enforcement]] = {}
    for run in runs:
        grouped.setdefault(_key(run), []).append(run)
    groups = [_group(key, members) for key, members in grouped.items()]
    groups.sort(key=lambda group: group.cause != Cause.PANIC)
    running = [group for group in groups if group.is_running]
    ended: dict[str, RunGroup] = {}
    for group in groups:
        if not group.is_running:
            # Of what was done again and again, the last time is enough.
            ended.setdefault(group.title, group)
    return [*running, *list(ended.values())[:MOST_ENDED_GROUPS]]


def run_line(run: Enforcement) -> RunLine:
    tone = _TONES.get(Stage(run.stage), "caution")
    if run.stage == Stage.DONE and run.confirmed_at is None:
        tone = "caution"
    return RunLine(run, run_sentence(run), tone)


def run_sentence(run: Enforcement) -> str:
    """Say how far a run is; one that has ended says so with its time and its numbers."""
    done = counted(run.positions_closed, run.orders_cancelled)
    if run.stage == Stage.DONE:
        if run.confirmed_at is None:
            return _with_message(f"Ended at {clock(run.finished_at)}, {done}", run)
        word = "Confirmed flat" if run.action == Enforcement.Action.CLOSE_ALL else "Confirmed"
        return f"{word} at {clock(run.confirmed_at)}, {done}"
    if run.stage == Stage.GIVEN_UP:
        return _with_message(f"Given up at {clock(run.finished_at)}, {done}", run)
    if run.stage == Stage.WAITING:
        again = f" Next attempt at {clock(run.next_attempt_at)}." if run.next_attempt_at else ""
        why = run.message.rstrip(".") or "The broker takes no order now"
        return f"Waiting: {why[:1].lower()}{why[1:]}. So far {done}.{again}"
    return f"{run.get_stage_display()}, {done} so far"


def counted(positions: int, orders: int) -> str:
    """Count what was closed and deleted: "12 positions closed, 3 orders deleted"."""
    closed = f"{positions} position{'' if positions == 1 else 's'} closed"
    return f"{closed}, {orders} order{'' if orders == 1 else 's'} deleted"


def clock(moment: datetime | None) -> str:
    return f"{timezone.localtime(moment):%H:%M:%S}" if moment else ""


def _with_message(text: str, run: Enforcement) -> str:
    return f"{text}. {run.message}" if run.message else text


def _group(key: str, runs: Sequence[Enforcement]) -> RunGroup:
    lines = tuple(sorted(map(run_line, runs), key=lambda line: _place(line.run)))
    is_running = any(run.finished_at is None for run in runs)
    tones = [line.tone for line in lines]
    order = ("violated", "critical", "caution", "safe")
    tone = next(tone for tone in order if tone in tones)
    sentence = _group_sentence(lines, is_running=is_running)
    return RunGroup(key, runs[0].cause, _title(runs), sentence, tone, is_running, lines)


def _key(run: Enforcement) -> str:
    """Return what a run belongs together with: a press of the button, or all that locks did."""
    if run.cause == Cause.PANIC:
        return f"panic-{run.created_at:%Y%m%d%H%M%S%f}"
    if run.cause == Cause.CASCADE:
        return f"cascade-{run.options.get('cascade', {}).get('liquidation', run.pk)}"
    return "locks" if run.cause == Cause.LOCK else str(run.pk)


def _place(run: Enforcement) -> tuple[bool, str]:
    return run.finished_at is not None, run.account_name


def _title(runs: Sequence[Enforcement]) -> str:
    first = runs[0]
    count = len(_latest(runs))
    where = first.account_name if count == 1 else f"{count} accounts"
    if first.cause == Cause.PANIC:
        return f"Close all: {where}"
    why = f"“{first.rule_name}”" if first.rule_name else first.get_cause_display().lower()
    return f"{where}: {why}"


def _group_sentence(lines: Sequence[RunLine], *, is_running: bool) -> str:
    if len(lines) == 1:
        return lines[0].sentence
    runs = [line.run for line in lines]
    done = counted(
        sum(run.positions_closed for run in runs), sum(run.orders_cancelled for run in runs)
    )
    latest = _latest(runs)
    confirmed = [run.confirmed_at for run in latest if run.confirmed_at is not None]
    if len(latest) > 1 and (is_running or len(confirmed) < len(latest)):
        return f"{len(confirmed)} of {len(latest)} accounts confirmed flat, {done} so far"
    if is_running or not confirmed:
        return f"Not confirmed flat yet, {done} so far"
    return f"Confirmed flat at {clock(max(confirmed))}, {done}"


def _latest(runs: Iterable[Enforcement]) -> list[Enforcement]:
    """Return the newest run of each account: on a locked one it may be the fifth in a row."""
    newest: dict[object, Enforcement] = {}
    for run in sorted(runs, key=lambda run: run.created_at):
        newest[run.account_id or run.account_name] = run
    return list(newest.values())
