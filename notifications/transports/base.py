from collections.abc import Callable

from notifications.models import Delivery


class TransportError(Exception):
    """A delivery did not reach its channel; trying again helps unless it is `permanent`."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


# Sends one delivery or raises TransportError.
Transport = Callable[[Delivery], None]
