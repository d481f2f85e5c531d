"""What events ask about symbols is known before they do, and nobody waits for a terminal."""

from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.simulated_desk import SERVER, Desk
from copytrade.replication import markets as markets_module
from copytrade.replication.markets import (
    COMMISSION_SECONDS,
    MARGIN_SECONDS,
    NAMES_SECONDS,
    QUOTE_SECONDS,
    USED_SECONDS,
    Markets,
    kind_of,
)
from copytrade.replication.warming import AGAIN_SECONDS, MOST_KEPT, WARM_SECONDS, Warmth

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
LOGIN = 1001
KIND = kind_of(SERVER, "USD", 100)


class Terminals:
    """A source that counts what it is asked, and may keep answers to itself."""

    def __init__(self, desk: Desk) -> None:
        self.server = desk.server
        self.calls: list[str] = []
        self.submitted: list[str] = []
        self.held: list[tuple[Future[Any], Future[Any]]] | None = None

    def call(self, method: str, *arguments: Any) -> Any:
        self.calls.append(method)
        return self.server.call(method, *arguments)

    def submit(self, method: str, *arguments: Any) -> "Future[Any]":
        self.submitted.append(method)
        answer = self.server.submit(method, *arguments)
        if self.held is None:
            return answer
        late: Future[Any] = Future()
        self.held.append((late, answer))
        return late


class Scene:
    def __init__(self, desk: Desk) -> None:
        self.seconds = 1000.0
        self.desk = desk
        self.source = Terminals(desk)
        self.markets = Markets(self.source, monotonic=lambda: self.seconds)
        self.warmth = Warmth(self.markets)

    def use(self, symbol: str = "EURUSD") -> Any:
        self.markets.names(SERVER, LOGIN)
        return self.markets.terms(KIND, LOGIN, symbol)

    def keep(self, seconds: float = 0.0) -> None:
        self.seconds += seconds
        self.warmth.keep(NOW + timedelta(seconds=self.seconds))


@pytest.fixture
def scene() -> Scene:
    desk = Desk()
    desk.open_account(LOGIN)
    desk.server.set_prices("EURUSD", 1.10000, 1.10002)
    return Scene(desk)


def test_an_event_asks_nothing_about_what_is_kept_known(scene: Scene) -> None:
    first = scene.use()
    scene.source.calls.clear()
    moved = 0.0
    while scene.seconds < 1000.0 + 3 * MARGIN_SECONDS:
        scene.keep(WARM_SECONDS)
        moved += 0.00001
        scene.desk.server.set_prices("EURUSD", 1.1 + moved, 1.10002 + moved)
    scene.keep(WARM_SECONDS)
    scene.seconds += QUOTE_SECONDS - 1e-6
    scene.markets._used.clear()  # what follows is no use of its own
    terms = scene.use()
    assert scene.source.calls == []
    assert terms.bid == pytest.approx(1.1 + moved, abs=0.00001)
    assert terms.margin_buy == pytest.approx(first.margin_buy, rel=0.01)
    assert terms.margin_sell == pytest.approx(first.margin_sell, rel=0.01)
    scene.seconds += 1e-6
    scene.use()
    assert scene.source.calls == ["symbol_info"]


def test_margins_and_names_are_asked_for_seldom(scene: Scene) -> None:
    scene.use()
    scene.keep(0.59 * MARGIN_SECONDS)
    assert scene.source.submitted == ["symbol_info"]
    scene.keep(0.02 * MARGIN_SECONDS)
    assert scene.source.submitted[1:] == ["symbol_info", *["order_calc_margin"] * 2]
    scene.keep(0.0)
    assert scene.source.submitted[4:] == ["symbol_info"]
    scene.source.submitted.clear()
    scene.keep(0.61 * NAMES_SECONDS)
    assert "symbols" in scene.source.submitted


def test_margins_that_are_not_told_are_not_asked_for_all_the_time(scene: Scene) -> None:
    scene.use()
    scene.seconds += 0.61 * MARGIN_SECONDS
    scene.desk.server.add_fault(LOGIN, FaultKind.DISCONNECT_TERMINAL, calls=("order_calc_margin",))
    for _ in range(4):
        scene.keep(WARM_SECONDS)
    assert scene.source.submitted.count("order_calc_margin") == 2
    scene.keep(AGAIN_SECONDS)
    assert scene.source.submitted.count("order_calc_margin") == 4


def test_what_is_of_no_use_any_more_is_forgotten(scene: Scene) -> None:
    scene.use()
    scene.keep(USED_SECONDS - 1.0)
    assert "symbol_info" in scene.source.submitted
    scene.source.submitted.clear()
    scene.keep(1.0)
    assert scene.source.submitted == []
    assert scene.markets._used == {}


def test_no_more_than_so_many_are_kept(scene: Scene) -> None:
    scene.use()
    for number in range(MOST_KEPT + 5):
        scene.seconds += 0.001
        scene.markets._used[KIND, f"S{number}"] = scene.seconds, LOGIN
    scene.keep()
    assert scene.source.submitted == ["symbol_info"] * MOST_KEPT
    # There are none of these names: nobody asks again until somebody has use for one.
    assert len(scene.markets._used) == 6
    assert (KIND, "S0") in scene.markets._used


def test_a_terminal_that_says_nothing_is_asked_once_and_nobody_waits(scene: Scene) -> None:
    scene.use()
    scene.source.held = []
    scene.keep(WARM_SECONDS)
    scene.keep(WARM_SECONDS)
    assert scene.source.submitted == ["symbol_info"]
    scene.source.calls.clear()
    scene.desk.server.set_prices("EURUSD", 1.20000, 1.20002)
    newer = scene.use()
    assert scene.source.calls == ["symbol_info"]
    # An answer that was asked for before is not newer.
    late, answer = scene.source.held.pop()
    late.set_result(answer.result())
    assert scene.use() is newer
    scene.keep(WARM_SECONDS)
    assert scene.source.submitted == ["symbol_info"] * 2


def test_a_terminal_that_fails_changes_nothing(scene: Scene) -> None:
    terms = scene.use()
    scene.desk.server.set_fault(LOGIN, FaultKind.DISCONNECT_TERMINAL)
    scene.keep(WARM_SECONDS)
    assert scene.use() is terms
    scene.keep(QUOTE_SECONDS)
    assert scene.use() is None
    scene.desk.server.clear_faults()
    scene.keep(0.0)
    assert scene.use() is not None


def test_commissions_are_learned_before_they_are_too_old(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id, asked = uuid4(), list[UUID]()

    class Learned:
        def per_lot(self, asked_for: UUID, symbol: str, now: datetime) -> float:
            del symbol, now
            asked.append(asked_for)
            return 3.5

    monkeypatch.setattr(markets_module, "LEARNED", Learned())
    scene.use()
    scene.keep(WARM_SECONDS)
    assert asked == []
    scene.markets.commission(KIND, account_id, "EURUSD", NOW)
    scene.keep(0.59 * COMMISSION_SECONDS)
    assert asked == [account_id]
    scene.keep(0.02 * COMMISSION_SECONDS)
    assert asked == [account_id] * 2
    scene.seconds += COMMISSION_SECONDS - 1.0
    assert scene.markets.commission(KIND, account_id, "EURUSD", NOW) == 3.5
    assert asked == [account_id] * 2
