"""A host that copies goes on asking about the symbols that its events had use for."""

from typing import Any

import pytest

from accounts.tests.factories import make_user
from copytrade.replication import desk as desk_module
from copytrade.replication.markets import QUOTE_SECONDS
from tradeguard.tests.copying_stage import follows
from tradeguard.tests.enforcement_stage import trade
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db(transaction=True)


class TwoRounds:
    """Says that the desk closes once it has gone round twice."""

    def __init__(self) -> None:
        self.left = 2

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0

    def close_all(self) -> None:
        """Leave the connection of the test alone."""


def noted(stage: Stage, name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    inner = getattr(stage.server, name)

    def note(method: str, *arguments: Any) -> Any:
        found.append(method)
        return inner(method, *arguments)

    monkeypatch.setattr(stage.server, name, note)
    return found


def test_the_next_event_asks_no_terminal_about_its_symbol(monkeypatch: pytest.MonkeyPatch) -> None:
    with staged() as stage:
        owner = make_user()
        provider, follower = stage.open(owner, "Lead"), stage.open(owner, "Second")
        follows(provider, follower)
        stage.run(3)
        trade(stage, provider, 1.0)
        stage.run(3)
        assert stage.tick is not None
        assert stage.tick.acting is not None
        copying = stage.tick.acting.copying
        markets = copying._replicator.markets
        # As time passes where a desk has threads.
        monotonic = [markets.monotonic() + 10 * QUOTE_SECONDS]
        markets.monotonic = lambda: monotonic[0]
        submitted = noted(stage, "submit", monkeypatch)
        monkeypatch.setattr(copying, "_closing", TwoRounds())
        monkeypatch.setattr(desk_module, "connections", TwoRounds())
        monkeypatch.setattr(copying, "_begin", lambda: None)
        copying._run()
        assert submitted.count("symbol_info") == 2
        called = noted(stage, "call", monkeypatch)
        trade(stage, provider, 1.0)
        called.clear()
        stage.run(3)
        assert "symbol_info" not in called
        assert "order_send" in called
