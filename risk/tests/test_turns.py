"""Whose turn an account is: one at a time, whoever comes."""

from uuid import uuid4

from risk.orders.turns import Turns

ONE, OTHER = uuid4(), uuid4()


def test_it_gives_an_account_to_one_at_a_time() -> None:
    turns = Turns()
    assert turns.take(ONE)
    assert turns.claim([ONE, OTHER]) == {OTHER}
    assert not turns.take(OTHER)
    assert turns.claim([ONE, OTHER]) == set()


def test_it_tells_whoever_gives_back_that_there_is_more() -> None:
    turns = Turns()
    turns.claim([ONE, OTHER])
    assert not turns.take(ONE)
    assert not turns.release([OTHER])
    assert turns.release([ONE])
    assert turns.take(ONE)
    assert not turns.release([ONE])


def test_it_keeps_accounts_in_enforcement_for_their_lanes() -> None:
    turns = Turns()
    turns.keep([ONE])
    assert turns.claim([ONE, OTHER]) == {OTHER}
    assert turns.take(ONE)
    turns.release([ONE, OTHER])
    turns.keep([])
    assert turns.claim([ONE, OTHER]) == {ONE, OTHER}


def test_it_knows_the_accounts_that_are_claimed_until_they_are_given_back() -> None:
    turns = Turns()
    turns.take(OTHER)
    turns.claim([ONE, OTHER])
    assert turns.claimed() == {ONE}
    turns.release([ONE])
    assert turns.claimed() == set()


def test_it_knows_what_has_been_claimed_for_long() -> None:
    turns = Turns()
    turns.claim([ONE], 10.0)
    turns.claim([ONE, OTHER], 20.0)
    assert turns.claimed_until(9.9) == set()
    assert turns.claimed_until(10.0) == {ONE}
    assert turns.claimed_until(20.0) == {ONE, OTHER}
    turns.release([ONE])
    assert turns.claimed_until(20.0) == {OTHER}
