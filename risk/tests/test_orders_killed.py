"""The life of an order survives SIGKILL at every step: nothing is done twice, nothing is forgotten.

An open is never sent a second time. So one that was killed between `sent` and the broker is not
executed, and says so; whoever asked decides anew.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from accounts.terminals.simulated.server import TradeServer
from accounts.terminals.simulated.service.process import BrokerService
from risk.tests.killed_worker import STORIES

REPOSITORY = Path(__file__).parents[2]
LONGEST_SECONDS = 180
# What is left at the broker in the end: (state of the order, positions, deals in all).
ENDS = {
    "open, before the row is committed": ("filled", 1, 1),
    "open, before it is gated": ("filled", 1, 1),
    "open, gated": ("filled", 1, 1),
    "open, written as sent": ("not_executed", 0, 0),
    "open, right before the broker": ("not_executed", 0, 0),
    "open, executed and not written": ("filled", 1, 1),
    "open, outcome written": ("filled", 1, 1),
    "open, executed, while reconciling": ("filled", 1, 1),
    "open, not executed, while reconciling": ("not_executed", 0, 0),
    "close, written as sent": ("not_executed", 1, 1),
    "close, executed and not written": ("filled", 0, 2),
    "close, executed, while reconciling": ("filled", 0, 2),
}


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return how each story ended; all of them are told by one program."""
    home = tmp_path_factory.mktemp("killed")
    (home / "broker").mkdir()
    server = TradeServer(feed=False, always_open=True)
    server.set_prices("EURUSD", 1.10000, 1.10002)
    service = BrokerService(server, home / "broker")
    service.start()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = {
        **kept,
        "TRADEGUARD_HOME": str(home),
        "REDIS_URL": settings.REDIS_URL,
        "DJANGO_SETTINGS_MODULE": "tradeguard.settings",
        "PYTHONPATH": str(REPOSITORY),
    }
    try:
        told = subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-m", "risk.tests.killed_worker", str(home)],
            cwd=REPOSITORY, env=environment, capture_output=True, text=True,
            timeout=LONGEST_SECONDS, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr[-4000:]
        yield {**json.loads(told.stdout), "stderr": told.stderr}
    finally:
        service.stop()
        server.close()


@pytest.mark.parametrize("story", STORIES)
def test_an_order_survives_the_death_of_its_worker(story: str, ends: dict[str, Any]) -> None:
    end = ends[story]
    assert end["signals"] == [-signal.SIGKILL] * len(STORIES[story][1]), ends["stderr"][-2000:]
    assert end["last"] == 0, ends["stderr"][-2000:]
    assert (*end["states"], end["positions"], end["deals"]) == ENDS[story]
