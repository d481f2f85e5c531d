import uuid
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.core.loops import find_loop, loop_sentence

A, B, C, E = (uuid.UUID(int=number) for number in range(1, 5))


@pytest.mark.parametrize(
    ("edges", "provider", "target", "loop"),
    [
        ([], A, B, None),
        ([], A, A, (A, A)),
        ([(A, B)], B, A, (B, A, B)),
        ([(A, B), (B, C)], C, A, (C, A, B, C)),
        ([(A, B), (B, C)], A, C, None),
        ([(A, B), (A, C), (B, E), (C, E)], E, A, (E, A, B, E)),
        ([(A, B), (B, A)], A, C, None),  # a loop elsewhere is not its own
        ([(B, C), (C, B)], A, B, None),
    ],
)
def test_loops(edges: Any, provider: uuid.UUID, target: uuid.UUID, loop: Any) -> None:
    assert find_loop(edges, provider, target) == loop


def test_a_loop_is_named() -> None:
    assert loop_sentence(["C", "A", "B", "C"]) == "Copies would go round in a loop: C → A → B → C."
    assert loop_sentence(["A", "A"]) == "A cannot copy itself."


_nodes = st.integers(0, 7).map(lambda number: uuid.UUID(int=number))


@given(st.lists(st.tuples(_nodes, _nodes), max_size=25))
def test_relationships_that_are_let_in_never_form_a_loop(
    wanted: list[tuple[uuid.UUID, uuid.UUID]],
) -> None:
    edges: list[tuple[uuid.UUID, uuid.UUID]] = []
    for provider, target in wanted:
        loop = find_loop(edges, provider, target)
        if loop is None:
            edges.append((provider, target))
            continue
        steps = list(pairwise(loop))
        assert steps[0] == (provider, target)
        assert all(step in edges for step in steps[1:])
        assert loop[-1] == provider
    left = list(edges)
    while left:
        sources = {source for source, _ in left}
        leaves = [edge for edge in left if edge[1] not in sources]
        assert leaves
        left = [edge for edge in left if edge not in leaves]
