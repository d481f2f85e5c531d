"""Workers that die, or lose their host, while they copy."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from accounts.sessions.lease import Standing
from copytrade.replication.folding import Folds
from tradeguard.tests.stage import Stage


class Killed(BaseException):
    """What no handler catches, as nothing catches the end of a process."""


def dying(work: Callable[..., Any], *, after: int = 0, is_done: bool = True) -> Callable[..., Any]:
    """Return the work that kills its process in the call after so many, done or not."""
    calls: list[object] = []

    def once(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        if len(calls) != after + 1:
            return work(*arguments, **named)
        if is_done:
            work(*arguments, **named)
        raise Killed

    return once


def die(stage: Stage) -> None:
    """Run until the worker is killed, and start another one."""
    with pytest.raises(Killed):
        stage.run(5)
    stage.kill_worker()


def after_writing(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Have something happen once a wave is written, before it leaves."""
    write = Folds.write

    def slow(*arguments: Any) -> Any:
        records = write(*arguments)
        work()
        return records

    monkeypatch.setattr(Folds, "write", slow)


class LostFence:
    def standing(self, now: datetime) -> Standing:
        del now
        return Standing.LOST
