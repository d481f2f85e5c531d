"""Orders of many accounts that are alike but for a few numbers, and how their answers come."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from accounts.terminals.codes import INVALID_PARAMS
from accounts.terminals.link import LinkError

logger = logging.getLogger(__name__)

ORDER_SEND: Final = "order_send"
Integers = Sequence[int] | npt.NDArray[np.int64]
Doubles = Sequence[float] | npt.NDArray[np.float64]


class Answered(Protocol):
    """Gets answers as they come, several at once, from any thread.

    That is the place of each order with the row that came, or with the exception that the call
    failed with. They have come in so many seconds ago.
    """

    def __call__(
        self, answers: Sequence[tuple[int, Any]], waited_seconds: float = 0.0, /
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class AlikeOrders:
    """One request for accounts of one server, each with a volume in lots and a magic of its own.

    `request` is the whole of it; what the columns say takes the place of what it says. With
    `positions` each order has that ticket as its position.
    """

    request: Mapping[str, Any]
    server: str
    logins: Integers
    volumes: Doubles
    magics: Integers
    positions: Integers | None = None

    def __len__(self) -> int:
        return len(self.logins)

    def calls(self) -> Iterator[tuple[int, dict[str, Any], str]]:
        """Say each order in full, as the arguments of `order_send`."""
        columns = [_plain(self.logins), _plain(self.volumes), _plain(self.magics)]
        if self.positions is not None:
            columns.append(_plain(self.positions))
        for login, volume, magic, *position in zip(*columns, strict=True):
            request = {**self.request, "volume": float(volume), "magic": int(magic)}
            if position:
                request["position"] = int(position[0])
            yield int(login), request, self.server


class ToldOnce:
    """Passes on what comes first for each of so many orders, and says in the end what never came.

    To be told from any thread.
    """

    def __init__(self, answered: Answered, count: int) -> None:
        self._answered = answered
        self._left = set(range(count))
        self._lock = threading.Lock()

    def __call__(self, answers: Sequence[tuple[int, Any]], waited_seconds: float = 0.0, /) -> None:
        with self._lock:
            first = [answer for answer in answers if answer[0] in self._left]
            self._left.difference_update(place for place, _ in first)
        if first:
            self._answered(first, waited_seconds)

    def give_up(self, error: Exception) -> None:
        """Tell of each order that nothing was told of that it failed so."""
        with self._lock:
            left = sorted(self._left)
        self([(place, error) for place in left])


def submit_singly(
    submit: Callable[..., "Future[Any]"], orders: AlikeOrders, answered: Answered
) -> None:
    """Send orders each for itself, where they share no line that they could leave on together."""
    try:
        calls = list(orders.calls())
    except (ValueError, TypeError, OverflowError) as error:
        fail_all(orders, answered, LinkError(INVALID_PARAMS, str(error)))
        return
    for place, arguments in enumerate(calls):
        try:
            answer = submit(ORDER_SEND, *arguments)
        except Exception as error:  # the others are sent whatever is wrong with this one
            tell(answered, [(place, error)])
        else:
            answer.add_done_callback(partial(_pass_on, answered, place))


def fail_all(orders: AlikeOrders, answered: Answered, error: Exception) -> None:
    """Tell of each order that it failed so."""
    tell(answered, [(place, error) for place in range(len(orders))])


def tell(
    answered: Answered, answers: Sequence[tuple[int, Any]], waited_seconds: float = 0.0
) -> None:
    """Hand answers over; whatever goes wrong there must not keep others from theirs."""
    try:
        answered(answers, waited_seconds)
    except Exception:
        logger.exception("%d answers could not be taken in.", len(answers))


def _pass_on(answered: Answered, place: int, answer: "Future[Any]") -> None:
    # Whoever was cancelled has an answer as well: without one its account would stay claimed.
    error = CancelledError() if answer.cancelled() else answer.exception()
    tell(answered, [(place, answer.result() if error is None else error)])


def _plain(column: Integers | Doubles) -> Sequence[Any]:
    return list(column.tolist()) if isinstance(column, np.ndarray) else column
