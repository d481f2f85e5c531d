"""A CLOSE_ALL survives SIGKILL at every step: it ends flat, and nothing is closed twice."""

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
from risk.tests.killed_enforcer import MODES, STORIES

REPOSITORY = Path(__file__).parents[2]
LONGEST_SECONDS = 180
IN, INOUT = 0, 2  # DEAL_ENTRY_*


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return how each story ended; all of them are told by one program."""
    home = tmp_path_factory.mktemp("killed")
    (home / "broker").mkdir()
    server = TradeServer(feed=False, always_open=True)
    server.set_prices("EURUSD", 1.10000, 1.10002)
    server.set_prices("GBPUSD", 1.30000, 1.30002)
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
        told = subprocess.run(
            [sys.executable, "-m", "risk.tests.killed_enforcer"],
            cwd=REPOSITORY, env=environment, capture_output=True, text=True,
            timeout=LONGEST_SECONDS, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr[-4000:]
        yield {**json.loads(told.stdout), "stderr": told.stderr}
    finally:
        service.stop()
        server.close()


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("mode", MODES)
def test_it_ends_flat_after_the_death_of_its_worker(
    mode: str, story: str, ends: dict[str, Any]
) -> None:
    end = ends[f"{mode}: {story}"]
    assert end["signals"][0] == -signal.SIGKILL, ends["stderr"][-2000:]
    # A later worker may find nothing more to do before it reaches its step.
    assert {*end["signals"]} <= {-signal.SIGKILL, 0}, ends["stderr"][-2000:]
    assert end["last"] == 0, ends["stderr"][-2000:]
    assert (end["stage"], end["unfinished"]) == ("done", 0)
    assert (end["positions"], end["orders"]) == (0, 0)
    open_lots: dict[int, float] = {}
    for position, entry, volume in end["deals"]:
        assert entry != INOUT
        signed = volume if entry == IN else -volume
        open_lots[position] = round(open_lots.get(position, 0.0) + signed, 8)
        assert open_lots[position] >= 0, "closed twice"
    assert set(open_lots.values()) == {0.0}
