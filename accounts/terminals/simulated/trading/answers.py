"""What the order desk answers to a request that it has taken."""

from dataclasses import dataclass

from .. import constants as mt5


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The part of an OrderSendResult that depends on how the request fared."""

    retcode: int = mt5.TRADE_RETCODE_DONE
    deal: int = 0
    order: int = 0
    volume: float = 0.0
    price: float = 0.0
    comment: str = "Request executed"
