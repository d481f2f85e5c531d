from pathlib import Path

import pytest

from tradeguard.serving import logs
from tradeguard.serving.logs import ChildLog


@pytest.mark.parametrize(
    ("line", "is_alarm"),
    [
        ("2026-11-20 12:00:00,123 ERROR tradeguard.tick: The tick failed", True),
        ("[2026-11-20 12:00:00,123: WARNING/MainProcess] lost connection", True),
        ("/x/y.py:3: RuntimeWarning: coroutine was never awaited", True),
        ("2026-11-20 12:00:00,123 INFO tradeguard.tick: all well", False),
        ('127.0.0.1:50000 - - [20/Nov/2026] "GET /groups" 200 5120', False),
        ("2026-11-20 12:00:00,123 WARNING celery.redirected: Subject: Alpha 3", False),
        ("2026-11-20 12:00:00,123 WARNING django.request: Not Found: /favicon.ico", False),
        ("    . logfile -> [stderr]@%WARNING", False),
        ("19779:M 21 Nov 2026 00:12:56 # WARNING Memory overcommit must be enabled! …", False),
    ],
)
def test_only_alarms_reach_the_terminal(tmp_path: Path, line: str, is_alarm: bool) -> None:
    said: list[str] = []
    log = ChildLog(tmp_path / "web.log", prefix="web", alarm=said.append)
    log.add(line)
    log.close()
    assert said == ([f"[web] {line}"] if is_alarm else [])
    assert (tmp_path / "web.log").read_text() == f"{line}\n"


def test_a_traceback_reaches_the_terminal_as_a_whole(tmp_path: Path) -> None:
    said: list[str] = []
    log = ChildLog(tmp_path / "web.log", prefix="web", alarm=said.append)
    lines = ["Traceback (most recent call last):", '  File "x.py"', "KeyError: 'limit'", "calm"]
    for line in lines:
        log.add(line)
    log.close()
    assert said == [f"[web] {line}" for line in lines[:-1]]


def test_each_start_begins_a_new_file_and_keeps_three_old_ones(tmp_path: Path) -> None:
    for run in range(6):
        log = ChildLog(tmp_path / "web.log", prefix="web", alarm=print)
        log.add(f"run {run}")
        log.close()
    texts = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert texts == {
        "web.log": "run 5\n",
        "web.log.1": "run 4\n",
        "web.log.2": "run 3\n",
        "web.log.3": "run 2\n",
    }


def test_a_file_never_grows_past_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 1_000)
    log = ChildLog(tmp_path / "web.log", prefix="web", alarm=print)
    for number in range(500):
        log.add(f"line {number:04d}")
    log.close()
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert max(sizes) <= 1_000
    assert len(sizes) == 4
