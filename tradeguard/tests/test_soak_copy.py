"""`soak_copy` as a real command, for a few seconds with a few followers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tradeguard.tests.served_desk import BASE_DIR, wait_until

LONGEST_SECONDS = 240.0


def run_soak(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    return subprocess.Popen(  # noqa: S603  # our own command
        [sys.executable, "-W", "error", str(BASE_DIR / "manage.py"), "soak_copy", *arguments],
        env={**kept, "TRADEGUARD_HOME": str(tmp_path / "mine"), "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_it_finds_nothing_wrong_and_leaves_nothing_behind(tmp_path: Path) -> None:
    soak = run_soak(tmp_path, "--minutes=0.15", "--followers=5", "--seed=11", "--kill-seconds=3")
    output, _ = soak.communicate(timeout=LONGEST_SECONDS)
    assert soak.returncode == 0, output
    assert "PASS (seed 11)" in output
    assert "worker killed" in output
    assert list(tmp_path.glob("tradeguard-soak-*")) == []
    assert not (tmp_path / "mine" / "tradeguard.sqlite3").exists()


def test_it_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    soak = run_soak(tmp_path, "--minutes=5", "--followers=1", "--no-kill")
    pid_files = "tradeguard-soak-*/home/run/broker.pid"
    wait_until(lambda: any(tmp_path.glob(pid_files)), "the broker runs")
    soak.send_signal(signal.SIGTERM)
    output, _ = soak.communicate(timeout=60.0)
    assert soak.returncode == 130, output
    assert "nothing was judged" in output
    assert list(tmp_path.glob("tradeguard-soak-*")) == []
