"""The market depth that an order meets: levels of price and volume on both sides of the book."""

from .contracts import Contract

Level = tuple[float, float]  # price, lots
LEVELS = 5


def levels(contract: Contract, bid: float, ask: float) -> tuple[list[Level], list[Level]]:
    """Return the book's buy and sell sides, the best price first.

    Each level is one tick further away and holds more than the one before it: 1, 2, 3 … times
    ``depth_lots``. A contract without depth shows nothing, for its broker deals any volume.
    """
    if not contract.depth_lots or bid <= 0:
        return [], []
    steps = range(LEVELS)
    lots = [contract.depth_lots * (step + 1) for step in steps]
    buys = [round(bid - step * contract.tick_size, contract.digits) for step in steps]
    sells = [round(ask + step * contract.tick_size, contract.digits) for step in steps]
    return list(zip(buys, lots, strict=True)), list(zip(sells, lots, strict=True))
