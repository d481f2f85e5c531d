"""A follower whose terminal does not answer about symbols: those of its kind are copied to."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import User
from accounts.terminals.codes import IPC_TIMEOUT
from accounts.terminals.link import LinkError
from tradeguard.tests.copying_stage import close, crowd, follows, held
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    # Nothing that was said earlier helps.
    monkeypatch.setattr("copytrade.replication.markets.QUOTE_SECONDS", 0.0)
    monkeypatch.setattr("copytrade.replication.markets.SILENT_SECONDS", 0.0)
    with staged() as stage:
        yield stage


def silence(stage: Stage, monkeypatch: pytest.MonkeyPatch, login: int) -> None:
    """Let a terminal say nothing about symbols; its account is read as before."""
    call = stage.server.call

    def quiet(method: str, *arguments: Any) -> Any:
        if method in ("symbol_info", "symbols") and arguments[0] == login:
            raise LinkError(IPC_TIMEOUT)
        return call(method, *arguments)

    monkeypatch.setattr(stage.server, "call", quiet)


def test_the_others_open_and_close_a_part_without_the_first(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = stage.open(alice, "Provider")
    followers = crowd(stage, alice, 3)
    for number, each in enumerate(followers):
        row = follows(provider, each, multiplier=Decimal(number + 1))
        # The first is asked first.
        row.created_at += timedelta(seconds=number)
        row.save(update_fields=["created_at"])
    stage.run(5)
    ticket = stage.buy(provider, 1.0)
    stage.run(5)
    assert held(stage, followers) == [[Decimal(1)], [Decimal(2)], [Decimal(3)]]

    with monkeypatch.context() as patch:
        silence(stage, patch, followers[0].login)
        close(stage, provider, ticket, 0.5)
        stage.run(2)
        assert held(stage, followers[1:]) == [[Decimal(1)], [Decimal("1.5")]]
        stage.buy(provider, 0.1)
        stage.run(2)
        assert [len(lots) for lots in held(stage, followers[1:])] == [2, 2]
    stage.run(4, seconds=1.0)
    assert sorted(held(stage, followers)[0]) == [Decimal("0.1"), Decimal("0.5")]
