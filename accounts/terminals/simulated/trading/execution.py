"""How an order is dealt with out of the ordinary: what faults ask of the order desk."""

from dataclasses import dataclass

from .requests import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Terms of one order's execution; the defaults are those of an undisturbed broker.

    ``retcode`` other than 0 refuses the order with it. ``fill_fraction`` of the volume finds a
    counterparty now. ``slippage_points`` moves the fill price, above 0 against the trader.
    ``delay_seconds`` passes between acceptance and execution, which then happens even when nobody
    asks any more. ``comment`` takes the place of the request's own, "" erases it.
    """

    retcode: int = 0
    retcode_comment: str = ""
    fill_fraction: float = 1.0
    slippage_points: int = 0
    delay_seconds: float = 0.0
    comment: str | None = None

    def obey(self) -> None:
        """Raise the Refusal that is asked for, if one is."""
        if self.retcode:
            raise Refusal(self.retcode, self.retcode_comment)


UNDISTURBED = Execution()
