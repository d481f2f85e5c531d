"""Only followers that may hold something else are compared with the ledger."""

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from accounts.terminals.readings import ACCOUNT_DTYPE, POSITION_DTYPE
from copytrade.keeping.changes import ALL_AGAIN_SECONDS, Changes

IDS = tuple(uuid4() for _ in range(3))
HELD = ((0, 11, 1.0, 0), (0, 12, 1.0, 0), (1, 11, 0.5, 1))


def view(*held: tuple[int, int, float, int], at: float = 0.0, ids: Any = IDS, mode: int = 2) -> Any:
    accounts = np.zeros(len(ids), dtype=ACCOUNT_DTYPE)
    accounts["margin_mode"] = mode
    positions = np.zeros(len(held), dtype=POSITION_DTYPE)
    for place, name in enumerate(("account", "ticket", "volume", "type")):
        positions[name] = [row[place] for row in held]
    batch = SimpleNamespace(accounts=accounts, positions=positions)
    return SimpleNamespace(poll=SimpleNamespace(account_ids=ids, batch=batch, monotonic=at))


@pytest.fixture
def changes() -> Changes:
    changes = Changes()
    assert changes.accounts(view(*HELD)) is None
    return changes


def test_it_names_none_where_nothing_changed(changes: Changes) -> None:
    assert changes.accounts(view(*HELD, at=1.0)) == set()
    assert changes.accounts(view(*reversed(HELD), at=2.0)) == set()


@pytest.mark.parametrize(
    ("held", "changed"),
    [
        (HELD[:2], {1}),
        (HELD[1:], {0}),
        ((*HELD, (2, 13, 1.0, 0)), {2}),
        (((0, 11, 1.0, 0), (0, 12, 0.99, 0), HELD[2]), {0}),
        (((0, 11, 1.0, 0), (0, 12, 1.0, 1), HELD[2]), {0}),
        (((0, 11, 1.0, 0), (0, 14, 1.0, 0), HELD[2]), {0}),
        (((0, 12, 1.0, 0), (1, 11, 0.5, 1), (1, 11, 1.0, 0)), {0, 1}),
        ((), {0, 1}),
    ],
)
def test_it_names_whose_positions_differ(changes: Changes, held: Any, changed: set[int]) -> None:
    assert changes.accounts(view(*held, at=1.0)) == {IDS[row] for row in changed}
    assert changes.accounts(view(*held, at=2.0)) == set()


def test_two_positions_that_swap_their_volumes_differ() -> None:
    changes = Changes()
    changes.accounts(view((0, 11, 1.0, 0), (0, 12, 2.0, 0)))
    assert changes.accounts(view((0, 11, 2.0, 0), (0, 12, 1.0, 0), at=1.0)) == {IDS[0]}


def test_it_names_who_is_to_be_looked_at_again_once(changes: Changes) -> None:
    changes.look_again([IDS[2]])
    assert changes.accounts(view(*HELD, at=1.0)) == {IDS[2]}
    assert changes.accounts(view(*HELD, at=2.0)) == set()


@pytest.mark.parametrize("late", [-1e-6, 0.0, 1e-6])
def test_it_names_all_after_a_while(changes: Changes, late: float) -> None:
    found = changes.accounts(view(*HELD, at=ALL_AGAIN_SECONDS + late))
    assert (found is None) == (late >= 0)


def test_it_names_all_of_another_roster_and_once_it_has_forgotten(changes: Changes) -> None:
    assert changes.accounts(view(*HELD, at=1.0, ids=IDS[::-1])) is None
    assert changes.accounts(view(*HELD, at=2.0, ids=IDS[::-1])) == set()
    changes.forget()
    assert changes.accounts(view(*HELD, at=3.0, ids=IDS[::-1])) is None
    assert changes.accounts(view(*HELD, at=4.0, ids=IDS[::-1], mode=0)) == set(IDS)
