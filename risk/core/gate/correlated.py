"""How much alike an order moves with what its account holds."""

import math

import numpy as np

from risk.core.gate.cases import Cases


def correlation_after(cases: Cases, case: int) -> float:
    """Return the largest coefficient between the order's symbol and another one that is open.

    Adjusted for direction, at least 0. NaN when that of a held symbol is missing.
    """
    held = cases.held
    mine = held.case == case
    others = mine & (held.symbol != cases.symbol[case])
    if not others.any():
        return 0.0
    net: dict[int, float] = {}
    for symbol, value in zip(
        held.symbol[others].tolist(), (held.sign * held.notional)[others].tolist(), strict=True
    ):
        net[symbol] = net.get(symbol, 0.0) + value
    sign = float(np.sign(cases.own_net[case] + 0.0)) * float(cases.sign[case])
    # Where the order only makes an opposite position smaller, its symbol keeps its direction.
    direction = float(cases.sign[case]) if _turns(cases, case) else sign
    return _largest(cases, case, direction, net)


def _turns(cases: Cases, case: int) -> bool:
    """Tell whether the symbol is held in the order's direction once it is filled."""
    added = float(cases.volume[case] * cases.notional_per_lot[case])
    return not float(cases.own_net[case]) + added < 0


def _largest(cases: Cases, case: int, direction: float, net: dict[int, float]) -> float:
    book = cases.book
    server = book.accounts.servers[int(cases.row[case])]
    known = book.surroundings.correlations.get(server)
    names = {number: name for name, number in cases.symbols.items()}
    places = {name: place for place, name in enumerate(known.names)} if known else {}
    own = places.get(names[int(cases.symbol[case])])
    largest = 0.0
    for symbol, value in net.items():
        if value == 0:
            continue
        other = places.get(names[symbol])
        if known is None or own is None or other is None:
            return math.nan
        coefficient = float(known.matrix[own, other]) * direction * math.copysign(1.0, value)
        if math.isnan(coefficient):
            return math.nan
        largest = max(largest, coefficient)
    return largest
