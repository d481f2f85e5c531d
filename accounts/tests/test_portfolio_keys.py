from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from accounts.portfolio_keys import Holder, PortfolioKeys, holding_marks
from accounts.redis import redis_client
from accounts.terminals.readings import ReadingBatch
from accounts.tests.hand_made_batches import SERVER, batch_of

LOGINS = (1001, 1002)
HOLDERS = [Holder(UUID(int=login), "demo", login, SERVER, "USD") for login in LOGINS]


def batch(*positions_each: int) -> ReadingBatch:
    """Return readings of both accounts, with so many positions each."""
    whole = batch_of(LOGINS, positions_each=2)
    held = whole.positions
    held["ticket"] = [100, 101, 200, 201]
    kept = np.concatenate([np.arange(count) + 2 * row for row, count in enumerate(positions_each)])
    return replace(whole, positions=held[kept.astype(np.intp)])


def write(keys: PortfolioKeys, read: ReadingBatch, holders: list[Holder] | None = None) -> None:
    keys.recall()
    pipeline = redis_client().pipeline(transaction=False)
    keys.add(pipeline, read, HOLDERS if holders is None else holders)
    if not keys.is_intact(pipeline.execute()[-1]):
        keys.forget()


def names(redis: Redis) -> set[str]:
    """Return what is in Redis, without the register, the prices and the queues of tasks."""
    others = ("market:", "portfolio_written", "celery:")
    return {key for key in redis.scan_iter() if not key.startswith(others)}


def test_it_writes_what_an_account_holds(redis: Redis) -> None:
    write(PortfolioKeys("local"), batch(2, 0))
    tag = "{demo:00000000-0000-0000-0000-0000000003e9}"
    assert redis.smembers(f"user_orders_index:{tag}") == {"100", "101"}
    assert redis.hget(f"user_holdings:{tag}:100", "symbol") == "EURUSD"
    assert redis.hget(f"user:{tag}:config", "login") == "1001"
    assert redis.hget(f"user_portfolio:{tag}", "positions") == "2"
    assert redis.smembers("symbol_holders:EURUSD:demo") == {str(HOLDERS[0].account_id)}


@pytest.mark.parametrize("is_restarted", [False, True])
def test_it_removes_what_was_closed_also_while_it_was_away(
    redis: Redis, is_restarted: bool
) -> None:
    keys = PortfolioKeys("local")
    write(keys, batch(2, 2))
    write(PortfolioKeys("local") if is_restarted else keys, batch(1, 0))
    found = names(redis)
    write(PortfolioKeys("local"), batch(1, 0))
    assert found == names(redis)
    assert {key.rpartition(":")[2] for key in found if "holdings" in key} == {"100"}
    assert redis.smembers("symbol_holders:EURUSD:demo") == {str(HOLDERS[0].account_id)}


def test_it_removes_what_was_closed_while_redis_was_away(redis: Redis) -> None:
    keys = PortfolioKeys("local")
    write(keys, batch(2, 2))
    keys.forget()
    write(keys, batch(1, 1))
    assert {key.rpartition(":")[2] for key in names(redis) if "holdings" in key} == {"100", "200"}


@pytest.mark.parametrize("is_restarted", [False, True])
def test_it_removes_an_account_that_left(redis: Redis, is_restarted: bool) -> None:
    keys = PortfolioKeys("local")
    write(keys, batch(1, 1))
    rest = replace(batch(0, 0), accounts=batch_of(LOGINS[:1], positions_each=0).accounts)
    write(PortfolioKeys("local") if is_restarted else keys, rest, HOLDERS[:1])
    assert not any(str(HOLDERS[1].account_id) in key for key in names(redis))
    assert not redis.exists("symbol_holders:EURUSD:demo")


def test_it_removes_nothing_before_it_knows_its_accounts(redis: Redis) -> None:
    write(PortfolioKeys("local"), batch(1, 1))
    before = names(redis)
    write(PortfolioKeys("local"), batch_of([], positions_each=0), [])
    assert names(redis) == before


def test_it_moves_an_account_that_has_another_role(redis: Redis) -> None:
    keys = PortfolioKeys("local")
    write(keys, batch(1, 0))
    provider = replace(HOLDERS[0], portfolio_role="strategy_provider")
    write(keys, batch(1, 0), [provider, HOLDERS[1]])
    assert not any(f"{{demo:{provider.account_id}}}" in key for key in names(redis))
    assert redis.smembers("symbol_holders:EURUSD:strategy_provider") == {str(provider.account_id)}


def test_it_never_says_flat_of_an_account_that_was_not_read(redis: Redis) -> None:
    write(PortfolioKeys("local"), batch(2, 2))
    before = names(redis)
    unread = batch(0, 0)
    unread.accounts["login"] = unread.accounts["balance"] = 0
    write(PortfolioKeys("local"), unread)
    assert names(redis) == before


def test_it_drops_what_was_read_of_another_login(redis: Redis) -> None:
    keys = PortfolioKeys("local")
    write(keys, batch(2, 0))
    unread = batch(0, 0)
    unread.accounts["login"][0] = 0
    write(keys, unread, [replace(HOLDERS[0], login=7), HOLDERS[1]])
    assert not any(str(HOLDERS[0].account_id) in key for key in names(redis))


def test_it_writes_again_what_redis_has_lost(redis: Redis) -> None:
    keys = PortfolioKeys("local")
    write(keys, batch(1, 1))
    before = names(redis)
    redis.delete(*redis.scan_iter())
    write(keys, batch(1, 1))
    write(keys, batch(1, 1))
    assert names(redis) == before


def test_it_is_silent_while_nothing_changes() -> None:
    keys = PortfolioKeys("local")
    write(keys, batch(1, 1))
    pipeline = redis_client().pipeline(transaction=False)
    keys.add(pipeline, batch(1, 1), HOLDERS)
    assert [arguments[0] for arguments, _ in pipeline.command_stack] == ["HLEN"]


def test_it_sees_a_stop_and_a_target_that_move_against_each_other() -> None:
    before, after = batch(1, 1), batch(1, 1)
    before.positions["sl"], before.positions["tp"] = 1.1, 1.2
    after.positions["sl"], after.positions["tp"] = 1.1 + 0.0007, 1.2 - 0.0003
    assert all(np.array(holding_marks(before)) != np.array(holding_marks(after)))


@given(
    st.sampled_from(["ticket", "volume", "price_open", "sl", "tp", "magic", "type", "symbol"]),
    st.integers(1, 100),
    st.integers(0, 1),
)
def test_it_sees_every_change_of_a_position_and_of_its_account_alone(
    field: str, number: int, row: int
) -> None:
    before, after = batch(1, 1), batch(1, 1)
    after.positions[field][row] = before.positions[field][row] + number
    differs = np.array(holding_marks(before)) != np.array(holding_marks(after))
    assert differs.tolist() == [row == 0, row == 1]


@pytest.mark.parametrize("field", ["balance", "credit", "leverage", "trade_allowed"])
def test_it_sees_a_change_of_the_account(field: str) -> None:
    before, after = batch(1, 1), batch(1, 1)
    after.accounts[field] = before.accounts[field] ^ True if field == "trade_allowed" else 5
    assert all(np.array(holding_marks(before)) != np.array(holding_marks(after)))
