"""Tags that nobody has, made sure of before anything is sent with them."""

from collections.abc import Sequence

from copytrade.replication.alike import Alike
from copytrade.replication.ids import Ids
from risk.models import Order


def give_free_tags(orders: Sequence[Order], crowds: Sequence[Alike] = ()) -> None:
    """Give unsaved orders other tags when somebody has one of theirs.

    Those of a wave follow each other from a random one on, so that two waves in half a billion
    meet. What was written ahead and not unfolded yet, here or on other hosts, is not seen.
    """
    while _are_taken([order.tag for order in orders], *(crowd.tags for crowd in crowds)):
        ids = Ids()
        for order in orders:
            order.tag = ids.new_tag()
        for crowd in crowds:
            crowd.tags = ids.new_tags(len(crowd))


def _are_taken(*tags: Sequence[int]) -> bool:
    some = [each for each in tags if each]
    if not some:
        return False
    first, last = min(map(min, some)), max(map(max, some))
    # One look at an index; where counting began anew at 0, between them are everybody's.
    return Order.objects.filter(tag__range=(first, last)).exists()
