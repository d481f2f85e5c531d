"""Orders that are to leave come first, and nobody waits for them for long."""

import gc
import sys
import threading

from accounts.core.right_of_way import RightOfWay


def ask(way: RightOfWay, seconds: float) -> threading.Thread:
    thread = threading.Thread(target=way.give, args=(seconds,), daemon=True)
    thread.start()
    return thread


def test_it_makes_others_wait_until_it_is_given_back() -> None:
    way = RightOfWay()
    with way.taken():
        waiting = ask(way, 30.0)
        waiting.join(0.05)
        assert waiting.is_alive()
    waiting.join(5.0)
    assert not waiting.is_alive()


def test_nobody_waits_for_longer_than_told() -> None:
    way = RightOfWay()
    with way.taken():
        waiting = ask(way, 0.01)
        waiting.join(5.0)
        assert not waiting.is_alive()


def test_whoever_has_it_waits_for_nobody() -> None:
    way = RightOfWay()
    with way.taken(), way.taken():
        way.give(30.0)
    way.give(30.0)


def test_it_is_kept_until_the_outermost_has_given_it_back() -> None:
    way = RightOfWay()
    with way.taken():
        with way.taken():
            pass
        assert way.is_mine()
        assert way.is_taken()
        assert not gc.isenabled()
        waiting = ask(way, 30.0)
        waiting.join(0.05)
        assert waiting.is_alive()
    waiting.join(5.0)
    assert not waiting.is_alive()
    assert not way.is_mine()
    assert not way.is_taken()
    assert gc.isenabled()


def test_all_is_as_before_afterwards() -> None:
    way, turn = RightOfWay(), sys.getswitchinterval()
    with way.taken():
        assert not gc.isenabled()
        assert sys.getswitchinterval() <= turn
    assert gc.isenabled()
    assert sys.getswitchinterval() == turn


def test_it_is_free_only_when_the_last_has_given_it_back() -> None:
    way = RightOfWay()
    first, second = threading.Event(), threading.Event()

    def hold() -> None:
        with way.taken():
            first.set()
            second.wait(30.0)

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    first.wait(5.0)
    with way.taken():
        pass
    assert not gc.isenabled()
    second.set()
    holder.join(5.0)
    assert gc.isenabled()
