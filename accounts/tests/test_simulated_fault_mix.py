"""Thousands of calls with every fault in the mix: the books stay right, whatever a caller saw."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from accounts.terminals.link import LinkError
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.simulated_desk import PASSWORD, POSITION_FIELDS, SERVER, Desk

MARGIN_MODES = {
    1001: mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING,
    1002: mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING,
}
LOGINS = tuple(MARGIN_MODES)
MIX = dict.fromkeys(FaultKind, 0.03)
CALLS = 1000
TRADES = (mt5.DEAL_TYPE_BUY, mt5.DEAL_TYPE_SELL)


class Trader:
    """Trades at random and believes nothing that it is told."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk = desk
        self.chance = Random(seed)
        self.price = 1.086
        self.seen: list[Any] = []

    def act(self) -> None:
        login = self.chance.choice(LOGINS)
        action = self.chance.choice(("open", "open", "close", "wait", "delete", "read", "time"))
        try:
            self.seen.append(getattr(self, action)(login))
        except LinkError as error:
            self.seen.append(error.code)
            if error.code in (-10001, -10002, -10004):
                self.seen.append(self.desk.server.authorise_many([(login, PASSWORD, SERVER)]))

    def open(self, login: int) -> Any:
        lots = self.chance.randint(1, 30) / 100
        return self.send(login, type=self.chance.randint(0, 1), volume=lots, comment="mixed")

    def close(self, login: int) -> Any:
        held = self.desk.server.call("positions", login, None, None, None)
        if not held:
            return None
        position = dict(zip(POSITION_FIELDS, self.chance.choice(held), strict=True))
        lots = self.chance.choice((position["volume"], 0.01))
        return self.send(login, type=1 - position["type"], volume=lots, position=position["ticket"])

    def wait(self, login: int) -> Any:
        away = self.chance.randint(20, 80) / 1e5
        return self.send(
            login, action=mt5.TRADE_ACTION_PENDING, type=mt5.ORDER_TYPE_BUY_LIMIT, volume=0.05,
            price=round(self.price - away, 5), type_filling=mt5.ORDER_FILLING_RETURN,
        )  # fmt: skip

    def delete(self, login: int) -> Any:
        waiting = self.desk.server.call("orders", login, None, None, None)
        if not waiting:
            return None
        order = self.chance.choice(waiting)[0]
        return self.send(login, action=mt5.TRADE_ACTION_REMOVE, order=order)

    def read(self, login: int) -> Any:
        del login
        batch = self.desk.server.read_batch(LOGINS, [0, 0])
        return batch.accounts["outcome"].tolist(), batch.accounts["equity"].tolist()

    def time(self, login: int) -> None:
        del login
        self.price = round(self.price + self.chance.randint(-30, 30) / 1e5, 5)
        self.desk.clock.now += self.chance.random()
        self.desk.server.step()
        self.desk.server.set_prices("EURUSD", self.price, round(self.price + 0.00004, 5))

    def send(self, login: int, **request: Any) -> Any:
        usual = {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD",
                 "type_filling": mt5.ORDER_FILLING_IOC}  # fmt: skip
        return self.desk.send(login, **{**usual, **request})


def trade(home: Path | None, seed: int) -> tuple[Desk, Trader]:
    desk = Desk(home=home, sleep=lambda seconds: None)
    for login, margin_mode in MARGIN_MODES.items():
        desk.open_account(login, margin_mode=margin_mode, deposit=50_000.0, stop_out_level=20.0)
    desk.server.random_faults(seed, MIX, hang_seconds=0.0, points=-20, points_to=20)
    trader = Trader(desk, seed)
    for _ in range(CALLS):
        trader.act()
    return desk, trader


@pytest.mark.parametrize("seed", [1, 2])
def test_no_mix_of_faults_corrupts_the_books(tmp_path: Path, seed: int) -> None:
    desk, trader = trade(tmp_path, seed)
    struck = {row["kind"]: row["struck"] for row in desk.server.faults()}
    assert set(struck) == {str(kind) for kind in MIX}
    assert min(struck.values()) > 0
    desk.server.clear_faults()
    desk.server.authorise_many([(login, PASSWORD, SERVER) for login in LOGINS])
    desk.clock.now += 60  # whatever is late has come by then
    desk.server.step()
    for login in LOGINS:
        assert_right(desk, login)
    fingerprint = desk.server.fingerprint()
    desk.server.close()
    again = Desk(home=tmp_path)
    assert again.server.accounts() == desk.server.accounts()
    again.server.close()

    same, repeated = trade(None, seed)
    assert repeated.seen == trader.seen
    same.server.clear_faults()
    same.server.authorise_many([(login, PASSWORD, SERVER) for login in LOGINS])
    same.clock.now += 60
    same.server.step()
    assert same.server.fingerprint() == fingerprint
    same.server.close()


def assert_right(desk: Desk, login: int) -> None:
    account, positions, deals = desk.account(login), desk.positions(login), desk.deals(login)
    assert len(deals) > 50
    booked = sum(deal["profit"] + deal["commission"] + deal["swap"] + deal["fee"] for deal in deals)
    assert account["balance"] == pytest.approx(booked, abs=0.005)
    floating = sum(position["profit"] + position["swap"] for position in positions)
    assert account["equity"] == pytest.approx(account["balance"] + floating, abs=0.02)
    assert account["margin"] >= 0
    assert len({deal["ticket"] for deal in deals}) == len(deals)
    entered = {deal["position"] for deal in deals if deal["entry"] != mt5.DEAL_ENTRY_OUT}
    assert {position["identifier"] for position in positions} <= entered
    signed = sum(
        (1 - 2 * deal["type"]) * deal["volume"] for deal in deals if deal["type"] in TRADES
    )
    held = sum((1 - 2 * position["type"]) * position["volume"] for position in positions)
    assert held == pytest.approx(signed, abs=1e-9)
    if MARGIN_MODES[login] == mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING:
        assert len(positions) <= 1


def signed_lots(rows: list[dict[str, Any]]) -> float:
    return float(sum((1 - 2 * row["type"]) * row["volume"] for row in rows))
