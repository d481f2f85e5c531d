"""Loops of relationships, along which a trade would be copied round and round."""

from collections import deque
from collections.abc import Iterable, Sequence
from uuid import UUID


def find_loop(
    edges: Iterable[tuple[UUID, UUID]], provider: UUID, follower: UUID
) -> tuple[UUID, ...] | None:
    """Return the loop that a new relationship would close, None when it closes none.

    `edges` are the living relationships, provider first. The loop begins and ends with `provider`
    and is a shortest one.
    """
    if provider == follower:
        return provider, provider
    followers: dict[UUID, list[UUID]] = {}
    for source, target in edges:
        followers.setdefault(source, []).append(target)
    came_from: dict[UUID, UUID] = {}
    ahead = deque([follower])
    while ahead:
        reached = ahead.popleft()
        for target in followers.get(reached, ()):
            if target == provider:
                return provider, *_path(came_from, follower, reached), provider
            if target != follower and target not in came_from:
                came_from[target] = reached
                ahead.append(target)
    return None


def loop_sentence(names: Sequence[str]) -> str:
    """Say why a relationship is refused; the names as `find_loop` orders the accounts."""
    if len(names) == 2:
        return f"{names[0]} cannot copy itself."
    return f"Copies would go round in a loop: {' → '.join(names)}."


def _path(came_from: dict[UUID, UUID], first: UUID, last: UUID) -> list[UUID]:
    path = [last]
    while path[-1] != first:
        path.append(came_from[path[-1]])
    return path[::-1]
